"""Settling while the database is away, and doing together what threads would do alone."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from syncsvc.flow.claim import LEASE, claim
from syncsvc.flow.deliver import deliver
from syncsvc.flow.settle import _Finished, _settle_all, settle
from syncsvc.flow.together import Together
from syncsvc.model.people import PersonId
from syncsvc.store.attempts import Attempt, Attempts
from syncsvc.store.engine import DatabaseUnavailableError
from tests.flow.stage import ALICE, GATE, Stage, open_library
from tests.vendors.photos import PhotoShelf

PEOPLE = [PersonId(f"person-{number}") for number in range(12)]


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("syncsvc.store.engine.time.sleep", lambda _: None)


def away(monkeypatch: pytest.MonkeyPatch, times: int) -> list[int]:
    """The database gives up in the middle of a settling, so many times."""
    log, tries = Attempts.log, []

    def breaks(self: Attempts, rows: Sequence[Attempt]) -> None:
        tries.append(1)
        if len(tries) <= times:
            raise DatabaseUnavailableError("away")
        log(self, rows)

    monkeypatch.setattr(Attempts, "log", breaks)
    return tries


def test_what_a_vendor_has_done_is_written_down_as_soon_as_the_database_is_back(
    everywhere: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = everywhere
    stage.hire(ALICE, 1)
    tries = away(monkeypatch, 4)

    stage.deliver()

    assert len(tries) == 5
    stage.assert_in_sync()


def test_what_could_not_be_written_down_at_all_is_found_by_looking(
    everywhere: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = everywhere
    stage.hire(ALICE, 1, 2)
    away(monkeypatch, 100)
    with pytest.raises(DatabaseUnavailableError):
        stage.deliver()
    assert stage.believed() == set()
    monkeypatch.undo()

    stage.clock.advance(LEASE.total_seconds())
    stage.quiet()

    stage.assert_in_sync()
    assert len(stage.there()) == 2


def test_many_threads_get_what_each_of_them_asked_for(stage: Stage) -> None:
    for number, person in enumerate(PEOPLE):
        stage.hire(person, number)
    numbers = [row.id for row in stage.rows()]

    with ThreadPoolExecutor(6) as pool:
        settled = list(pool.map(lambda number: deliver(stage.house, GATE, [number]), numbers))

    assert [[done.claimed.id for done, _ in one.deliveries] for one in settled] == [[number] for number in numbers]
    for person in PEOPLE:
        stage.assert_in_sync(person)


def test_of_the_same_delivery_asked_for_at_once_one_thread_gets_it(stage: Stage) -> None:
    stage.hire(ALICE, 1)
    number = stage.row().id
    start = threading.Barrier(6)

    def work(_: int) -> int:
        start.wait()
        return len(deliver(stage.house, GATE, [number]).deliveries)

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(work, range(6))) == 1

    stage.assert_in_sync()
    assert len(stage.there()) == 1


def test_rounds_that_are_settled_together_keep_their_own_endings(stage: Stage) -> None:
    for number, person in enumerate(PEOPLE[:3]):
        stage.hire(person, number)
    shelf = stage.house.shelf(GATE)
    taken = [claim(stage.house, shelf, [row.id]) for row in stage.rows()]
    stage.room.fault("lost_answer", after=1, times=1)
    done = [stage.run(one) for one in taken]

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda pair: settle(stage.house, pair[0].round, pair[1]), zip(taken, done, strict=True)))

    assert [row.state for row in stage.rows()] == ["synced", "doubtful", "synced"]


def test_of_rounds_that_halt_a_library_together_one_tells_of_it(stage: Stage, shelf: PhotoShelf) -> None:
    right = stage.house.shelf(GATE).library
    stage.reshelve(library_=open_library("finauth", right.door, shelf, api_secret="another-secret"))
    for number, person in enumerate(PEOPLE[:3]):
        stage.hire(person, number)
    taken = [claim(stage.house, stage.house.shelf(GATE), [row.id]) for row in stage.rows()]
    finished = [_Finished(one.round, stage.run(one)) for one in taken]

    settled = _settle_all(stage.house, finished)

    assert [one.halted for one in settled] == [True, False, False]
    assert [row.attempts for row in stage.rows()] == [0, 0, 0]


# --- the counter --------------------------------------------------------------------------------------------------


def test_whoever_comes_alone_is_served_at_once() -> None:
    counter: Together[int, int] = Together()

    assert counter(3, lambda items: [item * 2 for item in items]) == 6


def test_a_crowd_is_served_in_few_goes_and_everybody_gets_their_own_answer() -> None:
    counter: Together[int, int] = Together()
    goes: list[int] = []
    hold, entered = threading.Event(), threading.Event()

    def work(items: Sequence[int]) -> list[int]:
        goes.append(len(items))
        entered.set()
        hold.wait(10)
        return [item * 2 for item in items]

    with ThreadPoolExecutor(20) as pool:
        first = pool.submit(counter, 0, work)
        entered.wait(10)
        others = [pool.submit(counter, number, work) for number in range(1, 20)]
        while len(counter._waiting) < 19:
            pass
        hold.set()
        answers = [first.result(10), *(one.result(10) for one in others)]

    assert answers == [number * 2 for number in range(20)]
    assert goes == [1, 19]


def test_what_fails_fails_for_everybody_who_was_in_it_and_for_nobody_after() -> None:
    counter: Together[int, int] = Together()

    def fails(_: Sequence[int]) -> list[int]:
        raise DatabaseUnavailableError("away")

    with pytest.raises(DatabaseUnavailableError):
        counter(1, fails)

    assert counter(2, lambda items: [*items]) == 2


def test_a_wrong_number_of_answers_is_an_error_and_blocks_nobody() -> None:
    counter: Together[int, int] = Together()

    with pytest.raises(ValueError, match="zip"):
        counter(1, lambda _: [])

    assert counter(2, lambda items: [*items]) == 2
