"""The breaker's probe beside leases that nobody will ever settle."""

from datetime import timedelta

from syncsvc.flow.deliver import deliver
from syncsvc.flow.dispatch import sweep
from syncsvc.model.urgency import BREAKER_THRESHOLD
from tests.flow.stage import ALICE, BOB, CAROL, GATE, Stage


def test_a_killed_workers_leases_do_not_keep_a_library_shut_that_works_again(stage: Stage) -> None:
    for number, person in enumerate((ALICE, BOB, CAROL)):
        stage.hire(person, number)
    stage.claim_and_die(ALICE)
    with stage.house.store.transaction() as tx:
        for _ in range(BREAKER_THRESHOLD):
            tx.libraries.note_failure(GATE, stage.clock(), probe=False)
        tx.libraries.open_breaker(GATE, stage.clock() + timedelta(seconds=5))
    assert not sweep(stage.house)

    stage.clock.advance(5)
    (ring,) = sweep(stage.house)
    deliver(stage.house, ring.library, ring.deliveries)

    assert stage.library().failures == 0
    assert len(stage.digests(BOB)) + len(stage.digests(CAROL)) == 1


def test_only_one_probe_goes_out_however_often_the_bell_is_rung(stage: Stage) -> None:
    for number, person in enumerate((ALICE, BOB, CAROL)):
        stage.hire(person, number)
    with stage.house.store.transaction() as tx:
        for _ in range(BREAKER_THRESHOLD):
            tx.libraries.note_failure(GATE, stage.clock(), probe=False)
        tx.libraries.open_breaker(GATE, stage.clock())
    stage.room.fault("unavailable")

    rings = [*sweep(stage.house), *sweep(stage.house), *sweep(stage.house)]
    for ring in rings:
        deliver(stage.house, ring.library, ring.deliveries)

    assert len(rings) == 3
    assert stage.room.calls()["total"] == 1
