"""Single faces verified by their ids: the longest unseen first, and nothing is unbound by it."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, update

from syncsvc.flow.checks import check_oldest, verification_view, verify_listed
from syncsvc.flow.views import status_view
from syncsvc.model.errors import RejectedError
from syncsvc.model.people import Held, Person, PersonId, VendorFaceId
from syncsvc.model.report import Seen
from syncsvc.model.situations import Finding, Situation
from syncsvc.store.tables import bindings, listed
from tests.flow.stage import ALICE, BOB, CAROL, GATE, Stage, on

DAY = 86400.0


def settled(stage: Stage, *people: PersonId) -> None:
    for number, person in enumerate(people):
        stage.hire(person, 2 * number + 1, 2 * number + 2)
        stage.deliver(person)


def calls(stage: Stage) -> int:
    return stage.gatekeeper.permits


def test_a_face_whose_time_has_come_is_seen_and_verified(everywhere: Stage) -> None:
    stage = everywhere
    settled(stage, ALICE)
    stage.clock.advance(29 * DAY)

    seen = check_oldest(stage.house, GATE)

    assert seen == 2
    assert set(stage.verified().values()) == {stage.clock()}
    stage.assert_in_sync()


def test_nobody_is_looked_at_before_their_time(stage: Stage) -> None:
    settled(stage, ALICE)
    stage.clock.advance(20 * DAY)
    before = calls(stage)

    assert check_oldest(stage.house, GATE) == 0

    assert calls(stage) == before


def test_a_face_that_vanished_is_owed_again_and_put_back_by_the_delivery(everywhere: Stage) -> None:
    stage = everywhere
    settled(stage, ALICE)
    gone = stage.there()[0].vendor_face_id
    stage.room.remove(gone)
    stage.clock.advance(29 * DAY)

    check_oldest(stage.house, GATE)

    assert gone in stage.believed()  # nothing is unbound by looking
    assert {face for face, at in stage.verified().items() if at == stage.clock()} == stage.believed() - {gone}
    assert stage.row().state == "doubtful"
    stage.quiet()
    stage.assert_in_sync()


def test_who_is_owed_something_is_left_to_that_errand(stage: Stage) -> None:
    settled(stage, ALICE)
    stage.clock.advance(29 * DAY)
    stage.swap(ALICE, 0, 7)
    before = calls(stage)

    assert check_oldest(stage.house, GATE) == 0

    assert calls(stage) == before


def test_the_longest_unseen_come_first_and_the_slice_ends_in_time(stage: Stage) -> None:
    settled(stage, BOB)
    stage.clock.advance(DAY)
    settled(stage, ALICE)
    stage.clock.advance(28 * DAY)

    seen = check_oldest(stage.house, GATE, seconds=0.0)

    assert seen == 0
    asked: list[str] = []
    stage.gatekeeper.before = asked.append
    assert check_oldest(stage.house, GATE) == 4
    with stage.house.store.reading() as tx:
        ages = tx.checks.oldest(GATE, before=stage.clock() + timedelta(1), now=stage.clock(), after=None, limit=9)
    assert [one.person for one in ages] == [ALICE, ALICE, BOB, BOB]  # all seen at one instant now


@on("sophon")
def test_a_stranger_under_our_key_is_noted_and_stays(stage: Stage) -> None:
    settled(stage, ALICE)
    stranger = stage.plant()
    stage.clock.advance(29 * DAY)

    assert check_oldest(stage.house, GATE) == 2

    (noted,) = stage.situations()
    assert (noted.finding.situation, noted.finding.vendor_face_id) == (Situation.FOREIGN, stranger)
    assert stranger in stage.room.world.faces
    assert stage.row().state == "synced"


def test_an_observed_library_is_looked_at_and_nothing_is_owed_to_it(everywhere: Stage) -> None:
    stage = everywhere
    settled(stage, ALICE)
    stage.reshelve(policy="observe")
    gone = stage.there()[0].vendor_face_id
    stage.room.remove(gone)
    stage.clock.advance(29 * DAY)

    assert check_oldest(stage.house, GATE) == 1

    (noted,) = stage.situations()
    assert (noted.finding.situation, noted.finding.vendor_face_id) == (Situation.MISSING, gone)
    assert stage.row().state == "synced"
    before = calls(stage)
    assert check_oldest(stage.house, GATE) == 0  # what is odd is looked at once a day, and not without end
    assert calls(stage) == before


def test_a_face_that_came_back_is_not_noted_as_missing_any_more(stage: Stage) -> None:
    settled(stage, ALICE)
    stage.reshelve(policy="observe")
    face = stage.there()[0]
    stage.room.remove(face.vendor_face_id)
    stage.clock.advance(29 * DAY)
    check_oldest(stage.house, GATE)
    with stage.room.lock:
        stage.room.world.add(face)
    stage.clock.advance(2 * DAY)

    assert check_oldest(stage.house, GATE) == 2

    assert stage.situations() == []


@on("finauth")
def test_a_face_that_is_filed_under_another_person_is_disputed_and_not_verified(stage: Stage) -> None:
    settled(stage, ALICE)
    face = stage.there()[0]
    with stage.room.lock:
        stage.room.world.remove(face.vendor_face_id)
        stage.room.world.add(type(face)(face.vendor_face_id, "bob", face.digest, face.vendor_image_id, face.label))
    stage.clock.advance(29 * DAY)

    assert check_oldest(stage.house, GATE) == 1

    (noted,) = stage.situations()
    assert (noted.finding.situation, noted.finding.vendor_face_id) == (Situation.DISPUTED, face.vendor_face_id)


def test_an_outage_ends_the_slice_and_harms_nobody(stage: Stage) -> None:
    settled(stage, ALICE, BOB)
    stage.clock.advance(29 * DAY)
    stage.room.fault("outage")

    assert check_oldest(stage.house, GATE) == 0

    assert stage.row().state == "synced"
    stage.room.clear_faults()
    assert check_oldest(stage.house, GATE) == 4  # and the next one finds the library free


@on("huawei")
def test_people_who_cannot_be_looked_at_do_not_keep_the_others_waiting(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = [PersonId(f"a{number}") for number in range(3)]
    settled(stage, *odd, BOB)
    stage.clock.advance(29 * DAY)
    adapter = type(stage.house.shelf(GATE).library)
    look = adapter.look

    def refusing(self: Any, person: Person, held: Held) -> Seen:
        if person.id in odd:
            raise RejectedError("another face than the one asked for", code="other_face")
        return look(self, person, held)

    monkeypatch.setattr(adapter, "look", refusing)

    assert check_oldest(stage.house, GATE) == 0
    assert check_oldest(stage.house, GATE) == 2

    assert set(stage.verified(BOB).values()) == {stage.clock.now}
    (noted, _) = stage.situations(odd[0])
    assert (noted.finding.situation, noted.finding.note) == (
        Situation.DISPUTED,
        "the library does not let it be looked at (other_face)",
    )
    monkeypatch.undo()
    assert check_oldest(stage.house, GATE) == 0  # their turn is tomorrow
    stage.clock.advance(2 * DAY)
    assert check_oldest(stage.house, GATE) == 6
    assert stage.situations(odd[0]) == []


def test_a_paused_library_is_left_alone(stage: Stage) -> None:
    settled(stage, ALICE)
    stage.clock.advance(29 * DAY)
    stage.set_state("paused")
    before = calls(stage)

    assert check_oldest(stage.house, GATE) == 0

    assert calls(stage) == before


def test_of_two_who_check_at_once_the_second_does_nothing(stage: Stage) -> None:
    settled(stage, ALICE)
    stage.clock.advance(29 * DAY)
    second: list[int] = []

    def meanwhile(_operation: str) -> None:
        if not second:
            second.append(-1)
            second[0] = check_oldest(stage.house, GATE)

    stage.gatekeeper.before = meanwhile

    first = check_oldest(stage.house, GATE)

    assert (first, second) == (2, [0])


def test_a_checker_that_died_keeps_the_others_out_for_a_while_only(stage: Stage) -> None:
    settled(stage, ALICE)
    stage.clock.advance(29 * DAY)
    with stage.house.store.transaction() as tx:
        assert tx.checks.begin(GATE, stage.clock(), stage.clock() + timedelta(seconds=40))

    assert check_oldest(stage.house, GATE) == 0

    stage.clock.advance(41)
    assert check_oldest(stage.house, GATE) == 2


def test_who_departs_while_being_looked_at_is_not_owed_back(everywhere: Stage) -> None:
    stage = everywhere
    settled(stage, ALICE)
    stage.room.remove(stage.there()[0].vendor_face_id)
    stage.clock.advance(29 * DAY)
    left: list[int] = []

    def meanwhile(_operation: str) -> None:
        if not left:
            left.append(1)
            stage.leave(ALICE)

    stage.gatekeeper.before = meanwhile

    check_oldest(stage.house, GATE)

    stage.quiet()
    assert stage.there() == []
    assert stage.believed() == set()


def test_a_listing_verifies_what_it_shows_and_leaves_out_what_is_odd(stage: Stage) -> None:
    settled(stage, ALICE, BOB, CAROL)
    shown = [*stage.believed(ALICE), *stage.believed(BOB)]
    recent, old = sorted(stage.believed(ALICE))
    odd, even = sorted(stage.believed(BOB))
    stage.clock.advance(2 * DAY)
    at = stage.clock()
    hour_ago = at - timedelta(hours=1)
    with stage.house.store.transaction() as tx:
        rows = [{"library": GATE, "run": 3, "vendor_face_id": one} for one in shown]
        tx._connection.execute(insert(listed), rows)
        just_seen = update(bindings).where(bindings.c.vendor_face_id == recent)
        tx._connection.execute(just_seen.values(verified_at=hour_ago))
        tx.situations.note(GATE, BOB, [Finding(Situation.DISPUTED, VendorFaceId(odd), "odd")], at)

    assert verify_listed(stage.house, GATE, 3, at) == 2

    assert stage.verified(ALICE) == {recent: hour_ago, old: at}
    assert stage.verified(BOB) == {odd: None, even: at}
    assert set(stage.verified(CAROL).values()) == {None}


def test_the_view_says_how_long_faces_went_unseen(pair: Stage) -> None:
    stage = pair
    settled(stage, ALICE)
    stage.clock.advance(31 * DAY)

    gate, yard = verification_view(stage.house)

    assert (gate.library, gate.bindings, gate.oldest, gate.overdue) == (GATE, 2, 31 * DAY, 2)
    assert (yard.bindings, yard.oldest, yard.overdue) == (0, None, 0)
    assert [(one.oldest_verification, one.unverified) for one in status_view(stage.house)] == [(31 * DAY, 2), (None, 0)]
    check_oldest(stage.house, GATE)
    assert verification_view(stage.house)[0].overdue == 0
    assert status_view(stage.house)[0].oldest_verification == 0.0
