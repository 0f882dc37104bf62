"""When each face of ours was last seen in its library, and which ones are to be looked at next."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, and_, exists, func, or_, select, tuple_, update

from syncsvc.model.people import LibraryName, PersonId, VendorFaceId
from syncsvc.store.statements import IS_OPEN
from syncsvc.store.tables import bindings, deliveries, libraries, listed, situations

FRESH = timedelta(days=1)  # what was verified so recently is not written anew, and what is odd not looked at anew

_b = bindings.c


@dataclass(frozen=True, slots=True)
class Unverified:
    """A face whose turn it is. `since`: last seen there, or bound where it was never seen. They sort by age."""

    since: datetime
    person: PersonId
    face: VendorFaceId


@dataclass(frozen=True, slots=True)
class Bound:
    """A face that a library is known to hold for a person."""

    person: PersonId
    face: VendorFaceId


class Checks:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def begin(self, library: LibraryName, now: datetime, until: datetime) -> bool:
        """Take the checking of a library for so long; False: somebody else is at it."""
        free = or_(libraries.c.checking_until.is_(None), libraries.c.checking_until <= now)
        mine = update(libraries).where(libraries.c.name == library, free).values(checking_until=until)
        return self._connection.execute(mine).rowcount > 0

    def end(self, library: LibraryName, until: datetime) -> None:
        """Give it back, if it is still the one taken until then."""
        mine = (libraries.c.name == library) & (libraries.c.checking_until == until)
        self._connection.execute(update(libraries).where(mine).values(checking_until=None))

    def oldest(
        self, library: LibraryName, *, before: datetime, now: datetime, after: Unverified | None, limit: int
    ) -> list[Unverified]:
        """Up to `limit` faces last seen before that instant, the longest unseen first, from `after` on.

        Not of people to whom the library is owed something: that errand looks for itself. Nor faces that were noted
        as odd within a day.
        """
        found: list[Unverified] = []
        for age, never in ((_b.bound_at, True), (_b.verified_at, False)):  # two walks along one index
            mine = self._current(library) & (_b.verified_at.is_(None) if never else _b.verified_at.is_not(None))
            mine &= (age < before) & ~_owed() & ~_odd(now - FRESH)
            if after is not None:
                place = tuple_(age, _b.person_id, _b.vendor_face_id)
                mine &= place > tuple_(after.since, after.person, after.face)
            page = select(age.label("since"), _b.person_id, _b.vendor_face_id).where(mine)
            page = page.order_by(age, _b.person_id, _b.vendor_face_id).limit(limit)
            found += [
                Unverified(row.since, PersonId(row.person_id), VendorFaceId(row.vendor_face_id))
                for row in self._connection.execute(page)
            ]
        found.sort(key=lambda one: (one.since, one.person, one.face))
        return found[:limit]

    def verify_listed(
        self, library: LibraryName, run: int, at: datetime, *, after: Bound | None, limit: int
    ) -> tuple[int, Bound | None]:
        """Of the next `limit` faces after `after`: those that this listing shows were seen at that instant.

        Not what is noted as odd, nor what was seen within a day before. Returns how many were written, and where to
        go on; None: these were the last.
        """
        place = tuple_(_b.person_id, _b.vendor_face_id)
        shown = exists().where(
            listed.c.library == library, listed.c.run == run, listed.c.vendor_face_id == _b.vendor_face_id
        )
        old = or_(_b.verified_at.is_(None), _b.verified_at < at - FRESH)
        seen = and_(old, shown, ~_odd(None))
        page = select(_b.person_id, _b.vendor_face_id, seen.label("seen")).where(self._current(library))
        if after is not None:
            page = page.where(place > tuple_(after.person, after.face))
        rows = self._connection.execute(page.order_by(_b.person_id, _b.vendor_face_id).limit(limit)).all()
        ids = [(row.person_id, row.vendor_face_id) for row in rows if row.seen]
        if ids:
            mine = (_b.library == library) & _b.removed_at.is_(None) & place.in_(ids)
            self._connection.execute(update(bindings).where(mine).values(verified_at=at))
        last = rows[-1] if len(rows) == limit else None
        return len(ids), None if last is None else Bound(PersonId(last.person_id), VendorFaceId(last.vendor_face_id))

    def oldest_seen(self, names: Sequence[LibraryName]) -> dict[LibraryName, datetime]:
        """Since when the longest unseen face of each library has been so; who holds nothing is not in the answer."""
        found: dict[LibraryName, datetime] = {}
        for name in names:
            for age, never in ((_b.bound_at, True), (_b.verified_at, False)):
                mine = self._current(name) & (_b.verified_at.is_(None) if never else _b.verified_at.is_not(None))
                since: datetime | None = self._connection.scalar(select(age).where(mine).order_by(age).limit(1))
                if since is not None:
                    found[name] = min(since, found.get(name, since))
        return found

    def count(self, library: LibraryName) -> int:
        """How many faces the library is known to hold."""
        return self._count(self._current(library))

    def count_unseen(self, library: LibraryName, before: datetime) -> int:
        """How many of them were last seen before that instant, or never and bound before it."""
        late = or_(and_(_b.verified_at.is_(None), _b.bound_at < before), _b.verified_at < before)
        return self._count(self._current(library) & late)

    def _count(self, which: ColumnElement[bool]) -> int:
        return int(self._connection.scalar(select(func.count()).select_from(bindings).where(which)) or 0)

    @staticmethod
    def _current(library: LibraryName) -> ColumnElement[bool]:
        return and_(_b.library == library, _b.removed_at.is_(None))


def _owed() -> ColumnElement[bool]:
    d = deliveries.c
    return exists().where(d.library == _b.library, d.person_id == _b.person_id, IS_OPEN)


def _odd(since: datetime | None) -> ColumnElement[bool]:
    """Whether the face is noted as odd, since then at the earliest."""
    s = situations.c
    noted = and_(s.library == _b.library, s.person_id == _b.person_id, s.vendor_face_id == _b.vendor_face_id)
    return exists().where(noted if since is None else and_(noted, s.noted_at > since))
