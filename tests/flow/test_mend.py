"""What a comparison has shown is put right by errands; nobody is taken out past the guard, and nobody of others."""

from dataclasses import replace

import pytest
from sqlalchemy import delete, select

from syncsvc.flow import mend as mending
from syncsvc.flow.compare import BusyError
from syncsvc.flow.mend import mend
from syncsvc.model.errors import UnsafePlanError
from syncsvc.model.guard import Limits
from syncsvc.model.keys import person_key
from syncsvc.model.people import PersonId
from syncsvc.model.situations import SAFE, Reaction, Situation
from syncsvc.store.comparing import Compared
from syncsvc.store.tables import bindings, deliveries, faces
from tests.flow.listings import compared, forget_bindings, odd, state, taken_out, unbind
from tests.flow.stage import ALICE, BOB, CAROL, GATE, Stage, on
from tests.vendors.photos import draw

OURS = {**SAFE, Situation.FOREIGN: Reaction.REPAIR}
LABELLED = ["finauth", "huawei"]
NAMING = ["sophon", "finauth", "aliyun"]  # they file faces under a person's key


def mended(stage: Stage) -> None:
    compared(stage)
    mend(stage.house, GATE)
    stage.quiet()


def people(number: int) -> list[PersonId]:
    return [PersonId(f"E{place:03d}") for place in range(number)]


def written(stage: Stage) -> tuple[list[object], list[object]]:
    with stage.house.store.reading() as tx:
        owed = tx._connection.execute(select(deliveries).order_by(deliveries.c.id)).all()
        held = tx._connection.execute(select(bindings).order_by(bindings.c.vendor_face_id)).all()
    return list(owed), list(held)


def test_a_face_that_vanished_is_put_back(everywhere: Stage) -> None:
    stage = everywhere
    stage.hire(ALICE, 1, 2)
    stage.hire(BOB, 3)
    stage.quiet()
    stage.room.remove(stage.there()[0].vendor_face_id)

    mended(stage)

    stage.assert_in_sync()
    stage.assert_in_sync(BOB)
    assert odd(stage) == {}
    assert state(stage) == "done"
    assert stage.library().reconciled_at is not None


def test_a_face_that_came_back_is_taken_out_again(everywhere: Stage) -> None:
    stage = everywhere
    stage.hire(ALICE, 1)
    stage.hire(BOB, 2)
    stage.hire(CAROL, 3, 4)
    stage.quiet()
    stage.leave(ALICE)
    stage.drop(CAROL, 0)
    with_them = [one for one in (*stage.there(), *stage.there(CAROL)) if one.digest != draw(4).digest]
    stage.quiet()
    for one in with_them:
        stage.room.plant_record(one.person_key)
        stage.room.world.add(one)

    compared(stage)
    mend(stage.house, GATE)
    assert taken_out(stage) == [(GATE, 2)]
    stage.quiet()

    for person in (ALICE, BOB, CAROL):
        stage.assert_in_sync(person)
    assert stage.there() == []
    assert odd(stage) == {}


@pytest.mark.parametrize("everywhere", LABELLED, indirect=True)
def test_a_lost_add_is_bound_and_its_twin_taken_out(everywhere: Stage) -> None:
    stage = everywhere
    stage.hire(CAROL, 1)
    stage.hire(BOB, 2)
    stage.quiet()
    (lost,) = stage.there(CAROL)
    twin = stage.room.plant(person_key(BOB), label=stage.there(BOB)[0].label)
    forget_bindings(stage, lost.vendor_face_id)

    mended(stage)

    stage.assert_in_sync(CAROL)
    stage.assert_in_sync(BOB)
    assert lost.vendor_face_id in stage.room.world.faces
    assert twin.vendor_face_id not in stage.room.world.faces
    assert odd(stage) == {}


