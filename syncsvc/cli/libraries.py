"""`library` and `status`: what every library is owed, and stopping and starting them."""

import time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.live import Live
from rich.table import Table
from rich.text import Text

from syncsvc.cli.desk import desk
from syncsvc.cli.output import Json, ago, console, print_json, say, table
from syncsvc.model.people import LibraryName

if TYPE_CHECKING:
    from syncsvc.flow.house import House
    from syncsvc.flow.unfetched import Trouble
    from syncsvc.flow.views import LibraryView

library = typer.Typer(help="The configured libraries.", no_args_is_help=True, rich_markup_mode=None)

Name = Annotated[str, typer.Argument(help="The library's name.", metavar="NAME")]


@library.command("list")
def list_libraries(context: typer.Context, *, as_json: Json = False) -> None:
    """Every configured library: its policy, and whether it works."""
    from syncsvc.flow.views import status_view  # noqa: PLC0415 - the database's library

    views = status_view(desk(context).house)
    if as_json:
        print_json(views)
        return
    rows = [
        (view.name, view.vendor, view.policy, view.state, ago(view.oldest_verification), view.unverified, view.detail)
        for view in views
    ]
    console().print(table(("library", "vendor", "policy", "state", "longest unseen", "too long", "why"), rows))


@library.command()
def pause(context: typer.Context, name: Name) -> None:
    """Send nothing more to a library; what it is owed waits."""
    from syncsvc.flow import operate  # noqa: PLC0415

    changed = operate.pause(desk(context).house, LibraryName(name))
    say(f"{name} is paused" if changed else f"{name} was paused already")


@library.command()
def resume(context: typer.Context, name: Name) -> None:
    """Let a paused or halted library work again."""
    from syncsvc.flow import operate  # noqa: PLC0415

    changed = operate.resume(desk(context).house, LibraryName(name))
    say(f"{name} works again" if changed else f"{name} was working already")


@library.command()
def fill(context: typer.Context, name: Name, *, as_json: Json = False) -> None:
    """Owe everybody to a library that is new and empty; adopt one that already holds people instead."""
    from syncsvc.flow import operate  # noqa: PLC0415

    owed = operate.fill(desk(context).house, LibraryName(name))
    if as_json:
        print_json({"library": name, "owed": owed})
    elif owed:
        say(f"{owed:,} {'person is' if owed == 1 else 'people are'} now owed to {name}")
    else:
        say(f"nothing to do: {name} was told of everybody already")


def status(
    context: typer.Context,
    *,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again every second, until Ctrl-C.")] = False,
    as_json: Json = False,
) -> None:
    """Every library at a glance: what is due, in flight, and needs somebody."""
    from syncsvc.flow.views import status_view  # noqa: PLC0415

    house = desk(context).house
    if as_json:
        print_json(status_view(house))
        while watch:
            time.sleep(1.0)
            print_json(status_view(house))
    elif watch:
        with Live(_overview(house), console=console(), auto_refresh=False) as live:
            while True:
                time.sleep(1.0)
                live.update(_overview(house), refresh=True)
    else:
        console().print(_overview(house))


_TITLES = (
    "library",
    "state",
    "due",
    "doubtful",
    "in flight",
    "attention",
    "odd",
    "oldest",
    "permits",
    "breaker",
    "reconciled",
)


def _overview(house: "House") -> Table:
    from syncsvc.flow.callbacks import callback_views  # noqa: PLC0415
    from syncsvc.flow.unfetched import troubles  # noqa: PLC0415
    from syncsvc.flow.views import status_view  # noqa: PLC0415

    rows = [
        (
            view.name,
            view.state,
            view.due,
            view.doubtful,
            view.in_flight,
            view.attention,
            view.odd_faces,
            ago(view.oldest_wait),
            _permits(view),
            "open" if view.breaker_open_until else "",
            view.reconciled_at,
        )
        for view in status_view(house)
    ]
    made = table(_TITLES, rows)
    disabled = [one for one in callback_views(house) if one.disabled_at is not None]
    words = [f"callback {one.name} is disabled, {one.waiting:,} messages wait: {one.last_error}" for one in disabled]
    with house.store.reading() as tx:
        words += [f"{one.webhook} cannot be asked about {_employees(one)}: {one.words}" for one in troubles(tx)]
    made.caption = Text("\n".join(words), justify="left")
    return made


def _employees(trouble: "Trouble") -> str:
    """How many, and how many of them are tried again."""
    count = trouble.waiting + trouble.given_up
    people = "1 employee" if count == 1 else f"{count:,} employees"
    return people if not trouble.given_up else f"{people} ({trouble.given_up:,} given up)"


def _permits(view: "LibraryView") -> str:
    usage = view.permits
    if usage is None:
        return "unknown"
    shut = f", closed for {ago(usage.closed_for)}" if usage.closed_for else ""
    return f"{usage.used}/{usage.allowed}{shut}" if usage.allowed is not None else f"{usage.used}{shut}"
