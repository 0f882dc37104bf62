"""Errors as RFC 9457 says them: application/problem+json, in words fit for people."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from syncsvc.limits.ping import RedisUnavailableError
from syncsvc.model.errors import InputError, NotFoundError, SyncsvcError
from syncsvc.store.engine import DatabaseUnavailableError

MEDIA_TYPE = "application/problem+json"

_STATUS: dict[type[SyncsvcError], HTTPStatus] = {
    NotFoundError: HTTPStatus.NOT_FOUND,
    InputError: HTTPStatus.UNPROCESSABLE_ENTITY,
    DatabaseUnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    RedisUnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
}

log = structlog.get_logger(__name__)


def problem(status: int, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any) -> JSONResponse:
    """One problem; `more` are extension members."""
    status = HTTPStatus(status)
    body = {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": detail, **more}
    return JSONResponse(body, status, {"Cache-Control": "no-store", **(headers or {})}, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(SyncsvcError, _ours)
    app.add_exception_handler(Exception, _unexpected)


async def _http(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, str(error.detail), headers=error.headers)


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    """Which fields are wrong and why, without quoting what stood in them."""
    assert isinstance(error, RequestValidationError)
    fields = [
        {"field": ".".join(str(part) for part in one["loc"][1:]), "detail": str(one["msg"])} for one in error.errors()
    ]
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "the request is not in its documented form", errors=fields)


async def _ours(_request: Request, error: Exception) -> JSONResponse:
    status = next((status for kind, status in _STATUS.items() if isinstance(error, kind)), None)
    if status is None:
        log.error("request failed", error=type(error).__name__, detail=str(error))
        return problem(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))
    more: dict[str, Any] = {"field": error.field} if isinstance(error, InputError) and error.field else {}
    return problem(status, str(error), **more)


async def _unexpected(_request: Request, _error: Exception) -> JSONResponse:
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "something went wrong here; the service's log has the details")
