"""Real workers and a real beat, on Redis and on RabbitMQ, on SQLite and on PostgreSQL."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import RedisError

from syncsvc.model.changes import Change, Departed, FaceReplaced
from tests.queue.canaries import found_in
from tests.queue.engine import FACES, Engine, engine
from tests.queue.servers import OwnRedis, own_redis, own_vhost
from tests.vendors.photos import draw

pytestmark = [pytest.mark.slow, pytest.mark.servers, pytest.mark.timeout(90)]


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[OwnRedis]:
    with own_redis(tmp_path) as server:
        yield server


@pytest.fixture(params=["redis", "rabbitmq"])
def broker(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """None: the same Redis as the limiter's."""
    if request.param == "redis":
        yield None
    else:
        with own_vhost() as url:
            yield url


@pytest.fixture
def running(database_url: str, redis: OwnRedis, broker: str | None, tmp_path: Path) -> Iterator[Engine]:
    with engine(tmp_path, database=database_url, redis=redis.url, broker=broker, people=40) as built:
        yield built


def test_forty_people_are_enrolled_replaced_and_departed(running: Engine, redis: OwnRedis) -> None:
    with _overheard(redis) as traffic:
        worker = running.child("w1", "-m", "syncsvc", "worker", "--threads", "8", "--name", "w1")
        other = running.child("w2", "-m", "celery", "-A", "syncsvc", "worker", "-n", "w2@%h")
        beat = running.child("beat", "-m", "syncsvc", "beat")
        books = running.books
        running.tell(books.hires())
        running.until_settled()
        running.assert_agreed()

        running.tell(_replacements(running)[:20] + _departures(running)[20:])
        running.until_settled()
        running.assert_agreed()
        ended = [worker.stop(), other.stop(), beat.stop()]

    assert ended == [0, 0, 0]
    said = b"".join(one.log.read_bytes() for one in running.children)
    assert found_in(b"".join(traffic)) == []
    assert found_in(said) == []
    assert b"Traceback" not in said


def _replacements(running: Engine) -> list[Change]:
    changes: list[Change] = []
    for number, (person, faces) in enumerate(running.books.faces.items()):
        photo = draw(1000 + number)
        if number < 20:
            faces[FACES[0]] = photo.digest
        changes.append(FaceReplaced(person, FACES[0], photo))
    return changes


def _departures(running: Engine) -> list[Change]:
    gone = list(running.books.faces)
    running.books.faces.update({person: {} for person in gone[20:]})
    return [Departed(person) for person in gone]


@contextmanager
def _overheard(redis: OwnRedis) -> Iterator[list[bytes]]:
    """Every command that anybody sends to this Redis."""
    heard: list[bytes] = []
    client: Any = Redis.from_url(redis.url, socket_timeout=1.0)
    stop = threading.Event()

    def listen() -> None:
        with client.monitor() as monitor:
            while not stop.is_set():
                with suppress(TimeoutError, RedisError):
                    heard.append(str(monitor.next_command()["command"]).encode())

    thread = threading.Thread(target=listen)
    thread.start()
    try:
        yield heard
    finally:
        stop.set()
        thread.join()
        client.close()
    assert heard
