"""A dry run says what an import would do, and leaves every table as it was."""

from pathlib import Path

import pytest

from syncsvc.flow import absent
from syncsvc.flow import import_roster as importing
from syncsvc.flow.absent import Absence
from syncsvc.model.changes import Departed
from syncsvc.model.guard import Limits
from syncsvc.model.people import PersonId
from syncsvc.model.rosters import Counts
from syncsvc.store import Store
from tests.conftest import MovableClock
from tests.flow.office import FREELY, Log, Office
from tests.vendors.photos import draw

LINES = ["E1,0.jpg", "E2,5.jpg", "E3,none.jpg", "E4,3.jpg", "E5,4.jpg", "E1,1.jpg"]


@pytest.fixture
def office(store: Store, clock: MovableClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    monkeypatch.setattr(importing, "PEOPLE_AT_ONCE", 2)
    monkeypatch.setattr(absent, "AT_ONCE", 3)
    folder = tmp_path / "office"
    folder.mkdir()
    office = Office(folder, store, clock)
    office.enrol(office.photographed(*range(5)))
    office.tell(Departed(PersonId("E4")))
    return office


def test_it_counts_what_the_import_then_does_and_writes_nothing(office: Office) -> None:
    before = office.everything()
    file, rehearsed, enrolled = office.file(*LINES), Log(), Log()
    (office.folder / "5.jpg").write_bytes(draw(9).content)

    ended, _ = office.rehearse(file, log=rehearsed)

    assert office.everything() == before
    assert ended.counts == Counts(new=1, changed=2, back=1, skipped=2, bad_lines=2)
    assert office.enrol(file, log=enrolled).counts == ended.counts
    assert rehearsed.bad == enrolled.bad


def test_it_shows_every_photo_that_would_be_stored_and_no_other(office: Office) -> None:
    _, seen = office.rehearse(office.file("E0,0.jpg", "E1,1.jpg", "E2,5.jpg", "E9,6.jpg"))

    assert [photo.digest for photo in seen] == [draw(5).digest, draw(6).digest]


@pytest.mark.parametrize(
    ("absence", "departed"),
    [
        (Absence(FREELY), 3),
        (Absence(FREELY, everybody=True), 4),
        (Absence(Limits(2, 1.0)), 0),
        (Absence(Limits(2, 1.0), approved=3), 3),
        (Absence(Limits(2, 1.0), approved=4), 0),
    ],
)
def test_it_says_who_would_depart_and_asks_the_guard(office: Office, absence: Absence, departed: int) -> None:
    office.enrol(office.people(90), source="other")
    file = office.photographed(0)
    before = office.everything()

    ended, _ = office.rehearse(file, absence=absence)

    assert office.everything() == before
    assert ended.counts == Counts(unchanged=1, departed=departed)
    assert (ended.refused is None) == (departed > 0)
    real = office.enrol(file, absence=absence)
    assert (real.refused, real.counts) == (ended.refused, ended.counts)


def test_a_file_that_is_unfit_for_departures_is_told(office: Office) -> None:
    ended, _ = office.rehearse(office.file(*LINES), absence=Absence(FREELY))

    assert ended.refused == "bad lines: 2, and whoever stands there is not absent"
