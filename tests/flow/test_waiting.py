"""Departures that are told before their moment."""

from datetime import datetime, timedelta, timezone

import pytest

from syncsvc.flow.fulfil import fulfil
from syncsvc.flow.record import Recorded, record
from syncsvc.model.changes import Change, Departed, FaceReplaced, Told, Upserted
from tests.flow.stage import ALICE, LEFT, Stage
from tests.vendors.photos import draw

LAST_DAY = timedelta(days=10)
SHANGHAI = timezone(timedelta(hours=8))


def tell(
    stage: Stage, change: Change, *, source: str = "hr", version: int | None = None, at: datetime | None = None
) -> Recorded:
    stage.told += 1
    told = Told(source, f"waiting-{stage.told}", change, version, effective_at=at)
    return record(stage.house, told, ring=False)


def departed(stage: Stage) -> bool:
    fulfil(stage.house)
    stage.quiet()
    with stage.house.store.reading() as tx:
        known = tx.people.get(ALICE)
    assert known is not None
    return known.departed_at is not None


def effect_of(stage: Stage, change: str) -> str:
    with stage.house.store.reading() as tx:
        entry = tx.changes.get(change)
    assert entry is not None
    return entry.effect


def test_a_departure_waits_for_its_moment_and_then_everything_goes(stage: Stage) -> None:
    stage.hire(ALICE, 1)
    stage.quiet()

    told = tell(stage, Departed(ALICE), at=stage.clock() + LAST_DAY)
    before = (departed(stage), len(stage.there()))
    stage.clock.advance(LAST_DAY.total_seconds())

    assert told.effect == "waiting"
    assert before == (False, 1)
    assert departed(stage)
    assert stage.there() == []
    assert effect_of(stage, told.change) == "applied"


def test_a_moment_is_an_instant_whatever_its_time_zone(stage: Stage) -> None:
    stage.hire(ALICE, 1)
    moment = (stage.clock() + timedelta(hours=1)).astimezone(SHANGHAI)

    tell(stage, Departed(ALICE), at=moment)

    stage.clock.advance(3599)
    assert not departed(stage)
    stage.clock.advance(1)
    assert departed(stage)


def test_a_moment_that_has_passed_is_now(stage: Stage) -> None:
    stage.hire(ALICE, 1)

    told = tell(stage, Departed(ALICE), at=stage.clock() - timedelta(seconds=1))

    assert told.effect == "applied"


def test_it_is_carried_out_once(stage: Stage) -> None:
    stage.hire(ALICE, 1)
    tell(stage, Departed(ALICE), at=stage.clock() + LAST_DAY)
    stage.clock.advance(LAST_DAY.total_seconds())

    fulfil(stage.house)
    again = fulfil(stage.house)

    assert again == []


def test_what_is_told_of_somebody_who_will_leave_does_not_keep_them(stage: Stage) -> None:
    stage.hire(ALICE, 1, version=1)
    tell(stage, Departed(ALICE), version=5, at=stage.clock() + LAST_DAY)

    tell(stage, FaceReplaced(ALICE, LEFT, draw(2)), version=6)
    tell(stage, Upserted(ALICE, None, "Ada"), version=7)
    stage.clock.advance(LAST_DAY.total_seconds())

    assert departed(stage)


def test_what_was_told_before_the_moment_and_comes_late_brings_nobody_back(stage: Stage) -> None:
    stage.hire(ALICE, 1, version=1)
    tell(stage, Departed(ALICE), version=5, at=stage.clock() + LAST_DAY)
    tell(stage, FaceReplaced(ALICE, LEFT, draw(2)), version=9)
    stage.clock.advance(LAST_DAY.total_seconds())
    assert departed(stage)

    late = tell(stage, Upserted(ALICE, ((LEFT, draw(3)),)), version=8)
    rehired = tell(stage, Upserted(ALICE, ((LEFT, draw(3)),)), version=10)

    assert (late.effect, rehired.effect) == ("old_news", "applied")


