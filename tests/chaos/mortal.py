"""A house that dies where it is told to, on a database and among libraries that live on."""

import shutil
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import httpx
from sqlalchemy import event

from syncsvc.flow.claim import LEASE
from syncsvc.flow.deliver import deliver
from syncsvc.flow.dispatch import sweep
from syncsvc.flow.house import House, Shelf
from syncsvc.flow.record import Recorded, record
from syncsvc.library.http import Door
from syncsvc.library.loading import library_class
from syncsvc.model.changes import Change, Told
from syncsvc.model.keys import person_hash, person_key
from syncsvc.model.people import LibraryName, PersonId
from syncsvc.model.permits import Account, Unlimited
from syncsvc.sandbox.base import Limits, Sandbox
from syncsvc.sandbox.serve import running, sandbox_class
from syncsvc.store import Store
from syncsvc.store.engine import Transaction
from syncsvc.store.vault import Vault
from tests.conftest import MovableClock
from tests.vendors.photos import PhotoShelf

GATE = LibraryName("gate")
ROUNDS = 20


class KilledError(BaseException):
    """The process is gone: nothing of ours may catch this."""


@dataclass(slots=True)
class Fuse:
    """Burns down to the `left`-th point that it passes, and kills there; `burnt` names that point."""

    left: int
    burnt: str = ""

    def point(self, name: str) -> None:
        if self.burnt:
            raise KilledError(self.burnt)  # whoever is dead does nothing more
        self.left -= 1
        if self.left <= 0:
            self.burnt = name
            raise KilledError(name)


@contextmanager
def at_calls(fuse: Fuse, *, tables: bool = True) -> Iterator[None]:
    """Points: after every commit, before and after every call to a vendor, and before every verb of a table."""
    undo: list[tuple[type, str, Any]] = []

    def patch(owner: type, name: str, make: Callable[[Fuse, str, Any], Any]) -> None:
        original = owner.__dict__[name]
        undo.append((owner, name, original))
        setattr(owner, name, make(fuse, f"{owner.__name__.lower()}.{name}", original))

    for table in _tables() if tables else ():
        for name in [one for one, value in vars(table).items() if callable(value) and not one.startswith("_")]:
            patch(table, name, _before)
    patch(Door, "call", _around_call)
    patch(Store, "transaction", _committed)
    try:
        yield
    finally:
        for owner, name, original in reversed(undo):
            setattr(owner, name, original)


def _before(fuse: Fuse, name: str, original: Any) -> Any:
    def verb(self: Any, *args: Any, **kwargs: Any) -> Any:
        fuse.point(f"before {name}")
        return original(self, *args, **kwargs)

    return verb


def _around_call(fuse: Fuse, _: str, original: Any) -> Any:
    def call(self: Any, operation: str, *args: Any, **kwargs: Any) -> Any:
        fuse.point(f"before {operation}")
        answer = original(self, operation, *args, **kwargs)
        fuse.point(f"after {operation}")
        return answer

    return call


def _committed(fuse: Fuse, _: str, original: Any) -> Any:
    @contextmanager
    def transaction(self: Any) -> Iterator[Transaction]:
        with original(self) as tx:
            yield tx
        fuse.point("after a commit")

    return transaction


def _tables() -> list[type]:
    return [value.func.__annotations__["return"] for value in vars(Transaction).values() if hasattr(value, "func")]


@contextmanager
def at_line(place: tuple[str, int], fuse: Fuse) -> Iterator[None]:
    """The point is this line, when it is reached for the first time."""
    name, number = place

    def in_frame(frame: FrameType, event: str, _: Any) -> Any:
        if event == "line" and frame.f_lineno == number:
            fuse.point(f"{Path(name).name}:{number}")
        return in_frame

    with _traced(lambda frame, _event, _arg: in_frame if frame.f_code.co_filename == name else None):
        yield


@contextmanager
def noting_lines(folders: tuple[str, ...], lines: dict[tuple[str, int], None]) -> Iterator[None]:
    """Collects every line of these folders that is reached, in the order of the first time."""

    def in_frame(frame: FrameType, event: str, _: Any) -> Any:
        if event == "line":
            lines.setdefault((frame.f_code.co_filename, frame.f_lineno))
        return in_frame

    with _traced(lambda frame, _event, _arg: in_frame if frame.f_code.co_filename.startswith(folders) else None):
        yield


@contextmanager
def _traced(trace: Any) -> Iterator[None]:
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


