"""The form of a receipt: which bytes are signed, and how one is told from what only looks like one.

A receipt's *body* is a JSON object in canonical form: UTF-8 without a byte order mark, the keys of every object sorted
by their code points, no white space between the parts, nothing escaped that JSON lets stand, whole numbers only. Those
bytes are hashed (SHA-256) and signed (Ed25519). An *envelope* is one line, a JSON object in the same form:
`{"hash": ..., "public_key": ..., "receipt": the body, "signature": ...}`. Instants are in UTC, to the second.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NoReturn

from syncsvc.model.errors import InputError

FORMAT = "syncsvc-receipt/1"
BEGINNING = "0" * 64  # what the first receipt names as the one before it
LONGEST = 4 * 1024 * 1024  # bytes of an envelope; hundreds of libraries fit
_HASH = re.compile(r"[0-9a-f]{64}")
_KEYS = frozenset({"hash", "public_key", "receipt", "signature"})
Body = Mapping[str, Any]
_Shape = Mapping[str, tuple[type, ...]]
_TEXT, _MAYBE, _COUNT = (str,), (str, type(None)), (int,)
_CHAINED: _Shape = {
    "as_of": _TEXT,
    "format": _TEXT,
    "issued_at": _TEXT,
    "kind": _TEXT,
    "number": _COUNT,
    "previous": _TEXT,
    "software": _TEXT,
}
_ERASURE: _Shape = {
    "due_at": _TEXT,
    "erasure": _TEXT,
    "libraries": (list,),
    "opened_at": _TEXT,
    "second_look": (dict,),
    "subject": _TEXT,
    "verified_at": _MAYBE,
}
_RETIREMENT: _Shape = {"library": _TEXT, "retirement": (dict,)}
_SECOND_LOOK: _Shape = {"done_at": _MAYBE, "due_at": _MAYBE}
_LIBRARY: _Shape = {
    "accepted_at": _MAYBE,
    "came_back": _COUNT,
    "checked_at": _MAYBE,
    "faces": _COUNT,
    "looks": _COUNT,
    "method": _MAYBE,
    "name": _TEXT,
    "reason": _MAYBE,
    "requests": (list,),
    "vendor": _TEXT,
    "verdict": _MAYBE,
}
_REQUEST: _Shape = {"at": _MAYBE, "operation": _TEXT, "request_id": _TEXT}


class Kind(StrEnum):
    """Why a receipt was issued."""

    VERIFIED = "verified"
    CONFIRMED = "confirmed"
    OVERDUE = "overdue"
    RETIRED = "retired"


class ReceiptError(InputError):
    """It is no receipt of ours, or not as it was issued; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """A receipt as it is handed over; nothing of it is believed before its signature was checked."""

    body: Body
    hash: str
    signature: str
    public_key: str

    @property
    def number(self) -> int:
        return int(self.body["number"])

    @property
    def previous(self) -> str:
        return str(self.body["previous"])

    @property
    def kind(self) -> str:
        return str(self.body["kind"])

    def line(self) -> bytes:
        """The envelope in canonical form, with a newline at its end."""
        told = {
            "hash": self.hash,
            "public_key": self.public_key,
            "receipt": self.body,
            "signature": self.signature,
        }
        return canonical(told) + b"\n"


def canonical(value: Any) -> bytes:
    """The one form in which a value is signed. Raises ReceiptError for what has none, as a fraction."""
    _check(value)
    try:
        return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
    except UnicodeEncodeError:
        raise ReceiptError("half a character is in it, which UTF-8 cannot say") from None
    except RecursionError:
        raise ReceiptError("it is nested too deeply") from None


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def is_hash(text: str) -> bool:
    return _HASH.fullmatch(text) is not None


