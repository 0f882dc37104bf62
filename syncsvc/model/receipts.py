"""A receipt: what it says, in which bytes, and how one is told from what only looks like one.

A receipt's *body* is a JSON object in canonical form: UTF-8 without a byte order mark, the keys of every object sorted
by their code points, no white space between the parts, nothing escaped that JSON lets stand, whole numbers only. Those
bytes are hashed (SHA-256) and signed (Ed25519). An *envelope* is one line, a JSON object in the same form:
`{"hash": ..., "public_key": ..., "receipt": the body, "signature": ...}`. Instants are in UTC, to the second.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NoReturn

from syncsvc.model.errors import InputError
from syncsvc.model.keys import person_hash, person_key
from syncsvc.model.people import PersonId

FORMAT = "syncsvc-receipt/1"
BEGINNING = "0" * 64  # what the first receipt names as the one before it
LONGEST = 4 * 1024 * 1024  # bytes of an envelope; hundreds of libraries fit
MOST_REQUESTS = 50  # to one library, the newest; how many more there were is said
MASK = "[person]"

_LONGEST_WORDS = 500
_SHORT = 4  # characters of an id that may well be a part of other words
_HASH = re.compile(r"[0-9a-f]{64}")
_KEYS = frozenset({"hash", "public_key", "receipt", "signature"})

Body = Mapping[str, Any]


class Kind(StrEnum):
    """Why a receipt was issued."""

    VERIFIED = "verified"
    CONFIRMED = "confirmed"
    OVERDUE = "overdue"
    RETIRED = "retired"


class ReceiptError(InputError):
    """It is no receipt of ours, or not as it was issued; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Request:
    """One call to the vendor, under the id by which the vendor finds it in its own log."""

    operation: str
    request_id: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class LibraryFacts:
    """What is known of one library; `faces` counts the vendor's ids that were ever bound to the person there."""

    name: str
    vendor: str
    verdict: str | None
    method: str | None
    reason: str | None
    faces: int
    accepted_at: datetime | None
    checked_at: datetime | None
    looks: int
    came_back: int
    requests: Sequence[Request] = ()


@dataclass(frozen=True, slots=True)
class ErasureFacts:
    """What is known of one erasure. `person` is only there to be kept out of the receipt."""

    id: str
    person: PersonId
    subject: str
    opened_at: datetime
    due_at: datetime
    verified_at: datetime | None
    second_look_at: datetime | None
    finished_at: datetime | None
    libraries: Sequence[LibraryFacts] = field(default=())


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


def erasure_facts(erasure: ErasureFacts, kind: Kind, as_of: datetime) -> dict[str, Any]:
    """What a receipt says of an erasure, as far as it does not depend on its place in the chain."""
    hide = _Hiding(erasure.person)
    return {
        "as_of": instant(as_of),
        "due_at": instant(erasure.due_at),
        "erasure": erasure.id,
        "kind": kind.value,
        "libraries": [_library(one, hide) for one in sorted(erasure.libraries, key=lambda one: one.name)],
        "opened_at": instant(erasure.opened_at),
        "second_look": {"done_at": instant(erasure.finished_at), "due_at": instant(erasure.second_look_at)},
        "subject": erasure.subject,
        "verified_at": instant(erasure.verified_at),
    }


def retirement_facts(library: str, content: Mapping[str, Any], as_of: datetime) -> dict[str, Any]:
    """What a receipt says of a library that was retired; `content` is JSON without fractions, instants may be in it."""
    return {
        "as_of": instant(as_of),
        "kind": Kind.RETIRED.value,
        "library": library,
        "retirement": _plain(content),
    }


def chained(facts: Mapping[str, Any], *, number: int, previous: str, issued_at: datetime, software: str) -> bytes:
    """The body of the receipt that follows the one with the hash `previous`."""
    place = {"format": FORMAT, "issued_at": instant(issued_at), "number": number, "previous": previous}
    return canonical({**facts, **place, "software": software})


def instant(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


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
    if body.get("kind") not in set(Kind):
        raise ReceiptError(f"receipt {number} is of a kind that nobody knows")


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


def _plain(value: Any) -> Any:
    match value:
        case datetime():
            return instant(value)
        case StrEnum():
            return value.value
        case Mapping():
            return {str(key): _plain(one) for key, one in value.items()}
        case list() | tuple():
            return [_plain(one) for one in value]
        case str():
            return _written(value)
    return value


def _library(library: LibraryFacts, hide: "_Hiding") -> dict[str, Any]:
    shown = sorted(library.requests, key=_when)[-MOST_REQUESTS:]
    return {
        "accepted_at": instant(library.accepted_at),
        "came_back": library.came_back,
        "checked_at": instant(library.checked_at),
        "faces": library.faces,
        "looks": library.looks,
        "method": hide(library.method),
        "name": library.name,
        "reason": hide(library.reason),
        "requests": [
            {"at": instant(one.at), "operation": hide(one.operation), "request_id": hide(one.request_id)}
            for one in shown
        ],
        "requests_before": len(library.requests) - len(shown),
        "vendor": library.vendor,
        "verdict": library.verdict,
    }


def _when(request: Request) -> datetime:
    return request.at or datetime.min.replace(tzinfo=UTC)


class _Hiding:
    """Takes the person's id, and what vendors know them by, out of words."""

    def __init__(self, person: PersonId) -> None:
        self._patterns = [_pattern(one) for one in _names(person)]

    def __call__(self, words: str | None) -> str | None:
        if words is None:
            return None
        for pattern in self._patterns:
            words = pattern.sub(MASK, words)
        return _written(words)


def _names(person: PersonId) -> Iterable[str]:
    """The longest first, because one may be a part of another."""
    return sorted({name for name in (person, person_key(person), person_hash(person)) if name}, key=len, reverse=True)


def _pattern(name: str) -> re.Pattern[str]:
    """A short id is looked for as a whole word: "7" is not the person in "72 hours"."""
    bound = r"(?<!\w)%s(?!\w)" if len(name) < _SHORT else "%s"
    return re.compile(bound % re.escape(name), re.IGNORECASE)


def _written(words: str) -> str:
    """One line that every tool writes alike, of a bounded length."""
    return "".join(letter if letter.isprintable() else " " for letter in words[:_LONGEST_WORDS])
