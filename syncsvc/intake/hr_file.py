"""Reads a file of HR changes: the webhook's words, one change a line, with photos as files beside it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from syncsvc.intake.lines import BadLine, face_id, first_mistake, json_lines, person_id, photo_beside
from syncsvc.model.changes import Change, Departed, FaceDeleted, FaceReplaced, Told, Upserted
from syncsvc.model.errors import InputError


class _Words(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Photo(_Words):
    path: str


class _Face(_Words):
    id: str
    photo: _Photo


class _Named(_Words):
    id: str


class _Who(_Words):
    id: str
    version: int | None = Field(default=None, strict=True)


class _Person(_Who):
    name: str | None = None
    faces: tuple[_Face, ...] | None = None


class _UpsertedData(_Words):
    person: _Person


class _DepartedData(_Words):
    person: _Who


class _ReplacedData(_Words):
    person: _Who
    face: _Face


class _DeletedData(_Words):
    person: _Who
    face: _Named


class _Upserted(_Words):
    id: str = Field(min_length=1)
    type: Literal["person.upserted"]
    data: _UpsertedData


class _Departed(_Words):
    id: str = Field(min_length=1)
    type: Literal["person.departed"]
    data: _DepartedData


class _Replaced(_Words):
    id: str = Field(min_length=1)
    type: Literal["face.replaced"]
    data: _ReplacedData


class _Deleted(_Words):
    id: str = Field(min_length=1)
    type: Literal["face.deleted"]
    data: _DeletedData


_Line = _Upserted | _Departed | _Replaced | _Deleted
_KINDS: dict[Any, TypeAdapter[_Line]] = {
    "person.upserted": TypeAdapter(_Upserted),
    "person.departed": TypeAdapter(_Departed),
    "face.replaced": TypeAdapter(_Replaced),
    "face.deleted": TypeAdapter(_Deleted),
}


def read_changes(path: Path, *, source: str) -> Iterator[tuple[int, Told | BadLine]]:
    """(line number, change) in the order of the file.

    A line is `{"id", "type", "data"}` with the webhook's types and data, a photo being `{"path"}`, relative to
    the file. `source` is who tells; with a line's `id` it makes that line count once. Raises InputError where
    the file as a whole cannot be used.
    """
    for number, told in json_lines(path):
        yield number, told if isinstance(told, BadLine) else _told(number, told, path.parent, source)


def _told(number: int, line: dict[str, Any], folder: Path, source: str) -> Told | BadLine:
    kind = _KINDS.get(line.get("type")) if isinstance(line.get("type"), str) else None
    if kind is None:
        return BadLine(number, f"type: must be one of {', '.join(_KINDS)}")
    try:
        said = kind.validate_python(line)
        return Told(source, said.id, _change(said, folder), said.data.person.version)
    except ValidationError as error:
        return BadLine(number, first_mistake(error))
    except InputError as error:
        return BadLine(number, str(error))


def _change(said: _Line, folder: Path) -> Change:
    person = person_id(said.data.person.id)
    match said:
        case _Upserted(data=_UpsertedData(person=told)):
            faces = told.faces
            if faces is not None and len({face.id for face in faces}) < len(faces):
                raise InputError("data.person.faces: one face stands there twice")
            read = None if faces is None else tuple((face_id(one.id), _photo(one, folder)) for one in faces)
            return Upserted(person, read, told.name)
        case _Departed():
            return Departed(person)
        case _Replaced(data=_ReplacedData(face=face)):
            return FaceReplaced(person, face_id(face.id), _photo(face, folder))
        case _Deleted(data=_DeletedData(face=named)):
            return FaceDeleted(person, face_id(named.id))


def _photo(face: _Face, folder: Path) -> Any:
    return photo_beside(folder, face.photo.path)
