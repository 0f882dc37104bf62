"""One try: look first where in doubt, ask the library, and say in one word how it went."""

from collections.abc import Callable, Mapping, Sequence
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
from syncsvc.model.people import Face, Held, Person, PersonId, VendorFaceId, vendor_ids
from syncsvc.model.plan import Remove, agrees, steps, unwanted
from syncsvc.model.report import Doubt, Reading, after_look
from syncsvc.model.situations import Finding, Situation

INTERNAL = "internal_error"  # the reason of a doubt that is our own fault
BeforeAdding = Callable[[PersonId, tuple[Finding, ...], int], None]
THROTTLE_WAIT = 2.0  # seconds, where a vendor says "slow down" without saying for how long


@dataclass(frozen=True, slots=True)
class Errand:
    """A claimed delivery with all that is needed to run it.

    `doubtful`: what the library holds must be read before anything else. `foreign` are ids noted earlier
    under this person as not ours. `lost` are pictures that the person should have had since the doubt began
    and should no more: an add of one may be there all the same. `sealed` says why a picture cannot be opened.
    `looked` is set once the library has been read, `read` to what was held then, and `vanished` to those of
    `foreign` that are not there any more, or are ours to remove.
    """

    delivery: int
    person: Person
    held: Held
    doubtful: bool = False
    doubt: Doubt | None = None
    foreign: frozenset[VendorFaceId] = frozenset()
    lost: tuple[Face, ...] = ()
    sealed: str | None = None
    looked: bool = False
    read: Held = ()
    vanished: frozenset[VendorFaceId] = frozenset()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Ended:
    """An errand with its outcome. `errand.held` stays what was held before, `held` is what is held now.

    `lost_adds`: so many faces at most may be there without our knowing, because no answer told of them. `seen`
    is the errand after the library was read.
    """

    errand: Errand
    outcome: Outcome
    looked: bool
    held: Held
    findings: tuple[Finding, ...]
    lost_adds: int = 0
    seen: Errand | None = None


def replace_one(shelf: Shelf, library: FaceLibrary[Any], errand: Errand, before_adding: BeforeAdding) -> Ended:
    """Make the library hold what the person should have there.

    `before_adding` writes down who is listed under the person, where only that tells our faces from others.
    """
    seen = errand
    try:
        seen = _look_first(shelf, library, errand)
        seen = _note_strangers(shelf, library, seen, before_adding)
    except ErrandError as error:
        return _ended_early(errand, seen, error)
    kept = _kept(shelf, seen.person, seen.held)  # out of the plan, and held all the same
    try:
        reading = library.replace(seen.person, tuple(face for face in seen.held if face not in kept))
    except ErrandError as error:
        if error.held is not None:
            error.held = (*error.held, *kept)
        return _ended_early(errand, seen, error, lost_adds=int(error.adding))
    complete = agrees(seen.person.faces, reading.held)
    ours = tuple(one for one in reading.findings if one.vendor_face_id not in vendor_ids(kept))
    reading = replace(reading, held=(*reading.held, *kept), findings=ours)
    return _applied(shelf, errand, seen, reading, complete=complete)


def delete_some(shelf: Shelf, library: FaceLibrary[Any], errands: Sequence[Errand]) -> list[Ended]:
    """Take out what is unwanted, for several people in as few calls as the library needs."""
    ended: list[Ended] = []
    ready: dict[PersonId, tuple[Errand, Errand]] = {}
    for errand in errands:
        try:
            ready[errand.person.id] = (errand, _look_first(shelf, library, errand))
        except ErrandError as error:
            ended.append(_ended_early(errand, errand, error))
    for person, answer in _removed(shelf, library, [seen for _, seen in ready.values()]).items():
        errand, seen = ready[person]
        if isinstance(answer, ErrandError):
            ended.append(_ended_early(errand, seen, answer))
        else:
            kept = _kept(shelf, seen.person, answer.held)
            left = tuple(face for face in answer.held if face not in kept)
            ended.append(_applied(shelf, errand, seen, answer, complete=agrees(seen.person.faces, left)))
    return ended


