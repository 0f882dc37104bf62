"""`reconcile`: read libraries, see what is odd in them, plan what would be done about it, and do it."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from syncsvc.cli.desk import Desk, desk
from syncsvc.cli.output import Json, console, print_json, say, table
from syncsvc.model.errors import InputError
from syncsvc.model.people import LibraryName
from syncsvc.model.situations import Situation

if TYPE_CHECKING:
    from syncsvc.flow.house import House
    from syncsvc.store.listings import ListingState
    from syncsvc.store.situations import Odd

reconcile = typer.Typer(
    help="Reconciliation: what is in the libraries beside what should be.", no_args_is_help=True, rich_markup_mode=None
)

Library = Annotated[str | None, typer.Option("--library", help="Only this library; else all that are configured.")]
Approve = Annotated[
    int | None,
    typer.Option("--approve-removals", min=0, help="Let exactly so many people lose faces, past the removal guard."),
]
_AT_ONCE = 500


@reconcile.command()
def plan(
    context: typer.Context,
    *,
    file: Annotated[Path, typer.Option("-o", "--output", help="Where to write the plan.")],
    library: Library = None,
    as_json: Json = False,
) -> None:
    """Read the libraries now, and write what would be done into a file. Nothing is done."""
    from syncsvc.flow.plan_file import write_plan  # noqa: PLC0415 - as all below: what --help need not load
    from syncsvc.flow.reconcile import ONLY_LOOKING  # noqa: PLC0415

    here = desk(context)
    names = _names(here, library)
    if not file.parent.is_dir():
        raise InputError(f"{file.parent} is not a folder; create it or choose another place for the plan")
    _read(here, names, ONLY_LOOKING)
    planned = write_plan(here.house, names, file)
    if as_json:
        told = {"file": str(file), "steps": planned.steps, "sha256": planned.checksum}
        print_json({**told, "counts": planned.counts, "people": planned.people})
        return
    for name in sorted(planned.counts):
        losing = planned.people[name]
        say(f"{name}: {_words(planned.counts[name])}; {_people(losing)} would lose a face")
    say(f"{planned.steps:,} {'step' if planned.steps == 1 else 'steps'}: `syncsvc reconcile apply {file}` takes them")


@reconcile.command()
def apply(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A plan, unchanged.", metavar="FILE")],
    *,
    approve_removals: Approve = None,
    as_json: Json = False,
) -> None:
    """Do what a plan says and nothing else, if nothing has changed since it was made."""
    from syncsvc.flow.plan_file import apply_plan  # noqa: PLC0415

    done = apply_plan(desk(context).house, file, approved=approve_removals)
    if as_json:
        print_json(done)
        return
    for name, count in sorted(done.items()):
        say(f"{name}: {count:,} {'face' if count == 1 else 'faces'} seen to; deliveries do the rest")


@reconcile.command()
def run(context: typer.Context, *, library: Library = None, as_json: Json = False) -> None:
    """Read the libraries now, and mend what is wrong."""
    from syncsvc.flow.reconcile import finish  # noqa: PLC0415

    here = desk(context)
    names = _names(here, library)
    _read(here, names, "command")
    ended = [finish(here.house, name) for name in names]
    if as_json:
        print_json([_told(one) for one in ended])
    else:
        for one in ended:
            say(f"{one.library}: {_words(one.counts)}; the listing is {_completeness(one)}")
            if one.state == "waiting":
                say(f"{one.library} waits for an approval: `syncsvc reconcile approve {one.library}` says why")
    if any(one.state == "waiting" for one in ended):
        raise typer.Exit(1)


@reconcile.command()
def approve(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The library's name.", metavar="NAME")],
    *,
    approve_removals: Approve = None,
) -> None:
    """Let a reconciliation go on that the removal guard has stopped; without a number, say what it would take."""
    from syncsvc.flow.mend import mend  # noqa: PLC0415
    from syncsvc.flow.reconcile import newest  # noqa: PLC0415

    house = desk(context).house
    house.shelf(LibraryName(name))
    if newest(house, LibraryName(name)).state != "waiting":
        say(f"{name} waits for nothing")
        return
    count = mend(house, LibraryName(name), approved=approve_removals)
    say(f"{name}: {count:,} {'face' if count == 1 else 'faces'} seen to; deliveries do the rest")


@reconcile.command()
def status(context: typer.Context, *, as_json: Json = False) -> None:
    """The newest reading of every library: when, how complete, and what it has shown."""
    house = desk(context).house
    with house.store.reading() as tx:
        listings = [one for one in tx.listings.all() if one.library in house.shelves]
    if as_json:
        print_json([_told(one) for one in listings])
        return
    rows = [
        (one.library, one.started_at, one.cause, one.state, f"{one.faces:,}", _completeness(one), _words(one.counts))
        for one in listings
    ]
    console().print(table(("library", "read", "cause", "state", "faces", "completeness", "found"), rows))
    for name in sorted(house.shelves.keys() - {one.library for one in listings}):
        say(f"{name} was never read")


@reconcile.command("list")
def list_odd(
    context: typer.Context,
    *,
    library: Library = None,
    situation: Annotated[Situation | None, typer.Option(help="Only faces in this situation.")] = None,
    as_json: Json = False,
) -> None:
    """Every odd face, and what is done about it. `wait`: a delivery of its person is owed or under way."""
    here = desk(context)
    titles = ("library", "face", "person", "key", "situation", "reaction", "why")
    rows: list[Sequence[object]] = []
    for name in _names(here, library):
        for odd in _pages(here.house, name, situation):
            one = {
                "library": odd.library,
                "vendor_face_id": odd.vendor_face_id or None,
                "person": odd.person or None,
                "person_key": odd.person_key,
                "situation": odd.situation.value,
                "reaction": odd.reaction.value if odd.reaction else None,
                "note": odd.note,
                "noted_at": odd.noted_at,
            }
            if as_json:
                print_json(one)  # a line each: there may be very many
            else:
                rows.append([value for name, value in one.items() if name != "noted_at"])
                if len(rows) == _AT_ONCE:
                    console().print(table(titles, rows))
                    rows = []
    if rows:
        console().print(table(titles, rows))


def _pages(house: "House", name: LibraryName, situation: Situation | None) -> Iterator["Odd"]:
    from syncsvc.store.situations import START  # noqa: PLC0415

    place = START
    while True:
        with house.store.reading() as tx:
            odd = tx.situations.of_library(name, after=place, limit=_AT_ONCE, situation=situation)
        if not odd:
            return
        yield from odd
        place = odd[-1].key


def _names(here: Desk, library: str | None) -> list[LibraryName]:
    if library is None:
        return sorted(here.house.shelves)
    return [here.house.shelf(LibraryName(library)).name]


def _read(here: Desk, names: Sequence[LibraryName], cause: str) -> None:
    from syncsvc.cli import embedded  # noqa: PLC0415
    from syncsvc.cli.reconcile_screen import Screen  # noqa: PLC0415
    from syncsvc.flow.reconcile import read_whole  # noqa: PLC0415
    from syncsvc.wiring import declare_libraries  # noqa: PLC0415

    declare_libraries(here.service)
    with embedded.if_configured(here.settings), Screen() as screen:  # permits come from there
        for name in names:
            screen.ended(read_whole(here.house, name, cause, watch=screen.reached))


def _told(one: "ListingState") -> Mapping[str, object]:
    return {
        "library": one.library,
        "run": one.run,
        "cause": one.cause,
        "state": one.state,
        "faces": one.faces,
        "completeness": one.completeness,
        "why": one.why,
        "counts": one.counts,
        "started_at": one.started_at,
        "finished_at": one.finished_at,
        "complete_at": one.complete_at,
    }


def _completeness(one: "ListingState") -> str:
    if one.completeness is None:
        return "not known yet"
    return f"{one.completeness.value} ({one.why})" if one.why else one.completeness.value


def _words(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items() if count) or "nothing"


def _people(count: int) -> str:
    return "1 person" if count == 1 else f"{count:,} people"
