"""Holds every request to a size, before anybody reads it."""

from collections.abc import Callable, Mapping
from http import HTTPStatus

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from syncsvc.web.problems import problem

Say = Callable[[str], ASGIApp]


class LargestBody:
    """Answers 413 to a body of more than `most` bytes: at once where it says so, else as soon as it is passed.

    `elsewhere`: how it is said under addresses that begin so, where a problem is not what is understood.
    """

    def __init__(self, app: ASGIApp, most: int, elsewhere: Mapping[str, Say]) -> None:
        self._app, self._most, self._elsewhere = app, most, elsewhere

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        told = dict(scope["headers"]).get(b"content-length", b"0")
        if told.isdigit() and int(told[:12]) > self._most:
            await self._refuse(scope, receive, send)
            return
        came, passed, answered = 0, False, False

        async def counted() -> Message:
            nonlocal came, passed
            message = await receive()
            came += len(message.get("body", b""))
            if came > self._most:
                passed = True
                raise _TooLargeError
            return message

        async def noted(message: Message) -> None:
            nonlocal answered
            if passed and not answered:
                return  # whoever read the body made an answer of their own out of it; ours follows
            answered = True
            await send(message)

        try:
            await self._app(scope, counted, noted)
        except* _TooLargeError:  # alone, or among the tasks of an answer that streams
            pass
        except* ClientDisconnect:  # in the middle of a body: there is nobody to answer, and no fault of ours to log
            pass
        if passed and not answered:
            await self._refuse(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        words = f"the request is larger than {self._most:,} bytes; send fewer or smaller photos at once"
        path = str(scope["path"])
        say = next((say for place, say in self._elsewhere.items() if path.startswith(place)), _problem)
        await say(words)(scope, receive, send)


def _problem(words: str) -> ASGIApp:
    return problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, words, headers={"Connection": "close"})


class _TooLargeError(Exception):
    """Ends the reading of a body; only `LargestBody` sees it."""
