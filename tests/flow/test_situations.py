"""What a library's answers are odd about, and what policy and ownership allow us to do about it."""

from typing import Any

import pytest

from syncsvc.flow.deliver import deliver
from syncsvc.library.base import FaceLibrary
from syncsvc.model.people import Face, Held, Person, PersonId, vendor_ids
from syncsvc.model.report import Report
from syncsvc.model.situations import Situation
from tests.flow.stage import ADDING, ALICE, BOB, GATE, REMOVING, Stage, on
from tests.vendors.photos import draw

SHOWING = ["sophon", "finauth", "aliyun"]  # a look shows every face of the person


def told(stage: Stage, person: PersonId = ALICE) -> dict[str | None, str]:
    return {one.finding.vendor_face_id: one.finding.situation for one in stage.situations(person)}


# --- returned face lists ------------------------------------------------------------------------------------------


@on("sophon")
def test_an_unknown_face_in_the_answer_is_foreign_and_left_alone(stage: Stage) -> None:
    stage.hire(ALICE, 1, 2)
    stage.quiet()
    foreign = stage.plant()

    stage.drop(ALICE, 0)
    stage.deliver()

    assert told(stage) == {foreign: Situation.FOREIGN}
    assert foreign in stage.room.world.faces
    stage.assert_in_sync()
    stage.leave(ALICE)
    stage.quiet()
    stage.assert_in_sync()
    assert list(stage.room.world.faces) == [foreign]


@on("sophon")
def test_a_face_that_vanished_is_missing_and_put_back(stage: Stage) -> None:
    stage.hire(ALICE, 1, 2)
    stage.quiet()
    (gone, *_) = (one.vendor_face_id for one in stage.there() if one.digest == draw(1).digest)
    stage.room.remove(gone)

    stage.swap(ALICE, 1, 3)
    stage.deliver()

    assert told(stage).get(gone, Situation.MISSING) is Situation.MISSING
    stage.quiet()
    stage.assert_in_sync()
    assert told(stage) == {}


@pytest.mark.parametrize("everywhere", ["finauth", "aliyun"], indirect=True)
def test_a_sum_that_does_not_fit_is_disputed_looked_into_and_mended(everywhere: Stage) -> None:
    stage = everywhere
    stage.hire(ALICE, 1, 2, 3)
    stage.quiet()
    stage.leave(ALICE)
    stage.room.fault("partial", REMOVING[stage.room.name], times=1, honest=False)

    stage.deliver()

    assert stage.row().state in {"doubtful", "due"}
    assert set(told(stage).values()) <= {Situation.DISPUTED, Situation.STRAY}
    assert told(stage)
    stage.quiet()
    stage.assert_in_sync()
    assert told(stage) == {}


@on("finauth")
def test_a_face_that_the_library_could_not_remove_is_a_stray_and_asked_for_again(stage: Stage) -> None:
    stage.hire(ALICE, 1, 2)
    stage.quiet()
    stage.leave(ALICE)
    stage.room.fault("partial", "delete", times=1, honest=True)

    stage.deliver()

    (left,) = stage.there()
    assert told(stage) == {left.vendor_face_id: Situation.STRAY}
    assert (stage.row().state, stage.row().reason) == ("due", "library_disagrees")
    assert stage.believed() == {left.vendor_face_id}
    stage.quiet()
    stage.assert_in_sync()
    assert told(stage) == {}


