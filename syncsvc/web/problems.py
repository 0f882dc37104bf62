"""Errors as RFC 9457 says them: application/problem+json, in words fit for people."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.routing import Match

from syncsvc.limits.ping import RedisUnavailableError
from syncsvc.model.errors import FetchError, InputError, NotFoundError, SyncsvcError
from syncsvc.store.engine import DatabaseUnavailableError

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = 5  # seconds: a database that fails over, or a photo's server that is busy, may be back by then
_LONGEST_PLACE = 200  # of a field's name in an answer; a key may be as long as the body
_MOST_FIELDS = 20

_STATUS: dict[type[SyncsvcError], HTTPStatus] = {
    NotFoundError: HTTPStatus.NOT_FOUND,
    InputError: HTTPStatus.UNPROCESSABLE_ENTITY,
    DatabaseUnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    RedisUnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    FetchError: HTTPStatus.SERVICE_UNAVAILABLE,
}
_WHEN: dict[int, str] = {
    400: "The request cannot be read.",
    401: "No token or signature, or one that nobody here knows.",
    403: "The token's role may not do this.",
    404: "Nobody and nothing is known by that name.",
    409: "It does not fit what is there now.",
    413: "The request is larger than `intake.max_body` allows.",
    415: "The body is of a kind that is not taken here.",
    422: "A field is wrong; it is named.",
    503: "The database, Redis or a photo's server is away; ask again after `Retry-After` seconds.",
}

log = structlog.get_logger(__name__)


class WrongField(BaseModel):
    field: str
    detail: str


class Problem(BaseModel):
    """An error in the form of RFC 9457."""

    type: str = Field(description="about:blank: the status says what kind it is.")
    title: str
    status: int
    detail: str = Field(description="What happened and what to do, in words.")
    field: str | None = Field(default=None, description="The part of the request that is wrong, where one is.")
    errors: list[WrongField] | None = Field(default=None, description="Each part that is wrong, where several may be.")


class _Answer(JSONResponse):
    media_type = MEDIA_TYPE

    def render(self, content: Any) -> bytes:
        """Half a character, which JSON can send, has no UTF-8: it goes back as the escape that it came as."""
        return json.dumps(content, ensure_ascii=False).encode("utf-8", "backslashreplace")


def problem(status: int, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any) -> JSONResponse:
    """One problem; `more` are extension members."""
    status = HTTPStatus(status)
    body = {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": detail, **more}
    wait = {"Retry-After": str(RETRY_AFTER)} if status is HTTPStatus.SERVICE_UNAVAILABLE else {}
    return _Answer(body, status, {"Cache-Control": "no-store", **wait, **(headers or {})})


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """A route's `responses`, for its description: the problems that it answers."""
    schema = {"$ref": f"#/components/schemas/{Problem.__name__}"}
    return {
        status: {"description": _WHEN[status], "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in sorted(statuses)
    }


def install(app: FastAPI) -> None:
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(SyncsvcError, _ours)
    app.add_exception_handler(Exception, _unexpected)


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    headers, words = error.headers, str(error.detail)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = ", ".join(_allowed(request))
        headers, words = {"Allow": allowed}, f"{request.method} is not possible here; possible are: {allowed}"
    elif error.status_code == HTTPStatus.NOT_FOUND and words == HTTPStatus.NOT_FOUND.phrase:
        words = "there is nothing at this address"
    return problem(error.status_code, words, headers=headers)


def _allowed(request: Request) -> list[str]:
    """Every method of this address: each of its routes knows only its own."""
    routes = [one for one in iter_route_contexts(request.app.routes) if one.matches(request.scope)[0] != Match.NONE]
    return sorted({method for route in routes for method in route.methods or ()})


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    """Which fields are wrong and why, without quoting what stood in them."""
    assert isinstance(error, RequestValidationError)
    wrong = [
        {
            "field": ".".join(str(part) for part in one["loc"][1:])[:_LONGEST_PLACE],
            "detail": str(one["msg"]).removeprefix("Value error, "),
        }
        for one in error.errors()[:_MOST_FIELDS]
    ]
    words = "; ".join(f"{one['field']}: {one['detail']}" for one in wrong[:3])
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, words, field=wrong[0]["field"], errors=wrong)


async def _ours(_request: Request, error: Exception) -> JSONResponse:
    status = next((status for kind, status in _STATUS.items() if isinstance(error, kind)), None)
    if status is None:
        log.error("request failed", error=type(error).__name__, detail=str(error))
        return problem(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))
    more: dict[str, Any] = {"field": error.field} if isinstance(error, InputError) and error.field else {}
    return problem(status, str(error), **more)


async def _unexpected(_request: Request, _error: Exception) -> JSONResponse:
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "something went wrong here; the service's log has the details")
