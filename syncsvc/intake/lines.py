"""What files from outside share: numbered lines, ids that every part of the house can keep, mistakes in words."""

import json
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, BinaryIO, Self

from pydantic import ValidationError

from syncsvc.model.errors import InputError
from syncsvc.model.people import FaceId, PersonId
from syncsvc.model.retention import end_of
from syncsvc.model.rosters import BEGINNING, BadLine, Place

LONGEST_ID = 256
LONGEST_NAME = 1000
LONGEST_LINE = 1024 * 1024  # bytes; photos stand beside the file, so nothing honest is longer
_BOM = b"\xef\xbb\xbf"


class Lines:
    """The lines of a UTF-8 file with their ends, read as they are wanted; the next one begins at `place`.

    Raises InputError where the file cannot be read on.
    """

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path, self._file = path, file
        self.offset = self.line = 0

    @property
    def place(self) -> Place:
        return Place(self.offset, self.line)

    def go_to(self, place: Place) -> None:
        self._file.seek(place.offset)
        self.offset, self.line = place.offset, place.line

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        try:
            raw = self._file.readline(LONGEST_LINE + 1)
        except OSError as error:
            raise unreadable(self._path, error) from None
        if not raw:
            raise StopIteration
        if len(raw) > LONGEST_LINE:
            words = f"line {self.line + 1} is longer than {LONGEST_LINE:,} bytes; is this the right file?"
            raise InputError(f"{self._path}: {words}")
        if not self.offset and raw.startswith(_BOM):
            self.offset, raw = len(_BOM), raw[len(_BOM) :]
        self.offset += len(raw)
        self.line += 1
        try:
            return raw.decode()
        except UnicodeDecodeError:
            raise not_utf8(self._path, self.line) from None


@contextmanager
def open_lines(path: Path) -> Iterator[Lines]:
    """Raises InputError where there is no such file."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise unreadable(path, error) from None
    with file:
        yield Lines(path, file)


def json_lines(path: Path, start: Place = BEGINNING) -> Iterator[tuple[int, Place, dict[str, Any] | BadLine]]:
    """(line number, where the next begins, JSON object) of each line that is not empty."""
    with open_lines(path) as lines:
        lines.go_to(start)
        for line in lines:
            if not line.strip():
                continue
            try:
                told = json.loads(line)
            except (ValueError, RecursionError):
                told = None
            yield (
                lines.line,
                lines.place,
                told if isinstance(told, dict) else BadLine(lines.line, "is not a JSON object"),
            )


def person_id(text: str) -> PersonId:
    """Raises InputError for what cannot be an id."""
    return PersonId(_id(text, "the person's id"))


def face_id(text: str) -> FaceId:
    """Raises InputError for what cannot be an id."""
    return FaceId(_id(text, "the face's id"))


def person_name(text: str) -> str | None:
    """None for nothing. Raises InputError for what cannot be a name; it is not quoted."""
    if len(text) > LONGEST_NAME:
        raise InputError(f"the person's name has {len(text):,} characters; at most {LONGEST_NAME:,} are taken")
    if not text.isprintable() and any(unicodedata.category(one) == "Cs" for one in text):
        raise InputError("the person's name holds a character that cannot be written")
    return text or None


def last_moment(text: str, what: str) -> datetime | None:
    """When something ends that is written as a day, which ends when it is over everywhere, or as a moment; None: not
    in this calendar. Raises InputError for what is neither; it is not quoted."""
    with suppress(ValueError):
        return end_of(date.fromisoformat(text)) if len(text) == len("2026-12-31") else _instant(text)
    raise InputError(f"{what} must be a day like 2026-12-31, or a moment with its time zone like 2026-12-31T18:00:00Z")


def _instant(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError from None


def first_mistake(error: ValidationError) -> str:
    """Where a line is not as documented, in one sentence that quotes no value."""
    one = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part) for part in one["loc"]) or "the line"
    return f"{place}: {one['msg'][:1].lower()}{one['msg'][1:]}"


def unreadable(path: Path, error: OSError) -> InputError:
    return InputError(f"{path} cannot be read ({error.strerror})")


def not_utf8(path: Path, line: int) -> InputError:
    return InputError(f"{path} is not UTF-8 in line {line}; save it as UTF-8")


def _id(text: str, what: str) -> str:
    if not text:
        raise InputError(f"{what} is empty")
    if len(text) > LONGEST_ID:
        raise InputError(f"{what} has {len(text)} characters; at most {LONGEST_ID} are taken")
    if text != text.strip():
        raise InputError(f"{what} begins or ends with a space")
    if not text.isprintable() and any(unicodedata.category(one) in {"Cc", "Cs", "Cn"} for one in text):
        raise InputError(f"{what} holds a character that cannot be written")
    return text
