"""One call reads, compares and mends; whatever stopped it, the next call goes on."""

from dataclasses import replace

import pytest

from syncsvc.flow.reconcile import read_whole, reconcile
from syncsvc.model.errors import InputError, NotFoundError
from syncsvc.model.guard import Limits
from syncsvc.model.people import LibraryName, PersonId
from tests.flow.listings import odd, unbind
from tests.flow.stage import ALICE, BOB, GATE, Stage, on


def others(stage: Stage) -> None:
    """Of few people one is many, and a reading without one would prove nothing."""
    for number in range(20):
        stage.hire(PersonId(f"other{number}"), number % 5)


@pytest.mark.parametrize("everywhere", ["sophon", "finauth", ("postgresql", "finauth")], indirect=True, ids=str)
def test_a_library_is_read_compared_and_mended_in_one_go(everywhere: Stage) -> None:
    stage = everywhere
    stage.hire(ALICE, 1)
    stage.hire(BOB, 2)
    others(stage)
    stage.quiet()
    stage.room.remove(stage.there()[0].vendor_face_id)
    stage.clock.advance(60)

    listing = reconcile(stage.house, GATE, "command", seconds=30)
    stage.quiet()

    assert listing.state == "done"
    assert (listing.counts["in_sync"], listing.counts["missing"]) == (21, 1)
    stage.assert_in_sync()
    assert odd(stage) == {}
    assert set(stage.verified(BOB).values()) == {listing.started_at}  # it was shown, so nobody need ask for it


@on("finauth")
def test_what_the_guard_stops_waits_and_the_next_night_asks_again(stage: Stage) -> None:
    stage.house = replace(stage.house, limits=Limits(count=0, share=0.0))
    stage.hire(ALICE, 1)
    stage.hire(BOB, 2)
    stage.quiet()
    (back,) = stage.there()
    unbind(stage, back.vendor_face_id)
    stage.clock.advance(60)

    first = reconcile(stage.house, GATE, "nightly", seconds=30)
    stage.clock.advance(86_400)
    second = reconcile(stage.house, GATE, "nightly", seconds=30)

    assert (first.state, second.state) == ("waiting", "waiting")
    assert second.run == first.run + 1
    assert back.vendor_face_id in stage.room.world.faces


@on("finauth")
def test_of_a_reading_for_a_plan_nothing_is_mended_and_the_night_begins_anew(stage: Stage) -> None:
    stage.hire(ALICE, 1)
    others(stage)
    stage.quiet()
    stage.room.remove(stage.there()[0].vendor_face_id)
    stage.clock.advance(60)
    planned = read_whole(stage.house, GATE, "plan")
    stage.quiet()
    assert (planned.state, stage.there()) == ("read", [])

    listing = reconcile(stage.house, GATE, "command", seconds=30)
    stage.quiet()

    assert (listing.state, listing.run) == ("done", planned.run + 1)
    stage.assert_in_sync()


@on("finauth")
def test_a_library_that_cannot_be_read_says_so(stage: Stage) -> None:
    stage.set_state("paused")

    with pytest.raises(NotFoundError, match="never read"):
        reconcile(stage.house, GATE, "command", seconds=1)
    with pytest.raises(InputError, match="paused"):
        read_whole(stage.house, GATE, "command")
    with pytest.raises(NotFoundError, match="no library is called"):
        reconcile(stage.house, LibraryName("nowhere"), "command", seconds=1)
