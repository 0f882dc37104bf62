"""A departure that is newer than the roster being imported stands, whatever the roster says."""

from pathlib import Path

import pytest

from syncsvc.flow import import_roster as importing
from syncsvc.flow.holder import this_process
from syncsvc.intake import photo_files
from syncsvc.intake.photos import read_photo
from syncsvc.model.changes import Departed, Upserted
from syncsvc.model.people import FaceId, PersonId, Photo
from syncsvc.model.rosters import Counts
from syncsvc.store import Store
from tests.conftest import MovableClock
from tests.flow.office import KilledError, Log, Office, die_after
from tests.vendors.photos import draw

MAIN = FaceId("main")
DEAD = f"{this_process().rpartition(':')[0]}:{2**22 + 1}"  # a process of this machine that cannot be


@pytest.fixture
def office(store: Store, clock: MovableClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    monkeypatch.setattr(importing, "PEOPLE_AT_ONCE", 10)
    folder = tmp_path / "office"
    folder.mkdir()
    return Office(folder, store, clock)


def test_who_departed_after_the_import_began_does_not_come_back(office: Office) -> None:
    file = office.photographed(*range(25))
    office.enrol(file)
    office.clock.advance(60)

    def meanwhile(batch: int) -> None:
        office.clock.advance(1)
        if batch == 1:
            office.tell(Departed(PersonId("E24")))

    ended = office.enrol(file, log=Log(then=meanwhile))

    assert ended.counts == Counts(unchanged=25)
    assert office.here() == {f"E{number}" for number in range(24)}
    office.clock.advance(60)
    assert office.enrol(file).counts == Counts(unchanged=24, back=1)


def test_who_departed_while_an_import_lay_interrupted_does_not_come_back_when_it_goes_on(office: Office) -> None:
    file = office.photographed(*range(25))
    office.tell(Upserted(PersonId("E24"), ((MAIN, draw(7)),)))
    with pytest.raises(KilledError):
        office.enrol(file, holder=DEAD, log=die_after(1))
    office.clock.advance(3600)
    office.tell(Departed(PersonId("E24")))

    office.enrol(file)

    assert office.here() == {f"E{number}" for number in range(24)}


def test_who_departs_while_their_photo_is_read_does_not_come_back(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.enrol(office.file("E1,0.jpg"))
    office.clock.advance(60)

    def departing(content: bytes) -> Photo:
        office.clock.advance(1)
        office.tell(Departed(PersonId("E1")))
        return read_photo(content)

    monkeypatch.setattr(photo_files, "read_photo", departing)
    office.enrol(office.file("E1,1.jpg"))

    assert office.here() == set()
