"""`person` and `face`: what is known of somebody everywhere, and the changes that scripts make by hand."""

import os
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from syncsvc.cli.desk import Desk, desk
from syncsvc.cli.output import Json, console, print_json, say, table
from syncsvc.model.changes import Change, Departed, FaceDeleted, FaceReplaced, Told
from syncsvc.model.errors import InputError, NotFoundError
from syncsvc.model.people import FaceId, PersonId

if TYPE_CHECKING:
    from collections.abc import Iterable

    from syncsvc.flow.record import Recorded, Ring
    from syncsvc.flow.views import PersonView

person = typer.Typer(help="One person in every library.", no_args_is_help=True, rich_markup_mode=None)
face = typer.Typer(help="One face of a person.", no_args_is_help=True, rich_markup_mode=None)

Id = Annotated[str, typer.Argument(help="The person's id, as the HR system has it.", metavar="ID")]
Face = Annotated[str, typer.Option("--face", help="The face's id.")]


@person.command()
def show(context: typer.Context, person_id: Id, *, as_json: Json = False) -> None:
    """A person's state in every library."""
    view = _view(desk(context), _person(person_id))
    if as_json:
        print_json(view)
        return
    faces = ", ".join(one.id for one in view.faces) or "none"
    left = f", departed {view.departed_at:%Y-%m-%d %H:%M} UTC" if view.departed_at else ""
    until = f", stays until {view.expires_at:%Y-%m-%d %H:%M} UTC" if view.expires_at else ""
    say(f"{view.id}: revision {view.revision}, faces: {faces}{left}{until}")
    rows = [
        (
            one.name,
            one.state,
            one.wanted,
            one.held,
            one.attempts,
            one.due_at,
            ", ".join(f"{'unwanted' if held.id is None else held.id} as {held.vendor_face_id}" for held in one.faces),
            one.detail or one.reason,
        )
        for one in view.libraries
    ]
    titles = ("library", "state", "wanted", "held", "attempts", "due", "faces there", "why")
    console().print(table(titles, rows))


@person.command()
def erase(
    context: typer.Context,
    person_id: Id,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Let a person depart: their faces go from every library and from here."""
    here = desk(context)
    who = _person(person_id)
    _view(here, who)
    if not yes and sys.stdin.isatty():
        typer.confirm(f"Remove every face of {person_id} from every library?", abort=True)
    _record(here, Departed(who), as_json=as_json)


@person.command()
def resync(context: typer.Context, person_id: Id, *, as_json: Json = False) -> None:
    """Read a person in every library and deliver again what is not as it should be."""
    from syncsvc.flow import operate  # noqa: PLC0415 - the database's library

    here = desk(context)
    rings = operate.resync(here.house, _person(person_id))
    _send(here, rings)
    if as_json:
        print_json({"libraries": [ring.library for ring in rings]})
    else:
        _told(person_id, len(rings))


@face.command()
def replace(
    context: typer.Context,
    person_id: Id,
    face_id: Face,
    photo: Annotated[Path, typer.Option("--photo", help="A picture file.", dir_okay=False, exists=True)],
    *,
    as_json: Json = False,
) -> None:
    """Give a face a new picture, in every library; a face or a person that was not there is added."""
    from syncsvc.intake.photos import read_photo_file  # noqa: PLC0415 - Pillow

    here = desk(context)
    who, which = _person(person_id), _face(face_id)
    picture = read_photo_file(photo)
    try:
        is_new = False
        if _view(here, who).departed_at is not None:
            raise InputError(f"{who} has departed; only the HR system brings somebody back")
    except NotFoundError:
        is_new = True
    _record(here, FaceReplaced(who, which, picture), as_json=as_json, is_new=is_new)


@face.command("delete")
def delete_face(context: typer.Context, person_id: Id, face_id: Face, *, as_json: Json = False) -> None:
    """Take one face out of every library; the person's other faces stay."""
    here = desk(context)
    who, which = _person(person_id), _face(face_id)
    known = [one.id for one in _view(here, who).faces]
    if which not in known:
        raise NotFoundError(f"{person_id} has no face {face_id!r}; there are: {', '.join(known) or 'none'}")
    _record(here, FaceDeleted(who, which), as_json=as_json)


def _person(text: str) -> PersonId:
    from syncsvc.intake.lines import person_id  # noqa: PLC0415 - Pillow

    return person_id(text)


def _face(text: str) -> FaceId:
    from syncsvc.intake.lines import face_id  # noqa: PLC0415 - Pillow

    return face_id(text)


def _view(here: Desk, person: PersonId) -> "PersonView":
    from syncsvc.flow.views import person_view  # noqa: PLC0415

    return person_view(here.house, person)


def _record(here: Desk, change: Change, *, as_json: bool, is_new: bool = False) -> None:
    from syncsvc.flow.record import record  # noqa: PLC0415

    # Whoever does this by hand was asked, and answers for it.
    recorded: Recorded = record(here.house, Told("cli", uuid.uuid4().hex, change, approved_by="cli"))
    _send(here, recorded.rings)
    if as_json:
        print_json({"change": recorded.change, "effect": recorded.effect, "revision": recorded.revision})
    elif recorded.effect == "applied":
        _told(change.person, len(recorded.rings), is_new=is_new)
    else:
        say(f"nothing to do: {change.person} is so already")


def _told(person_id: str, count: int, *, is_new: bool = False) -> None:
    libraries = "1 library" if count == 1 else f"{count} libraries"
    new = "new person, " if is_new else ""
    say(f"{new}recorded for {libraries}; `syncsvc person show {person_id}` shows how far it is")


def _send(here: Desk, rings: "Iterable[Ring]") -> None:
    """Ring at once; where the broker is away, the sweep rings later."""
    os.environ["SYNCSVC_CONFIG"] = str(here.file)  # Celery finds the same configuration by this
    from syncsvc.queue.send import send  # noqa: PLC0415

    send(rings)
