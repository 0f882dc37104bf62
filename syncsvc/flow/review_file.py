"""The file in which people decide about faces that a library holds and nobody could place: CSV, one line a face."""

import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from syncsvc.model.errors import InputError
from syncsvc.model.people import LibraryName, Listed, VendorFaceId, VendorImageId

COLUMNS = (
    "vendor_face_id",
    "vendor_image_id",
    "person_key",
    "label",
    "suggestion",
    "why",
    "decision",
    "person",
    "face",
    "library",
    "reading",
)
DECISIONS = ("leave", "bind", "remove")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would run


@dataclass(frozen=True, slots=True)
class Proposal:
    """A face that nobody could place, and what might be done about it; `decision` begins as leave."""

    face: Listed
    suggestion: str
    why: str
    person: str = ""
    face_id: str = ""


@dataclass(frozen=True, slots=True)
class ReviewLine:
    """A line as it came back. `line` counts from 1, the heading included; `reading` is the listing it was made from."""

    line: int
    face: VendorFaceId
    image: VendorImageId | None
    decision: str
    person: str
    face_id: str
    library: str
    reading: str


class ReviewWriter:
    """Writes the file beside its name, and gives it that name when it is whole.

    Raises InputError where there is such a file already: it may hold somebody's decisions.
    """

    def __init__(self, path: Path, library: LibraryName) -> None:
        self.path = path
        self.count = 0
        self._library = library
        self._beside = path.with_name(f".{path.name}.{os.getpid()}")
        if path.exists():
            raise InputError(f"{path} is there already and may hold decisions; name another file, or remove it")
        try:
            self._file: IO[str] = self._beside.open("w", encoding="utf-8-sig", newline="")
        except OSError as error:
            raise InputError(f"{path} cannot be written: {error.strerror}") from error
        self._csv = csv.DictWriter(self._file, COLUMNS)
        self._csv.writeheader()

    def write(self, reading: int, proposals: Sequence[Proposal]) -> None:
        for one in proposals:
            self._csv.writerow(
                {
                    "vendor_face_id": one.face.vendor_face_id,
                    "vendor_image_id": one.face.vendor_image_id or "",
                    "person_key": _harmless(one.face.person_key),
                    "label": _harmless(one.face.label),
                    "suggestion": one.suggestion,
                    "why": one.why,
                    "decision": "leave",
                    "person": one.person,
                    "face": one.face_id,
                    "library": self._library,
                    "reading": reading,
                }
            )
        self.count += len(proposals)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if kind is None:
            self._beside.replace(self.path)
        else:
            with suppress(OSError):
                self._beside.unlink()


def read_review(path: Path) -> Iterator[ReviewLine]:
    """Every line of a review file. Raises InputError for what is no such file."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            lacking = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if lacking:
                raise InputError(
                    f"{path} is no review file: it lacks the columns {', '.join(lacking)}; "
                    "`syncsvc library adopt NAME -o FILE` makes one"
                )
            for row in reader:
                yield _line(reader.line_num, row)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8; save it as CSV in UTF-8") from error
    except csv.Error as error:
        raise InputError(f"{path} is no CSV: {error}") from error


def _line(number: int, row: Mapping[str | Any, str | Any]) -> ReviewLine:
    def cell(name: str) -> str:
        return (row.get(name) or "").strip()

    return ReviewLine(
        line=number,
        face=VendorFaceId(cell("vendor_face_id")),
        image=VendorImageId(cell("vendor_image_id")) if cell("vendor_image_id") else None,
        decision=cell("decision").lower(),
        person=cell("person"),
        face_id=cell("face"),
        library=cell("library"),
        reading=cell("reading"),
    )


def _harmless(text: str | None) -> str:
    """Somebody else may have written it: in a spreadsheet it must stay text."""
    return f"'{text}" if text and text.startswith(_FORMULA) else text or ""
