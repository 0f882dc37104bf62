"""Two libraries side by side: who is in both, who only in one, and whether one can take the other's place."""

from dataclasses import replace
from datetime import timedelta

import pytest

from syncsvc.flow import compare_libraries
from syncsvc.flow.compare_libraries import Age, Totals, compare
from syncsvc.flow.operate import fill
from syncsvc.model.errors import InputError, NotFoundError
from syncsvc.model.people import LibraryName, PersonId
from tests.flow.stage import ALICE, BOB, CAROL, GATE, LEFT, YARD, Stage
from tests.vendors.photos import blank


def new_beside_old(stage: Stage) -> None:
    """Alice, Bob and Carol are in the gate; the yard is new, and nobody was told of it."""
    alone = replace(stage.house, shelves={GATE: stage.house.shelves[GATE]})
    whole, stage.house = stage.house, alone
    with stage.house.store.transaction() as tx:
        tx.libraries.declare({GATE: ("finauth", "sync")}, stage.clock())
    for number, person in enumerate((ALICE, BOB, CAROL)):
        stage.hire(person, number)
    stage.quiet()
    stage.house = whole
    stage.reshelve(YARD)


def totals(stage: Stage) -> Totals:
    return compare(stage.house, GATE, YARD).all()


def test_an_empty_new_library_lacks_everybody_and_a_filled_one_nobody(pair: Stage) -> None:
    new_beside_old(pair)

    empty = totals(pair)
    assert fill(pair.house, YARD) == 3
    owed = totals(pair)
    pair.quiet()
    filled = totals(pair)

    assert (empty.wanted, empty.only_old, empty.lacking, empty.open) == (3, 3, 3, 0)
    assert (owed.lacking, owed.open) == (3, 3)
    assert (filled.both, filled.only_old, filled.lacking, filled.open) == (3, 0, 0, 0)
    assert filled.new_age.faces == 3


def test_whom_the_new_library_refuses_is_named_with_the_reason(pair: Stage) -> None:
    new_beside_old(pair)
    pair.tell_photo(BOB, LEFT, blank())
    fill(pair.house, YARD)
    pair.quiet()

    (bob,) = [one for one in compare(pair.house, GATE, YARD).people() if one.refused]

    assert (bob.person, bob.where, bob.reason) == (BOB, "only_old", "NO_FACE_ERROR")
    assert bob.detail
    assert totals(pair).lacking == 1


def test_somebody_who_has_departed_is_missed_nowhere(pair: Stage) -> None:
    new_beside_old(pair)
    fill(pair.house, YARD)
    pair.quiet()
    pair.set_state("paused", GATE)
    pair.leave(ALICE)
    pair.quiet()

    one = totals(pair)

    assert (one.wanted, one.leaving, one.lacking) == (2, 1, 0)


def test_only_the_new_library_has_somebody_whom_the_old_one_was_never_sent(pair: Stage) -> None:
    new_beside_old(pair)
    fill(pair.house, YARD)
    pair.set_state("paused", GATE)
    pair.hire(PersonId("dora"), 5)
    pair.quiet()

    one = totals(pair)

    assert (one.only_new, one.both, one.neither) == (1, 3, 0)


def test_it_says_how_old_the_knowledge_of_each_library_is(pair: Stage) -> None:
    new_beside_old(pair)
    seen = pair.clock()
    pair.doubt(ALICE)
    pair.quiet()

    one = totals(pair)

    assert (one.old_age.faces, one.old_age.unverified) == (3, 2)
    assert one.old_age.verified_at is not None
    assert one.old_age.verified_at - seen < timedelta(minutes=1)
    assert one.new_age == Age()


def test_everybody_is_counted_once_however_small_the_pages(pair: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    new_beside_old(pair)
    fill(pair.house, YARD)
    pair.quiet()
    whole = totals(pair)

    monkeypatch.setattr(compare_libraries, "AT_ONCE", 1)

    assert totals(pair) == whole
    assert [one.person for one in compare(pair.house, GATE, YARD).people()] == sorted([ALICE, BOB, CAROL])


def test_a_library_is_not_compared_with_itself_or_with_one_that_is_not_there(pair: Stage) -> None:
    with pytest.raises(InputError, match="cannot be compared with itself"):
        compare(pair.house, GATE, GATE)
    with pytest.raises(NotFoundError, match="no library is called 'nowhere'"):
        compare(pair.house, GATE, LibraryName("nowhere"))