def test_a_newer_departure_moves_the_moment_and_an_older_one_does_not(stage: Stage) -> None:
    stage.hire(ALICE, 1, version=1)
    first = tell(stage, Departed(ALICE), version=5, at=stage.clock() + LAST_DAY)

    second = tell(stage, Departed(ALICE), version=6, at=stage.clock() + 2 * LAST_DAY)
    third = tell(stage, Departed(ALICE), version=4, at=stage.clock() + timedelta(seconds=1))
    stage.clock.advance(LAST_DAY.total_seconds())

    assert (effect_of(stage, first.change), second.effect, third.effect) == ("cancelled", "waiting", "old_news")
    assert not departed(stage)
    stage.clock.advance(LAST_DAY.total_seconds())
    assert departed(stage)


def test_a_departure_at_once_calls_the_waiting_one_off_so_that_it_never_strikes_after_a_return(stage: Stage) -> None:
    stage.hire(ALICE, 1)
    waiting = tell(stage, Departed(ALICE), at=stage.clock() + LAST_DAY)

    tell(stage, Departed(ALICE), source="badge-office")
    stage.hire(ALICE, 1)
    stage.clock.advance(LAST_DAY.total_seconds())

    assert effect_of(stage, waiting.change) == "cancelled"
    assert not departed(stage)


def test_only_who_says_so_calls_a_departure_off(stage: Stage) -> None:
    stage.hire(ALICE, 1)
    waiting = tell(stage, Departed(ALICE), at=stage.clock() + LAST_DAY)

    off = record(stage.house, Told("hr", "off", Upserted(ALICE), cancels_departure=True), ring=False)
    stage.clock.advance(LAST_DAY.total_seconds())

    assert off.effect == "applied"
    assert effect_of(stage, waiting.change) == "cancelled"
    assert not departed(stage)


def test_old_news_calls_nothing_off(stage: Stage) -> None:
    stage.hire(ALICE, 1, version=3)
    waiting = tell(stage, Departed(ALICE), version=5, at=stage.clock() + LAST_DAY)

    record(stage.house, Told("hr", "late", Upserted(ALICE, ()), version=2, cancels_departure=True), ring=False)

    assert effect_of(stage, waiting.change) == "waiting"


def test_an_older_word_does_not_call_a_newer_departure_off(stage: Stage) -> None:
    stage.hire(ALICE, 1, version=3)
    waiting = tell(stage, Departed(ALICE), version=5, at=stage.clock() + LAST_DAY)

    late = record(
        stage.house, Told("hr", "late", Upserted(ALICE, None, "Ada"), version=4, cancels_departure=True), ring=False
    )
    stage.clock.advance(LAST_DAY.total_seconds())

    assert late.effect == "applied"
    assert effect_of(stage, waiting.change) == "waiting"
    assert departed(stage)


@pytest.mark.parametrize("late", [False, True])
def test_a_departure_that_comes_after_the_newer_word_that_calls_it_off_is_old_news(stage: Stage, *, late: bool) -> None:
    stage.hire(ALICE, 1, version=3)
    moment = stage.clock() + LAST_DAY
    record(stage.house, Told("hr", "off", Upserted(ALICE), version=6, cancels_departure=True), ring=False)
    stage.clock.advance(2 * LAST_DAY.total_seconds() if late else 0)

    told = tell(stage, Departed(ALICE), version=5, at=moment)
    newer = tell(stage, Departed(ALICE), version=7, at=stage.clock() + LAST_DAY)
    stage.quiet()

    assert (told.effect, newer.effect) == ("old_news", "waiting")
    assert len(stage.there()) == 1


@pytest.mark.parametrize("times", [1, 3])
def test_somebody_unknown_may_be_about_to_leave(stage: Stage, times: int) -> None:
    for _ in range(times):
        tell(stage, Departed(ALICE), at=stage.clock() + LAST_DAY)
    stage.clock.advance(LAST_DAY.total_seconds())

    assert departed(stage)
