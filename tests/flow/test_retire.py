"""A library retires: everybody goes out of it and out of no other, it is read, and a receipt says what was verified."""

import json
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from syncsvc.flow import retire as flow
from syncsvc.flow.claim import claim
from syncsvc.flow.deliver import deliver
from syncsvc.flow.dispatch import sweep
from syncsvc.flow.operate import fill, resync
from syncsvc.flow.retire import go_on, retire, status, undo
from syncsvc.model.errors import InputError, NotFoundError, UnsafePlanError
from syncsvc.model.people import LibraryName, PersonId
from syncsvc.model.urgency import Urgency, rank
from syncsvc.store import tables
from syncsvc.store.migrating import Retirement
from tests.flow.stage import ALICE, BOB, CAROL, GATE, VENDORS, YARD, Stage
from tests.vendors.photos import blank

PEOPLE = (ALICE, BOB, CAROL)


def hire_everybody(stage: Stage) -> None:
    for number, person in enumerate(PEOPLE):
        stage.hire(person, number, number + 3)
    stage.quiet()


def empty_out(stage: Stage, rounds: int = 12) -> Retirement:
    """Workers and the caretaker at work until the gate is retired."""
    for _ in range(rounds):
        left = go_on(stage.house)
        stage.quiet()
        if not left:
            break
        stage.clock.advance(1800)
    return status(stage.house, GATE).progress


def receipts(stage: Stage) -> list[dict[str, Any]]:
    """What was said about retired libraries, signed or still waiting for a key."""
    with stage.house.store.reading() as tx:
        signed = tx._connection.scalars(select(tables.receipts.c.body).where(tables.receipts.c.library == GATE)).all()
        unsigned = tables.unsigned_receipts.c
        waiting = tx._connection.scalars(select(unsigned.facts).where(unsigned.library == GATE)).all()
    return [json.loads(one) for one in [*signed, *waiting]]


# --- nobody by mistake --------------------------------------------------------------------------------------------


def test_a_library_retires_only_where_just_so_many_are_approved(pair: Stage) -> None:
    hire_everybody(pair)

    for approved in (None, 2, 4):
        with pytest.raises(UnsafePlanError, match=r"all of its 3 people.*--approve-removals 3"):
            retire(pair.house, GATE, approved=approved)

    pair.quiet()
    assert all(len(pair.there(person)) == 2 for person in PEOPLE)
    with pytest.raises(NotFoundError, match="not being retired"):
        status(pair.house, GATE)


def test_nobody_retires_while_the_new_library_lacks_somebody(pair: Stage) -> None:
    hire_everybody(pair)
    pair.set_state("paused", YARD)
    pair.hire(PersonId("dora"), 7)
    pair.quiet()

    with pytest.raises(UnsafePlanError, match="yard lacks 1 people whom gate has"):
        retire(pair.house, GATE, replaced_by=YARD, approved=4)
    pair.resume(YARD)
    pair.quiet()

    assert retire(pair.house, GATE, replaced_by=YARD, approved=4).progress.replaced_by == YARD


@pytest.mark.parametrize("policy", ["upsert-only", "observe"])
def test_only_a_library_from_which_we_may_remove_retires(pair: Stage, policy: str) -> None:
    hire_everybody(pair)
    pair.reshelve(GATE, policy=policy)

    with pytest.raises(InputError, match=f"has the policy {policy}"):
        retire(pair.house, GATE, approved=3)


def test_what_cannot_take_its_place_is_refused(pair: Stage) -> None:
    pair.reshelve(YARD, policy="observe")

    with pytest.raises(InputError, match="only observed"):
        retire(pair.house, GATE, replaced_by=YARD)
    with pytest.raises(InputError, match="compared with itself"):
        retire(pair.house, GATE, replaced_by=GATE)
    with pytest.raises(NotFoundError, match="'nowhere'"):
        retire(pair.house, GATE, replaced_by=LibraryName("nowhere"))


# --- everybody goes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", VENDORS, indirect=True)
def test_everybody_goes_and_whoever_was_never_ours_stays(stage: Stage) -> None:
    hire_everybody(stage)
    stranger = stage.plant(PersonId("a stranger"))

    retire(stage.house, GATE, approved=3)
    progress = empty_out(stage)

    assert set(stage.room.world.faces) == {stranger}
    assert (progress.stage, progress.bound, progress.verified, progress.there) == ("retired", 6, 6, 0)
    assert not progress.unverifiable


def test_the_other_library_does_not_notice(pair: Stage) -> None:
    hire_everybody(pair)

    retire(pair.house, GATE, replaced_by=YARD, approved=3)
    empty_out(pair)

    assert not pair.rooms[GATE].world.faces
    for person in PEOPLE:
        pair.assert_in_sync(person, YARD)


