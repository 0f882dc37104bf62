"""Photos from outside: those that come with a message, and those behind a URL that somebody named."""

import base64
import binascii
import threading
import time
from collections.abc import Collection
from http import HTTPStatus
from urllib.parse import unquote_to_bytes

import httpcore
import httpx

from syncsvc.intake.outbound import Outbound, Resolve, resolve
from syncsvc.intake.photos import MAX_BYTES, read_photo
from syncsvc.model.errors import FetchError, InputError
from syncsvc.model.people import Photo

SECONDS = 10.0  # for one photo, from its host's name to its last byte, redirects included
AT_ONCE = 8  # in one process: hosts that drip must not take every thread
REDIRECTS = 3
_NOT_NOW = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
_ELSEWHERE = {301, 302, 303, 307, 308}
_LONGEST_HOST, _LARGEST_PORT = 253, 65535
_HEADERS: list[tuple[bytes, bytes]] = [
    (b"User-Agent", b"syncsvc"),
    (b"Accept", b"image/*"),
    (b"Accept-Encoding", b"identity"),
    (b"Connection", b"close"),
]
_LONGEST_INLINE = MAX_BYTES * 4 // 3 + 1024


class PhotoFetcher:
    """Shared by threads; keeps no connection, cookie or anything else between two fetches.

    `hosts` may be fetched from over plain http, and although their addresses are private. No message quotes a URL,
    which may hold a secret; the names of hosts stand in some.
    """

    def __init__(self, hosts: Collection[str], resolve: Resolve = resolve) -> None:
        self._hosts = frozenset(host.lower().strip("[]").rstrip(".") for host in hosts)
        self._resolve = resolve
        self._tls = httpx.create_ssl_context(trust_env=False)
        self._slots = threading.BoundedSemaphore(AT_ONCE)

    def read(self, content: bytes) -> Photo:
        return read_photo(content)

    def fetch(self, url: str) -> Photo:
        """The photo behind an https or a data: URL (RFC 2397, base64).

        Raises InputError for what will never be one, and FetchError for what may be one later.
        """
        if url[:5].lower() == "data:":
            return read_photo(_inline(url))
        if not self._slots.acquire(blocking=False):
            raise FetchError(f"{AT_ONCE} photos are being fetched at this moment; send it again in a few seconds")
        try:
            content = self._downloaded(_parsed(url))
        finally:
            self._slots.release()
        return read_photo(content)

    def _downloaded(self, url: httpx.URL) -> bytes:
        backend = Outbound(time.monotonic() + SECONDS, self._hosts, self._resolve)
        for _ in range(1 + REDIRECTS):
            self._check(url)
            answer = self._asked(url, backend)
            if isinstance(answer, bytes):
                return answer
            url = answer
        raise _never(f"the photo's host {_host(url)} redirects more than {REDIRECTS} times")

    def _check(self, url: httpx.URL) -> None:
        """What can be told before anybody is asked."""
        host = _host(url)
        port = url.port or 443
        if url.scheme not in {"http", "https"} or not 1 <= len(host) <= _LONGEST_HOST or not 0 < port <= _LARGEST_PORT:
            raise _never("the photo's address must be a URL like https://host/path")
        if url.userinfo:
            raise _never("the photo's address must not hold a user or a password")
        if url.scheme == "http" and host not in self._hosts:
            words = "the photo's address must begin with https://"
            raise _never(f"{words}; an operator may allow http from {host} by [intake] photo_hosts")

    def _asked(self, url: httpx.URL, backend: Outbound) -> bytes | httpx.URL:
        """The body, or where else to look."""
        host = _host(url)
        target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        try:
            with (
                httpcore.ConnectionPool(ssl_context=self._tls, network_backend=backend) as pool,
                pool.stream("GET", target, headers=[(b"Host", url.netloc), *_HEADERS]) as response,
            ):
                return _answer(url, response)
        except httpcore.TimeoutException as error:
            words = f"the photo's host {host} does not send it within {SECONDS:.0f} seconds"
            raise FetchError(words) from error
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            words = f"the photo cannot be fetched from {host} just now ({type(error).__name__})"
            raise FetchError(words) from error


def _answer(url: httpx.URL, response: httpcore.Response) -> bytes | httpx.URL:
    host, status, headers = _host(url), response.status, httpx.Headers(response.headers)
    if status in _ELSEWHERE and "location" in headers:
        return _parsed(headers["location"], url)
    if status in _NOT_NOW or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise FetchError(f"the photo's host {host} answers {status}; it may have the photo later")
    if status != HTTPStatus.OK:
        raise _never(f"the photo's host {host} answers {status} and no photo; check its address")
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind and not (kind.startswith("image/") or kind.endswith("/octet-stream")):
        raise _never(f"what {host} sends is no picture, by its Content-Type; check the photo's address")
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise _never(f"{host} sends the photo compressed although we asked it not to")
    return _body(host, headers, response)


def _body(host: str, headers: httpx.Headers, response: httpcore.Response) -> bytes:
    words = f"the photo from {host} has more than {MAX_BYTES:,} bytes; send a smaller one"
    announced = headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > MAX_BYTES:
        raise _never(words)
    body = bytearray()
    for part in response.iter_stream():
        body += part
        if len(body) > MAX_BYTES:
            raise _never(words)
    return bytes(body)


def _inline(url: str) -> bytes:
    """What a data: URL holds."""
    if len(url) > _LONGEST_INLINE:
        raise _never(f"the photo in the data: URL has more than {MAX_BYTES:,} bytes; send a smaller one")
    head, comma, body = url[5:].partition(",")
    kind, *parameters = head.lower().split(";")
    picture = kind in {"", "application/octet-stream"} or kind.startswith("image/")
    if not (comma and picture and "base64" in parameters):
        raise _never("the photo's data: URL must be like data:image/jpeg;base64,...")
    plain = b"".join(unquote_to_bytes(body).split())
    try:
        return base64.b64decode(plain + b"=" * (-len(plain) % 4), validate=True)
    except binascii.Error:
        raise _never("the photo's data: URL is not base64 behind its comma") from None


def _parsed(url: str, base: httpx.URL | None = None) -> httpx.URL:
    try:
        return httpx.URL(url) if base is None else base.join(url)
    except (httpx.InvalidURL, ValueError):
        whose = "the photo's address" if base is None else f"the address to which {_host(base)} redirects"
        raise _never(f"{whose} is no URL like https://host/path") from None


def _host(url: httpx.URL) -> str:
    return url.raw_host.decode().lower().rstrip(".")


def _never(words: str) -> InputError:
    return InputError(words, field="photo")