def parse(line: bytes) -> Envelope:
    """What was written as one line. Its form is right then, and its hash; nobody has checked who signed it.

    Raises ReceiptError for everything else, whatever it is.
    """
    if len(line) > LONGEST:
        raise ReceiptError(f"it is longer than {LONGEST:,} bytes; no receipt is")
    told = _loaded(line.removesuffix(b"\n").removesuffix(b"\r"))
    if not isinstance(told, dict) or set(told) != _KEYS:
        raise ReceiptError("it is no receipt: needed is an object of hash, public_key, receipt and signature")
    body, words = told["receipt"], [told[name] for name in ("hash", "signature", "public_key")]
    if not isinstance(body, dict) or not all(isinstance(one, str) for one in words):
        raise ReceiptError("it is no receipt: receipt must be an object, the others must be strings")
    _check_place(body)
    envelope = Envelope(body, *words)
    if envelope.line().rstrip(b"\n") != line.removesuffix(b"\n").removesuffix(b"\r"):
        raise ReceiptError(
            "it is not in the form in which receipts are issued: white space, the order of keys or escapes were"
            " changed; ask for the file as it was, or restore the form with `jq -cS . FILE`"
        )
    if digest(canonical(body)) != envelope.hash:
        raise ReceiptError("its hash is not that of its content; one of the two was changed")
    _check_content(body)
    return envelope


def _loaded(text: bytes) -> Any:
    try:
        return json.loads(
            text.decode("utf-8"),
            object_pairs_hook=_unrepeated,
            parse_float=_fraction,
            parse_constant=_fraction,
        )
    except UnicodeDecodeError:
        raise ReceiptError("it is no receipt: it is not UTF-8") from None
    except RecursionError:
        raise ReceiptError("it is no receipt: it is nested too deeply") from None
    except ReceiptError:
        raise
    except ValueError:
        raise ReceiptError("it is no receipt: it is not JSON, or more than one line of it was cut off") from None


def _unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    told = dict(pairs)
    if len(told) != len(pairs):
        raise ReceiptError("an object in it has the same key twice")
    return told


def _fraction(_text: str) -> NoReturn:
    raise ReceiptError("there is a number in it that is not whole")


def _check_place(body: Mapping[str, Any]) -> None:
    """What makes a link of a chain: raises ReceiptError where it cannot be one."""
    known = body.get("format")
    if known != FORMAT:
        raise ReceiptError(f"its format is not {FORMAT}; a newer version of syncsvc may know it")
    number, previous = body.get("number"), body.get("previous")
    if type(number) is not int or not 0 < number < 2**63:
        raise ReceiptError("it has no number, or one that cannot be")
    if not isinstance(previous, str) or not _HASH.fullmatch(previous) or (previous == BEGINNING) != (number == 1):
        raise ReceiptError(f"what receipt {number} names as the one before it cannot be")
    if body.get("kind") not in list(Kind):
        raise ReceiptError(f"receipt {number} is of a kind that nobody knows")


def _check_content(body: Mapping[str, Any]) -> None:
    """That it says what a receipt of its kind says, so that whoever shows it finds everything."""
    retired = body["kind"] == Kind.RETIRED
    _check_shape(body, {**_CHAINED, **(_RETIREMENT if retired else _ERASURE)})
    if not retired:
        _check_shape(body["second_look"], _SECOND_LOOK)
        for library in body["libraries"]:
            _check_shape(library, _LIBRARY)
            for request in library["requests"]:
                _check_shape(request, _REQUEST)


def _check_shape(told: Any, shape: _Shape) -> None:
    if not isinstance(told, dict) or set(told) != set(shape):
        raise ReceiptError("it says more or less than a receipt of its format does")
    wrong = sorted(name for name, kinds in shape.items() if type(told[name]) not in kinds)
    if wrong:
        raise ReceiptError(f"{wrong[0]} is not of the type that it has in a receipt")


def _check(value: Any) -> None:
    """Only what has one form. Iteratively, so that nothing is nested too deeply for it."""
    left = [value]
    while left:
        match left.pop():
            case None | bool() | int() | str():
                pass
            case dict() as told:
                if not all(isinstance(key, str) for key in told):
                    raise ReceiptError("an object in it has a key that is no text")
                left += told.values()
            case list() as several:
                left += several
            case other:
                raise ReceiptError(f"a {type(other).__name__} cannot be in a receipt; there are no fractions in it")
