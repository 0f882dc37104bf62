"""What became of one change, library by library."""

from datetime import timedelta

import pytest

from syncsvc.flow.fate import ChangeInLibrary, ChangeView, change_view
from syncsvc.flow.record import record
from syncsvc.model.changes import Departed, FaceDeleted, Told, Upserted
from syncsvc.model.errors import NotFoundError
from syncsvc.model.people import PersonId
from syncsvc.model.urgency import MAX_ATTEMPTS
from tests.flow.stage import ALICE, BOB, GATE, LEFT, YARD, Stage
from tests.vendors.photos import blank


def states(view: ChangeView) -> dict[str, str]:
    return {one.name: one.state for one in view.libraries}


def at(view: ChangeView, library: str) -> ChangeInLibrary:
    return next(one for one in view.libraries if one.name == library)


def test_a_change_is_pending_until_the_last_library_has_it(pair: Stage) -> None:
    told = pair.hire(ALICE, 1)

    before = change_view(pair.house, told.change)
    pair.deliver(ALICE, GATE)
    half = change_view(pair.house, told.change)
    pair.deliver(ALICE, YARD)
    after = change_view(pair.house, told.change)

    assert (before.state, states(before)) == ("pending", {GATE: "due", YARD: "due"})
    assert (half.state, states(half)) == ("pending", {GATE: "synced", YARD: "due"})
    assert (after.state, states(after)) == ("converged", {GATE: "synced", YARD: "synced"})


def test_a_view_tells_who_said_it_and_what_the_person_became(pair: Stage) -> None:
    told = pair.tell(Upserted(ALICE, (), name="Alice"), source_id="message-of-theirs")

    view = change_view(pair.house, told.change)

    assert (view.id, view.source, view.source_id) == (told.change, "hr", "message-of-theirs")
    assert (view.kind, view.person, view.effect, view.revision) == ("person.upserted", ALICE, "applied", 1)
    assert view.received_at == pair.clock()
    assert at(change_view(pair.house, pair.hire(BOB, 1).change), GATE).vendor == "finauth"


def test_a_newer_change_takes_the_place_of_what_was_not_delivered(pair: Stage) -> None:
    older = pair.hire(ALICE, 1)
    pair.deliver(ALICE, GATE)
    newer = pair.swap(ALICE, 0, 2)

    view = change_view(pair.house, older.change)

    assert (view.state, states(view)) == ("superseded", {GATE: "synced", YARD: "superseded"})
    assert "newer change" in str(at(view, YARD).detail)
    assert change_view(pair.house, newer.change).state == "pending"


def test_a_library_that_holds_something_newer_agrees_with_the_older_change_too(pair: Stage) -> None:
    older = pair.hire(ALICE, 1)
    pair.swap(ALICE, 0, 2)

    pair.quiet()

    assert change_view(pair.house, older.change).state == "converged"


def test_a_refused_photo_is_named_with_the_librarys_reason_in_plain_words(pair: Stage) -> None:
    told = pair.tell_photo(ALICE, LEFT, blank())

    pair.quiet()

    view = change_view(pair.house, told.change)
    assert (view.state, set(states(view).values())) == ("attention", {"refused"})
    refused = at(view, GATE)
    assert (refused.face, refused.reason) == (LEFT, pair.row(ALICE, GATE).reason)
    assert "face" in str(refused.detail)


def test_a_library_that_never_answers_leaves_a_change_exhausted(pair: Stage) -> None:
    pair.rooms[GATE].fault("unknown_code", times=10 * MAX_ATTEMPTS)
    told = pair.hire(ALICE, 1)
    for _ in range(3 * MAX_ATTEMPTS):
        if pair.row(ALICE, GATE).state in {"due", "doubtful"}:
            pair.deliver(ALICE, GATE)
    pair.deliver(ALICE, YARD)

    view = change_view(pair.house, told.change)

    assert (view.state, states(view)) == ("attention", {GATE: "exhausted", YARD: "synced"})


