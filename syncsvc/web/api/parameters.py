"""What routes have in common: ids in addresses, queries, and pages."""

import base64
import binascii
from collections.abc import Callable
from typing import Annotated, TypeVar
from urllib.parse import unquote, urlencode

from fastapi import Depends, Path, Request, Response
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
)

from syncsvc.intake.lines import face_id, person_id
from syncsvc.model.errors import InputError
from syncsvc.model.people import FaceId, PersonId

T = TypeVar("T")

_PERSON = "The person's id as the HR system has it, percent-encoded: `a/b` is sent as `a%2Fb`."
_FACE = "The face's id, percent-encoded."


async def unstored(response: Response) -> None:
    """A dependency: no cache keeps the answer, and no browser guesses what it is."""
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"


def decoded(name: str, segment: str, read: Callable[[str], T]) -> T:
    """What `read` makes of a percent-encoded part of the address. Raises InputError that names it."""
    try:
        return read(unquote(segment, errors="strict"))
    except UnicodeDecodeError:
        raise InputError(f"{name}: is not UTF-8, percent-encoded", field=name) from None
    except InputError as error:
        raise InputError(f"{name}: {error}", field=name) from None


def _person(segment: Annotated[str, Path(alias="id", description=_PERSON)]) -> PersonId:
    return decoded("id", segment, person_id)


def _face(segment: Annotated[str, Path(alias="face", description=_FACE)]) -> FaceId:
    return decoded("face", segment, face_id)


def _writable(told: str) -> str:
    if not told.isprintable():
        raise ValueError("holds a character that cannot be written")
    return told


ThePerson = Annotated[PersonId, Depends(_person)]
TheFace = Annotated[FaceId, Depends(_face)]
Word = Annotated[str, Field(max_length=200), AfterValidator(_writable)]


class Asked(BaseModel):
    """What may stand behind the "?" of an address. A name that nobody knows is a mistake: a misspelt filter would
    choose everything, and a misspelt moment would be now."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class AskedPage(Asked):
    limit: int = Field(default=100, ge=1, le=1000, description="How many at most on a page.")
    cursor: str | None = Field(default=None, max_length=2000, description="Where the last page ended; `next` has it.")


def next_page(request: Request, kind: TypeAdapter[T], place: T | None) -> str | None:
    """The address of the page that goes on from `place`, with the same filters; None where there is none."""
    if place is None:
        return None
    cursor = base64.urlsafe_b64encode(kind.dump_json(place)).decode().rstrip("=")
    kept = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
    return f"{request.url.path}?{urlencode([*kept, ('cursor', cursor)])}"


def place_of(kind: TypeAdapter[T], cursor: str | None) -> T | None:
    """Where a page begins; None: at the beginning. Raises InputError for a cursor that we never gave."""
    if cursor is None:
        return None
    try:
        return kind.validate_json(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (ValidationError, binascii.Error, ValueError, InputError):
        raise InputError("cursor: is not one of ours; begin without one", field="cursor") from None
