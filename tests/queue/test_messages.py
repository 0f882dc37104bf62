"""What is in the broker: a library's name and numbers, and nothing that anybody could recognise somebody by."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kombu import Connection, Message

from tests.queue.canaries import found_in
from tests.queue.engine import Engine, engine
from tests.queue.servers import own_redis, own_vhost

pytestmark = pytest.mark.slow
BROKERS = [pytest.param("redis", id="redis"), pytest.param("rabbitmq", id="rabbitmq", marks=pytest.mark.servers)]


@pytest.fixture(params=BROKERS)
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "redis":
        with own_redis(tmp_path) as server:
            yield server.url
    else:
        with own_vhost() as url:
            yield url


@pytest.fixture
def rung(broker: str, tmp_path: Path) -> Iterator[Engine]:
    database = f"sqlite:///{tmp_path}/syncsvc.db"
    with engine(tmp_path, database=database, redis="redis://127.0.0.1:1", broker=broker) as built:
        bell = built.child("bell", "-m", "tests.queue.bell")
        built.wait("the bell has rung", lambda: not bell.alive, 40)
        assert bell.said().splitlines()[-1] == "4", bell.said()
        yield built


def test_a_message_carries_a_librarys_name_and_numbers_only(rung: Engine, broker: str) -> None:
    messages = {name: _messages(broker, f"library.{name}") for name in ("north-gate", "cloud")}

    for library, found in messages.items():
        assert len(found) == 2
        for message in found:
            args, kwargs, embedded = json.loads(_body(message))
            assert args[0] == library
            assert all(isinstance(one, int) for one in args[1])
            assert (len(args), len(args[1]), kwargs) == (2, 1, {})
            assert not any(embedded.values())
            assert message.headers["task"] == "syncsvc.replace"
            assert message.content_type == "application/json"


def test_nothing_of_a_person_is_in_a_message_or_its_headers(rung: Engine, broker: str) -> None:
    messages = [one for name in ("north-gate", "cloud") for one in _messages(broker, f"library.{name}")]

    assert len(messages) == 4
    for message in messages:
        whole = _body(message) + json.dumps([message.headers, message.properties], default=str).encode()
        assert found_in(whole) == []
        assert b"zoe" not in whole  # numbers, not even a person's id
        assert b"left" not in whole


def test_an_unheard_message_expires(rung: Engine, broker: str) -> None:
    (first, *_) = _messages(broker, "library.cloud")

    assert first.headers["expires"] is not None


def _messages(url: str, queue: str) -> list[Message]:
    with Connection(url) as connection:
        channel: Any = connection.default_channel
        return list(iter(lambda: channel.basic_get(queue, no_ack=True), None))


def _body(message: Message) -> bytes:
    body: Any = message.body
    return body.encode() if isinstance(body, str) else bytes(body)
