"""One try: look first where in doubt, ask the library, and say in one word how it went."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from syncsvc.flow.house import Shelf
from syncsvc.library.base import FaceLibrary
from syncsvc.model.errors import (
    ErrandError,
    LibraryError,
    MisconfiguredError,
    NoPermitError,
    RejectedError,
    ThrottledError,
    UnavailableError,
    UncertainError,
)
from syncsvc.model.outcomes import Applied, Deferred, Doubtful, Halted, Outcome, Refused
from syncsvc.model.people import Held, Person, PersonId, VendorFaceId
from syncsvc.model.plan import agrees, unwanted
from syncsvc.model.report import Doubt, Reading, after_look
from syncsvc.model.situations import Finding

THROTTLE_WAIT = 2.0  # seconds, where a vendor says "slow down" without saying for how long


@dataclass(frozen=True, slots=True)
class Errand:
    """A claimed delivery with all that is needed to run it.

    `doubtful`: what the library holds must be read before anything else. `foreign` are ids noted earlier
    under this person as not ours. `looked` is set once the library has been read.
    """

    delivery: int
    person: Person
    held: Held
    doubtful: bool = False
    doubt: Doubt | None = None
    foreign: frozenset[VendorFaceId] = frozenset()
    looked: bool = False
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Ended:
    """An errand with its outcome. `errand.held` stays what was held before, `held` is what is held now."""

    errand: Errand
    outcome: Outcome
    looked: bool
    held: Held
    findings: tuple[Finding, ...]


def replace_one(shelf: Shelf, library: FaceLibrary[Any], errand: Errand) -> Ended:
    """Make the library hold what the person should have there."""
    seen = errand
    try:
        seen = _look_first(shelf, library, errand)
        # Under `upsert-only` nothing leaves: what is unwanted is kept out of the plan and stays held.
        kept = unwanted(seen.person.faces, seen.held) if shelf.policy == "upsert-only" else ()
        reading = library.replace(seen.person, tuple(face for face in seen.held if face not in kept))
        complete = agrees(seen.person.faces, reading.held)
        return _applied(errand, seen, replace(reading, held=(*reading.held, *kept)), complete=complete)
    except ErrandError as error:
        return _ended_early(errand, seen, error)


def delete_some(shelf: Shelf, library: FaceLibrary[Any], errands: Sequence[Errand]) -> list[Ended]:
    """Take out what is unwanted, for several people in as few calls as the library needs."""
    if shelf.policy == "upsert-only":
        return [_applied(errand, errand, Reading(errand.held), complete=True) for errand in errands]
    ended: list[Ended] = []
    ready: dict[PersonId, tuple[Errand, Errand]] = {}
    for errand in errands:
        try:
            ready[errand.person.id] = (errand, _look_first(shelf, library, errand))
        except ErrandError as error:
            ended.append(_ended_early(errand, errand, error))
    answers = library.delete([(seen.person, seen.held) for _, seen in ready.values()]) if ready else {}
    for person, (errand, seen) in ready.items():
        answer = answers[person]
        if isinstance(answer, ErrandError):
            ended.append(_ended_early(errand, seen, answer))
        else:
            ended.append(_applied(errand, seen, answer, complete=agrees(errand.person.faces, answer.held)))
    return ended


def outcome_of(error: ErrandError) -> Outcome:
    """The one place where what a vendor did becomes one of the five words."""
    match error:
        case NoPermitError():
            return Deferred(error.wait, "own_pace", str(error), costs_attempt=False)
        case ThrottledError():
            return Deferred(error.retry_after or THROTTLE_WAIT, "throttled", str(error), costs_attempt=False)
        case UncertainError():
            return Doubtful(error.code or "uncertain", str(error), library_fails=True)
        case RejectedError():
            return Refused(error.code or "rejected", str(error), error.face_id)
        case MisconfiguredError():
            return Halted(error.code or "misconfigured", str(error))
        case UnavailableError():
            return Deferred(None, error.code or "unavailable", str(error), costs_attempt=True, library_fails=True)
        case LibraryError():  # Gone or Exists where the adapter did not expect it: we no longer know what is there
            return Doubtful(error.code or "unexpected", str(error))
        case _:
            return Doubtful("unexpected", str(error))


def _look_first(shelf: Shelf, library: FaceLibrary[Any], errand: Errand) -> Errand:
    """Read what the library holds where an earlier try leaves it open, and take back an add that hides."""
    if not errand.doubtful:
        return errand
    seen = library.look(errand.person, errand.held)
    reading = after_look(
        errand.person, errand.held, seen, doubt=errand.doubt, owned=shelf.owned, foreign=errand.foreign
    )
    if not seen.complete and errand.doubt and errand.doubt.adds:
        bound = {(face.face_id, face.digest) for face in reading.held}
        for face in errand.person.faces:
            if (face.id, face.digest) not in bound:
                library.retract(errand.person, face)
    return replace(errand, held=reading.held, findings=reading.findings, looked=True)


def _applied(errand: Errand, seen: Errand, reading: Reading, *, complete: bool) -> Ended:
    findings = (*seen.findings, *reading.findings)
    if reading.doubtful:
        words = "the library's answer does not fit what was asked; its faces of this person are read next"
        outcome: Outcome = Doubtful("answer_does_not_fit", words)
    else:
        outcome = Applied(complete)
    return Ended(errand, outcome, seen.looked, reading.held, findings)


def _ended_early(errand: Errand, seen: Errand, error: ErrandError) -> Ended:
    held = seen.held if error.held is None else error.held
    return Ended(errand, outcome_of(error), seen.looked, held, (*seen.findings, *error.findings))
