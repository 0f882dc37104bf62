"""What somebody must look at, from the refusal to the second try."""

import pytest

from syncsvc.flow import attention
from syncsvc.flow.attention import Chosen, needing_attention, retry
from syncsvc.model.errors import NotFoundError
from syncsvc.model.people import LibraryName, PersonId
from syncsvc.model.urgency import MAX_ATTEMPTS
from syncsvc.store import Store
from tests.conftest import MovableClock
from tests.flow.stage import ALICE, BOB, GATE, LEFT, YARD, Stage, staged
from tests.vendors.photos import PhotoShelf, blank


def found(stage: Stage, chosen: Chosen | None = None) -> list[tuple[str, str, str]]:
    page = needing_attention(stage.house, chosen or Chosen(), limit=100)
    return [(one.library, one.person, one.state) for one in page.items]


def test_a_refused_photo_is_told_with_its_face_and_the_librarys_words(stage: Stage) -> None:
    stage.tell_photo(ALICE, LEFT, blank())
    stage.quiet()

    (one,) = needing_attention(stage.house, Chosen(), limit=10).items

    assert (one.person, one.library, one.state, one.face, one.attempts) == (ALICE, GATE, "refused", LEFT, 1)
    assert (one.since, one.wanted) == (stage.clock(), 1)
    assert one.reason
    assert "face" in one.detail


def test_what_was_given_up_is_told_since_when(stage: Stage) -> None:
    stage.hire(ALICE, 1)
    stage.amend(ALICE, attempts=MAX_ATTEMPTS - 1)
    stage.room.fault("outage", times=1)
    stage.deliver()

    (one,) = needing_attention(stage.house, Chosen(), limit=10).items

    assert (one.state, one.attempts) == ("exhausted", MAX_ATTEMPTS)
    assert one.since == stage.clock()


def test_a_second_try_of_what_was_given_up_looks_first_and_adds_nothing_twice(stage: Stage) -> None:
    stage.hire(ALICE, 1, 2)
    for _ in range(MAX_ATTEMPTS):
        stage.claim_and_die()
        stage.clock.advance(60)
    stage.quiet()
    assert found(stage) == [(GATE, ALICE, "exhausted")]

    assert retry(stage.house, Chosen()) == 1
    assert stage.row().state == "doubtful"
    stage.quiet()

    stage.assert_in_sync()
    assert len(stage.there()) == 2
    assert found(stage) == []


def test_what_is_refused_again_needs_attention_again_and_ends_there(stage: Stage) -> None:
    stage.tell_photo(ALICE, LEFT, blank())
    stage.quiet()

    assert [retry(stage.house, Chosen()), retry(stage.house, Chosen())] == [1, 0]
    stage.quiet()

    assert found(stage) == [(GATE, ALICE, "refused")]
    assert retry(stage.house, Chosen()) == 1


def test_only_those_chosen_are_tried_again(store: Store, clock: MovableClock, shelf: PhotoShelf) -> None:
    with staged(store, clock, shelf, ["finauth", "huawei"]) as stage:
        stage.tell_photo(ALICE, LEFT, blank())
        stage.quiet()
        clock.advance(3600)
        later = clock()
        stage.tell_photo(BOB, LEFT, blank())
        stage.quiet()

        assert found(stage, Chosen(library=YARD)) == [(YARD, ALICE, "refused"), (YARD, BOB, "refused")]
        assert retry(stage.house, Chosen(reason="nothing")) == 0
        assert retry(stage.house, Chosen(library=YARD, since=later)) == 1
        assert found(stage, Chosen(library=YARD)) == [(YARD, ALICE, "refused")]
        assert len(found(stage)) == 3


def test_many_are_reopened_batch_by_batch(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "BATCH", 2)
    for number in range(5):
        stage.tell_photo(PersonId(f"p{number}"), LEFT, blank())
    stage.quiet()

    assert retry(stage.house, Chosen()) == 5


def test_pages_have_everybody_once(store: Store, clock: MovableClock, shelf: PhotoShelf) -> None:
    with staged(store, clock, shelf, ["finauth", "huawei"]) as stage:
        for number in range(5):
            stage.tell_photo(PersonId(f"p{number}"), LEFT, blank())
        stage.quiet()

        seen, page = [], needing_attention(stage.house, Chosen(), limit=3)
        while True:
            seen.append([(one.library, one.person) for one in page.items])
            if page.next is None:
                break
            page = needing_attention(stage.house, Chosen(), after=page.next, limit=3)

        everybody = [one for each in seen for one in each]
        assert [len(each) for each in seen] == [3, 3, 3, 1]
        assert sorted(everybody) == sorted((library, f"p{n}") for library in (GATE, YARD) for n in range(5))


def test_a_library_that_is_sent_nothing_is_not_owed_anything_again(stage: Stage) -> None:
    stage.tell_photo(ALICE, LEFT, blank())
    stage.quiet()
    stage.reshelve(policy="observe")

    assert retry(stage.house, Chosen()) == 0
    assert found(stage) == [(GATE, ALICE, "refused")]


def test_a_library_that_is_not_configured_is_told_by_name(stage: Stage) -> None:
    for ask in (
        lambda: needing_attention(stage.house, Chosen(LibraryName("nowhere")), limit=1),
        lambda: retry(stage.house, Chosen(LibraryName("nowhere"))),
    ):
        with pytest.raises(NotFoundError, match="no library is called 'nowhere'"):
            ask()
