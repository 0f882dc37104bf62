"""A vendor's error codes as a table: code in, one of our errors out."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import httpx

from syncsvc.model.errors import (
    CredentialsError,
    LibraryError,
    MisconfiguredError,
    RejectedError,
    ThrottledError,
    UnavailableError,
    UncertainError,
)

LONGEST_WAIT = 900.0  # seconds; whatever a vendor says, we ask again after a quarter of an hour

_CODE = re.compile(r"[A-Za-z0-9_.\-]{1,64}")
_MAX_DIGITS = 6
_NOT_NOW = {HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.MISDIRECTED_REQUEST, HTTPStatus.TOO_EARLY}


@dataclass(frozen=True, slots=True)
class Fault:
    """What a code means to us, and in words fit for HR and operators: what happened, what to do."""

    error: type[LibraryError]
    words: str
    about_person: bool = False
    perhaps_done: bool = False  # the vendor's own trouble, which may have struck after the work was done


class FaultTable:
    """Turns a vendor's code into the error to raise. A code that is not in the table is *not now*, never success."""

    def __init__(self, faults: Mapping[str, Fault]) -> None:
        self._faults = faults

    def error(self, code: str, *, request_id: str | None = None, retry_after: float | None = None) -> LibraryError:
        """The error for `code`. Its message holds our words and the code, never the vendor's free text."""
        safe = code if _CODE.fullmatch(code) else "unreadable-code"
        fault = self._faults.get(code)
        if fault is None:
            words = "the library answered with a code that this adapter does not know; if it stays, report the code"
            # Whom or what it blames is unknown, and so is whether anything was done.
            unknown = UnavailableError(f"{words} ({safe})", code=safe, request_id=request_id, about_person=True)
            unknown.perhaps_done = True
            return unknown
        message = f"{fault.words} ({safe})"
        if issubclass(fault.error, ThrottledError):
            return fault.error(message, code=safe, request_id=request_id, retry_after=retry_after)
        error = fault.error(message, code=safe, request_id=request_id, about_person=fault.about_person)
        if isinstance(error, UnavailableError):
            error.perhaps_done = fault.perhaps_done
        return error

    def __contains__(self, code: str) -> bool:
        return code in self._faults


def status_fault(response: httpx.Response) -> LibraryError:
    """The error for an answer that is not the vendor's own: a proxy, a captive portal, a wrong address.

    A gateway that gave up (408, 502, 504) or an unreadable 500 leaves it open whether the call was carried out;
    421 and 425 are a load balancer's wish to have it sent anew (RFC 9110 15.5.20, RFC 8470 5.2).
    """
    status = response.status_code
    code = f"http-{status}"
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return ThrottledError("the library asked us to slow down", code=code, retry_after=retry_after(response))
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.PROXY_AUTHENTICATION_REQUIRED}:
        return CredentialsError(
            "something before the library turned us away; check the credentials and any proxy", code=code
        )
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return RejectedError("the photo is too large for the library", code=code)
    if status in _NOT_NOW:
        return UnavailableError("the library is out of service", code=code)
    if status == HTTPStatus.REQUEST_TIMEOUT or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return UncertainError("a gateway answered in the library's place", code=code)
    return MisconfiguredError("what answers is not this vendor's service; check base_url", code=code)


def retry_after(response: httpx.Response) -> float | None:
    """Seconds from a Retry-After header (RFC 9110 10.2.3: a number or a date), None where it has none that makes sense.

    At most `LONGEST_WAIT`: a mistaken header must not keep a library closed for years.
    """
    value = response.headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        # Digits are counted and not converted: Python refuses an int of thousands of them, a float is infinite.
        return LONGEST_WAIT if len(value.lstrip("0")) > _MAX_DIGITS else min(LONGEST_WAIT, float(value))
    try:
        when = parsedate_to_datetime(value)
        # A date that ends in -0000 names no zone (RFC 5322 3.3); by RFC 9110 5.6.7 it is in UTC all the same.
        left = ((when if when.tzinfo else when.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(LONGEST_WAIT, max(0.0, left))
