"""What we would do for a person and why: read from what is written down, without a call to anybody."""

import pytest

from syncsvc.flow.explain import Explained, InLibrary, explain
from syncsvc.model.errors import NotFoundError
from syncsvc.model.people import PersonId
from tests.flow.stage import ALICE, BOB, GATE, LEFT, YARD, Stage, on
from tests.vendors.photos import blank


def at_gate(stage: Stage, person: PersonId = ALICE, *, look: bool = False) -> InLibrary:
    (one,) = explain(stage.house, person, library=GATE, look=look).libraries
    return one


def test_a_hire_is_to_be_added_and_waits_for_its_turn(pair: Stage) -> None:
    pair.hire(ALICE, 1)
    before = pair.gatekeeper.permits

    found: Explained = explain(pair.house, ALICE)

    assert [one.name for one in found.libraries] == [GATE, YARD]
    assert found.told_by is not None
    assert (found.told_by.source, found.told_by.kind) == ("hr", "person.upserted")
    gate = found.libraries[0]
    assert gate.steps == (f"add face {LEFT}: it is wanted, and the library does not hold it",)
    assert gate.obstacles == ("it is due, and waits for its turn",)
    assert pair.gatekeeper.permits == before


def test_who_is_there_needs_nothing(stage: Stage) -> None:
    stage.hire(ALICE, 1)
    stage.deliver()

    found = at_gate(stage)

    assert found.steps == ("nothing: the library holds exactly what is wanted, as far as we know",)
    assert (found.obstacles, found.next) == ((), ())
    assert [one.id for one in found.faces] == [LEFT]
    assert [one.outcome for one in found.attempts] == ["applied"]


def test_a_new_picture_is_explained_as_a_replacement(stage: Stage) -> None:
    stage.hire(ALICE, 1)
    stage.deliver()
    stage.swap(ALICE, 0, 2)

    steps = at_gate(stage).steps

    assert steps[0].startswith("add face left")
    assert steps[1].startswith("remove ")


def test_a_refused_photo_says_why_and_what_to_do(stage: Stage) -> None:
    stage.tell_faces(ALICE, {LEFT: blank()})
    stage.deliver()

    found = at_gate(stage)

    assert found.state == "refused"
    assert "the library refused it (face left)" in found.obstacles[0]
    assert "syncsvc face replace alice --face left --photo FILE" in found.next


def test_a_library_that_stands_still_is_in_the_way(stage: Stage) -> None:
    stage.hire(ALICE, 1)
    stage.set_state("paused")

    found = at_gate(stage)

    assert found.obstacles[0].startswith("the library is paused")
    assert found.next == ("syncsvc library resume gate",)


def test_an_outage_says_when_it_is_tried_again(stage: Stage) -> None:
    stage.hire(ALICE, 1)
    stage.room.fault("outage")
    stage.deliver()

    found = at_gate(stage)

    assert any("again at" in words or "its turn" in words for words in found.obstacles)
    assert found.attempts[0].reason is not None


def test_who_departs_is_explained_with_their_erasure(stage: Stage) -> None:
    stage.hire(ALICE, 1)
    stage.deliver()
    stage.leave(ALICE)

    found = explain(stage.house, ALICE)

    assert found.erasure == "open"
    assert found.libraries[0].steps[0].endswith("the person has departed")
    assert found.libraries[0].verdict == "not looked yet"


def test_what_is_odd_is_told_with_its_reaction(stage: Stage) -> None:
    stage.hire(ALICE, 1)
    stage.deliver()
    stage.plant()
    stage.doubt(ALICE, GATE)
    assert at_gate(stage).steps[0].startswith("read what the library holds")
    stage.reshelve(owned=False)
    stage.deliver()

    odd = at_gate(stage).odd

    assert all(one.reaction in {"report", "repair"} for one in odd)


@on("sophon")
def test_a_look_tells_what_the_library_itself_says(stage: Stage) -> None:
    stage.hire(ALICE, 1, 2)
    stage.deliver()
    gone, there = (one.vendor_face_id for one in stage.there())
    stranger = stage.plant()
    stage.room.remove(gone)

    found = at_gate(stage, look=True)

    assert found.seen == (
        f"{there} is there, as we think",
        f"{gone} is gone",
        f"{stranger} is there and never was ours",
    )
    assert stage.believed() == {gone, there}  # nothing is written by it


def test_a_library_that_does_not_answer_a_look_is_told_as_such(stage: Stage) -> None:
    stage.hire(ALICE, 1)
    stage.deliver()
    stage.room.fault("outage")

    (words,) = at_gate(stage, look=True).seen or ()

    assert words.startswith("the library could not be read")


def test_nobody_and_nowhere_are_told_as_such(stage: Stage) -> None:
    with pytest.raises(NotFoundError, match="nobody is known"):
        explain(stage.house, BOB)
    stage.hire(ALICE, 1)
    with pytest.raises(NotFoundError, match="no library is called 'attic'"):
        explain(stage.house, ALICE, library=type(GATE)("attic"))
