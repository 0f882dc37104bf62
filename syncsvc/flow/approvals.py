"""Departures that the removal guard holds back: who they are, and an operator's word for or against them."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

import structlog

from syncsvc.flow.house import House
from syncsvc.model.people import LibraryName, PersonId
from syncsvc.model.retention import Terms
from syncsvc.store import Transaction
from syncsvc.store.changes import Entry, Place
from syncsvc.store.people import EXPIRY

AT_ONCE = 500

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class HeldDeparture:
    """`libraries` are those that the person would be taken out of; `source` told it, at `received_at`."""

    person: PersonId
    change: str
    source: str
    received_at: datetime
    libraries: tuple[LibraryName, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """`next` is None on the last page."""

    items: tuple[HeldDeparture, ...]
    next: Place | None


@dataclass(frozen=True, slots=True)
class Answered:
    """How many people's departures were approved or refused, and whom that was said of in vain: none of theirs is
    held back, any more or ever."""

    people: int
    not_held: tuple[PersonId, ...] = ()


def held_departures(house: House, *, after: Place | None = None, limit: int) -> Page:
    """Up to `limit` of them, those first that were told first. Somebody of whom it was told twice is there twice."""
    with house.store.reading() as tx:
        found = tx.changes.held(after=after, limit=limit + 1)
        page = found[:limit]
        theirs = tx.removing.where({one.person for one in page})
    items = tuple(
        HeldDeparture(one.person, one.id, one.source, one.received_at, tuple(sorted(theirs.get(one.person, ()))))
        for one in page
    )
    return Page(items, Place(page[-1].received_at, page[-1].id) if len(found) > limit else None)


def count_held(tx: Transaction) -> int:
    """How many people wait for an operator."""
    return tx.changes.count_held()


def approve(house: House, people: Collection[PersonId] | None, *, by: str) -> Answered:
    """Let these people go, or all who are held back at this moment: within a second or so, and past the guard.

    `by` is who says so. Safe to repeat: who has gone meanwhile is answered as not held.
    """
    now = house.clock()

    def answer(tx: Transaction, held: list[Entry]) -> set[PersonId]:
        return tx.changes.approve([one.id for one in held], by, now)

    return _answer(house, people, answer, "departures approved", by)


def refuse(house: House, people: Collection[PersonId] | None, *, by: str) -> Answered:
    """These people stay, or all who are held back at this moment, as if nothing had been told.

    Whoever had expired stays without an end. Safe to repeat.
    """
    now = house.clock()

    def answer(tx: Transaction, held: list[Entry]) -> set[PersonId]:
        tx.people.lock_all({one.person for one in held}, now)
        pending = [one.id for one in held]
        cancelled = tx.changes.refuse(pending)
        kept = _kept_by_rule(tx, cancelled, house.terms, now)  # whose other departures wait as before
        tx.people.set_leaving(cancelled - kept, None)
        tx.people.no_longer_expired({one.person for one in held if one.source == EXPIRY} & cancelled, now)
        tx.watches.watch(pending, now)
        return cancelled

    return _answer(house, people, answer, "departures refused", by)


def _kept_by_rule(tx: Transaction, people: Collection[PersonId], terms: Terms, now: datetime) -> set[PersonId]:
    """Those of these people who would be gone already, if a rule did not keep them for some days."""
    pending = tx.changes.pending_of(people)
    return {
        person
        for person, theirs in pending.items()
        if any(terms.only_kept(one.source, one.effective_at, now) for one in theirs)
    }


def _answer(
    house: House,
    people: Collection[PersonId] | None,
    answer: Callable[[Transaction, list[Entry]], set[PersonId]],
    event: str,
    by: str,
) -> Answered:
    answered: set[PersonId] = set()
    for some in _everybody(house) if people is None else _in_parts(sorted(set(people))):
        with house.store.transaction() as tx:
            answered |= answer(tx, tx.changes.held_of(some))
    if answered:
        log.warning(event, people=len(answered), by=by)
    return Answered(len(answered), () if people is None else tuple(sorted(set(people) - answered)))


def _everybody(house: House) -> Iterator[list[PersonId]]:
    """Whoever is held back, some at a time; not who is held back only after this began."""
    began = house.clock()
    after: Place | None = None
    while True:
        with house.store.reading() as tx:
            found = [one for one in tx.changes.held(after=after, limit=AT_ONCE) if one.received_at <= began]
        if found:
            yield sorted({one.person for one in found})
        if len(found) < AT_ONCE:
            return
        after = Place(found[-1].received_at, found[-1].id)


def _in_parts(people: list[PersonId]) -> Iterator[list[PersonId]]:
    for first in range(0, len(people), AT_ONCE):
        yield people[first : first + AT_ONCE]
