"""Whatever happens, in whatever order: once the trouble is over, every library holds exactly what it should."""

import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from syncsvc.flow.deliver import deliver
from syncsvc.flow.dispatch import refill, sweep
from syncsvc.flow.operate import resync
from syncsvc.flow.record import record
from syncsvc.model.changes import Change, Departed, FaceDeleted, FaceReplaced, Told, Upserted
from syncsvc.model.people import LibraryName, PersonId, VendorFaceId
from syncsvc.store import Store
from syncsvc.store.vault import Vault
from tests.conftest import PHOTO_KEY, MovableClock
from tests.flow.stage import GATE, YARD, Stage, face, once, staged
from tests.vendors.photos import PhotoShelf, draw

PEOPLE = [PersonId(f"person-{number}") for number in range(4)]
PHOTOS = 9

people = st.sampled_from(PEOPLE)
libraries = st.sampled_from([GATE, YARD])
places = st.integers(0, 2)
photos = st.integers(0, PHOTOS - 1)
troubles = st.sampled_from(
    [
        {"kind": "outage"},
        {"kind": "unavailable"},
        {"kind": "throttle"},
        {"kind": "lost_answer"},
        {"kind": "garbage"},
        {"kind": "garbage", "carried_out": False},
        {"kind": "unknown_code"},
        {"kind": "partial", "honest": True},
    ]
)


