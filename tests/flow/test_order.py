"""Changes that arrive in another order than they were made in, from sources that count each for themselves."""

from itertools import permutations

import pytest

from syncsvc.flow.record import Recorded, record
from syncsvc.model.changes import Change, Departed, FaceDeleted, FaceReplaced, Told, Upserted
from tests.flow.stage import ALICE, LEFT, RIGHT, Stage
from tests.store.ground import name_of
from tests.vendors.photos import draw

BOTH = ((LEFT, draw(1)), (RIGHT, draw(2)))


def faces(stage: Stage) -> dict[str, str]:
    with stage.house.store.reading() as tx:
        found = tx.people.get(ALICE)
    assert found is not None
    return {one.id: one.digest for one in found.faces}


def departed(stage: Stage) -> bool:
    with stage.house.store.reading() as tx:
        found = tx.people.get(ALICE)
    assert found is not None
    return found.departed_at is not None


def say(stage: Stage, source: str, version: int, change: Change) -> Recorded:
    return record(stage.house, Told(source, f"{version}-{type(change).__name__}", change, version))


def test_each_source_counts_for_itself(stage: Stage) -> None:
    say(stage, "hr", 1_700_000_000, Upserted(ALICE, BOTH))

    assert say(stage, "badges", 7, FaceReplaced(ALICE, RIGHT, draw(3))).effect == "applied"
    assert say(stage, "badges", 6, FaceReplaced(ALICE, RIGHT, draw(4))).effect == "old_news"
    assert faces(stage) == {LEFT: draw(1).digest, RIGHT: draw(3).digest}


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_in_whatever_order_changes_of_faces_come_the_result_is_the_same(stage: Stage, order: tuple[int, ...]) -> None:
    changes = (
        Upserted(ALICE, BOTH),
        FaceReplaced(ALICE, LEFT, draw(3)),
        FaceReplaced(ALICE, RIGHT, draw(4)),
        FaceDeleted(ALICE, LEFT),
    )

    for place in order:
        say(stage, "hr", place + 1, changes[place])

    assert faces(stage) == {RIGHT: draw(4).digest}
    assert stage.stored_pictures() == {draw(4).digest}


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_departure_between_two_hires_is_past_in_any_order(stage: Stage, order: tuple[int, ...]) -> None:
    changes = (Upserted(ALICE, BOTH, name="Ada"), Departed(ALICE), Upserted(ALICE, None, name="Ada L."))

    for place in order:
        say(stage, "hr", place + 1, changes[place])

    assert (faces(stage), departed(stage), stage.stored_pictures()) == ({}, False, set())
    with stage.house.store.reading() as tx:
        assert name_of(tx, ALICE) == "Ada L."


def test_faces_that_come_after_a_later_name_are_not_lost(stage: Stage) -> None:
    say(stage, "hr", 2, Upserted(ALICE, None, name="Ada Lovelace"))

    assert say(stage, "hr", 1, Upserted(ALICE, BOTH, name="Ada")).effect == "applied"

    assert faces(stage) == {LEFT: draw(1).digest, RIGHT: draw(2).digest}
    with stage.house.store.reading() as tx:
        assert name_of(tx, ALICE) == "Ada Lovelace"


def test_a_deletion_that_overtakes_the_hire_takes_its_face_and_no_other(stage: Stage) -> None:
    assert say(stage, "hr", 6, FaceDeleted(ALICE, RIGHT)).effect == "unchanged"

    assert say(stage, "hr", 5, Upserted(ALICE, BOTH)).effect == "applied"
    assert faces(stage) == {LEFT: draw(1).digest}
    say(stage, "hr", 7, Upserted(ALICE, BOTH))

    assert faces(stage) == {LEFT: draw(1).digest, RIGHT: draw(2).digest}


def test_somebody_departs_although_a_later_face_came_first(stage: Stage) -> None:
    say(stage, "hr", 1, Upserted(ALICE, BOTH))
    say(stage, "hr", 9, FaceReplaced(ALICE, LEFT, draw(3)))

    assert say(stage, "hr", 5, Departed(ALICE)).effect == "applied"
    assert (faces(stage), departed(stage)) == ({}, True)
    say(stage, "hr", 7, Upserted(ALICE, BOTH))

    assert faces(stage) == {LEFT: draw(1).digest, RIGHT: draw(2).digest}


def test_a_picture_sent_again_mends_one_whose_key_is_gone(stage: Stage) -> None:
    stage.hire(ALICE, 1, 2)
    stage.quiet()
    stage.damage(draw(1).digest)

    recorded = stage.hire(ALICE, 1, 2)

    assert (recorded.effect, stage.row().state) == ("applied", "due")
    with stage.house.store.reading() as tx:
        assert tx.photos.get(draw(1).digest) == draw(1)
    stage.quiet()
    stage.assert_in_sync()
    assert stage.hire(ALICE, 1, 2).effect == "unchanged"
