"""The words in which changes are told: people, faces and photos as JSON, for webhooks, scripts and files alike."""

import base64
import binascii
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Annotated, Any, Generic, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    ValidationError,
    model_validator,
)

from syncsvc.intake.dialects.base import Photos
from syncsvc.intake.lines import face_id, person_id
from syncsvc.model.changes import Change, Departed, FaceDeleted, FaceReplaced, Told, Until, Upserted
from syncsvc.model.errors import InputError
from syncsvc.model.people import FEATURE_LENGTH, Feature, Source
from syncsvc.model.retention import end_of

MOST_FACES = 100  # of one person in one telling; the most generous vendor takes a fifth of it
_LARGEST_VERSION = 2**63 - 1
_LONGEST_NAME = 1000
_LONGEST_PLACE = 200  # of a field's name in an answer; a key may be as long as the body
_LONGEST_URL = 8192  # without a picture in it: that is what base64 is for
_NO_OBJECT = {"model_type", "dict_type"}  # of which pydantic says the names of our own classes
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


def _dated(told: object) -> object:
    """A bare number might count seconds or milliseconds, or be a day like 20261231, and is refused."""
    if not isinstance(told, datetime) and not (isinstance(told, str) and _DATE.match(told)):
        raise ValueError("must be a moment like 2026-03-02T08:00:00Z or 2026-03-02T16:00:00+08:00")
    return told


def _utc(told: datetime) -> datetime:
    try:
        return told.astimezone(UTC)
    except OverflowError:
        raise ValueError("is outside the years 1 to 9999") from None


def _day(told: object) -> object:
    """A day as the moment at which it is over; a moment as it is."""
    if not isinstance(told, str) or not _DATE.fullmatch(told):
        return _dated(told)
    try:
        return end_of(date.fromisoformat(told))
    except ValueError:
        raise ValueError("is no day that there is; write it like 2026-12-31") from None


Instant = Annotated[AwareDatetime, BeforeValidator(_dated), AfterValidator(_utc)]
LastDay = Annotated[
    Annotated[AwareDatetime, AfterValidator(_utc)] | None,
    BeforeValidator(lambda told: None if told is None else _day(told)),
]


