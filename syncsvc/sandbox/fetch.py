"""Fetches a photo from its address, as a vendor does that takes photos by URL."""

import asyncio
import ssl
from enum import StrEnum
from functools import lru_cache
from http import HTTPStatus
from urllib.parse import urlsplit

import httpx

from syncsvc.sandbox.world import picture


class Trouble(StrEnum):
    """Why there is no photo."""

    SCHEME = "scheme"  # neither http nor https
    FORBIDDEN = "forbidden"
    MISSING = "missing"
    FAILED = "failed"
    TIMEOUT = "timeout"
    TOO_LARGE = "too_large"
    FORMAT = "format"


_STATUS = {HTTPStatus.FORBIDDEN: Trouble.FORBIDDEN, HTTPStatus.NOT_FOUND: Trouble.MISSING}


async def fetch_photo(url: str, *, seconds: float, max_bytes: int, formats: frozenset[str]) -> bytes | Trouble:
    """The photo's bytes. `seconds` are for all of it; `formats` are Pillow's names; no redirect is followed."""
    try:
        if urlsplit(url).scheme not in {"http", "https"}:
            return Trouble.SCHEME
        async with (
            asyncio.timeout(seconds),
            httpx.AsyncClient(trust_env=False, verify=_tls()) as client,
            client.stream("GET", url) as response,
        ):
            return await _take(response, max_bytes, formats)
    except (TimeoutError, httpx.TimeoutException):
        return Trouble.TIMEOUT
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        return Trouble.FAILED


async def _take(response: httpx.Response, max_bytes: int, formats: frozenset[str]) -> bytes | Trouble:
    if response.status_code != HTTPStatus.OK:
        return _STATUS.get(HTTPStatus(response.status_code), Trouble.FAILED)
    if not response.headers.get("Content-Type", "image/").startswith(("image/", "application/octet-stream")):
        return Trouble.FORMAT
    photo = bytearray()
    async for part in response.aiter_bytes():
        photo += part
        if len(photo) > max_bytes:
            return Trouble.TOO_LARGE
    seen = picture(bytes(photo))
    return bytes(photo) if seen is not None and seen.format in formats else Trouble.FORMAT


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    """Built once: loading the certificates takes longer than a call."""
    return ssl.create_default_context()
