"""What a receipt says: of an erasure, library by library and without naming anybody, or of a library that retired."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from syncsvc.model.keys import person_hash, person_key
from syncsvc.model.people import PersonId
from syncsvc.model.receipt_form import FORMAT, Kind, canonical

MOST_REQUESTS = 100  # to one library, the newest
MASK = "[person]"
_LONGEST_WORDS = 500
_SHORT = 4  # characters of an id that may well be a part of other words


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
