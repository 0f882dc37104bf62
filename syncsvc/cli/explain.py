"""`person explain`: what we would do for somebody, why, and what stands in the way."""

from typing import TYPE_CHECKING, Annotated

import typer

from syncsvc.cli.desk import desk
from syncsvc.cli.output import Json, print_json, say
from syncsvc.cli.people import Id
from syncsvc.model.people import LibraryName

if TYPE_CHECKING:
    from syncsvc.flow.explain import Explained, InLibrary


def explain(
    context: typer.Context,
    person_id: Id,
    *,
    library: Annotated[str | None, typer.Option(help="Only this library.", metavar="NAME")] = None,
    look: Annotated[bool, typer.Option("--look", help="Also ask the libraries themselves what they hold.")] = False,
    as_json: Json = False,
) -> None:
    """What would be done for a person in every library and why, step by step; nothing is done by it."""
    from syncsvc.flow.explain import explain as explained  # noqa: PLC0415 - the database's library
    from syncsvc.intake.lines import person_id as read_id  # noqa: PLC0415 - Pillow

    only = LibraryName(library) if library is not None else None
    found = explained(desk(context).house, read_id(person_id), library=only, look=look)
    if as_json:
        print_json(found)
    else:
        _tell(found)


def _tell(found: "Explained") -> None:
    faces = ", ".join(found.faces) or "none"
    left = f", departed {found.departed_at:%Y-%m-%d %H:%M} UTC" if found.departed_at else ""
    say(f"{found.id}: revision {found.revision}, faces wanted: {faces}{left}")
    if found.told_by:
        told = found.told_by
        say(f"  told by {told.source} ({told.kind}, {told.received_at:%Y-%m-%d %H:%M} UTC, change {told.change})")
    for words in found.pending:
        say(f"  {words}")
    if found.erasure:
        say(f"  erasure: {found.erasure}, due {found.erasure_due_at:%Y-%m-%d %H:%M} UTC")
    for command in found.next:
        say(f"  to do: {command}")
    for one in found.libraries:
        _tell_library(one)


def _tell_library(one: "InLibrary") -> None:
    say(f"\n{one.name} ({one.vendor}, {one.policy}): {one.state or 'never told of the person'}")
    if one.wanted is not None:
        since = f"{one.wanted_at:%Y-%m-%d %H:%M} UTC"
        say(f"  wanted: revision {one.wanted}, since {since}; brought to: {one.held or 'none'}")
    for face in one.faces:
        seen = f"seen {face.verified_at:%Y-%m-%d %H:%M} UTC" if face.verified_at else "never seen since it was accepted"
        say(f"  holds {face.vendor_face_id}: {face.id or 'of no wanted picture'}, {seen}")
    for number, step in enumerate(one.steps, start=1):
        say(f"  {number}. {step}")
    for words in one.obstacles:
        say(f"  in the way: {words}")
    for odd in one.odd:
        say(f"  odd: {odd.vendor_face_id or 'the count'} is {odd.situation} ({odd.note}); reaction: {odd.reaction}")
    for tried in one.attempts:
        words = f": {tried.detail or tried.reason}" if tried.reason or tried.detail else ""
        say(f"  tried {tried.started_at:%Y-%m-%d %H:%M:%S} UTC, {tried.verb}: {tried.outcome}{words}")
    if one.verdict:
        say(f"  erased here: {one.verdict}")
    for words in one.seen or ():
        say(f"  looked: {words}")
    for command in one.next:
        say(f"  to do: {command}")
