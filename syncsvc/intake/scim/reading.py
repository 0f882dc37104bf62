"""Reads a body as the JSON object that every SCIM message is, before anybody looks at what it says."""

import json
from typing import Any, NoReturn

from scim2_models import InvalidSyntaxException

_DEEPEST = 32  # levels; an honest PATCH has six


def read_object(body: bytes) -> dict[str, Any]:
    """The object. Raises InvalidSyntaxException in words that quote nothing of it."""
    try:
        said = json.loads(body.decode("utf-8-sig"), parse_constant=_no_number)
    except UnicodeDecodeError:
        raise InvalidSyntaxException(detail="the body is not UTF-8") from None
    except (ValueError, RecursionError):
        raise InvalidSyntaxException(detail="the body is not JSON") from None
    if not isinstance(said, dict):
        raise InvalidSyntaxException(detail="the body is not a JSON object")
    _look_through(said)
    return said


def _no_number(_constant: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


def _look_through(said: dict[str, Any]) -> None:
    """Refuse what would end in an error further inside: a tower of brackets, half a character."""
    level: list[Any] = [said]
    for _ in range(_DEEPEST):
        texts = [one for one in level if isinstance(one, str)]
        if any(not one.isascii() and not _whole(one) for one in texts):
            raise InvalidSyntaxException(detail="the body holds half a character: a lone surrogate")
        level = [part for one in level for part in _parts(one)]
        if not level:
            return
    raise InvalidSyntaxException(detail=f"the body is nested more than {_DEEPEST} levels deep")


def _parts(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [*value, *value.values()]
    return value if isinstance(value, list) else []


def _whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