def _note_strangers(shelf: Shelf, library: FaceLibrary[Any], errand: Errand, before_adding: BeforeAdding) -> Errand:
    """Read the person before an add whose face nothing will mark as ours."""
    caps = library.capabilities
    if caps.labels or shelf.owned:
        return errand
    plan = steps(errand.person.faces, errand.held, native_replace=caps.native_replace, max_faces=caps.max_faces)
    if all(isinstance(step, Remove) for step in plan):
        return errand
    if not errand.looked:
        seen = library.look(errand.person, errand.held)
        reading = after_look(errand.person, errand.held, seen, foreign=errand.foreign)
        errand = replace(errand, held=reading.held, findings=(*errand.findings, *reading.findings))
    before_adding(errand.person.id, errand.findings, sum(not isinstance(step, Remove) for step in plan))
    return errand


def _kept(shelf: Shelf, person: Person, held: Held) -> Held:
    """What stays although it is unwanted: under `upsert-only` all of it, but for a wanted face's former pictures."""
    if shelf.policy != "upsert-only":
        return ()
    wanted = {face.id for face in person.faces}
    return tuple(face for face in unwanted(person.faces, held) if face.face_id not in wanted)


def _removed(
    shelf: Shelf, library: FaceLibrary[Any], errands: Sequence[Errand]
) -> Mapping[PersonId, Reading | ErrandError]:
    if shelf.policy == "upsert-only":
        return {errand.person.id: Reading(errand.held) for errand in errands}
    return library.delete([(errand.person, errand.held) for errand in errands]) if errands else {}


def outcome_of(error: ErrandError) -> Outcome:
    """The one place where what a vendor did becomes one of the five words."""
    match error:
        case NoPermitError():
            return Deferred(error.wait, "own_pace", str(error), costs_attempt=False)
        case ThrottledError():
            return Deferred(error.retry_after or THROTTLE_WAIT, "throttled", str(error), costs_attempt=False)
        case UncertainError():
            own = error.about_person
            return Doubtful(error.code or "uncertain", str(error), library_fails=True, about_person=own)
        case RejectedError():
            return Refused(error.code or "rejected", str(error), error.face_id)
        case MisconfiguredError():
            return Halted(error.code or "misconfigured", str(error))
        case UnavailableError():
            reason, own = error.code or "unavailable", error.about_person
            return Deferred(None, reason, str(error), costs_attempt=True, library_fails=True, about_person=own)
        case LibraryError():  # Gone or Exists where the adapter did not expect it: we no longer know what is there
            return Doubtful(error.code or "unexpected", str(error))
        case _:
            return Doubtful("unexpected", str(error))


def _look_first(shelf: Shelf, library: FaceLibrary[Any], errand: Errand) -> Errand:
    """Read what the library holds where an earlier try leaves it open, and take back an add that hides."""
    if not errand.doubtful:
        return errand
    seen = library.look(errand.person, errand.held)
    foreign = frozenset() if shelf.owned else errand.foreign  # in a library of ours nobody is a stranger
    reading = after_look(errand.person, errand.held, seen, doubt=errand.doubt, owned=shelf.owned, foreign=foreign)
    if not seen.complete and errand.doubt and errand.doubt.adds:
        bound = {(face.face_id, face.digest) for face in reading.held}
        for face in errand.person.faces + errand.lost:
            if (face.id, face.digest) not in bound:
                library.take_back(errand.person, face)
    there = vendor_ids(seen.faces)
    vanished = errand.foreign - there if seen.complete else frozenset()
    return replace(
        errand,
        held=reading.held,
        findings=reading.findings,
        looked=True,
        read=tuple(face for face in reading.held if face.vendor_face_id in there),
        vanished=vanished | (errand.foreign & there) if shelf.owned else vanished,
    )


def _applied(shelf: Shelf, errand: Errand, seen: Errand, reading: Reading, *, complete: bool) -> Ended:
    strangers = any(finding.situation is Situation.FOREIGN for finding in reading.findings)
    outcome: Outcome = Applied(complete)
    if reading.doubtful:
        words = "the library's answer does not fit what was asked; its faces of this person are read next"
        outcome = Doubtful("answer_does_not_fit", words)
    elif strangers and shelf.owned and shelf.policy == "sync":
        words = "the library lists a face that should not be in it; the person's faces are read and it is removed"
        outcome = Doubtful("stray_listed", words)
    findings = (*seen.findings, *reading.findings)
    lost_adds = int(reading.doubtful and reading.adding)
    return Ended(errand, outcome, seen.looked, reading.held, findings, lost_adds, seen)


def _ended_early(errand: Errand, seen: Errand, error: ErrandError, *, lost_adds: int = 0) -> Ended:
    held = seen.held if error.held is None else error.held
    findings = (*seen.findings, *error.findings)
    return Ended(errand, outcome_of(error), seen.looked, held, findings, lost_adds, seen)
