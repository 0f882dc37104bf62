"""Claims: one delivery is nobody's but one worker's, attempts are counted at once, and a dead worker leaves a doubt."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from syncsvc.model.people import LibraryName, PersonId, Revision
from syncsvc.model.report import Doubt
from syncsvc.model.urgency import MAX_ATTEMPTS, Urgency
from syncsvc.store.rows import Settlement, Want
from tests.conftest import DATABASES
from tests.store.ground import ALICE, BOB, GATE, LEASE, YARD, Table

PAST_THE_LEASE = LEASE.total_seconds() + 1


def test_a_claimed_delivery_is_nobody_elses(table: Table) -> None:
    owed = table.owe(ALICE)

    first, second = table.claim(owed), table.claim(owed)

    assert [one.id for one in first] == [owed]
    assert second == []


@pytest.mark.parametrize("workers", [2, 6])
def test_of_many_at_once_one_gets_each_delivery(table: Table, workers: int) -> None:
    owed = [table.owe(PersonId(f"person-{number}")) for number in range(40)]
    start = threading.Barrier(workers)

    def work(_: int) -> list[int]:
        start.wait()
        return [one.id for number in owed for one in table.claim(number)]

    with ThreadPoolExecutor(workers) as pool:
        taken = Counter(one for mine in pool.map(work, range(workers)) for one in mine)

    assert taken == Counter(owed)


def test_of_many_who_fill_bundles_at_once_one_gets_each_delivery(table: Table) -> None:
    owed = [table.owe(PersonId(f"person-{number}"), "delete", faces=0) for number in range(60)]
    start = threading.Barrier(4)

    def work(worker: int) -> list[int]:
        start.wait()
        mine: list[int] = []
        for _ in range(8):
            now = table.clock()
            with table.store.transaction() as tx:
                more = tx.deliveries.claim_more(GATE, "delete", 5, lease=f"w{worker}", now=now, until=now + LEASE)
            assert len(more) <= 5
            mine += [one.id for one in more]
        return mine

    with ThreadPoolExecutor(4) as pool:
        taken = Counter(one for mine in pool.map(work, range(4)) for one in mine)

    assert taken == Counter(owed)


def test_of_many_who_ring_at_once_nobody_rings_what_another_has(table: Table) -> None:
    owed = [table.owe(PersonId(f"person-{number}")) for number in range(40)]
    start = threading.Barrier(4)

    def work(_: int) -> list[int]:
        start.wait()
        rung: list[int] = []
        for _ in range(10):
            some = table.ring(3)
            assert len(some) <= 3
            rung += some
        return rung

    with ThreadPoolExecutor(4) as pool:
        rung = Counter(one for mine in pool.map(work, range(4)) for one in mine)

    assert rung == Counter(owed)


@pytest.mark.parametrize("database", [DATABASES[1]], indirect=True)
def test_who_claims_waits_for_nobody_who_writes(table: Table) -> None:
    owed = table.owe(ALICE)
    with table.store.transaction() as tx:
        tx.deliveries.look_again(owed, table.clock())

        meanwhile = table.claim(owed)

    assert meanwhile == []
    assert [one.id for one in table.claim(owed)] == [owed]


@pytest.mark.parametrize("database", [DATABASES[1]], indirect=True)
def test_who_owes_several_holds_nothing_that_comes_after_what_they_wait_for(table: Table) -> None:
    first, second = table.owe(BOB), table.owe(ALICE)

    def owe_both() -> None:
        now = table.clock()
        wants = [Want(GATE, person, "replace", Revision(2), 1, now) for person in (ALICE, BOB)]
        with table.store.transaction() as tx:
            tx.deliveries.want(wants, now)

    owing = threading.Thread(target=owe_both)
    with table.store.transaction() as tx:
        tx.deliveries.look_again(first, table.clock())  # as who settles both does: one after the other
        owing.start()
        owing.join(0.5)  # until it waits
        meanwhile = table.claim(second)
    owing.join()

    assert [one.id for one in meanwhile] == [second]


def test_an_attempt_is_counted_when_it_begins(table: Table) -> None:
    owed = table.owe(ALICE)

    (claimed,) = table.claim(owed)

    assert claimed.attempts == 1
    assert table.row(owed).attempts == 1


def test_what_was_claimed_and_never_settled_is_taken_again_in_doubt(table: Table) -> None:
    owed = table.owe(ALICE, revision=3, faces=2)
    table.claim(owed)

    table.clock.advance(LEASE.total_seconds() - 1)
    assert table.claim(owed) == []
    table.clock.advance(1)
    (again,) = table.claim(owed)

    assert (again.attempts, again.doubtful, again.doubt) == (2, True, Doubt(2, again.wanted))
    assert table.row(owed).state == "doubtful"


def test_a_worker_that_died_over_a_removal_leaves_no_add_in_doubt(table: Table) -> None:
    owed = table.owe(ALICE, "delete", faces=3, urgency=Urgency.FACE_DELETION)
    table.claim(owed)

    table.clock.advance(PAST_THE_LEASE)
    (again,) = table.claim(owed)

    assert again.doubtful
    assert again.doubt is not None
    assert again.doubt.adds == 0


def test_the_doubt_is_about_the_revision_that_was_under_way(table: Table) -> None:
    owed = table.owe(ALICE, revision=1, faces=2)
    table.claim(owed)
    table.owe(ALICE, "delete", revision=2, faces=0, urgency=Urgency.DEPARTURE)

    table.clock.advance(PAST_THE_LEASE)
    (again,) = table.claim(owed)

    assert (again.wanted, again.verb, again.doubtful) == (2, "delete", True)
    assert again.doubt == Doubt(2, again.wanted.__class__(1))


def test_of_several_doubts_the_adds_are_summed_and_the_oldest_revision_stays(table: Table) -> None:
    owed = table.owe(ALICE, revision=1, faces=1)
    table.claim(owed)
    table.owe(ALICE, revision=2, faces=2)
    table.clock.advance(PAST_THE_LEASE)
    table.claim(owed)

    table.clock.advance(PAST_THE_LEASE)
    (again,) = table.claim(owed)

    assert again.doubt is not None
    assert (again.doubt.adds, again.doubt.revision) == (3, 1)


def test_attempts_are_bounded_even_if_every_worker_dies(table: Table) -> None:
    owed = table.owe(ALICE)

    for _ in range(MAX_ATTEMPTS):
        assert len(table.claim(owed)) == 1
        table.clock.advance(PAST_THE_LEASE)

    assert table.claim(owed) == []
    with table.store.transaction() as tx:
        assert tx.deliveries.exhaust(table.clock()) == [ALICE]
    row = table.row(owed)
    assert (row.state, row.reason, row.lease, row.leased_until, row.busy_until) == (
        "exhausted",
        "worker_lost",
        None,
        None,
        None,
    )
    assert row.doubted_adds == MAX_ATTEMPTS


def test_nobody_is_exhausted_while_the_last_attempt_may_still_end(table: Table) -> None:
    owed = table.owe(ALICE)
    for _ in range(MAX_ATTEMPTS - 1):
        table.claim(owed)
        table.clock.advance(PAST_THE_LEASE)
    table.claim(owed)

    with table.store.transaction() as tx:
        assert tx.deliveries.exhaust(table.clock()) == []

    assert table.row(owed).state == "doubtful"


def test_giving_back_untried_counts_nothing(table: Table) -> None:
    owed = table.owe(ALICE)
    table.claim(owed, lease="mine")

    with table.store.transaction() as tx:
        tx.deliveries.release([owed], lease="mine", due_at=table.clock())

    (again,) = table.claim(owed)
    assert (again.attempts, again.doubtful) == (1, False)


def test_what_is_due_later_waits(table: Table) -> None:
    owed = table.owe(ALICE)
    (claimed,) = table.claim(owed, lease="mine")
    later = table.clock() + timedelta(seconds=10)
    table.settle(claimed, "mine", Settlement("due", later, 1, "replace"))

    table.clock.advance(9)
    assert table.claim(owed) == []
    table.clock.advance(1)

    assert [one.attempts for one in table.claim(owed)] == [2]


@pytest.mark.parametrize("state", ["synced", "refused", "exhausted", "halted"])
def test_what_has_ended_is_not_claimed(table: Table, state: str) -> None:
    owed = table.owe(ALICE)
    (claimed,) = table.claim(owed, lease="mine")
    table.settle(claimed, "mine", Settlement(state, table.clock(), 1, "replace"))

    assert table.claim(owed) == []


@pytest.mark.parametrize("state", ["paused", "halted"])
def test_a_library_that_stands_still_is_not_worked_for(table: Table, state: str) -> None:
    owed = table.owe(ALICE)
    with table.store.transaction() as tx:
        tx.libraries.set_state(GATE, state, table.clock())

    assert table.claim(owed) == []

    with table.store.transaction() as tx:
        tx.libraries.set_state(GATE, "active", table.clock())
    assert len(table.claim(owed)) == 1


def test_a_library_behind_an_open_breaker_is_not_worked_for(table: Table) -> None:
    owed = table.owe(ALICE)
    with table.store.transaction() as tx:
        tx.libraries.open_breaker(GATE, table.clock() + timedelta(seconds=5))

    assert table.claim(owed) == []
    table.clock.advance(5)

    assert len(table.claim(owed)) == 1


def test_a_library_that_is_no_longer_configured_or_only_observed_is_not_worked_for(table: Table) -> None:
    owed = table.owe(ALICE)

    table.declare(YARD)
    assert table.claim(owed) == []
    table.declare(GATE, YARD, policy="observe")
    assert table.claim(owed) == []
    table.declare(GATE, YARD)

    assert len(table.claim(owed)) == 1


def test_a_delivery_is_claimed_only_under_its_own_librarys_name(table: Table) -> None:
    owed = table.owe(ALICE)

    assert table.claim(owed, library=YARD) == []
    assert table.claim(owed, library=LibraryName("nowhere")) == []


def test_a_bundle_is_filled_with_removals_that_nobody_has_and_no_one_doubts(table: Table) -> None:
    mine = table.owe(PersonId("first"), "delete", faces=0)
    replacement = table.owe(PersonId("second"), "replace")
    rung = table.owe(PersonId("third"), "delete", faces=0, rung_until=table.clock() + timedelta(seconds=5))
    doubted = table.owe(PersonId("fourth"), "delete", faces=0)
    with table.store.transaction() as tx:
        tx.deliveries.look_again(doubted, table.clock())
    free = table.owe(PersonId("fifth"), "delete", faces=0)
    elsewhere = table.owe(PersonId("sixth"), "delete", faces=0, library=YARD)
    table.claim(mine)

    with table.store.transaction() as tx:
        now = table.clock()
        more = tx.deliveries.claim_more(GATE, "delete", 10, lease="m", now=now, until=now + LEASE)

    assert [one.id for one in more] == [free]
    assert {replacement, rung, doubted, elsewhere}.isdisjoint(one.id for one in more)


def test_a_claim_tells_what_the_library_and_the_person_look_like(table: Table) -> None:
    owed = table.owe(BOB)
    with table.store.transaction() as tx:
        tx.libraries.note_failure(GATE, table.clock(), probe=False)

    (claimed,) = table.claim(owed)

    assert (claimed.person, claimed.failures, claimed.noted, claimed.lost) == (BOB, 1, 0, 0)
    assert claimed.wanted_at == table.clock()
