"""The last defence before a log line leaves: nothing that looks like a secret or a picture passes."""

import re
from collections.abc import Mapping, MutableMapping
from typing import Any

MASK = "[masked]"
LONGEST = 2000

_SENSITIVE = re.compile(
    r"photos?|pictures?|features?|names?|secrets?|keys?|tokens?|passwords?|authorization|cookies?|signatures?|images?"
    r"|body|urls?"
)
_HARMLESS_ENDINGS = frozenset({"id", "ids", "digest", "count", "bytes", "state"})  # of a photo, but not the photo
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")

_ENCODED = re.compile(r"[A-Za-z0-9+/]{80,}={0,2}")  # longer than a SHA-256 in hexadecimal, shorter than any picture
_PHOTO_LINK = re.compile(r"/photos/[^\s\"'<>]+")
_CREDENTIALS = re.compile(r"://[^/\s:@]*:[^@\s]+@")
_WHSEC = re.compile(r"whsec_\S+")


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor."""
    for field, value in event.items():
        if field.startswith("_"):  # structlog's own, taken off before rendering
            continue
        if field in {"event", "exception"}:
            event[field] = clean(str(value)) if field == "exception" else _shortened(clean(str(value)))
        else:
            event[field] = MASK if is_sensitive(field) else _value(value)
    return event


def is_sensitive(field: str) -> bool:
    """Whether a field of this name may hold what must not be seen."""
    words = [word.lower() for word in _WORD.findall(field)]
    if not words or words[-1] in _HARMLESS_ENDINGS:
        return False
    return "base64" in field.lower() or any(_SENSITIVE.fullmatch(word) for word in words)


def clean(text: str) -> str:
    """The text without passwords in addresses, photo links and long encoded runs."""
    text = _CREDENTIALS.sub(f"://{MASK}@", text)
    text = _PHOTO_LINK.sub(f"/photos/{MASK}", text)
    text = _WHSEC.sub(MASK, text)
    return _ENCODED.sub(MASK, text)


def _value(value: Any) -> Any:
    match value:
        case None | bool() | int() | float():
            return value
        case bytes() | bytearray() | memoryview():
            return f"[{len(value)} bytes]"
        case Mapping():
            return {str(key): MASK if is_sensitive(str(key)) else _value(one) for key, one in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_value(one) for one in value] if len(value) <= LONGEST // 10 else f"[{len(value)} values]"
        case _:
            text = clean(str(value))
            return text if len(text) <= LONGEST else f"[{len(text)} characters]"


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} [and {len(text) - LONGEST} characters]"
