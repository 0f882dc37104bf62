"""Reads a roster, CSV or JSONL: people with their photos, one after another, however long the file is."""

import codecs
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from syncsvc.intake.lines import face_id, last_moment, not_utf8, person_id, person_name, unreadable
from syncsvc.intake.photo_files import PhotoFile
from syncsvc.intake.roster_rows import Row, csv_rows, json_rows
from syncsvc.model.changes import Until
from syncsvc.model.errors import InputError
from syncsvc.model.people import FaceId
from syncsvc.model.rosters import AND_SO_THE_PERSON, BEGINNING, BadLine, Entry, Place, RosterFace

_BLOCK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Roster:
    """A roster file that was looked over once, so that what is wrong with it as a whole is known beforehand.

    `fingerprint` is of its content and of where its photos are; `ended`: its last line has an end.
    """

    path: Path
    photos: Path
    size: int
    ended: bool
    fingerprint: str
    written: tuple[int, int]  # size and time of the last writing, as the system tells them

    def read(self, start: Place = BEGINNING) -> Iterator[Entry]:
        """People in the order of the file, from a place that an entry gave as its `after`.

        CSV names its columns in the first line: `id`, and where they are wanted `name`, `photo`, and `face` where
        people have several; one line for each face, a person's lines next to each other. JSONL has one line for
        each person: `{"id", "name"?, "faces"?: [{"id"?, "photo"}]}`. Photos are paths relative to `photos`.
        Where no photo is told, the person's faces stay as they are. `expires_at` or `contract_end` say how long
        they stay: no column, nothing; an empty cell, or null in JSONL, without an end.

        A person with one bad line is skipped whole: with the others alone, a face that they have would be taken
        away. Raises InputError where the file cannot be read on; what came before is still good.
        """
        rows = json_rows(self.path, start) if _is_json(self.path) else csv_rows(self.path, start)
        return (_entry(row, self.photos) for row in rows)

    def check_same(self) -> None:
        """Raises InputError where somebody wrote to the file since it was looked over."""
        try:
            same = _written(self.path) == self.written
        except OSError:
            same = False
        if not same:
            raise InputError(f"{self.path} was changed while it was read; run it again when nobody writes to it")


def open_roster(path: Path, *, photos: Path | None = None) -> Roster:
    """Look the file over; `photos` is where its photos are, if not beside it.

    Raises InputError, before anybody was read from it, for what is not text in UTF-8.
    """
    folder = path.parent if photos is None else photos
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder} for the photos")
    whole = hashlib.sha256(f"{path.suffix.lower()}\0{folder.resolve()}\0".encode())
    decoder = codecs.getincrementaldecoder("utf-8")()
    size = lines = 0
    last = b"\n"
    try:
        written = _written(path)
        if not path.is_file():
            raise InputError(f"{path} is no plain file, and it is read more than once; save what it holds in one")
        with path.open("rb", buffering=0) as file:
            while block := file.read(_BLOCK):
                _check_text(path, decoder, block, lines)
                whole.update(block)
                size, lines, last = size + len(block), lines + block.count(b"\n"), block[-1:]
        _check_text(path, decoder, b"", lines, final=True)
    except OSError as error:
        raise unreadable(path, error) from None
    return Roster(path, folder, size, last == b"\n", whole.hexdigest(), written)


def _check_text(
    path: Path, decoder: codecs.IncrementalDecoder, block: bytes, lines: int, *, final: bool = False
) -> None:
    try:
        decoder.decode(block, final)
    except UnicodeDecodeError as error:
        raise not_utf8(path, lines + 1 + error.object.count(b"\n", 0, error.start)) from None
    if (nul := block.find(0)) >= 0:
        line = lines + 1 + block.count(b"\n", 0, nul)
        raise InputError(f"{path} holds a NUL byte in line {line}: it is damaged, or UTF-16; save it as UTF-8")


def _written(path: Path) -> tuple[int, int]:
    told = path.stat()
    return told.st_size, told.st_mtime_ns


def _is_json(path: Path) -> bool:
    return path.suffix.lower() in {".jsonl", ".ndjson"}


def _entry(row: Row, photos: Path) -> Entry:
    bad = row.bad
    person = name = until = None
    try:
        person = person_id(row.id)
        name = person_name(row.name)
        until = _until(row)
    except InputError as error:
        if row.id or not bad:  # of a line that cannot be read at all it is known already
            bad.append(BadLine(row.line, str(error)))
    if row.faces or len(row.bare) > 1:
        bad += [BadLine(line, "there is no photo") for line in row.bare]
    faces: dict[FaceId, RosterFace] = {}
    for line, named, photo in row.faces:
        try:
            face = face_id(named)
        except InputError as error:
            bad.append(BadLine(line, str(error)))
            continue
        if face in faces:
            bad.append(BadLine(line, f"the face {face!r} stands here twice for one person"))
        faces[face] = RosterFace(line, face, PhotoFile(photos, photo))
    if bad:
        several = len(row.faces) + len(row.bare) > 1
        reasons = (BadLine(one.line, one.reason + AND_SO_THE_PERSON * several) for one in bad)
        return Entry(row.line, row.after, person, None, None, tuple(reasons))
    return Entry(row.line, row.after, person, tuple(faces.values()) or None, name, until=until)


def _until(row: Row) -> Until | None:
    """Raises InputError where the person's lines do not agree on it, or it cannot be read."""
    told = {(name, text) for name, said in row.ends.items() for _, text in said}
    if len(told) > 1:
        raise InputError("expires_at and contract_end say more than one end; give each person one")
    for name, text in told:
        return Until(last_moment(text, name), contract=name == "contract_end")
    return Until(None, contract="expires_at" not in row.ends) if row.ends else None