def test_a_face_of_others_stays_unless_the_library_is_ours(everywhere: Stage) -> None:
    stage = everywhere
    stage.hire(ALICE, 1)
    stage.quiet()
    foreign = {stage.plant(ALICE), stage.room.plant("somebody").vendor_face_id}

    mended(stage)
    assert foreign < set(stage.room.world.faces)
    assert set(odd(stage)) == foreign
    assert taken_out(stage) == []

    stage.reshelve(owned=True, reactions=OURS)
    mended(stage)
    assert not foreign & set(stage.room.world.faces)
    assert odd(stage) == {}
    assert taken_out(stage) == [(GATE, 2)]
    stage.assert_in_sync()


def test_under_a_key_that_is_nobodys_a_face_goes_where_its_id_is_enough(everywhere: Stage) -> None:
    stage = everywhere
    stage.reshelve(owned=True, reactions=OURS)
    stage.hire(ALICE, 1)
    stage.quiet()
    foreign = stage.room.plant("x-nobody-of-ours").vendor_face_id

    mended(stage)

    by_id_alone = stage.house.shelf(GATE).library.capabilities.labels
    assert (foreign in stage.room.world.faces) is not by_id_alone
    assert odd(stage) == ({} if by_id_alone else {foreign: (Situation.FOREIGN, Reaction.REPORT)})
    stage.assert_in_sync()


@pytest.mark.parametrize("everywhere", [*NAMING, ("postgresql", "finauth")], indirect=True)
def test_a_face_under_the_name_of_somebody_who_lacks_one_is_adopted_and_replaced_by_ours(everywhere: Stage) -> None:
    stage = everywhere
    stage.reshelve(reactions={**SAFE, Situation.FOREIGN: Reaction.ADOPT})
    stage.hire(ALICE, 1)
    stage.quiet()
    (before,) = stage.there()
    stage.room.remove(before.vendor_face_id)
    forget_bindings(stage, before.vendor_face_id)
    foreign = {stage.plant(ALICE), stage.plant(BOB)}

    mended(stage)

    stage.assert_in_sync()
    (left,) = foreign & set(stage.room.world.faces)
    assert odd(stage) == {left: (Situation.FOREIGN, Reaction.REPORT)}


# --- the guard ----------------------------------------------------------------------------------------------------


def came_back(stage: Stage, count: int) -> list[str]:
    """Twelve people, of whom some had been taken out and are there again."""
    for place, person in enumerate(people(12)):
        stage.hire(person, place % 5)
    stage.quiet()
    back = [stage.there(person)[0].vendor_face_id for person in people(count)]
    unbind(stage, *back)
    return back


@on("finauth")
def test_what_exceeds_the_guard_waits_and_nobody_is_half_mended(stage: Stage) -> None:
    stage.house = replace(stage.house, limits=Limits(count=50, share=0.2))
    back = came_back(stage, 4)
    stage.room.remove(stage.there(people(12)[11])[0].vendor_face_id)
    compared(stage)
    before = written(stage)

    with pytest.raises(UnsafePlanError, match=r"4 of 12 people would go.*approve the removal of 4"):
        mend(stage.house, GATE)

    assert state(stage) == "waiting"
    assert written(stage) == before
    assert taken_out(stage) == []
    with pytest.raises(UnsafePlanError, match="3 were approved"):
        mend(stage.house, GATE, approved=3)
    assert written(stage) == before

    mend(stage.house, GATE, approved=4)
    stage.quiet()
    assert taken_out(stage) == [(GATE, 4)]
    assert odd(stage) == {}
    assert not set(back) & set(stage.room.world.faces)


@on("finauth")
def test_what_plans_took_out_counts_for_a_day(stage: Stage) -> None:
    stage.house = replace(stage.house, limits=Limits(count=50, share=0.2))
    back = came_back(stage, 2)
    mended(stage)
    assert not set(back) & set(stage.room.world.faces)
    again = [stage.there(person)[0].vendor_face_id for person in people(12)[4:6]]
    unbind(stage, *again)
    compared(stage)

    with pytest.raises(UnsafePlanError, match="2 went in the last 24 hours"):
        mend(stage.house, GATE)

    stage.clock.advance(25 * 3600)
    mended(stage)
    assert not set(again) & set(stage.room.world.faces)