class Anything(RuleBasedStateMachine):
    """Changes, trouble and death in any order. A subclass names two vendors; they fail or are silent, and never lie."""

    vendors: ClassVar[tuple[str, str]]
    migrated: ClassVar[Path]
    shelf: ClassVar[PhotoShelf]
    strangers_among_us: ClassVar[bool] = True  # a face under a person's key can be told from ours by its label

    @initialize()
    def open(self) -> None:
        self.stack = ExitStack()
        folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        shutil.copyfile(self.migrated, folder / "syncsvc.db")
        store = Store(f"sqlite:///{folder}/syncsvc.db", Vault([PHOTO_KEY]))
        self.stack.callback(store.close)
        self.stage: Stage = self.stack.enter_context(staged(store, MovableClock(), self.shelf, self.vendors))
        self.version = 0
        self.told: list[Told] = []
        self.planted: list[tuple[LibraryName, VendorFaceId]] = []

    # --- what the outside says ------------------------------------------------------------------------------------

    def tell(self, change: Change) -> None:
        self.version += 1
        told = Told("hr", str(self.version), change, self.version)
        self.told.append(told)
        record(self.stage.house, told)

    @rule(person=people, numbers=st.lists(photos, min_size=1, max_size=3, unique=True))
    def hire(self, person: PersonId, numbers: list[int]) -> None:
        self.tell(Upserted(person, tuple((face(place), draw(number)) for place, number in enumerate(numbers))))

    @rule(person=people, place=places, number=photos)
    def swap(self, person: PersonId, place: int, number: int) -> None:
        self.tell(FaceReplaced(person, face(place), draw(number)))

    @rule(person=people, place=places)
    def drop(self, person: PersonId, place: int) -> None:
        self.tell(FaceDeleted(person, face(place)))

    @rule(person=people)
    def leave(self, person: PersonId) -> None:
        self.tell(Departed(person))

    @precondition(lambda self: bool(getattr(self, "told", None)))
    @rule(data=st.data())
    def tell_again(self, data: st.DataObject) -> None:
        """Repeated, or late under another id."""
        old = data.draw(st.sampled_from(self.told))
        again = data.draw(st.sampled_from([old.source_id, f"{old.source_id}-late"]))
        before = self.stage.wanted(old.change.person)

        record(self.stage.house, Told("hr", again, old.change, old.version))

        assert self.stage.wanted(old.change.person) == before

    # --- what workers do ------------------------------------------------------------------------------------------

    @rule(count=st.integers(1, 6))
    def work(self, count: int) -> None:
        for ring in sweep(self.stage.house)[:count]:
            deliver(self.stage.house, ring.library, ring.deliveries)

    @rule(library=libraries)
    def flush_the_broker(self, library: LibraryName) -> None:
        refill(self.stage.house, library)

    @rule(data=st.data())
    def ring_for_nothing(self, data: st.DataObject) -> None:
        number = data.draw(st.integers(1, 12))
        deliver(self.stage.house, data.draw(libraries), [number])

    @rule(data=st.data(), before=st.booleans())
    def die(self, data: st.DataObject, *, before: bool) -> None:
        rings = sweep(self.stage.house)
        if not rings:
            return
        ring = data.draw(st.sampled_from(rings))
        if before:
            self.stage.take(ring.deliveries[0], ring.library)
        else:
            self.stage.crash_at_settling(lambda: deliver(self.stage.house, ring.library, ring.deliveries))

    @rule(data=st.data())
    def come_late(self, data: st.DataObject) -> None:
        """A worker is so slow that another has taken over before it begins."""
        rings = sweep(self.stage.house)
        if not rings:
            return
        ring = data.draw(st.sampled_from(rings))
        slow = self.stage.take(ring.deliveries[0], ring.library)
        if slow.taken:
            self.stage.clock.advance(60)
            deliver(self.stage.house, ring.library, ring.deliveries)
            self.stage.finish(slow)

    @rule(person=people, place=places, number=photos)
    def change_in_mid_flight(self, person: PersonId, place: int, number: int) -> None:
        self.stage.gatekeeper.before = once(lambda: self.swap(person, place, number))
        self.work(1)
        self.stage.gatekeeper.before = lambda _: None

    @rule(person=people)
    def leave_in_mid_flight(self, person: PersonId) -> None:
        self.stage.gatekeeper.before = once(lambda: self.leave(person))
        self.work(1)
        self.stage.gatekeeper.before = lambda _: None

    @rule(seconds=st.sampled_from([1, 5, 46, 600]))
    def wait(self, seconds: int) -> None:
        self.stage.clock.advance(seconds)

    # --- what goes wrong ------------------------------------------------------------------------------------------

    @rule(library=libraries, trouble=troubles, times=st.integers(1, 3), after=st.integers(0, 3))
    def trouble(self, library: LibraryName, trouble: dict[str, object], times: int, after: int) -> None:
        self.stage.rooms[library].write_fault({**trouble, "times": times, "after": after})

    @rule(library=libraries, person=people)
    def plant(self, library: LibraryName, person: PersonId) -> None:
        whose = person if self.strangers_among_us else PersonId(f"stranger-{len(self.planted)}")
        self.planted.append((library, self.stage.plant(whose, library)))

    # --- and in the end -------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        if not hasattr(self, "stage"):
            return
        try:
            self.heal()
            for row in self.stage.rows():
                self.stage.assert_in_sync(row.person_id, row.library)
            for library, room in self.stage.rooms.items():
                planted = {one for where, one in self.planted if where == library}
                ours = [one.digest for person in PEOPLE for one in self.stage.there(person, library)]
                assert set(room.world.faces) >= planted
                assert len(room.world.faces) == len(planted) + len(ours)
                assert sorted(ours) == sorted(digest for person in PEOPLE for digest in self.stage.wanted(person))
            assert self.stage.stored_pictures() == {digest for person in PEOPLE for digest in self.stage.wanted(person)}
        finally:
            self.stack.close()

    def heal(self) -> None:
        for room in self.stage.rooms.values():
            room.clear_faults()
        self.stage.quiet()
        given_up = {row.person_id for row in self.stage.rows() if row.state != "synced"}
        for person in sorted(given_up):
            resync(self.stage.house, PersonId(person))
        self.stage.quiet()


class WithLabels(Anything):
    """Two vendors that keep a label of ours with each face; one cannot show a person's faces."""

    vendors: ClassVar[tuple[str, str]] = ("finauth", "huawei")


class WithPeople(Anything):
    """Two vendors that know people and keep no labels: there a lost face is told from a stranger's by counting."""

    vendors: ClassVar[tuple[str, str]] = ("sophon", "aliyun")
    strangers_among_us: ClassVar[bool] = False


@pytest.fixture(scope="module", autouse=True)
def _ground(migrated_file: Path, shelf: PhotoShelf) -> None:
    Anything.migrated, Anything.shelf = migrated_file, shelf


STEPS = settings(
    max_examples=20,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
TestWithLabels = WithLabels.TestCase
TestWithLabels.settings = STEPS
TestWithPeople = WithPeople.TestCase
TestWithPeople.settings = STEPS
