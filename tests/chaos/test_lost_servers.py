"""Brokers are flushed and killed, databases cut off, vendors go down: nothing is lost, and no limit is broken."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from redis import Redis

from syncsvc.model.urgency import BREAKER_THRESHOLD
from tests.conftest import new_postgres
from tests.queue.engine import CLOUD, GATE, Engine, engine
from tests.queue.servers import OwnRedis, own_postgres, own_redis, own_vhost, terminate_backends

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[OwnRedis]:
    with own_redis(tmp_path) as server:
        yield server


@pytest.fixture
def running(redis: OwnRedis, tmp_path: Path) -> Iterator[Engine]:
    with engine(tmp_path, database=f"sqlite:///{tmp_path}/syncsvc.db", redis=redis.url) as built:
        yield built


LOST_MEMORY = 5  # calls under way when Redis forgot them were counted by the vendor, and by nobody of ours


def test_a_flushed_redis_loses_no_change_and_hardly_breaks_a_limit(running: Engine, redis: OwnRedis) -> None:
    running.worker()
    running.beat()
    running.tell(running.books.hires())

    with Redis.from_url(redis.url) as client:
        for _ in range(4):
            running.until_called(8)
            client.flushall()
            running.tell(running.books.changes(4))
    running.until_settled()

    running.assert_agreed(offences=LOST_MEMORY)


def test_a_redis_killed_and_started_again_loses_no_change_and_hardly_breaks_a_limit(
    running: Engine, redis: OwnRedis
) -> None:
    running.worker()
    running.worker()
    running.beat()
    running.tell(running.books.hires())

    for _ in range(2):
        running.until_called(8)
        redis.kill()
        running.tell(running.books.changes(10))  # nobody who tells us something waits for Redis
        redis.start()
    running.until_settled()

    running.assert_agreed(offences=LOST_MEMORY)


@pytest.mark.servers
def test_without_the_limiters_redis_no_call_is_made_and_no_attempt_is_burnt(redis: OwnRedis, tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/syncsvc.db"
    with own_vhost() as broker, engine(tmp_path, database=database, redis=redis.url, broker=broker) as running:
        worker, _ = running.worker(), running.beat()
        running.tell(running.books.hires())
        running.until_called(3)

        redis.kill()
        running.wait("the last call has ended", running.quiet)
        calls = running.calls()
        running.tell(running.books.changes(5))
        running.wait("nothing happens", running.quiet)

        assert running.calls() == calls
        assert worker.alive
        redis.start()
        running.until_settled()
        running.assert_agreed()


def test_a_vendor_that_is_down_burns_no_attempts_and_is_found_again(running: Engine) -> None:
    running.worker()
    running.beat()
    running.tell(running.books.hires())
    running.until_called(5)

    running.gate.fault("outage", seconds=6.0)
    running.tell(running.books.changes(10))
    running.wait("the breaker opens", lambda: running.failures(GATE) >= BREAKER_THRESHOLD, 20)
    running.until_settled()

    assert running.failures(GATE) == running.failures(CLOUD) == 0
    running.assert_agreed()


@pytest.mark.servers
def test_cut_database_connections_lose_no_change(redis: OwnRedis, tmp_path: Path) -> None:
    with new_postgres() as url, engine(tmp_path, database=url, redis=redis.url) as running:
        running.worker()
        running.worker()
        running.beat()
        running.tell(running.books.hires())
        cut = 0

        for _ in range(5):
            running.until_called(6)
            running.house.store.close()
            cut += terminate_backends(url)
            running.tell(running.books.changes(4))
        running.until_settled()

        assert cut > 5
        running.assert_agreed()


@pytest.mark.servers
def test_a_database_that_dies_and_comes_back_loses_no_change(redis: OwnRedis, tmp_path: Path) -> None:
    with ExitStack() as stack:
        postgres = stack.enter_context(own_postgres(tmp_path))
        running = stack.enter_context(engine(tmp_path, database=postgres.url, redis=redis.url))
        running.worker()
        running.beat()
        running.tell(running.books.hires())

        for _ in range(2):
            running.until_called(8)
            running.house.store.close()
            postgres.stop()
            postgres.start()
            running.tell(running.books.changes(5))
        running.until_settled()

        running.assert_agreed()
