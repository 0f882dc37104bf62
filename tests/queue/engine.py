"""The whole engine as real processes on servers of the test's own, and the books it is compared with."""

import asyncio
import base64
import itertools
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from syncsvc.flow.house import House
from syncsvc.flow.record import record
from syncsvc.model.changes import Change, Departed, FaceDeleted, FaceReplaced, Told, Upserted
from syncsvc.model.people import FaceId, LibraryName, PersonId
from syncsvc.model.permits import Unlimited
from syncsvc.sandbox.base import Limits
from syncsvc.sandbox.finauth import Sandbox as Finauth
from syncsvc.sandbox.serve import running
from syncsvc.sandbox.sophon import Sandbox as Sophon
from syncsvc.sandbox.wire import Call
from syncsvc.store import Store, schema
from syncsvc.store.vault import Vault
from tests.queue.hasty import PARENT
from tests.vendors.photos import draw

ROOT = Path(__file__).resolve().parent.parent.parent
KEY = bytes(range(32))
GATE, CLOUD = LibraryName("north-gate"), LibraryName("cloud")
RATE = 20  # calls a second that the cloud allows, in every sliding second
FACES = (FaceId("left"), FaceId("right"))

CONFIGURATION = """
[service]
state_dir = "state"
photo_key = "env:CHAOS_PHOTO_KEY"
[database]
url = "{database}"
[redis]
url = "{redis}"
{broker}
[[library]]
name = "north-gate"
vendor = "sophon"
base_url = "{gate}"
policy = "sync"
timeout = 2
concurrency = 100 # a killed worker's calls keep their places with the gatekeeper for a while
[[library]]
name = "cloud"
vendor = "finauth"
base_url = "{cloud}"
policy = "sync"
rate = "{rate}/s"
timeout = 2
[library.options]
api_key = "env:CHAOS_API_KEY"
api_secret = "env:CHAOS_API_SECRET"
group_id = "sandbox"
"""


@dataclass(frozen=True, slots=True)
class Visit:
    """One call that changes something, from its arrival at the vendor's to its end; instants of one clock."""

    person: str
    operation: str
    came: float
    went: float


class WatchedGate(Sophon):
    """Writes down who was changed when."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.visits: list[Visit] = []

    async def _serve(self, call: Call, operation: str, *rest: Any) -> None:
        came = time.monotonic()
        try:
            await super()._serve(call, operation, *rest)
        finally:
            if not operation.startswith("get"):
                told = call.json()
                people = told.get("identity_ids") or [told["identity_id"]]
                self.visits += [Visit(str(one), operation, came, time.monotonic()) for one in people]

    def overlapping(self) -> list[tuple[Visit, Visit]]:
        """Changes of one person that were under way at the same time."""
        ordered = sorted(self.visits, key=lambda one: (one.person, one.came))
        return [
            (one, other)
            for one, other in itertools.pairwise(ordered)
            if one.person == other.person and other.came < one.went
        ]


class SlowCloud(Finauth):
    """Takes its time over an add, while a listing is answered at once."""

    thinks: float = 0.0  # seconds
    adds_under_way: int = 0

    async def _serve(self, call: Call, operation: str, *rest: Any) -> None:
        if operation == "add":
            self.adds_under_way += 1
            await asyncio.sleep(self.thinks)
            self.adds_under_way -= 1
        await super()._serve(call, operation, *rest)


class Books:
    """What HR believes: changes are drawn from here, and the libraries compared with it."""

    def __init__(self, people: int, seed: int) -> None:
        self._random = random.Random(seed)
        self._people = [PersonId(f"p{number}") for number in range(people)]
        self.faces: dict[PersonId, dict[FaceId, str]] = {}
        self._photos = 0

    def hires(self) -> list[Change]:
        return [self._hired(person) for person in self._people]

    def changes(self, count: int) -> list[Change]:
        return [self._changed(self._random.choice(self._people)) for _ in range(count)]

    def _changed(self, person: PersonId) -> Change:
        have = self.faces[person]
        what = self._random.choice(["replaced", "replaced", "deleted", "departed", "hired"])
        if not have or what == "hired":
            return self._hired(person)
        if what == "departed":
            self.faces[person] = {}
            return Departed(person)
        face = self._random.choice(sorted(have))
        if what == "deleted" and len(have) > 1:
            del have[face]
            return FaceDeleted(person, face)
        photo = draw(self._next())
        have[face] = photo.digest
        return FaceReplaced(person, face, photo)

    def _hired(self, person: PersonId) -> Change:
        photos = {face: draw(self._next()) for face in FACES[: self._random.randint(1, 2)]}
        self.faces[person] = {face: photo.digest for face, photo in photos.items()}
        return Upserted(person, tuple(photos.items()), name="CANARY Name")

    def _next(self) -> int:
        self._photos += 1
        return self._photos


class Child:
    """One process of ours, and what it said."""

    def __init__(self, words: Sequence[str], environ: dict[str, str], folder: Path, log: Path) -> None:
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, *words],
                env=environ,
                cwd=folder,
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
            )

    def kill(self) -> None:
        """`kill -9`, by its id."""
        self._process.kill()
        self._process.wait(10)

    def stop(self, seconds: float = 30.0) -> int:
        """SIGTERM; its exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(seconds)

    def said(self) -> str:
        return self.log.read_text("utf-8", "replace")

    @property
    def alive(self) -> bool:
        return self._process.poll() is None


