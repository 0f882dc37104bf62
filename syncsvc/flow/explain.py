"""What we would do for one person in every library, and why, step by step. Reads, and changes nothing."""

import time
from dataclasses import dataclass, replace
from datetime import datetime

from syncsvc.flow.house import House, Shelf
from syncsvc.flow.obstacles import Facts, next_of, obstacles, words_of
from syncsvc.flow.spare import spare
from syncsvc.library.http import PATIENCE
from syncsvc.model.errors import ErrandError, NoPermitError, NotFoundError
from syncsvc.model.people import FaceId, Held, LibraryName, Person, PersonId, Revision, VendorFaceId, vendor_ids
from syncsvc.model.plan import steps, unwanted
from syncsvc.model.report import after_look
from syncsvc.store import Transaction
from syncsvc.store.attempts import Attempt
from syncsvc.store.changes import Entry
from syncsvc.store.people import Known

ATTEMPTS = 3  # the latest, of each library


@dataclass(frozen=True, slots=True)
class ToldBy:
    """The change that made the person what they are; changes are forgotten after a while."""

    change: str
    source: str
    kind: str
    received_at: datetime


@dataclass(frozen=True, slots=True)
class HeldThere:
    """A face that a library is known to hold; `id` None: ours, and of no wanted picture."""

    id: FaceId | None
    vendor_face_id: VendorFaceId
    verified_at: datetime | None


@dataclass(frozen=True, slots=True)
class Tried:
    """One try. `started_at` is when; `outcome` is one word, `detail` says it in more."""

    started_at: datetime
    verb: str
    outcome: str
    reason: str | None
    detail: str | None


@dataclass(frozen=True, slots=True)
class Noticed:
    """Something odd about a face there; `reaction` is what reconciliation does about such."""

    vendor_face_id: VendorFaceId | None
    situation: str
    reaction: str
    note: str
    noted_at: datetime


@dataclass(frozen=True, slots=True)
class InLibrary:
    """`steps` are what an errand would do now, `obstacles` what keeps it from that, `next` what somebody can do.

    `wanted` None: the library was never told of the person. `seen`: what the library itself says, where it was asked.
    """

    name: LibraryName
    vendor: str
    policy: str
    state: str | None
    wanted: Revision | None
    wanted_at: datetime | None
    held: Revision | None
    faces: tuple[HeldThere, ...]
    steps: tuple[str, ...]
    obstacles: tuple[str, ...]
    next: tuple[str, ...]
    attempts: tuple[Tried, ...]
    odd: tuple[Noticed, ...]
    verdict: str | None
    seen: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Explained:
    """One person. `pending` are departures that wait for their moment or for an approval, in words; `erasure` is the
    state of the newest one, where the person has departed."""

    id: PersonId
    revision: Revision
    departed_at: datetime | None
    faces: tuple[FaceId, ...]
    told_by: ToldBy | None
    pending: tuple[str, ...]
    next: tuple[str, ...]
    erasure: str | None
    erasure_due_at: datetime | None
    libraries: tuple[InLibrary, ...]


def explain(house: House, person: PersonId, *, library: LibraryName | None = None, look: bool = False) -> Explained:
    """What is wanted, what is held, what would be done about the difference, and what stands in the way.

    `look` also asks each library itself, with spare permits. Raises NotFoundError for an id that was never recorded,
    and for a library that is not configured.
    """
    shelves = [house.shelf(library)] if library is not None else [house.shelves[name] for name in sorted(house.shelves)]
    with house.store.reading() as tx:
        known = tx.people.get(person)
        if known is None:
            raise NotFoundError(f"nobody is known as {person!r}; ids are case-sensitive, as the HR system sends them")
        told = tx.changes.latest_of(person)
        pending = tx.changes.pending_of([person]).get(person, [])
        erasures = tx.erasures.of_person(person) if known.departed_at else []
        erasure = max(erasures, key=lambda one: one.opened_at, default=None)
        verdicts = {
            one.library: one.verdict.value if one.verdict else "not looked yet"
            for one in (tx.erasures.libraries(erasure.id) if erasure else ())
        }
        found = [_in_library(tx, house, shelf, known, verdicts.get(shelf.name)) for shelf in shelves]
        held = {shelf.name: tx.bindings.held(shelf.name, [person])[person] for shelf in shelves}
        foreign = {shelf.name: tx.situations.foreign(shelf.name, [person])[person] for shelf in shelves}
    if look:  # no transaction is open while a vendor thinks
        found = [
            replace(one, seen=_seen(house, shelf, known, held[shelf.name], foreign[shelf.name]))
            for shelf, one in zip(shelves, found, strict=True)
        ]
    return Explained(
        id=person,
        revision=known.revision,
        departed_at=known.departed_at,
        faces=tuple(face.id for face in known.faces),
        told_by=ToldBy(told.id, told.source, told.kind, told.received_at) if told else None,
        pending=tuple(_pending(one) for one in pending),
        next=tuple(f"syncsvc removals approve {person}" for one in pending if one.effect == "held"),
        erasure=erasure.state if erasure else None,
        erasure_due_at=erasure.due_at if erasure else None,
        libraries=tuple(found),
    )


