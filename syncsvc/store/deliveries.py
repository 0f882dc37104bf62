"""The outbox: what each library is owed for each person. The row is the truth, the bell is only a bell."""

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    Connection,
    Select,
    and_,
    case,
    func,
    literal,
    literal_column,
    null,
    or_,
    select,
    union_all,
    update,
)

from syncsvc.model.people import LibraryName, PersonId
from syncsvc.model.urgency import MAX_ATTEMPTS
from syncsvc.store.dialect import among, insert
from syncsvc.store.rows import Claimed, Delivery, Ending, Owed, Want, claimed, delivery
from syncsvc.store.statements import BUSY, DUE, DUE_OF_A_KIND, IS_OPEN, LEASES, RING, SETTLE, SINCE_WHEN_IN_DOUBT, TAKE
from syncsvc.store.tables import bindings, deliveries, faces, libraries, people

_d = deliveries.c
_HOLD = select(_d.id).where(among("postgresql", _d.person_id, "people")).order_by(_d.id).with_for_update()
IN_DOUBT = ("doubtful", "exhausted")  # what was exhausted has ended in the middle of something


class Deliveries:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def want(self, wants: Sequence[Want], now: datetime) -> list[Owed]:
        """Each library is owed this revision of the person, by its verb; the bells of some are rung.

        A newer want takes the place of an older one. It reopens what was refused or exhausted, starts the
        count of attempts anew and never touches a lease: whoever is at work finishes, and then it is due.
        A doubt outlives it: the library is read first. Of two wants that are both owed the earlier rank stays;
        a deletion after a replacement that is still owed runs as a deletion, and leaves the rest due.
        """
        if not wants:
            return []
        rows = [
            {
                "library": one.library,
                "person_id": one.person,
                "wanted": one.revision,
                "wanted_faces": one.faces,
                "wanted_at": now,
                "verb": one.verb,
                "rank": one.rank,
                "state": "due",
                "due_at": now,
                "busy_until": one.rung_until,
            }
            for one in sorted(wants, key=lambda one: (one.library, one.person))
        ]
        self._hold({one.person for one in wants})
        rung = {(one.library, one.person): one.rung_until for one in wants}
        answer = self._connection.execute(_want(self._connection.dialect.name), rows)
        return [
            Owed(
                LibraryName(row.library),
                PersonId(row.person_id),
                row.id,
                rung=row.busy_until is not None and row.busy_until == rung[row.library, row.person_id],
            )
            for row in answer
        ]

    def _hold(self, people: Collection[PersonId]) -> None:
        """Lock what is owed of these people in the order of its numbers, as whoever settles does: the rows of a want
        go in by library and person, and two that lock several in two orders wait for each other."""
        if self._connection.dialect.name == "postgresql":  # elsewhere there is one writer at a time
            self._connection.execute(_HOLD, {"people": sorted(people)})

    def want_all(self, library: LibraryName, those: Sequence[PersonId], *, rank: datetime, now: datetime) -> int:
        """Owe those of these locked people who have a face to a library that is not owed them yet; returns how many."""
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
            .where(people.c.id.in_(list(those)))
            .group_by(people.c.id, people.c.revision)
        )
        columns = ["library", "person_id", "wanted", "wanted_faces", *fresh]
        statement = insert(self._connection.dialect.name, deliveries).from_select(columns, present)
        statement = statement.on_conflict_do_nothing(index_elements=["library", "person_id"])
        return self._connection.execute(statement.execution_options(preserve_rowcount=True)).rowcount

    def claim(
        self,
        library: LibraryName,
        ids: Sequence[int],
        *,
        lease: str,
        now: datetime,
        until: datetime,
        labels: bool = True,
    ) -> list[Claimed]:
        """Take those of `ids` that are due and nobody else's, in a library that is open for business.

        Where a library keeps `labels`, adds may be under way from now on; elsewhere only from `begin_adds` on.
        """
        values = {
            "lib": library,
            "now": now,
            "until": until,
            "to_lease": lease,
            "ids": list(ids),
            "labels": int(labels),
        }
        return [claimed(row) for row in self._connection.execute(TAKE, values)]

    def claim_more(
        self, library: LibraryName, verb: str, limit: int, *, lease: str, now: datetime, until: datetime
    ) -> list[Claimed]:
        """Take up to `limit` more due deliveries of the same kind, the most urgent first, to fill a bundle."""
        due = {"lib": library, "now": now, "most": limit, "kind": verb}
        ids = self._connection.scalars(DUE_OF_A_KIND, due).all()
        return self.claim(library, ids, lease=lease, now=now, until=until) if ids else []

    def begin_adds(self, owed: int, lease: str, adds: int) -> bool:
        """From now on so many adds may be under way. False: the lease is not ours any more."""
        mine = update(deliveries).where(_d.id == owed, _d.lease == lease).values(leased_faces=adds)
        return self._connection.execute(mine).rowcount > 0

    def release(self, ids: Sequence[int], *, lease: str, due_at: datetime) -> None:
        """Give claimed deliveries back untried: the attempt is not counted."""
        mine = update(deliveries).where(_d.id.in_(list(ids)), _d.lease == lease)
        self._connection.execute(
            mine.values(lease=None, leased_until=None, busy_until=None, attempts=_d.attempts - 1, due_at=due_at)
        )

    def settle(self, ends: Sequence[Ending], now: datetime) -> list[int]:
        """End leases. Returns the deliveries that were not ours any more: nothing was written to them, and
        somebody must look again."""
        numbers = [one.delivery for one in ends]
        leases = {row.id: row.lease for row in self._connection.execute(LEASES, {"ids": numbers})}
        rows = [_ending(one, now) for one in ends if leases.get(one.delivery) == one.lease]
        if rows:
            self._connection.execute(SETTLE, rows)
        return [one.delivery for one in ends if leases.get(one.delivery) != one.lease]

    def look_again(self, owed: int, now: datetime) -> None:
        """What the library holds must be read before the next try: somebody settled after losing the lease, or an
        operator asks for it.

        Whoever holds the lease now keeps its time and loses its token, so that their own ending comes here
        too: they may have read the library before the late one was done with it.
        """
        held_by_another = _d.lease.is_not(None)
        self._connection.execute(
            update(deliveries)
            .where(_d.id == owed)
            .values(
                state="doubtful",
                due_at=now,
                attempts=case((_d.attempts >= MAX_ATTEMPTS, MAX_ATTEMPTS - 1), else_=_d.attempts),
                lease=None,
                leased_until=case((held_by_another, _d.leased_until), else_=None),
                busy_until=case((held_by_another, _d.busy_until), else_=None),
            )
        )

    def ring(self, library: LibraryName, limit: int, *, now: datetime, until: datetime) -> list[tuple[int, str]]:
        """Pick up to `limit` due deliveries, the most urgent first, and mark them as rung until `until`."""
        ids = self._connection.scalars(DUE, {"lib": library, "now": now, "most": limit}).all()
        rows = self._connection.execute(RING, {"ids": ids, "until": until}).all() if ids else []
        return [(row.id, row.verb) for row in sorted(rows, key=lambda row: row.rank)]

    def busy(self, library: LibraryName, now: datetime) -> int:
        """How many are rung or leased at this moment."""
        return int(self._connection.scalar(BUSY, {"lib": library, "now": now}) or 0)

    def busy_in(self, names: Collection[LibraryName], now: datetime) -> dict[LibraryName, int]:
        """The same for several libraries in one question."""
        mine = _d.library.in_(list(names)) & _d.busy_until.is_not(None) & (_d.busy_until > now)
        counted = select(_d.library, func.count()).where(mine).group_by(_d.library)
        return {LibraryName(name): count for name, count in self._connection.execute(counted)}

    def leased(self, library: LibraryName, now: datetime) -> int:
        """How many are under way at this moment."""
        mine = (_d.library == library) & _d.busy_until.is_not(None) & (_d.leased_until > now)
        return int(self._connection.scalar(select(func.count()).where(mine)) or 0)

    def leases(self) -> set[str]:
        """The leases that somebody holds."""
        held = select(_d.lease).where(_d.busy_until.is_not(None), _d.lease.is_not(None)).distinct()
        return set(self._connection.scalars(held))

    def end_leases(self, library: LibraryName, leases: Collection[str], *, now: datetime, until: datetime) -> int:
        """Let these leases run out at `until`, for their holder is dead. They take up no room from now on, and what
        they were for is read before the next try."""
        dead = update(deliveries).where(
            _d.busy_until.is_not(None), _d.lease.in_(list(leases)), _d.library == library, _d.leased_until > until
        )
        return self._connection.execute(dead.values(leased_until=until, busy_until=now, due_at=until)).rowcount

    def exhaust(self, now: datetime) -> list[PersonId]:
        """Close deliveries whose worker died on their last attempt; returns whose they were."""
        lost = update(deliveries).where(
            _d.library.in_(select(libraries.c.name)),  # with the next line: found by what is busy, not by what is owed
            _d.busy_until.is_not(None),
            _d.busy_until <= now,
            IS_OPEN,
            _d.attempts >= MAX_ATTEMPTS,
            _d.leased_until.is_not(None),
            _d.leased_until <= now,
        )
        words = "the worker stopped in the middle of every attempt; look into its log, then `syncsvc person resync`"
        closed = self._connection.scalars(
            lost.values(
                state="exhausted",
                reason="worker_lost",
                detail=words,
                due_at=now,
                lease=None,
                leased_until=None,
                busy_until=None,
                doubted_revision=SINCE_WHEN_IN_DOUBT,
                doubted_adds=_d.doubted_adds + _d.leased_faces,
            ).returning(_d.person_id)
        )
        return [PersonId(person) for person in closed]

    def in_doubt(self, people: Collection[PersonId]) -> set[PersonId]:
        """Those of whom some library may hold more than we were told: an errand is under way, or its answer was
        lost."""
        open_ = or_(_d.leased_until.is_not(None), _d.state == "doubtful", _d.doubted_revision.is_not(None))
        mine = select(_d.person_id).where(_d.person_id.in_(list(people)), open_).distinct()
        return {PersonId(person) for person in self._connection.scalars(mine)} if people else set()

    def ever_told(self, people: Collection[PersonId]) -> dict[PersonId, set[LibraryName]]:
        """Which libraries were ever owed something of these people, or held a face; nobody is missing from the
        answer."""
        found: dict[PersonId, set[LibraryName]] = {person: set() for person in people}
        for row in self._connection.execute(ever_told(people)) if people else ():
            found[PersonId(row.person_id)].add(LibraryName(row.library))
        return found

    def of_person(self, person: PersonId) -> list[Delivery]:
        rows = self._connection.execute(select(deliveries).where(_d.person_id == person).order_by(_d.library))
        return [delivery(row) for row in rows]

    def of_people(self, people: Collection[PersonId]) -> dict[PersonId, list[Delivery]]:
        """The same for several at once; nobody who is owed nothing is among them."""
        mine = select(deliveries).where(_d.person_id.in_(sorted(people))).order_by(_d.library)
        found: dict[PersonId, list[Delivery]] = {}
        for row in self._connection.execute(mine):
            found.setdefault(PersonId(row.person_id), []).append(delivery(row))
        return found

    def unsettled(self) -> dict[LibraryName, dict[str, int]]:
        """Library -> state -> how many, for every state but synced."""
        counted = select(_d.library, _d.state, func.count()).where(_d.state != "synced").group_by(_d.library, _d.state)
        found: dict[LibraryName, dict[str, int]] = {}
        for library, state, count in self._connection.execute(counted):
            found.setdefault(LibraryName(library), {})[state] = count
        return found

    def oldest_wait(self) -> dict[LibraryName, datetime]:
        """Library -> since when its longest-waiting open delivery has been wanted."""
        oldest = select(_d.library, func.min(_d.wanted_at)).where(IS_OPEN).group_by(_d.library)
        return {LibraryName(library): since for library, since in self._connection.execute(oldest)}


