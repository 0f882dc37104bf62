"""The rows of a roster as they are written, CSV or JSONL: one for each person, with the lines that are about them."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from syncsvc.intake.lines import Lines, first_mistake, json_lines, open_lines
from syncsvc.model.errors import InputError
from syncsvc.model.rosters import BEGINNING, BadLine, Place

ONLY_FACE = "main"  # the face's id in a roster that gives everybody one photo
NO_PHOTO = "there is no photo; somebody who is to have none is left out of the roster"
ENDS = ("expires_at", "contract_end")
_COLUMNS = ("id", "name", "face", "photo", *ENDS)


@dataclass(slots=True)
class Row:
    """A person as written; `faces` are (line, face id, photo path), `bare` the lines that name no photo.

    An empty `id`: it cannot be told whose line it is. `ends` are the columns that say how long the person stays, each
    with the (line, text) of those of their lines that say something.
    """

    begins: Place
    id: str
    name: str = field(default="", repr=False)
    faces: list[tuple[int, str, str]] = field(default_factory=list, repr=False)
    bare: list[int] = field(default_factory=list)
    ends: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    bad: list[BadLine] = field(default_factory=list)
    after: Place = BEGINNING

    @property
    def line(self) -> int:
        return self.begins.line + 1


class _JsonFace(BaseModel):
    model_config = ConfigDict(hide_input_in_errors=True)

    id: str = ONLY_FACE
    photo: str


class _JsonRow(BaseModel):
    model_config = ConfigDict(hide_input_in_errors=True)

    id: str
    name: str | None = None
    faces: tuple[_JsonFace, ...] | None = None
    expires_at: str | None = None
    contract_end: str | None = None


def json_rows(path: Path, start: Place) -> Iterator[Row]:
    for number, after, told in json_lines(path, start):
        begins = Place(0, number - 1)
        if isinstance(told, BadLine):
            yield Row(begins, "", bad=[told], after=after)
            continue
        try:
            row = _JsonRow.model_validate(told)
        except ValidationError as error:
            named = told.get("id")
            known = named if isinstance(named, str) else ""
            yield Row(begins, known, bad=[BadLine(number, first_mistake(error))], after=after)
            continue
        faces = [(number, face.id, face.photo) for face in row.faces or ()]
        bad = [BadLine(number, NO_PHOTO)] if row.faces == () else []
        ends = {name: _told(number, getattr(row, name)) for name in ENDS if name in row.model_fields_set}
        yield Row(begins, row.id, row.name or "", faces, ends=ends, bad=bad, after=after)


def csv_rows(path: Path, start: Place) -> Iterator[Row]:
    with open_lines(path) as lines:
        titles = _Titles.read(path, lines)
        if start.line:
            lines.go_to(start)
        if titles.face is None:
            yield from _gathered(lines, titles)
        else:
            yield from _wary(_gathered(lines, titles))


def _gathered(lines: Lines, titles: "_Titles") -> Iterator[Row]:
    """One row a person, of neighbouring lines; one a line where no line is about a face."""
    several = titles.photo is not None
    reader = csv.reader(lines, strict=True)
    current: Row | None = None
    while True:
        begins = lines.place
        try:
            cells = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            found = Row(begins, "", bad=[_torn(begins, lines, error)])
        else:
            if not any(cells):
                continue
            found = titles.row(begins, cells)
        if current is None:
            current = found
        elif several and found.id and found.id == current.id:
            current.faces += found.faces
            current.bare += found.bare
            current.bad += found.bad
            for name, told in found.ends.items():
                current.ends.setdefault(name, []).extend(told)
        else:
            current.after = begins
            yield current
            current = found
    if current is not None:
        current.after = lines.place
        yield current


def _torn(begins: Place, lines: Lines, error: csv.Error) -> BadLine:
    words = f"cannot be read as CSV ({error})"
    if lines.line > begins.line + 1:
        words += f"; a quote that is not closed takes all up to line {lines.line} with it"
    return BadLine(begins.line + 1, words)


def _wary(rows: Iterator[Row]) -> Iterator[Row]:
    """The same, where people have several lines: one that cannot be told whose it is may be either neighbour's."""
    before: Row | None = None
    for row in rows:
        if not row.id:
            row.after = row.begins  # whoever goes on from here meets it again, and is wary of it again
        if before is not None:
            for lost, neighbour in ((before, row), (row, before)):
                if not lost.id and neighbour.id:
                    words = f"line {lost.line} may be about this person too, and cannot be read"
                    neighbour.bad.append(BadLine(neighbour.line, words))
            yield before
        before = row
    if before is not None:
        yield before


@dataclass(frozen=True, slots=True)
class _Titles:
    """Where the columns are that we know; the others are somebody else's."""

    width: int
    needed: int  # so many cells at least
    id: int
    name: int | None
    face: int | None
    photo: int | None
    ends: dict[str, int]

    @classmethod
    def read(cls, path: Path, lines: Lines) -> "_Titles":
        first = next(lines, "")
        if "\r" in first.rstrip("\r\n"):
            raise InputError(f"{path}: its lines end as on old Macs; save it with the line ends of Windows or Unix")
        try:
            titles = [title.strip().lower() for title in next(csv.reader([first], strict=True), [])]
        except csv.Error:
            titles = []
        needed = ("id", "photo") if "face" in titles else ("id",)
        if missing := [name for name in needed if name not in titles]:
            raise InputError(f"{path}: {_no_column(missing, titles)}")
        if twice := [name for name in _COLUMNS if titles.count(name) > 1]:
            raise InputError(f"{path}: two columns are called {twice[0]}; only one can be meant")
        places = {name: titles.index(name) for name in _COLUMNS if name in titles}
        return cls(
            width=len(titles),
            needed=1 + max(places.values()),
            id=places["id"],
            name=places.get("name"),
            face=places.get("face"),
            photo=places.get("photo"),
            ends={name: places[name] for name in ENDS if name in places},
        )

    def row(self, begins: Place, cells: list[str]) -> Row:
        count = len(cells)
        fits = self.needed <= count and (count <= self.width or not any(cells[self.width :]))
        if count < self.needed:
            cells = cells + [""] * (self.needed - count)
        row = Row(begins, cells[self.id].strip(), "" if self.name is None else cells[self.name].strip())
        row.ends = {name: _told(row.line, cells[place].strip()) for name, place in self.ends.items()}
        photo = "" if self.photo is None else cells[self.photo].strip()
        if not fits:
            words = f"has {count} cells, and the first line {self.width}; is it cut off, or a comma not quoted?"
            row.bad.append(BadLine(row.line, words))
        elif photo:
            face = "" if self.face is None else cells[self.face].strip()
            row.faces.append((row.line, face or ONLY_FACE, photo))
        else:
            row.bare.append(row.line)
        return row


def _told(line: int, text: str | None) -> list[tuple[int, str]]:
    return [(line, text)] if text else []


def _no_column(missing: list[str], titles: list[str]) -> str:
    if not titles:
        return "there is no first line that names the columns: id, and (if wanted) name, face and photo"
    words = f"there is no column {' and no column '.join(missing)}"
    if any(";" in title or "\t" in title for title in titles):
        return words + "; its columns seem to be separated by something else than commas"
    return words + "; the first line must name id, and (if wanted) name, face and photo"
