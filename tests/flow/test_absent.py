"""Whoever a whole roster does not name departs: all or nobody, never by a bad file, and never past the guard."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from syncsvc.flow import absent
from syncsvc.flow import import_roster as importing
from syncsvc.flow.absent import Absence
from syncsvc.flow.record import write_all
from syncsvc.model.changes import Departed, Upserted
from syncsvc.model.guard import Limits
from syncsvc.model.people import FaceId, PersonId
from syncsvc.model.rosters import Counts
from syncsvc.store import Store
from tests.conftest import MovableClock
from tests.flow.office import FREELY, GATE, YARD, KilledError, Log, Office, die_after
from tests.vendors.photos import draw

HOUR = 3600
FREE = Absence(FREELY)


@pytest.fixture
def office(store: Store, clock: MovableClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    monkeypatch.setattr(importing, "PEOPLE_AT_ONCE", 10)
    monkeypatch.setattr(absent, "AT_ONCE", 4)
    folder = tmp_path / "office"
    folder.mkdir()
    return Office(folder, store, clock)


def e(*numbers: int) -> set[str]:
    return {f"E{number}" for number in numbers}


def test_whoever_is_not_named_any_more_departs_from_every_library(office: Office) -> None:
    office.enrol(office.photographed(*range(20)))

    ended = office.enrol(office.photographed(*range(17)), absence=FREE)

    assert ended.counts == Counts(unchanged=17, departed=3)
    assert ended.refused is None
    assert office.here() == e(*range(17))
    for library in (GATE, YARD):
        assert {person for person, verb in office.owed(library).items() if verb == "delete"} == e(17, 18, 19)
    assert set(office.photos()) == e(*range(17))


def test_without_being_asked_nobody_departs(office: Office) -> None:
    office.enrol(office.photographed(1, 2, 3))

    assert office.enrol(office.photographed(1)).counts == Counts(unchanged=1)
    assert office.here() == e(1, 2, 3)


def test_whom_the_rosters_of_this_source_never_named_stays_unless_everybody_is_meant(office: Office) -> None:
    office.tell(Upserted(PersonId("E9"), ((FaceId("main"), draw(1)),)))
    file = office.people(1, 2)

    assert office.enrol(file, absence=FREE).counts.departed == 0
    assert office.here() == e(1, 2, 9)

    assert office.enrol(file, absence=Absence(FREELY, everybody=True)).counts.departed == 1
    assert office.here() == e(1, 2)


def test_two_sites_do_not_remove_each_others_people_and_who_left_both_departs(office: Office) -> None:
    office.enrol(office.people(1, 2, 3), source="north", absence=FREE)
    office.enrol(office.people(3, 4, 5), source="south", absence=FREE)

    office.enrol(office.people(1), source="north", absence=FREE)
    assert office.here() == e(1, 3, 4, 5)

    office.enrol(office.people(4, 5), source="south", absence=FREE)
    assert office.here() == e(1, 4, 5)


def test_who_is_missing_from_both_sites_departs_a_night_later_at_most(office: Office) -> None:
    """Each of the two still saw them in the other's roster, had they run at the same moment."""
    for source in ("north", "south"):
        office.enrol(office.people(1, 2), source=source, absence=FREE)
    office.enrol(office.people(1), source="north", absence=FREE)
    assert office.here() == e(1, 2)

    office.enrol(office.people(1), source="south", absence=FREE)

    assert office.here() == e(1)


def test_who_changed_after_the_import_began_is_newer_than_the_file_and_stays(office: Office) -> None:
    office.enrol(office.people(*range(25)))
    office.clock.advance(60)

    def meanwhile(batch: int) -> None:
        office.clock.advance(1)
        if batch == 1:
            office.tell(Upserted(PersonId("E24"), None, "Ada"))

    ended = office.enrol(office.people(*range(22)), absence=FREE, log=Log(then=meanwhile))

    assert ended.counts.departed == 2
    assert office.here() == e(*range(22), 24)
    office.clock.advance(60)
    assert office.enrol(office.people(*range(22)), absence=FREE).counts.departed == 1


