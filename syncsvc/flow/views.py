"""What people and scripts look at: one person, one library, everything at a glance."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from syncsvc.flow.checks import unseen
from syncsvc.flow.house import House
from syncsvc.model.errors import NoPermitError, NotFoundError
from syncsvc.model.people import FaceId, LibraryName, PersonId, Revision, VendorFaceId, VendorImageId
from syncsvc.model.permits import Usage
from syncsvc.store.libraries import LibraryState
from syncsvc.store.rows import Delivery


@dataclass(frozen=True, slots=True)
class FaceInLibrary:
    """`id` is None for a face of ours whose picture is no longer wanted; `verified_at`: last read and there."""

    id: FaceId | None
    vendor_face_id: VendorFaceId
    vendor_image_id: VendorImageId | None
    verified_at: datetime | None


@dataclass(frozen=True, slots=True)
class OddFace:
    vendor_face_id: VendorFaceId | None
    situation: str
    note: str


@dataclass(frozen=True, slots=True)
class PersonInLibrary:
    """`state` is the delivery's, except that it is halted or paused where the whole library is."""

    name: LibraryName
    vendor: str
    state: str
    wanted: Revision
    held: Revision | None
    reason: str | None
    detail: str | None
    attempts: int
    due_at: datetime | None
    faces: tuple[FaceInLibrary, ...]
    odd: tuple[OddFace, ...]


@dataclass(frozen=True, slots=True)
class WantedFace:
    id: FaceId


@dataclass(frozen=True, slots=True)
class PersonView:
    """A departed person still answers, with no faces. `expires_at` is when they depart by themselves."""

    id: PersonId
    revision: Revision
    departed_at: datetime | None
    expires_at: datetime | None
    faces: tuple[WantedFace, ...]
    libraries: tuple[PersonInLibrary, ...]


@dataclass(frozen=True, slots=True)
class LibraryView:
    """One library at a glance. Counts are of deliveries; `oldest_wait` in seconds; `permits` None: unknown just now.

    `attention` counts what somebody must look at: refused and exhausted deliveries. `oldest_verification`: for how many
    seconds the longest unseen of our faces there went unseen; `unverified` counts those for longer than declared.
    """

    name: LibraryName
    vendor: str
    policy: str
    state: str
    reason: str | None
    detail: str | None
    due: int
    doubtful: int
    in_flight: int
    attention: int
    oldest_wait: float | None
    breaker_open_until: datetime | None
    reconciled_at: datetime | None
    odd_faces: int
    oldest_verification: float | None
    unverified: int
    permits: Usage | None


def person_view(house: House, person: PersonId) -> PersonView:
    """A person's state in every library. Raises NotFoundError for an id that was never recorded."""
    with house.store.reading() as tx:
        known = tx.people.get(person)
        if known is None:
            raise NotFoundError(f"nobody is known as {person!r}; ids are case-sensitive, as the HR system sends them")
        states = {state.name: state for state in tx.libraries.all()}
        held = tx.bindings.of_person(person)
        odd = tx.situations.of_person(person)
        owed = tx.deliveries.of_person(person)
    return PersonView(
        id=person,
        revision=known.revision,
        departed_at=known.departed_at,
        expires_at=known.expires_at,
        faces=tuple(WantedFace(face.id) for face in known.faces),
        libraries=tuple(
            PersonInLibrary(
                name=one.library,
                vendor=states[one.library].vendor,
                state=state_in(one, states[one.library]),
                wanted=one.wanted,
                held=one.held,
                reason=one.reason,
                detail=one.detail,
                attempts=one.attempts,
                due_at=None if one.state == "synced" else one.due_at,
                faces=tuple(
                    FaceInLibrary(face.face_id, face.vendor_face_id, face.vendor_image_id, verified)
                    for face, verified in held.get(one.library, ())
                ),
                odd=tuple(
                    OddFace(note.finding.vendor_face_id, note.finding.situation.value, note.finding.note)
                    for note in odd
                    if note.library == one.library
                ),
            )
            for one in owed
        ),
    )


def status_view(house: House) -> list[LibraryView]:
    """Every configured library, in the order of their names."""
    now = house.clock()
    with house.store.reading() as tx:
        states = [state for state in tx.libraries.all() if state.configured]
        unsettled = tx.deliveries.unsettled()
        oldest = tx.deliveries.oldest_wait()
        flying = {state.name: tx.deliveries.leased(state.name, now) for state in states}
        odd = tx.situations.counts()
        seen = unseen(tx, house, [state.name for state in states], now)
    views = []
    for state in states:
        counts = unsettled.get(state.name, {})
        since = oldest.get(state.name)
        views.append(
            LibraryView(
                name=state.name,
                vendor=state.vendor,
                policy=state.policy,
                state=state.state,
                reason=state.reason,
                detail=state.detail,
                due=counts.get("due", 0),
                doubtful=counts.get("doubtful", 0),
                in_flight=flying[state.name],
                attention=counts.get("refused", 0) + counts.get("exhausted", 0),
                oldest_wait=None if since is None else max(0.0, (now - since).total_seconds()),
                breaker_open_until=state.open_until if state.open_until and state.open_until > now else None,
                reconciled_at=state.reconciled_at,
                odd_faces=sum(count for (library, _), count in odd.items() if library == state.name),
                oldest_verification=seen[state.name][0],
                unverified=seen[state.name][1],
                permits=_usage(house, state.name),
            )
        )
    return views


def converged(views: Sequence[LibraryView]) -> bool:
    """Whether nothing is owed to any library any more."""
    return not any(view.due or view.doubtful for view in views)


def state_in(one: Delivery, library: LibraryState) -> str:
    """The delivery's state, or the library's where nothing is sent to it: halted or paused."""
    waits = one.state in {"due", "doubtful"}
    return library.state if waits and library.state != "active" else one.state


def _usage(house: House, name: LibraryName) -> Usage | None:
    shelf = house.shelves.get(name)
    try:
        return None if shelf is None else house.limiter.usage(shelf.library.door.account)
    except NoPermitError:
        return None
