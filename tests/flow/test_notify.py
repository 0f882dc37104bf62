"""What is told of changes: once each, and nothing that does not concern the listener."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from syncsvc.flow.fulfil import fulfil
from syncsvc.flow.notify import AGAIN, notify
from syncsvc.flow.purge import purge
from syncsvc.flow.record import record
from syncsvc.model.changes import Departed, FaceDeleted, Told, Upserted
from syncsvc.model.people import FaceId, PersonId
from syncsvc.model.urgency import MAX_ATTEMPTS
from syncsvc.store import Store
from syncsvc.store.tables import callbacks, watches
from syncsvc.store.vault import Vault
from syncsvc.store.watches import FIRST_LOOK
from tests.conftest import MovableClock
from tests.flow.stage import ALICE, BOB, GATE, LEFT, YARD, Stage, staged
from tests.vendors.photos import PhotoShelf, blank, draw


@pytest.fixture
def watched(database_url: str, vault: Vault, clock: MovableClock, shelf: PhotoShelf) -> Iterator[Stage]:
    """Two libraries, and one callback that is called hr."""
    store = Store(database_url, vault, watching=True)
    with staged(store, clock, shelf, ["finauth", "sophon"]) as stage:
        stage.house = replace(stage.house, callbacks=frozenset({"hr"}))
        yield stage
    store.close()


def hear(stage: Stage) -> list[dict[str, Any]]:
    """Whatever is there to tell now, in the order of its writing."""
    before = {row.id for row in messages(stage)}
    notify(stage.house)
    return [json.loads(row.body) for row in messages(stage) if row.id not in before]


def messages(stage: Stage) -> list[Any]:
    with stage.house.store.reading() as tx:
        return list(tx._connection.execute(select(callbacks).order_by(callbacks.c.created_at, callbacks.c.body)))


def watching(stage: Stage) -> list[str]:
    with stage.house.store.reading() as tx:
        return list(tx._connection.scalars(select(watches.c.change_id)))


def types(told: list[dict[str, Any]]) -> list[str]:
    return [one["type"] for one in told]


def later(stage: Stage, by: timedelta = FIRST_LOOK) -> None:
    stage.clock.advance(by.total_seconds())


def test_a_change_is_told_once_when_the_last_library_agrees(watched: Stage) -> None:
    told = watched.hire(ALICE, 1)
    watched.deliver(ALICE, GATE)
    assert hear(watched) == []

    watched.deliver(ALICE, YARD)
    (heard,) = hear(watched)

    assert heard["type"] == "change.converged"
    assert heard["data"]["change"] == told.change
    assert [(one["name"], one["state"]) for one in heard["data"]["libraries"]] == [(GATE, "synced"), (YARD, "synced")]
    later(watched, AGAIN)
    assert hear(watched) == []
    assert watching(watched) == []


def test_a_message_names_what_its_sender_called_the_change(watched: Stage) -> None:
    told = watched.tell(Upserted(ALICE, ((LEFT, draw(1)),)), source_id="their-own-id")
    watched.quiet()

    (heard,) = hear(watched)

    assert heard["timestamp"] == watched.clock().isoformat().replace("+00:00", "Z")
    assert {key: value for key, value in heard["data"].items() if key != "libraries"} == {
        "change": told.change,
        "source": "hr",
        "source_id": "their-own-id",
        "kind": "person.upserted",
        "person": {"id": ALICE},
        "effect": "applied",
        "revision": 1,
    }


def test_every_callback_is_told(watched: Stage) -> None:
    watched.house = replace(watched.house, callbacks=frozenset({"hr", "payroll"}))
    watched.hire(ALICE, 1)
    watched.quiet()

    notify(watched.house)

    rows = messages(watched)
    assert sorted(row.callback for row in rows) == ["hr", "payroll"]
    assert len({row.id for row in rows}) == 2


def test_a_refusal_names_the_library_the_photo_and_the_reason_in_plain_words(watched: Stage) -> None:
    told = watched.tell_faces(ALICE, {FaceId("badge"): blank(), LEFT: draw(2)})
    watched.quiet()

    heard = hear(watched)

    assert types(heard) == ["change.refused", "change.refused"]
    refused = {one["data"]["libraries"][0]["name"]: one["data"] for one in heard}
    assert refused.keys() == {GATE, YARD}
    for name, about in refused.items():
        (library,) = about["libraries"]
        assert (about["change"], library["state"], library["face"]) == (told.change, "refused", "badge")
        assert library["reason"] == watched.row(ALICE, name).reason
        assert "face" in library["detail"]
    assert watching(watched) == [told.change]


def test_a_refusal_is_told_once_though_it_is_looked_at_again(watched: Stage) -> None:
    watched.tell_photo(ALICE, LEFT, blank())
    watched.deliver(ALICE, GATE)
    assert types(hear(watched)) == ["change.refused"]

    watched.deliver(ALICE, YARD)
    second = hear(watched)
    later(watched, AGAIN)
    third = hear(watched)

    assert [one["data"]["libraries"][0]["name"] for one in second] == [YARD]
    assert third == []


def test_a_better_photo_supersedes_the_refused_one_and_is_told_itself(watched: Stage) -> None:
    bad = watched.tell_photo(ALICE, LEFT, blank())
    watched.quiet()
    hear(watched)
    good = watched.swap(ALICE, 0, 2)
    watched.quiet()

    heard = {one["data"]["change"]: one["type"] for one in hear(watched)}

    assert heard == {bad.change: "change.superseded", good.change: "change.converged"}
    assert watching(watched) == []


def test_a_refused_change_that_is_tried_again_and_taken_has_converged(watched: Stage) -> None:
    bad = watched.tell_photo(ALICE, LEFT, blank())
    watched.quiet()
    hear(watched)
    watched.amend(ALICE, state="synced", held=1)
    later(watched, AGAIN)

    (heard,) = hear(watched)

    assert (heard["type"], heard["data"]["change"]) == ("change.converged", bad.change)


def test_a_library_that_was_given_up_is_told_of(watched: Stage) -> None:
    watched.rooms[GATE].fault("unknown_code", times=10 * MAX_ATTEMPTS)
    watched.hire(ALICE, 1)
    while watched.row(ALICE, GATE).state != "exhausted":
        watched.deliver(ALICE, GATE)

    (heard,) = hear(watched)

    assert heard["type"] == "change.exhausted"
    assert [one["name"] for one in heard["data"]["libraries"]] == [GATE]


def test_an_errand_whose_workers_all_died_is_told_of_without_a_settling(watched: Stage) -> None:
    watched.hire(ALICE, 1)
    later(watched)
    hear(watched)
    watched.amend(ALICE, attempts=MAX_ATTEMPTS - 1)
    watched.claim_and_die(ALICE, GATE)
    watched.claim_and_die(ALICE, YARD)
    later(watched, timedelta(minutes=1))

    watched.rung()
    heard = hear(watched)

    assert types(heard) == ["change.exhausted", "change.exhausted"]


def test_what_a_newer_change_overtook_is_told_although_no_library_has_answered(watched: Stage) -> None:
    older = watched.hire(ALICE, 1)
    later(watched)
    assert hear(watched) == []
    newer = watched.swap(ALICE, 0, 2)
    later(watched)

    (heard,) = hear(watched)

    assert (heard["type"], heard["data"]["change"]) == ("change.superseded", older.change)
    assert {one["state"] for one in heard["data"]["libraries"]} == {"superseded"}
    assert watching(watched) == [newer.change]


def test_every_change_ends_with_one_message_whatever_came_of_it(watched: Stage) -> None:
    told = [
        watched.hire(ALICE, 1, version=3),
        watched.hire(ALICE, 1, version=3),
        watched.hire(ALICE, 2, version=2),
        watched.tell(Upserted(ALICE, name="Alice"), version=4),
        watched.tell(FaceDeleted(PersonId("unheard-of"), LEFT)),
        watched.swap(ALICE, 0, 3, version=5),
        watched.leave(ALICE, version=6),
        watched.leave(BOB, version=1),
    ]
    watched.quiet()
    later(watched)

    heard = hear(watched)

    assert sorted(one["data"]["change"] for one in heard) == sorted(one.change for one in told)
    assert set(types(heard)) == {"change.converged", "change.superseded"}
    assert watching(watched) == []
    effects = {one["data"]["change"]: one["data"]["effect"] for one in heard}
    assert [effects[one.change] for one in told] == [one.effect for one in told]


def test_a_departure_that_waits_is_told_when_its_moment_has_come(watched: Stage) -> None:
    watched.hire(ALICE, 1)
    watched.quiet()
    hear(watched)
    moment = watched.clock() + timedelta(days=2)
    told = record(watched.house, Told("hr", "in-advance", Departed(ALICE), effective_at=moment), ring=False)
    later(watched, timedelta(days=1))
    assert hear(watched) == []

    watched.clock.now = moment
    fulfil(watched.house)
    watched.quiet()
    (heard,) = hear(watched)

    assert (heard["type"], heard["data"]["change"]) == ("change.converged", told.change)


def test_a_departure_that_is_called_off_is_superseded(watched: Stage) -> None:
    watched.hire(ALICE, 1)
    watched.quiet()
    hear(watched)
    moment = watched.clock() + timedelta(days=2)
    off = record(watched.house, Told("hr", "in-advance", Departed(ALICE), effective_at=moment), ring=False)
    record(watched.house, Told("hr", "stays", Upserted(ALICE), cancels_departure=True), ring=False)
    later(watched)

    heard = {one["data"]["change"]: (one["type"], one["data"]["effect"]) for one in hear(watched)}

    assert heard[off.change] == ("change.superseded", "cancelled")


def test_a_change_is_told_although_the_worker_died_before_it_could_write_down_how_it_went(watched: Stage) -> None:
    told = watched.hire(ALICE, 1)
    watched.deliver(ALICE, YARD)
    watched.crash_at_settling(lambda: watched.deliver(ALICE, GATE))
    later(watched)
    assert hear(watched) == []
    later(watched, timedelta(minutes=1))

    watched.quiet()
    (heard,) = hear(watched)

    assert (heard["type"], heard["data"]["change"]) == ("change.converged", told.change)


def test_who_is_killed_while_writing_has_told_nothing_and_the_next_one_tells_it(
    watched: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = watched.hire(ALICE, 1)
    watched.quiet()
    monkeypatch.setattr("syncsvc.store.watches.Watches.end", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        notify(watched.house)
    assert messages(watched) == []
    monkeypatch.undo()

    (heard,) = hear(watched)

    assert heard["data"]["change"] == told.change


def test_a_library_that_is_told_nothing_any_more_is_not_waited_for(watched: Stage) -> None:
    told = watched.hire(ALICE, 1)
    watched.deliver(ALICE, GATE)
    later(watched)
    hear(watched)
    with watched.house.store.transaction() as tx:
        tx.libraries.declare({GATE: ("finauth", "sync")}, watched.clock())
    later(watched, AGAIN)

    (heard,) = hear(watched)

    assert (heard["type"], heard["data"]["change"]) == ("change.converged", told.change)


def test_many_changes_are_told_in_one_go(watched: Stage) -> None:
    people = [PersonId(f"person-{number}") for number in range(450)]
    for person in people:
        watched.tell(FaceDeleted(person, LEFT))
    later(watched)

    heard = hear(watched)

    assert sorted(one["data"]["person"]["id"] for one in heard) == sorted(people)


def test_a_message_holds_no_name_and_no_photo(watched: Stage) -> None:
    watched.tell(Upserted(ALICE, ((LEFT, blank()),), name="Canary-Name 金丝雀"))
    watched.tell(Upserted(BOB, ((LEFT, draw(1)),), name="Canary-Name 金丝雀"))
    watched.quiet()
    later(watched)

    notify(watched.house)

    bodies = [row.body for row in messages(watched)]
    assert len(bodies) == 3
    for body in bodies:
        said = body + json.dumps(json.loads(body), ensure_ascii=False)
        for hidden in ("Canary", "金丝雀", draw(1).digest, blank().digest, "base64"):
            assert hidden not in said


def test_where_there_are_no_callbacks_nothing_is_kept_or_told(pair: Stage) -> None:
    pair.hire(ALICE, 1)
    pair.quiet()
    later(pair)

    told = notify(pair.house)

    assert (told, messages(pair), watching(pair)) == (0, [], [])


def test_a_change_that_nobody_remembers_is_not_watched_any_more(watched: Stage) -> None:
    watched.tell_photo(ALICE, LEFT, blank())
    watched.quiet()
    hear(watched)
    later(watched, timedelta(days=91))

    purged = purge(watched.house)

    assert (purged.changes, purged.watches, purged.messages) == (1, 1, 2)
    assert hear(watched) == []


def test_what_was_watched_for_callbacks_that_are_gone_is_forgotten(watched: Stage, vault: Vault) -> None:
    watched.hire(ALICE, 1)
    without = Store(watched.house.store.url, vault)

    purged = purge(replace(watched.house, store=without, callbacks=frozenset()))

    without.close()
    assert (purged.changes, purged.watches) == (0, 1)
    assert watching(watched) == []