def _pending(one: Entry) -> str:
    if one.effect == "held":
        return f"a departure told by {one.source} is held back until an operator approves: too many would have gone"
    return f"a departure told by {one.source} waits for {one.effective_at:%Y-%m-%d %H:%M} UTC"


def _in_library(tx: Transaction, house: House, shelf: Shelf, known: Known, verdict: str | None) -> InLibrary:
    now, name = house.clock(), shelf.name
    row = next((one for one in tx.deliveries.of_person(known.id) if one.library == name), None)
    state = tx.libraries.get(name)
    bound = tx.bindings.of_person(known.id).get(name, [])
    held = tuple(face for face, _ in bound)
    caps = shelf.library.capabilities
    retiring = state is not None and state.retiring_at is not None
    wanted = () if retiring else known.faces
    would = steps(wanted, held, native_replace=caps.native_replace, max_faces=caps.max_faces)
    kept = unwanted(wanted, held) if shelf.policy == "upsert-only" else ()
    facts = Facts(known.id, shelf.name, shelf.policy, state, row, now, _permits(house, shelf))
    return InLibrary(
        name=name,
        vendor=state.vendor if state else "",
        policy=shelf.policy,
        state=row.state if row else None,
        wanted=row.wanted if row else None,
        wanted_at=row.wanted_at if row else None,
        held=row.held if row else None,
        faces=tuple(HeldThere(face.face_id, face.vendor_face_id, at) for face, at in bound),
        steps=words_of(would, facts, kept=kept, departed=known.departed_at is not None),
        obstacles=obstacles(facts, anything=bool(would)),
        next=next_of(facts, anything=bool(would)),
        attempts=tuple(_tried(one) for one in tx.attempts.of_person(known.id, library=name, limit=ATTEMPTS)),
        odd=tuple(
            Noticed(
                one.finding.vendor_face_id,
                one.finding.situation.value,
                reaction.value if (reaction := shelf.reactions.get(one.finding.situation)) else "report",
                one.finding.note,
                one.noted_at,
            )
            for one in tx.situations.of_person(known.id)
            if one.library == name
        ),
        verdict=verdict,
    )


def _tried(one: Attempt) -> Tried:
    return Tried(one.started_at, one.verb, one.outcome, one.reason, one.detail)


def _permits(house: House, shelf: Shelf) -> str | None:
    try:
        usage = house.limiter.usage(shelf.library.door.account)
    except NoPermitError:
        return "nobody counts permits just now (is Redis away?), so nothing is sent"
    return f"the vendor asked us to slow down, for {usage.closed_for:.1f} s more" if usage.closed_for > 0 else None


def _seen(house: House, shelf: Shelf, known: Known, held: Held, foreign: frozenset[VendorFaceId]) -> tuple[str, ...]:
    """What the library itself says it holds, beside what we think."""
    deadline = time.monotonic() + 3 * (shelf.library.door.timeout + PATIENCE)
    person = Person(known.id, known.revision, known.faces)
    try:
        seen = spare(house, shelf, deadline).look(person, held)
    except ErrandError as error:
        return (f"the library could not be read: {error}",)
    reading = after_look(person, held, seen, owned=shelf.owned, foreign=foreign)
    there, ours = vendor_ids(seen.faces), vendor_ids(reading.held)
    words = [f"{one.vendor_face_id} is there, as we think" for one in held if one.vendor_face_id in there]
    words += [f"{one.vendor_face_id} is gone" for one in held if one.vendor_face_id not in ours]
    words += [f"{face} is there, ours, and we did not know of it" for face in sorted(ours - vendor_ids(held))]
    words += [f"{face} is there and never was ours" for face in sorted(there - ours)]
    if not seen.complete:
        words.append("the library shows only faces that are asked for by their ids: others may be there")
    return tuple(words) or ("it has nothing of the person",)
