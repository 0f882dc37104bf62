"""Every face gets the situation and the reaction that it deserves, and nobody is harmed by a listing that lies."""

from dataclasses import replace

import pytest
from sqlalchemy import update

from syncsvc.flow import compare as compare_module
from syncsvc.flow.compare import BusyError, compare
from syncsvc.flow.mend import mend
from syncsvc.model.errors import InputError
from syncsvc.model.keys import person_key
from syncsvc.model.listings import Completeness
from syncsvc.model.people import Listed, VendorFaceId
from syncsvc.model.situations import SAFE, Finding, Reaction, Situation
from syncsvc.store.tables import bindings, faces
from tests.flow.listings import compared, forget_bindings, odd, read, state, unbind
from tests.flow.stage import ADDING, ALICE, BOB, CAROL, GATE, LEFT, RIGHT, Stage, on
from tests.vendors.photos import draw

REPAIR, REPORT = Reaction.REPAIR, Reaction.REPORT


def only(stage: Stage, person: str = ALICE) -> str:
    (face,) = stage.there(person)  # type: ignore[arg-type]
    return face.vendor_face_id


def test_what_is_as_it_should_be_is_in_sync_and_nothing_is_noted(everywhere: Stage) -> None:
    stage = everywhere
    stage.hire(ALICE, 1, 2)
    stage.hire(CAROL, 3)
    stage.quiet()

    assert compared(stage) == {Situation.IN_SYNC: 3}
    assert odd(stage) == {}
    assert state(stage) == "compared"


def test_a_face_that_is_not_listed_is_missing_only_if_the_listing_is_complete(everywhere: Stage) -> None:
    stage = everywhere
    stage.hire(ALICE, 1)
    stage.hire(BOB, 2)
    stage.quiet()
    gone = only(stage)
    stage.room.remove(gone)

    assert compared(stage, completeness=Completeness.PARTIAL) == {Situation.IN_SYNC: 1}
    assert odd(stage) == {}
    assert compared(stage, completeness=Completeness.SUSPECT) == {Situation.IN_SYNC: 1}
    assert odd(stage) == {}
    assert compared(stage) == {Situation.IN_SYNC: 1, Situation.MISSING: 1}
    assert odd(stage) == {gone: (Situation.MISSING, REPAIR)}


def test_a_picture_that_is_not_the_wanted_one_is_stale(stage: Stage) -> None:
    stage.hire(ALICE, 1)
    stage.hire(BOB, 2)
    stage.quiet()
    with stage.house.store.transaction() as tx:
        mine = (bindings.c.person_id == ALICE, faces.c.person_id == BOB)
        tx._connection.execute(update(bindings).where(mine[0]).values(digest=None))
        tx._connection.execute(update(bindings).where(bindings.c.person_id == BOB).values(digest=draw(3).digest))

    compared(stage)

    stale = (Situation.STALE, REPAIR)
    assert odd(stage) == {only(stage): stale, only(stage, BOB): stale}


def test_a_face_that_nobody_should_have_is_a_stray_and_a_second_one_a_duplicate(stage: Stage) -> None:
    stage.hire(ALICE, 1, 2)
    stage.quiet()
    left = next(one.vendor_face_id for one in stage.there() if one.digest == draw(1).digest)
    right = next(one.vendor_face_id for one in stage.there() if one.digest == draw(2).digest)
    with stage.house.store.transaction() as tx:
        mine = bindings.c.vendor_face_id == right
        same = {"face_id": LEFT, "digest": draw(1).digest, "bound_at": stage.clock()}
        tx._connection.execute(update(bindings).where(mine).values(same))
    first, second = sorted([left, right])

    assert compared(stage) == {Situation.IN_SYNC: 1, Situation.DUPLICATE: 1}
    assert odd(stage) == {second: (Situation.DUPLICATE, REPAIR)}

    with stage.house.store.transaction() as tx:
        tx._connection.execute(update(bindings).where(mine).values(face_id=None, digest=None))
    assert compared(stage) == {Situation.IN_SYNC: 1, Situation.STRAY: 1}
    assert odd(stage) == {right: (Situation.STRAY, REPAIR)}
    assert first in {left, right}


def test_what_was_taken_out_and_is_listed_again_is_a_stray(everywhere: Stage) -> None:
    stage = everywhere
    stage.hire(ALICE, 1)
    stage.hire(BOB, 2)
    stage.quiet()
    back = only(stage)
    unbind(stage, back)

    assert compared(stage) == {Situation.IN_SYNC: 1, Situation.STRAY: 1}
    assert odd(stage) == {back: (Situation.STRAY, REPAIR)}


