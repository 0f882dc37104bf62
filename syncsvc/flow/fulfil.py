"""Carries out departures that have waited for their moment."""

from datetime import datetime

from syncsvc.flow import burst
from syncsvc.flow.apply import Granted, Ring, apply
from syncsvc.flow.house import House
from syncsvc.flow.wishes import Later, wish_of
from syncsvc.model.changes import Departed
from syncsvc.model.people import PersonId
from syncsvc.store import Transaction
from syncsvc.store.changes import Closing, Entry
from syncsvc.store.people import Known
from syncsvc.store.versions import Counted, Versions

AT_ONCE = 200  # of one look; the next comes a second later


def fulfil(house: House) -> list[Ring]:
    """Depart whoever's moment has come, each in a transaction of their own; returns what to ring for.

    The removal guard is asked about those for whom nobody has answered yet; too many are held back.
    """
    now = house.clock()
    with house.store.reading() as tx:
        due = tx.changes.due(now, AT_ONCE)
    rings: list[Ring] = []
    held: list[PersonId] = []
    for change in due:
        with house.store.transaction() as tx:
            done = _fulfil(tx, change, now, house)
        if isinstance(done, tuple):
            rings += done
        else:
            held.append(done)
    burst.report(held, len(due), house.limits)
    return rings


def _fulfil(tx: Transaction, change: str, now: datetime, house: House) -> tuple[Ring, ...] | PersonId:
    """Nothing where it was called off, or somebody else has done it; the person where they are held back.

    What was told of the person before this moment is older than it, whatever its version: a photo changed in
    their last weeks, told late, does not bring them back.
    """
    waiting = tx.changes.get(change)
    assert waiting is not None
    known = tx.people.lock(waiting.person, now)
    if not tx.changes.end_waiting(change):
        return ()
    if waiting.version is not None:
        before = tx.versions.of([known.id], [waiting.source]).get((known.id, waiting.source), Versions())
        newest = max(waiting.version, before.presence or 0, before.faces or 0, *before.face.values())
        tx.versions.note([Counted(known.id, waiting.source, Versions(newest, newest))])
    if _too_many(tx, waiting, known, now, house):
        tx.changes.close([Closing(change, "held", known.revision)])
        tx.people.set_leaving([known.id], now)
        return known.id
    rings = _depart(tx, change, known, now, house)
    tx.watches.watch([change], now)
    return rings


def _too_many(tx: Transaction, waiting: Entry, known: Known, now: datetime, house: House) -> bool:
    if house.limits is None or waiting.approved_by is not None or known.departed_at is not None:
        return False
    if known.leaving_at is not None and tx.changes.held_of([known.id]):
        return True  # with another of theirs that is held back already
    return bool(burst.held_back(tx, [known.id], now, house.limits))


def _depart(tx: Transaction, change: str, known: Known, now: datetime, house: House) -> tuple[Ring, ...]:
    if known.leaving_at is not None:  # no other departure of theirs need be approved any more
        others = [each.id for each in tx.changes.held_of([known.id])]
        tx.changes.cancel(others)
        tx.watches.watch(others, now)
    wish = wish_of(Departed(known.id), known, {face.id: face.digest for face in known.faces}, Later())
    if wish is None:
        return ()
    granted = Granted(known, wish)
    rings = apply(tx, [granted], now, room=house.room())
    tx.changes.close([Closing(change, "applied", granted.revision)])
    return rings.get(known.id, ())