class Words(BaseModel):
    """Frozen; a key that nobody knows is a mistake, for it may be a misspelt one; no value appears in an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class PhotoWords(Words):
    """A face's picture, in exactly one way."""

    base64: str | None = Field(default=None, repr=False, description="The encoded picture, JPEG or PNG, as base64.")
    url: str | None = Field(
        default=None, repr=False, max_length=_LONGEST_URL, description="An https address of the picture."
    )
    feature: Annotated[list[FiniteFloat], Field(min_length=FEATURE_LENGTH, max_length=FEATURE_LENGTH)] | None = Field(
        default=None, repr=False, description="The face as 512 numbers, for libraries that take features."
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if sum(one is not None for one in (self.base64, self.url, self.feature)) != 1:
            raise ValueError("give the photo in one way: base64, url or feature")
        return self


class PhotoPath(Words):
    """A face's picture as a file beside the one that names it."""

    path: str


P = TypeVar("P", bound=Words)


class NamedFace(Words):
    id: str


class FaceWords(NamedFace, Generic[P]):
    photo: P


class Who(Words):
    id: str
    version: int | None = Field(default=None, strict=True, ge=0, le=_LARGEST_VERSION)


class PersonWords(Who, Generic[P]):
    """`faces` given: exactly these; absent: unchanged. So with `expires_at` and `contract_end`, where null is: without
    an end."""

    name: str | None = Field(default=None, max_length=_LONGEST_NAME, repr=False)
    faces: tuple[FaceWords[P], ...] | None = Field(default=None, max_length=MOST_FACES)
    expires_at: Instant | None = Field(default=None, description="The person departs then, by itself.")
    contract_end: LastDay = Field(
        default=None,
        description="A day, which is over when it is over everywhere, or a moment; what follows from it is for the "
        "sender's [[retention]] rule to say.",
    )

    @model_validator(mode="after")
    def _one_end(self) -> Self:
        if {"expires_at", "contract_end"} <= self.model_fields_set:
            raise ValueError("give expires_at or contract_end, not both")
        return self

    @property
    def until(self) -> Until | None:
        if "expires_at" in self.model_fields_set:
            return Until(self.expires_at)
        return Until(self.contract_end, contract=True) if "contract_end" in self.model_fields_set else None


class UpsertedWords(Words, Generic[P]):
    """`cancels_departure`: a departure that was told and still waits for its moment is off."""

    person: PersonWords[P]
    cancels_departure: bool = False


class DepartedWords(Words):
    """`effective_at` in the future waits; it names its time zone."""

    person: Who
    effective_at: Instant | None = None


class ReplacedWords(Words, Generic[P]):
    person: Who
    face: FaceWords[P]


class DeletedWords(Words):
    person: Who
    face: NamedFace


AllWords = UpsertedWords[Any] | DepartedWords | ReplacedWords[Any] | DeletedWords

Kind = Literal["person.upserted", "person.departed", "face.replaced", "face.deleted"]


def words_by_kind(photo: type[Words]) -> dict[str, type[AllWords]]:
    """The shape of each kind of change, its photos told as `photo`."""
    return {
        "person.upserted": UpsertedWords[photo],  # type: ignore[valid-type]
        "person.departed": DepartedWords,
        "face.replaced": ReplacedWords[photo],  # type: ignore[valid-type]
        "face.deleted": DeletedWords,
    }


def change_of(said: AllWords, open_photo: Callable[[Any], Source]) -> Change:
    """The change in our words. Raises InputError with the field for an id or a photo that cannot be used."""
    person = _at("data.person.id", person_id, said.person.id)
    match said:
        case UpsertedWords(person=told):
            if told.faces is None:
                return Upserted(person, None, told.name, told.until)
            return Upserted(person, _faces(told.faces, open_photo), told.name, told.until)
        case DepartedWords():
            return Departed(person)
        case ReplacedWords(face=face):
            which = _at("data.face.id", face_id, face.id)
            return FaceReplaced(person, which, _at("data.face.photo", open_photo, face.photo))
        case DeletedWords(face=named):
            return FaceDeleted(person, _at("data.face.id", face_id, named.id))


def told_by(said: AllWords, change: Change, *, source: str, source_id: str) -> Told:
    """The change with what its words say about its order and its moment."""
    return Told(
        source=source,
        source_id=source_id,
        change=change,
        version=said.person.version,
        effective_at=said.effective_at if isinstance(said, DepartedWords) else None,
        cancels_departure=isinstance(said, UpsertedWords) and said.cancels_departure,
    )


def open_with(photos: Photos) -> Callable[[PhotoWords], Source]:
    """Reads a photo in whichever way it is given. Raises InputError, or FetchError for "not now"."""

    def opened(told: PhotoWords) -> Source:
        if told.feature is not None:
            return Feature(tuple(told.feature))
        if told.url is not None:
            return photos.fetch(told.url)
        try:
            return photos.read(base64.b64decode(told.base64 or "", validate=True))
        except (binascii.Error, ValueError):
            raise InputError("is not base64; encode the picture's bytes, without a data: prefix") from None

    return opened


def mistake_in(error: ValidationError, prefix: str = "") -> InputError:
    """The first thing that is not as documented, with its field; quotes no value."""
    one = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join([*([prefix] if prefix else []), *(str(part) for part in one["loc"])])[:_LONGEST_PLACE]
    words = "must be an object" if one["type"] in _NO_OBJECT else one["msg"].removeprefix("Value error, ")
    return InputError(f"{place or 'the body'}: {words[:1].lower()}{words[1:]}", field=place or None)


def _faces(told: tuple[FaceWords[Any], ...], open_photo: Callable[[Any], Source]) -> tuple[tuple[Any, Source], ...]:
    ids = [_at(f"data.person.faces.{place}.id", face_id, face.id) for place, face in enumerate(told)]
    if len(set(ids)) < len(ids):
        raise InputError("data.person.faces: one face stands there twice", field="data.person.faces")
    return tuple(
        (which, _at(f"data.person.faces.{place}.photo", open_photo, face.photo))
        for place, (which, face) in enumerate(zip(ids, told, strict=True))
    )


T = TypeVar("T")


def _at(place: str, read: Callable[[Any], T], given: Any) -> T:
    """What `read` makes of what stands at this place; its InputError says where."""
    try:
        return read(given)
    except InputError as error:
        raise InputError(f"{place}: {error}", field=place) from error
