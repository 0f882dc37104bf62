"""The breaker: what a library says to everybody burns nobody's attempts."""

from datetime import timedelta

import pytest

from syncsvc.flow.claim import PROBE_FOR
from syncsvc.flow.deliver import deliver
from syncsvc.flow.dispatch import refill, sweep
from syncsvc.model.people import PersonId
from syncsvc.model.urgency import BREAKER_BASE, BREAKER_THRESHOLD
from syncsvc.store import Store
from tests.conftest import MovableClock
from tests.flow.stage import GATE, YARD, Stage, refuse_once, staged
from tests.vendors.photos import PhotoShelf

PEOPLE = [PersonId(f"person-{number}") for number in range(20)]


def numbers(stage: Stage) -> list[int]:
    return [row.id for row in stage.rows()]


def fail(stage: Stage, times: int = BREAKER_THRESHOLD, kind: str = "outage") -> None:
    """So many different people's errands meet the same trouble, at this very moment."""
    for number, person in enumerate(PEOPLE):
        stage.hire(person, number)
    stage.room.fault(kind)
    for number in numbers(stage)[:times]:
        deliver(stage.house, GATE, [number])


def test_five_failures_in_a_row_open_it(stage: Stage) -> None:
    fail(stage, BREAKER_THRESHOLD - 1)
    assert stage.library().open_until is None

    deliver(stage.house, GATE, [numbers(stage)[BREAKER_THRESHOLD - 1]])

    state = stage.library()
    assert state.failures == BREAKER_THRESHOLD
    assert state.open_until == stage.clock() + timedelta(seconds=BREAKER_BASE)


@pytest.mark.parametrize("kind", ["outage", "unavailable", "lost_answer", "unknown_code"])
def test_while_it_is_open_nothing_is_sent_and_nobody_pays(stage: Stage, kind: str) -> None:
    fail(stage, kind=kind)
    before = stage.room.calls()["total"]

    for number in numbers(stage):
        deliver(stage.house, GATE, [number])

    assert stage.room.calls()["total"] == before
    assert sweep(stage.house) == []
    assert [row.attempts for row in stage.rows()[BREAKER_THRESHOLD:]] == [0] * 15


def test_an_answer_in_between_starts_the_count_anew(stage: Stage) -> None:
    fail(stage, BREAKER_THRESHOLD - 1)
    stage.room.clear_faults()
    deliver(stage.house, GATE, [numbers(stage)[10]])
    stage.room.fault("outage")

    for number in numbers(stage)[11:15]:
        deliver(stage.house, GATE, [number])

    assert stage.library().open_until is None
    assert stage.library().failures == BREAKER_THRESHOLD - 1


def test_slow_down_is_an_answer(stage: Stage) -> None:
    fail(stage, 2 * BREAKER_THRESHOLD, "throttle")

    assert stage.library().open_until is None


def test_one_probe_goes_when_its_time_has_come(stage: Stage) -> None:
    fail(stage)
    stage.clock.advance(BREAKER_BASE)

    (ring,) = sweep(stage.house)
    (number,) = ring.deliveries
    probe = stage.take(number)

    assert probe.round.probe
    assert len(probe.taken) == 1
    assert sweep(stage.house) == []
    assert refill(stage.house, GATE) == []


def test_only_one_probe_is_sent_however_many_bells_ring(stage: Stage) -> None:
    fail(stage)
    stage.clock.advance(BREAKER_BASE)
    before = stage.room.calls()["total"]
    late = numbers(stage)[BREAKER_THRESHOLD:]

    for number in late:
        deliver(stage.house, GATE, [number])

    assert stage.room.calls()["total"] == before + 1


