"""What bounds the fetching of a photo: time, how many at once, and whose certificate is believed."""

import socket
import ssl
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from syncsvc.intake import fetching
from syncsvc.intake.fetching import AT_ONCE, PhotoFetcher
from syncsvc.model.errors import FetchError, InputError
from tests.intake.outside import PICTURE, Handler, Outside, certificate, serving

# --- time -----------------------------------------------------------------------------------------------------------


def drip(handler: Handler, first: bytes, each: bytes) -> None:
    handler.connection.sendall(first)
    while not handler.server.over.wait(0.02):
        handler.connection.sendall(each)


@pytest.mark.parametrize(
    ("first", "each"),
    [
        (b"", b""),
        (b"HTTP/1.1 200 OK\r\nX: ", b"x"),
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    ],
)
def test_whoever_drips_is_left_after_the_time_for_everything(
    outside: Outside, fetcher: PhotoFetcher, monkeypatch: pytest.MonkeyPatch, first: bytes, each: bytes
) -> None:
    monkeypatch.setattr(fetching, "SECONDS", 0.3)
    outside.answers["/photo.jpg"] = lambda to: drip(to, first, each)

    with pytest.raises(FetchError, match=r"photos\.corp\.internal does not send it within 0 seconds"):
        fetcher.fetch(outside.url())


def test_a_name_server_that_does_not_answer_is_left_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "SECONDS", 0.1)
    over = threading.Event()

    def silent(host: str, port: int) -> Sequence[str]:
        over.wait()
        return []

    with pytest.raises(FetchError, match=r"photos\.example does not send it"):
        PhotoFetcher([], silent).fetch("https://photos.example/x")
    over.set()


def test_a_handshake_that_does_not_end_is_left_as_well(
    outside: Outside, fetcher: PhotoFetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as mute, pytest.raises(FetchError, match="does not send it"):
        fetcher.fetch(f"https://photos.corp.internal:{mute.getsockname()[1]}/x")


def test_so_many_are_fetched_at_once_and_the_next_is_told_so_at_once() -> None:
    started, over = threading.Barrier(AT_ONCE + 1), threading.Event()

    def slow(host: str, port: int) -> Sequence[str]:
        if not over.is_set():
            started.wait()
        over.wait()
        return []

    fetcher = PhotoFetcher([], slow)

    def one(_: int) -> None:
        with pytest.raises(InputError):
            fetcher.fetch("https://photos.example/x")

    with ThreadPoolExecutor(AT_ONCE) as pool:
        under_way = [pool.submit(one, number) for number in range(AT_ONCE)]
        started.wait()
        with pytest.raises(FetchError, match="8 photos are being fetched at this moment"):
            fetcher.fetch("https://photos.example/x")
        over.set()
        for each in under_way:
            each.result()

    with pytest.raises(InputError):
        fetcher.fetch("https://photos.example/x")


# --- TLS ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "fetched"), [("photos.corp.internal", True), ("other.corp.internal", False)])
def test_the_certificate_is_checked_against_the_name_although_the_address_is_asked(
    tmp_path: Path,
    fetcher: PhotoFetcher,
    name: str,
    fetched: bool,  # noqa: FBT001 - a case's expectation
) -> None:
    file = certificate(tmp_path, name)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(file)
    asked: list[str | None] = []
    tls.sni_callback = lambda _socket, told, _context: asked.append(told)
    fetcher._tls = ssl.create_default_context(cafile=str(file))

    with serving(tls) as outside:
        url = outside.url(scheme="https")
        if fetched:
            assert fetcher.fetch(url).content == PICTURE
        else:
            with pytest.raises(FetchError, match="cannot be fetched"):
                fetcher.fetch(url)

    assert asked == ["photos.corp.internal"]
    assert len(outside.heard) == fetched


def test_a_certificate_of_nobody_known_is_not_believed(tmp_path: Path, fetcher: PhotoFetcher) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate(tmp_path, "photos.corp.internal"))

    with serving(tls) as outside, pytest.raises(FetchError, match="cannot be fetched"):
        fetcher.fetch(outside.url(scheme="https"))

    assert outside.heard == []
