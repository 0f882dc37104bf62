"""What operators do by hand, and what they see."""

from datetime import timedelta

import pytest

from syncsvc.flow.deliver import deliver
from syncsvc.flow.operate import fill, pause, resume, resync
from syncsvc.flow.views import converged, person_view, status_view
from syncsvc.model.errors import NotFoundError
from syncsvc.model.people import LibraryName, PersonId
from syncsvc.model.urgency import MAX_ATTEMPTS
from syncsvc.store import Store
from tests.conftest import MovableClock
from tests.flow.stage import ALICE, BOB, GATE, LEFT, RIGHT, YARD, Stage, on, staged
from tests.vendors.photos import PhotoShelf, blank, draw


def test_a_paused_library_waits_and_goes_on(stage: Stage) -> None:
    stage.hire(ALICE, 1)

    assert [pause(stage.house, GATE), pause(stage.house, GATE)] == [True, False]
    stage.quiet()
    assert stage.digests() == []
    assert person_view(stage.house, ALICE).libraries[0].state == "paused"
    assert [resume(stage.house, GATE), resume(stage.house, GATE)] == [True, False]
    stage.quiet()

    stage.assert_in_sync()


@pytest.mark.parametrize("verb", [pause, resume, fill])
def test_a_library_that_is_not_configured_is_told_by_name(stage: Stage, verb: object) -> None:
    assert callable(verb)

    with pytest.raises(NotFoundError, match="no library is called 'nowhere'"):
        verb(stage.house, LibraryName("nowhere"))


def test_a_resync_reads_the_library_and_mends_what_it_finds(everywhere: Stage) -> None:
    stage = everywhere
    stage.hire(ALICE, 1, 2)
    stage.quiet()
    for one in stage.there()[:1]:
        stage.room.remove(one.vendor_face_id)

    (ring,) = resync(stage.house, ALICE)
    deliver(stage.house, ring.library, ring.deliveries)
    stage.quiet()

    stage.assert_in_sync()
    assert len(stage.there()) == 2


def test_a_resync_reopens_what_was_given_up(stage: Stage) -> None:
    stage.hire(ALICE, 1)
    for _ in range(MAX_ATTEMPTS):
        stage.claim_and_die()
        stage.clock.advance(60)
    stage.quiet()
    assert stage.row().state == "exhausted"

    resync(stage.house, ALICE)
    stage.quiet()

    stage.assert_in_sync()


def test_a_resync_of_a_departed_person_sees_that_nothing_is_left(everywhere: Stage) -> None:
    stage = everywhere
    stage.hire(ALICE, 1)
    stage.quiet()
    stage.leave(ALICE)
    stage.quiet()

    (ring,) = resync(stage.house, ALICE)

    assert ring.verb == "delete"
    stage.quiet()
    stage.assert_in_sync()


def test_nobody_unknown_can_be_resynced(stage: Stage) -> None:
    with pytest.raises(NotFoundError, match="nobody is known"):
        resync(stage.house, BOB)


def test_a_new_library_is_filled_with_everybody_who_has_a_face(
    store: Store, clock: MovableClock, shelf: PhotoShelf
) -> None:
    with staged(store, clock, shelf, ["finauth", "huawei"]) as stage:
        with store.transaction() as tx:
            tx.libraries.declare({GATE: ("finauth", "sync")}, clock())
        stage.hire(ALICE, 1)
        stage.hire(BOB, 2)
        stage.leave(BOB)
        stage.quiet()
        stage.reshelve(YARD)

        assert [fill(stage.house, YARD), fill(stage.house, YARD)] == [1, 0]

        stage.quiet()
        stage.assert_in_sync(ALICE, YARD)
        assert len(stage.rooms[YARD].world.faces) == 1


# --- what they see ------------------------------------------------------------------------------------------------


def test_a_persons_state_is_shown_library_by_library(stage: Stage) -> None:
    stage.hire(ALICE, 1, 2)
    stage.quiet()
    stage.tell_photo(ALICE, LEFT, blank())
    stage.deliver()

    view = person_view(stage.house, ALICE)

    (library,) = view.libraries
    assert (view.id, view.revision, view.departed_at) == (ALICE, 2, None)
    assert [one.id for one in view.faces] == [LEFT, RIGHT]
    assert (library.name, library.state, library.wanted, library.held) == (GATE, "refused", 2, 1)
    assert library.reason
    assert library.detail
    assert {one.vendor_face_id for one in library.faces} == {one.vendor_face_id for one in stage.there()}


def test_a_departed_person_still_answers_without_faces(stage: Stage) -> None:
    stage.hire(ALICE, 1)
    stage.quiet()
    stage.leave(ALICE)
    stage.quiet()

    view = person_view(stage.house, ALICE)

    assert view.departed_at == stage.clock()
    assert view.faces == ()
    assert [(one.state, one.faces) for one in view.libraries] == [("synced", ())]


def test_nobody_unknown_is_shown(stage: Stage) -> None:
    with pytest.raises(NotFoundError, match="case-sensitive"):
        person_view(stage.house, PersonId("Alice"))


@on("sophon")
def test_odd_faces_are_shown(stage: Stage) -> None:
    stage.hire(ALICE, 1, 2)
    stage.quiet()
    foreign = stage.plant()
    stage.drop(ALICE, 0)
    stage.quiet()

    (library,) = person_view(stage.house, ALICE).libraries

    assert [(one.vendor_face_id, one.situation) for one in library.odd] == [(foreign, "foreign")]
    assert status_view(stage.house)[0].odd_faces == 1


def test_the_house_is_seen_at_a_glance(store: Store, clock: MovableClock, shelf: PhotoShelf) -> None:
    with staged(store, clock, shelf, ["finauth", "huawei"]) as stage:
        since = clock()
        stage.hire(ALICE, 1)
        clock.advance(10)
        stage.hire(BOB, 2)
        stage.claim_and_die(BOB, GATE)
        stage.rooms[YARD].fault("lost_answer", times=1)
        stage.deliver(ALICE, YARD)
        clock.now = since + timedelta(seconds=30)

        gate, yard = status_view(stage.house)

        assert (gate.name, gate.due, gate.doubtful, gate.in_flight, gate.oldest_wait) == (GATE, 2, 0, 1, 30.0)
        assert (yard.due, yard.doubtful, yard.attention) == (1, 1, 0)
        assert not converged([gate, yard])
        stage.quiet()
        assert converged(status_view(stage.house))
        assert stage.digests(ALICE, YARD) == [draw(1).digest]
