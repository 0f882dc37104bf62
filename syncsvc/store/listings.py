"""How far the reading of each library has come, and the faces that its newest reading has shown."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Update, and_, delete, exists, func, or_, select, update

from syncsvc.model.listings import Completeness
from syncsvc.model.people import LibraryName, Listed, VendorFaceId
from syncsvc.store.dialect import among, insert
from syncsvc.store.statements import IS_OPEN
from syncsvc.store.tables import bindings, deliveries, libraries, listed, listings, situations

AT_ONCE = 500  # rows of one statement
UNDER_WAY = ("reading", "read", "compared", "mending")

_l, _f, _b, _d = listings.c, listed.c, bindings.c, deliveries.c
_NO_COUNTS: Mapping[str, int] = MappingProxyType({})
_AFRESH: Mapping[str, object] = MappingProxyType(
    {"cursor": None, "pages": 0, "faces": 0, "repeated": 0, "count_after": None, "completeness": None, "why": None}
    | {"counts": None, "holder": None, "leased_until": None, "finished_at": None}
)


@dataclass(frozen=True, slots=True)
class ListingState:
    """The newest reading of a library, of which there is one at most.

    `state` is reading, read (to the end), compared, waiting (for an approval), mending or done. `faces` are different
    ones, `repeated` were shown again. `count_before` and `count_after` are what the library said. `completeness`
    is known when all was read, also while the state is still reading: then it is the vendor's word, to be judged.
    `complete_at` is when a complete reading, this or an earlier one, was last finished.
    """

    library: LibraryName
    run: int
    cause: str
    state: str
    cursor: str | None
    pages: int
    faces: int
    repeated: int
    count_before: int | None
    count_after: int | None
    completeness: Completeness | None
    why: str | None
    counts: Mapping[str, int]
    holder: str | None
    leased_until: datetime | None
    started_at: datetime
    reached_at: datetime
    finished_at: datetime | None
    complete_at: datetime | None

    def is_under_way(self, given_up_before: datetime) -> bool:
        """Whether something is still to become of it, and somebody read on since then."""
        if self.cause == "plan" and self.state in {"read", "compared"}:
            return False
        return self.state in UNDER_WAY and self.reached_at >= given_up_before


@dataclass(frozen=True, slots=True)
class OwnChanges:
    """What our own errands changed in a library: faces, and people who came with their first face or went with their
    last."""

    added: int
    removed: int
    came: int
    went: int


class Listings:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, library: LibraryName) -> ListingState | None:
        row = self._connection.execute(select(listings).where(_l.library == library)).one_or_none()
        return None if row is None else _state(row)

    def all(self) -> list[ListingState]:
        return [_state(row) for row in self._connection.execute(select(listings).order_by(_l.library))]

    # --- reading --------------------------------------------------------------------------------------------------

    def begin(
        self, library: LibraryName, cause: str, now: datetime, *, count: int | None, given_up_before: datetime
    ) -> bool:
        """A new reading from the start. False: one is under way, and was read on since `given_up_before`; of one that
        was read for a plan nothing more becomes."""
        values = {"cause": cause, "state": "reading", "count_before": count, "started_at": now, "reached_at": now}
        statement = insert(self._connection.dialect.name, listings).values(library=library, run=1, **values)
        planned = and_(_l.cause == "plan", _l.state.in_(["read", "compared"]))
        over = or_(_l.state.not_in(UNDER_WAY), planned, _l.reached_at < given_up_before)
        again = {"run": _l.run + 1, **values, **_AFRESH}
        statement = statement.on_conflict_do_update(index_elements=["library"], set_=again, where=over)
        return self._connection.scalar(statement.returning(_l.run)) is not None

    def lease(
        self, library: LibraryName, holder: str, *, now: datetime, until: datetime, dead: str | None = None
    ) -> ListingState | None:
        """Take the reading, from nobody, from a lease that ran out, or from `dead`, who holds it no more.

        None: there is nothing to be read, or somebody else is at it.
        """
        free = or_(_l.holder.is_(None), _l.leased_until <= now, _l.holder == dead)
        mine = update(listings).where(_l.library == library, _l.state == "reading", free)
        row = self._connection.execute(mine.values(holder=holder, leased_until=until).returning(listings)).one_or_none()
        return None if row is None else _state(row)

    def let_go(self, held: ListingState) -> None:
        """Whoever comes next may go on at once."""
        self._connection.execute(_mine(held).values(holder=None, leased_until=None))

    def note_count(self, held: ListingState, count: int, now: datetime) -> bool:
        """What the library says it holds, before its first page. False: the lease is not ours any more."""
        noted = _mine(held).where(_l.pages == 0).values(count_before=count, started_at=now)
        return self._connection.execute(noted).rowcount > 0

    def add_page(
        self,
        held: ListingState,
        faces: Sequence[Listed],
        *,
        cursor: str | None,
        now: datetime,
        until: datetime,
        said: tuple[Completeness, str] | None = None,
    ) -> int | None:
        """Write a page down and go on behind it, in one step; how many of its faces are new in this reading.

        `said` with the last page: how complete the vendor's file thinks it was. None: the lease is not ours any
        more, and nothing was written.
        """
        reached = _mine(held).values(
            cursor=cursor,
            pages=_l.pages + 1,
            reached_at=now,
            leased_until=until,
            completeness=said[0].value if said else None,
            why=said[1] or None if said else None,
        )
        if not self._connection.execute(reached).rowcount:
            return None
        new = sum(self._add(held, faces[first : first + AT_ONCE]) for first in range(0, len(faces), AT_ONCE))
        counted = _mine(held).values(faces=_l.faces + new, repeated=_l.repeated + len(faces) - new)
        self._connection.execute(counted)
        return new

    def finish(
        self, held: ListingState, completeness: Completeness, why: str | None, now: datetime, *, count: int | None
    ) -> bool:
        """All that can be read is read, and that is what it proves. False: the lease is not ours any more."""
        values: dict[str, object] = {"state": "read", "completeness": completeness.value, "why": why}
        values |= {"count_after": count, "holder": None, "leased_until": None, "reached_at": now, "finished_at": now}
        if completeness is Completeness.COMPLETE:
            values["complete_at"] = now
        return self._connection.execute(_mine(held).values(**values)).rowcount > 0

    def purge_listed(self, library: LibraryName, before_run: int, limit: int) -> int:
        """Forget up to `limit` faces of readings before this one; how many went."""
        old = select(_f.run, _f.vendor_face_id).where(_f.library == library, _f.run < before_run).limit(limit)
        rows = self._connection.execute(old).all()
        dialect = self._connection.dialect.name
        for run in {row.run for row in rows}:
            mine = delete(listed).where(_f.library == library, _f.run == run, among(dialect, _f.vendor_face_id, "ids"))
            self._connection.execute(mine, {"ids": [row.vendor_face_id for row in rows if row.run == run]})
        return len(rows)

    # --- what a reading is measured by ----------------------------------------------------------------------------

    def held(self, library: LibraryName, *, at: datetime | None = None) -> int:
        """How many faces we hold bound there; `at`: of those that were bound by then."""
        mine = select(func.count()).select_from(bindings).where(_b.library == library, _b.removed_at.is_(None))
        if at is not None:
            mine = mine.where(_b.bound_at <= at)
        return int(self._connection.scalar(mine) or 0)

    def shown(self, library: LibraryName, run: int) -> int:
        """How many of the listed faces are bound to people of ours."""
        there = exists().where(_f.library == library, _f.run == run, _f.vendor_face_id == _b.vendor_face_id)
        mine = select(func.count()).select_from(bindings)
        return int(self._connection.scalar(mine.where(_b.library == library, _b.removed_at.is_(None), there)) or 0)

    def own_changes(self, library: LibraryName, since: datetime) -> OwnChanges:
        """What was bound and unbound there after that instant."""
        ours = _b.library == library
        other = bindings.alias().c
        same = and_(other.library == _b.library, other.person_id == _b.person_id)
        before = exists().where(same, other.bound_at <= since)
        still = exists().where(same, other.removed_at.is_(None))
        people = func.count(_b.person_id.distinct())

        def count(what: Any, *conditions: ColumnElement[bool]) -> int:
            return int(self._connection.scalar(select(what).where(ours, *conditions)) or 0)

        return OwnChanges(
            added=count(func.count(), _b.bound_at > since),
            removed=count(func.count(), _b.removed_at > since),
            came=count(people, _b.bound_at > since, ~before),
            went=count(people, _b.removed_at > since, ~still),
        )

    def anything_odd(self, library: LibraryName) -> bool:
        """Whether what a reading found odd there is still noted."""
        mine = select(situations.c.library).where(situations.c.library == library, situations.c.run.is_not(None))
        return self._connection.scalar(mine.limit(1)) is not None

    def anything_due(self, names: Collection[LibraryName], now: datetime) -> bool:
        """Whether one of these libraries is owed something at this moment that can be sent to it."""
        works = select(libraries.c.name).where(
            libraries.c.name.in_(sorted(names)),
            libraries.c.state == "active",
            libraries.c.configured == 1,
            libraries.c.policy != "observe",
            or_(libraries.c.open_until.is_(None), libraries.c.open_until <= now),
        )
        # One library at a time: with several in one question PostgreSQL would rather read the whole table.
        return any(self._is_due(name, now) for name in self._connection.scalars(works).all())

    # --- underneath -----------------------------------------------------------------------------------------------

    def _is_due(self, name: str, now: datetime) -> bool:
        due = select(_d.id).where(_d.library == name, IS_OPEN, _d.due_at <= now).order_by(_d.rank).limit(1)
        return self._connection.scalar(due) is not None

    def _add(self, held: ListingState, faces: Sequence[Listed]) -> int:
        fresh = {face.vendor_face_id: face for face in faces}
        dialect = self._connection.dialect.name
        known = select(_f.vendor_face_id).where(
            _f.library == held.library, _f.run == held.run, among(dialect, _f.vendor_face_id, "ids")
        )
        for face_id in self._connection.scalars(known, {"ids": sorted(fresh)}).all():
            del fresh[VendorFaceId(face_id)]
        rows = [
            {
                "library": held.library,
                "run": held.run,
                "vendor_face_id": face.vendor_face_id,
                "vendor_image_id": face.vendor_image_id,
                "person_key": face.person_key,
                "label": face.label,
            }
            for face in fresh.values()
        ]
        if rows:
            self._connection.execute(insert(dialect, listed).on_conflict_do_nothing(), rows)
        return len(rows)


def _mine(held: ListingState) -> Update:
    """Of nobody's reading but the one that is held."""
    return update(listings).where(
        _l.library == held.library, _l.run == held.run, _l.holder == held.holder, _l.state == "reading"
    )


def _state(row: Row[Any]) -> ListingState:
    return ListingState(
        library=LibraryName(row.library),
        run=row.run,
        cause=row.cause,
        state=row.state,
        cursor=row.cursor,
        pages=row.pages,
        faces=row.faces,
        repeated=row.repeated,
        count_before=row.count_before,
        count_after=row.count_after,
        completeness=None if row.completeness is None else Completeness(row.completeness),
        why=row.why,
        counts=_NO_COUNTS if row.counts is None else json.loads(row.counts),
        holder=row.holder,
        leased_until=row.leased_until,
        started_at=row.started_at,
        reached_at=row.reached_at,
        finished_at=row.finished_at,
        complete_at=row.complete_at,
    )
