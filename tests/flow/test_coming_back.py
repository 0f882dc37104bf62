"""A library that was told nothing for a while is owed what it missed."""

import pytest

from syncsvc.model.urgency import Urgency, rank
from tests.flow.stage import ALICE, BOB, CAROL, GATE, Stage


def declare(stage: Stage, policy: str | None) -> None:
    with stage.house.store.transaction() as tx:
        tx.libraries.declare({} if policy is None else {GATE: ("sophon", policy)}, stage.clock())


@pytest.mark.parametrize("meanwhile", [None, "observe"])
def test_who_left_or_changed_meanwhile_is_owed_again(stage: Stage, meanwhile: str | None) -> None:
    for number, person in enumerate((ALICE, BOB, CAROL)):
        stage.hire(person, number)
    stage.quiet()
    declare(stage, meanwhile)
    stage.leave(ALICE)
    stage.swap(BOB, 0, 5)
    declare(stage, meanwhile)
    assert {row.state for row in stage.rows()} == {"synced"}

    declare(stage, "sync")

    gone, changed, same = stage.row(ALICE), stage.row(BOB), stage.row(CAROL)
    assert (gone.state, gone.verb, gone.wanted, gone.wanted_faces) == ("due", "delete", 2, 0)
    assert gone.rank == rank(Urgency.DEPARTURE, stage.clock())
    assert (changed.state, changed.verb, changed.wanted, changed.wanted_faces) == ("due", "replace", 2, 1)
    assert changed.rank == rank(Urgency.REPAIR, stage.clock())
    assert same.state == "synced"
    stage.quiet()
    for person in (ALICE, BOB, CAROL):
        stage.assert_in_sync(person)


def test_a_doubt_outlives_the_time_away(stage: Stage) -> None:
    stage.hire(ALICE, 1)
    stage.quiet()
    stage.doubt(ALICE)
    declare(stage, None)
    stage.leave(ALICE)

    declare(stage, "sync")

    assert stage.row().state == "doubtful"
    stage.quiet()
    stage.assert_in_sync()


def test_a_library_that_was_never_away_is_owed_nothing_anew(stage: Stage) -> None:
    stage.hire(ALICE, 1)
    stage.quiet()
    before = stage.row()

    declare(stage, "sync")

    assert stage.row() == before
