"""The configured libraries as the database knows them: whether they work, and the breaker."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, or_, select, update

from syncsvc.model.people import LibraryName
from syncsvc.store.dialect import insert
from syncsvc.store.tables import libraries


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


class Libraries:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def declare(self, configured: Mapping[LibraryName, tuple[str, str]], now: datetime) -> None:
        """Make the table agree with the configuration: name -> (vendor, policy). A library that is no longer
        configured keeps its row, its bindings and its history."""
        for name, (vendor, policy) in sorted(configured.items()):
            values = {"vendor": vendor, "policy": policy, "configured": 1}
            row = {"name": name, "since": now, **values}
            statement = insert(self._connection.dialect.name, libraries).values(row)
            self._connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))
        gone = libraries.c.name.not_in(list(configured))
        self._connection.execute(update(libraries).where(gone).values(configured=0))

    def all(self) -> list[LibraryState]:
        return [_state(row) for row in self._connection.execute(select(libraries).order_by(libraries.c.name))]

    def get(self, name: LibraryName) -> LibraryState | None:
        row = self._connection.execute(select(libraries).where(libraries.c.name == name)).one_or_none()
        return None if row is None else _state(row)

    def receiving(self) -> list[LibraryName]:
        """The libraries that are owed changes, in the one order in which their deliveries are locked."""
        mine = (libraries.c.configured == 1) & (libraries.c.policy != "observe")
        return [
            LibraryName(name)
            for name in self._connection.scalars(select(libraries.c.name).where(mine).order_by(libraries.c.name))
        ]

    def set_state(
        self, name: LibraryName, state: str, now: datetime, *, reason: str | None = None, detail: str | None = None
    ) -> bool:
        """Pause, halt or activate; activating also closes the breaker. False: it was so already."""
        values: dict[str, object] = {"state": state, "reason": reason, "detail": detail, "since": now}
        if state == "active":
            values |= {"failures": 0, "open_until": None}
        mine = (libraries.c.name == name) & (libraries.c.state != state)
        return self._connection.execute(update(libraries).where(mine).values(values)).rowcount > 0

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
        self._connection.execute(update(libraries).where(libraries.c.name == name).values(failures=0, open_until=None))


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
    )
