"""What somebody must look at, and how it is tried again: deliveries that a library refused, or that were given up."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from syncsvc.flow.house import House
from syncsvc.model.people import FaceId, LibraryName, PersonId, Revision
from syncsvc.store.attention import STUCK, Part, Place, Stuck
from syncsvc.store.rows import Delivery

BATCH = 500  # deliveries reopened in one transaction

_WORDS: dict[str, str] = {
    "refused": "the library refused it and did not say why; send another photo, or try again",
    "exhausted": "every attempt failed; look at the library, then try again",
}


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which of them: of one library, with one reason, that ended at `since` or later. None: whichever."""

    library: LibraryName | None = None
    reason: str | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class NeedsAttention:
    """`detail` says in plain words what is wrong, `face` which face is to blame where one is; `since`: so it ended."""

    person: PersonId
    library: LibraryName
    state: str
    reason: str | None
    detail: str
    face: FaceId | None
    attempts: int
    wanted: Revision
    since: datetime


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a page ended: the next one goes on from here."""

    library: LibraryName
    state: Stuck
    since: datetime
    id: int


@dataclass(frozen=True, slots=True)
class Page:
    """`next` is None on the last page. `departures_held`: so many people's departures wait for an operator, whatever
    was asked for; see `flow.approvals`. `erasures_late`: so many erasures are open, and come too late unless somebody
    looks why."""

    items: tuple[NeedsAttention, ...]
    next: Mark | None
    departures_held: int
    erasures_late: int


def needing_attention(house: House, chosen: Chosen, *, after: Mark | None = None, limit: int) -> Page:
    """Up to `limit` of them, by library, state and age; a page costs the same wherever it stands.

    Raises NotFoundError for a library that is not configured.
    """
    found: list[Delivery] = []
    with house.store.reading() as tx:
        libraries = sorted(state.name for state in tx.libraries.all() if state.configured)
        for part, place in _parts(_named(house, chosen, libraries), chosen, after):
            found += tx.attention.read(part, after=place, limit=limit + 1 - len(found))
            if len(found) > limit:
                break
        held, late = tx.changes.count_held(), tx.erasures.late()
    page = found[:limit]
    return Page(tuple(_shown(one) for one in page), _mark(page[-1]) if len(found) > limit else None, held, late)


def retry(house: House, chosen: Chosen) -> int:
    """Owe them again: due at once, with all their attempts before them, the library read first where in doubt.

    Returns how many. One transaction for each `BATCH`, so that nobody waits long for any; what fails again in the
    meantime is not taken twice. A library that is sent nothing is left out. Raises NotFoundError for a library that
    is not configured.
    """
    now, count = house.clock(), 0
    with house.store.reading() as tx:
        libraries = sorted([*tx.libraries.receiving(), *tx.libraries.retiring()])
    for part, _ in _parts(_named(house, chosen, libraries), chosen, None):
        place: Place | None = None
        while True:
            with house.store.transaction() as tx:
                reopened, place = tx.attention.reopen(part, after=place, limit=BATCH, now=now)
            count += reopened
            if place is None:
                break
    return count


def _named(house: House, chosen: Chosen, libraries: list[LibraryName]) -> list[LibraryName]:
    if chosen.library is None:
        return libraries
    name = house.shelf(chosen.library).name
    return [library for library in libraries if library == name]


def _parts(libraries: list[LibraryName], chosen: Chosen, after: Mark | None) -> Iterator[tuple[Part, Place | None]]:
    """What is read one after the other, and from where: nothing that lies before the mark."""
    for library in libraries:
        for state in STUCK:
            here = (library, state)
            if after is None or here > (after.library, after.state):
                yield Part(library, state, chosen.reason, chosen.since), None
            elif here == (after.library, after.state):
                yield Part(library, state, chosen.reason, chosen.since), Place(after.since, after.id)


def _mark(last: Delivery) -> Mark:
    state: Stuck = "exhausted" if last.state == "exhausted" else "refused"
    return Mark(last.library, state, last.due_at, last.id)


def _shown(one: Delivery) -> NeedsAttention:
    return NeedsAttention(
        person=one.person,
        library=one.library,
        state=one.state,
        reason=one.reason,
        detail=one.detail or _WORDS[one.state],
        face=one.face,
        attempts=one.attempts,
        wanted=one.wanted,
        since=one.due_at,
    )
