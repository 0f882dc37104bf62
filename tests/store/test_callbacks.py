"""Watches and the messages that come of them, as rows: found by an index, and locked by nobody for long."""

import re
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, text

from syncsvc.model.callbacks import Notice
from syncsvc.model.people import PersonId
from syncsvc.store import Store, Transaction
from syncsvc.store.callbacks import Target
from syncsvc.store.tables import callbacks, watches
from syncsvc.store.vault import Vault
from syncsvc.store.watches import FIRST_LOOK, Watch
from tests.conftest import DATABASES, MovableClock
from tests.store.ground import ALICE, BOB, enter
from tests.store.test_plans import plans_of

ROWS = 4000
NAMES = frozenset({"hr"})
MINUTE = timedelta(minutes=1)
ASKS: dict[str, Callable[[Transaction, MovableClock], Any]] = {
    "look_at": lambda tx, clock: tx.watches.look_at([PersonId("person-7"), PersonId("person-8")], clock()),
    "any_due": lambda tx, clock: tx.watches.any_due(clock()),
    "take": lambda tx, clock: tx.watches.take(clock(), 10),
    "end": lambda tx, _: tx.watches.end([f"{7:032x}"]),
    "ready": lambda tx, clock: tx.callbacks.ready(NAMES, clock()),
    "due": lambda tx, clock: tx.callbacks.due("hr", clock(), 8),
    "waiting": lambda tx, _: tx.callbacks.waiting(NAMES),
}
_WHOLE = re.compile(r"(Seq Scan on|SCAN) (watches|callbacks)\b")


@pytest.fixture
def watching(database_url: str, vault: Vault) -> Iterator[Store]:
    opened = Store(database_url, vault, watching=True)
    yield opened
    opened.close()


def told(store: Store, clock: MovableClock, person: PersonId, source_id: str, *, watch: bool = True) -> str:
    """A change that was entered and closed, and is watched."""
    with store.transaction() as tx:
        change = enter(tx, "hr", source_id, kind="person.upserted", person=person, version=None, now=clock())
        assert change is not None
        if watch:
            tx.watches.watch([change], clock())
    return change


def taken(store: Store, clock: MovableClock) -> list[str]:
    with store.transaction() as tx:
        return [one.change for one in tx.watches.take(clock(), 10)]


def test_a_change_is_looked_at_soon_and_again_when_something_ends_for_its_person(
    watching: Store, clock: MovableClock
) -> None:
    change = told(watching, clock, ALICE, "1")
    other = told(watching, clock, BOB, "2")
    assert taken(watching, clock) == []

    with watching.transaction() as tx:
        tx.watches.look_at([ALICE], clock())
    at_once = taken(watching, clock)
    clock.advance(FIRST_LOOK.total_seconds())

    assert at_once == [change]
    assert sorted(taken(watching, clock)) == sorted([change, other])


def test_what_was_looked_at_rests_until_its_time_with_what_was_told_of_it(watching: Store, clock: MovableClock) -> None:
    change = told(watching, clock, ALICE, "1")
    clock.advance(FIRST_LOOK.total_seconds())
    with watching.transaction() as tx:
        tx.watches.keep({change: {"refused gate"}}, clock() + MINUTE)
    assert taken(watching, clock) == []

    clock.advance(MINUTE.total_seconds())
    with watching.transaction() as tx:
        looked_at = tx.watches.take(clock(), 10)

    assert looked_at == [Watch(change, frozenset({"refused gate"}))]


def test_watching_twice_is_watching_once(watching: Store, clock: MovableClock) -> None:
    change = told(watching, clock, ALICE, "1")
    with watching.transaction() as tx:
        tx.watches.keep({change: {"refused gate"}}, clock() + MINUTE)
        tx.watches.watch([change], clock())
    clock.advance(MINUTE.total_seconds())

    with watching.transaction() as tx:
        assert tx.watches.take(clock(), 10) == [Watch(change, frozenset({"refused gate"}))]


