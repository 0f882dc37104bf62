"""Reads a file of HR changes: the webhook's words, one change a line, with photos as files beside it."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from syncsvc.intake.dialects.words import PhotoPath, Words, change_of, mistake_in, told_by, words_by_kind
from syncsvc.intake.lines import first_mistake, json_lines
from syncsvc.intake.photo_files import PhotoFile
from syncsvc.model.changes import Told
from syncsvc.model.errors import InputError
from syncsvc.model.people import Photo
from syncsvc.model.rosters import BadLine


class _Line(Words):
    id: str = Field(min_length=1)
    type: str
    data: dict[str, Any]


_KINDS = words_by_kind(PhotoPath)


def read_changes(path: Path, *, source: str) -> Iterator[tuple[int, Told | BadLine]]:
    """(line number, change) in the order of the file.

    A line is `{"id", "type", "data"}` with the webhook's types and data, a photo being `{"path"}`, relative to
    the file. `source` is who tells; with a line's `id` it makes that line count once. Raises InputError where
    the file as a whole cannot be used.
    """
    for number, _, told in json_lines(path):
        yield number, told if isinstance(told, BadLine) else _told(number, told, path.parent, source)


def _told(number: int, given: dict[str, Any], folder: Path, source: str) -> Told | BadLine:
    shape = _KINDS.get(given["type"]) if isinstance(given.get("type"), str) else None
    if shape is None:
        return BadLine(number, f"type: must be one of {', '.join(_KINDS)}")
    try:
        line = _Line.model_validate({**given, "data": {}})
    except ValidationError as error:
        return BadLine(number, first_mistake(error))
    try:
        said = shape.model_validate(given.get("data"))
        change = change_of(said, partial(_photo, folder))
    except ValidationError as error:
        return BadLine(number, str(mistake_in(error, "data")))
    except InputError as error:
        return BadLine(number, str(error))
    return told_by(said, change, source=source, source_id=line.id)


def _photo(folder: Path, told: PhotoPath) -> Photo:
    return PhotoFile(folder, told.path).read()
