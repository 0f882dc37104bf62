"""`keygen`, `db` and `sandbox`."""

import base64
import secrets
from typing import Annotated

import typer

from syncsvc.cli.desk import desk
from syncsvc.cli.output import Json, console, print_json, say, table
from syncsvc.model.errors import SyncsvcError

db = typer.Typer(help="The database's schema.", no_args_is_help=True, rich_markup_mode=None)


def keygen(*, as_json: Json = False) -> None:
    """Print fresh photo and receipt keys, ready for the environment."""
    fresh = {name: base64.b64encode(secrets.token_bytes(32)).decode() for name in ("photo_key", "receipt_key")}
    if as_json:
        print_json(fresh)
    else:
        for name, value in fresh.items():
            say(f"SYNCSVC_{name.upper()}={value}")


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
        raise SyncsvcError("the schema is not this version's; run `syncsvc db upgrade`")


@db.command("check")
def check_drift(context: typer.Context) -> None:
    """Exit 1 where the migrated database is not what the code believes in."""
    from syncsvc.store import schema  # noqa: PLC0415

    differences = schema.drift(desk(context).store)
    if differences:
        raise SyncsvcError("migrations and tables differ:\n" + "\n".join(f"  {one}" for one in differences))
    say("migrations and tables agree")


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
    ports = {name: sandbox_class(name).default_port for name in vendors or sandbox_names()}
    if as_json:
        print_json({name: f"http://{host}:{port}" for name, port in ports.items()})
    else:
        rows = [(name, f"http://{host}:{port}", f"http://{host}:{port}/_control/") for name, port in ports.items()]
        console().print(table(("sandbox", "base_url", "control"), rows))
        say("Ctrl-C stops them; what they hold is forgotten then")
    serve_forever(ports, host=host)