def test_a_receipt_says_what_was_verified_and_names_nobody(pair: Stage) -> None:
    hire_everybody(pair)
    retire(pair.house, GATE, replaced_by=YARD, approved=3)

    empty_out(pair)
    go_on(pair.house)

    (said,) = receipts(pair)
    text = json.dumps(said)
    assert '"verified_absent": 6' in text
    assert '"faces_ever_bound": 6' in text
    assert '"completeness": "complete"' in text
    assert not any(person in text for person in PEOPLE)
    assert pair.library(GATE).retired_at is not None


def test_faces_that_were_replaced_long_ago_are_verified_as_well(stage: Stage) -> None:
    stage.hire(ALICE, 1)
    stage.quiet()
    stage.swap(ALICE, 0, 2)
    stage.quiet()

    retire(stage.house, GATE, approved=1)

    assert empty_out(stage).verified == 2


def test_departures_go_first(stage: Stage) -> None:
    hire_everybody(stage)
    retire(stage.house, GATE, approved=3)
    go_on(stage.house)

    stage.leave(BOB)

    assert stage.row(BOB).rank == rank(Urgency.DEPARTURE, stage.clock())
    assert min(stage.rows(), key=lambda row: row.rank).person_id == BOB


def test_what_was_refused_or_given_up_is_taken_out_too(stage: Stage) -> None:
    hire_everybody(stage)
    stage.tell_photo(ALICE, PersonId("left"), blank())  # type: ignore[arg-type]
    stage.quiet()
    assert stage.row(ALICE).state == "refused"
    stage.amend(BOB, state="exhausted", attempts=8)

    retire(stage.house, GATE, approved=3)

    assert empty_out(stage).stage == "retired"
    assert not stage.room.world.faces


def test_a_departure_that_was_given_up_is_tried_again(stage: Stage) -> None:
    hire_everybody(stage)
    stage.leave(ALICE)
    stage.amend(ALICE, state="exhausted", attempts=8)

    retire(stage.house, GATE, approved=2)
    empty_out(stage)

    assert not stage.room.world.faces


# --- what happens meanwhile ---------------------------------------------------------------------------------------


def test_nobody_new_is_sent_and_whoever_changes_is_sent_nowhere_but_to_the_others(pair: Stage) -> None:
    hire_everybody(pair)
    retire(pair.house, GATE, approved=3)

    pair.hire(PersonId("dora"), 7)
    pair.swap(ALICE, 0, 8)
    pair.quiet()
    empty_out(pair)

    assert not pair.rooms[GATE].world.faces
    assert {row.library for row in pair.rows() if row.person_id == "dora"} == {YARD}
    pair.assert_in_sync(ALICE, YARD)


def test_whoever_departs_meanwhile_goes_from_both(pair: Stage) -> None:
    hire_everybody(pair)
    retire(pair.house, GATE, approved=3)

    pair.leave(ALICE)
    pair.quiet()

    assert not pair.there(ALICE, GATE)
    assert not pair.there(ALICE, YARD)


@pytest.mark.parametrize("stage", VENDORS, indirect=True)
def test_a_worker_that_was_sending_somebody_when_it_began_leaves_nothing_behind(stage: Stage) -> None:
    hire_everybody(stage)
    stage.swap(ALICE, 0, 8)
    taken = stage.take(stage.row(ALICE).id)

    retire(stage.house, GATE, approved=3)
    go_on(stage.house)
    stage.finish(taken)
    stage.clock.advance(60)
    progress = empty_out(stage)

    assert (progress.stage, progress.returned) == ("retired", 0)
    assert not stage.room.world.faces


@pytest.mark.parametrize("stage", VENDORS, indirect=True)
def test_a_face_whose_answer_was_lost_is_found_and_taken_out(stage: Stage) -> None:
    hire_everybody(stage)
    stage.hire(PersonId("dora"), 7)
    taken = stage.take(stage.row(PersonId("dora")).id)

    retire(stage.house, GATE, approved=4)
    go_on(stage.house)
    stage.run(taken)  # and the worker dies before it can write that down
    stage.clock.advance(60)

    assert empty_out(stage).stage == "retired"
    assert not stage.room.world.faces


def test_a_change_that_was_being_written_when_it_began_is_swept_up_afterwards(stage: Stage) -> None:
    hire_everybody(stage)
    retire(stage.house, GATE, approved=3)
    go_on(stage.house)
    stage.quiet()

    stage.amend(ALICE, wanted_faces=2, verb="replace", state="due")  # by whoever read the libraries before

    assert empty_out(stage).stage == "retired"
    assert not stage.room.world.faces
    assert stage.row(ALICE).wanted_faces == 0


