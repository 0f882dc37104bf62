"""Erasures: opened by departures, looked at until every library was read and has nothing of the person."""

import json
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, bindparam, func, insert, literal_column, or_, select, update

from syncsvc.model.erasures import Erasing, Verdict
from syncsvc.model.people import HeldFace, LibraryName, PersonId, Revision
from syncsvc.store.bindings import held_face
from syncsvc.store.deliveries import ever_told
from syncsvc.store.pseudonyms import Pseudonyms
from syncsvc.store.tables import bindings, erasure_libraries, erasures

FIRST_LOOK = timedelta(seconds=10)  # after the departure, unless the library answers sooner
MOST_REQUESTS = 100  # of one library, the newest

Request = Mapping[str, str]

_e, _l = erasures.c, erasure_libraries.c
_UNFINISHED: ColumnElement[bool] = literal_column(
    "erasures.state <> 'confirmed'"
)  # spelled out like the index' own condition
_FINAL = tuple(one.value for one in Verdict if one.final)
_OPEN = or_(_l.verdict.is_(None), _l.verdict.not_in(_FINAL))

_PUT = (
    update(erasure_libraries)
    .where(
        _l.erasure_id == bindparam("of"),
        _l.library == bindparam("in_library"),
        _l.check_at == bindparam("leased", type_=_l.check_at.type),
    )
    .values(
        verdict=bindparam("to_verdict"),
        method=bindparam("to_method"),
        reason=bindparam("to_reason"),
        faces=bindparam("to_faces"),
        accepted_at=bindparam("to_accepted", type_=_l.accepted_at.type),
        checked_at=bindparam("to_checked", type_=_l.checked_at.type),
        looks=bindparam("to_looks"),
        came_back=bindparam("to_came_back"),
        request_ids=bindparam("to_requests"),
        check_at=bindparam("to_check", type_=_l.check_at.type),
    )
)


@dataclass(frozen=True, slots=True)
class Erasure:
    """One departure. `state` is open, verified, or confirmed after the second look."""

    id: str
    person: PersonId
    pseudonym: str
    revision: Revision
    state: str
    opened_at: datetime
    due_at: datetime
    second_look_at: datetime | None = None
    warned_at: datetime | None = None
    overdue_at: datetime | None = None
    verified_at: datetime | None = None
    finished_at: datetime | None = None
    check_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class InLibrary:
    """What was found out of one erasure in one library. `check_at` is the lease's end for whoever has taken it."""

    erasure: str
    library: LibraryName
    verdict: Verdict | None = None
    method: str | None = None
    reason: str | None = None
    faces: int = 0
    accepted_at: datetime | None = None
    checked_at: datetime | None = None
    looks: int = 0
    came_back: int = 0
    requests: tuple[Request, ...] = ()
    check_at: datetime | None = None