@dataclass(slots=True)
class Engine:
    """Two sandboxes, a database, a broker; workers and beats as the test wants them."""

    folder: Path
    environ: dict[str, str]
    house: House
    gate: WatchedGate
    cloud: SlowCloud
    urls: dict[LibraryName, str]
    books: Books
    children: list[Child] = field(default_factory=list)

    def worker(self, *, threads: int = 8) -> Child:
        name = f"w{len(self.children)}"
        options = ["-P", "threads", "-c", str(threads), "-n", f"{name}@%h", "--without-mingle", "--without-gossip"]
        return self._start(name, "worker", *options)

    def beat(self) -> Child:
        name = f"beat{len(self.children)}"
        return self._start(name, "beat", "-s", str(self.folder / name))

    def _start(self, name: str, *words: str) -> Child:
        arguments = ["-m", "tests.queue.hasty", "-A", "syncsvc", *words]
        return self.child(name, *arguments)

    def child(self, name: str, *words: str) -> Child:
        child = Child(words, self.environ, self.folder, self.folder / f"{name}.log")
        self.children.append(child)
        return child

    def tell(self, changes: Sequence[Change]) -> None:
        for change in changes:
            record(self.house, Told("hr", uuid.uuid4().hex, change), ring=False)

    def wait(self, what: str, until: Callable[[], bool], seconds: float = 60.0) -> None:
        """Ask now and then. A process that ended by itself is told at once, and so is one that never comes."""
        deadline = time.monotonic() + seconds
        while not until():
            assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}; {self._whereabouts()}"
            time.sleep(0.1)

    def until_called(self, calls: int, seconds: float = 45.0) -> None:
        """So many calls have come to the vendors from now."""
        before = self.calls()
        self.wait(f"{calls} more calls", lambda: self.calls() >= before + calls, seconds)

    def until_settled(self, seconds: float = 60.0) -> None:
        self.wait("everything settled", lambda: not self.states(), seconds)

    def states(self) -> dict[LibraryName, dict[str, int]]:
        """What is not synced, by library and state. Nothing may ever need attention here: all photos are good."""
        with self.house.store.reading() as tx:
            found = tx.deliveries.unsettled()
        for states in found.values():
            assert not states.keys() & {"refused", "exhausted"}, found
        return found

    def assert_agreed(self, *, offences: int = 0) -> None:
        """Every library holds exactly what HR believes, face by face; and our own pace offended nobody, or, where
        Redis lost its memory of the pace, so seldom."""
        wanted = {str(one): Counter(faces.values()) for one, faces in self.books.faces.items() if faces}
        for name, url in self.urls.items():
            world = httpx.get(f"{url}/_control/world", trust_env=False, timeout=20.0).json()
            held = {key: Counter(face["digest"] for face in faces) for key, faces in world["people"].items()}
            assert held == wanted, name
            assert httpx.get(f"{url}/_control/calls", trust_env=False).json()["throttled"]["own"] <= offences, name
        assert self.gate.overlapping() == []

    def failures(self, name: LibraryName) -> int:
        """How often in a row the library itself has failed: what the breaker goes by."""
        with self.house.store.reading() as tx:
            state = tx.libraries.get(name)
        assert state is not None
        return state.failures

    def quiet(self) -> bool:
        """Whether the vendors were called no more for a while, longer than any call takes."""
        before = self.calls()
        time.sleep(1.0)
        return self.calls() == before

    def calls(self) -> int:
        return int(self.gate.calls(0)["total"]) + int(self.cloud.calls(0)["total"])

    def _whereabouts(self) -> str:
        ended = [f"{one.log.name} ended: {one.said()[-800:]}" for one in self.children if not one.alive]
        calls = self.gate.calls(0)["outcomes"], self.cloud.calls(0)["outcomes"]
        return f"{self.states()}; calls {calls}; {'; '.join(ended)}"


@contextmanager
def engine(
    folder: Path, *, database: str, redis: str, broker: str | None = None, people: int = 30, seed: int = 1
) -> Iterator[Engine]:
    """Everything but the workers and the beat; whatever was started is gone at the end."""
    with ExitStack() as stack:
        gate, cloud = WatchedGate(latency=0.1, jitter=0.05), SlowCloud(limits=Limits(rates=((RATE, 1.0),)), latency=0.1)
        urls = dict(zip((GATE, CLOUD), stack.enter_context(running(gate, cloud)), strict=True))
        file = folder / "syncsvc.toml"
        broker_section = '[broker]\nurl = "env:CHAOS_BROKER"' if broker else ""
        told = CONFIGURATION.format(
            database=database, redis=redis, broker=broker_section, gate=urls[GATE], cloud=urls[CLOUD], rate=RATE
        )
        file.write_text(told, "utf-8")
        environ = {
            **os.environ,
            "SYNCSVC_CONFIG": str(file),
            "CHAOS_PHOTO_KEY": base64.b64encode(KEY).decode(),
            "CHAOS_API_KEY": Finauth.practice_options["api_key"],
            "CHAOS_API_SECRET": Finauth.practice_options["api_secret"],
            "CHAOS_BROKER": broker or "",
            "PYTHONPATH": str(ROOT),
            PARENT: str(os.getpid()),
        }
        store = Store(database, Vault([KEY]))
        stack.callback(store.close)
        schema.upgrade(store)
        with store.transaction() as tx:
            tx.libraries.declare({GATE: ("sophon", "sync"), CLOUD: ("finauth", "sync")}, datetime.now(UTC))
        house = House(store, {}, Unlimited(), lambda: datetime.now(UTC))
        built = Engine(folder, environ, house, gate, cloud, urls, Books(people, seed))
        try:
            yield built
        finally:
            for child in built.children:
                child.kill()
