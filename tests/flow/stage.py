"""A stage for the corridor: real adapters at real sandboxes, a real database, and a clock that we move."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from dataclasses import replace as changed
from datetime import datetime
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update

from syncsvc.flow.claim import LEASE, Claim, claim
from syncsvc.flow.deliver import _run, deliver
from syncsvc.flow.dispatch import sweep
from syncsvc.flow.house import House, Shelf
from syncsvc.flow.record import Recorded, Ring, record
from syncsvc.flow.settle import Done, Settled, settle
from syncsvc.flow.together import Together
from syncsvc.library.base import FaceLibrary
from syncsvc.library.http import Door
from syncsvc.library.loading import library_class
from syncsvc.model.changes import Change, Departed, FaceDeleted, FaceReplaced, Told, Upserted
from syncsvc.model.errors import NoPermitError
from syncsvc.model.keys import is_our_label, person_hash, person_key
from syncsvc.model.people import FaceId, Held, HeldFace, LibraryName, PersonId, Photo, VendorFaceId
from syncsvc.model.permits import Account, Unlimited, Usage
from syncsvc.sandbox.base import Limits, Sandbox, StoredFace
from syncsvc.sandbox.serve import running, sandbox_class
from syncsvc.store import Store, Transaction
from syncsvc.store.bindings import Became
from syncsvc.store.libraries import LibraryState
from syncsvc.store.situations import Noted
from syncsvc.store.tables import deliveries, photos
from tests.conftest import MovableClock
from tests.vendors.photos import PhotoShelf, draw

TIMEOUT = 2.0
PROJECT = "0123456789abcdef0123456789abcdef"
OPTIONS: Mapping[str, Mapping[str, str]] = {
    "sophon": {},
    "finauth": {"api_key": "sandbox-key", "api_secret": "sandbox-secret", "group_id": "sandbox"},
    "huawei": {
        "project_id": PROJECT,
        "face_set_name": "sandbox",
        "access_key": "SANDBOXACCESSKEY",
        "secret_key": "sandbox-secret",
    },
    "aliyun": {
        "access_key_id": "sandbox-key",
        "access_key_secret": "sandbox-secret",
        "region": "cn-shanghai",
        "group_id": "staff",
    },
}
SECRETS = {"finauth": "api_secret", "huawei": "secret_key", "aliyun": "access_key_secret"}
VENDORS = tuple(OPTIONS)
ADDING = {"sophon": "createidentity", "finauth": "add", "huawei": "add", "aliyun": "face/add"}
REMOVING = {"sophon": "deleteidentities", "finauth": "delete", "huawei": "delete", "aliyun": "face/delete"}

GATE, YARD = LibraryName("gate"), LibraryName("yard")
ALICE, BOB, CAROL = PersonId("alice"), PersonId("bob"), PersonId("carol 三/odd@id")
LEFT, RIGHT = FaceId("left"), FaceId("right")


@dataclass
class Gatekeeper:
    """Says yes, unless it is told what to do before a permit is given; remembers what it was told to close."""

    before: Callable[[str], None] = lambda operation: None
    closed: list[tuple[str, float]] = field(default_factory=list)
    permits: int = 0

    def permit(self, account: Account, operation: str, *, patience: float) -> AbstractContextManager[None]:
        self.before(operation)
        self.permits += 1
        return nullcontext()

    def close(self, account: Account, operation: str, retry_after: float) -> None:
        self.closed.append((operation, retry_after))

    def usage(self, account: Account) -> Usage:
        return Unlimited().usage(account)


class _Death(BaseException):
    """What a killed worker cannot catch."""


class _Dying(Together[Any, Any]):
    def __call__(self, item: Any, work: Any) -> Any:
        raise _Death


@dataclass
class Stage:
    """Everything of one test, with short verbs."""

    house: House
    clock: MovableClock
    rooms: dict[LibraryName, Sandbox]
    gatekeeper: Gatekeeper
    told: int = 0

    # --- the outside ----------------------------------------------------------------------------------------------

    def tell(
        self, change: Change, *, version: int | None = None, source_id: str | None = None, ring: bool = False
    ) -> Recorded:
        self.told += 1
        told = Told("hr", source_id or f"message-{self.told}", change, version)
        return record(self.house, told, ring=ring)

    def hire(self, person: PersonId, *photos: int, version: int | None = None) -> Recorded:
        """Somebody with these drawn photos as faces left and right, or f2, f3, ..."""
        faces = tuple((face(place), draw(number)) for place, number in enumerate(photos))
        return self.tell(Upserted(person, faces), version=version)

    def tell_faces(self, person: PersonId, faces: Mapping[FaceId, Photo]) -> Recorded:
        return self.tell(Upserted(person, tuple(faces.items())))

    def tell_photo(self, person: PersonId, face_id: FaceId, photo: Photo) -> Recorded:
        return self.tell(FaceReplaced(person, face_id, photo))

    def swap(self, person: PersonId, place: int, number: int, *, version: int | None = None) -> Recorded:
        return self.tell(FaceReplaced(person, face(place), draw(number)), version=version)

    def drop(self, person: PersonId, place: int, *, version: int | None = None) -> Recorded:
        return self.tell(FaceDeleted(person, face(place)), version=version)

    def leave(self, person: PersonId, *, version: int | None = None) -> Recorded:
        return self.tell(Departed(person), version=version)

    # --- the corridor ---------------------------------------------------------------------------------------------

    def deliver(self, person: PersonId = ALICE, library: LibraryName = GATE) -> Settled:
        """One errand, as soon as it is due and the library is open to it."""
        row = self.row(person, library)
        state = self.library(library)
        due = [instant for instant in (row.due_at, row.leased_until, state.open_until) if instant is not None]
        self.clock.now = max(self.clock.now, *due)
        return deliver(self.house, library, [row.id])

    def claim_and_die(self, person: PersonId = ALICE, library: LibraryName = GATE) -> None:
        """A worker takes the delivery and is never heard of again."""
        row = self.row(person, library)
        assert claim(self.house, self.house.shelf(library), [row.id]).taken

    def crash_at_settling(self, act: Callable[[], object]) -> None:
        """The worker runs its errand and dies before it can write down how it went."""
        house = self.house
        self.house = changed(house, settling=_Dying())
        with suppress(_Death):
            act()
        self.house = house

    def run(self, taken: Claim) -> list[Done]:
        """Go to the library with what was claimed, and settle nothing yet."""
        return _run(self.house, self.house.shelf(taken.round.library), taken, time.monotonic() + LEASE.total_seconds())

    def take(self, number: int, library: LibraryName = GATE) -> Claim:
        return claim(self.house, self.house.shelf(library), [number])

    def finish(self, taken: Claim) -> Settled:
        return settle(self.house, taken.round, self.run(taken))

    def rung(self) -> list[Ring]:
        return sweep(self.house)

    def open_until(self, library: LibraryName = GATE) -> datetime:
        """When the library's breaker lets a probe through."""
        until = self.library(library).open_until
        assert until is not None
        return until

    def quiet(self, rounds: int = 60) -> None:
        """Sweep and deliver, moving the clock on, until nothing is due any more."""
        for _ in range(rounds):
            for ring in sweep(self.house):
                deliver(self.house, ring.library, ring.deliveries)
            waits = self.waits()
            if not waits:
                return
            self.clock.now = max(self.clock.now, min(waits))
        raise AssertionError(f"still not quiet: {[tuple(row) for row in self.rows()]}")

    def waits(self) -> list[Any]:
        """The instants at which something open may be tried again."""
        states = {one.name: one for one in self.libraries()}
        found = []
        for row in self.rows():
            state = states[row.library]
            if row.state in {"due", "doubtful"} and state.state == "active":
                found.append(max(one for one in (row.due_at, row.busy_until, state.open_until) if one is not None))
        return found

    # --- what is written ------------------------------------------------------------------------------------------

    def row(self, person: PersonId = ALICE, library: LibraryName = GATE) -> Any:
        mine = (deliveries.c.person_id == person) & (deliveries.c.library == library)
        with self.house.store.reading() as tx:
            return tx._connection.execute(select(deliveries).where(mine)).one()

    def rows(self) -> Sequence[Any]:
        with self.house.store.reading() as tx:
            return tx._connection.execute(select(deliveries).order_by(deliveries.c.id)).all()

    def amend(self, person: PersonId, **values: Any) -> None:
        """Write into a delivery by hand."""
        with self.house.store.transaction() as tx:
            tx._connection.execute(update(deliveries).where(deliveries.c.person_id == person).values(values))

    def library(self, name: LibraryName = GATE) -> LibraryState:
        with self.house.store.reading() as tx:
            state = tx.libraries.get(name)
        assert state is not None
        return state

    def libraries(self) -> list[LibraryState]:
        with self.house.store.reading() as tx:
            return tx.libraries.all()

    def situations(self, person: PersonId = ALICE) -> list[Noted]:
        with self.house.store.reading() as tx:
            return tx.situations.of_person(person)

    def believed(self, person: PersonId = ALICE, library: LibraryName = GATE) -> set[str]:
        """The vendor's ids that we think are held."""
        with self.house.store.reading() as tx:
            return {str(one.vendor_face_id) for one in tx.bindings.held(library, [person])[person]}

    def verified(self, person: PersonId = ALICE, library: LibraryName = GATE) -> dict[str, datetime | None]:
        """The vendor's id of each held face -> when it was last read."""
        with self.house.store.reading() as tx:
            return {str(one.vendor_face_id): at for one, at in tx.bindings.of_person(person)[library]}

    def stored_pictures(self) -> set[str]:
        with self.house.store.reading() as tx:
            return set(tx._connection.scalars(select(photos.c.digest)))

    def outcomes(self, person: PersonId = ALICE) -> list[str]:
        """The attempt log's words, oldest first."""
        with self.house.store.reading() as tx:
            return [one.reason or one.outcome for one in reversed(tx.attempts.of_person(person))]

    def wanted(self, person: PersonId) -> list[str]:
        with self.house.store.reading() as tx:
            known = tx.people.get(person)
        return sorted(one.digest for one in known.faces) if known else []

    # --- what the libraries hold ----------------------------------------------------------------------------------

    @property
    def room(self) -> Sandbox:
        return self.rooms[GATE]

    def there(self, person: PersonId = ALICE, library: LibraryName = GATE) -> list[StoredFace]:
        """The person's faces in the sandbox that our side put there, whatever key the vendor files them under."""
        room = self.rooms[library]
        keys = {person_key(person), person_hash(person)}
        with room.lock:
            return [
                one
                for one in room.world.faces.values()
                if not one.planted and (one.person_key in keys or is_our_label(person, one.label))
            ]

    def digests(self, person: PersonId = ALICE, library: LibraryName = GATE) -> list[str]:
        return sorted(one.digest for one in self.there(person, library))

    def assert_in_sync(self, person: PersonId = ALICE, library: LibraryName = GATE) -> None:
        """The library holds what is wanted, we believe what it holds, and nothing is due."""
        assert self.digests(person, library) == self.wanted(person)
        assert self.believed(person, library) == {one.vendor_face_id for one in self.there(person, library)}
        assert self.row(person, library).state == "synced"

    def plant(self, person: PersonId = ALICE, library: LibraryName = GATE) -> VendorFaceId:
        """A face under the person's key that nobody of ours put there."""
        return VendorFaceId(self.rooms[library].plant(person_key(person)).vendor_face_id)

    def reshelve(self, name: LibraryName = GATE, *, library_: FaceLibrary[Any] | None = None, **more: Any) -> None:
        """The same library under another policy, ownership, allowance or adapter."""
        before = self.house.shelf(name)
        shelf = changed(before, library=library_ or before.library, **more)
        self.house = changed(self.house, shelves={**self.house.shelves, name: shelf})
        with self.house.store.transaction() as tx:
            told = {each: ("vendor", one.policy) for each, one in self.house.shelves.items()}
            tx.libraries.declare(told, self.clock())

    def set_state(self, state: str, name: LibraryName = GATE) -> None:
        with self.house.store.transaction() as tx:
            tx.libraries.set_state(name, state, self.clock())

    def resume(self, name: LibraryName = GATE) -> None:
        self.set_state("active", name)

    def doubt(self, person: PersonId, library: LibraryName = GATE) -> None:
        """Have the library read before the next try."""
        with self.house.store.transaction() as tx:
            tx.deliveries.look_again(self.row(person, library).id, self.clock())

    def bind(self, tx: Transaction, person: PersonId, held: Held, vendor_face_id: str) -> None:
        """Believe that the person's faces have become this one."""
        tx.bindings.settle([Became(GATE, person, held, (HeldFace(VendorFaceId(vendor_face_id)),))], self.clock())

    def damage(self, digest: str) -> None:
        """One stored picture can no longer be opened."""
        with self.house.store.transaction() as tx:
            tx._connection.execute(update(photos).where(photos.c.digest == digest).values(sealed=bytes(60)))


