"""Asks the removal guard about departures that are told one by one: more than may go in a day are held back."""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime

import structlog

from syncsvc.flow.guard import WINDOW
from syncsvc.model.guard import Limits
from syncsvc.model.people import LibraryName, PersonId
from syncsvc.model.retention import Terms
from syncsvc.store import Transaction
from syncsvc.store.changes import Entry
from syncsvc.store.people import EXPIRY

log = structlog.get_logger(__name__)


def held_back(tx: Transaction, leaving: Sequence[PersonId], now: datetime, limits: Limits | None) -> set[PersonId]:
    """Who of these people must wait for an operator: those, in their order, with whom more would leave some library
    in 24 hours than may. They stay in every library.

    The people are locked. Until the transaction ends nobody else is let go by this count, so that several processes
    do not go past it together. Whoever is in no library goes.
    """
    if limits is None or not leaving:
        return set()
    theirs = tx.removing.where(leaving, hold=True)
    if not theirs:
        return set()
    left = _left(tx, Counter(name for names in theirs.values() for name in names), now, limits)
    held: set[PersonId] = set()
    for person in leaving:
        names = theirs.get(person, set())
        if all(left[name] > 0 for name in names):
            left.subtract(names)
        else:
            held.add(person)
    return held


def report(held: Collection[PersonId], asked: int, limits: Limits | None) -> None:
    """One line for all that were held back at once."""
    if held and limits is not None:
        log.error(
            "departures held back",
            held=len(held),
            asked=asked,
            max_removals=limits.count,
            max_removals_share=limits.share,
            what_to_do="look at them with `syncsvc removals list`, then approve or refuse them",
        )


def recalled(entry: Entry, terms: Terms, now: datetime, *, new_expiry: bool) -> bool:
    """Whether a word that the person is there calls this departure off: as it would bring them back, had they gone.

    One that waits for a moment to come is not: what is told of somebody until they leave does not keep them. Nor is
    one of somebody who has expired, unless it says until when they stay now.
    """
    if entry.source == EXPIRY:
        return new_expiry
    if entry.effect == "held" or entry.approved_by is not None:
        return True
    return terms.only_kept(entry.source, entry.effective_at, now)


def _left(tx: Transaction, planned: Counter[LibraryName], now: datetime, limits: Limits) -> Counter[LibraryName]:
    """How many more may go from each library."""
    # Nothing is counted beyond what decides: of so many who went, or of so many who are there, no more may go.
    went = tx.removing.lately(planned, now - WINDOW, limits.count + 1)
    most = {name: planned[name] + went.get(name, 0) for name in planned}
    if max(most.values()) <= min(limits.floor, limits.count):
        return Counter({name: limits.floor - went.get(name, 0) for name in planned})
    there = tx.removing.about(planned, limits.enough(max(most.values())))
    return Counter({name: limits.allow(there.get(name, 0) + went.get(name, 0)) - went.get(name, 0) for name in planned})
