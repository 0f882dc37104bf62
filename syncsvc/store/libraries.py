"""The configured libraries as the database knows them: whether they work, and the breaker."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, case, func, literal, or_, select, update

from syncsvc.model.people import LibraryName
from syncsvc.model.urgency import Urgency, rank
from syncsvc.store.deliveries import IN_DOUBT
from syncsvc.store.dialect import insert
from syncsvc.store.statements import IS_OPEN
from syncsvc.store.tables import deliveries, faces, libraries, people


@dataclass(frozen=True, slots=True)
class LibraryState:
    """`state` is active, paused or halted. `failures` are in a row; `open_until` is the breaker's."""

    name: LibraryName
    vendor: str
    policy: str
    configured: bool
    state: str
    reason: str | None
    detail: str | None
    since: datetime
    failures: int
    open_until: datetime | None
    reconciled_at: datetime | None
    retiring_at: datetime | None = None
    retired_at: datetime | None = None

    @property
    def receives(self) -> bool:
        """Whether it is owed changes."""
        return self.configured and self.policy != "observe"

    @property
    def wants_nobody(self) -> bool:
        """Whether it is retired, or about to be: whoever is in it is to be taken out."""
        return self.retiring_at is not None


class Libraries:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def declare(self, configured: Mapping[LibraryName, tuple[str, str]], now: datetime) -> None:
        """Make the table agree with the configuration: name -> (vendor, policy). A library that is no longer
        configured keeps its row, its bindings and its history. One that is owed changes again is owed what it
        missed of the people that it was ever told of."""
        held = self._connection.execute(select(libraries).order_by(libraries.c.name).with_for_update()).all()
        before = {row.name: bool(row.configured) and row.policy != "observe" for row in held}
        for name, (vendor, policy) in sorted(configured.items()):
            values = {"vendor": vendor, "policy": policy, "configured": 1}
            row = {"name": name, "since": now, **values}
            statement = insert(self._connection.dialect.name, libraries).values(row)
            self._connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))
        gone = libraries.c.name.not_in(list(configured))
        self._connection.execute(update(libraries).where(gone).values(configured=0))
        for name in self.receiving():
            if not before.get(name, True):
                self._owe_again(name, now)

    def all(self) -> list[LibraryState]:
        return [_state(row) for row in self._connection.execute(select(libraries).order_by(libraries.c.name))]

    def get(self, name: LibraryName) -> LibraryState | None:
        row = self._connection.execute(select(libraries).where(libraries.c.name == name)).one_or_none()
        return None if row is None else _state(row)

    def receiving(self) -> list[LibraryName]:
        """The libraries that are owed changes, in the one order in which their deliveries are locked."""
        return self._names(libraries.c.policy != "observe", libraries.c.retiring_at.is_(None))

    def retiring(self) -> list[LibraryName]:
        """Those that are owed nothing but departures of people who were sent to them once, in the same order."""
        return self._names(libraries.c.policy == "sync", libraries.c.retiring_at.is_not(None))

    def _names(self, *conditions: ColumnElement[bool]) -> list[LibraryName]:
        mine = select(libraries.c.name).where(libraries.c.configured == 1, *conditions).order_by(libraries.c.name)
        return [LibraryName(name) for name in self._connection.scalars(mine)]

    def _owe_again(self, name: LibraryName, now: datetime) -> None:
        """Owe a library what became of its people while it was told nothing; a lease or a doubt outlives that."""
        owed, person = deliveries.c, deliveries.c.person_id
        revision = select(people.c.revision).where(people.c.id == person).scalar_subquery()
        count = select(func.count()).where(faces.c.person_id == person).scalar_subquery()
        gone, still_owed = count == 0, IS_OPEN
        urgency = case(
            (gone, literal(rank(Urgency.DEPARTURE, now), owed.rank.type)),
            else_=literal(rank(Urgency.REPAIR, now), owed.rank.type),
        )
        doubted = or_(owed.state.in_(IN_DOUBT), owed.doubted_revision.is_not(None))
        missed = update(deliveries).where(owed.library == name, owed.wanted < revision)
        self._connection.execute(
            missed.values(
                wanted=revision,
                wanted_faces=count,
                wanted_at=case((still_owed, owed.wanted_at), else_=now),
                verb=case((gone, "delete"), else_="replace"),
                rank=case((and_(still_owed, owed.rank < urgency), owed.rank), else_=urgency),
                state=case((doubted, "doubtful"), else_="due"),
                due_at=now,
                busy_until=case((owed.leased_until.is_not(None), owed.busy_until), else_=None),
                attempts=0,
                reason=None,
                detail=None,
                face_id=None,
            )
        )

    def set_state(
        self, name: LibraryName, state: str, now: datetime, *, reason: str | None = None, detail: str | None = None
    ) -> bool:
        """Pause, halt or activate; activating also closes the breaker. False: it was so already."""
        values: dict[str, object] = {"state": state, "reason": reason, "detail": detail, "since": now}
        if state == "active":
            values |= {"failures": 0, "open_until": None}
        mine = (libraries.c.name == name) & (libraries.c.state != state)
        return self._connection.execute(update(libraries).where(mine).values(values)).rowcount > 0

    def note_reconciled(self, name: LibraryName, now: datetime) -> None:
        """Everything that the last reading has shown to be wrong is owed, or known."""
        self._connection.execute(update(libraries).where(libraries.c.name == name).values(reconciled_at=now))

    def note_failure(self, name: LibraryName, now: datetime, *, probe: bool) -> int | None:
        """One more failure of the library itself; returns how many in a row.

        None: the breaker is open already. Whatever was under way when it opened fails too and says nothing
        new, and would keep a busy library closed for longer than a quiet one. A probe always counts.
        """
        mine = libraries.c.name == name
        if not probe:
            mine &= or_(libraries.c.open_until.is_(None), libraries.c.open_until <= now)
        counted = update(libraries).where(mine).values(failures=libraries.c.failures + 1)
        failures: int | None = self._connection.scalar(counted.returning(libraries.c.failures))
        return failures

    def open_breaker(self, name: LibraryName, until: datetime) -> None:
        """Send nothing before `until`; the time that a probe had been given ends with it."""
        self._connection.execute(update(libraries).where(libraries.c.name == name).values(open_until=until))

    def take_probe(self, name: LibraryName, now: datetime, until: datetime) -> bool:
        """Claim the one probe after the breaker's time is over; False: somebody else has it."""
        mine = (libraries.c.name == name) & (libraries.c.open_until <= now)
        return self._connection.execute(update(libraries).where(mine).values(open_until=until)).rowcount > 0

    def return_probe(self, name: LibraryName, now: datetime) -> None:
        """The probe was never sent: somebody else may probe at once."""
        self._connection.execute(update(libraries).where(libraries.c.name == name).values(open_until=now))

    def note_answer(self, name: LibraryName) -> None:
        """The library answered: it works, whatever it said."""
        failed = (libraries.c.name == name) & (libraries.c.failures > 0)
        self._connection.execute(update(libraries).where(failed).values(failures=0, open_until=None))


def _state(row: Row[Any]) -> LibraryState:
    return LibraryState(
        name=LibraryName(row.name),
        vendor=row.vendor,
        policy=row.policy,
        configured=bool(row.configured),
        state=row.state,
        reason=row.reason,
        detail=row.detail,
        since=row.since,
        failures=row.failures,
        open_until=row.open_until,
        reconciled_at=row.reconciled_at,
        retiring_at=row.retiring_at,
        retired_at=row.retired_at,
    )
