"""A loopback address that takes our messages, checks their signatures, and answers as it is told."""

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook

SECRET = "whsec_" + base64.b64encode(b"CANARY-SECRET-" + bytes(range(18))).decode()


@dataclass(frozen=True, slots=True)
class Taken:
    """One request. `content` is what its signature was good for."""

    path: str
    id: str
    timestamp: int
    headers: Message
    content: dict[str, Any]


@dataclass
class Receiver:
    """`answers` are given in turn, then 204: a status, a status with headers, or one of these words.

    hang_up     closes the connection without a word
    drip_head   sends a header that does not end        drip_body   says 200, and a body that does not end
    """

    url: str
    answers: list[Any] = field(default_factory=list)
    taken: list[Taken] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def types(self) -> list[str]:
        return [one.content["type"] for one in self.taken]

    def take(self, one: Taken) -> Any:
        with self.lock:
            self.taken.append(one)
            return self.answers.pop(0) if self.answers else 204


@contextmanager
def receiver(secret: str = SECRET) -> Iterator[Receiver]:
    """Listen on a free loopback port while the block lasts."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    here = Receiver(f"http://127.0.0.1:{server.server_address[1]}/heard")
    server.receiver, server.webhook = here, Webhook(secret)  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield here
    finally:
        here.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Any

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        content = self.server.webhook.verify(body, dict(self.headers.items()))
        headers = self.headers
        one = Taken(self.path, headers["webhook-id"], int(headers["webhook-timestamp"]), headers, content)
        answer = self.server.receiver.take(one)
        with suppress(OSError):
            self._say(answer)

    def _say(self, answer: Any) -> None:
        match answer:
            case "hang_up":
                self.close_connection = True
            case "drip_head":
                self._drip(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            case "drip_body":
                self._drip(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            case (status, more):
                self._head(status, more)
            case status:
                self._head(status, {})

    def _head(self, status: int, more: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": "0", **more}.items():
            self.send_header(name, value)
        self.end_headers()

    def _drip(self, first: bytes) -> None:
        """A byte now and then, until whoever listens has had enough."""
        self.close_connection = True
        self.wfile.write(first)
        while not self.server.receiver.over.wait(0.02):
            self.wfile.write(b"x")

    def log_message(self, *_: object) -> None:
        pass
