"""Many changes in one transaction are what they would have been one by one."""

import shutil
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from syncsvc.flow.record import Message, Recorded, record, record_message, write, write_all
from syncsvc.flow.together import Together
from syncsvc.model.changes import Change, Departed, FaceDeleted, FaceReplaced, Told, Upserted
from syncsvc.model.errors import SyncsvcError
from syncsvc.model.people import FaceId, PersonId
from syncsvc.store import Store
from syncsvc.store.tables import changes, deliveries, faces, people, versions
from syncsvc.store.vault import Vault
from tests.conftest import PHOTO_KEY, MovableClock
from tests.flow.stage import ALICE, BOB, GATE, LEFT, RIGHT, YARD, Stage
from tests.vendors.photos import draw

WHO = st.sampled_from([ALICE, BOB])
FACE = st.sampled_from([LEFT, RIGHT])
PICTURE = st.integers(0, 3).map(draw)
FACES = st.none() | st.dictionaries(FACE, PICTURE, max_size=2).map(lambda made: tuple(made.items()))
CHANGES: st.SearchStrategy[Change] = st.one_of(
    st.builds(Upserted, WHO, FACES, st.none() | st.just("Ada")),
    st.builds(Departed, WHO),
    st.builds(FaceReplaced, WHO, FACE, PICTURE),
    st.builds(FaceDeleted, WHO, FACE),
)
TOLD = st.lists(
    st.builds(
        Told, st.sampled_from(["hr", "gate"]), st.integers(0, 12).map(str), CHANGES, st.none() | st.integers(1, 6)
    ),
    max_size=8,
)
# What a change becomes; not who rang for it, which depends on what else was rung.
COMPARED = {
    people: ("id", "revision", "departed_at"),
    faces: ("person_id", "face_id", "digest", "revision"),
    versions: ("person_id", "source", "part", "face_id", "version"),
    deliveries: ("library", "person_id", "wanted", "wanted_faces", "verb", "state", "rank"),
    changes: ("source", "source_id", "kind", "person_id", "version", "effect", "revision"),
}


@contextmanager
def fresh(migrated_file: Path) -> Iterator[Store]:
    with tempfile.TemporaryDirectory() as folder:
        shutil.copyfile(migrated_file, f"{folder}/s.db")
        store = Store(f"sqlite:///{folder}/s.db", Vault([PHOTO_KEY]))
        with store.transaction() as tx:
            tx.libraries.declare({GATE: ("cedar", "sync"), YARD: ("cedar", "sync")}, MovableClock()())
        yield store
        store.close()


def all_that_is_written(store: Store) -> dict[str, list[Any]]:
    with store.reading() as tx:
        return {
            table.name: sorted(map(tuple, tx._connection.execute(select(*(table.c[name] for name in names)))), key=repr)
            for table, names in COMPARED.items()
        }


def one_by_one(store: Store, told: Sequence[Told], clock: MovableClock) -> list[str]:
    with store.transaction() as tx:
        return [write(tx, one, clock(), room={}).effect for one in told]


def at_once(store: Store, told: Sequence[Told], clock: MovableClock) -> list[str]:
    with store.transaction() as tx:
        return [one.effect for one in write_all(tx, told, clock(), room={})]


@settings(deadline=None)
@given(told=TOLD)
def test_written_at_once_is_written_one_by_one(migrated_file: Path, told: list[Told]) -> None:
    clock = MovableClock()
    with fresh(migrated_file) as single, fresh(migrated_file) as several:
        effects = one_by_one(single, told, clock), at_once(several, told, clock)

        assert effects[0] == effects[1]
        assert all_that_is_written(single) == all_that_is_written(several)


def test_the_same_telling_twice_at_once_is_told_again(stage: Stage) -> None:
    told = Told("hr", "1", Upserted(ALICE, ((LEFT, draw(1)),)))

    with stage.house.store.transaction() as tx:
        first, second = write_all(tx, [told, told], stage.clock(), room=None)

    assert (first.again, second.again, first.change) == (False, True, second.change)


def test_many_who_tell_at_once_share_what_they_can_and_nobody_is_lost(stage: Stage) -> None:
    begin = threading.Barrier(12)
    answers: list[Recorded] = []

    def tell(number: int) -> None:
        begin.wait()
        answers.append(record(stage.house, Told("hr", str(number), Upserted(PersonId(f"p{number % 5}"), ()))))

    threads = [threading.Thread(target=tell, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with stage.house.store.reading() as tx:
        written = set(tx._connection.scalars(select(changes.c.source_id)))
    assert len(answers) == 12
    assert written == {str(number) for number in range(12)}


def test_what_cannot_be_written_does_not_keep_out_what_came_with_it(stage: Stage) -> None:
    house = replace(stage.house, recording=Together())  # one clerk, so that both come to them at once
    bad = Told("hr", "bad", FaceReplaced(ALICE, FaceId("x"), object()))  # type: ignore[arg-type]
    good = Told("hr", "good", Upserted(BOB, ()))
    answers: dict[str, object] = {}

    def tell(told: Told) -> None:
        try:
            answers[told.source_id] = record(house, told).effect
        except (AttributeError, SyncsvcError) as error:
            answers[told.source_id] = type(error).__name__

    held = threading.Event()
    busy = threading.Thread(target=lambda: house.recording(None, lambda _: [held.wait(10)]))
    busy.start()
    threads = [threading.Thread(target=tell, args=(told,)) for told in (bad, good)]
    for thread in threads:
        thread.start()
    while len(house.recording._waiting) < 2:
        pass
    held.set()
    for thread in (busy, *threads):
        thread.join()

    assert answers == {"bad": "AttributeError", "good": "applied"}


def test_an_employee_is_to_be_fetched_once_however_often_the_message_comes(stage: Stage) -> None:
    message = Message("hr", "m1", employees=("7", "8"))

    first = record_message(stage.house, message)
    again = record_message(stage.house, message)

    assert [one.effect for one in first] == ["fetching", "fetching"]
    assert [one.again for one in again] == [True, True]
    assert {one.change for one in again} == {one.change for one in first}


def test_two_who_exchange_pictures_that_others_have_too_do_not_stand_in_each_others_way(stage: Stage) -> None:
    """Each lets go of what the other takes; without an order of locks they would wait for each other."""
    for number in range(2):
        stage.hire(PersonId(f"other-{number}"), number)
    begin, failed = threading.Barrier(2), list[str]()

    def exchange(person: str, first: int) -> None:
        begin.wait()
        for turn in range(150):
            change = FaceReplaced(PersonId(person), LEFT, draw((first + turn) % 2))
            try:
                with stage.house.store.transaction() as tx:
                    write(tx, Told("hr", f"{person}-{turn}", change), stage.clock(), room=None)
            except SyncsvcError as error:
                failed.append(str(error))

    threads = [threading.Thread(target=exchange, args=pair) for pair in (("p1", 0), ("p2", 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failed == []
