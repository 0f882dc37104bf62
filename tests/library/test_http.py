"""A call ends when its time is up, however the answer comes."""

import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest

from syncsvc.library import http
from syncsvc.library.http import Door, make_client
from syncsvc.model.errors import UnavailableError, UncertainError
from syncsvc.model.permits import Account, Unlimited

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n"


@contextmanager
def vendor(say: Callable[[socket.socket], None]) -> Iterator[Door]:
    """A door to somebody who answers each request on a connection by `say`."""

    def serve() -> None:
        while True:
            try:
                talk, _ = listener.accept()
            except OSError:
                return
            with talk:
                try:
                    while talk.recv(65536):
                        say(talk)
                except OSError:
                    continue

    with socket.create_server(("127.0.0.1", 0)) as listener, make_client(1.0) as client:
        threading.Thread(target=serve, daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        yield Door(client, url, Account("a"), Unlimited(), timeout=1.0)
        listener.shutdown(socket.SHUT_RDWR)


def ask(door: Door, *, changes: bool = True) -> httpx.Response:
    return door.call("x", lambda: door.client.build_request("GET", door.base_url), lambda it: it, changes=changes)


@pytest.mark.parametrize(("changes", "error"), [(True, UncertainError), (False, UnavailableError)])
def test_an_answer_that_drips_is_silence_when_the_time_is_up(*, changes: bool, error: type[Exception]) -> None:
    def drip(talk: socket.socket) -> None:
        talk.sendall(HEAD)
        for _ in range(12):
            time.sleep(0.3)
            talk.sendall(b"x")

    with vendor(drip) as door:
        started = time.monotonic()
        with pytest.raises(error):
            ask(door, changes=changes)

        assert time.monotonic() - started < door.timeout + 0.1


def test_an_answer_that_stops_half_way_is_silence_when_the_time_is_up() -> None:
    def stop(talk: socket.socket) -> None:
        talk.sendall(HEAD + b"xx")
        time.sleep(3)

    with vendor(stop) as door:
        started = time.monotonic()
        with pytest.raises(UncertainError):
            ask(door)

        assert time.monotonic() - started < door.timeout + 0.1


def test_an_answer_without_an_end_is_not_taken_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "LARGEST_ANSWER", 100_000)

    def pour(talk: socket.socket) -> None:
        talk.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        while True:
            talk.sendall(b"x" * 65536)

    with vendor(pour) as door, pytest.raises(UncertainError):
        ask(door)


def test_a_packed_answer_is_read_and_its_connection_is_used_again() -> None:
    packed = gzip.compress(json.dumps({"said": "photo"}).encode())
    connections: set[int] = set()

    def say(talk: socket.socket) -> None:
        connections.add(talk.fileno())
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nX-Request-Id: r1\r\nContent-Length: {len(packed)}\r\n\r\n"
        talk.sendall(head.encode() + packed)

    with vendor(say) as door:
        answers = [ask(door) for _ in range(3)]

    assert [answer.json() for answer in answers] == [{"said": "photo"}] * 3
    assert [call.request_id for call in door.journal] == ["r1"] * 3
    assert len(connections) == 1
