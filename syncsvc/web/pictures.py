"""What the configured libraries will say to the pictures of a change, told before it is taken in."""

from collections.abc import Iterator
from typing import Any

from syncsvc.flow.preflight import preflight
from syncsvc.model.changes import Change, FaceReplaced, Upserted
from syncsvc.model.errors import InputError
from syncsvc.model.people import FaceId, Source
from syncsvc.web.desk import Desk


def checked(desk: Desk, change: Change) -> list[dict[str, Any]]:
    """For each picture: its face, which libraries take it, and in words why others do not.

    Raises InputError for a picture that no configured library can take.
    """
    return [_checked(desk, face, source) for face, source in _pictures(change)]


def _checked(desk: Desk, face: FaceId, source: Source) -> dict[str, Any]:
    found = preflight(desk.service.house, source)
    if found.fails and not found.passes:
        raise InputError(f"the photo of face {face!r} {found.words}", field="photo")
    return {"face": face, "passes": list(found.passes), "fails": dict(found.fails), "words": found.words}


def _pictures(change: Change) -> Iterator[tuple[FaceId, Source]]:
    match change:
        case Upserted(faces=faces):
            yield from faces or ()
        case FaceReplaced(face=face, source=source):
            yield face, source
        case _:
            return
