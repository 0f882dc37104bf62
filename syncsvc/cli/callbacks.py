"""`callback`: who is told what becomes of changes, and whether they take it."""

import json
import uuid
from typing import Annotated

import typer

from syncsvc.cli.desk import desk
from syncsvc.cli.output import Json, console, print_json, say, table
from syncsvc.model.callbacks import Accepted, Letter, NotNow, Unwanted

callback = typer.Typer(help="Who is told what becomes of changes.", no_args_is_help=True, rich_markup_mode=None)

Name = Annotated[str, typer.Argument(help="The callback's name.", metavar="NAME")]


@callback.command("list")
def list_callbacks(context: typer.Context, *, as_json: Json = False) -> None:
    """Every configured callback: whether it takes messages, and what waits for it."""
    from syncsvc.flow.callbacks import callback_views  # noqa: PLC0415 - the database's library

    views = callback_views(desk(context).house)
    if as_json:
        print_json(views)
        return
    rows = [
        (view.name, view.state, view.waiting, view.given_up, view.failures, view.disabled_at, view.last_error)
        for view in views
    ]
    titles = ("callback", "state", "waiting", "given up", "failures", "disabled since", "last error")
    console().print(table(titles, rows))


@callback.command()
def test(context: typer.Context, name: Name) -> None:
    """Send one `callback.test` message now, beside all that waits, and say what was answered."""
    from syncsvc.flow.callbacks import known  # noqa: PLC0415

    service = desk(context).service
    known(service.house, name)
    instant = service.house.clock().isoformat().replace("+00:00", "Z")
    body = json.dumps({"type": "callback.test", "timestamp": instant, "data": {"callback": name}})
    (answer,) = service.courier.post(name, [Letter(uuid.uuid4().hex, "callback.test", body)])
    match answer:
        case Accepted():
            say(f"{name} took the message")
        case NotNow(detail=detail) | Unwanted(detail=detail):
            say(f"{name} did not take the message: {detail}")
            raise typer.Exit(1)


@callback.command()
def enable(context: typer.Context, name: Name) -> None:
    """Send to a callback again that was disabled because its address failed for days."""
    from syncsvc.flow import callbacks  # noqa: PLC0415

    waiting = callbacks.enable(desk(context).house, name)
    say(f"{name} is sent to again; {waiting:,} {'message waits' if waiting == 1 else 'messages wait'}")
