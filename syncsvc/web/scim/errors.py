"""Errors as RFC 7644 section 3.12 says them, in words that quote nothing of the request."""

import re
from collections.abc import Mapping
from http import HTTPStatus

import structlog
from fastapi import FastAPI, Request
from pydantic import ValidationError
from scim2_models import Error, InvalidValueException, SCIMException
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from syncsvc.model.errors import FetchError, InputError, SyncsvcError
from syncsvc.store.engine import DatabaseUnavailableError

MEDIA_TYPE = "application/scim+json"

_LITERAL = re.compile(r'"(?:[^"\\]|\\.)*"')  # of a filter, which may name somebody
_COMPARED = re.compile(r"^value .* is not valid for attribute", re.DOTALL)
_LONGEST = 300
_LATER = {"Retry-After": "30"}

log = structlog.get_logger(__name__)


def install(app: FastAPI) -> None:
    app.add_exception_handler(SCIMException, _scim)
    app.add_exception_handler(ValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(SyncsvcError, _ours)
    app.add_exception_handler(Exception, _unexpected)


def answer(error: Error, headers: Mapping[str, str] | None = None) -> Response:
    status = error.status or HTTPStatus.INTERNAL_SERVER_ERROR
    kept = Error(status=status, scim_type=error.scim_type, detail=_without_values(error.detail or ""))
    return JSONResponse(kept.model_dump(), status, {"Cache-Control": "no-store", **(headers or {})}, MEDIA_TYPE)


def not_taken(status: HTTPStatus, words: str) -> Response:
    """The answer to a body that is too large, or does not end, or comes while too many others do."""
    later = {"Retry-After": "5"} if status is HTTPStatus.SERVICE_UNAVAILABLE else {}
    return answer(Error(status=status, detail=words), {"Connection": "close", **later})


async def _scim(_request: Request, error: Exception) -> Response:
    assert isinstance(error, SCIMException)
    if isinstance(error, InvalidValueException) and isinstance(error.__cause__, ValidationError):
        return answer(_first(error.__cause__))  # the same, but said for one attribute instead of for a programmer
    return answer(error.to_error())


async def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ValidationError)
    return answer(_first(error))


async def _http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return answer(Error(status=error.status_code, detail=error.detail), error.headers)


async def _ours(_request: Request, error: Exception) -> Response:
    assert isinstance(error, SyncsvcError)
    if isinstance(error, InputError):
        return answer(Error(status=HTTPStatus.BAD_REQUEST, scim_type="invalidValue", detail=str(error)))
    if isinstance(error, FetchError | DatabaseUnavailableError):
        return answer(Error(status=HTTPStatus.SERVICE_UNAVAILABLE, detail=str(error)), _LATER)
    log.error("request failed", error=type(error).__name__, detail=str(error))
    return answer(Error(status=HTTPStatus.INTERNAL_SERVER_ERROR, detail=str(error)))


async def _unexpected(_request: Request, _error: Exception) -> Response:
    words = "something went wrong here; the service's log has the details"
    return answer(Error(status=HTTPStatus.INTERNAL_SERVER_ERROR, detail=words))


def _first(error: ValidationError) -> Error:
    return Error.from_validation_error(error.errors(include_url=False, include_input=False)[0])


def _without_values(detail: str) -> str:
    plain = _COMPARED.sub("a value is not valid for attribute", _LITERAL.sub('"..."', detail))
    return plain if len(plain) <= _LONGEST else f"{plain[:_LONGEST]}..."
