"""Holds every request to a size and a time, and all of them together, before anybody reads them."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from syncsvc.web.problems import problem

Say = Callable[[HTTPStatus, str], ASGIApp]

SECONDS = 60.0  # for the whole of a body, however it drips
AT_ONCE = 8  # times the largest body: so many bytes of all bodies that have no answer yet
SMALL = 64 * 1024  # bytes; what is not larger is never turned away for the sake of others


@dataclass(slots=True)
class _Body:
    """One request's body as far as it has come. `refusal`: why no more of it is read."""

    came: int = 0
    whole: bool = False
    answered: bool = False
    refusal: tuple[HTTPStatus, str] | None = None


class LargestBody:
    """Answers 413 to a body of more than `most` bytes: at once where it says so, else as soon as it is passed.

    And 408 to one that does not end, and 503 to a large one while others of them fill the memory: nobody needs to
    sign anything to send bytes. `elsewhere`: how it is said under addresses that begin so, where a problem is not
    what is understood.
    """

    def __init__(self, app: ASGIApp, most: int, elsewhere: Mapping[str, Say], seconds: float = SECONDS) -> None:
        self._app, self._most, self._elsewhere, self._seconds = app, most, elsewhere, seconds
        self._held = 0  # bytes of bodies under way; one event loop counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        told = dict(scope["headers"]).get(b"content-length", b"0")
        body = _Body()
        if told.isdigit() and int(told[:12]) > self._most:
            await self._refuse(self._too_large(), scope, receive, send)
            return
        deadline = asyncio.get_running_loop().time() + self._seconds

        async def counted() -> Message:
            message = await self._next(body, receive, deadline)
            self._count(body, len(message.get("body", b"")))
            body.whole = not message.get("more_body", False)
            return message

        async def noted(message: Message) -> None:
            if body.refusal is not None and not body.answered:
                return  # whoever read the body made an answer of their own out of it; ours follows
            body.answered = True
            await send(message)

        try:
            await self._app(scope, counted, noted)
        except* _RefusedError:  # alone, or among the tasks of an answer that streams
            pass
        except* ClientDisconnect:  # in the middle of a body: there is nobody to answer, and no fault of ours to log
            pass
        finally:
            self._held -= body.came
        if body.refusal is not None and not body.answered:
            await self._refuse(body.refusal, scope, receive, send)

    async def _next(self, body: _Body, receive: Receive, deadline: float) -> Message:
        if body.whole:  # what follows is only that the sender has gone
            return await receive()
        try:
            async with asyncio.timeout_at(deadline):
                return await receive()
        except TimeoutError:
            words = f"the request did not end within {self._seconds:.0f} seconds; send it again"
            body.refusal = (HTTPStatus.REQUEST_TIMEOUT, words)
            raise _RefusedError from None

    def _count(self, body: _Body, size: int) -> None:
        body.came += size
        self._held += size
        if body.came > self._most:
            body.refusal = self._too_large()
        elif body.came > SMALL and self._held > AT_ONCE * self._most:
            words = "too many large requests are under way; send it again in a few seconds"
            body.refusal = (HTTPStatus.SERVICE_UNAVAILABLE, words)
        if body.refusal is not None:
            raise _RefusedError

    def _too_large(self) -> tuple[HTTPStatus, str]:
        words = f"the request is larger than {self._most:,} bytes; send fewer or smaller photos at once"
        return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, words

    async def _refuse(self, refusal: tuple[HTTPStatus, str], scope: Scope, receive: Receive, send: Send) -> None:
        path = str(scope["path"])
        say = next((say for place, say in self._elsewhere.items() if path.startswith(place)), _problem)
        await say(*refusal)(scope, receive, send)


def _problem(status: HTTPStatus, words: str) -> ASGIApp:
    headers = {"Connection": "close"}
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = "5"
    return problem(status, words, headers=headers)


class _RefusedError(Exception):
    """Ends the reading of a body; only `LargestBody` sees it."""
