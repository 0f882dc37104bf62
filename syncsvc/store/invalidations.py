"""Employees of whom an HR system said no more than that something changed: one row each, until they are fetched."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    case,
    delete,
    func,
    literal_column,
    null,
    or_,
    select,
    update,
)

from syncsvc.model.people import PersonId
from syncsvc.store.dialect import insert
from syncsvc.store.tables import employees, invalidations

GATHERED = timedelta(seconds=1)  # senders tell of one change several times, and number some of them alike
AT_ONCE = 500  # rows of one statement: SQLite takes so many values and not many more

_i = invalidations
# Spelled out like the partial index's own condition: with a value to come, nobody would see that it is the same.
_IS_DUE = _i.c.state == literal_column("'due'")


@dataclass(frozen=True, slots=True)
class Invalidated:
    """An employee taken to be fetched. `leased_until` marks the lease too: whoever takes it next has a later one."""

    webhook: str
    employee: str
    generation: int
    attempts: int
    noted_at: datetime
    leased_until: datetime


@dataclass(frozen=True, slots=True)
class Overdue:
    """An employee who could not be fetched so far, and why. `state`: due (it is tried again) or exhausted."""

    webhook: str
    employee: str
    state: str
    noted_at: datetime
    due_at: datetime
    attempts: int
    reason: str
    detail: str


class Invalidations:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def note(self, webhook: str, told: Collection[str], now: datetime) -> None:
        """These employees are to be fetched, a second from now: whatever is told until then is one fetch.

        Told again, also in the middle of a fetch or after the last attempt, they are due once more, with all
        their attempts before them.
        """
        every = sorted(set(told))  # in one order, so that two tellings never wait for each other
        for start in range(0, len(every), AT_ONCE):
            fresh = {"webhook": webhook, "generation": 1, "noted_at": now, "due_at": now + GATHERED}
            rows = [{**fresh, "employee": one} for one in every[start : start + AT_ONCE]]
            statement = insert(self._connection.dialect.name, invalidations).values(rows)
            again = {
                "generation": _i.c.generation + 1,
                "due_at": now + GATHERED,
                "attempts": 0,
                "state": "due",
                "reason": null(),
                "detail": null(),
            }
            self._connection.execute(
                statement.on_conflict_do_update(index_elements=["webhook", "employee"], set_=again)
            )

    def any_due(self, webhook: str, now: datetime) -> bool:
        return self._connection.execute(_due(webhook, now).limit(1)).first() is not None

    def claim(self, webhook: str, now: datetime, until: datetime) -> Invalidated | None:
        """Take the one that has been due for longest; the attempt counts from here. None: nothing is due."""
        first = _due(webhook, now).order_by(_i.c.due_at).limit(1).with_for_update(skip_locked=True)
        row = self._connection.execute(first).one_or_none()
        if row is None:
            return None
        taken = Invalidated(webhook, row.employee, row.generation, row.attempts + 1, row.noted_at, until)
        self._write(_same(taken), leased_until=until, attempts=taken.attempts)
        return taken

    def held(self, taken: Invalidated) -> int | None:
        """How often we have been told of them by now; the row stays so until the transaction ends. None: the lease is
        not ours any more."""
        mine = select(_i.c.generation).where(_same(taken), _i.c.leased_until == taken.leased_until).with_for_update()
        generation: int | None = self._connection.scalar(mine)
        return generation

    def done(self, taken: Invalidated) -> bool:
        """They have been fetched. False: we were told of them again meanwhile, and they are due once more."""
        unchanged = delete(invalidations).where(_same(taken), _i.c.generation == taken.generation)
        if self._connection.execute(unchanged).rowcount:
            return True
        self._write(_same(taken), leased_until=None)
        return False

    def fail(
        self,
        taken: Invalidated,
        *,
        due_at: datetime,
        attempts: int,
        reason: str | None,
        detail: str | None,
        exhausted: bool,
    ) -> None:
        """They could not be fetched, or not whole. Nothing is written where the lease is not ours any more; and where
        we were told of them again meanwhile, they are due as if nobody had tried."""
        same = _i.c.generation == taken.generation
        self._write(
            and_(_same(taken), _i.c.leased_until == taken.leased_until),
            leased_until=None,
            due_at=case((same, due_at), else_=_i.c.due_at),
            attempts=case((same, attempts), else_=_i.c.attempts),
            state=case((same, "exhausted" if exhausted else "due"), else_=_i.c.state),
            reason=case((same, reason), else_=_i.c.reason),
            detail=case((same, detail), else_=_i.c.detail),
        )

    def person(self, webhook: str, employee: str) -> PersonId | None:
        """Who this employee was to us when they were last fetched, where that was not their own id."""
        same = (employees.c.webhook == webhook) & (employees.c.employee == employee)
        found = self._connection.scalar(select(employees.c.person_id).where(same))
        return None if found is None else PersonId(found)

    def set_person(self, webhook: str, employee: str, person: PersonId | None) -> None:
        """Remember who this employee is to us; None, or their own id, needs no remembering."""
        if person is None or person == employee:
            same = (employees.c.webhook == webhook) & (employees.c.employee == employee)
            self._connection.execute(delete(employees).where(same))
            return
        row = {"webhook": webhook, "employee": employee, "person_id": person}
        statement = insert(self._connection.dialect.name, employees).values(row)
        changed = {"person_id": statement.excluded.person_id}
        self._connection.execute(statement.on_conflict_do_update(index_elements=["webhook", "employee"], set_=changed))

    def failing(self) -> dict[tuple[str, str], int]:
        """(webhook, state) -> how many could not be fetched so far."""
        counted = select(_i.c.webhook, _i.c.state, func.count()).where(_i.c.reason.is_not(None))
        rows = self._connection.execute(counted.group_by(_i.c.webhook, _i.c.state))
        return {(webhook, state): count for webhook, state, count in rows}

    def overdue(self, limit: int, webhook: str | None = None) -> list[Overdue]:
        """Whoever could not be fetched so far, of one webhook or of all, the longest-waiting first."""
        failed = select(_i).where(_i.c.reason.is_not(None)).order_by(_i.c.noted_at, _i.c.employee).limit(limit)
        if webhook is not None:
            failed = failed.where(_i.c.webhook == webhook)
        return [
            Overdue(
                row.webhook,
                row.employee,
                row.state,
                row.noted_at,
                row.due_at,
                row.attempts,
                row.reason,
                row.detail or "",
            )
            for row in self._connection.execute(failed)
        ]

    def _write(self, which: ColumnElement[bool], **values: Any) -> None:
        self._connection.execute(update(invalidations).where(which).values(**values))


def _same(taken: Invalidated) -> ColumnElement[bool]:
    return and_(_i.c.webhook == taken.webhook, _i.c.employee == taken.employee)


def _due(webhook: str, now: datetime) -> Select[Any]:
    free = or_(_i.c.leased_until.is_(None), _i.c.leased_until <= now)
    return select(_i).where(_i.c.webhook == webhook, _IS_DUE, _i.c.due_at <= now, free)
