"""A plan does nothing; applied, it does exactly what it says, or says what has changed and does nothing."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from syncsvc.flow.plan_file import apply_plan, write_plan
from syncsvc.flow.reconcile import read_whole
from syncsvc.model.errors import InputError, UnsafePlanError
from syncsvc.model.guard import Limits
from syncsvc.model.people import PersonId
from tests.flow.listings import odd, state, taken_out, unbind
from tests.flow.stage import ALICE, BOB, GATE, Stage, on

SHOWING = pytest.mark.parametrize(  # where a listing proves that a face is gone
    "everywhere", ["sophon", "finauth", ("postgresql", "finauth")], indirect=True, ids=str
)


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    return tmp_path / "plan.jsonl"


def planned(stage: Stage, file: Path) -> list[dict[str, object]]:
    """The lines of a plan that was made now."""
    stage.clock.advance(60)
    read_whole(stage.house, GATE, "plan")
    write_plan(stage.house, [GATE], file)
    stage.clock.advance(60)
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def odd_world(stage: Stage) -> str:
    """Alice's face came back after it was taken out, and Bob's is gone; returns Alice's."""
    stage.hire(ALICE, 1)
    stage.hire(BOB, 2)
    for number in range(20):  # of few people one is many, and the reading would prove nothing
        stage.hire(PersonId(f"other{number}"), number % 5)
    stage.quiet()
    (back,), (gone,) = stage.there(ALICE), stage.there(BOB)
    stage.leave(ALICE)
    stage.quiet()
    stage.room.plant_record(back.person_key)
    stage.room.world.add(back)
    stage.room.remove(gone.vendor_face_id)
    return back.vendor_face_id


@SHOWING
def test_a_plan_says_what_it_would_do_and_does_nothing(everywhere: Stage, plan: Path) -> None:
    stage = everywhere
    back = odd_world(stage)

    header, *steps, trailer, checksum = planned(stage, plan)

    assert header["syncsvc_plan"] == 1
    assert {(one["person"], one["situation"], one["reaction"]) for one in steps} == {
        (ALICE, "stray", "repair"),
        (BOB, "missing", "repair"),
    }
    assert trailer["plan"]["people"] == {GATE: 1}  # type: ignore[index]
    assert len(str(checksum["sha256"])) == 64
    stage.quiet()
    assert back in stage.room.world.faces
    assert (stage.there(BOB), taken_out(stage)) == ([], [])


@SHOWING
def test_an_applied_plan_does_what_it_says_once(everywhere: Stage, plan: Path) -> None:
    stage = everywhere
    back = odd_world(stage)
    planned(stage, plan)

    assert apply_plan(stage.house, plan) == {GATE: 2}
    stage.quiet()

    assert back not in stage.room.world.faces
    stage.assert_in_sync(ALICE)
    stage.assert_in_sync(BOB)
    assert (odd(stage), taken_out(stage), state(stage)) == ({}, [(GATE, 1)], "done")
    with pytest.raises(InputError, match="was done already"):
        apply_plan(stage.house, plan)


def _without_a_step(lines: list[str]) -> list[str]:
    return [lines[0], *lines[2:]]


def _with_another(lines: list[str]) -> list[str]:
    return [line.replace(BOB, ALICE) for line in lines]


def _without_the_end(lines: list[str]) -> list[str]:
    return lines[:-1]


def _nothing(_lines: list[str]) -> list[str]:
    return []


def _words(_lines: list[str]) -> list[str]:
    return ["person,face\n", "alice,1\n"]


@on("finauth")
@pytest.mark.parametrize("change", [_without_a_step, _with_another, _without_the_end, _nothing, _words])
def test_a_file_that_was_changed_is_refused(stage: Stage, plan: Path, change: Callable[[list[str]], list[str]]) -> None:
    back = odd_world(stage)
    planned(stage, plan)
    plan.write_text("".join(change(plan.read_text("utf-8").splitlines(keepends=True))), "utf-8")

    with pytest.raises(InputError, match=r"make a new plan|is no plan|is not a plan"):
        apply_plan(stage.house, plan)

    stage.quiet()
    assert back in stage.room.world.faces
    assert taken_out(stage) == []


@on("finauth")
def test_a_person_who_changed_since_makes_the_plan_old(stage: Stage, plan: Path) -> None:
    odd_world(stage)
    planned(stage, plan)
    stage.hire(BOB, 3)

    with pytest.raises(InputError, match=r"person 'bob' has changed since .*make a new plan"):
        apply_plan(stage.house, plan)

    assert taken_out(stage) == []


@on("finauth")
def test_bindings_that_changed_since_make_the_plan_old(stage: Stage, plan: Path) -> None:
    odd_world(stage)
    planned(stage, plan)
    unbind(stage, *stage.believed(BOB))

    with pytest.raises(InputError, match="'bob' has changed"):
        apply_plan(stage.house, plan)


@on("finauth")
def test_a_newer_reading_or_another_policy_makes_the_plan_old(stage: Stage, plan: Path) -> None:
    odd_world(stage)
    planned(stage, plan)
    stage.reshelve(owned=True)
    with pytest.raises(InputError, match="another owner"):
        apply_plan(stage.house, plan)
    stage.reshelve(owned=False)

    read_whole(stage.house, GATE, "command")

    with pytest.raises(InputError, match="read again since"):
        apply_plan(stage.house, plan)


@on("finauth")
def test_a_plan_past_the_guard_goes_only_with_exactly_its_number(stage: Stage, plan: Path) -> None:
    stage.house = replace(stage.house, limits=Limits(count=50, share=0.1))
    for number in range(10):
        stage.hire(PersonId(f"E{number}"), number % 5)
    stage.quiet()
    back = [stage.there(PersonId(f"E{number}"))[0].vendor_face_id for number in range(3)]
    unbind(stage, *back)
    planned(stage, plan)

    for wrong in (None, 2):
        with pytest.raises(UnsafePlanError, match="approve the removal of 3"):
            apply_plan(stage.house, plan, approved=wrong)
        stage.quiet()
        assert set(back) < set(stage.room.world.faces)

    apply_plan(stage.house, plan, approved=3)
    stage.quiet()
    assert not set(back) & set(stage.room.world.faces)
    assert taken_out(stage) == [(GATE, 3)]
