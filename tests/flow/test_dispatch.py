"""The bell: whatever is due is found again, the most urgent first, as much as a library takes at once."""

from dataclasses import replace
from datetime import timedelta

import pytest

from syncsvc.flow.claim import LEASE
from syncsvc.flow.deliver import deliver
from syncsvc.flow.dispatch import refill, sweep
from syncsvc.flow.record import RUNG_FOR
from syncsvc.model.changes import Departed, FaceReplaced
from syncsvc.model.errors import NoPermitError, NotFoundError
from syncsvc.model.people import LibraryName, PersonId
from syncsvc.model.permits import Account, Limiter, Unlimited, Usage
from syncsvc.store import Store
from tests.conftest import MovableClock
from tests.flow.stage import ALICE, BOB, GATE, LEFT, YARD, Stage, on, staged
from tests.vendors.photos import PhotoShelf, draw

PEOPLE = [PersonId(f"person-{number}") for number in range(30)]


def hire_everybody(stage: Stage) -> None:
    for number, person in enumerate(PEOPLE):
        stage.hire(person, number)


def test_what_a_flushed_broker_lost_is_found(stage: Stage) -> None:
    hire_everybody(stage)
    stage.reshelve(allowance=100)
    lost = sweep(stage.house)
    assert len(lost) == len(PEOPLE)
    assert sweep(stage.house) == []

    stage.clock.advance(RUNG_FOR.total_seconds())
    found = sweep(stage.house)

    assert sorted(ring.deliveries for ring in found) == sorted(ring.deliveries for ring in lost)
    for ring in found:
        deliver(stage.house, ring.library, ring.deliveries)
    for person in PEOPLE:
        stage.assert_in_sync(person)


def test_no_more_is_rung_than_a_library_takes_at_once(stage: Stage) -> None:
    hire_everybody(stage)
    stage.reshelve(allowance=7)

    first = sweep(stage.house)
    assert len(first) == 7
    assert sweep(stage.house) == []
    assert refill(stage.house, GATE) == []
    for ring in first[:3]:
        deliver(stage.house, GATE, ring.deliveries)

    assert len(refill(stage.house, GATE)) == 3


def test_a_change_does_not_ring_beyond_that_and_a_departure_has_as_much_room_again(stage: Stage) -> None:
    stage.reshelve(allowance=2)
    for number, person in enumerate(PEOPLE[:5]):
        stage.hire(person, number)
    sweep(stage.house)

    hired = stage.tell(FaceReplaced(ALICE, LEFT, draw(99)), ring=True)
    left = [stage.tell(Departed(person), ring=True) for person in PEOPLE[2:5]]

    assert hired.rings == ()
    assert [[ring.verb for ring in one.rings] for one in left] == [["delete"], ["delete"], []]


def test_the_most_urgent_is_rung_first(stage: Stage) -> None:
    stage.hire(BOB, 1)
    stage.quiet()
    stage.hire(ALICE, 2)
    stage.reshelve(allowance=1)

    stage.leave(BOB)

    (ring,) = sweep(stage.house)
    assert (ring.verb, ring.deliveries) == ("delete", (stage.row(BOB).id,))


def test_what_is_due_later_is_not_rung_before(stage: Stage) -> None:
    stage.hire(ALICE, 1)
    stage.amend(ALICE, due_at=stage.clock() + timedelta(seconds=30))

    assert sweep(stage.house) == []
    stage.clock.advance(30)

    assert len(sweep(stage.house)) == 1


def test_a_dead_workers_delivery_is_rung_when_its_lease_is_over(stage: Stage) -> None:
    stage.hire(ALICE, 1)
    stage.claim_and_die()

    stage.clock.advance(LEASE.total_seconds() - 1)
    assert sweep(stage.house) == []
    stage.clock.advance(1)

    assert [ring.deliveries for ring in sweep(stage.house)] == [(stage.row().id,)]


@pytest.mark.parametrize("state", ["paused", "halted"])
def test_a_library_that_stands_still_is_not_rung(stage: Stage, state: str) -> None:
    stage.hire(ALICE, 1)
    stage.set_state(state)

    assert sweep(stage.house) == []
    assert refill(stage.house, GATE) == []
    stage.resume()

    assert len(sweep(stage.house)) == 1


