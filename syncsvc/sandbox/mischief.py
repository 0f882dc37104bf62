"""Ways in which a library is not what it says: listings that lie, counts that are off, faces that come back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

T = TypeVar("T")


class Listing(StrEnum):
    """What a listing shows of the world."""

    HONEST = "honest"
    EMPTY = "empty"  # nobody
    STALE = "stale"  # the world as it was when this began
    ENDLESS = "endless"  # somebody fills the library as fast as it is read
    LOOP = "loop"  # the first page again and again, and there is always more
    MISSING_PAGE = "missing_page"  # the second page is left out
    DUPLICATE_PAGE = "duplicate_page"  # the first page comes twice, and so the end is never shown


@dataclass(frozen=True, slots=True)
class Mischief:
    """`count_off` is added to every count of faces or people; a deleted face is there again after `comes_back_after`
    seconds, once; None: never."""

    listing: Listing = Listing.HONEST
    count_off: int = 0
    comes_back_after: float | None = None


_KEYS = frozenset(Mischief.__dataclass_fields__)


def mischief_of(told: Mapping[str, Any]) -> Mischief:
    """From JSON; what is not named is honest. Raises ValueError naming what is wrong with it."""
    if unknown := set(told) - _KEYS:
        raise ValueError(f"mischief has no {', '.join(sorted(unknown))}; it has {', '.join(sorted(_KEYS))}")
    listing = told.get("listing", Listing.HONEST)
    if listing not in set(Listing):
        raise ValueError(f"listing must be one of {', '.join(Listing)}")
    after = told.get("comes_back_after")
    return Mischief(Listing(listing), int(told.get("count_off", 0)), None if after is None else float(after))


def window(listing: Listing, items: Sequence[T], start: int, size: int) -> Sequence[T]:
    """`size` of the items from `start`, as this kind of listing shows them."""
    match listing:
        case Listing.LOOP:
            start = 0
        case Listing.MISSING_PAGE if start:
            start += size
        case Listing.DUPLICATE_PAGE if start:
            start = max(0, start - size)
    return items[start : start + size]


def total(mischief: Mischief, honest: int, start: int, size: int) -> int:
    """How many items there are, as told beside the page from `start`."""
    if mischief.listing is Listing.LOOP:
        return max(honest, start + 2 * size)
    return max(0, honest + mischief.count_off)
