"""Forgets what nothing needs any more, a little at a time."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import structlog

from syncsvc.flow.forget import forget
from syncsvc.flow.house import House
from syncsvc.store import Transaction

INBOX = timedelta(days=90)  # a sender's ids are remembered for so long; 30 days are promised
MESSAGES = timedelta(days=30)  # delivered or not: nobody wants to hear of it later
AT_ONCE = 1000  # rows of one transaction: nobody waits for a long one
ROUNDS = 5000  # of one night; the next one goes on

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Purged:
    """How many rows went; `people` are those of whom only a pseudonym is left."""

    changes: int
    watches: int
    messages: int
    people: int = 0


def purge(house: House) -> Purged:
    """Forget old changes of the inbox, old messages to callbacks and those that no configured callback waits for,
    and the ids of people who were verified gone everywhere long ago.

    Safe to run twice and at the same time, and to be stopped at any moment.
    """
    now = house.clock()
    purged = Purged(
        changes=_all(house, lambda tx: tx.changes.purge(now - INBOX, AT_ONCE)),
        watches=_all(house, lambda tx: tx.watches.purge(now - INBOX, AT_ONCE)),
        messages=_all(house, lambda tx: tx.callbacks.purge(house.callbacks, now - MESSAGES, AT_ONCE)),
        people=forget(house),
    )
    log.info("old rows purged", changes=purged.changes, watches=purged.watches, messages=purged.messages)
    return purged


def _all(house: House, some: Callable[[Transaction], int]) -> int:
    gone = 0
    for _ in range(ROUNDS):
        with house.store.transaction() as tx:
            last = some(tx)
        gone += last
        if last < AT_ONCE:
            break
    return gone