def test_who_departed_and_was_hired_again_by_others_is_not_absent_from_rosters_that_lost_them(office: Office) -> None:
    office.enrol(office.people(1, 2), absence=FREE)
    office.tell(Departed(PersonId("E2")))
    office.enrol(office.people(1), absence=FREE)
    office.tell(Upserted(PersonId("E2"), None))

    office.enrol(office.people(1), absence=FREE)

    assert office.here() == e(1, 2)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "the roster names nobody"),
        (["E1,0.jpg", "E2,none.jpg"], "bad lines: 1, and whoever stands there is not absent"),
        (["E1,0.jpg", ",1.jpg", "E2"], "bad lines: 2"),
        (["E1,0.jpg", '"E2,1.jpg'], "bad lines: 1"),
        (["E1,0.jpg", "E1,1.jpg"], "bad lines: 1"),
    ],
)
def test_a_bad_or_empty_file_removes_nobody(office: Office, lines: list[str], words: str) -> None:
    office.enrol(office.photographed(1, 2, 3))

    ended = office.enrol(office.file(*lines), absence=FREE)

    assert ended.refused is not None
    assert words in ended.refused
    assert ended.counts.departed == 0
    assert office.here() == e(1, 2, 3)


@pytest.mark.parametrize(("name", "title"), [("r.csv", "id"), ("r.jsonl", '{"id": "E1"}')])
def test_a_file_that_was_cut_off_removes_nobody(office: Office, name: str, title: str) -> None:
    office.enrol(office.people(1, 2, 3))
    lines = ["E1", "E2"] if name == "r.csv" else ['{"id": "E2"}']
    file = office.file(*lines, name=name, title=title)
    file.write_bytes(file.read_bytes()[:-1])

    ended = office.enrol(file, absence=FREE)

    assert ended.refused is not None
    assert "the last line has no end, so that more may be missing" in ended.refused
    assert office.here() == e(1, 2, 3)


@pytest.mark.parametrize(
    ("limits", "leave", "fine"),
    [
        (Limits(5, 1.0), 5, True),
        (Limits(5, 1.0), 6, False),
        (Limits(100, 0.1), 4, True),
        (Limits(100, 0.1), 5, False),
        (Limits(100, 0.01), 1, True),
        (Limits(0, 1.0), 1, False),
    ],
)
def test_more_than_the_guard_allows_is_all_or_nothing(
    office: Office, limits: Limits, leave: int, *, fine: bool
) -> None:
    office.enrol(office.photographed(*range(40)))

    ended = office.enrol(office.photographed(*range(40 - leave)), absence=Absence(limits))

    assert ended.counts.departed == (leave if fine else 0)
    assert (ended.refused is None) == fine
    assert office.here() == e(*range(40 - leave if fine else 40))


def test_a_refusal_says_from_where_how_many_would_go_and_how_to_approve(office: Office) -> None:
    office.enrol(office.photographed(*range(40)))

    ended = office.enrol(office.photographed(*range(30)), absence=Absence(Limits(5, 0.5)))

    assert ended.refused == (
        "gate: 10 of 40 people would go; yard: 10 of 40 people would go; in 24 hours at most 5 (max_removals) and 0.5 "
        "of all (max_removals_share) may go; nobody was removed: look at the file, and if it is right say "
        "--approve-removals 10"
    )


def test_approval_is_for_exactly_so_many(office: Office) -> None:
    office.enrol(office.photographed(*range(40)))
    file = office.photographed(*range(30))
    strict = Limits(5, 0.05)
    assert office.enrol(file, absence=Absence(strict)).refused is not None

    wrong = office.enrol(file, absence=Absence(strict, approved=11))
    right = office.enrol(file, absence=Absence(strict, approved=10))

    assert wrong.refused is not None
    assert wrong.refused.startswith("10 people would go, and 11 were approved; nobody was removed")
    assert (right.refused, right.counts.departed) == (None, 10)
    assert office.here() == e(*range(30))


def test_an_approval_for_one_file_does_not_let_another_through(office: Office) -> None:
    office.enrol(office.photographed(*range(40)))
    strict = Absence(Limits(5, 0.05), approved=10)

    ended = office.enrol(office.photographed(*range(20)), absence=strict)

    assert ended.refused is not None
    assert office.here() == e(*range(40))


@pytest.mark.parametrize(("hours", "fine"), [(1, False), (23.9, False), (24.1, True)])
def test_what_went_in_the_last_24_hours_counts_and_what_went_before_does_not(
    office: Office, hours: float, *, fine: bool
) -> None:
    office.enrol(office.photographed(*range(40)))
    for number in range(36, 40):
        office.tell(Departed(PersonId(f"E{number}")))
    office.clock.advance(hours * HOUR)

    ended = office.enrol(office.photographed(*range(34)), absence=Absence(Limits(5, 1.0)))

    assert (ended.refused is None) == fine
    assert fine or "gate: 2 of 36 people would go, and 4 went in the last 24 hours" in (ended.refused or "")
    assert len(office.here()) == (34 if fine else 36)


