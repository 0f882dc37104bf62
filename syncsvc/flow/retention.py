"""Lets people go whose time is over: an end that was told of them, or that a source's rule made of their contract's."""

from syncsvc.flow.apply import Ring
from syncsvc.flow.house import House
from syncsvc.flow.write import write_all
from syncsvc.model.changes import Departed, Told
from syncsvc.model.people import PersonId
from syncsvc.store import Transaction
from syncsvc.store.people import EXPIRY

AT_ONCE = 500  # people of one transaction
ROUNDS = 20  # of one call; the next one goes on


def expire(house: House) -> list[Ring]:
    """Depart everybody who has expired; returns what to ring for.

    Past the removal guard like every other departure: too many are held back, and asked about once. Safe to run
    twice and at the same time. Costs one look at an index where nobody has expired.
    """
    rings: list[Ring] = []
    for _ in range(ROUNDS):
        with house.store.reading() as tx:
            due = tx.people.expired(house.clock(), AT_ONCE)
        if due:
            with house.store.transaction() as tx:
                rings += _expire(tx, house, due)
        if len(due) < AT_ONCE:
            break
    return rings


def _expire(tx: Transaction, house: House, due: list[PersonId]) -> list[Ring]:
    now = house.clock()
    known = tx.people.lock_all(due, now)
    # Somebody may have been told meanwhile to stay for longer, or have gone. The same end is told once, however many
    # look at this moment; the revision tells it from an earlier end of theirs at the same instant.
    names = tx.pseudonyms.of_all(due)  # what is remembered of a telling may outlive the id
    told = [
        Told(EXPIRY, f"{names[one.id]} {one.revision} {one.expires_at.isoformat()}", Departed(one.id))
        for one in (known[person] for person in due)
        if one.expires_at is not None and one.expires_at <= now
    ]
    recorded = write_all(tx, told, now, room=house.room(), terms=house.terms)
    return [ring for one in recorded for ring in one.rings]
