"""A roster: people one after another as a file has them, how far it has been read, and what came of it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from syncsvc.model.changes import Until, Upserted
from syncsvc.model.errors import InputError
from syncsvc.model.people import Digest, FaceId, PersonId, Photo, Source


@dataclass(frozen=True, slots=True)
class Place:
    """How far a file has been read: `offset` in bytes, and so many lines."""

    offset: int = 0
    line: int = 0


BEGINNING = Place()


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that was skipped, and why, in words for whoever wrote the file."""

    line: int
    reason: str


class Picture(Protocol):
    """A photo that somebody has and that was not read yet."""

    def origin(self) -> Digest:
        """SHA-256 of its bytes as they are. Raises InputError where they cannot be had."""
        ...

    def read(self) -> Photo:
        """Raises InputError where it is no picture that we take."""
        ...


@dataclass(frozen=True, slots=True)
class RosterFace:
    line: int
    id: FaceId
    picture: Picture


@dataclass(slots=True)  # not frozen: there may be a million, and freezing costs more than the rest of one
class Entry:
    """One person of a roster. `faces` given: exactly these; None: as they are.

    `bad` says why they are skipped; `person` is None where not even the id can be told. `after` is where the
    next one begins.
    """

    line: int
    after: Place
    person: PersonId | None
    faces: tuple[RosterFace, ...] | None = None
    name: str | None = field(default=None, repr=False)
    bad: tuple[BadLine, ...] = ()
    until: Until | None = None

    def opened(self) -> Upserted | tuple[BadLine, ...]:
        """What the entry tells, with its photos read; or every reason why it cannot be told."""
        if self.bad or self.person is None:
            return self.bad
        if self.faces is None:
            return Upserted(self.person, None, self.name, self.until)
        read: list[tuple[FaceId, Source]] = []
        bad: list[BadLine] = []
        for face in self.faces:
            try:
                read.append((face.id, face.picture.read()))
            except InputError as error:
                bad.append(BadLine(face.line, str(error) + AND_SO_THE_PERSON * (len(self.faces) > 1)))
        return tuple(bad) if bad else Upserted(self.person, tuple(read), self.name, self.until)


AND_SO_THE_PERSON = "; the person is skipped"


class RosterFile(Protocol):
    """A roster that was looked over once, and can be read from any place where somebody begins."""

    @property
    def size(self) -> int:
        """In bytes."""
        ...

    @property
    def fingerprint(self) -> str:
        """The same only for the same content, read in the same way."""
        ...

    @property
    def ended(self) -> bool:
        """Whether the last line has an end; without one, the rest of the file may be missing."""
        ...

    def read(self, start: Place = BEGINNING) -> Iterator[Entry]:
        """Everybody from there on. Raises InputError where it cannot be read further."""
        ...

    def check_same(self) -> None:
        """Raises InputError where somebody wrote to the file since it was looked over."""
        ...


@dataclass(slots=True)
class Counts:
    """People of a roster by what came of them, and the lines that were bad. `skipped` counts people and lost lines."""

    new: int = 0
    changed: int = 0
    back: int = 0
    unchanged: int = 0
    skipped: int = 0
    bad_lines: int = 0
    departed: int = 0

    @property
    def named(self) -> int:
        """People in the file that could be read."""
        return self.new + self.changed + self.back + self.unchanged
