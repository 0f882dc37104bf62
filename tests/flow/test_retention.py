"""People whose time is over depart by themselves: an end that was told, their contract's, or days after departing."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from syncsvc.flow import approvals
from syncsvc.flow.forget import forget
from syncsvc.flow.fulfil import fulfil
from syncsvc.flow.record import Recorded, record
from syncsvc.flow.retention import expire
from syncsvc.flow.views import person_view
from syncsvc.model.changes import Change, Departed, Told, Until, Upserted
from syncsvc.model.guard import Limits
from syncsvc.model.people import PersonId
from syncsvc.model.retention import Rule, end_of
from syncsvc.store.tables import changes
from tests.flow.office import Log, Office
from tests.flow.stage import ALICE, BOB, LEFT, Stage
from tests.flow.test_erase import follow
from tests.flow.test_forget import tables_with
from tests.vendors.photos import draw

DAY = timedelta(days=1)
FACE = ((LEFT, draw(1)),)


def tell(stage: Stage, change: Change, *, source: str = "hr", version: int | None = None) -> Recorded:
    stage.told += 1
    return record(stage.house, Told(source, f"retention-{stage.told}", change, version), ring=False)


def stays(stage: Stage, person: PersonId = ALICE, until: datetime | None = None) -> Recorded:
    return tell(stage, Upserted(person, FACE, until=Until(until)))


def look(stage: Stage, person: PersonId = ALICE) -> bool:
    """Whether somebody is still here, after everything that happens by itself has happened."""
    expire(stage.house)
    fulfil(stage.house)
    stage.quiet()
    gone = person_view(stage.house, person).departed_at is not None
    assert (stage.there(person) == []) is gone
    return not gone


def entries(stage: Stage, source: str = "retention") -> list[tuple[str, str]]:
    with stage.house.store.reading() as tx:
        mine = select(changes.c.kind, changes.c.effect).where(changes.c.source == source)
        return [(row.kind, row.effect) for row in tx._connection.execute(mine)]


@pytest.fixture
def ruled(stage: Stage) -> Stage:
    """The source hr keeps people for a month after their contract, and three days after their departure."""
    stage.house = replace(stage.house, retention={"hr": Rule(30 * DAY, 3 * DAY)})
    return stage


def test_whoever_expires_leaves_every_library_at_that_moment_and_is_remembered_as_departed(stage: Stage) -> None:
    stays(stage, until=stage.clock() + DAY)
    stays(stage, BOB, until=None)
    before = look(stage)
    shown = person_view(stage.house, ALICE).expires_at
    stage.clock.advance(DAY.total_seconds())

    assert before
    assert shown == stage.clock()
    assert not look(stage)
    assert look(stage, BOB)
    assert entries(stage) == [("person.departed", "applied")]


def test_null_clears_it_silence_keeps_it_and_a_new_word_moves_it(stage: Stage) -> None:
    stays(stage, until=stage.clock() + DAY)
    tell(stage, Upserted(ALICE, None, "Ada"))
    kept = person_view(stage.house, ALICE).expires_at
    moved = tell(stage, Upserted(ALICE, None, until=Until(stage.clock() + 2 * DAY)))
    same = tell(stage, Upserted(ALICE, None, until=Until(stage.clock() + 2 * DAY)))
    stage.clock.advance(DAY.total_seconds())
    still = look(stage)
    tell(stage, Upserted(ALICE, None, until=Until(None)))
    stage.clock.advance(9 * DAY.total_seconds())

    assert kept == stage.clock() - 9 * DAY
    assert (moved.effect, same.effect) == ("applied", "unchanged")
    assert still
    assert look(stage)


def test_an_older_word_does_not_move_the_end(stage: Stage) -> None:
    tell(stage, Upserted(ALICE, FACE, until=Until(stage.clock() + 5 * DAY)), version=5)

    tell(stage, Upserted(ALICE, FACE, until=Until(stage.clock() + DAY)), version=4)

    assert person_view(stage.house, ALICE).expires_at == stage.clock() + 5 * DAY


def test_the_same_end_told_late_brings_nobody_back_and_a_later_one_does(stage: Stage) -> None:
    end = stage.clock() + DAY
    stays(stage, until=end)
    stage.clock.advance(DAY.total_seconds())
    look(stage)

    late = stays(stage, until=end)
    still_gone = look(stage)
    again = stays(stage, until=stage.clock() + DAY)

    assert (late.effect, still_gone) == ("unchanged", False)
    assert again.effect == "applied"
    assert look(stage)


def test_who_comes_back_after_a_departure_stays_without_the_old_end(stage: Stage) -> None:
    stays(stage, until=stage.clock() + DAY)
    stage.leave(ALICE)
    tell(stage, Upserted(ALICE, FACE))
    stage.clock.advance(2 * DAY.total_seconds())

    assert look(stage)


def test_a_contract_ends_by_the_rule_of_its_source_and_of_no_other(ruled: Stage) -> None:
    end = ruled.clock() + DAY
    tell(ruled, Upserted(ALICE, FACE, until=Until(end, contract=True)))
    tell(ruled, Upserted(BOB, FACE, until=Until(end, contract=True)), source="other")

    assert person_view(ruled.house, ALICE).expires_at == end + 30 * DAY
    assert person_view(ruled.house, BOB).expires_at is None
    tell(ruled, Upserted(ALICE, None, until=Until(None, contract=True)))
    assert person_view(ruled.house, ALICE).expires_at is None


def test_a_contract_for_ever_has_no_end(ruled: Stage) -> None:
    for_ever = Until(end_of(datetime(9999, 12, 31, tzinfo=UTC).date()), contract=True)
    assert for_ever.moment is None
    tell(ruled, Upserted(ALICE, FACE, until=Until(datetime(9999, 12, 30, tzinfo=UTC), contract=True)))

    assert person_view(ruled.house, ALICE).expires_at is None


def test_a_departure_waits_for_the_days_of_the_rule(ruled: Stage) -> None:
    ruled.hire(ALICE, 1)

    told = ruled.leave(ALICE)
    before = look(ruled)
    ruled.clock.advance(3 * DAY.total_seconds())

    assert (told.effect, before) == ("waiting", True)
    assert not look(ruled)


def test_told_every_night_it_still_happens_after_the_first_three_days(ruled: Stage) -> None:
    ruled.hire(ALICE, 1)
    for _ in range(3):
        ruled.leave(ALICE)
        assert look(ruled)
        ruled.clock.advance(DAY.total_seconds())

    assert not look(ruled)


@pytest.mark.parametrize("versions", [(None, None), (5, 6)])
def test_an_upsert_in_between_calls_it_off(ruled: Stage, versions: tuple[int | None, int | None]) -> None:
    left, back = versions
    ruled.hire(ALICE, 1)
    tell(ruled, Departed(ALICE), version=left)

    tell(ruled, Upserted(ALICE, None, "Ada"), version=back)
    ruled.clock.advance(9 * DAY.total_seconds())

    assert look(ruled)


def test_an_older_upsert_in_between_does_not(ruled: Stage) -> None:
    ruled.hire(ALICE, 1, version=1)
    tell(ruled, Departed(ALICE), version=5)

    late = tell(ruled, Upserted(ALICE, None, "Ada"), version=4)
    ruled.clock.advance(3 * DAY.total_seconds())

    assert late.effect == "old_news"
    assert not look(ruled)


def test_a_departure_that_comes_late_does_not_wait_and_takes_nobody_along(ruled: Stage) -> None:
    ruled.hire(ALICE, 1, version=1)
    tell(ruled, Upserted(ALICE, FACE), version=7)

    told = tell(ruled, Departed(ALICE), version=5)
    ruled.clock.advance(9 * DAY.total_seconds())

    assert told.effect == "old_news"
    assert look(ruled)


def test_until_its_own_moment_a_departure_is_not_called_off_by_an_upsert(ruled: Stage) -> None:
    ruled.hire(ALICE, 1)
    told = Told("hr", "in ten days", Departed(ALICE), effective_at=ruled.clock() + 10 * DAY)
    record(ruled.house, told)

    tell(ruled, Upserted(ALICE, None, "Ada"))
    ruled.clock.advance(12 * DAY.total_seconds())
    before = look(ruled)
    ruled.clock.advance(DAY.total_seconds())

    assert before
    assert not look(ruled)


def test_many_who_expire_at_once_are_guarded_and_asked_about_once(stage: Stage) -> None:
    everybody = [PersonId(f"E{number}") for number in range(6)]
    for person in everybody:
        stays(stage, person, until=stage.clock() + DAY)
    stage.quiet()
    stage.house = replace(stage.house, limits=Limits(2, 1.0, 0))
    stage.clock.advance(DAY.total_seconds())

    for _ in range(3):
        expire(stage.house)
    held = approvals.held_departures(stage.house, limit=10).items

    assert sorted(effect for _, effect in entries(stage)) == ["applied"] * 2 + ["held"] * 4
    assert len(held) == 4
    approvals.refuse(stage.house, [held[0].person], by="ops")
    approvals.approve(stage.house, None, by="ops")
    assert look(stage, held[0].person)
    assert not look(stage, held[1].person)


def test_who_is_held_after_expiring_is_called_off_only_by_a_later_end(stage: Stage) -> None:
    stays(stage, until=stage.clock() + DAY)
    stage.quiet()
    stage.house = replace(stage.house, limits=Limits(0, 0.0, 0))
    stage.clock.advance(DAY.total_seconds())
    expire(stage.house)

    tell(stage, Upserted(ALICE, None, "Ada"))
    still = [effect for _, effect in entries(stage)]
    tell(stage, Upserted(ALICE, None, until=Until(stage.clock() + DAY)))
    expire(stage.house)

    assert still == ["held"]
    assert [effect for _, effect in entries(stage)] == ["cancelled"]


# --- rosters ------------------------------------------------------------------------------------------------------


@pytest.fixture
def office(pair: Stage, tmp_path_factory: pytest.TempPathFactory) -> Office:
    return Office(tmp_path_factory.mktemp("office"), pair.house.store, pair.clock)


def test_a_roster_says_how_long_people_stay(pair: Stage, office: Office) -> None:
    title = "id,photo,expires_at"
    office.enrol(office.file("E1,1.jpg,2026-03-31T18:00:00+08:00", "E2,2.jpg,", "E3,3.jpg,2026-03-31", title=title))

    ends = [person_view(pair.house, PersonId(f"E{number}")).expires_at for number in (1, 2, 3)]
    again = office.enrol(
        office.file("E1,1.jpg,", "E2,2.jpg,", "E3,3.jpg,2026-03-31", title=title, name="second.csv")
    ).counts

    assert ends == [datetime(2026, 3, 31, 10, tzinfo=UTC), None, datetime(2026, 4, 1, 12, tzinfo=UTC)]
    assert (again.changed, again.unchanged) == (1, 2)
    assert person_view(pair.house, PersonId("E1")).expires_at is None


def test_a_roster_that_goes_on_naming_whose_time_is_over_brings_nobody_back(pair: Stage, office: Office) -> None:
    office.enrol(office.file("E1,1.jpg,2026-03-31", title="id,photo,expires_at"))
    pair.clock.now = datetime(2026, 4, 2, tzinfo=UTC)
    assert not look(pair, PersonId("E1"))

    again = office.enrol(office.file("E1,1.jpg,2026-03-31", title="id,photo,expires_at"), restart=True)

    assert again.counts.unchanged == 1
    assert not look(pair, PersonId("E1"))


def test_an_end_that_cannot_be_read_is_a_bad_line(office: Office) -> None:
    log = Log()
    office.enrol(office.file("E1,31.12.2026", "E2,2026-02-30", title="id,contract_end"), log=log)

    assert [one.line for one in log.bad] == [2, 3]
    assert all("contract_end must be a day like" in one.reason for one in log.bad)


def test_a_roster_that_names_somebody_calls_their_held_departure_off(pair: Stage, office: Office) -> None:
    office.enrol(office.photographed(1, 2))
    pair.quiet()
    pair.house = replace(pair.house, limits=Limits(0, 0.0, 0))
    pair.leave(PersonId("E1"))
    pair.clock.advance(60)

    office.enrol(office.photographed(1, 2), restart=True)

    assert approvals.held_departures(pair.house, limit=10).items == ()


def test_a_held_departure_that_is_refused_leaves_one_that_a_rule_keeps_as_it_was(ruled: Stage) -> None:
    stage = ruled
    tell(stage, Upserted(ALICE, FACE))
    stage.quiet()
    stage.house = replace(stage.house, limits=Limits(0, 0.0, 0))
    assert tell(stage, Departed(ALICE), source="door").effect == "held"
    assert tell(stage, Departed(ALICE)).effect == "waiting"

    approvals.refuse(stage.house, [ALICE], by="ops")
    stage.clock.advance(DAY.total_seconds())
    tell(stage, Upserted(ALICE, FACE))
    stage.house = replace(stage.house, limits=None)
    stage.clock.advance(3 * DAY.total_seconds())

    assert look(stage)


def test_a_person_who_expired_is_forgotten_altogether(stage: Stage) -> None:
    stage.house = replace(stage.house, erasing=replace(stage.house.erasing, forget_after=DAY))
    stays(stage, until=stage.clock() + DAY)
    stage.quiet()
    stage.clock.advance(2 * DAY.total_seconds())
    assert not look(stage)
    follow(stage)
    follow(stage, seconds=25 * 3600.0)
    stage.clock.advance(2 * DAY.total_seconds())

    assert forget(stage.house) == 1

    assert tables_with(stage, ALICE) == set()
