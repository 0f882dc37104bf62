"""Rings the bell: picks what is due, the most urgent first, as much as each library can take in about a second."""

import math
from datetime import datetime, timedelta

from syncsvc.flow.apply import RUNG_FOR, Ring
from syncsvc.flow.holder import is_dead
from syncsvc.flow.house import House, Shelf
from syncsvc.model.errors import NoPermitError
from syncsvc.model.people import LibraryName
from syncsvc.model.urgency import BREAKER_THRESHOLD
from syncsvc.store import Transaction
from syncsvc.store.libraries import LibraryState

MESSAGES = 64  # more at once than workers have threads only cost: a message carries several errands then
AT_LEAST = 2  # errands rung for a library however slow it is


def sweep(house: House) -> list[Ring]:
    """What should be rung now, in all libraries; finds whatever a lost message, a dead worker or a flushed
    broker has left behind."""
    now = house.clock()
    rings: list[Ring] = []
    with house.store.reading() as tx:
        states = {state.name: state for state in tx.libraries.all()}
        orphans = [lease for lease in tx.deliveries.leases() if is_dead(lease.rpartition("/")[0])]
    with house.store.transaction() as tx:
        for shelf in house.shelves.values() if orphans else ():
            # A worker of this machine was killed: its errands need not wait for their leases to run out, but for
            # the vendor, who may still be at work on its last call: whoever looks before that sees too little.
            until = now + timedelta(seconds=shelf.library.door.account.longest_call)
            tx.deliveries.end_leases(shelf.name, orphans, now=now, until=until)
        tx.watches.look_at(tx.deliveries.exhaust(now), now)
    for shelf in house.shelves.values():
        state = states.get(shelf.name)
        if state is not None and _open(state, now):
            allowance = _allowance(house, shelf)
            with house.store.transaction() as tx:
                rings += _ring(tx, shelf, state, allowance, now)
    return rings


def refill(house: House, name: LibraryName) -> list[Ring]:
    """The same for one library, between two sweeps, so that it never runs dry."""
    shelf, now = house.shelf(name), house.clock()
    allowance = _allowance(house, shelf)
    with house.store.transaction() as tx:
        state = tx.libraries.get(name)
        return _ring(tx, shelf, state, allowance, now) if state is not None and _open(state, now) else []


def _allowance(house: House, shelf: Shelf) -> int:
    """How much may be rung or under way: less while the vendor has us slow down, nothing while nobody counts."""
    try:
        usage = house.limiter.usage(shelf.library.door.account)
    except NoPermitError:
        return 0
    # Never nothing: it may be one operation class that is closed, and departures may need another.
    return shelf.allowance if usage.pace >= 1 else max(AT_LEAST, math.ceil(shelf.allowance * usage.pace))


def _ring(tx: Transaction, shelf: Shelf, state: LibraryState, allowance: int, now: datetime) -> list[Ring]:
    # A probe needs no room: claiming it closes the library to the next, and the leases of a killed worker must
    # not keep a library shut that works again.
    probing = state.failures >= BREAKER_THRESHOLD
    room = min(1, allowance) if probing else allowance - tx.deliveries.busy(shelf.name, now)
    if room <= 0:
        return []
    rung = tx.deliveries.ring(shelf.name, room, now=now, until=now + RUNG_FOR)
    deletes = [number for number, verb in rung if verb == "delete"]
    # In a backlog every bell gathers a bundle of its own; otherwise what there is goes into few calls.
    bundle = 1 if len(rung) == room else shelf.library.capabilities.bundle
    replaces = [number for number, verb in rung if verb != "delete"]
    some = max(1, len(replaces) // MESSAGES)
    return [
        *(Ring(shelf.name, "delete", ids) for ids in _in_groups(deletes, bundle)),
        *(Ring(shelf.name, "replace", ids) for ids in _in_groups(replaces, some)),
    ]


def _in_groups(ids: list[int], size: int) -> list[tuple[int, ...]]:
    return [tuple(ids[start : start + size]) for start in range(0, len(ids), size)]


def _open(state: LibraryState, now: datetime) -> bool:
    closed = state.open_until is not None and state.open_until > now
    return state.state == "active" and state.configured and state.policy != "observe" and not closed
