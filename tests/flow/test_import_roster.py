"""A roster is imported: once, whatever dies in between; and what is so already is neither read nor written again."""

import threading
import tracemalloc
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import event, func, select, update

from syncsvc.flow import import_roster as importing
from syncsvc.flow.holder import this_process
from syncsvc.intake import photo_files
from syncsvc.intake.photos import read_photo
from syncsvc.model.changes import Departed, FaceDeleted, FaceReplaced, Upserted
from syncsvc.model.errors import InputError
from syncsvc.model.people import FaceId, PersonId, Photo
from syncsvc.model.rosters import Counts, Place
from syncsvc.store import Store
from syncsvc.store.tables import changes, faces
from tests.conftest import MovableClock
from tests.flow.office import GATE, KilledError, Log, Office, die_after, digest
from tests.vendors.photos import draw

MAIN = FaceId("main")
DEAD = f"{this_process().rpartition(':')[0]}:{2**22 + 1}"  # a process of this machine that cannot be


@pytest.fixture
def office(store: Store, clock: MovableClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    monkeypatch.setattr(importing, "PEOPLE_AT_ONCE", 10)
    folder = tmp_path / "office"
    folder.mkdir()
    return Office(folder, store, clock)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often a photo was decoded."""
    counted: Counter[str] = Counter()

    def counting(content: bytes) -> Photo:
        counted["decoded"] += 1
        return read_photo(content)

    monkeypatch.setattr(photo_files, "read_photo", counting)
    return counted


def test_everybody_is_recorded_and_owed_to_every_library_without_a_bell(office: Office) -> None:
    ended = office.enrol(office.file("E1,0.jpg", "E2,1.jpg"))

    assert ended.counts == Counts(new=2)
    assert office.photos() == {"E1": {"main": digest(0)}, "E2": {"main": digest(1)}}
    assert office.owed() == {"E1": "replace", "E2": "replace"}
    with office.store.reading() as tx:
        assert tx.deliveries.busy(GATE, office.clock()) == 0


def test_the_same_file_again_changes_nothing_and_reads_no_photo(office: Office, read: Counter[str]) -> None:
    file = office.file("E1,Ada,0.jpg", "E2,,1.jpg", title="id,name,photo")
    office.enrol(file)
    before = {name: rows for name, rows in office.everything().items() if not name.startswith("roster")}
    assert read["decoded"] == 2
    office.clock.advance(60)

    ended = office.enrol(file)

    assert ended.counts == Counts(unchanged=2)
    assert ended.before == office.clock() - timedelta(seconds=60)
    assert read["decoded"] == 2
    assert {name: rows for name, rows in office.everything().items() if not name.startswith("roster")} == before


def test_the_same_file_again_mends_what_changed_meanwhile(office: Office) -> None:
    file = office.file("E1,0.jpg", "E2,1.jpg", "E3,2.jpg")
    office.enrol(file)
    office.tell(Departed(PersonId("E1")))
    office.tell(FaceReplaced(PersonId("E2"), MAIN, draw(5)))
    office.tell(FaceReplaced(PersonId("E3"), FaceId("extra"), draw(6)))

    ended = office.enrol(file)

    assert ended.counts == Counts(back=1, changed=2)
    assert office.photos() == {f"E{number + 1}": {"main": digest(number)} for number in range(3)}


def test_another_photo_under_the_same_path_is_seen(office: Office, read: Counter[str]) -> None:
    file = office.file("E1,0.jpg", "E2,1.jpg")
    office.enrol(file)
    (office.folder / "0.jpg").write_bytes(draw(7).content)

    ended = office.enrol(file)

    assert ended.counts == Counts(changed=1, unchanged=1)
    assert office.photos()["E1"] == {"main": digest(7)}
    assert read["decoded"] == 3


def test_a_new_name_alone_reads_no_photo_and_owes_nobody_anything(office: Office, read: Counter[str]) -> None:
    office.enrol(office.file("E1,Ada,0.jpg", title="id,name,photo"))
    office.enrol(office.file("E1,,0.jpg", title="id,name,photo"))
    owed = office.everything()["deliveries"]

    ended = office.enrol(office.file("E1,Ada Lovelace,0.jpg", title="id,name,photo"))

    assert ended.counts == Counts(changed=1)
    assert office.everything()["deliveries"] == owed
    assert read["decoded"] == 1
    with office.store.reading() as tx:
        known = tx.people.get(PersonId("E1"))
        assert known is not None
        assert tx.people.name(known) == "Ada Lovelace"


def test_a_roster_without_photos_leaves_faces_as_they_are_and_brings_people_back(office: Office) -> None:
    office.tell(Upserted(PersonId("E1"), ((MAIN, draw(0)),)))
    office.tell(Upserted(PersonId("E2"), ((MAIN, draw(1)),)))
    office.tell(Departed(PersonId("E2")))

    ended = office.enrol(office.people(1, 2, 3))

    assert ended.counts == Counts(new=1, back=1, unchanged=1)
    assert office.here() == {"E1", "E2", "E3"}
    assert office.photos() == {"E1": {"main": digest(0)}}


def test_a_face_more_than_the_roster_has_goes_and_one_dropped_meanwhile_returns(office: Office) -> None:
    file = office.file("E1,a,0.jpg", "E1,b,1.jpg", "E2,a,2.jpg", title="id,face,photo")
    office.enrol(file)
    office.tell(FaceReplaced(PersonId("E2"), FaceId("b"), draw(3)))
    office.tell(FaceDeleted(PersonId("E1"), FaceId("b")))

    office.enrol(file)

    assert office.photos() == {"E1": {"a": digest(0), "b": digest(1)}, "E2": {"a": digest(2)}}


def test_photos_from_before_anybody_noted_their_bytes_are_read_once_more_and_not_again(
    office: Office, read: Counter[str]
) -> None:
    file = office.file("E1,0.jpg")
    office.enrol(file)
    with office.store.transaction() as tx:
        tx._connection.execute(update(faces).values(origin=None))

    assert office.enrol(file).counts == Counts(unchanged=1)
    assert office.enrol(file).counts == Counts(unchanged=1)

    assert read["decoded"] == 2


def test_bad_people_are_skipped_and_said_and_the_others_recorded(office: Office) -> None:
    log = Log()

    ended = office.enrol(office.file("E1,0.jpg", "E2,gone.jpg", ",1.jpg", "E3,1.jpg"), log=log)

    assert ended.counts == Counts(new=2, skipped=2, bad_lines=2)
    assert [(one.line, one.reason) for one in log.bad] == [
        (3, "the photo file cannot be read (No such file or directory)"),
        (4, "the person's id is empty"),
    ]
    assert office.here() == {"E1", "E3"}


@pytest.mark.parametrize("apart", [1, 5, 40])
def test_somebody_who_stands_there_twice_counts_where_they_stand_first(office: Office, apart: int) -> None:
    others = [f"F{number},1.jpg" for number in range(apart)]
    log = Log()

    ended = office.enrol(office.file("E1,0.jpg", *others, "E1,2.jpg"), log=log)

    assert ended.counts == Counts(new=1 + apart, skipped=1, bad_lines=1)
    ((line, reason),) = [(one.line, one.reason) for one in log.bad]
    assert line == 3 + apart
    assert reason == "this person stands further up already; put a person's lines next to each other"
    assert office.photos()["E1"] == {"main": digest(0)}


def test_whoever_is_killed_loses_the_batch_in_hand_and_the_next_goes_on_behind_it(office: Office) -> None:
    file = office.people(*range(45))
    with pytest.raises(KilledError):
        office.enrol(file, log=die_after(2))
    assert len(office.here()) == 20
    log = Log()

    ended = office.enrol(file, log=log)

    assert log.began == office_place(file, lines=21)
    assert ended.went_on_after == 21
    assert ended.counts == Counts(new=45)
    assert told_of(office) == dict.fromkeys((f"E{number}" for number in range(45)), 1)


def test_a_death_at_any_moment_tells_everybody_exactly_once(office: Office) -> None:
    """Killed before every statement and every commit in turn, always a little later, until it lives to the end."""
    file = office.file(*(f"E{number},{number % 8}.jpg" for number in range(25)), "E3,1.jpg")
    deaths = 0
    while True:
        fuse = Fuse(office.store, 3 + 2 * deaths)
        try:
            with fuse:
                ended = office.enrol(file, holder=DEAD)
            break
        except KilledError:
            deaths += 1

    assert deaths > 5
    assert told_of(office) == dict.fromkeys((f"E{number}" for number in range(25)), 1)
    assert (ended.counts.named, ended.counts.skipped, ended.counts.bad_lines) == (25, 1, 1)


def test_somebody_twice_is_found_across_an_interruption(office: Office) -> None:
    file = office.file(*(f"E{number},0.jpg" for number in range(15)), "E1,2.jpg")
    with pytest.raises(KilledError):
        office.enrol(file, log=die_after(1))

    ended = office.enrol(file)

    assert ended.counts == Counts(new=15, skipped=1, bad_lines=1)
    assert office.photos()["E1"] == {"main": digest(0)}


@pytest.mark.parametrize("why", ["another file", "too long ago", "asked to"])
def test_an_interrupted_import_begins_anew(office: Office, why: str) -> None:
    with pytest.raises(KilledError):
        office.enrol(office.people(*range(15)), log=die_after(1))
    file = office.people(*range(16 if why == "another file" else 15))
    office.clock.advance(13 * 3600 if why == "too long ago" else 60)
    log = Log()

    ended = office.enrol(file, log=log, restart=why == "asked to")

    assert log.began == Place()
    assert ended.counts.unchanged == 10
    assert ended.went_on_after == 0


def test_two_processes_do_not_import_one_source_at_once(office: Office) -> None:
    other = office.people(7, name="other.csv")
    file = office.people(*range(25))
    found: list[str] = []

    def meanwhile(batch: int) -> None:
        if batch == 1:
            with pytest.raises(InputError) as refused:
                office.enrol(other, holder="another machine:1")
            found.append(str(refused.value))

    office.enrol(file, log=Log(then=meanwhile))

    (words,) = found
    assert "a roster of the source 'roster' is being imported already, since 08:00 UTC and up to line 11" in words
    assert words.endswith("; wait for it, or give this one another --source")
    assert "E7" in office.here()
    assert office.enrol(other, holder="another machine:1").counts == Counts(unchanged=1)


def test_an_import_whose_process_is_silent_is_taken_over_and_the_silent_one_stops(office: Office) -> None:
    file = office.people(*range(45))
    ends: list[Counts] = []

    def meanwhile(batch: int) -> None:
        if batch == 2:
            office.clock.advance(301)
            ends.append(office.enrol(file, holder="another machine:1").counts)

    with pytest.raises(InputError, match="another process has gone on with this import"):
        office.enrol(file, log=Log(then=meanwhile), holder="hung machine:1")

    assert ends == [Counts(new=45)]
    assert told_of(office) == dict.fromkeys((f"E{number}" for number in range(45)), 1)
    assert office.roster().finished_at is not None


def test_two_sources_are_imported_at_once(office: Office) -> None:
    north = office.file(*(f"N{number},0.jpg" for number in range(30)), "B1,1.jpg", "B2,1.jpg", name="north.csv")
    south = office.file("B2,2.jpg", "B1,2.jpg", *(f"S{number},0.jpg" for number in range(30)), name="south.csv")
    start = threading.Barrier(2)

    def enrol(source: str, file: Path) -> Counts:
        start.wait()
        return office.enrol(file, source=source, holder=f"{source}:1").counts

    with ThreadPoolExecutor(2) as pool:
        ends = [one.result() for one in (pool.submit(enrol, "north", north), pool.submit(enrol, "south", south))]

    assert [one.named for one in ends] == [32, 32]
    assert sum(one.new for one in ends) == 62
    assert office.here() == {*(f"{site}{number}" for site in "NS" for number in range(30)), "B1", "B2"}


def test_a_file_that_is_written_to_meanwhile_is_not_done(office: Office) -> None:
    file = office.people(*range(15))

    def meanwhile(batch: int) -> None:
        if batch == 1:
            office.people(*range(15), 99)

    with pytest.raises(InputError, match="was changed while it was read; run it again"):
        office.enrol(file, log=Log(then=meanwhile))

    assert office.roster().finished_at is None
    assert office.enrol(file).counts.named == 16


def test_an_import_ends_its_batch_before_photos_fill_the_memory(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "BYTES_AT_ONCE", 2 * len(draw(0).content))
    log = Log()

    office.enrol(office.file(*(f"E{number},{number}.jpg" for number in range(8))), log=log)

    assert len(log.places) > 3
    assert len(office.photos()) == 8


@pytest.mark.parametrize("database", ["sqlite"])
def test_the_people_who_were_recorded_do_not_stay_in_memory(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "PEOPLE_AT_ONCE", 100)
    held: list[int] = []
    tracemalloc.start()

    office.enrol(office.people(*range(4000)), log=Log(then=lambda _: held.append(tracemalloc.get_traced_memory()[0])))
    tracemalloc.stop()

    assert len(held) == 41
    assert held[-1] - held[10] < 3000 * 20  # bytes: less than the shortest id of each would take


def test_a_process_of_this_machine_that_died_is_not_waited_for(office: Office) -> None:
    file = office.people(*range(15))
    with office.store.transaction() as tx:
        tx.rosters.lock("roster", office.clock())
        tx.rosters.begin("roster", "whatever", holder=DEAD, now=office.clock())

    assert office.enrol(file).counts == Counts(new=15)


def office_place(file: Path, *, lines: int) -> Place:
    """Where the line after so many lines begins."""
    return Place(sum(len(line) for line in file.read_bytes().splitlines(keepends=True)[:lines]), lines)


def told_of(office: Office) -> dict[str, int]:
    """How many changes were told of each person."""
    counted = select(changes.c.person_id, func.count()).group_by(changes.c.person_id)
    with office.store.reading() as tx:
        return {row[0]: row[1] for row in tx._connection.execute(counted)}


class Fuse:
    """Kills whoever sends the `left`-th statement or commit."""

    def __init__(self, store: Store, left: int) -> None:
        self._engine, self._left = store.engine, left

    def __enter__(self) -> None:
        for name in ("before_cursor_execute", "commit"):
            event.listen(self._engine, name, self._burn)

    def __exit__(self, *_: object) -> None:
        for name in ("before_cursor_execute", "commit"):
            event.remove(self._engine, name, self._burn)

    def _burn(self, *_: object) -> None:
        self._left -= 1
        if self._left <= 0:
            raise KilledError
