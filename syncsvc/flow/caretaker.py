"""What the caretaker does with each look: begins the night's rounds, once, and goes on with what is under way."""

from datetime import timedelta

import structlog

from syncsvc.flow.compare import BusyError
from syncsvc.flow.house import House
from syncsvc.flow.listing import GIVEN_UP, begin, read_on
from syncsvc.flow.mend import MENDING
from syncsvc.flow.reconcile import finish
from syncsvc.model.people import LibraryName
from syncsvc.store.listings import ListingState

ONE_NIGHT = timedelta(hours=12)  # two beats, or two machines, begin one round between them
RESTING = timedelta(seconds=3)  # a reading that somebody has gone on with since then needs nobody else

log = structlog.get_logger(__name__)


def begin_night(house: House, name: LibraryName, *, seconds: float) -> None:
    """Begin tonight's round of a library, if nobody has, and get as far as that is possible in so many seconds."""
    since = house.clock() - ONE_NIGHT
    with house.store.reading() as tx:
        last = tx.listings.get(name)
    begun = last is not None and last.cause == "nightly" and last.started_at > since
    if begun or begin(house, name, "nightly"):
        go_on(house, name, seconds=seconds)


def go_on(house: House, name: LibraryName, *, seconds: float) -> None:
    """Go on with the round of a library that is under way; nothing where none is. What the guard has let go is done
    to its end, whoever began it."""
    with house.store.reading() as tx:
        listing = tx.listings.get(name)
    if listing is None or not _is_ours(listing) or name not in house.shelves:
        return
    if listing.state == "reading":
        listing = read_on(house, name, seconds=seconds)
    if listing.state in {"read", "compared", MENDING}:
        try:
            done = finish(house, name)
        except BusyError:  # who compares it goes on with it
            return
        log.info(
            "library compared",
            library=name,
            state=done.state,
            completeness=done.completeness,
            why=done.why,
            **{str(situation): count for situation, count in done.counts.items()},
        )


def under_way(house: House) -> list[LibraryName]:
    """Libraries whose rounds somebody should go on with: nobody is at them just now."""
    now = house.clock()
    with house.store.reading() as tx:
        listings = tx.listings.all()
    return [
        one.library
        for one in listings
        if _is_ours(one)
        and one.library in house.shelves
        and one.is_under_way(now - GIVEN_UP)
        and (one.leased_until is None or one.leased_until <= now)
        and one.reached_at <= now - RESTING
    ]


def _is_ours(listing: ListingState) -> bool:
    return listing.cause == "nightly" or listing.state == MENDING