@on("sophon")
def test_an_answer_that_shows_no_new_face_is_disputed_and_looked_into(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.hire(ALICE, 1)
    stage.quiet()
    stage.swap(ALICE, 1, 2)
    kind = type(stage.house.shelf(GATE).library)
    add = kind.add

    def hides(self: FaceLibrary[Any], person: Person, face: Face, held: Held) -> Report:
        listed = add(self, person, face, held).remaining or ()
        return Report(remaining=tuple(one for one in listed if one.vendor_face_id in vendor_ids(held)))

    monkeypatch.setattr(kind, "add", hides)
    stage.deliver()

    assert stage.row().state == "doubtful"
    assert told(stage) == {None: Situation.DISPUTED}
    assert len(stage.there()) == 2
    stage.quiet()
    stage.assert_in_sync()
    assert told(stage) == {}


@on("sophon")
def test_a_situation_of_one_person_is_not_anothers(stage: Stage) -> None:
    stage.hire(ALICE, 1, 2)
    stage.hire(BOB, 3, 4)
    stage.quiet()
    foreign = stage.plant(ALICE)

    stage.drop(ALICE, 0)
    stage.drop(BOB, 0)
    stage.quiet()

    assert told(stage, ALICE) == {foreign: Situation.FOREIGN}
    assert told(stage, BOB) == {}


# --- ownership ----------------------------------------------------------------------------------------------------


@on("sophon")
def test_in_a_library_of_ours_an_unknown_face_in_the_answer_goes(stage: Stage) -> None:
    stage.reshelve(owned=True)
    stage.hire(ALICE, 1, 2)
    stage.quiet()
    stray = stage.plant()

    stage.drop(ALICE, 0)
    stage.deliver()
    assert told(stage) == {stray: Situation.FOREIGN}
    stage.quiet()

    assert stray not in stage.room.world.faces
    assert told(stage) == {}
    stage.assert_in_sync()


@on("sophon")
def test_a_stranger_who_has_left_is_no_longer_noted(stage: Stage) -> None:
    stage.hire(ALICE, 1, 2)
    stage.quiet()
    stranger = stage.plant()
    stage.drop(ALICE, 0)
    stage.quiet()
    assert told(stage) == {stranger: Situation.FOREIGN}

    stage.room.remove(stranger)
    stage.swap(ALICE, 1, 3)
    stage.doubt(ALICE)
    stage.quiet()

    assert told(stage) == {}
    stage.assert_in_sync()


def test_only_faces_that_were_read_count_as_verified(everywhere: Stage) -> None:
    stage = everywhere
    stage.hire(ALICE, 1)
    stage.quiet()
    stage.swap(ALICE, 1, 2)
    stage.doubt(ALICE)
    stage.quiet()

    verified = stage.verified()

    by_digest = {one.digest: verified[one.vendor_face_id] for one in stage.there()}
    assert by_digest[draw(1).digest] is not None
    assert by_digest[draw(2).digest] is None


@pytest.mark.parametrize("everywhere", SHOWING, indirect=True)
@pytest.mark.parametrize("owned", [True, False])
def test_a_stranger_that_a_look_shows_goes_only_from_a_library_of_ours(everywhere: Stage, *, owned: bool) -> None:
    stage = everywhere
    stage.reshelve(owned=owned)
    stage.hire(ALICE, 1)
    stage.quiet()
    stranger = stage.plant()
    stage.swap(ALICE, 0, 2)
    stage.doubt(ALICE)

    stage.quiet()

    assert (stranger in stage.room.world.faces) is not owned
    assert stage.digests() == [draw(2).digest]
    assert stage.row().state == "synced"


@pytest.mark.parametrize("everywhere", SHOWING, indirect=True)
def test_a_departure_in_doubt_leaves_a_stranger_where_the_library_is_not_ours(everywhere: Stage) -> None:
    stage = everywhere
    stage.hire(ALICE, 1)
    stage.quiet()
    stranger = stage.plant()
    stage.leave(ALICE)
    stage.room.fault("lost_answer", times=1)

    stage.quiet()

    assert list(stage.room.world.faces) == [stranger]
    assert stage.row().state == "synced"


@on("aliyun")
def test_a_dead_deletion_does_not_make_a_stranger_ours(stage: Stage) -> None:
    """It had nothing to add, so no unknown face can be its."""
    stage.hire(ALICE, 1, 2)
    stage.quiet()
    stranger = stage.plant()
    stage.drop(ALICE, 0)
    stage.claim_and_die()
    stage.quiet()
    stage.leave(ALICE)
    stage.quiet()

    assert list(stage.room.world.faces) == [stranger]


@pytest.mark.parametrize("everywhere", ["sophon", "aliyun"], indirect=True)
def test_a_stranger_is_not_taken_for_an_add_whose_answer_was_lost(everywhere: Stage) -> None:
    """Who was there before the add is read and noted before it."""
    stage = everywhere
    stage.hire(ALICE, 1)
    stage.quiet()
    stranger = stage.plant()
    stage.swap(ALICE, 1, 2)
    operation = {"sophon": "addface"}.get(stage.room.name, ADDING[stage.room.name])
    stage.room.fault("garbage", operation, times=1, carried_out=False)

    stage.quiet()

    assert stranger not in stage.believed()
    stage.assert_in_sync()


# --- policy -------------------------------------------------------------------------------------------------------


def test_under_upsert_only_nothing_leaves_and_nothing_is_forgotten(everywhere: Stage) -> None:
    stage = everywhere
    stage.reshelve(policy="upsert-only")
    stage.hire(ALICE, 1, 2)
    stage.quiet()
    before = stage.believed()

    stage.drop(ALICE, 0)
    stage.quiet()
    assert (stage.row().state, stage.believed()) == ("synced", before)
    stage.swap(ALICE, 1, 3)
    stage.quiet()
    assert stage.digests() == sorted([draw(1).digest, draw(3).digest])
    stage.leave(ALICE)
    stage.quiet()

    assert stage.row().state == "synced"
    assert stage.digests() == sorted([draw(1).digest, draw(3).digest])
    assert stage.believed() == {one.vendor_face_id for one in stage.there()}
    stage.reshelve(policy="sync")
    stage.hire(ALICE, 4)
    stage.quiet()
    stage.assert_in_sync()


@pytest.mark.parametrize("kind", ["outage", "lost_answer", "throttle"])
def test_under_upsert_only_what_is_kept_stays_ours_through_trouble(everywhere: Stage, kind: str) -> None:
    stage = everywhere
    stage.reshelve(policy="upsert-only")
    stage.hire(ALICE, 1, 2)
    stage.quiet()
    stage.drop(ALICE, 0)
    stage.quiet()
    stage.swap(ALICE, 1, 3)
    stage.room.fault(kind, times=1)

    stage.deliver()
    assert {one.vendor_face_id for one in stage.there() if one.digest == draw(1).digest} <= stage.believed()
    stage.quiet()

    assert stage.believed() == {one.vendor_face_id for one in stage.there()}
    assert stage.digests() == sorted([draw(1).digest, draw(3).digest])


def test_under_upsert_only_a_face_deletion_does_not_end_a_replacement_that_is_owed(everywhere: Stage) -> None:
    stage = everywhere
    stage.reshelve(policy="upsert-only")
    stage.hire(ALICE, 1, 2)
    stage.quiet()
    stage.swap(ALICE, 0, 3)
    stage.drop(ALICE, 1)

    stage.quiet()

    assert draw(3).digest in stage.digests()
    assert stage.row().state == "synced"


def test_under_upsert_only_a_lost_add_is_looked_into_before_a_departure_is_done(everywhere: Stage) -> None:
    stage = everywhere
    stage.reshelve(policy="upsert-only")
    stage.hire(ALICE, 1)
    stage.room.fault("lost_answer", ADDING[stage.room.name], times=1)
    stage.deliver()

    stage.leave(ALICE)
    stage.quiet()

    assert stage.believed() == {one.vendor_face_id for one in stage.there()}


def test_nothing_is_sent_to_a_library_that_only_observes(everywhere: Stage) -> None:
    stage = everywhere
    stage.hire(ALICE, 1)
    number = stage.row().id
    stage.reshelve(policy="observe")
    stage.hire(BOB, 2)

    deliver(stage.house, GATE, [number])

    assert stage.rung() == []
    assert stage.room.calls()["total"] == 0
