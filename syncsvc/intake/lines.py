"""What files from outside share: numbered lines, ids that every part of the house can keep, photos beside the file."""

import json
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from syncsvc.intake.photos import read_photo_file
from syncsvc.model.errors import InputError
from syncsvc.model.people import FaceId, PersonId, Photo

LONGEST_ID = 256
LONGEST_LINE = 1024 * 1024  # characters; photos stand beside the file, so nothing honest is longer


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that was skipped, and why, in words for whoever wrote the file."""

    line: int
    reason: str


def text_lines(path: Path) -> Iterator[str]:
    """The file's lines, read as they are wanted. Raises InputError where it cannot be opened or is not UTF-8."""
    count = 0
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            while line := file.readline(LONGEST_LINE + 1):
                count += 1
                if len(line) > LONGEST_LINE:
                    words = f"{path}: line {count} is longer than {LONGEST_LINE:,} characters; is this the right file?"
                    raise InputError(words)
                yield line
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8 after line {count}; save it as UTF-8") from None


def json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any] | BadLine]]:
    """(line number, JSON object) of each line that is not empty."""
    for number, line in enumerate(text_lines(path), 1):
        if not line.strip():
            continue
        try:
            told = json.loads(line)
        except (ValueError, RecursionError):
            told = None
        yield number, told if isinstance(told, dict) else BadLine(number, "is not a JSON object")


def person_id(text: str) -> PersonId:
    """Raises InputError for what cannot be an id."""
    return PersonId(_id(text, "the person's id"))


def face_id(text: str) -> FaceId:
    """Raises InputError for what cannot be an id."""
    return FaceId(_id(text, "the face's id"))


def photo_beside(folder: Path, told: str) -> Photo:
    """The photo at a path relative to `folder`. Raises InputError; nothing outside the folder is ever opened."""
    try:
        path = (folder / told).resolve()
        inside = path.is_relative_to(folder.resolve())
    except (OSError, ValueError):
        inside = False
    if not told or not inside:
        raise InputError(f"the photo's path must lead to a file in {folder}", field="photo")
    return read_photo_file(path)


def first_mistake(error: ValidationError) -> str:
    """Where a line is not as documented, in one sentence that quotes no value."""
    one = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part) for part in one["loc"]) or "the line"
    return f"{place}: {one['msg'][:1].lower()}{one['msg'][1:]}"


def _id(text: str, what: str) -> str:
    if not text:
        raise InputError(f"{what} is empty")
    if len(text) > LONGEST_ID:
        raise InputError(f"{what} has {len(text)} characters; at most {LONGEST_ID} are taken")
    if text != text.strip():
        raise InputError(f"{what} begins or ends with a space")
    if any(unicodedata.category(one) in {"Cc", "Cs", "Cn"} for one in text):
        raise InputError(f"{what} holds a character that cannot be written")
    return text
