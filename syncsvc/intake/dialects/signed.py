"""What signed messages share: comparing in constant time, how old one may be, and JSON that came from outside."""

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NoReturn

from syncsvc.intake.dialects.base import SignatureError
from syncsvc.model.errors import InputError

TOLERANCE = 300.0  # seconds between a signed timestamp and our clock
MOST_EMPLOYEES = 1000  # in one message; the most generous HR system tells of a few hundred
LONGEST_ID = 256
_MILLISECONDS = 1e11  # a Unix time above this is not in seconds before the year 5138


def refuse() -> NoReturn:
    """The same words whatever is wrong: they must not help whoever is guessing."""
    raise SignatureError(
        "the signature is missing, wrong, or not from the last five minutes; check the secret and the clock"
    )


def fits(given: str, expected: Iterable[str]) -> bool:
    """Whether one of the expected is what was given. All are compared, each in constant time."""
    told, found = given.encode("utf-8", "surrogatepass"), False
    for one in expected:
        found |= hmac.compare_digest(told, one.encode("utf-8", "surrogatepass"))
    return found


def check_recent(stamp: str, now: datetime) -> None:
    """Raises SignatureError for a timestamp that nobody can read, or that is too far from now."""
    at = instant(stamp)
    if at is None or abs((now - at).total_seconds()) > TOLERANCE:
        refuse()


def instant(stamp: str) -> datetime | None:
    """A Unix time in seconds or milliseconds, or an ISO 8601 instant with its zone; None for anything else."""
    try:
        if stamp.isascii() and stamp.isdigit():
            seconds = float(stamp[:20])
            return datetime.fromtimestamp(seconds / 1000 if seconds > _MILLISECONDS else seconds, UTC)
        found = datetime.fromisoformat(stamp)
    except (ValueError, OverflowError, OSError):
        return None
    return found if found.tzinfo is not None else None


def message_id(*parts: bytes) -> str:
    """An id for a message whose sender gives it none: the same parts, the same id."""
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def json_object(body: bytes) -> Mapping[str, Any]:
    """The message's JSON object. Raises InputError for anything else, however it is made."""
    try:
        given = json.loads(body.decode("utf-8-sig"), parse_constant=_no_constant)
    except UnicodeDecodeError:
        raise InputError("the body is not UTF-8") from None
    except (ValueError, RecursionError):
        raise InputError("the body is not JSON; if the sender can be set to form data, set it to JSON") from None
    if not isinstance(given, dict):
        raise InputError("the body is not a JSON object")
    return given


def part(given: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """An object inside an object. Raises InputError with its place."""
    found: Any = given
    for step in path:
        found = found.get(step) if isinstance(found, dict) else None
    if not isinstance(found, dict):
        raise InputError(f"{'.'.join(path)}: must be a JSON object", field=".".join(path))
    return found


def text(given: Mapping[str, Any], *path: str) -> str:
    """A text that is not empty, at this place. Raises InputError with the place."""
    found = (part(given, *path[:-1]) if path[:-1] else given).get(path[-1])
    if not isinstance(found, str) or not found:
        raise InputError(f"{'.'.join(path)}: must be a text", field=".".join(path))
    return found


def employee_id(found: Any, place: str) -> str:
    """An HR system's own id of an employee: a text, or a whole number. Raises InputError with the place."""
    told = str(found) if isinstance(found, int) and not isinstance(found, bool) else found
    if (
        not isinstance(told, str)
        or not told
        or len(told) > LONGEST_ID
        or not told.isprintable()
        or told != told.strip()
    ):
        raise InputError(f"{place}: must be an employee's id, of at most {LONGEST_ID} characters", field=place)
    return told


def employee_ids(found: Any, place: str) -> tuple[str, ...]:
    """A list of them, each once."""
    if not isinstance(found, list) or not 1 <= len(found) <= MOST_EMPLOYEES:
        raise InputError(f"{place}: must be a list of 1 to {MOST_EMPLOYEES} employees", field=place)
    return tuple(dict.fromkeys(employee_id(one, f"{place}.{number}") for number, one in enumerate(found)))


def _no_constant(word: str) -> float:
    raise ValueError(f"{word} is no JSON")