def ever_told(people: Collection[PersonId]) -> Select[Any]:
    """Person and library, where the library was ever owed something of the person or held a face of theirs; and how
    many of the vendor's face ids were ever theirs. By library first: the faces are found by an index so."""
    theirs = sorted(people)
    owed = select(_d.person_id, _d.library, literal_column("0").label("faces")).where(_d.person_id.in_(theirs))
    held = (
        select(bindings.c.person_id, bindings.c.library, func.count().label("faces"))
        .join(libraries, libraries.c.name == bindings.c.library)
        .where(bindings.c.person_id.in_(theirs))
        .group_by(bindings.c.person_id, bindings.c.library)
    )
    both = union_all(owed, held).subquery()
    together = func.sum(both.c.faces).label("faces")
    return select(both.c.person_id, both.c.library, together).group_by(both.c.person_id, both.c.library)


def _word(text: str) -> Any:
    return literal_column(f"'{text}'")


@cache
def _want(dialect: str) -> Any:
    """Built once: it runs for every change and every library.

    Every constant is spelled out: with a value to come among them, SQLAlchemy would send row by row.
    """
    statement = insert(dialect, deliveries)
    new, still_owed = statement.excluded, IS_OPEN
    in_doubt = or_(_d.state.in_([_word(state) for state in IN_DOUBT]), _d.doubted_revision.is_not(None))
    values = {
        "wanted": new.wanted,
        "wanted_faces": new.wanted_faces,
        "wanted_at": case((still_owed, _d.wanted_at), else_=new.wanted_at),
        "verb": new.verb,
        "rank": case((and_(still_owed, _d.rank < new.rank), _d.rank), else_=new.rank),
        "state": case((in_doubt, _word("doubtful")), else_=_word("due")),
        "due_at": new.due_at,
        "busy_until": case((_d.leased_until.is_not(None), _d.busy_until), else_=new.busy_until),
        "attempts": literal_column("0"),
        "reason": null(),
        "detail": null(),
        "face_id": null(),
    }
    statement = statement.on_conflict_do_update(index_elements=["library", "person_id"], set_=values)
    # Few rows a statement: its text is then short enough for the driver to know it again, and for the database to
    # have it prepared. All in one cost half as much again.
    few = statement.execution_options(insertmanyvalues_page_size=8)
    return few.returning(_d.library, _d.person_id, _d.id, _d.busy_until)


def _ending(one: Ending, now: datetime) -> dict[str, object]:
    ends = one.settlement
    return {
        "owed": one.delivery,
        "of_lease": one.lease,
        "seen": one.seen,
        "now": now,
        "to_state": ends.state,
        "to_verb": ends.verb,
        "to_due_at": ends.due_at,
        "to_rank": ends.rank,
        "to_attempts": ends.attempts,
        "to_reason": ends.reason,
        "to_detail": ends.detail,
        "to_face": ends.face,
        "to_doubted_revision": ends.doubt.revision if ends.doubt else None,
        "to_doubted_adds": ends.doubt.adds if ends.doubt else 0,
    }
