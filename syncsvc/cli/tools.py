"""`keygen`, `db` and `sandbox`."""

import base64
import secrets
from collections.abc import Mapping
from typing import Annotated

import typer

from syncsvc.cli.desk import desk
from syncsvc.cli.output import Json, print_json, say
from syncsvc.cli.ports import check_port
from syncsvc.model.errors import SyncsvcError
from syncsvc.settings import secret_keys

_RESEALED_AT_ONCE = 200
_OTHER_SCHEMA = "the schema is not this version's; run `syncsvc db upgrade`"

db = typer.Typer(help="The database's schema.", no_args_is_help=True, rich_markup_mode=None)


def keygen(*, as_json: Json = False) -> None:
    """Print fresh photo and receipt keys, ready for the environment."""
    from syncsvc.flow.signing import Signer  # noqa: PLC0415 - cryptography

    fresh = {name: base64.b64encode(secrets.token_bytes(32)).decode() for name in ("photo_key", "receipt_key")}
    public = Signer(base64.b64decode(fresh["receipt_key"])).public_key.base64
    if as_json:
        print_json({**fresh, "receipt_public_key": public})
    else:
        for name, value in fresh.items():
            say(f"SYNCSVC_{name.upper()}={value}")
        say(f"# for auditors, the public part of the receipt key: {public}")


@db.command()
def upgrade(context: typer.Context) -> None:
    """Bring the database to this version's schema, and tell it which libraries are configured."""
    from syncsvc import wiring  # noqa: PLC0415 - the database's library
    from syncsvc.store import schema  # noqa: PLC0415

    service = desk(context).service
    schema.upgrade(service.house.store)
    wiring.declare_libraries(service)
    say(f"the schema is at {schema.head()}")


@db.command()
def current(context: typer.Context, *, as_json: Json = False) -> None:
    """Print the schema's revision; exit 1 where it is not this version's."""
    from syncsvc.store import schema  # noqa: PLC0415

    found, needed = schema.current(desk(context).store), schema.head()
    if as_json:
        print_json({"current": found, "head": needed})
    else:
        say(f"{found or 'empty'} (this version needs {needed})")
    if found != needed:
        raise SyncsvcError(_OTHER_SCHEMA)


@db.command("check")
def check_drift(context: typer.Context) -> None:
    """Exit 1 where the migrated database is not what the code believes in."""
    from syncsvc.store import schema  # noqa: PLC0415

    store = desk(context).store
    if schema.current(store) != schema.head():
        raise SyncsvcError(_OTHER_SCHEMA)
    differences = schema.drift(store)
    if differences:
        raise SyncsvcError("migrations and tables differ:\n" + "\n".join(f"  {one}" for one in differences))
    say("migrations and tables agree")


@db.command()
def reseal(context: typer.Context) -> None:
    """Seal everything anew that was sealed with an older photo_key; after it the old key may go."""
    store = desk(context).store
    done = 0
    while True:
        with store.transaction() as tx:
            every = (tx.photos.reseal, tx.people.reseal_names, tx.scim_users.reseal, tx.pseudonyms.reseal)
            batch = sum(seal_anew(_RESEALED_AT_ONCE) for seal_anew in every)
        if not batch:
            break
        done += batch
        say(f"{done:,} resealed so far")
    say("everything is sealed with the first key of photo_key")


def sandbox(
    vendors: Annotated[list[str] | None, typer.Argument(help="Which vendors; all of them without a name.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    *,
    as_json: Json = False,
) -> None:
    """Run practice rooms: stateful servers that behave like the vendors', for integration tests."""
    from syncsvc.sandbox.serve import sandbox_class, sandbox_names, serve_forever  # noqa: PLC0415 - a web server

    unknown = sorted(set(vendors or ()) - set(sandbox_names()))
    if unknown:
        known = ", ".join(sandbox_names())
        raise typer.BadParameter(f"no sandbox is called {unknown[0]}; known are {known}", param_hint="VENDOR")
    rooms = {name: sandbox_class(name) for name in vendors or sandbox_names()}
    ports = {name: room.default_port for name, room in rooms.items()}
    for port in ports.values():
        check_port(host, port)
    urls = {name: f"http://{host}:{port}" for name, port in ports.items()}
    if as_json:
        print_json({name: {"base_url": urls[name], "options": room.practice_options} for name, room in rooms.items()})
    else:
        for name, room in rooms.items():
            _print_section(name, urls[name], room.practice_options)
        say("# Faults are scripted under /_control/ of each address. Ctrl-C ends them, and what they hold.")
    serve_forever(ports, host=host)


def _print_section(vendor: str, url: str, options: Mapping[str, str]) -> None:
    """What to write into a configuration to use a practice room; its secrets are known to everybody."""
    from syncsvc.library.loading import library_class  # noqa: PLC0415 - httpx

    secret = secret_keys(library_class(vendor).Options)
    variables = {key: f"PRACTICE_{vendor}_{key}".upper() for key in options if key in secret}
    for key, variable in variables.items():
        say(f"# export {variable}={options[key]}")
    lines = ["[[library]]", f'name = "{vendor}"', f'vendor = "{vendor}"', f'base_url = "{url}"', 'policy = "sync"']
    if options:
        lines.append("[library.options]")
        lines += [f'{key} = "{f"env:{variables[key]}" if key in secret else value}"' for key, value in options.items()]
    say("\n".join([*lines, ""]))
