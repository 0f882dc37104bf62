"""A request is held to a size, whatever it says of itself."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Body, FastAPI, Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.types import Message

from syncsvc.web import problems
from syncsvc.web.body import AT_ONCE, LargestBody
from tests.web.asking import Client

MOST = 1000


def _plainly(status: int, words: str) -> PlainTextResponse:
    return PlainTextResponse(words, status)


@pytest.fixture
def app() -> FastAPI:
    """Counts what it reads; holds it to a thousand bytes."""
    app = FastAPI()
    app.add_middleware(
        LargestBody, most=MOST, elsewhere={"/else": lambda status, words: PlainTextResponse(words, status)}
    )
    problems.install(app)

    @app.post("/raw")
    async def _raw(request: Request) -> int:
        return len(await request.body())

    @app.post("/json")
    async def _json(told: Annotated[dict[str, Any], Body()]) -> int:
        return len(told)

    @app.post("/unread")
    async def _unread() -> str:
        return "done"

    @app.post("/early")
    async def _early(request: Request) -> StreamingResponse:
        async def echo() -> AsyncIterator[bytes]:
            yield b"first"
            async for part in request.stream():
                yield part

        return StreamingResponse(echo())

    return app


def test_what_fits_is_read(app: FastAPI) -> None:
    assert Client(app).post("/raw", content=bytes(MOST)).json() == MOST
    assert Client(app).post("/raw", content=b"").json() == 0
    assert Client(app).post("/raw", content=dripping([500, 500])).json() == MOST


@pytest.mark.parametrize("path", ["/raw", "/json", "/unread"])
def test_what_says_that_it_is_too_large_is_not_read_at_all(app: FastAPI, path: str) -> None:
    answer = Client(app).post(path, content=bytes(MOST + 1), headers={"Content-Type": "application/json"})

    assert_too_large(answer)


@pytest.mark.parametrize("path", ["/raw", "/json"])
@pytest.mark.parametrize("sizes", [[MOST + 1], [600, 600], [1] * (MOST + 1)], ids=["one", "two", "many"])
def test_what_says_nothing_of_its_size_ends_where_it_is_too_large(app: FastAPI, path: str, sizes: list[int]) -> None:
    read: list[int] = []

    answer = Client(app).post(path, content=dripping([*sizes, *[1] * 50], read.append))

    assert_too_large(answer)
    assert sum(read) <= MOST + max(sizes)


def test_elsewhere_it_is_said_in_another_way(app: FastAPI) -> None:
    answer = Client(app).post("/elsewhere", content=bytes(MOST + 1))

    assert answer.text == "the request is larger than 1,000 bytes; send fewer or smaller photos at once"


def test_a_size_that_lies_does_not_help(app: FastAPI) -> None:
    answer = Client(app).post("/raw", content=dripping([600, 600]), headers={"Content-Length": "10"})

    assert_too_large(answer)


@pytest.mark.parametrize("told", ["-1", "x", "", "9" * 5000, "1e9", "\xb2"])
def test_a_size_that_is_no_number_is_no_trouble(app: FastAPI, told: str) -> None:
    status = asyncio.run(asked(app, [(b"content-length", told.encode("latin-1"))], [b"x" * 5]))

    assert status == (413 if told.startswith("9") else 200)


def test_an_answer_that_has_begun_is_not_begun_again(app: FastAPI) -> None:
    answers: list[str] = []

    asyncio.run(asked(app, [], [b"x" * 600, b"x" * 600], path="/early", seen=answers.append))

    assert answers.count("http.response.start") == 1


def test_a_sender_that_goes_in_the_middle_is_no_fault_of_ours(app: FastAPI) -> None:
    parts: list[Message] = [
        {"type": "http.request", "body": b"x", "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[Message] = []

    async def receive() -> Message:
        return parts.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(app(scope_of("/raw", []), receive, send))

    assert sent == []


def test_what_is_no_request_passes() -> None:
    seen: list[str] = []

    async def inner(scope: Any, _receive: Any, _send: Any) -> None:
        seen.append(scope["type"])

    asyncio.run(LargestBody(inner, MOST, {})({"type": "lifespan"}, None, None))  # type: ignore[arg-type]

    assert seen == ["lifespan"]


def assert_too_large(answer: httpx.Response) -> None:
    assert answer.status_code == 413
    assert answer.headers["Content-Type"] == problems.MEDIA_TYPE
    assert answer.headers["Connection"] == "close"
    assert "larger than 1,000 bytes" in answer.json()["detail"]


async def dripping(sizes: Iterable[int], note: Callable[[int], object] = bool) -> AsyncIterator[bytes]:
    for size in sizes:
        note(size)
        yield bytes(size)


async def asked(
    app: FastAPI,
    headers: list[tuple[bytes, bytes]],
    parts: list[bytes],
    *,
    path: str = "/raw",
    seen: Callable[[str], object] = bool,
) -> int:
    """The status of the answer to a request of these parts; httpx would correct its headers."""
    left, statuses = list(parts), []

    async def receive() -> Message:
        part = left.pop(0) if left else b""
        return {"type": "http.request", "body": part, "more_body": bool(left)}

    async def send(message: Message) -> None:
        seen(message["type"])
        if message["type"] == "http.response.start":
            statuses.append(int(message["status"]))

    await app(scope_of(path, headers), receive, send)
    return statuses[0]


def scope_of(path: str, headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    return {
        "type": "http",
        "method": "POST",
        "path": path,
        "query_string": b"",
        "headers": headers,
        "http_version": "1.1",
    }


def test_a_body_that_does_not_end_is_given_up() -> None:
    async def without_end() -> AsyncIterator[bytes]:
        yield b"some"
        await asyncio.Event().wait()

    async def ask() -> httpx.Response:
        app = Counting(most=MOST, seconds=0.05)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.post("/raw", content=without_end())

    answer = asyncio.run(ask())

    assert answer.status_code == 408
    assert "did not end within" in answer.json()["detail"]


def test_large_bodies_together_are_held_to_a_size_and_small_ones_always_read() -> None:
    most = 100_000

    async def ask() -> tuple[httpx.Response, httpx.Response, list[httpx.Response]]:
        everybody, go, begun = asyncio.Event(), asyncio.Event(), [0]

        async def held(size: int) -> AsyncIterator[bytes]:
            yield bytes(size)
            begun[0] += 1
            if begun[0] == AT_ONCE:
                everybody.set()
            await go.wait()

        transport = httpx.ASGITransport(Counting(most=most, seconds=30.0), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            waiting = [asyncio.create_task(client.post("/raw", content=held(most))) for _ in range(AT_ONCE)]
            await everybody.wait()
            large = await client.post("/raw", content=bytes(most))
            small = await client.post("/raw", content=bytes(1000))
            go.set()
            return large, small, await asyncio.gather(*waiting)

    large, small, earlier = asyncio.run(ask())

    assert (large.status_code, large.headers["Retry-After"]) == (503, "5")
    assert (small.status_code, small.json()) == (200, 1000)
    assert [one.json() for one in earlier] == [most] * AT_ONCE


class Counting(LargestBody):
    """Counts what it reads, within these bounds."""

    def __init__(self, *, most: int, seconds: float) -> None:
        app = FastAPI()

        @app.post("/raw")
        async def _raw(request: Request) -> int:
            return len(await request.body())

        super().__init__(app, most, {}, seconds)