@on("finauth")
def test_a_face_that_is_replaced_is_not_counted(stage: Stage) -> None:
    stage.house = replace(stage.house, limits=Limits(count=0, share=0.0))
    stage.hire(ALICE, 1)
    stage.quiet()
    stage.room.remove(stage.there()[0].vendor_face_id)

    mended(stage)

    stage.assert_in_sync()
    assert taken_out(stage) == []


# --- again, and interrupted ---------------------------------------------------------------------------------------


@on("finauth")
def test_a_death_in_the_middle_loses_nothing_and_judges_nothing_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.house = replace(stage.house, limits=Limits(count=50, share=0.4))
    back = came_back(stage, 4)
    compared(stage)
    monkeypatch.setattr(mending, "AT_ONCE", 1)
    mending.decide(stage.house, [_listing(stage)])
    with stage.house.store.transaction() as tx:
        mending._next_batch(tx, stage.house, stage.house.shelf(GATE))
    stage.house = replace(stage.house, limits=Limits(count=0, share=0.0))

    mend(stage.house, GATE)
    stage.quiet()

    assert not set(back) & set(stage.room.world.faces)
    assert taken_out(stage) == [(GATE, 4)]
    assert mend(stage.house, GATE) == 0


@on("finauth")
def test_what_has_begun_since_it_was_compared_is_left_to_it(stage: Stage) -> None:
    stage.hire(ALICE, 1)
    stage.hire(BOB, 2)
    stage.quiet()
    (face,) = stage.there()
    unbind(stage, face.vendor_face_id)
    compared(stage)
    stage.leave(ALICE)
    number = stage.row().wanted

    mend(stage.house, GATE)

    assert stage.believed() == set()
    assert stage.row().wanted == number


@on("finauth")
def test_by_a_database_that_was_emptied_after_the_comparison_nobody_is_removed(stage: Stage) -> None:
    stage.house = replace(stage.house, limits=None)
    back = came_back(stage, 2)
    compared(stage)
    with stage.house.store.transaction() as tx:
        tx._connection.execute(delete(faces))

    with pytest.raises(UnsafePlanError, match="by an empty one nobody is removed"):
        mend(stage.house, GATE, approved=2)
    stage.quiet()

    assert set(back) <= set(stage.room.world.faces)


@pytest.mark.parametrize("everywhere", ["finauth", ("postgresql", "finauth")], indirect=True, ids=str)
def test_of_two_who_let_the_same_removals_go_only_one_counts_them(everywhere: Stage) -> None:
    stage = everywhere
    back = came_back(stage, 2)
    compared(stage)
    seen = _listing(stage)
    mending.decide(stage.house, [seen])

    with pytest.raises(BusyError):
        mending.decide(stage.house, [seen])
    mend(stage.house, GATE)
    stage.quiet()

    assert taken_out(stage) == [(GATE, 2)]
    assert not set(back) & set(stage.room.world.faces)


@on("finauth")
def test_a_refusal_that_comes_late_does_not_stop_what_somebody_has_let_go(stage: Stage) -> None:
    stage.house = replace(stage.house, limits=Limits(count=50, share=0.4))
    came_back(stage, 2)
    compared(stage)
    seen = _listing(stage)
    mending.decide(stage.house, [seen])
    strict = replace(stage.house, limits=Limits(count=0, share=0.0))

    with pytest.raises(UnsafePlanError):
        mending.decide(strict, [seen])

    assert _listing(stage).state == mending.MENDING


def _listing(stage: Stage) -> Compared:
    with stage.house.store.reading() as tx:
        listing = tx.comparing.listing(GATE)
    assert listing is not None
    return listing
