"""What moving from one library to another asks of the table: who stands where, and how far a retiring has come."""

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, and_, case, exists, func, literal, null, or_, select, union, update

from syncsvc.model.people import HeldFace, LibraryName, PersonId, VendorFaceId
from syncsvc.model.urgency import Urgency, rank
from syncsvc.store.bindings import held_face
from syncsvc.store.deliveries import IN_DOUBT
from syncsvc.store.statements import IS_OPEN, SINCE_WHEN_IN_DOUBT
from syncsvc.store.tables import bindings, deliveries, faces, libraries, listed, people

_d, _b, _l = deliveries.c, bindings.c, libraries.c

UNDOING = "undoing"
RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class Standing:
    """One person in one library: the faces held there, and what is owed. No `state`: it never heard of them."""

    held: int
    unverified: int  # of those held, never seen there since they were bound
    verified_at: datetime | None  # the oldest verification of those held
    state: str | None
    reason: str | None
    detail: str | None


@dataclass(frozen=True, slots=True)
class Retirement:
    """How far the retiring of a library has come.

    `stage`: owing (everybody is being owed a deletion), removing (until nothing is owed any more), reading (until all
    faces that were ever bound are verified), retired, or undoing. `cursor` is the person that the stage has come to.
    `people` were to be there when it began. `bound` counts the faces that were ever bound, `verified` those of them
    that are certainly gone, `there` those that the library shows still, `unverifiable` the rest: why -> how many.
    `returned` are faces that were removed and shown again, `looks` how often all were read.
    """

    stage: str
    people: int
    replaced_by: str | None = None
    cursor: str = ""
    bound: int = 0
    verified: int = 0
    there: int = 0
    returned: int = 0
    looks: int = 0
    unverifiable: dict[str, int] = field(default_factory=dict)
    waits: str | None = None  # what it waits for, in words
    removed_at: str | None = None
    not_before: str | None = None  # the next look

    def at_the_start(self, stage: str) -> "Retirement":
        """The next stage, with everybody before it."""
        return replace(self, stage=stage, cursor="", waits=None)


@dataclass(frozen=True, slots=True)
class Retiring:
    """A library that is retiring or retired, or whose retiring is being undone; `written` is what the table says."""

    library: LibraryName
    vendor: str
    since: datetime | None
    retired_at: datetime | None
    progress: Retirement
    written: str


class Overtaken(Exception):  # noqa: N818 - no error: somebody else went on with it
    """Somebody else has gone on with the same retiring in the meantime; nothing of this transaction counts."""


