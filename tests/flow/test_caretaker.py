"""The night's rounds: begun once however many call for them, and gone on with where they stopped."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from syncsvc.flow.caretaker import begin_night, go_on, under_way
from syncsvc.flow.compare import LEASE
from syncsvc.flow.mend import decide
from syncsvc.store.listings import ListingState
from syncsvc.store.tables import listings
from tests.flow.listings import compared, read
from tests.flow.stage import ALICE, BOB, GATE, Stage, on


def listing(stage: Stage) -> ListingState:
    with stage.house.store.reading() as tx:
        found = tx.listings.get(GATE)
    assert found is not None
    return found


@on("sophon")
def test_a_night_finds_a_face_that_vanished_and_puts_it_back(stage: Stage) -> None:
    stage.hire(ALICE, 0)
    stage.quiet()
    (vanished,) = stage.there(ALICE)
    stage.hire(BOB, 1)
    stage.quiet()
    stage.room.remove(vanished.vendor_face_id)
    stage.clock.advance(60)
    begin_night(stage.house, GATE, seconds=5)
    assert listing(stage).state == "done"
    stage.quiet()
    stage.assert_in_sync(ALICE)
    stage.assert_in_sync(BOB)


@on("sophon")
def test_two_beats_read_a_library_once_in_a_night(stage: Stage) -> None:
    stage.hire(ALICE, 0)
    stage.quiet()
    begin_night(stage.house, GATE, seconds=5)
    begin_night(stage.house, GATE, seconds=5)
    assert listing(stage).run == 1
    stage.clock.now += timedelta(days=1)
    begin_night(stage.house, GATE, seconds=5)
    assert listing(stage).run == 2


@on("sophon")
def test_a_round_that_was_cut_off_is_gone_on_with_and_not_begun_anew(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("syncsvc.vendors.sophon.PAGE", 1)
    stage.hire(ALICE, 0)
    stage.hire(BOB, 1)
    stage.quiet()
    begin_night(stage.house, GATE, seconds=0)
    assert (listing(stage).state, listing(stage).pages) == ("reading", 1)
    stage.clock.advance(60)
    assert under_way(stage.house) == [GATE]
    go_on(stage.house, GATE, seconds=5)
    assert (listing(stage).state, listing(stage).run, listing(stage).counts["in_sync"]) == ("done", 1, 2)
    assert under_way(stage.house) == []


def test_a_library_that_was_never_read_and_is_paused_is_left_alone(stage: Stage) -> None:
    stage.set_state("paused")
    begin_night(stage.house, GATE, seconds=5)
    go_on(stage.house, GATE, seconds=5)
    assert under_way(stage.house) == []


@on("sophon")
def test_what_a_complete_reading_has_shown_counts_as_verified(stage: Stage) -> None:
    stage.hire(ALICE, 0)
    stage.quiet()
    stage.clock.now += timedelta(days=3)
    begin_night(stage.house, GATE, seconds=5)
    assert set(stage.verified(ALICE).values()) == {listing(stage).started_at}


@on("sophon")
def test_a_round_that_somebody_compares_just_now_is_left_to_them(stage: Stage) -> None:
    stage.hire(ALICE, 0)
    stage.quiet()
    read(stage)
    with stage.house.store.transaction() as tx:
        tx._connection.execute(update(listings).values(cause="nightly"))
        until = stage.clock() + LEASE
        assert tx.comparing.take(GATE, 1, "somebody/else", now=stage.clock(), until=until, dead=None)
    stage.clock.advance(60)

    assert under_way(stage.house) == []
    go_on(stage.house, GATE, seconds=5)
    assert (listing(stage).state, listing(stage).holder) == ("read", "somebody/else")

    stage.clock.advance(LEASE.total_seconds())
    assert under_way(stage.house) == [GATE]
    go_on(stage.house, GATE, seconds=5)
    assert listing(stage).state == "done"


@pytest.mark.parametrize("everywhere", ["sophon", ("postgresql", "finauth")], indirect=True, ids=str)
def test_what_a_command_had_let_go_when_it_was_killed_is_done_to_its_end(everywhere: Stage) -> None:
    stage = everywhere
    stage.hire(ALICE, 0)
    stage.hire(BOB, 1)
    stage.quiet()
    stage.room.remove(stage.there(ALICE)[0].vendor_face_id)
    compared(stage)
    assert under_way(stage.house) == []  # nobody has decided about it
    with stage.house.store.reading() as tx:
        found = tx.comparing.listing(GATE)
    assert found is not None
    decide(stage.house, [found])

    assert under_way(stage.house) == [GATE]
    go_on(stage.house, GATE, seconds=5)
    stage.quiet()

    stage.assert_in_sync(ALICE)
    assert under_way(stage.house) == []
