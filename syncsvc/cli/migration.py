"""`library compare` and `library retire`: moving from one library to another."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from syncsvc.cli.desk import desk
from syncsvc.cli.libraries import Name
from syncsvc.cli.output import Json, console, print_json, say, table
from syncsvc.model.errors import InputError, SyncsvcError
from syncsvc.model.people import LibraryName

if TYPE_CHECKING:
    from syncsvc.flow.compare_libraries import Age, Beside, Totals
    from syncsvc.flow.house import House
    from syncsvc.store.migrating import Retiring

FIRST = 20  # people who are named without --json

_WORDS = {
    "wanted": "should have a face",
    "both": "are in both",
    "only_old": "are only in {old}",
    "only_new": "are only in {new}",
    "neither": "are in neither",
    "refused": "are refused by {new}",
    "open": "are still owed to {new}",
    "leaving": "should be in neither, and are still in one",
}


def compare(
    context: typer.Context,
    old: Annotated[str, typer.Argument(help="The library that is to be given up.", metavar="OLD")],
    new: Annotated[str, typer.Argument(help="The library that is to take its place.", metavar="NEW")],
    *,
    as_json: Json = False,
) -> None:
    """Who is in both libraries, and who only in one; fails while NEW lacks somebody whom OLD has.

    --json prints a line for everybody who is not in both, and the totals in the last line.
    """
    from syncsvc.flow.compare_libraries import compare  # noqa: PLC0415 - the database's library

    going = compare(desk(context).house, LibraryName(old), LibraryName(new))
    named: list[Beside] = []
    for one in going.people():
        if one.where == "both" and not one.refused:
            continue
        if as_json:
            print_json(one)
        elif len(named) < FIRST and one.where != "neither":
            named.append(one)
    totals = going.totals
    if as_json:
        print_json({"totals": totals})
    else:
        _show(totals, named)
    if totals.lacking:
        raise SyncsvcError(f"{new} lacks {_people(totals.lacking)} whom {old} has")


def retire(
    context: typer.Context,
    name: Name,
    *,
    replaced_by: Annotated[
        str | None, typer.Option(metavar="NEW", help="Refuse while this library lacks anybody.")
    ] = None,
    approve_removals: Annotated[
        int | None, typer.Option(metavar="N", help="All N people of the library may go.", min=0)
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    status: Annotated[bool, typer.Option("--status", help="Only show how far it is.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Want people there again, before it is finished.")] = False,
    as_json: Json = False,
) -> None:
    """Take everybody out of a library, verify that, and write a receipt; then it may leave the configuration."""
    from syncsvc.flow import retire as flow  # noqa: PLC0415

    house, library_name = desk(context).house, LibraryName(name)
    if (status or undo) and (replaced_by or approve_removals is not None or (status and undo)):
        raise InputError("--status and --undo stand alone; leave the other options out")
    if undo:
        left = flow.undo(house, library_name)
        words = f"people are wanted in {name} again" if left is None else f"{name}: stopped on the way; say it again"
        print_json({"library": name, "undone": left is None}) if as_json else say(words)
        return
    if not status:
        if not yes and sys.stdin.isatty():
            typer.confirm(f"Take everybody out of {name}?", abort=True)
        successor = LibraryName(replaced_by) if replaced_by else None
        flow.retire(house, library_name, replaced_by=successor, approved=approve_removals)
    one = flow.status(house, library_name)
    if as_json:
        print_json(_facts(house, one))
    else:
        say(retiring_words(one, _left(house, one)))


def retiring_words(one: "Retiring", left: int) -> str:
    """How far it is, in a sentence. `left`: how many deletions are still owed."""
    progress, name = one.progress, one.library
    match progress.stage:
        case "retired":
            return f"{name} is retired{_result(one)}"
        case "undoing":
            return f"{name}: that it retires is being undone; `syncsvc library retire {name} --undo` goes on"
        case "reading":
            waits = f"; {progress.waits}" if progress.waits else ""
            return f"{name} retires: everybody was removed, {progress.verified:,} faces are verified{waits}"
        case _:
            return f"{name} retires: {left:,} of {_people(progress.people)} are still to be removed"


def _result(one: "Retiring") -> str:
    progress = one.progress
    unverifiable = sum(progress.unverifiable.values())
    told = f": of {progress.bound:,} faces {progress.verified:,} are verified to be gone"
    if progress.there:
        return f"{told}, and {progress.there:,} are still there after {progress.looks} removals: ask the vendor"
    if unverifiable:
        why = "; ".join(f"{count:,}: {words}" for words, count in sorted(progress.unverifiable.items()))
        return f"{told}, and {unverifiable:,} could not be verified ({why})"
    return f"{told}; it may be taken out of the configuration"


def _left(house: "House", one: "Retiring") -> int:
    with house.store.reading() as tx:
        return sum(tx.migrating.left(one.library).values())


def _facts(house: "House", one: "Retiring") -> dict[str, object]:
    return {
        "library": one.library,
        "since": one.since,
        "retired_at": one.retired_at,
        "still_owed": _left(house, one),
        "progress": one.progress,
    }


def _show(totals: "Totals", named: "list[Beside]") -> None:
    old, new = totals.old, totals.new
    rows = [(f"{getattr(totals, key):,}", words.format(old=old, new=new)) for key, words in _WORDS.items()]
    console().print(table(("people", ""), rows))
    for name, age in ((old, totals.old_age), (new, totals.new_age)):
        say(f"{name}: {age.faces:,} faces{_verified(age)}")
    if named:
        found = [(one.person, one.where.replace("_", " "), one.detail or one.reason) for one in named]
        console().print(table((f"the first {len(named)}", "where", "why"), found))


def _verified(age: "Age") -> str:
    if not age.faces:
        return ""
    seen = f", the oldest seen {age.verified_at:%Y-%m-%d %H:%M} UTC" if age.verified_at else ""
    return f", {age.unverified:,} never seen there since they were sent{seen}"


def _people(count: int) -> str:
    return "1 person" if count == 1 else f"{count:,} people"