def test_a_library_that_only_observes_is_not_rung(stage: Stage) -> None:
    stage.hire(ALICE, 1)
    stage.reshelve(policy="observe")

    assert sweep(stage.house) == []


def test_a_library_that_is_known_here_and_not_in_the_database_is_passed_over(
    store: Store, clock: MovableClock, shelf: PhotoShelf
) -> None:
    with staged(store, clock, shelf, ["finauth", "huawei"]) as stage:
        stage.hire(ALICE, 1)
        with store.transaction() as tx:
            tx.libraries.declare({GATE: ("finauth", "sync")}, clock())

        assert {ring.library for ring in sweep(stage.house)} == {GATE}


def test_libraries_do_not_wait_for_each_other(store: Store, clock: MovableClock, shelf: PhotoShelf) -> None:
    with staged(store, clock, shelf, ["finauth", "huawei"]) as stage:
        stage.reshelve(GATE, allowance=1)
        hire_everybody(stage)

        rings = sweep(stage.house)

        assert len([ring for ring in rings if ring.library == GATE]) == 1
        assert len([ring for ring in rings if ring.library == YARD]) == 20


def test_departures_are_rung_in_bundles_where_the_vendor_takes_many(stage: Stage) -> None:
    hire_everybody(stage)
    stage.quiet()
    for person in PEOPLE[:12]:
        stage.leave(person)
    stage.hire(ALICE, 50)
    stage.reshelve(allowance=50)

    rings = sweep(stage.house)

    assert sorted((ring.verb, len(ring.deliveries)) for ring in rings) == [("delete", 12), ("replace", 1)]


def test_in_a_backlog_every_bell_gathers_a_bundle_of_its_own(stage: Stage) -> None:
    hire_everybody(stage)
    stage.quiet()
    for person in PEOPLE:
        stage.leave(person)
    stage.reshelve(allowance=4)
    before = stage.room.calls()["by_operation"].get("delete", 0)

    rings = sweep(stage.house)
    assert [len(ring.deliveries) for ring in rings] == [1, 1, 1, 1]
    for ring in rings:
        deliver(stage.house, GATE, ring.deliveries)

    assert stage.room.world.faces == {}
    assert stage.room.calls()["by_operation"]["delete"] - before <= 4


@on("huawei")
def test_where_a_call_carries_one_person_every_departure_has_its_own_bell(stage: Stage) -> None:
    for number, person in enumerate(PEOPLE[:5]):
        stage.hire(person, number)
    stage.quiet()
    for person in PEOPLE[:5]:
        stage.leave(person)

    assert [len(ring.deliveries) for ring in sweep(stage.house)] == [1] * 5


def test_refilling_a_library_that_is_not_configured_says_so(stage: Stage) -> None:
    with pytest.raises(NotFoundError, match="no library is called"):
        refill(stage.house, LibraryName("nowhere"))


def test_an_empty_house_has_nothing_to_ring_for(stage: Stage) -> None:
    assert sweep(stage.house) == []
    assert refill(stage.house, GATE) == []


def test_less_is_rung_while_the_vendor_has_us_slow_down_and_nothing_while_nobody_counts(stage: Stage) -> None:
    hire_everybody(stage)
    stage.reshelve(allowance=10)

    def rung(limiter: Limiter) -> int:
        rings = sweep(replace(stage.house, limiter=limiter))
        stage.clock.advance(RUNG_FOR.total_seconds())
        return len(rings)

    assert rung(Paced(1.0)) == 10
    assert rung(Paced(0.31)) == 4
    assert rung(Paced(0.05)) == 2
    assert rung(Paced(None)) == 0


class Paced(Unlimited):
    """A limiter at this pace; None: it cannot be asked."""

    def __init__(self, pace: float | None) -> None:
        self.pace = pace

    def usage(self, account: Account) -> Usage:
        if self.pace is None:
            raise NoPermitError(1.0, "the limiter cannot be reached")
        return replace(super().usage(account), pace=self.pace)
