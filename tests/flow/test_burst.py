"""Departures told one by one go past the removal guard: too many in a day are held back, and nobody half-deleted."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import event
from structlog.testing import capture_logs

from syncsvc.flow import approvals
from syncsvc.flow.fate import change_view
from syncsvc.flow.fulfil import fulfil
from syncsvc.flow.house import House
from syncsvc.flow.record import Message, Recorded, record, record_message
from syncsvc.model.changes import Change, Departed, FaceReplaced, Told, Upserted
from syncsvc.model.guard import Limits
from syncsvc.model.people import PersonId
from tests.flow.stage import GATE, LEFT, YARD, Stage
from tests.vendors.photos import draw

DAY = timedelta(days=1)
TWO_A_DAY = Limits(2, 1.0, 0)


def people(count: int) -> list[PersonId]:
    return [PersonId(f"E{number}") for number in range(count)]


def enrolled(stage: Stage, count: int, limits: Limits = TWO_A_DAY) -> list[PersonId]:
    """So many people, each with a face in the library; from now on the guard is there."""
    everybody = people(count)
    for number, person in enumerate(everybody):
        stage.hire(person, number % 8, version=1)
    stage.quiet()
    stage.house = replace(stage.house, limits=limits)
    return everybody


def tell(
    stage: Stage, change: Change, *, source: str = "hr", version: int | None = None, at: datetime | None = None
) -> Recorded:
    stage.told += 1
    return record(stage.house, Told(source, f"burst-{stage.told}", change, version, effective_at=at), ring=False)


def here(stage: Stage, person: PersonId) -> bool:
    with stage.house.store.reading() as tx:
        known = tx.people.get(person)
    return known is not None and known.departed_at is None


def effect_of(stage: Stage, recorded: Recorded) -> str:
    with stage.house.store.reading() as tx:
        entry = tx.changes.get(recorded.change)
    assert entry is not None
    return entry.effect


def test_more_departures_than_may_go_in_a_day_are_held_back_and_nobody_is_half_deleted(pair: Stage) -> None:
    everybody = enrolled(pair, 6)

    effects = [pair.leave(person).effect for person in everybody[:4]]
    pair.quiet()

    assert effects == ["applied", "applied", "held", "held"]
    for person in everybody[2:]:
        assert here(pair, person)
        assert pair.digests(person, GATE) == pair.digests(person, YARD) == pair.wanted(person) != []
    for person in everybody[:2]:
        assert pair.there(person, GATE) == pair.there(person, YARD) == []


def test_a_batch_is_counted_together(stage: Stage) -> None:
    everybody = enrolled(stage, 6)
    told = tuple(Told("hr", f"batch-{person}", Departed(person)) for person in everybody)

    with capture_logs() as logs:
        effects = [one.effect for one in record_message(stage.house, Message("hr", "batch", told))]

    assert effects == ["applied"] * 2 + ["held"] * 4
    errors = [one for one in logs if one["log_level"] == "error"]
    assert [(one["event"], one["held"], one["asked"]) for one in errors] == [("departures held back", 4, 6)]
    assert not any(str(person) in repr(errors) for person in everybody)


def test_the_same_person_leaving_and_coming_back_in_one_message_is_counted_in_their_order(stage: Stage) -> None:
    first, second, third, *_ = enrolled(stage, 4)
    changes: list[Change] = [Departed(first), Departed(second), Departed(third), Upserted(first, None), Departed(first)]
    told = tuple(Told("hr", f"order-{number}", change) for number, change in enumerate(changes))

    effects = [one.effect for one in record_message(stage.house, Message("hr", "order", told))]

    assert effects == ["applied", "applied", "held", "applied", "applied"]


def test_the_day_is_any_24_hours(stage: Stage) -> None:
    first, second, third, *_ = enrolled(stage, 4)
    stage.leave(first)
    stage.leave(second)
    stage.clock.advance(DAY.total_seconds() + 1)

    assert stage.leave(third).effect == "applied"


def test_a_share_counts_as_well_and_a_floor_always_goes(stage: Stage) -> None:
    everybody = enrolled(stage, 10, Limits(50, 0.3, 0))
    by_share = [stage.leave(person).effect for person in everybody[:4]]
    stage.house = replace(stage.house, limits=Limits(50, 0.1, 5))
    with_a_floor = [stage.leave(person).effect for person in everybody[4:8]]

    assert by_share == ["applied"] * 3 + ["held"]
    assert with_a_floor == ["applied"] * 2 + ["held"] * 2


def test_who_is_in_no_library_goes_unasked(stage: Stage) -> None:
    enrolled(stage, 2, Limits(0, 0.0, 0))
    stage.hire(PersonId("faceless"))

    assert stage.leave(PersonId("faceless")).effect == "applied"
    assert stage.leave(PersonId("nobody we know")).effect == "applied"


def test_a_library_that_removes_nobody_is_not_counted(stage: Stage) -> None:
    first, *_ = enrolled(stage, 2, Limits(0, 0.0, 0))
    stage.reshelve(policy="upsert-only")

    assert stage.leave(first).effect == "applied"


def test_without_limits_nothing_is_held(stage: Stage) -> None:
    everybody = enrolled(stage, 6)
    stage.house = replace(stage.house, limits=None)

    assert {stage.leave(person).effect for person in everybody} == {"applied"}


def test_only_departures_pay_for_the_guard_and_at_most_three_questions_a_batch(stage: Stage) -> None:
    everybody = enrolled(stage, 32, Limits(50, 1.0, 5))
    guarded, unguarded = stage.house, replace(stage.house, limits=None)
    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        asked.append(statement)

    def cost(make: Callable[[PersonId], Change]) -> int:
        """How many more questions the guard asks of the database for such a change of five people."""
        counts = []
        for house, some in ((guarded, everybody[-5:]), (unguarded, everybody[-10:-5])):
            stage.told += 1
            told = tuple(Told("hr", f"cost-{stage.told}-{person}", make(person)) for person in some)
            asked.clear()
            record_message(house, Message("hr", f"cost-{stage.told}", told))
            counts.append(len(asked))
        return counts[0] - counts[1]

    event.listen(stage.house.store.engine, "before_cursor_execute", note)
    others = [
        cost(lambda person: Upserted(person, None, "Ada")),
        cost(lambda person: FaceReplaced(person, LEFT, draw(9))),
        cost(lambda person: Upserted(person, ((LEFT, draw(10)),))),
    ]

    def depart(house: House, some: list[PersonId]) -> int:
        asked.clear()
        told = tuple(Told("hr", f"many-{person}", Departed(person)) for person in some)
        record_message(house, Message("hr", f"many-{some[0]}", told))
        return len(asked)

    depart(unguarded, everybody[:1])  # whatever is asked once only
    few = depart(guarded, everybody[1:3]) - depart(unguarded, everybody[3:5])
    many = depart(guarded, everybody[5:13]) - depart(unguarded, everybody[13:21])

    assert others == [0, 0, 0]
    assert few <= 2
    assert many <= 3


def test_a_held_departure_waits_for_an_operator_in_its_own_words(stage: Stage) -> None:
    first, *_ = enrolled(stage, 2, Limits(0, 0.0, 0))

    told = stage.leave(first)

    view = change_view(stage.house, told.change)
    assert (view.effect, view.state, view.libraries) == ("held", "waiting", ())
    assert view.detail is not None
    assert "operator's approval" in view.detail


def test_a_newer_upsert_calls_a_held_departure_off(stage: Stage) -> None:
    first, *_ = enrolled(stage, 2, Limits(0, 0.0, 0))
    held = stage.leave(first, version=5)

    late = tell(stage, Upserted(first, None, "Ada"), version=4)
    still = effect_of(stage, held)
    newer = tell(stage, Upserted(first, None, "Ada"), version=6)

    assert (late.effect, still) == ("old_news", "held")
    assert (newer.effect, effect_of(stage, held)) == ("applied", "cancelled")
    assert approvals.approve(stage.house, None, by="ops").people == 0


def test_without_versions_the_later_word_calls_it_off_also_from_another_source(stage: Stage) -> None:
    first, *_ = enrolled(stage, 2, Limits(0, 0.0, 0))
    held = stage.leave(first)

    again = tell(stage, Upserted(first, None), source="scim:entra")

    assert (again.effect, effect_of(stage, held)) == ("applied", "cancelled")


def test_a_new_photo_does_not_call_it_off(stage: Stage) -> None:
    first, *_ = enrolled(stage, 2, Limits(0, 0.0, 0))
    held = stage.leave(first)

    stage.swap(first, 0, 7)
    stage.quiet()

    assert effect_of(stage, held) == "held"
    assert stage.digests(first) == [draw(7).digest]


def test_what_was_told_before_a_held_departure_and_comes_late_is_old_news(stage: Stage) -> None:
    first, *_ = enrolled(stage, 2, Limits(0, 0.0, 0))
    stage.leave(first, version=5)

    late = tell(stage, FaceReplaced(first, LEFT, draw(7)), version=4)

    assert late.effect == "old_news"


def test_a_face_that_is_newer_than_a_refused_departure_is_not_overwritten_by_an_older_one(stage: Stage) -> None:
    first, *_ = enrolled(stage, 2, Limits(0, 0.0, 0))
    stage.swap(first, 0, 7, version=9)
    stage.leave(first, version=5)
    approvals.refuse(stage.house, [first], by="ops")

    tell(stage, Upserted(first, ((LEFT, draw(3)),)), version=6)
    stage.quiet()

    assert stage.digests(first) == [draw(7).digest]


@pytest.mark.parametrize("versions", [(None, None), (5, 6), (5, 5)])
def test_another_departure_of_the_same_person_joins_the_held_one(
    stage: Stage, versions: tuple[int | None, int | None]
) -> None:
    first, *_ = enrolled(stage, 2, Limits(0, 0.0, 0))
    told = [stage.leave(first, version=version) for version in versions]
    stage.house = replace(stage.house, limits=TWO_A_DAY)

    third = stage.leave(first)

    assert [effect_of(stage, one) for one in (*told, third)] == ["held"] * 3
    with stage.house.store.reading() as tx:
        assert approvals.count_held(tx) == 1
    approvals.approve(stage.house, [first], by="ops")
    fulfil(stage.house)
    stage.quiet()
    assert stage.there(first) == []


def test_a_departure_whose_moment_comes_is_guarded_as_well(stage: Stage) -> None:
    first, second, *_ = enrolled(stage, 4, Limits(1, 1.0, 0))
    told = [tell(stage, Departed(person), at=stage.clock() + DAY) for person in (first, second)]
    stage.clock.advance(DAY.total_seconds())

    fulfil(stage.house)
    fulfil(stage.house)

    assert sorted(effect_of(stage, one) for one in told) == ["applied", "held"]
    assert [here(stage, first), here(stage, second)].count(True) == 1


def test_an_erasure_by_hand_is_never_held_and_counts(stage: Stage) -> None:
    first, second, third, *_ = enrolled(stage, 4)
    for person in (first, second):
        told = Told("cli", f"hand-{person}", Departed(person), approved_by="cli")
        assert record(stage.house, told).effect == "applied"

    assert stage.leave(third).effect == "held"
    assert record(stage.house, Told("cli", "hand", Departed(third), approved_by="cli")).effect == "applied"
    assert approvals.held_departures(stage.house, limit=10).items == ()


def test_an_hr_system_that_goes_mad_after_a_purge_finds_the_held_ones_still_there(stage: Stage) -> None:
    first, *_ = enrolled(stage, 2, Limits(0, 0.0, 0))
    held = stage.leave(first)
    stage.clock.advance(400 * DAY.total_seconds())

    with stage.house.store.transaction() as tx:
        tx.changes.purge(stage.clock(), 100)

    assert effect_of(stage, held) == "held"