class Erasures:
    def __init__(self, connection: Connection, pseudonyms: Pseudonyms, erasing: Erasing) -> None:
        self._connection = connection
        self._pseudonyms = pseudonyms
        self._erasing = erasing

    def open(self, departed: Mapping[PersonId, Revision], now: datetime) -> None:
        """Begin an erasure for each of these people, who become so by departing; few statements for many.

        It covers every library that was ever told of the person or ever held a face, whatever it is now.
        """
        if not departed:
            return
        told = self._faces_by_library(departed)
        names = self._pseudonyms.of_all(departed)
        ids = {person: uuid.uuid4().hex for person in departed}
        due = now + self._erasing.due
        rows = [
            {
                "id": ids[person],
                "person_id": person,
                "pseudonym": names[person],
                "revision": revision,
                "state": "open",
                "opened_at": now,
                "due_at": due,
                "check_at": due - self._erasing.warn_before if told.get(person) else now,
            }
            for person, revision in sorted(departed.items())
        ]
        self._connection.execute(insert(erasures), rows)
        places = [
            {"erasure_id": ids[person], "library": library, "faces": count, "check_at": now + FIRST_LOOK}
            for person, libraries in sorted(told.items())
            for library, count in sorted(libraries.items())
        ]
        if places:
            self._connection.execute(insert(erasure_libraries), places)

    def take(self, now: datetime, until: datetime, limit: int) -> list[InLibrary]:
        """Lease up to `limit` that are to be looked at, the longest due first: until then they are nobody else's."""
        due = select(erasure_libraries).where(_l.check_at <= now).order_by(_l.check_at, _l.erasure_id, _l.library)
        rows = self._connection.execute(due.limit(limit).with_for_update(skip_locked=True)).all()
        keys = [{"of": row.erasure_id, "at": row.library, "until": until} for row in rows]
        if keys:
            mine = update(erasure_libraries).where(_l.erasure_id == bindparam("of"), _l.library == bindparam("at"))
            leased = bindparam("until", type_=_l.check_at.type)
            self._connection.execute(mine.values(check_at=leased), keys)
        return [_in_library(row, until) for row in rows]

    def put(self, before: InLibrary, after: InLibrary) -> bool:
        """Write what was found; False, and nothing is written, where the lease is not ours any more."""
        return self._connection.execute(_PUT, _values(before, after)).rowcount > 0

    def answered(self, library: LibraryName, people: Collection[PersonId], soon: datetime) -> None:
        """A library has done what it was owed for these people: have it read soon. Waits for nobody."""
        mine = _l.erasure_id.in_(select(_e.id).where(_e.person_id.in_(sorted(people)), _UNFINISHED))
        later = select(_l.erasure_id).where(mine, _l.library == library, _OPEN, _l.check_at > soon)
        ids = self._connection.scalars(later.with_for_update(skip_locked=True)).all()
        if ids:
            found = update(erasure_libraries).where(_l.erasure_id.in_(ids), _l.library == library)
            self._connection.execute(found.values(check_at=soon))

    def get(self, erasure: str) -> Erasure | None:
        row = self._connection.execute(select(erasures).where(_e.id == erasure)).one_or_none()
        return None if row is None else _erasure(row)

    def these(self, ids: Collection[str]) -> dict[str, Erasure]:
        found = self._connection.execute(select(erasures).where(_e.id.in_(sorted(ids)))) if ids else ()
        return {row.id: _erasure(row) for row in found}

    def lock(self, erasure: str) -> Erasure:
        """It, held until the transaction ends."""
        row = self._connection.execute(select(erasures).where(_e.id == erasure).with_for_update()).one()
        return _erasure(row)

    def of_person(self, person: PersonId) -> list[Erasure]:
        """A person's erasures, the newest first."""
        mine = select(erasures).where(_e.person_id == person).order_by(_e.opened_at.desc(), _e.id)
        return [_erasure(row) for row in self._connection.execute(mine)]

    def libraries(self, erasure: str) -> list[InLibrary]:
        mine = select(erasure_libraries).where(_l.erasure_id == erasure).order_by(_l.library)
        return [_in_library(row, row.check_at) for row in self._connection.execute(mine)]

    def amend(self, erasure: str, *, check_at: datetime | None, **values: object) -> None:
        """Write into an erasure that is locked; `check_at` is when there is something to do for the whole of it."""
        self._connection.execute(update(erasures).where(_e.id == erasure).values(check_at=check_at, **values))

    def look_again(self, erasure: str, at: datetime) -> None:
        """Read every library of it again then."""
        self._connection.execute(update(erasure_libraries).where(_l.erasure_id == erasure).values(check_at=at))

    def due(self, now: datetime, limit: int) -> list[str]:
        """Erasures for which something is to be done as a whole, the longest due first."""
        found = select(_e.id).where(_e.check_at <= now).order_by(_e.check_at).limit(limit)
        return list(self._connection.scalars(found))

    def ever_bound(
        self, library: LibraryName, person: PersonId, in_use_since: datetime | None = None
    ) -> list[HeldFace]:
        """Every face that was ever bound to the person there, those that are gone as well; but for those in use now
        that were bound after `in_use_since`, where that is given."""
        mine = (bindings.c.library == library) & (bindings.c.person_id == person)
        if in_use_since is not None:
            left = or_(bindings.c.removed_at.is_not(None), bindings.c.face_id.is_(None))
            mine &= or_(bindings.c.bound_at <= in_use_since, left)
        rows = self._connection.execute(select(bindings).where(mine).order_by(bindings.c.vendor_face_id))
        return [held_face(row) for row in rows]

    def unfinished(self, now: datetime) -> tuple[dict[str, int], int]:
        """How many are in each state but confirmed; and how many are open past their due date."""
        counted = select(_e.state, func.count().label("many")).where(_UNFINISHED).group_by(_e.state)
        rows = self._connection.execute(counted)
        states = {"open": 0, "verified": 0, **{str(row.state): int(row.many) for row in rows}}
        late = select(func.count()).where(_UNFINISHED, _e.state == "open", _e.due_at < now)
        return states, self._connection.scalar(late) or 0

    def late(self) -> int:
        """How many are open of which it was said that they may come too late."""
        warned = select(func.count()).where(_UNFINISHED, _e.state == "open", _e.warned_at.is_not(None))
        return self._connection.scalar(warned) or 0

    def _faces_by_library(self, people: Collection[PersonId]) -> dict[PersonId, dict[LibraryName, int]]:
        told: dict[PersonId, dict[LibraryName, int]] = {}
        for row in self._connection.execute(ever_told(people)):
            told.setdefault(PersonId(row.person_id), {})[LibraryName(row.library)] = int(row.faces)
        return told


def _values(before: InLibrary, after: InLibrary) -> dict[str, object]:
    return {
        "of": before.erasure,
        "in_library": before.library,
        "leased": before.check_at,
        "to_verdict": after.verdict.value if after.verdict else None,
        "to_method": after.method,
        "to_reason": after.reason,
        "to_faces": after.faces,
        "to_accepted": after.accepted_at,
        "to_checked": after.checked_at,
        "to_looks": after.looks,
        "to_came_back": after.came_back,
        "to_requests": json.dumps([dict(one) for one in after.requests[-MOST_REQUESTS:]]),
        "to_check": after.check_at,
    }


def _erasure(row: Row[Any]) -> Erasure:
    return Erasure(
        id=row.id,
        person=PersonId(row.person_id),
        pseudonym=row.pseudonym,
        revision=Revision(row.revision),
        state=row.state,
        opened_at=row.opened_at,
        due_at=row.due_at,
        second_look_at=row.second_look_at,
        warned_at=row.warned_at,
        overdue_at=row.overdue_at,
        verified_at=row.verified_at,
        finished_at=row.finished_at,
        check_at=row.check_at,
    )


def _in_library(row: Row[Any], check_at: datetime | None) -> InLibrary:
    return InLibrary(
        erasure=row.erasure_id,
        library=LibraryName(row.library),
        verdict=Verdict(row.verdict) if row.verdict else None,
        method=row.method,
        reason=row.reason,
        faces=row.faces,
        accepted_at=row.accepted_at,
        checked_at=row.checked_at,
        looks=row.looks,
        came_back=row.came_back,
        requests=tuple(json.loads(row.request_ids)),
        check_at=check_at,
    )