@pytest.mark.parametrize(("state", "whole"), [("halted", "attention"), ("paused", "pending")])
def test_a_library_that_stands_still_says_so_and_why(pair: Stage, state: str, whole: str) -> None:
    told = pair.hire(ALICE, 1)
    with pair.house.store.transaction() as tx:
        tx.libraries.set_state(GATE, state, pair.clock(), reason="why", detail="in words")

    view = change_view(pair.house, told.change)

    assert (view.state, states(view)) == (whole, {GATE: state, YARD: "due"})
    assert (at(view, GATE).reason, at(view, GATE).detail) == ("why", "in words")


def test_what_libraries_need_not_be_told_leaves_them_as_they_are(pair: Stage) -> None:
    pair.hire(ALICE, 1)
    renamed = pair.tell(Upserted(ALICE, name="Alice"))

    before = change_view(pair.house, renamed.change)
    pair.quiet()

    assert (renamed.effect, renamed.revision) == ("applied", 2)
    assert before.state == "pending"
    assert change_view(pair.house, renamed.change).state == "converged"


def test_a_change_that_found_nothing_to_do_converges_with_what_it_repeats(pair: Stage) -> None:
    pair.hire(ALICE, 1)
    again = pair.hire(ALICE, 1)

    before = change_view(pair.house, again.change)
    pair.quiet()
    after = change_view(pair.house, again.change)

    assert (again.effect, before.state, after.state) == ("unchanged", "pending", "converged")


def test_nobody_is_concerned_where_no_library_ever_heard_of_the_person(pair: Stage) -> None:
    told = pair.tell(FaceDeleted(PersonId("unheard-of"), LEFT))

    view = change_view(pair.house, told.change)

    assert (view.effect, view.state, view.libraries) == ("unchanged", "nothing_to_do", ())


def test_old_news_was_overtaken_before_it_came(pair: Stage) -> None:
    pair.hire(ALICE, 1, version=5)
    late = pair.hire(ALICE, 2, version=4)

    view = change_view(pair.house, late.change)

    assert (view.effect, view.state, view.libraries) == ("old_news", "superseded", ())


@pytest.mark.parametrize("policy", ["observe", None])
def test_a_library_that_is_told_nothing_is_not_waited_for(pair: Stage, policy: str | None) -> None:
    told = pair.hire(ALICE, 1)
    pair.deliver(ALICE, GATE)
    yard = {} if policy is None else {YARD: ("sophon", policy)}
    with pair.house.store.transaction() as tx:
        tx.libraries.declare({GATE: ("finauth", "sync"), **yard}, pair.clock())

    view = change_view(pair.house, told.change)

    assert (view.state, states(view)) == ("converged", {GATE: "synced"})


def test_a_departure_is_never_called_verified_and_a_library_that_keeps_people_says_so(pair: Stage) -> None:
    pair.reshelve(YARD, policy="upsert-only")
    pair.hire(ALICE, 1)
    pair.quiet()
    told = pair.leave(ALICE)
    pair.quiet()

    view = change_view(pair.house, told.change)

    assert pair.digests(ALICE, YARD)
    assert (view.state, at(view, GATE).detail) == ("converged", None)
    assert (at(view, YARD).reason, at(view, YARD).state) == ("policy", "synced")
    assert "stay" in str(at(view, YARD).detail)
    assert "verified" not in repr(view)


def test_a_departure_that_waits_for_its_moment_says_when(pair: Stage) -> None:
    pair.hire(ALICE, 1)
    moment = pair.clock() + timedelta(days=3)
    told = record(pair.house, Told("hr", "in-advance", Departed(ALICE), effective_at=moment), ring=False)

    view = change_view(pair.house, told.change)

    assert (view.state, view.effective_at, view.libraries) == ("waiting", moment, ())


def test_an_unknown_change_is_not_found(pair: Stage) -> None:
    with pytest.raises(NotFoundError, match="no change is known as 'nonsense'"):
        change_view(pair.house, "nonsense")
