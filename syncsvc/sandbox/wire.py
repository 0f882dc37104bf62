"""A request as a sandbox sees it, the answer, and the two ways to say it: whole, or cut off."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from starlette.types import Receive, Send

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(slots=True)
class Call:
    """A request as it arrived. Header names are lower-case; `query` is undecoded; `raw_path` still percent-encoded.

    `half`: do only the first half (see `Sandbox.first_half`). `fetched` is the vendor's own, filled by `prepare`.
    """

    method: str
    path: str
    raw_path: str
    query: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    at: float
    half: Literal["honest", "silent"] | None = None
    fetched: dict[str, Any] = field(default_factory=dict, repr=False)

    def json(self) -> Any:
        """The body as JSON; ValueError where it is none."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back. `word` is how the log calls it: "ok" or the vendor's error code."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    word: str = "ok"

    @classmethod
    def json(cls, status: int, value: Any, *, word: str = "ok", headers: Mapping[str, str] = _NOTHING) -> "Answer":
        """An answer in JSON."""
        body = json.dumps(value, ensure_ascii=False).encode()
        return cls(status, body, {"Content-Type": "application/json", **headers}, word)


@dataclass(frozen=True, slots=True)
class Logged:
    """One request as the log keeps it. `outcome` is ok, the vendor's error code, throttled_own or a fault's kind."""

    at: float
    operation: str
    outcome: str
    status: int


async def read_body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b"".join(parts)
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


async def cut_off(send: Send) -> None:
    """Announce more than is sent and say no more: the server then closes the connection."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4096")]})
    await send({"type": "http.response.body", "body": b"{", "more_body": True})


async def send_whole(send: Send, answer: Answer) -> None:
    """The answer, as HTTP wants it."""
    headers = [(name.encode(), value.encode("latin-1")) for name, value in answer.headers.items()]
    headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
