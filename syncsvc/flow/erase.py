"""Pursues every departure until each library was read and has nothing of the person: verdicts, second looks, deadlines.

"Accepted" is the vendor's word and is never shown as more; "verified" is what we have read ourselves.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import structlog

from syncsvc.flow.house import House
from syncsvc.flow.look_back import SOONEST, Found, Look, accepted, read, without_reading
from syncsvc.flow.receipts import issue
from syncsvc.model.callbacks import Notice
from syncsvc.model.erasures import Verdict
from syncsvc.model.people import LibraryName
from syncsvc.model.urgency import Urgency, rank
from syncsvc.store import Transaction
from syncsvc.store.bindings import Became
from syncsvc.store.erasures import Erasure, InLibrary
from syncsvc.store.rows import Want

SECONDS = 20.0  # of one round, about; the next one goes on
AT_ONCE = 100  # erasures in libraries that are leased together
LEASE = timedelta(minutes=5)  # longer than a round and the reading that it ends with

log = structlog.get_logger(__name__)


def pursue(house: House, *, seconds: float = SECONDS) -> None:
    """One round: look at what is due in each library, read what is to be read, and mind the deadlines.

    Safe to run twice and at the same time, and to be stopped at any moment. Raises only what the database raises.
    """
    _look_at_libraries(house, time.monotonic() + seconds)
    _mind_deadlines(house)


def _look_at_libraries(house: House, until: float) -> None:
    tired: set[LibraryName] = set()  # could not be read in this round, so nobody else waits for them
    while time.monotonic() < until:
        now = house.clock()
        with house.store.transaction() as tx:
            taken = tx.erasures.take(now, now + LEASE, AT_ONCE)
        if not taken:
            return
        with house.store.reading() as tx:
            looks = [(one, accepted(tx, one)) for one in _looks(tx, taken)]
        to_read: list[tuple[InLibrary, Look]] = []
        for before, look in looks:
            said = without_reading(look, now)
            if said is None:
                to_read.append((before.place, look))
            else:
                _conclude(house, before, Found(said))
        for place, look in to_read:
            shelf = house.shelves.get(place.library)
            if shelf is None or place.library in tired or time.monotonic() >= until:
                late = Found(replace(look.place, check_at=house.clock() + SOONEST))
                _conclude(house, replace(look, place=place), late)
                continue
            found = read(house, shelf, look)
            if found.failed:
                tired.add(place.library)
            _conclude(house, replace(look, place=place), found)


def _looks(tx: Transaction, taken: Sequence[InLibrary]) -> list[Look]:
    known = tx.erasures.these({one.erasure for one in taken})
    people = {known[one.erasure].person for one in taken}
    states = {one.name: one for one in tx.libraries.all()}
    owed = {(one.person, one.library): one for each in tx.deliveries.of_people(people).values() for one in each}
    held = {name: tx.bindings.held(name, people) for name in sorted({one.library for one in taken})}
    return [
        Look(
            known[one.erasure],
            one,
            states.get(one.library),
            owed.get((known[one.erasure].person, one.library)),
            len(held[one.library][known[one.erasure].person]),
        )
        for one in taken
    ]


def _conclude(house: House, look: Look, found: Found) -> None:
    """Write what was found, in one transaction with all that follows from it; nothing where the lease is lost.

    Whoever dies before has changed nothing: the lease runs out, and the library is read again.
    """
    house.store.patiently(partial(_write, house, look, found))


def _write(house: House, look: Look, found: Found, tx: Transaction) -> None:
    now, place = house.clock(), look.place
    receives = look.state is not None and look.state.receives
    if found.strays or (receives and not look.owed and found.place.verdict is Verdict.UNREACHABLE):
        _owe_again(tx, look, found, now)
    erasure = tx.erasures.lock(look.erasure.id)
    if tx.erasures.put(place, found.place):
        _settle_up(tx, house, erasure, now)


def _owe_again(tx: Transaction, look: Look, found: Found, now: datetime) -> None:
    """Have the library read by a delivery and what is found there taken out; who is back keeps their new faces."""
    library, person = look.place.library, look.erasure.person
    known = tx.people.lock(person, now)
    urgent = rank(Urgency.DEPARTURE, now)
    for owed in tx.deliveries.want([Want(library, person, "delete", known.revision, len(known.faces), urgent)], now):
        tx.deliveries.look_again(owed.id, now)
    tx.bindings.settle([Became(library, person, (), found.strays)], now)


def _settle_up(tx: Transaction, house: House, erasure: Erasure, now: datetime) -> None:
    """What the whole of a locked erasure has become by its libraries."""
    places = tx.erasures.libraries(erasure.id)
    if any(one.verdict is None or not one.verdict.final for one in places):
        if erasure.state != "open":
            tx.erasures.amend(
                erasure.id,
                state="open",
                verified_at=None,
                second_look_at=None,
                finished_at=None,
                check_at=_next_deadline(house, erasure),
            )
            words = {"erasure": erasure.id, "libraries": _unfinished(places)}
            tx.afterwards(partial(log.warning, "faces came back after their erasure was verified", **words))
    elif erasure.state == "open":
        second = now + house.erasing.second_look
        tx.erasures.amend(
            erasure.id,
            state="verified",
            verified_at=now,
            second_look_at=second,
            check_at=None if places else second,
        )
        tx.erasures.look_again(erasure.id, second)
        verified = replace(erasure, state="verified", verified_at=now)
        tx.callbacks.owe(house.callbacks, [_notice("verified", verified, places)], now)
        tx.afterwards(partial(log.info, "erasure verified", erasure=erasure.id, libraries=len(places)))
        issue(tx, house, erasure.id, "verified", now)
    elif erasure.state == "verified" and _looked_twice(erasure, places, now):
        tx.erasures.amend(erasure.id, state="confirmed", finished_at=now, check_at=None)
        tx.afterwards(partial(log.info, "erasure confirmed", erasure=erasure.id, libraries=len(places)))
        issue(tx, house, erasure.id, "confirmed", now)


def _looked_twice(erasure: Erasure, places: Sequence[InLibrary], now: datetime) -> bool:
    come = erasure.second_look_at is not None and erasure.second_look_at <= now
    return come and all(one.check_at is None for one in places)


def _mind_deadlines(house: House) -> None:
    """Warn of what may come too late, say what did; and conclude what no library was ever told of."""
    now = house.clock()
    with house.store.reading() as tx:
        due = tx.erasures.due(now, AT_ONCE)
    for one in due:
        house.store.patiently(partial(_mind, house, one))


def _mind(house: House, which: str, tx: Transaction) -> None:
    now = house.clock()
    erasure = tx.erasures.lock(which)
    if erasure.check_at is None or erasure.check_at > now:
        return  # somebody else was here
    places = tx.erasures.libraries(which)
    if not places:
        _settle_up(tx, house, erasure, now)
        return
    if erasure.state != "open":
        tx.erasures.amend(which, check_at=None)
        return
    words = {"erasure": which, "due_at": erasure.due_at.isoformat(), "libraries": _unfinished(places)}
    late = now >= erasure.due_at
    warned_at, overdue_at = erasure.warned_at, erasure.overdue_at
    if erasure.warned_at is None and now >= erasure.due_at - house.erasing.warn_before:
        warned_at = now
        tx.callbacks.owe(house.callbacks, [_notice("late", erasure, places)], now)
        if not late:
            tx.afterwards(partial(log.error, "erasure may come too late", **words))
    if late and erasure.overdue_at is None:
        overdue_at = now
        tx.afterwards(partial(log.error, "erasure is overdue", **words))
    after = replace(erasure, warned_at=warned_at, overdue_at=overdue_at)
    tx.erasures.amend(which, check_at=_next_deadline(house, after), warned_at=warned_at, overdue_at=overdue_at)
    if overdue_at != erasure.overdue_at:
        issue(tx, house, which, "overdue", now)


def _next_deadline(house: House, erasure: Erasure) -> datetime | None:
    if erasure.warned_at is None:
        return erasure.due_at - house.erasing.warn_before
    return erasure.due_at if erasure.overdue_at is None else None


def _unfinished(places: Sequence[InLibrary]) -> dict[str, str]:
    """Library -> what is known of it, of those that are not done."""
    return {
        one.library: one.verdict.value if one.verdict else "not looked at yet"
        for one in places
        if one.verdict is None or not one.verdict.final
    }


def _notice(what: str, erasure: Erasure, places: Sequence[InLibrary]) -> Notice:
    """Ids and reasons; of a late one, only the libraries that are not done."""
    told = [one for one in places if what != "late" or one.verdict is None or not one.verdict.final]
    content = {
        "erasure": erasure.id,
        "person": {"id": erasure.person},
        "revision": erasure.revision,
        "opened_at": _instant(erasure.opened_at),
        "due_at": _instant(erasure.due_at),
        "verified_at": _instant(erasure.verified_at),
        "libraries": [
            {
                "name": one.library,
                "verdict": one.verdict.value if one.verdict else None,
                "method": one.method,
                "reason": one.reason,
                "checked_at": _instant(one.checked_at),
            }
            for one in told
        ],
    }
    return Notice(f"erasure.{what}", content)


def _instant(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
