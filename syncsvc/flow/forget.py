"""Forgets the very ids of people who were verified gone everywhere long enough ago; a keyed pseudonym stays."""

import structlog

from syncsvc.flow.house import House

AT_ONCE = 100  # people renamed in one transaction
ROUNDS = 1000  # of one night; the next one goes on

log = structlog.get_logger(__name__)


def forget(house: House) -> int:
    """Let nothing but tombstones be left of whoever's erasure was confirmed `forget_after` ago; returns how many.

    A tombstone keeps how far each source has counted and when the person departed, so that a late message brings
    nobody back and a rehire is known as one. Safe to run twice and at the same time, and to be stopped at any moment.
    """
    before = house.clock() - house.erasing.forget_after
    count = 0
    for _ in range(ROUNDS):
        with house.store.reading() as tx:
            due = tx.people.forgettable(before, AT_ONCE)
        if not due:
            break
        with house.store.transaction() as tx:
            count += tx.people.forget(due, before)
    if count:
        log.info("ids forgotten", people=count)
    return count
