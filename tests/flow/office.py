"""A personnel office: rosters written as files, imported into a real database, and what it then knows of whom."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from syncsvc.flow.absent import Absence
from syncsvc.flow.house import House
from syncsvc.flow.import_roster import Imported, import_roster
from syncsvc.flow.record import record
from syncsvc.flow.rehearse_roster import rehearse_roster
from syncsvc.intake.roster import open_roster
from syncsvc.model.changes import Change, Told
from syncsvc.model.guard import Limits
from syncsvc.model.people import LibraryName, Photo
from syncsvc.model.permits import Unlimited
from syncsvc.model.rosters import BadLine, Counts, Place
from syncsvc.store import Store
from syncsvc.store.tables import deliveries, faces, metadata, people, rosters
from tests.conftest import MovableClock
from tests.vendors.photos import draw

GATE, YARD = LibraryName("gate"), LibraryName("yard")
FREELY = Limits(1_000_000, 1.0)


class KilledError(BaseException):
    """The process is gone."""


@dataclass
class Log:
    """What a witness saw; `then` is called after every batch."""

    began: Place | None = None
    bad: list[BadLine] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    then: Callable[[int], None] = lambda _batch: None

    def begins(self, place: Place, counts: Counts) -> None:
        self.began = place

    def skipped(self, lines: Sequence[BadLine]) -> None:
        self.bad += lines

    def reached(self, place: Place, counts: Counts) -> None:
        self.places.append(place)
        self.then(len(self.places))


@dataclass
class Office:
    """`batch` is how many people are recorded at once."""

    folder: Path
    store: Store
    clock: MovableClock
    told: int = 0

    def __post_init__(self) -> None:
        with self.store.transaction() as tx:
            tx.libraries.declare(dict.fromkeys((GATE, YARD), ("cedar", "sync")), self.clock())
        for number in range(8):
            (self.folder / f"{number}.jpg").write_bytes(draw(number).content)

    def house(self, holder: str = "this machine:1") -> House:
        return House(self.store, {}, Unlimited(), self.clock, holder=holder)

    def file(self, *lines: str, name: str = "roster.csv", title: str = "id,photo") -> Path:
        """A roster of these lines."""
        path = self.folder / name
        path.write_text("".join(f"{line}\n" for line in (title, *lines)), "utf-8")
        return path

    def people(self, *numbers: int, name: str = "roster.csv") -> Path:
        """A roster of these people, by number, without photos."""
        return self.file(*(f"E{number}" for number in numbers), name=name, title="id")

    def photographed(self, *numbers: int, name: str = "roster.csv") -> Path:
        """A roster of these people, each with a photo: every library is owed them."""
        return self.file(*(f"E{number},{number % 8}.jpg" for number in numbers), name=name)

    def enrol(
        self,
        file: Path,
        *,
        source: str = "roster",
        absence: Absence | None = None,
        log: Log | None = None,
        holder: str = "this machine:1",
        restart: bool = False,
    ) -> Imported:
        house = self.house(holder)
        return import_roster(house, open_roster(file), source, log or Log(), absence=absence, restart=restart)

    def rehearse(
        self, file: Path, *, source: str = "roster", absence: Absence | None = None, log: Log | None = None
    ) -> tuple[Imported, list[Photo]]:
        seen: list[Photo] = []
        roster = open_roster(file)
        ended = rehearse_roster(self.house(), roster, source, log or Log(), absence=absence, look=seen.append)
        return ended, seen

    def tell(self, change: Change) -> None:
        self.told += 1
        record(self.house(), Told("hr", f"message-{self.told}", change), ring=False)

    def here(self) -> set[str]:
        """Whoever is with us."""
        mine = select(people.c.id).where(people.c.departed_at.is_(None), people.c.revision > 0)
        return set(self._rows(lambda connection: connection.scalars(mine)))

    def photos(self) -> dict[str, dict[str, str]]:
        """Person -> face -> what it was made from."""
        found: dict[str, dict[str, str]] = {}
        for row in self._rows(lambda connection: connection.execute(select(faces))):
            found.setdefault(row.person_id, {})[row.face_id] = row.digest
        return found

    def owed(self, library: LibraryName = GATE) -> dict[str, str]:
        """Person -> verb, of what a library is owed."""
        mine = select(deliveries.c.person_id, deliveries.c.verb).where(deliveries.c.library == library)
        return {row.person_id: row.verb for row in self._rows(lambda connection: connection.execute(mine))}

    def roster(self, source: str = "roster") -> Any:
        mine = select(rosters).where(rosters.c.source == source)
        return self._rows(lambda connection: connection.execute(mine))[0]

    def everything(self) -> dict[str, list[tuple[object, ...]]]:
        """Every row of every table."""
        with self.store.reading() as tx:
            rows = {table.name: tx._connection.execute(select(table)).all() for table in metadata.sorted_tables}
        return {name: sorted((tuple(row) for row in found), key=repr) for name, found in rows.items()}

    def _rows(self, read: Callable[[Connection], Any]) -> list[Any]:
        with self.store.reading() as tx:
            return list(read(tx._connection))


def digest(number: int) -> str:
    return draw(number).digest


def die_after(batches: int) -> Log:
    """A process that is killed when so many batches are recorded."""

    def then(batch: int) -> None:
        if batch == batches:
            raise KilledError

    return Log(then=then)
