"""Reads a library after it said that a departed person's faces are gone, and says what that proves."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from syncsvc.flow.house import House, Shelf
from syncsvc.library.http import Call
from syncsvc.model.erasures import Verdict
from syncsvc.model.errors import ErrandError
from syncsvc.model.keys import is_our_label
from syncsvc.model.people import Held, HeldFace, Person, vendor_ids
from syncsvc.model.report import Seen
from syncsvc.store import Transaction
from syncsvc.store.erasures import Erasure, InLibrary, Request
from syncsvc.store.libraries import LibraryState
from syncsvc.store.rows import Delivery

READ_WITHIN = 30.0  # seconds for all calls of one reading
READ_AFTER = timedelta(seconds=5)  # a library may show for some seconds what it has deleted
LONGEST_PAUSE = timedelta(hours=1)  # before a library is read that has had faces again, however often
SOONEST, LATEST = timedelta(seconds=5), timedelta(minutes=15)  # between two looks at what is still to be done

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Look:
    """One erasure in one library, with what is known before the library is asked; `remaining` counts the faces that
    are known to be there."""

    erasure: Erasure
    place: InLibrary
    state: LibraryState | None
    delivery: Delivery | None
    remaining: int

    @property
    def settled(self) -> bool:
        """Whether the library has said that it did what the departure owes it, or something newer."""
        one = self.delivery
        return one is not None and one.state == "synced" and one.held is not None and one.held >= self.erasure.revision

    @property
    def owed(self) -> bool:
        """Whether the library was told at all."""
        return self.delivery is not None and self.delivery.wanted >= self.erasure.revision


@dataclass(frozen=True, slots=True)
class Found:
    """What a reading makes of a place. `strays` are ours and are there; `failed`: the library could not be read."""

    place: InLibrary
    strays: Held = ()
    failed: bool = False


def without_reading(look: Look, now: datetime) -> InLibrary | None:
    """What is to be said of the place although nobody reads the library; None: it is to be read now."""
    place, state = look.place, look.state
    if state is None or not state.configured:
        if place.verdict is Verdict.VERIFIED_ABSENT:
            return replace(place, check_at=None)
        return unverifiable(place, "the library is not in the configuration any more, so nobody can look", now)
    if state.policy != "sync":
        left = f"{look.remaining} faces of the person remain" if look.remaining else "no face is known to be there"
        return unverifiable(place, f"nothing is removed there, as its policy is {state.policy}; {left}", now)
    closed = _closed(state, now)
    if _final(place):  # the second look; of what was verified, whatever the library is owed by now
        since = look.erasure.second_look_at or look.erasure.opened_at
        waits = closed or not (look.settled or place.verdict is Verdict.VERIFIED_ABSENT)
        return replace(place, check_at=again(now, since)) if waits else None
    if not look.settled:
        words = closed or _trying(look)
        check_at = again(now, look.erasure.opened_at)
        return replace(place, verdict=Verdict.UNREACHABLE, method=None, reason=words, check_at=check_at)
    if closed:
        return replace(place, reason=f"{closed}, so it cannot be read", check_at=again(now, look.erasure.opened_at))
    read_at = _read_at(look)
    return replace(place, check_at=read_at) if now < read_at else None


def accepted(tx: Transaction, look: Look) -> Look:
    """The same look, with the vendor's word written down and the calls that led to it, where it is new."""
    place, delivery = look.place, look.delivery
    if not look.settled or delivery is None or place.verdict not in {None, Verdict.UNREACHABLE}:
        return look
    since = place.accepted_at or look.erasure.opened_at
    tries = tx.attempts.of_person(look.erasure.person, library=place.library)
    requests = tuple(
        request
        for one in reversed(tries)
        if one.verb == "delete" and one.started_at >= since
        for request in _requests([(str(call["operation"]), call["request_id"]) for call in one.calls], one.started_at)
    )
    known = replace(
        place,
        verdict=Verdict.VENDOR_ACCEPTED,
        method=None,
        reason=None,
        accepted_at=delivery.settled_at,
        requests=(*place.requests, *(one for one in requests if one not in place.requests)),
    )
    return replace(look, place=known)


