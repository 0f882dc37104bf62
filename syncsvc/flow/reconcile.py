"""Reconciliation of one library from end to end: read it, compare, and mend what is wrong."""

import time
from contextlib import suppress

from syncsvc.flow.checks import verify_listed
from syncsvc.flow.compare import BusyError, compare
from syncsvc.flow.house import House
from syncsvc.flow.listing import Watch, begin, read_on
from syncsvc.flow.mend import MENDING, mend
from syncsvc.model.errors import InputError, NotFoundError, UnsafePlanError
from syncsvc.model.people import LibraryName
from syncsvc.store.listings import ListingState

ONLY_LOOKING = "plan"  # the cause of readings of which nothing is made but a plan
ADOPTING = "adopt"  # the cause of readings of libraries whose people are not bound yet: all would be strangers
_OTHERS = frozenset({ONLY_LOOKING, ADOPTING})  # what is read for these is theirs alone
SLICE = 10.0  # seconds of reading between two looks at how far it is
STANDSTILL = 0.5  # seconds to wait where somebody else reads, or nobody can
PATIENCE = 60.0  # seconds without a single page before whoever waits for it is told


def reconcile(
    house: House, name: LibraryName, cause: str, *, seconds: float, watch: Watch | None = None
) -> ListingState:
    """Begin, or go on where somebody stopped, and get as far as that is possible in so many seconds.

    The listing's state says how far: `reading`, `done`, or `waiting` where the removal guard wants an operator's
    approval; nobody has been touched then. Raises NotFoundError where the library was never read, and cannot be now.
    """
    until = time.monotonic() + seconds
    house.shelf(name)
    begin(house, name, cause)
    listing = newest(house, name)
    if listing.state == "reading":
        listing = read_on(house, name, seconds=max(0.0, until - time.monotonic()), watch=watch)
    if listing.cause not in _OTHERS:
        with suppress(BusyError):
            return finish(house, name)
    return newest(house, name)


def finish(house: House, name: LibraryName) -> ListingState:
    """Compare and mend what was read to the end; nothing where it was not, or has been dealt with. Raises BusyError
    while somebody else compares it."""
    if newest(house, name).state == "read":
        compare(house, name)
    listing = newest(house, name)
    if listing.state in {"compared", MENDING}:
        verify_listed(house, name, listing.run, listing.started_at)
        with suppress(UnsafePlanError):  # it is written down and logged; the next reading asks again
            mend(house, name)
    return newest(house, name)


def read_whole(house: House, name: LibraryName, cause: str, *, watch: Watch | None = None) -> ListingState:
    """Read the library now, however long that takes; nothing is made of it yet.

    Raises InputError where it cannot be read, or is being read for something else.
    """
    house.shelf(name)
    if not begin(house, name, cause):
        with house.store.reading() as tx:
            listing = tx.listings.get(name)
        if listing is None or listing.state not in {"reading", "read"}:
            raise InputError(f"{name} cannot be read now: it is paused, halted or failing; `syncsvc status` shows why")
        if listing.cause != cause:
            words = f"{name} is being read already ({listing.cause}, {listing.faces:,} faces so far)"
            raise InputError(f"{words}; try again when `syncsvc reconcile status` says that it is done")
    listing, moved = newest(house, name), time.monotonic()
    while listing.state == "reading":
        before, listing = listing, read_on(house, name, seconds=SLICE, watch=watch)
        if listing.pages != before.pages:
            moved = time.monotonic()
        elif time.monotonic() - moved > PATIENCE:
            words = f"{name} shows no page: it has no permits to spare, Redis is away, or it does not answer"
            raise InputError(f"{words} (see the log); the same command goes on after {listing.faces:,} faces")
        elif listing.state == "reading":
            time.sleep(STANDSTILL)
    return listing


def newest(house: House, name: LibraryName) -> ListingState:
    """The newest reading of the library. Raises NotFoundError where there was none."""
    with house.store.reading() as tx:
        listing = tx.listings.get(name)
    if listing is None:
        raise NotFoundError(f"{name} was never read, and cannot be now; `syncsvc status` shows whether it works")
    return listing