@dataclass(slots=True)
class Town:
    """One vendor's sandbox behind one library, a database file, and houses that come and go."""

    sandbox: Sandbox
    door: Door
    shelf: PhotoShelf
    migrated: Path
    folder: Path
    clock: MovableClock = field(default_factory=MovableClock)
    store: Store = field(init=False)
    _snapshot: Any = None

    def __post_init__(self) -> None:
        self.store = Store(f"sqlite:///{self.folder / 'syncsvc.db'}", Vault([bytes(32)]))
        event.listen(self.store.engine, "connect", _trust_the_disk)

    def house(self) -> House:
        """Another process: it shares nothing with those before it but the database and the vendor.

        That the engine stays, without its connections, saves building every statement anew.
        """
        self.store.close()
        kind = library_class(self.sandbox.name)
        options = kind.Options.model_validate(dict(self.sandbox.practice_options))
        library = kind(self.door, options, self.shelf.url)
        return House(self.store, {GATE: Shelf(GATE, library, "sync", False, 8)}, Unlimited(), self.clock)

    def begin(self) -> House:
        """An empty database and an empty library."""
        self.store.close()
        for left in self.folder.glob("syncsvc.db*"):
            left.unlink()
        shutil.copyfile(self.migrated, self.folder / "syncsvc.db")
        self.sandbox.reset()
        house = self.house()
        with house.store.transaction() as tx:
            tx.libraries.declare({GATE: (self.sandbox.name, "sync")}, self.clock())
        return house

    def keep(self) -> None:
        """Remember database and library as they are now."""
        self.store.close()
        shutil.copyfile(self.folder / "syncsvc.db", self.folder / "kept.db")
        with self.sandbox.lock:
            self._snapshot = self.sandbox.world.snapshot(), list(self.sandbox.world.history)

    def return_to_kept(self) -> None:
        """Everything again as it was kept; who lived since is gone."""
        self.store.close()
        for left in self.folder.glob("syncsvc.db*"):
            left.unlink()
        shutil.copyfile(self.folder / "kept.db", self.folder / "syncsvc.db")
        (faces, records, order, length), history = self._snapshot
        with self.sandbox.lock:
            self.sandbox.world.history[:] = history
            copied = {key: dict(value) for key, value in records.items()}
            lists = {key: list(value) for key, value in order.items()}
            self.sandbox.world.restore((dict(faces), copied, lists, length))

    def tell(self, house: House, change: Change, source_id: str | None = None) -> Recorded:
        return record(house, Told("hr", source_id or uuid.uuid4().hex, change))

    def run(self, house: House, recorded: Recorded) -> None:
        """What the bell does after a change: its rings, then a sweep's."""
        for ring in recorded.rings:
            deliver(house, ring.library, ring.deliveries)
        self.clock.advance(6)
        for ring in sweep(house):
            deliver(house, ring.library, ring.deliveries)

    def recover(self, house: House) -> None:
        """Leases have run out; sweeps and deliveries until nothing is owed."""
        self.clock.advance(LEASE.total_seconds() + 1)
        for _ in range(ROUNDS):
            for ring in sweep(house):
                deliver(house, ring.library, ring.deliveries)
            with house.store.reading() as tx:
                if not tx.deliveries.unsettled():
                    return
            self.clock.advance(61)
        raise AssertionError("does not come to rest")

    def holds(self, person: PersonId) -> Counter[str]:
        """What the person's faces in the library were made from."""
        return Counter(self.sandbox.digests_of(self._key(person)))

    def knows(self, person: PersonId) -> bool:
        with self.sandbox.lock:
            return self.sandbox.world.knows(self._key(person))

    def counts(self, person: PersonId) -> list[int]:
        """How many faces the person had there after each change."""
        with self.sandbox.lock:
            return self.sandbox.world.counts(self._key(person))

    def _key(self, person: PersonId) -> str:
        return person_hash(person) if self.sandbox.name == "huawei" else person_key(person)


def _trust_the_disk(connection: Any, _record: Any) -> None:
    """A killed process loses nothing that it gave to the system; only a power cut would."""
    connection.execute("PRAGMA synchronous=OFF")


@contextmanager
def town(vendor: str, shelf: PhotoShelf, migrated: Path, folder: Path) -> Iterator[Town]:
    sandbox = sandbox_class(vendor)(limits=Limits(enabled=False))
    with running(sandbox) as (url,), httpx.Client(timeout=5.0, trust_env=False) as client:
        built = Town(sandbox, Door(client, url, Account(vendor), Unlimited(), timeout=5.0), shelf, migrated, folder)
        try:
            yield built
        finally:
            built.store.close()