def test_a_probe_that_fails_pays_nothing_and_waits_for_longer(stage: Stage) -> None:
    fail(stage)
    waits = []
    for _ in range(5):
        stage.clock.now = stage.open_until()
        (ring,) = stage.rung()
        deliver(stage.house, GATE, ring.deliveries)
        waits.append((stage.open_until() - stage.clock()).total_seconds())

    assert waits == [10.0, 20.0, 40.0, 80.0, 160.0]
    assert all(row.attempts <= 1 for row in stage.rows())


def test_a_busy_library_is_not_closed_for_longer_than_a_quiet_one(stage: Stage) -> None:
    """Twenty errands are under way when it goes down; all of them fail at once."""
    for number, person in enumerate(PEOPLE):
        stage.hire(person, number)
    stage.room.fault("outage")
    taken = [stage.take(number) for number in numbers(stage)]

    for one in taken:
        stage.finish(one)

    assert stage.open_until() == stage.clock() + timedelta(seconds=BREAKER_BASE)


def test_it_closes_by_itself_and_nobody_lost_an_attempt(stage: Stage) -> None:
    fail(stage)
    stage.room.clear_faults()

    stage.quiet()

    state = stage.library()
    assert (state.failures, state.open_until) == (0, None)
    for person in PEOPLE:
        stage.assert_in_sync(person)


def test_an_outage_of_hours_exhausts_nobody(stage: Stage) -> None:
    fail(stage)
    until = stage.clock() + timedelta(hours=2)

    while stage.clock() < until:
        for ring in sweep(stage.house):
            deliver(stage.house, ring.library, ring.deliveries)
        stage.clock.now = max(min(stage.waits()), stage.clock() + timedelta(seconds=1))

    assert {row.state for row in stage.rows()} == {"due"}
    stage.room.clear_faults()
    stage.quiet()
    for person in PEOPLE:
        stage.assert_in_sync(person)


def test_a_probe_that_was_never_sent_leaves_the_way_to_another(stage: Stage) -> None:
    fail(stage)
    stage.clock.advance(BREAKER_BASE)
    stage.gatekeeper.before = refuse_once(1.0)
    late = numbers(stage)[10:12]

    deliver(stage.house, GATE, [late[0]])
    stage.room.clear_faults()
    deliver(stage.house, GATE, [late[1]])

    assert stage.library().open_until is None
    assert [row.state for row in stage.rows() if row.id == late[1]] == ["synced"]


def test_a_probe_whose_worker_died_is_not_waited_for_for_ever(stage: Stage) -> None:
    fail(stage)
    stage.clock.advance(BREAKER_BASE)
    stage.claim_and_die(PEOPLE[10])
    assert sweep(stage.house) == []

    stage.room.clear_faults()
    stage.clock.advance(PROBE_FOR.total_seconds())
    stage.quiet()

    assert stage.library().open_until is None
    stage.assert_in_sync(PEOPLE[10])


def test_a_fault_of_our_own_is_no_answer(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    fail(stage)
    stage.clock.advance(BREAKER_BASE)
    kind = type(stage.house.shelf(GATE).library)

    def breaks(*_: object) -> None:
        raise KeyError("a mistake of ours")

    monkeypatch.setattr(kind, "add", breaks)
    deliver(stage.house, GATE, [numbers(stage)[10]])

    assert stage.library().failures == BREAKER_THRESHOLD


def test_one_librarys_breaker_is_not_anothers(store: Store, clock: MovableClock, shelf: PhotoShelf) -> None:
    with staged(store, clock, shelf, ["finauth", "huawei"]) as stage:
        stage.rooms[YARD].fault("outage")
        for number, person in enumerate(PEOPLE):
            stage.hire(person, number)
        for row in stage.rows():
            deliver(stage.house, row.library, [row.id])

        assert stage.library(YARD).open_until is not None
        assert stage.library(GATE).open_until is None
        for person in PEOPLE:
            stage.assert_in_sync(person, GATE)
        stage.rooms[YARD].clear_faults()
        stage.quiet()
        for person in PEOPLE:
            stage.assert_in_sync(person, YARD)