@pytest.mark.parametrize("everywhere", ["finauth", "huawei"], indirect=True)
def test_an_add_that_nobody_told_us_of_is_known_by_its_label(everywhere: Stage) -> None:
    stage = everywhere
    stage.hire(CAROL, 1)
    stage.hire(BOB, 2)
    stage.quiet()
    lost = only(stage, CAROL)
    twin = stage.room.plant(person_key(BOB), label=stage.there(BOB)[0].label).vendor_face_id
    forget_bindings(stage, lost)

    assert compared(stage) == {Situation.IN_SYNC: 1, Situation.STRAY: 1, Situation.DUPLICATE: 1}
    assert odd(stage) == {lost: (Situation.STRAY, Reaction.ADOPT), twin: (Situation.DUPLICATE, REPAIR)}


@pytest.mark.parametrize(("owned", "reaction"), [(False, REPORT), (True, REPAIR)])
def test_a_face_of_others_is_foreign_and_only_reported_unless_the_library_is_ours(
    everywhere: Stage, *, owned: bool, reaction: Reaction
) -> None:
    stage = everywhere
    wishes = {**SAFE, Situation.FOREIGN: REPAIR}
    stage.reshelve(owned=owned, reactions=wishes)
    stage.hire(ALICE, 1)
    stage.quiet()
    known, unknown = stage.plant(ALICE), stage.room.plant("somebody").vendor_face_id

    assert compared(stage) == {Situation.IN_SYNC: 1, Situation.FOREIGN: 2}
    assert odd(stage) == dict.fromkeys((known, unknown), (Situation.FOREIGN, reaction))


@on("sophon")
def test_a_face_of_ours_under_anothers_name_is_disputed_and_never_touched(stage: Stage) -> None:
    stage.hire(ALICE, 1)
    stage.hire(BOB, 2)
    stage.quiet()
    face = VendorFaceId(only(stage))

    compared(stage, faces=[Listed(face, None, person_key(BOB)), Listed(VendorFaceId(only(stage, BOB)))])

    assert odd(stage) == {face: (Situation.DISPUTED, REPORT)}


@on("sophon")
def test_what_is_in_motion_is_not_judged(stage: Stage) -> None:
    stage.hire(ALICE, 1)
    stage.hire(BOB, 2)
    stage.quiet()
    stranger = stage.plant(ALICE)
    stage.room.remove(only(stage, BOB))
    stage.doubt(ALICE)
    stage.doubt(BOB)

    assert compared(stage) == {Situation.IN_SYNC: 1}
    assert odd(stage) == {}

    read(stage)
    stage.quiet()
    compare(stage.house, GATE)
    assert stranger not in odd(stage) or odd(stage)[stranger][0] is Situation.FOREIGN


@pytest.mark.parametrize("policy", ["observe", "upsert-only"])
def test_a_policy_that_removes_nobody_only_reports_what_would_be_removed(stage: Stage, policy: str) -> None:
    stage.hire(ALICE, 1)
    stage.hire(BOB, 2)
    stage.quiet()
    back, gone = only(stage), only(stage, BOB)
    unbind(stage, back)
    stage.room.remove(gone)
    stage.reshelve(policy=policy)

    compared(stage)

    missing = REPORT if policy == "observe" else REPAIR
    assert odd(stage) == {back: (Situation.STRAY, REPORT), gone: (Situation.MISSING, missing)}


def test_a_suspect_listing_removes_nobody(stage: Stage) -> None:
    stage.hire(ALICE, 1)
    stage.quiet()
    back = only(stage)
    unbind(stage, back)

    compared(stage, completeness=Completeness.SUSPECT)

    assert odd(stage) == {back: (Situation.STRAY, REPORT)}


def test_an_empty_database_of_ours_removes_nobody(stage: Stage) -> None:
    stage.reshelve(owned=True, reactions={**SAFE, Situation.FOREIGN: REPAIR})
    foreign = stage.plant(ALICE)

    compared(stage)

    assert odd(stage) == {foreign: (Situation.FOREIGN, REPORT)}


def test_a_newer_listing_takes_the_place_of_what_an_older_one_has_shown(stage: Stage) -> None:
    stage.hire(ALICE, 1)
    stage.quiet()
    foreign = stage.plant(BOB)
    compared(stage)
    assert list(odd(stage)) == [foreign]

    stage.room.remove(foreign)
    compared(stage)

    assert odd(stage) == {}


def test_what_an_errand_noted_goes_when_a_listing_shows_it_in_order(stage: Stage) -> None:
    stage.hire(ALICE, 1)
    stage.quiet()
    with stage.house.store.transaction() as tx:
        seen = [
            Finding(Situation.STRAY, VendorFaceId(only(stage)), "seen"),
            Finding(Situation.DISPUTED, None, "a sum that does not fit"),
        ]
        tx.situations.note(GATE, ALICE, seen, stage.clock())

    compared(stage)

    assert odd(stage) == {"": (Situation.DISPUTED, None)}