class Migrating:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    # --- two libraries side by side -------------------------------------------------------------------------------

    def page(self, names: Sequence[LibraryName], *, after: PersonId, limit: int) -> list[PersonId]:
        """Up to `limit` people, after `after`, of whom one of these libraries was told or holds something."""
        each = [_people(table, name, after, limit) for table in (deliveries, bindings) for name in names]
        parts = [select(one.subquery().c.person_id) for one in each]
        found = union(*parts).subquery()
        ids = self._connection.scalars(select(found.c.person_id).order_by(found.c.person_id).limit(limit))
        return [PersonId(person) for person in ids]

    def wanted(self, those: Collection[PersonId]) -> set[PersonId]:
        """Those who should have a face."""
        mine = select(faces.c.person_id).where(faces.c.person_id.in_(list(those))).distinct()
        return {PersonId(person) for person in self._connection.scalars(mine)}

    def standing(self, name: LibraryName, those: Collection[PersonId]) -> dict[PersonId, Standing]:
        """How each of these people stands in a library; nobody is missing from the answer."""
        held = {
            row.person_id: row
            for row in self._connection.execute(
                select(
                    _b.person_id,
                    func.count().label("held"),
                    func.count(_b.verified_at).label("verified"),
                    func.min(_b.verified_at).label("oldest"),
                )
                .where(_b.library == name, _b.person_id.in_(list(those)), _b.removed_at.is_(None))
                .group_by(_b.person_id)
            )
        }
        mine = select(_d.person_id, _d.state, _d.reason, _d.detail)
        mine = mine.where(_d.library == name, _d.person_id.in_(list(those)))
        owed = {row.person_id: row for row in self._connection.execute(mine)}
        return {person: _standing(held.get(person), owed.get(person)) for person in those}

    # --- how far it has come --------------------------------------------------------------------------------------

    def begin(self, name: LibraryName, progress: Retirement, now: datetime) -> None:
        """From now on nobody is wanted in this library."""
        values = {"retiring_at": now, "retired_at": None, "retirement": _text(progress)}
        self._connection.execute(update(libraries).where(_l.name == name).values(values))

    def get(self, name: LibraryName) -> Retiring | None:
        row = self._connection.execute(_retiring().where(_l.name == name)).one_or_none()
        return None if row is None else _read(row)

    def all(self) -> list[Retiring]:
        """Every library that was ever retired, also where it is not configured any more; by name."""
        return [_read(row) for row in self._connection.execute(_retiring().order_by(_l.name))]

    def reach(self, one: Retiring, progress: Retirement) -> None:
        """Write how far it has come. Raises Overtaken where somebody else has gone on from the same place."""
        self._write(one, retirement=_text(progress))

    def finish(self, one: Retiring, progress: Retirement, now: datetime) -> None:
        """Nothing is left to be done there. Raises Overtaken."""
        self._write(one, retirement=_text(progress), retired_at=now)

    def undo(self, one: Retiring, progress: Retirement | None) -> None:
        """People are wanted there again; None: everybody has been owed. Raises Overtaken."""
        written = None if progress is None else _text(progress)
        self._write(one, retirement=written, retiring_at=None, retired_at=None)

    def _write(self, one: Retiring, **values: object) -> None:
        mine = (_l.name == one.library) & (_l.retirement == one.written)
        if not self._connection.execute(update(libraries).where(mine).values(values)).rowcount:
            raise Overtaken

    # --- owing everybody there ------------------------------------------------------------------------------------

    def owe_deletions(self, name: LibraryName, *, after: PersonId, limit: int, now: datetime) -> list[PersonId]:
        """Owe up to `limit` people, those after `after`, a deletion in this library, whatever they were owed there.

        What was refused or given up is tried again. A lease is taken away: whoever is at work may be adding a face, so
        the library is read before the next try. Departures keep their place in the order. Returns whom it looked at.
        """
        page = [PersonId(person) for person in self._connection.scalars(_people(deliveries, name, after, limit))]
        ids = self._held_of(name, page)
        repair = literal(rank(Urgency.REPAIR, now), _d.rank.type)
        stuck = _d.state.in_(["refused", "exhausted"])
        values = self._owed_anew(now) | {
            "wanted_faces": 0,
            "verb": "delete",
            "rank": case((and_(IS_OPEN, _d.rank < repair), _d.rank), else_=repair),
        }
        mine = update(deliveries).where(_d.id.in_(ids), or_(_d.wanted_faces > 0, stuck))
        self._connection.execute(mine.values(values))
        return page

    def owe_again(self, name: LibraryName, those: Collection[PersonId], *, now: datetime) -> None:
        """The same the other way: owe these locked people there what they should have."""
        ids = self._held_of(name, those)
        count = select(func.count()).where(faces.c.person_id == _d.person_id).scalar_subquery()
        revision = select(people.c.revision).where(people.c.id == _d.person_id).scalar_subquery()
        values = self._owed_anew(now) | {
            "wanted": revision,
            "wanted_faces": count,
            "verb": "replace",
            "rank": literal(rank(Urgency.REPAIR, now), _d.rank.type),
        }
        has_a_face = exists().where(faces.c.person_id == _d.person_id)
        mine = update(deliveries).where(_d.id.in_(ids), _d.wanted_faces == 0, has_a_face)
        self._connection.execute(mine.values(values))

    def _held_of(self, name: LibraryName, those: Collection[PersonId]) -> list[int]:
        """These people's deliveries, held until the transaction ends."""
        mine = select(_d.id).where(_d.library == name, _d.person_id.in_(list(those))).order_by(_d.id)
        return list(self._connection.scalars(mine.with_for_update()))

    def _owed_anew(self, now: datetime) -> dict[str, Any]:
        leased = _d.lease.is_not(None)
        doubted = or_(leased, _d.state.in_(IN_DOUBT), _d.doubted_revision.is_not(None))
        return {
            "wanted_at": case((IS_OPEN, _d.wanted_at), else_=now),
            "state": case((doubted, "doubtful"), else_="due"),
            "due_at": now,
            "attempts": 0,
            "reason": null(),
            "detail": null(),
            "face_id": null(),
            "lease": null(),
            "busy_until": case((leased, _d.busy_until), else_=null()),
            "doubted_revision": case((leased, SINCE_WHEN_IN_DOUBT), else_=_d.doubted_revision),
            "doubted_adds": case((leased, _d.doubted_adds + func.coalesce(_d.leased_faces, 0)), else_=_d.doubted_adds),
        }

    def left(self, name: LibraryName) -> dict[str, int]:
        """What is owed in this library still: due, doubtful, refused or exhausted -> how many."""
        counted = (
            select(_d.state, func.count().label("count"))
            .where(_d.library == name, _d.state != "synced")
            .group_by(_d.state)
        )
        return {str(state): int(count) for state, count in self._connection.execute(counted)}

    def somebody_wanted(self, name: LibraryName) -> bool:
        """Whether somebody is owed a face there after all, by a change that was under way when the retiring began."""
        return bool(self._connection.scalar(select(exists().where(_d.library == name, _d.wanted_faces > 0))))

    # --- reading back ---------------------------------------------------------------------------------------------

    def ever_bound(self, name: LibraryName, *, after: PersonId, limit: int) -> dict[PersonId, tuple[HeldFace, ...]]:
        """Up to `limit` people, those after `after`, with every face of theirs that this library ever had."""
        page = self._connection.scalars(_people(bindings, name, after, limit)).all()
        found: dict[PersonId, list[HeldFace]] = {PersonId(person): [] for person in page}
        mine = select(bindings).where(_b.library == name, _b.person_id.in_(page))
        for row in self._connection.execute(mine.order_by(_b.person_id, _b.vendor_face_id)):
            found[PersonId(row.person_id)].append(held_face(row))
        return {person: tuple(ever) for person, ever in found.items()}

    def shown(self, name: LibraryName, run: int, those: Collection[VendorFaceId]) -> set[VendorFaceId]:
        """Which of these faces a reading of the library has shown."""
        listing = listed.c
        mine = select(listing.vendor_face_id).where(
            listing.library == name, listing.run == run, listing.vendor_face_id.in_(list(those))
        )
        return {VendorFaceId(face) for face in self._connection.scalars(mine)}

    def held_by_us(self, name: LibraryName) -> int:
        """How many faces we believe to be in a library."""
        mine = select(func.count()).where(_b.library == name, _b.removed_at.is_(None))
        return int(self._connection.scalar(mine) or 0)

    def take_back(self, name: LibraryName, those: Collection[PersonId], back: Collection[VendorFaceId]) -> None:
        """These faces are there although they were removed: believe it again."""
        mine = update(bindings).where(
            _b.library == name, _b.person_id.in_(list(those)), _b.vendor_face_id.in_(list(back))
        )
        self._connection.execute(mine.values(removed_at=None))

    def reopen(self, name: LibraryName, those: Collection[PersonId], now: datetime) -> None:
        """These people's deletions are to be done again, after the library has been read."""
        ids = self._held_of(name, those)
        values = self._owed_anew(now) | {"state": "doubtful", "wanted_faces": 0, "verb": "delete"}
        self._connection.execute(update(deliveries).where(_d.id.in_(ids)).values(values))


def _people(table: Any, name: LibraryName, after: PersonId, limit: int) -> Select[Any]:
    mine = select(table.c.person_id).where(table.c.library == name, table.c.person_id > after)
    return mine.distinct().order_by(table.c.person_id).limit(limit)


def _standing(held: Any, owed: Any) -> Standing:
    return Standing(
        held=held.held if held else 0,
        unverified=held.held - held.verified if held else 0,
        verified_at=held.oldest if held else None,
        state=owed.state if owed else None,
        reason=owed.reason if owed else None,
        detail=owed.detail if owed else None,
    )


def _retiring() -> Select[Any]:
    return select(libraries).where(_l.retirement.is_not(None))


def _text(progress: Retirement) -> str:
    return json.dumps(asdict(progress), sort_keys=True)


def _read(row: Any) -> Retiring:
    progress = Retirement(**json.loads(row.retirement))
    return Retiring(LibraryName(row.name), row.vendor, row.retiring_at, row.retired_at, progress, row.retirement)
