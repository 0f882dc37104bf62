"""Employees to be fetched: told, taken, told again in mid-fetch, done."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, select

from syncsvc.model.people import PersonId, Revision
from syncsvc.store import Store
from syncsvc.store.changes import Closing
from syncsvc.store.invalidations import AT_ONCE, GATHERED, Invalidated
from syncsvc.store.tables import invalidations
from tests.conftest import MovableClock
from tests.store.ground import enter

LEASE = timedelta(seconds=60)


class Desk:
    """Short verbs; every one is one transaction."""

    def __init__(self, store: Store, clock: MovableClock) -> None:
        self.store, self.clock = store, clock

    def note(self, *employees: str, webhook: str = "hr") -> None:
        """And the second is over in which tellings are gathered."""
        with self.store.transaction() as tx:
            tx.invalidations.note(webhook, employees, self.clock() - GATHERED)

    def claim(self, webhook: str = "hr") -> Invalidated | None:
        with self.store.transaction() as tx:
            return tx.invalidations.claim(webhook, self.clock(), self.clock() + LEASE)

    def take(self) -> Invalidated:
        taken = self.claim()
        assert taken is not None
        return taken

    def done(self, taken: Invalidated) -> bool:
        with self.store.transaction() as tx:
            return tx.invalidations.done(taken)

    def held(self, taken: Invalidated) -> int | None:
        with self.store.transaction() as tx:
            return tx.invalidations.held(taken)

    def fail(self, taken: Invalidated, due_at: datetime, *, exhausted: bool = False) -> None:
        with self.store.transaction() as tx:
            tx.invalidations.fail(
                taken,
                due_at=due_at,
                attempts=taken.attempts,
                reason="garbage",
                detail="nobody can read it",
                exhausted=exhausted,
            )

    def rows(self) -> list[Any]:
        with self.store.reading() as tx:
            return list(tx._connection.execute(select(invalidations).order_by(invalidations.c.employee)))


@pytest.fixture
def desk(store: Store, clock: MovableClock) -> Desk:
    return Desk(store, clock)


def test_who_was_told_of_is_taken_once_and_gone_when_done(desk: Desk) -> None:
    desk.note("7")

    taken = desk.take()

    assert (taken.employee, taken.generation, taken.attempts) == ("7", 1, 1)
    assert desk.claim() is None
    assert desk.done(taken)
    assert desk.rows() == []


def test_told_many_times_before_the_fetch_is_one_fetch(desk: Desk) -> None:
    for _ in range(5):
        desk.note("7", "7")

    taken = desk.take()

    assert taken.generation == 5
    assert desk.done(taken)
    assert desk.claim() is None


def test_a_telling_in_mid_fetch_is_fetched_anew_and_not_before_the_first_is_over(desk: Desk) -> None:
    desk.note("7")
    taken = desk.take()

    desk.note("7")

    assert desk.claim() is None
    assert not desk.done(taken)
    assert desk.take().generation == 2


def test_a_telling_in_mid_fetch_forgives_the_failure_of_that_fetch(desk: Desk) -> None:
    desk.note("7")
    taken = desk.take()
    desk.note("7")

    desk.fail(taken, desk.clock() + timedelta(hours=1), exhausted=True)

    again = desk.take()
    assert (again.generation, again.attempts) == (2, 1)


def test_the_longest_due_comes_first_and_each_webhook_has_its_own(desk: Desk) -> None:
    desk.note("later")
    desk.note("elsewhere", webhook="other")
    desk.clock.now -= timedelta(seconds=5)
    desk.note("sooner")
    desk.clock.advance(5)

    assert [desk.take().employee, desk.take().employee] == ["sooner", "later"]
    assert desk.claim() is None
    other = desk.claim("other")
    assert other is not None
    assert other.employee == "elsewhere"


def test_a_dead_workers_employee_is_taken_again_and_the_dead_one_cannot_end_it(desk: Desk) -> None:
    desk.note("7")
    first = desk.take()
    desk.clock.advance(LEASE.total_seconds())

    second = desk.take()

    assert second.attempts == 2
    assert desk.held(first) is None
    assert desk.held(second) == second.generation
    desk.fail(first, desk.clock(), exhausted=True)
    assert [(row.state, row.leased_until) for row in desk.rows()] == [("due", second.leased_until)]


def test_who_failed_waits_and_is_shown(desk: Desk) -> None:
    desk.note("7", "8")
    taken = desk.take()

    desk.fail(taken, desk.clock() + timedelta(seconds=30))

    desk.take()
    assert desk.claim() is None
    with desk.store.reading() as tx:
        (shown,) = tx.invalidations.overdue(10)
    assert (shown.employee, shown.state, shown.reason) == (taken.employee, "due", "garbage")
    desk.clock.advance(30)
    assert desk.take().attempts == 2


def test_the_exhausted_wait_for_a_new_telling(desk: Desk) -> None:
    desk.note("7")
    desk.fail(desk.take(), desk.clock(), exhausted=True)
    desk.clock.advance(1_000_000)

    assert desk.claim() is None
    desk.note("7")

    assert desk.take().attempts == 1
    with desk.store.reading() as tx:
        assert tx.invalidations.overdue(10) == []


def test_more_than_one_statement_takes_are_noted_all(desk: Desk) -> None:
    desk.note(*(str(number) for number in range(AT_ONCE + 1)))

    assert len(desk.rows()) == AT_ONCE + 1


def test_nobody_is_fetched_by_two(desk: Desk) -> None:
    desk.note(*(f"e{number}" for number in range(30)))
    start = threading.Barrier(4)

    def work(_: int) -> list[str]:
        start.wait()
        return [taken.employee for _ in range(10) if (taken := desk.claim()) is not None]

    with ThreadPoolExecutor(4) as pool:
        taken = Counter(one for mine in pool.map(work, range(4)) for one in mine)

    assert set(taken.values()) == {1}


def test_what_was_told_of_an_employee_gets_the_effect_of_the_fetch(store: Store, clock: MovableClock) -> None:
    with store.transaction() as tx:
        entered = {
            name: enter(tx, source, name, kind="employee.changed", person=PersonId(employee), version=None, now=clock())
            for name, source, employee in (("a", "hr", "7"), ("b", "hr", "8"), ("c", "other", "7"), ("d", "hr", "7"))
        }
        for name in ("a", "b", "c"):
            tx.changes.close([Closing(entered[name] or "", "fetching", None)])

    with store.transaction() as tx:
        tx.changes.fetched("hr", "7", PersonId("E-7"), "applied", Revision(3))

    with store.reading() as tx:
        found = {name: tx.changes.get(entered[name] or "") for name in entered}
    seen = {name: (one.person, one.effect, one.revision) for name, one in found.items() if one is not None}
    assert seen == {
        "a": ("E-7", "applied", 3),
        "b": ("8", "fetching", None),
        "c": ("7", "fetching", None),
        "d": ("7", "unchanged", None),
    }


def test_looking_for_what_is_due_reads_an_index_and_no_table(store: Store, clock: MovableClock) -> None:
    if store.engine.dialect.name != "sqlite":
        pytest.skip("the plan of an empty PostgreSQL table says nothing")
    seen: list[str] = []
    event.listen(store.engine, "before_cursor_execute", lambda _c, _cursor, said, *_more: seen.append(said))

    with store.transaction() as tx:
        tx.invalidations.claim("hr", clock(), clock() + LEASE)

    (claim,) = (one for one in seen if "FROM invalidations" in one)
    with store.reading() as tx:
        rows = tx._connection.exec_driver_sql("EXPLAIN QUERY PLAN " + claim, ("x",) * claim.count("?"))
        plan = " ".join(str(row) for row in rows)
    assert "ix_invalidations_due (webhook=? AND due_at<?)" in plan


def test_what_is_told_within_a_second_is_one_fetch(desk: Desk) -> None:
    desk.clock.now += GATHERED
    desk.note("7")
    desk.clock.now -= GATHERED

    assert desk.claim() is None
    desk.note("7")
    desk.clock.now += GATHERED

    assert desk.take().generation == 2


def test_who_an_employee_is_to_us_is_remembered_until_it_changes(desk: Desk) -> None:
    def person() -> str | None:
        with desk.store.reading() as tx:
            return tx.invalidations.person("hr", "7")

    def remember(person: str | None) -> None:
        with desk.store.transaction() as tx:
            tx.invalidations.set_person("hr", "7", None if person is None else PersonId(person))

    assert person() is None
    remember("E-7")
    remember("E-8")
    assert person() == "E-8"
    remember("7")
    assert person() is None
