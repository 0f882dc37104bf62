"""Carries out departures that have waited for their moment."""

from datetime import datetime

from syncsvc.flow.apply import Granted, Ring, Room, apply
from syncsvc.flow.house import House
from syncsvc.flow.wishes import Later, wish_of
from syncsvc.model.changes import Departed
from syncsvc.store import Transaction
from syncsvc.store.changes import Closing
from syncsvc.store.versions import Counted, Versions

AT_ONCE = 200  # of one look; the next comes a second later


def fulfil(house: House) -> list[Ring]:
    """Depart whoever's moment has come, each in a transaction of their own; returns what to ring for."""
    now = house.clock()
    with house.store.reading() as tx:
        due = tx.changes.due(now, AT_ONCE)
    rings: list[Ring] = []
    for change in due:
        with house.store.transaction() as tx:
            rings += _fulfil(tx, change, now, house.room())
    return rings


def _fulfil(tx: Transaction, change: str, now: datetime, room: Room) -> tuple[Ring, ...]:
    """Nothing where it was called off, or somebody else has done it.

    What was told of the person before this moment is older than it, whatever its version: a photo changed in
    their last weeks, told late, does not bring them back.
    """
    waiting = tx.changes.get(change)
    assert waiting is not None
    known = tx.people.lock(waiting.person, now)
    if not tx.changes.end_waiting(change):
        return ()
    tx.watches.watch([change], now)
    if waiting.version is not None:
        before = tx.versions.of([known.id], [waiting.source]).get((known.id, waiting.source), Versions())
        newest = max(waiting.version, before.presence or 0, before.faces or 0, *before.face.values())
        tx.versions.note([Counted(known.id, waiting.source, Versions(newest, newest))])
    wish = wish_of(Departed(known.id), known, {face.id: face.digest for face in known.faces}, Later())
    if wish is None:
        return ()
    granted = Granted(known, wish)
    rings = apply(tx, [granted], now, room=room)
    tx.changes.close([Closing(change, "applied", granted.revision)])
    return rings.get(known.id, ())