def refuse_once(wait: float) -> Callable[[str], None]:
    """For a gatekeeper: no permit, the first time."""

    def refuse() -> None:
        raise NoPermitError(wait)

    return once(refuse)


def on(vendor: str) -> pytest.MarkDecorator:
    """The stage's one library is this vendor's."""
    return pytest.mark.parametrize("stage", [pytest.param(vendor, id=vendor)], indirect=True)


def once(act: Callable[[], object]) -> Callable[[str], None]:
    """For a gatekeeper: do this before the first permit."""
    left = [act]

    def before(_operation: str) -> None:
        if left:
            left.pop()()

    return before


def face(place: int) -> FaceId:
    return (LEFT, RIGHT)[place] if place < 2 else FaceId(f"f{place}")


@contextmanager
def staged(
    store: Store, clock: MovableClock, shelf: PhotoShelf, vendors: Sequence[str], *, timeout: float = TIMEOUT
) -> Iterator[Stage]:
    """One library for each vendor: the first is called gate, the second yard."""
    names = [GATE, YARD, *(LibraryName(f"library-{number}") for number in range(2, len(vendors)))]
    rooms = [sandbox_class(vendor)(limits=Limits(enabled=False)) for vendor in vendors]
    gatekeeper = Gatekeeper()
    with running(*rooms) as urls, httpx.Client(timeout=timeout, trust_env=False) as client:
        shelves = {}
        for name, vendor, url in zip(names, vendors, urls, strict=False):
            door = Door(client, url, Account(f"{vendor}|{name}"), gatekeeper, timeout=timeout)
            shelves[name] = Shelf(name, open_library(vendor, door, shelf), policy="sync", owned=False, allowance=20)
        house = House(store, shelves, gatekeeper, clock)
        with store.transaction() as tx:
            told = {name: (vendor, "sync") for name, vendor in zip(names, vendors, strict=False)}
            tx.libraries.declare(told, clock())
        yield Stage(house, clock, dict(zip(names, rooms, strict=False)), gatekeeper)


def open_library(vendor: str, door: Door, shelf: PhotoShelf, **options: str) -> FaceLibrary[Any]:
    kind = library_class(vendor)
    return kind(door, kind.Options.model_validate({**OPTIONS[vendor], **options}), shelf.url)
