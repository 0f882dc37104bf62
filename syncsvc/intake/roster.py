"""Reads a roster, CSV or JSONL: people with their photos, one after another, however long the file is."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ValidationError

from syncsvc.intake.lines import BadLine, face_id, first_mistake, json_lines, person_id, photo_beside, text_lines
from syncsvc.model.changes import Upserted
from syncsvc.model.errors import InputError
from syncsvc.model.people import FaceId, Source

ONLY_FACE = "main"  # the face's id in a roster that gives everybody one photo


@dataclass(frozen=True, slots=True)
class Enrolled:
    """One person of a roster, with exactly these faces; `line` is where they begin."""

    line: int
    change: Upserted


def read_roster(path: Path, *, photos: Path | None = None) -> Iterator[Enrolled | BadLine]:
    """People in the order of the file, and the lines that had to be skipped.

    CSV has the columns `id` and `photo`, `face` where people have several, and `name` where it is wanted; one
    line for each face, a person's lines next to each other. JSONL has one line for each person:
    `{"id", "name"?, "faces": [{"id"?, "photo"}]}`. Photos are paths relative to `photos`, or to the roster.

    A person with one bad line is skipped whole: with the others alone, a face that they have would be taken away.
    Raises InputError where the file as a whole cannot be used; what came before is still good.
    """
    folder = path.parent if photos is None else photos
    rows = _json_rows(path) if path.suffix.lower() in {".jsonl", ".ndjson"} else _csv_rows(path)
    seen: set[int] = set()  # hashes only: a million ids fit into memory
    for row in rows:
        if isinstance(row, BadLine):
            yield row
            continue
        again = hash(row.id) in seen
        seen.add(hash(row.id))
        if again:
            yield BadLine(row.line, "this person stands further up already; put a person's lines next to each other")
        else:
            yield from _opened(row, folder)


@dataclass
class _Row:
    """A person as written; `faces` are (line, face id, photo path)."""

    line: int
    id: str
    name: str
    faces: list[tuple[int, str, str]] = field(default_factory=list)
    bad: list[BadLine] = field(default_factory=list)


class _JsonFace(BaseModel):
    id: str = ONLY_FACE
    photo: str


class _JsonRow(BaseModel):
    id: str
    name: str = ""
    faces: tuple[_JsonFace, ...]


def _opened(row: _Row, folder: Path) -> Iterator[Enrolled | BadLine]:
    """The person with their photos read, or every reason why not."""
    bad = list(row.bad)
    faces: dict[FaceId, Source] = {}
    person = None
    try:
        person = person_id(row.id)
    except InputError as error:
        bad.append(BadLine(row.line, str(error)))
    for line, named, photo in row.faces:
        try:
            face = face_id(named)
            if face in faces:
                raise InputError(f"the face {face!r} stands here twice for one person")  # noqa: TRY301
            faces[face] = photo_beside(folder, photo)
        except InputError as error:
            bad.append(BadLine(line, str(error)))
    if bad or person is None:
        several = len(row.faces) + len(row.bad) > 1
        yield from (BadLine(one.line, one.reason + "; the person is skipped" * several) for one in bad)
    elif not faces:
        yield BadLine(row.line, "there is no photo; somebody who is to have none is left out of the roster")
    else:
        yield Enrolled(row.line, Upserted(person, tuple(faces.items()), row.name or None))


def _json_rows(path: Path) -> Iterator[_Row | BadLine]:
    for number, told in json_lines(path):
        if isinstance(told, BadLine):
            yield told
            continue
        try:
            row = _JsonRow.model_validate(told)
        except ValidationError as error:
            yield BadLine(number, first_mistake(error))
            continue
        yield _Row(number, row.id, row.name, [(number, face.id, face.photo) for face in row.faces])


def _csv_rows(path: Path) -> Iterator[_Row | BadLine]:
    reader = csv.reader(text_lines(path), strict=True)
    columns = _columns(path, reader)
    current: _Row | None = None
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            yield BadLine(reader.line_num, f"cannot be read as CSV ({error})")
            continue
        if not any(cells):
            continue
        told = {name: cells[place].strip() if place < len(cells) else "" for name, place in columns.items()}
        if current is None or current.id != told["id"]:
            if current is not None:
                yield current
            current = _Row(reader.line_num, told["id"], told.get("name", ""))
        if told["photo"]:
            current.faces.append((reader.line_num, told.get("face") or ONLY_FACE, told["photo"]))
        else:
            current.bad.append(BadLine(reader.line_num, "there is no photo"))
    if current is not None:
        yield current


def _columns(path: Path, reader: Iterator[list[str]]) -> dict[str, int]:
    try:
        titles = [title.strip().lower() for title in next(reader, [])]
    except csv.Error:
        titles = []
    if missing := [name for name in ("id", "photo") if name not in titles]:
        words = f"{path}: there is no column {' and no column '.join(missing)}"
        raise InputError(f"{words}; the first line must name id, photo, and (if wanted) face and name")
    return {name: titles.index(name) for name in ("id", "name", "face", "photo") if name in titles}
