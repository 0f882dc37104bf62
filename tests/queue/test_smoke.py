"""Real workers and a real beat: Redis and SQLite, RabbitMQ and PostgreSQL."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

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


@pytest.fixture
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


@pytest.mark.parametrize(("broker", "database"), [("redis", "sqlite"), ("rabbitmq", "postgresql")], indirect=True)
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
    assert sum(map(len, traffic)) > 10_000
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
    with socket.create_connection(("127.0.0.1", redis.port), timeout=10) as line:
        line.sendall(b"MONITOR\r\n")

        def listen() -> None:
            while part := line.recv(65_536):
                heard.append(part)

        thread = threading.Thread(target=listen)
        line.settimeout(None)
        thread.start()
        try:
            yield heard
        finally:
            line.shutdown(socket.SHUT_RDWR)
            thread.join()
