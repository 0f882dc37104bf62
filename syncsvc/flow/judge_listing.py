"""Decides what a reading of a library proves: nothing here reads or writes."""

from dataclasses import dataclass
from typing import Literal

from syncsvc.library.base import Page
from syncsvc.model.listings import Completeness
from syncsvc.store.listings import ListingState, OwnChanges

SlipsBy = Literal["face", "person"] | None

SOME = 100_000  # faces more than we know of, at which nobody is surprised
FEW = 10_000  # the same, where the library has told how many it holds
PAGES = 1_000  # pages more than faces, at which nobody is surprised: a page may be short, or empty
HALF = 0.5  # of our faces: a listing that shows fewer of them is not to be believed


@dataclass(frozen=True, slots=True)
class Bound:
    """More than so many faces, or pages, no honest listing has."""

    faces: int
    pages: int


def bound(state: ListingState, held: int) -> Bound:
    """Where a listing ends at the latest, by what the library counts, and else by what we hold there."""
    faces = 4 * held + SOME if state.count_before is None else 2 * max(state.count_before, held) + FEW
    return Bound(faces, faces + PAGES)


def vendors_word(page: Page, own: OwnChanges, slips_by: SlipsBy) -> tuple[Completeness, str]:
    """How complete the last page says it was; where only the total changed, our own changes may account for it."""
    ours = own.came - own.went if slips_by == "person" else own.added - own.removed
    if page.grew == ours:
        return Completeness.COMPLETE, ""
    return page.completeness, page.why


def judge(
    state: ListingState,
    said: Completeness,
    why: str | None,
    *,
    own: OwnChanges,
    known: int,
    shown: int,
    slips_by: SlipsBy,
) -> tuple[Completeness, str | None]:
    """What the finished reading proves, and why it is no more.

    `said` and `why` are the vendor's word; `own` is what we changed while it was read; `known` are the faces that
    were held when it began, and `shown` how many of what we hold it shows.
    """
    doubts = [why] if said is Completeness.SUSPECT and why else []
    if state.repeated:
        doubts.append(f"{state.repeated:,} faces were shown more than once")
    if said is Completeness.COMPLETE:
        doubts += _miscounted(state, own)
        doubts += _slipped(state, own, slips_by)
    if not state.faces and known:
        doubts.append(f"nobody was listed, and we hold {known:,} faces there")
    elif said is Completeness.COMPLETE and shown < known * HALF:
        doubts.append(f"only {shown:,} of the {known:,} faces that we hold there were listed")
    if doubts or said is Completeness.SUSPECT:
        return Completeness.SUSPECT, "; ".join(doubts) or "the listing contradicts itself"
    return said, why or None


def _miscounted(state: ListingState, own: OwnChanges) -> list[str]:
    """What the library's own counts have against the listing, apart from what we added and removed meanwhile."""
    before, after = state.count_before, state.count_after
    doubts = []
    if before is not None and after is not None and after - before != own.added - own.removed:
        ours = f", of which {own.added - own.removed:+,} is ours" if own.added or own.removed else ""
        doubts.append(f"the library counted {before:,} faces at first and {after:,} at the end{ours}")
    if after is not None and not after - own.added <= state.faces <= after + own.removed:
        doubts.append(f"{state.faces:,} faces were listed and the library counts {after:,}")
    return doubts


def _slipped(state: ListingState, own: OwnChanges, slips_by: SlipsBy) -> list[str]:
    """What we took out ourselves between two pages may have moved others past us."""
    taken = {"face": own.removed, "person": own.went, None: 0}[slips_by]
    if state.pages < 2 or not taken:  # noqa: PLR2004
        return []
    what = "faces" if slips_by == "face" else "people"
    return [f"{taken:,} {what} left through us while it was read, and others may have slipped past"]
