"""Workers and beats are killed at any moment, doubled, and started again; every library agrees at the end."""

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.queue.engine import Engine, engine
from tests.queue.servers import OwnRedis, own_redis

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[OwnRedis]:
    with own_redis(tmp_path) as server:
        yield server


@pytest.fixture
def running(database_url: str, redis: OwnRedis, tmp_path: Path) -> Iterator[Engine]:
    with engine(tmp_path, database=database_url, redis=redis.url) as built:
        yield built


def test_workers_killed_in_the_middle_of_errands_lose_nothing_and_leave_nothing(running: Engine) -> None:
    moments = random.Random(5)
    workers = [running.worker(), running.worker()]
    running.beat()
    running.tell(running.books.hires())
    running.until_called(3)

    for number in range(5):
        running.until_called(moments.randint(2, 12))
        time.sleep(moments.random() / 10)
        workers[number % 2].kill()
        running.tell(running.books.changes(8))
        workers[number % 2] = running.worker()
    running.until_settled()

    running.assert_agreed()


def test_a_killed_workers_call_that_the_vendor_still_works_on_is_not_made_twice(running: Engine) -> None:
    running.cloud.thinks = 1.5
    first, _ = running.worker(threads=4), running.worker(threads=4)
    running.beat()
    running.tell(running.books.hires())

    running.wait("adds under way", lambda: running.cloud.adds_under_way > 4)
    first.kill()
    running.until_settled()

    running.assert_agreed()


def test_a_killed_beat_and_two_beats_at_once_change_nothing(running: Engine) -> None:
    running.worker()
    running.worker()
    first = running.beat()
    running.tell(running.books.hires())
    running.until_called(3)

    first.kill()
    running.tell(running.books.changes(10))
    running.beat()
    running.beat()
    running.until_settled()

    running.assert_agreed()