def read(house: House, shelf: Shelf, look: Look) -> Found:
    """Ask the library for every face that was ever bound, whatever came of it; changes nothing anywhere."""
    erasure, place = look.erasure, look.place
    with house.store.reading() as tx:
        known = tx.people.get(erasure.person)
        back = known is not None and known.departed_at is None
        # What an errand added that was under way when they left is bound later, and theirs. Who is back has new ones,
        # which are in use.
        ever = tuple(tx.erasures.ever_bound(place.library, erasure.person, erasure.opened_at if back else None))
        held = tx.bindings.held(place.library, [erasure.person])[erasure.person]
    asked = tuple(HeldFace(one.vendor_face_id, one.vendor_image_id) for one in ever)
    door = shelf.library.door.for_errand(time.monotonic() + READ_WITHIN)
    now = house.clock()
    try:
        seen = shelf.library.at(door).look(Person(erasure.person, erasure.revision), asked)
    except ErrandError as error:
        return _unread(look, str(error), door.journal, now)
    except Exception as error:  # noqa: BLE001 - the task boundary: one strange answer must not stop the others
        log.error("reading back failed", library=place.library, error=type(error).__name__)  # noqa: TRY400
        return _unread(look, f"a fault in syncsvc itself ({type(error).__name__})", door.journal, now)
    wanted = vendor_ids([one for one in held if one.face_id is not None]) if back else frozenset()
    in_use, ours = vendor_ids(ever) & wanted, vendor_ids(ever) - wanted
    strays = () if back else _strays(shelf, look, seen, asked)  # somebody may be adding to who is back
    place = replace(
        place,
        faces=len(ever),
        looks=place.looks + 1,
        checked_at=now,
        requests=(*place.requests, *_requests([(one.operation, one.request_id) for one in door.journal], now)),
    )
    there = vendor_ids(seen.faces)
    if found := tuple(one for one in asked if one.vendor_face_id in ours & there) + strays:
        return Found(_came_back(place, len(found), now), found)
    if untold := frozenset() if seen.complete else ours - seen.absent:
        words = f"the library does not say of {len(untold)} face ids whether they are there"
        return Found(unverifiable(place, words, now))
    if in_use:
        words = f"the person came back before their faces were deleted, and {len(in_use)} of them are in use again"
        return Found(unverifiable(place, words, now))
    others = there - vendor_ids(ever) - vendor_ids(held)
    words = _method(seen, len(ours)) + (f"; {len(others)} faces there were never ours" if others and not back else "")
    return Found(replace(place, verdict=Verdict.VERIFIED_ABSENT, method=words, reason=None, check_at=None))


def unverifiable(place: InLibrary, words: str, now: datetime) -> InLibrary:
    """Nobody can say more of it."""
    seen_at = place.checked_at or now
    return replace(place, verdict=Verdict.UNVERIFIABLE, method=None, reason=words, checked_at=seen_at, check_at=None)


def again(now: datetime, since: datetime) -> datetime:
    """When to look at what has been to do since then: the longer it has lasted, the more seldom."""
    return now + min(LATEST, max(SOONEST, (now - since) / 4))


def _strays(shelf: Shelf, look: Look, seen: Seen, asked: Held) -> Held:
    """Faces nobody told us of, which are there under a departed person's name and can only be ours."""
    person = look.erasure.person
    unknown = [one for one in seen.faces if one.vendor_face_id not in vendor_ids(asked)]
    return tuple(
        HeldFace(one.vendor_face_id, one.vendor_image_id)
        for one in unknown
        if shelf.owned or is_our_label(person, one.label)
    )


def _came_back(place: InLibrary, count: int, now: datetime) -> InLibrary:
    times = place.came_back + 1
    words = f"the library still shows {count} faces that it had said were deleted; it is asked again"
    return replace(
        place,
        verdict=Verdict.UNREACHABLE,
        method=None,
        reason=words,
        came_back=times,
        check_at=now + _pause(times),
    )


def _unread(look: Look, words: str, calls: Sequence[Call], now: datetime) -> Found:
    place, erasure = look.place, look.erasure
    requests = (*place.requests, *_requests([(one.operation, one.request_id) for one in calls], now))
    if _final(place):
        since = erasure.second_look_at or erasure.opened_at
        return Found(replace(place, requests=requests, check_at=again(now, since)), failed=True)
    reason = f"it could not be read back so far: {words}"
    later = again(now, place.accepted_at or erasure.opened_at)
    return Found(replace(place, reason=reason, requests=requests, check_at=later), failed=True)


def _final(place: InLibrary) -> bool:
    return place.verdict is not None and place.verdict.final


def _closed(state: LibraryState, now: datetime) -> str | None:
    if state.state == "paused":
        return "the library is paused"
    if state.state == "halted":
        return "the library is halted until an operator mends its configuration"
    if state.open_until is not None and state.open_until > now:
        return "the library has failed several times in a row and is given a rest"
    return None


def _trying(look: Look) -> str:
    one = look.delivery
    if one is None or not look.owed:
        return "still trying: the deletion is about to be asked for"
    detail = f": {one.detail}" if one.detail else ""
    match one.state:
        case "refused":
            return f"the library refused the deletion{detail}"
        case "exhausted":
            return f"every attempt at the deletion failed{detail}"
        case _ if look.place.came_back:
            return look.place.reason or "still trying: the library still shows faces"
        case _ if one.attempts:
            return f"still trying, after {one.attempts} attempts{detail}"
        case _:
            return "still trying: the deletion is queued"


def _read_at(look: Look) -> datetime:
    """Some time after the library's word, and not all at the same moment; longer, the more often it proved wrong."""
    assert look.delivery is not None
    settled = look.delivery.settled_at or look.erasure.opened_at
    spread = READ_AFTER * (int(look.erasure.id[:4], 16) / 0xFFFF)
    return settled + _pause(look.place.came_back) + spread


def _pause(came_back: int) -> timedelta:
    return min(LONGEST_PAUSE, READ_AFTER * 2.0 ** min(came_back, 20))


def _method(seen: Seen, asked: int) -> str:
    if seen.complete:
        return "the person was listed; no face of ours is there"
    if not asked:
        return "no face of the person was ever made there, so there is none to ask for"
    return f"each of {asked} face ids was asked for; none is there"


def _requests(calls: Sequence[tuple[str, object]], at: datetime) -> tuple[Request, ...]:
    """Those calls that the vendor can find in its own log."""
    return tuple(
        {"operation": operation, "request_id": str(told), "at": at.isoformat()} for operation, told in calls if told
    )
