"""What an outcome makes of a delivery: DESIGN's table of endings, as one function."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import assert_never

from syncsvc.flow.attempt import Ended
from syncsvc.model.outcomes import Applied, Deferred, Doubtful, Halted, Refused
from syncsvc.model.people import Face, Held, Revision
from syncsvc.model.report import Doubt
from syncsvc.model.urgency import MAX_ATTEMPTS, Urgency, backoff, rank
from syncsvc.store.rows import Claimed, Settlement

LONGEST_WAIT = 3600.0  # whatever a vendor says: nobody waits for a day on one strange answer
LOOK_BASE, LOOK_CAP = 1.0, 60.0  # seconds: a doubt is resolved sooner than an outage is over


def ending(claimed: Claimed, ended: Ended, *, probe: bool, now: datetime) -> Settlement:
    """The row to write. `probe`: this errand only tried whether the library works, so its failure is not its own."""
    outcome, tried = ended.outcome, claimed.attempts
    unread = ended.errand.doubtful and not ended.looked
    again = Settlement(
        state="doubtful" if unread else "due",
        due_at=now,
        attempts=tried,
        verb=claimed.verb,
        doubt=(ended.errand.doubt or Doubt(0, claimed.wanted)) if unread else None,
    )
    if not isinstance(outcome, Applied):
        again = replace(again, reason=outcome.reason, detail=outcome.detail)
    match outcome:
        case Applied(complete=True):
            return replace(again, state="synced", attempts=0, doubt=None)
        case Applied():
            return _not_yet(claimed, ended, again, now)
        case Deferred(costs_attempt=False, delay=delay):
            return replace(again, due_at=_after(now, delay or 0.0), attempts=tried - 1)
        case Deferred(about_person=False) if probe:
            return replace(again, due_at=_after(now, backoff(tried)), attempts=tried - 1)
        case Deferred(delay=delay):
            due = _after(now, backoff(tried) if delay is None else delay)
            return _unless_exhausted(replace(again, due_at=due), now)
        case Doubtful():
            due = _after(now, backoff(tried, base=LOOK_BASE, cap=LOOK_CAP))
            attempts = tried - 1 if probe and outcome.library_fails and not outcome.about_person else tried
            doubt = _doubt(again.doubt, ended.lost_adds, claimed.wanted)
            return _unless_exhausted(replace(again, state="doubtful", due_at=due, attempts=attempts, doubt=doubt), now)
        case Refused(face_id=face):
            return replace(again, state="refused", face=face)
        case Halted():
            return replace(again, attempts=tried - 1)
        case _:
            assert_never(outcome)


def _not_yet(claimed: Claimed, ended: Ended, again: Settlement, now: datetime) -> Settlement:
    """The library did it and more is to do: a removal that went first, or faces that are not as they should be."""
    person = ended.errand.person
    if claimed.verb == "delete" and person.faces and not _has(person.faces, ended.held):
        rest = rank(Urgency.REPLACEMENT, claimed.wanted_at)
        return replace(again, state="due", verb="replace", attempts=0, rank=rest)
    words = "the library still shows other faces than it should; it is asked again"
    verb = "replace" if person.faces else "delete"
    due = _after(now, backoff(claimed.attempts))
    off = replace(again, state="due", verb=verb, due_at=due, reason="library_disagrees", detail=words)
    return _unless_exhausted(off, now)


def _has(wanted: tuple[Face, ...], held: Held) -> bool:
    """Whether every wanted face is there, whatever else is."""
    return {(face.id, face.digest) for face in wanted} <= {(face.face_id, face.digest) for face in held}


def _doubt(unresolved: Doubt | None, lost_adds: int, wanted: Revision) -> Doubt:
    """What an errand without an answer leaves open, on top of an earlier doubt that it could not resolve."""
    if unresolved is None:
        return Doubt(lost_adds, wanted)
    return Doubt(unresolved.adds + lost_adds, unresolved.revision)


def _unless_exhausted(settlement: Settlement, now: datetime) -> Settlement:
    if settlement.attempts < MAX_ATTEMPTS:
        return settlement
    return replace(settlement, state="exhausted", due_at=now)  # nothing waits for it any more: since when it is so


def _after(now: datetime, seconds: float) -> datetime:
    return now + timedelta(seconds=min(seconds, LONGEST_WAIT))
