"""From any starting world: after reconciliation and delivery a library holds exactly what its policy says."""

import shutil
import tempfile
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from syncsvc.flow.compare import compare
from syncsvc.flow.listing import begin, read_on
from syncsvc.flow.reconcile import newest, reconcile
from syncsvc.model.keys import is_our_label, person_hash, person_key
from syncsvc.model.people import PersonId
from syncsvc.model.situations import OWNED, SAFE, Situation
from syncsvc.sandbox.base import StoredFace
from syncsvc.store import Store
from syncsvc.store.vault import Vault
from tests.conftest import PHOTO_KEY, MovableClock
from tests.flow.stage import ADDING, GATE, REMOVING, Stage, staged
from tests.vendors.photos import PhotoShelf

Before = Literal["stays", "changes", "drops one", "leaves", "leaves, and the library lies", "loses an answer"]
Behind = Literal["nothing", "deleted", "planted beside", "twin", "returned", "replaced"]


@dataclass(frozen=True)
class Story:
    """One person: what HR said, and what happened in the library without us."""

    photos: tuple[int, ...]
    before: Before
    behind: Behind


stories = st.builds(
    Story,
    st.lists(st.integers(0, 8), min_size=1, max_size=2, unique=True).map(tuple),
    st.sampled_from(Before.__args__),  # type: ignore[attr-defined]
    st.sampled_from(Behind.__args__),  # type: ignore[attr-defined]
)
worlds = st.lists(stories, min_size=1, max_size=3)
terms = st.tuples(
    st.sampled_from([("sync", False), ("sync", True), ("upsert-only", False), ("observe", False)]), st.integers(0, 2)
)


@dataclass
class World:
    """A library with a past."""

    stage: Stage
    vendor: str

    def people(self, stories: list[Story]) -> dict[PersonId, Story]:
        """One more stays whatever happens: where nobody at all has a face any more, nobody is removed."""
        named = {PersonId(f"person-{number}"): story for number, story in enumerate(stories)}
        return named | {PersonId("somebody"): Story((7,), "stays", "nothing")}

    def live(self, person: PersonId, story: Story) -> list[StoredFace]:
        """What HR says of them, delivered; returns the faces that were there in between."""
        stage = self.stage
        if story.before == "loses an answer":
            stage.room.write_fault({"kind": "lost_answer", "times": 1, "operation": ADDING[self.vendor]})
        stage.hire(person, *story.photos)
        stage.quiet()
        stage.room.clear_faults()
        once_there = stage.there(person)
        if story.before == "changes":
            stage.swap(person, 0, 9)
        elif story.before == "drops one":
            stage.drop(person, 0)
        elif story.before.startswith("leaves"):
            if story.before.endswith("lies"):
                stage.room.write_fault({"kind": "lying_ok", "times": 1, "operation": REMOVING[self.vendor]})
            stage.leave(person)
        stage.quiet()
        stage.room.clear_faults()
        return once_there

    def meddle(self, person: PersonId, behind: Behind, once_there: list[StoredFace]) -> None:
        """What somebody does in the library without us."""
        world, there = self.stage.room.world, self.stage.there(person)
        gone = [face for face in once_there if face.vendor_face_id not in world.faces]
        if behind in {"deleted", "replaced"} and there:
            self.stage.room.remove(there[0].vendor_face_id)
        if behind in {"planted beside", "replaced"} and there:
            self.stage.plant(person)
        if behind == "twin" and there:
            # Without a label nobody can tell it from a stranger's, and it must be treated as that.
            twin = replace(there[0], vendor_face_id=new_id(), planted=there[0].label is None)
            world.add(twin)
        if behind == "returned" and gone:
            world.add(gone[0])

    def situations(self, people: dict[PersonId, Story]) -> Counter[Situation]:
        """What every face is, seen from the library and from what HR wants, and from nothing that we wrote down."""
        whose = {key: person for person in people for key in (person_key(person), person_hash(person))}
        wanted = {person: set(self.stage.wanted(person)) for person in people}
        found: Counter[Situation] = Counter()
        seen: Counter[tuple[PersonId, str]] = Counter()
        for face in self.stage.room.world.faces.values():
            person = whose.get(face.person_key) or next((one for one in people if is_our_label(one, face.label)), None)
            if face.planted or person is None:
                found[Situation.FOREIGN] += 1
                continue
            seen[person, face.digest] += 1
            if face.digest not in wanted[person]:
                found[Situation.STRAY] += 1
            elif seen[person, face.digest] > 1:
                found[Situation.DUPLICATE] += 1
            else:
                found[Situation.IN_SYNC] += 1
        missing = [1 for person, digests in wanted.items() for digest in digests if not seen[person, digest]]
        found[Situation.MISSING] = len(missing)
        return +found

    def read(self) -> Counter[Situation]:
        """What a reading of the library says of every face."""
        begin(self.stage.house, GATE, "command")
        while read_on(self.stage.house, GATE).state == "reading":
            self.stage.clock.advance(1)
        return +Counter(compare(self.stage.house, GATE))

    def mend(self) -> None:
        for _ in range(3):
            self.stage.clock.advance(3600)
            for _ in range(10):
                if reconcile(self.stage.house, GATE, "command", seconds=5.0).state == "done":
                    break
            self.stage.quiet()


def new_id() -> str:
    return uuid.uuid4().hex


@contextmanager
def world_of(vendor: str, migrated: Path, shelf: PhotoShelf) -> Iterator[World]:
    with tempfile.TemporaryDirectory() as folder:
        shutil.copyfile(migrated, Path(folder) / "syncsvc.db")
        store = Store(f"sqlite:///{folder}/syncsvc.db", Vault([PHOTO_KEY]))
        with staged(store, MovableClock(), shelf, [vendor]) as stage:
            yield World(stage, vendor)
        store.close()


@pytest.mark.parametrize("vendor", ["sophon", "huawei"])
@settings(
    max_examples=8,
    phases=[Phase.generate],
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(stories=worlds, term=terms)
def test_from_any_world(
    vendor: str, migrated_file: Path, shelf: PhotoShelf, stories: list[Story], term: tuple[tuple[str, bool], int]
) -> None:
    (policy, owned), strangers = term
    with world_of(vendor, migrated_file, shelf) as world:
        stage, people = world.stage, world.people(stories)
        pasts = {person: world.live(person, story) for person, story in people.items()}
        stage.reshelve(policy=policy, owned=owned, reactions=OWNED if owned else SAFE)
        for person, story in people.items():
            world.meddle(person, story.behind, pasts[person])
        for number in range(strangers):
            stage.plant(PersonId(f"stranger-{number}"))
        before, told = dict(stage.room.world.faces), world.situations(people)
        stage.clock.advance(3600)

        counted = world.read()
        world.mend()

        assert counted == told
        assert_as_the_policy_says(world, people, before, policy=policy, owned=owned)


def assert_as_the_policy_says(
    world: World, people: dict[PersonId, Story], before: dict[str, StoredFace], *, policy: str, owned: bool
) -> None:
    stage, now = world.stage, world.stage.room.world.faces
    foreign = {number for number, face in before.items() if face.planted}
    for person in people:
        wanted, there = stage.wanted(person), stage.digests(person)
        if policy == "sync":
            assert there == wanted
        elif policy == "upsert-only":
            assert set(there) >= set(wanted)
    if policy == "sync" and owned:
        assert not foreign & now.keys()
    else:
        assert foreign <= now.keys()
    if policy == "upsert-only":
        assert before.keys() <= now.keys()
    if policy == "observe":
        assert before == now
    assert newest(stage.house, GATE).state == "done"
