"""An operator's word for or against departures that the removal guard holds back."""

import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from syncsvc.flow import approvals
from syncsvc.flow.attention import Chosen, needing_attention
from syncsvc.flow.fulfil import fulfil
from syncsvc.flow.notify import notify
from syncsvc.flow.record import record
from syncsvc.model.changes import Departed, Told
from syncsvc.model.guard import Limits
from syncsvc.model.people import PersonId
from syncsvc.store import Store
from syncsvc.store.vault import Vault
from tests.conftest import MovableClock, new_database
from tests.flow.stage import GATE, Stage, staged
from tests.flow.test_burst import TWO_A_DAY, effect_of, enrolled, here
from tests.vendors.photos import PhotoShelf

NOBODY = Limits(0, 0.0, 0)
THREADS = 8


def held(stage: Stage) -> list[PersonId]:
    return [one.person for one in approvals.held_departures(stage.house, limit=100).items]


def test_who_is_approved_leaves_every_library_and_the_others_stay(pair: Stage) -> None:
    first, second, third = enrolled(pair, 3, NOBODY)
    told = [pair.leave(person) for person in (first, second, third)]

    answered = approvals.approve(pair.house, [first, third], by="api:ops")
    fulfil(pair.house)
    pair.quiet()

    assert (answered.people, answered.not_held) == (2, ())
    assert [effect_of(pair, one) for one in told] == ["applied", "held", "applied"]
    assert [here(pair, one) for one in (first, second, third)] == [False, True, False]
    for library in pair.rooms:
        assert pair.there(first, library) == pair.there(third, library) == []
        assert pair.digests(second, library) == pair.wanted(second)
    with pair.house.store.reading() as tx:
        entry = tx.changes.get(told[0].change)
    assert entry is not None
    assert entry.approved_by == "api:ops"


def test_all_at_once_in_parts_and_in_their_order(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(approvals, "AT_ONCE", 2)
    everybody = enrolled(stage, 5, NOBODY)
    for person in everybody:
        stage.leave(person)
        stage.clock.advance(1)

    assert held(stage) == everybody
    assert approvals.approve(stage.house, None, by="ops").people == 5
    fulfil(stage.house)
    stage.quiet()

    assert held(stage) == []
    assert [stage.there(person) for person in everybody] == [[]] * 5


def test_pages_hold_everybody_once(stage: Stage) -> None:
    everybody = enrolled(stage, 5, NOBODY)
    for person in everybody:
        stage.leave(person)

    pages, after = [], None
    while True:
        page = approvals.held_departures(stage.house, after=after, limit=2)
        pages += [one.person for one in page.items]
        assert all(one.libraries == (GATE,) for one in page.items)
        after = page.next
        if after is None:
            break

    assert sorted(pages) == everybody


def test_who_is_refused_stays_as_if_nothing_had_been_told(stage: Stage) -> None:
    first, *_ = enrolled(stage, 2, NOBODY)
    told = stage.leave(first)

    answered = approvals.refuse(stage.house, [first], by="ops")
    fulfil(stage.house)
    stage.quiet()

    assert answered.people == 1
    assert effect_of(stage, told) == "cancelled"
    assert stage.digests(first) == stage.wanted(first) != []
    stage.house = replace(stage.house, limits=TWO_A_DAY)
    assert stage.leave(first).effect == "applied"


def test_to_say_it_again_or_of_somebody_else_changes_nothing(stage: Stage) -> None:
    first, second = enrolled(stage, 2, NOBODY)
    stage.leave(first)
    approvals.approve(stage.house, [first], by="ops")

    again = approvals.approve(stage.house, [first, second, PersonId("nobody")], by="ops")

    assert again.people == 0
    assert set(again.not_held) == {first, second, "nobody"}
    assert approvals.refuse(stage.house, None, by="ops").people == 0


def test_an_upsert_between_approval_and_departure_still_counts(stage: Stage) -> None:
    first, *_ = enrolled(stage, 2, NOBODY)
    stage.leave(first, version=5)
    approvals.approve(stage.house, [first], by="ops")

    stage.hire(first, 3, version=6)
    fulfil(stage.house)
    stage.quiet()

    assert here(stage, first)
    assert stage.digests(first) == stage.wanted(first) != []


def test_approved_departures_count_for_the_next_ones(stage: Stage) -> None:
    first, second, third, *_ = enrolled(stage, 4, NOBODY)
    for person in (first, second):
        stage.leave(person)
    approvals.approve(stage.house, None, by="ops")
    fulfil(stage.house)
    stage.house = replace(stage.house, limits=TWO_A_DAY)

    assert stage.leave(third).effect == "held"


def test_attention_counts_who_waits(stage: Stage) -> None:
    first, *_ = enrolled(stage, 2, NOBODY)
    stage.leave(first)
    stage.leave(first)

    assert needing_attention(stage.house, Chosen(), limit=1).departures_held == 1


def test_callbacks_hear_of_it_when_it_is_decided_and_not_before(
    database_url: str, vault: Vault, clock: MovableClock, shelf: PhotoShelf
) -> None:
    store = Store(database_url, vault, watching=True)
    with staged(store, clock, shelf, ["finauth"]) as stage:
        first, second = enrolled(stage, 2, NOBODY)
        stage.house = replace(stage.house, callbacks=frozenset({"hr"}))
        clock.advance(7200)
        notify(stage.house)
        told = [stage.leave(person) for person in (first, second)]
        clock.advance(7200)
        before = notify(stage.house)

        approvals.approve(stage.house, [first], by="ops")
        approvals.refuse(stage.house, [second], by="ops")
        fulfil(stage.house)
        stage.quiet()
        clock.advance(7200)
        notify(stage.house)

        assert before == 0
        with store.reading() as tx:
            bodies = [json.loads(one.body) for one in tx.callbacks.due("hr", clock(), 100)]
    store.close()
    heard = {one["data"]["change"]: one["type"] for one in bodies}
    assert [heard[one.change] for one in told] == ["change.converged", "change.superseded"]


@pytest.mark.servers
def test_several_processes_together_do_not_go_past_the_limit(
    clock: MovableClock, vault: Vault, shelf: PhotoShelf, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    store = Store(new_database(request, "postgresql", tmp_path), vault)
    with staged(store, clock, shelf, ["finauth"]) as stage:
        everybody = enrolled(stage, 24, Limits(5, 1.0, 0))
        barrier = threading.Barrier(THREADS)

        def process(number: int) -> None:
            house = replace(stage.house, recording=type(stage.house.recording)())
            barrier.wait()
            for person in everybody[number::THREADS]:
                record(house, Told("hr", f"race-{person}", Departed(person)))

        threads = [threading.Thread(target=process, args=(number,)) for number in range(THREADS)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()

        assert [here(stage, person) for person in everybody].count(False) == 5
        assert len(held(stage)) == 19
    store.close()
