"""The outbox: what each library is owed for each person. The row is the truth, the bell is only a bell."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, ScalarSelect, and_, case, func, literal, or_, select, update

from syncsvc.model.people import LibraryName, PersonId, Revision
from syncsvc.model.urgency import MAX_ATTEMPTS
from syncsvc.store.dialect import insert
from syncsvc.store.rows import Claimed, Delivery, Owed, Settlement, claimed, delivery
from syncsvc.store.tables import deliveries, faces, libraries, people, situations

_d = deliveries.c
OPEN_STATES = ("due", "doubtful")


class Deliveries:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def want(
        self,
        owed: Mapping[LibraryName, str],
        person: PersonId,
        revision: Revision,
        *,
        faces: int,
        rank: datetime,
        now: datetime,
        rung_until: datetime | None,
        room: Mapping[LibraryName, int] | None = None,
    ) -> list[Owed]:
        """Each library is owed this revision of the person, by its verb.

        They are marked as rung until `rung_until`, except where more than `room` of the library are rung or
        under way already: another bell would only wait there, and less urgent than what comes after it.

        A newer want takes the place of an older one. It reopens what was refused or exhausted, starts the
        count of attempts anew and never touches a lease: whoever is at work finishes, and then it is due.
        A replacement that is still owed keeps its verb when a mere face deletion comes after it, but takes
        its rank, so that the deletion is not late.
        """
        if not owed:
            return []
        rows = [
            {
                "library": library,
                "person_id": person,
                "wanted": revision,
                "wanted_faces": faces,
                "wanted_at": now,
                "verb": verb,
                "rank": rank,
                "state": "due",
                "due_at": now,
                "busy_until": _rung(library, rung_until, None if room is None else room.get(library), now),
            }
            for library, verb in sorted(owed.items())
        ]
        statement = insert(self._connection, deliveries).values(rows)
        new = statement.excluded
        still_owed = _d.state.in_(OPEN_STATES)
        values = {
            "wanted": new.wanted,
            "wanted_faces": new.wanted_faces,
            "wanted_at": case((still_owed, _d.wanted_at), else_=new.wanted_at),
            "verb": new.verb,
            "rank": case((and_(still_owed, _d.rank < new.rank), _d.rank), else_=new.rank),
            "state": case((_d.state == "doubtful", "doubtful"), else_="due"),
            "due_at": new.due_at,
            "busy_until": case((_d.leased_until.is_not(None), _d.busy_until), else_=new.busy_until),
            "attempts": 0,
            "reason": None,
            "detail": None,
            "face_id": None,
        }
        statement = statement.on_conflict_do_update(index_elements=["library", "person_id"], set_=values)
        answer = self._connection.execute(statement.returning(_d.library, _d.id, _d.busy_until))
        return [
            Owed(LibraryName(row.library), row.id, rung=rung_until is not None and row.busy_until == rung_until)
            for row in answer
        ]

    def want_everybody(self, library: LibraryName, *, rank: datetime, now: datetime) -> int:
        """Owe every person with a face to a library that is not owed them yet; returns how many."""
        fresh = {"wanted_at": now, "verb": "replace", "rank": rank, "state": "due", "due_at": now}
        present = (
            select(
                literal(library),
                people.c.id,
                people.c.revision,
                func.count(),
                *(literal(value, _d[name].type) for name, value in fresh.items()),
            )
            .join(faces, faces.c.person_id == people.c.id)
            .group_by(people.c.id, people.c.revision)
        )
        columns = ["library", "person_id", "wanted", "wanted_faces", *fresh]
        statement = insert(self._connection, deliveries).from_select(columns, present)
        return self._connection.execute(
            statement.on_conflict_do_nothing(index_elements=["library", "person_id"])
        ).rowcount

    def doubt(self, ids: Sequence[int]) -> None:
        """Have the libraries read for these before anything is sent."""
        self._connection.execute(update(deliveries).where(_d.id.in_(list(ids))).values(state="doubtful"))

    def claim(
        self, library: LibraryName, ids: Sequence[int], *, lease: str, now: datetime, until: datetime
    ) -> list[Claimed]:
        """Take those of `ids` that are due and nobody else's, in a library that is open for business."""
        return self._take(library, _d.id.in_(list(ids)), lease=lease, now=now, until=until)

    def claim_more(
        self, library: LibraryName, verb: str, limit: int, *, lease: str, now: datetime, until: datetime
    ) -> list[Claimed]:
        """Take up to `limit` more due deliveries of the same kind, the most urgent first, to fill a bundle."""
        chosen = _first_due(library, now, limit).where(_d.verb == verb, _d.state == "due", _d.leased_until.is_(None))
        return self._take(library, _d.id.in_(chosen.scalar_subquery()), lease=lease, now=now, until=until)

    def _take(
        self, library: LibraryName, which: ColumnElement[bool], *, lease: str, now: datetime, until: datetime
    ) -> list[Claimed]:
        died = _d.leased_until.is_not(None)  # a lease that ran out: its worker never came back to say how it went
        mine = select(libraries).where(libraries.c.name == library)
        works = mine.where(
            libraries.c.state == "active",
            libraries.c.configured == 1,
            or_(libraries.c.open_until.is_(None), libraries.c.open_until <= now),
        )
        taken = (
            update(deliveries)
            .where(
                which,
                _d.library == library,
                _d.state.in_(OPEN_STATES),
                _d.due_at <= now,
                or_(_d.leased_until.is_(None), _d.leased_until <= now),
                _d.attempts < MAX_ATTEMPTS,
                works.exists(),
            )
            .values(
                lease=lease,
                leased_until=until,
                busy_until=until,
                leased_revision=_d.wanted,
                leased_faces=_d.wanted_faces,
                attempts=_d.attempts + 1,
                state=case((died, "doubtful"), else_=_d.state),
                doubted_revision=case((died, _d.leased_revision), else_=_d.doubted_revision),
                doubted_adds=case((died, _d.doubted_adds + _d.leased_faces), else_=_d.doubted_adds),
            )
            .returning(
                _d.id,
                _d.person_id,
                _d.wanted,
                _d.wanted_at,
                _d.verb,
                _d.attempts,
                _d.state,
                _d.doubted_revision,
                _d.doubted_adds,
                mine.with_only_columns(libraries.c.failures).scalar_subquery().label("failures"),
                _noted().label("noted"),
            )
        )
        return [claimed(row) for row in self._connection.execute(taken)]

    def release(self, ids: Sequence[int], *, lease: str, due_at: datetime) -> None:
        """Give claimed deliveries back untried: the attempt is not counted."""
        mine = update(deliveries).where(_d.id.in_(list(ids)), _d.lease == lease)
        self._connection.execute(
            mine.values(lease=None, leased_until=None, busy_until=None, attempts=_d.attempts - 1, due_at=due_at)
        )

    def settle(self, owed: int, lease: str, seen: Revision, ends: Settlement, now: datetime) -> bool:
        """End a lease. False: it was not ours any more, so nothing was written and somebody must look again."""
        same = _d.wanted == seen
        doubt = ends.doubt
        values: dict[str, Any] = {
            "lease": None,
            "leased_until": None,
            "busy_until": None,
            "state": case((same, ends.state), else_="doubtful" if ends.state == "doubtful" else "due"),
            "verb": case((same, ends.verb), else_=_d.verb),
            "due_at": case((same, ends.due_at), else_=_d.due_at),
            "attempts": case((same, ends.attempts), else_=_d.attempts),
            "reason": case((same, ends.reason), else_=None),
            "detail": case((same, ends.detail), else_=None),
            "face_id": case((same, ends.face), else_=None),
            "doubted_revision": doubt.revision if doubt else None,
            "doubted_adds": doubt.adds if doubt else 0,
        }
        if ends.rank is not None:
            values["rank"] = case((same, ends.rank), else_=_d.rank)
        if ends.state == "synced":
            values |= {"held": seen, "settled_at": now}
        mine = update(deliveries).where(_d.id == owed, _d.lease == lease)
        return self._connection.execute(mine.values(values)).rowcount > 0

    def look_again(self, owed: int, now: datetime) -> None:
        """Somebody settled after losing the lease: what the library holds must be read before the next try."""
        self._connection.execute(
            update(deliveries)
            .where(_d.id == owed)
            .values(
                state="doubtful",
                due_at=now,
                attempts=0,
                busy_until=case((_d.lease.is_(None), None), else_=_d.busy_until),
            )
        )

    def ring(self, library: LibraryName, limit: int, *, now: datetime, until: datetime) -> list[tuple[int, str]]:
        """Pick up to `limit` due deliveries, the most urgent first, and mark them as rung until `until`."""
        chosen = _first_due(library, now, limit)
        rung = update(deliveries).where(_d.id.in_(chosen.scalar_subquery())).values(busy_until=until)
        rows = self._connection.execute(rung.returning(_d.id, _d.verb, _d.rank)).all()
        return [(row.id, row.verb) for row in sorted(rows, key=lambda row: row.rank)]

    def busy(self, library: LibraryName, now: datetime) -> int:
        """How many are rung or leased at this moment."""
        mine = select(func.count()).where(_d.library == library, _d.busy_until.is_not(None), _d.busy_until > now)
        return int(self._connection.scalar(mine) or 0)

    def leased(self, library: LibraryName, now: datetime) -> int:
        """How many are under way at this moment."""
        mine = (_d.library == library) & _d.busy_until.is_not(None) & (_d.leased_until > now)
        return int(self._connection.scalar(select(func.count()).where(mine)) or 0)

    def exhaust(self, now: datetime) -> int:
        """Close deliveries whose worker died on their last attempt; returns how many."""
        lost = update(deliveries).where(
            _d.state.in_(OPEN_STATES), _d.attempts >= MAX_ATTEMPTS, _d.leased_until.is_not(None), _d.leased_until <= now
        )
        words = "the worker stopped in the middle of every attempt; look into its log, then `syncsvc person resync`"
        return self._connection.execute(
            lost.values(
                state="exhausted",
                reason="worker_lost",
                detail=words,
                lease=None,
                leased_until=None,
                busy_until=None,
                doubted_revision=_d.leased_revision,
                doubted_adds=_d.doubted_adds + _d.leased_faces,
            )
        ).rowcount

    def of_person(self, person: PersonId) -> list[Delivery]:
        rows = self._connection.execute(select(deliveries).where(_d.person_id == person).order_by(_d.library))
        return [delivery(row) for row in rows]

    def unsettled(self) -> dict[LibraryName, dict[str, int]]:
        """Library -> state -> how many, for every state but synced."""
        counted = select(_d.library, _d.state, func.count()).where(_d.state != "synced").group_by(_d.library, _d.state)
        found: dict[LibraryName, dict[str, int]] = {}
        for library, state, count in self._connection.execute(counted):
            found.setdefault(LibraryName(library), {})[state] = count
        return found

    def oldest_wait(self) -> dict[LibraryName, datetime]:
        """Library -> since when its longest-waiting open delivery has been wanted."""
        oldest = select(_d.library, func.min(_d.wanted_at)).where(_d.state.in_(OPEN_STATES)).group_by(_d.library)
        return {LibraryName(library): since for library, since in self._connection.execute(oldest)}


def _rung(library: LibraryName, until: datetime | None, room: int | None, now: datetime) -> Any:
    """When a new want stops being rung; None where it is not rung at all."""
    if until is None or room is None:
        return literal(until, _d.busy_until.type)
    other = deliveries.alias()
    busy = select(func.count()).where(other.c.library == library, other.c.busy_until > now).scalar_subquery()
    return case((busy < room, literal(until, _d.busy_until.type)), else_=None)


def _noted() -> ScalarSelect[int]:
    """How many faces of the delivery's person were odd in its library before this errand."""
    same = (situations.c.library == _d.library) & (situations.c.person_id == _d.person_id)
    return select(func.count()).where(same).correlate(deliveries).scalar_subquery()


def _first_due(library: LibraryName, now: datetime, limit: int) -> Any:
    return (
        select(_d.id)
        .where(
            _d.library == library,
            _d.state.in_(OPEN_STATES),
            _d.due_at <= now,
            or_(_d.busy_until.is_(None), _d.busy_until <= now),
        )
        .order_by(_d.rank)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