def test_each_library_is_judged_by_its_own_people(office: Office) -> None:
    """The yard knows ten of forty."""
    office.enrol(office.photographed(*range(10)))
    with office.store.transaction() as tx:
        tx.libraries.declare({GATE: ("cedar", "sync")}, office.clock())
    office.enrol(office.photographed(*range(40)))
    with office.store.transaction() as tx:
        tx.libraries.declare(dict.fromkeys((GATE, YARD), ("cedar", "sync")), office.clock())

    ended = office.enrol(office.photographed(*range(2, 40)), absence=Absence(Limits(50, 0.1)))

    assert ended.refused is not None
    assert ended.refused.startswith("yard: 2 of 10 people would go; in 24 hours")


def test_a_library_that_removes_nobody_does_not_count(office: Office) -> None:
    with office.store.transaction() as tx:
        tx.libraries.declare({GATE: ("cedar", "upsert-only"), YARD: ("cedar", "observe")}, office.clock())
    office.enrol(office.photographed(*range(40)))

    ended = office.enrol(office.people(*range(36)), absence=Absence(Limits(5, 0.1)))

    assert ended.counts.departed == 4


def test_a_roster_is_judged_by_its_own_people_too_and_where_there_is_no_library(office: Office) -> None:
    office.enrol(office.people(*range(100)), source="all")
    office.enrol(office.people(*range(200, 220)), source="small")

    ended = office.enrol(office.people(200, 201), source="small", absence=Absence(Limits(50, 0.5)))

    assert ended.refused is not None
    assert ended.refused.startswith("the roster small: 18 of 20 people would go; in 24 hours at most 50")
    assert len(office.here()) == 120


def test_a_small_site_is_not_emptied_by_one_file_after_another_on_one_day(office: Office) -> None:
    office.enrol(office.photographed(*range(100)), source="all")
    office.enrol(office.photographed(*range(200, 220)), source="small")
    careful = Absence(Limits(50, 0.05))
    office.clock.advance(HOUR)
    assert office.enrol(office.photographed(*range(200, 219)), source="small", absence=careful).counts.departed == 1
    office.clock.advance(HOUR)

    ended = office.enrol(office.photographed(*range(200, 218)), source="small", absence=careful)

    assert ended.refused is not None
    assert ended.refused.startswith("the roster small: 1 of 19 people would go, and 1 went in the last 24 hours;")
    office.clock.advance(24 * HOUR)
    assert office.enrol(office.photographed(*range(200, 218)), source="small", absence=careful).counts.departed == 1


def test_whoever_is_killed_among_the_departures_goes_on_with_them_unasked(office: Office) -> None:
    office.enrol(office.photographed(*range(30)))
    file = office.photographed(*range(19))
    limits = Limits(11, 1.0)
    calls = iter(range(100))

    def mortal(*args: object, **kwargs: object) -> object:
        if next(calls) == 1:
            raise KilledError
        return write_all(*args, **kwargs)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(absent, "write_all", mortal)
        with pytest.raises(KilledError):
            office.enrol(file, absence=Absence(limits))
    assert len(office.here()) == 26

    ended = office.enrol(file, absence=Absence(limits))

    assert (ended.refused, ended.counts.departed) == (None, 11)
    assert office.here() == e(*range(19))


def test_departures_that_were_decided_elsewhere_and_not_yet_made_count_as_made(office: Office) -> None:
    office.enrol(office.photographed(*range(30)), source="north")
    office.enrol(office.photographed(*range(30, 60)), source="south")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(absent, "write_all", _killed)
        with pytest.raises(KilledError):
            office.enrol(office.photographed(*range(26)), source="north", absence=Absence(Limits(5, 1.0)))
    assert len(office.here()) == 60

    ended = office.enrol(office.photographed(*range(30, 58)), source="south", absence=Absence(Limits(5, 1.0)))

    assert ended.refused is not None
    assert "gate: 2 of 60 people would go, and 4 went in the last 24 hours" in ended.refused


def test_an_interrupted_import_does_not_let_anybody_go_whom_it_named_before(office: Office) -> None:
    office.enrol(office.people(*range(30)))
    file = office.people(*range(28))
    with pytest.raises(KilledError):
        office.enrol(file, absence=FREE, log=die_after(2))

    ended = office.enrol(file, absence=FREE)

    assert ended.counts == Counts(unchanged=28, departed=2)
    assert office.here() == e(*range(28))


def _killed(*_: object, **__: object) -> Iterator[object]:
    raise KilledError
