"""What became of one change, library by library."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from syncsvc.flow.house import House
from syncsvc.flow.views import state_in
from syncsvc.model.errors import NotFoundError
from syncsvc.model.people import FaceId, LibraryName, PersonId, Revision
from syncsvc.store import Transaction
from syncsvc.store.changes import Entry
from syncsvc.store.libraries import LibraryState
from syncsvc.store.rows import Delivery

Fate = Literal["waiting", "pending", "attention", "converged", "superseded", "nothing_to_do"]

_REMOVALS = ("person.departed", "face.deleted")
_STUCK = ("refused", "exhausted", "halted")
_SUPERSEDED = "a newer change of this person took its place before this library was asked"
_HELD = (
    "it waits for an operator's approval: more people would leave a library within 24 hours than may; "
    "`syncsvc removals list` shows them"
)
_KEPT = "faces that are no longer wanted stay in this library (policy upsert-only)"


@dataclass(frozen=True, slots=True)
class ChangeInLibrary:
    """`state`: synced, superseded, due, doubtful, refused, exhausted; halted or paused where the whole library is.

    Synced: the library has agreed with this change or a newer one. Of a departure that says that the vendor accepted
    the deletion, not that anybody looked afterwards. `held` is the revision that the library was last brought to.
    `detail` says the reason in plain words; `face` is the photo to blame, where one is.
    """

    name: LibraryName
    vendor: str
    state: str
    held: Revision | None
    reason: str | None = None
    detail: str | None = None
    face: FaceId | None = None


@dataclass(frozen=True, slots=True)
class ChangeView:
    """One change and what every library made of it.

    `effect`: applied, unchanged (it said what we knew), old_news (overtaken before it came); waiting for
    `effective_at`, or cancelled before that; fetching, until the HR system was asked; held, a departure that waits
    for an operator. `detail` says in plain words what it waits for, where somebody must act. `state` is all libraries
    in a word:

    waiting        for its moment, for the HR system's answer, or for an operator's approval
    pending        some library is still to be asked
    attention      a library refused it, or was given up, or is halted: somebody must act
    converged      every library agrees with it, or with a newer one
    superseded     a newer change took its place, in some library at least, and nothing of it is left to do
    nothing_to_do  no library is concerned
    """

    id: str
    source: str
    source_id: str
    kind: str
    person: PersonId
    received_at: datetime
    effective_at: datetime | None
    effect: str
    revision: Revision | None
    state: Fate
    libraries: tuple[ChangeInLibrary, ...]
    detail: str | None = None


def change_view(house: House, change: str) -> ChangeView:
    """Raises NotFoundError for an id that we never gave, or have forgotten (after 90 days)."""
    with house.store.reading() as tx:
        entry = tx.changes.get(change)
        if entry is None:
            raise NotFoundError(f"no change is known as {change!r}; changes are remembered for 90 days")
        return change_views(tx, [entry])[0]


def change_views(tx: Transaction, entries: Sequence[Entry]) -> list[ChangeView]:
    """The same for several changes at once, in their order."""
    owed = tx.deliveries.of_people({entry.person for entry in entries})
    libraries = {state.name: state for state in tx.libraries.all()}
    return [_view(entry, owed.get(entry.person, ()), libraries) for entry in entries]


def _view(entry: Entry, owed: Sequence[Delivery], libraries: Mapping[LibraryName, LibraryState]) -> ChangeView:
    there: tuple[ChangeInLibrary, ...] = ()
    if entry.effect in {"applied", "unchanged"} and entry.revision is not None:
        told = [one for one in owed if libraries[one.library].receives]
        there = tuple(_in_library(entry, entry.revision, one, libraries[one.library]) for one in told)
    return ChangeView(
        id=entry.id,
        source=entry.source,
        source_id=entry.source_id,
        kind=entry.kind,
        person=entry.person,
        received_at=entry.received_at,
        effective_at=entry.effective_at,
        effect=entry.effect,
        revision=entry.revision,
        state=_fate(entry.effect, [one.state for one in there]),
        libraries=there,
        detail=_HELD if entry.effect == "held" else None,
    )


def _in_library(entry: Entry, revision: Revision, owed: Delivery, library: LibraryState) -> ChangeInLibrary:
    # A change that libraries are not told of (a name) makes a revision that none is owed: what they are owed counts.
    enough = min(revision, owed.wanted)
    name, vendor, held = owed.library, library.vendor, owed.held
    if held is not None and held >= enough:
        if library.policy == "upsert-only" and entry.kind in _REMOVALS:
            return ChangeInLibrary(name, vendor, "synced", held, "policy", _KEPT)
        return ChangeInLibrary(name, vendor, "synced", held)
    if owed.wanted > revision:
        return ChangeInLibrary(name, vendor, "superseded", held, None, _SUPERSEDED)
    state = state_in(owed, library)
    if state != owed.state:
        return ChangeInLibrary(name, vendor, state, held, library.reason, library.detail)
    return ChangeInLibrary(name, vendor, state, held, owed.reason, owed.detail, owed.face)


def _fate(effect: str, states: Sequence[str]) -> Fate:
    if effect in {"waiting", "fetching", "held"}:
        return "waiting"
    if effect in {"old_news", "cancelled"}:
        return "superseded"
    if not states:
        return "nothing_to_do"
    if any(state in _STUCK for state in states):
        return "attention"
    if any(state not in {"synced", "superseded"} for state in states):
        return "pending"
    return "superseded" if "superseded" in states else "converged"