@pytest.mark.parametrize("database", [DATABASES[1]], indirect=True)
def test_who_looks_waits_for_nobody_who_settles_and_misses_nothing(watching: Store, clock: MovableClock) -> None:
    change = told(watching, clock, ALICE, "1")
    clock.advance(FIRST_LOOK.total_seconds())
    with watching.transaction() as settling:
        settling.watches.look_at([ALICE], clock() - MINUTE)

        meanwhile = taken(watching, clock)

    assert (meanwhile, taken(watching, clock)) == ([], [change])


def test_what_ends_while_somebody_looks_is_looked_at_again(watching: Store, clock: MovableClock) -> None:
    change = told(watching, clock, ALICE, "1")
    clock.advance(FIRST_LOOK.total_seconds())

    def settle() -> None:
        with watching.transaction() as tx:
            tx.watches.look_at([ALICE], clock())

    settling = threading.Thread(target=settle)
    with watching.transaction() as tx:
        tx.watches.take(clock(), 10)
        settling.start()
        settling.join(0.5)  # it ends here only where it does not wait, as it must
        tx.watches.keep({change: ()}, clock() + MINUTE)
    settling.join()

    assert taken(watching, clock) == [change]


def test_where_nobody_is_to_be_told_nothing_is_watched(store: Store, clock: MovableClock) -> None:
    told(store, clock, ALICE, "1")
    clock.advance(FIRST_LOOK.total_seconds())

    assert taken(store, clock) == []


def test_a_message_is_owed_only_with_what_it_tells_of(store: Store, clock: MovableClock) -> None:
    def die() -> None:
        with store.transaction() as tx:
            tx.callbacks.owe(NAMES, [Notice("change.converged", {})], clock())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        die()

    with store.reading() as tx:
        assert tx.callbacks.due("hr", clock(), 10) == []


def test_one_sends_to_an_address_until_the_time_is_over(store: Store, clock: MovableClock) -> None:
    until = clock() + MINUTE

    def serve() -> Target | None:
        with store.transaction() as tx:
            return tx.callbacks.serve("hr", clock(), clock() + MINUTE)

    first, second = serve(), serve()
    clock.advance(60)
    third = serve()

    assert (first, second) == (Target("hr", until), None)
    assert third == Target("hr", until + MINUTE)
    with store.transaction() as tx:
        assert tx.callbacks.note(Target("hr"), served_until=until) is False
        assert tx.callbacks.note(Target("hr"), served_until=until + MINUTE) is True


@pytest.fixture
def crowd(watching: Store, clock: MovableClock) -> Store:
    """Thousands of watches and messages: nearly all at rest, or delivered."""
    rests = clock() + timedelta(hours=1)
    watched = [
        {
            "change_id": f"{number:032x}",
            "person_id": f"person-{number}",
            "check_at": clock() if number % 100 == 0 else rests,
            "created_at": clock(),
        }
        for number in range(ROWS)
    ]
    owed = [
        {
            "id": f"{number:032x}",
            "callback": "hr",
            "type": "change.converged",
            "body": "{}",
            "created_at": clock(),
            "due_at": clock(),
            "state": "due" if number % 50 == 0 else "delivered",
        }
        for number in range(ROWS)
    ]
    with watching.transaction() as tx:
        tx._connection.execute(insert(watches), watched)
        tx._connection.execute(insert(callbacks), owed)
    with watching.transaction() as tx:
        tx._connection.execute(text("ANALYZE"))
    return watching


def test_nothing_that_runs_every_second_reads_a_whole_table(crowd: Store, clock: MovableClock) -> None:
    plans = {name: plans_of(crowd, clock, ask) for name, ask in ASKS.items()}

    assert all(plans.values())
    reads = {
        name: [line for plan in those for line in plan.splitlines() if _whole(line)] for name, those in plans.items()
    }
    assert {name: lines for name, lines in reads.items() if lines} == {}


def _whole(line: str) -> bool:
    return _WHOLE.search(line) is not None and "USING" not in line