def test_a_photo_is_never_sent_to_it_whatever_is_written(stage: Stage) -> None:
    hire_everybody(stage)
    stage.swap(ALICE, 0, 8)

    retire(stage.house, GATE, approved=3)
    ((_, errand),) = claim(stage.house, stage.house.shelf(GATE), [stage.row(ALICE).id]).taken

    assert errand.person.faces == ()


def test_a_resync_takes_out_and_does_not_send(stage: Stage) -> None:
    hire_everybody(stage)
    retire(stage.house, GATE, approved=3)
    stage.quiet()

    resync(stage.house, ALICE)
    stage.quiet()

    assert not stage.there(ALICE)


def test_a_library_that_retires_is_not_filled(stage: Stage) -> None:
    hire_everybody(stage)
    retire(stage.house, GATE, approved=3)

    with pytest.raises(InputError, match="being retired"):
        fill(stage.house, GATE)


def test_whoever_is_stopped_in_the_middle_goes_on(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    hire_everybody(stage)
    monkeypatch.setattr(flow, "AT_ONCE", 1)
    monkeypatch.setattr(flow, "PEOPLE_AT_ONCE", 1)
    retire(stage.house, GATE, approved=3)

    for _ in range(40):
        left = go_on(stage.house, seconds=0.0)  # one step, and then dead
        stage.quiet()
        if not left:
            break

    assert status(stage.house, GATE).progress == replace(
        status(stage.house, GATE).progress, stage="retired", bound=6, verified=6, there=0
    )
    assert not stage.room.world.faces


# --- a library that lies ------------------------------------------------------------------------------------------


def test_a_face_that_comes_back_is_taken_out_again(stage: Stage) -> None:
    hire_everybody(stage)
    (face, *_) = list(stage.room.world.faces.values())
    retire(stage.house, GATE, approved=3)
    go_on(stage.house)
    stage.quiet()

    stage.room.world.add(face)
    progress = empty_out(stage)

    assert not stage.room.world.faces
    assert (progress.stage, progress.verified, progress.returned, progress.there) == ("retired", 6, 1, 0)


def test_what_never_goes_is_not_called_gone(stage: Stage) -> None:
    hire_everybody(stage)
    (face, *_) = list(stage.room.world.faces.values())
    retire(stage.house, GATE, approved=3)
    for _ in range(12):
        left = go_on(stage.house)
        stage.quiet()
        if face.vendor_face_id not in stage.room.world.faces:
            stage.room.world.add(face)
        if not left:
            break
        stage.clock.advance(3600)

    progress = status(stage.house, GATE).progress
    assert (progress.stage, progress.verified, progress.there) == ("retired", 5, 1)
    assert '"still_there": 1' in json.dumps(receipts(stage))


# --- and back -----------------------------------------------------------------------------------------------------


def test_undone_everybody_is_sent_there_again_and_newcomers_too(pair: Stage) -> None:
    hire_everybody(pair)
    retire(pair.house, GATE, approved=3)
    go_on(pair.house)
    for ring in sweep(pair.house)[:2]:
        deliver(pair.house, ring.library, ring.deliveries)
    pair.hire(PersonId("dora"), 7)
    pair.leave(BOB)

    assert undo(pair.house, GATE) is None
    pair.quiet()

    for person in (ALICE, CAROL, PersonId("dora")):
        pair.assert_in_sync(person, GATE)
        pair.assert_in_sync(person, YARD)
    assert not pair.there(BOB, GATE)
    with pytest.raises(NotFoundError):
        status(pair.house, GATE)


@pytest.mark.parametrize("stage", VENDORS, indirect=True)
def test_a_removal_that_is_under_way_when_it_is_undone_is_made_good(stage: Stage) -> None:
    hire_everybody(stage)
    retire(stage.house, GATE, approved=3)
    go_on(stage.house)
    taken = stage.take(stage.row(ALICE).id)

    undo(stage.house, GATE)
    stage.finish(taken)
    stage.clock.advance(60)
    stage.quiet()

    stage.assert_in_sync(ALICE)


@pytest.mark.parametrize("stage", ["finauth"], indirect=True)
def test_it_is_undone_although_the_caretaker_takes_a_step_at_the_same_time(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    hire_everybody(stage)
    retire(stage.house, GATE, approved=3)
    seen = [status(stage.house, GATE)]
    go_on(stage.house)
    look = flow.status
    monkeypatch.setattr(flow, "status", lambda house, name: seen.pop() if seen else look(house, name))

    assert undo(stage.house, GATE) is None
    stage.quiet()

    assert not seen
    for person in PEOPLE:
        stage.assert_in_sync(person)


def test_what_is_finished_is_not_undone(stage: Stage) -> None:
    hire_everybody(stage)
    retire(stage.house, GATE, approved=3)
    empty_out(stage)

    with pytest.raises(InputError, match="is retired, and its receipt is written"):
        undo(stage.house, GATE)