def test_a_listing_that_is_not_finished_is_not_compared(stage: Stage) -> None:
    with pytest.raises(InputError, match="reconcile run"):
        compare(stage.house, GATE)


def test_a_listing_is_compared_once(stage: Stage) -> None:
    stage.hire(ALICE, 1)
    stage.quiet()
    before = compared(stage)
    stage.room.remove(only(stage))

    assert {one: count for one, count in compare(stage.house, GATE).items() if count} == before


def test_reactions_can_be_to_report(stage: Stage) -> None:
    stage.reshelve(reactions=dict.fromkeys(SAFE, REPORT))
    stage.hire(ALICE, 1)
    stage.hire(BOB, 2)
    stage.quiet()
    gone = only(stage)
    stage.room.remove(gone)

    compared(stage)

    assert odd(stage) == {gone: (Situation.MISSING, REPORT)}
    assert replace(stage.house.shelf(GATE)).reactions[Situation.MISSING] is REPORT
    assert RIGHT


@pytest.mark.parametrize("everywhere", ["finauth", ("postgresql", "finauth")], indirect=True, ids=str)
def test_two_who_compare_at_once_do_not_forget_what_the_other_notes(
    everywhere: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = everywhere
    stage.hire(ALICE, 1)
    stage.hire(BOB, 2)
    stage.quiet()
    stage.room.remove(stage.there()[0].vendor_face_id)
    read(stage)
    second: list[str] = []
    forgets = compare_module._Comparison.forget_mended

    def meanwhile(comparison: compare_module._Comparison) -> None:
        if not second:
            second.append("none")
            with pytest.raises(BusyError):
                compare(stage.house, GATE)
            second[0] = "refused"
        forgets(comparison)

    monkeypatch.setattr(compare_module._Comparison, "forget_mended", meanwhile)

    assert compare(stage.house, GATE)[Situation.MISSING] == 1

    assert second == ["refused"]
    assert len(odd(stage)) == 1


@on("finauth")
def test_who_lost_a_comparison_to_another_writes_nothing_any_more(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.hire(ALICE, 1)
    stage.hire(BOB, 2)
    stage.quiet()
    stage.room.remove(stage.there()[0].vendor_face_id)
    read(stage)
    second: list[int] = []
    walks = compare_module._Comparison.walk

    def late(comparison: compare_module._Comparison) -> None:
        if not second:
            second.append(-1)
            stage.clock.advance(compare_module.LEASE.total_seconds())
            second[0] = compare(stage.house, GATE)[Situation.MISSING]
            mend(stage.house, GATE)
        walks(comparison)

    monkeypatch.setattr(compare_module._Comparison, "walk", late)

    with pytest.raises(BusyError):
        compare(stage.house, GATE)

    assert second == [1]
    assert [reaction for _, reaction in odd(stage).values()] == [Reaction.WAIT]


@pytest.mark.parametrize("everywhere", ["aliyun", ("postgresql", "aliyun")], indirect=True, ids=str)
def test_a_stranger_stays_known_as_one_while_an_add_is_in_doubt(everywhere: Stage) -> None:
    stage = everywhere
    stage.hire(ALICE, 1)
    stage.hire(BOB, 2)
    stage.quiet()
    stranger = stage.room.plant(person_key(ALICE)).vendor_face_id
    assert compared(stage)[Situation.FOREIGN] == 1
    mend(stage.house, GATE)
    stage.swap(ALICE, 0, 3)
    stage.room.fault("garbage", ADDING[stage.room.name], times=1, carried_out=False)
    stage.deliver()
    assert stage.row().state == "doubtful"

    compared(stage)
    stage.quiet()

    assert stranger not in stage.believed()
    assert stranger in stage.room.world.faces


@pytest.mark.parametrize("everywhere", ["sophon", ("postgresql", "finauth")], indirect=True, ids=str)
def test_a_stranger_under_somebody_of_ours_is_forgotten_when_they_are_gone(everywhere: Stage) -> None:
    stage = everywhere
    stage.hire(ALICE, 1)
    stage.hire(BOB, 2)
    stage.quiet()
    stranger = stage.room.plant(person_key(ALICE)).vendor_face_id
    compared(stage)
    assert odd(stage) == {stranger: (Situation.FOREIGN, REPORT)}
    assert compared(stage)[Situation.FOREIGN] == 1
    assert odd(stage) == {stranger: (Situation.FOREIGN, REPORT)}
    stage.room.remove(stranger)

    assert compared(stage, completeness=Completeness.PARTIAL)[Situation.IN_SYNC] == 2
    assert set(odd(stage)) == {stranger}
    compared(stage)
    assert odd(stage) == {}
