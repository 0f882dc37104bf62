"""What the contract's tests stand on: a running sandbox, a library at its door, and people to send."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import httpx
import pytest

from syncsvc.library.base import FaceLibrary, LibraryOptions
from syncsvc.library.http import Door
from syncsvc.library.loading import library_class
from syncsvc.model.errors import ErrandError, LibraryError, UncertainError
from syncsvc.model.keys import person_key
from syncsvc.model.listings import Completeness
from syncsvc.model.people import Face, FaceId, Held, Person, PersonId, Photo, Revision, vendor_ids
from syncsvc.model.permits import Account, Unlimited
from syncsvc.model.report import Doubt, Reading, after_look
from syncsvc.sandbox.base import Limits, Sandbox
from syncsvc.sandbox.serve import running, sandbox_class
from tests.vendors.photos import PhotoShelf, draw

TIMEOUT = 0.6
ALICE, BOB, CAROL, DAVE = "alice-1", "bob-2", "carol.三@example.com/with a long and odd id", "dave-4"


class Ground:
    """Fixtures and verbs for the contract. A vendor's test says what stands first here; the rest is shared."""

    vendor: ClassVar[str]
    adding: ClassVar[tuple[str, ...]]  # the operations that change the library while a person is enrolled
    replacing: ClassVar[tuple[str, ...]]  # the same while one face is replaced
    removing: ClassVar[tuple[str, ...]]  # the same while a person departs
    secrets: ClassVar[tuple[str, ...]] = ()  # what must never be seen in a repr
    switches: ClassVar[Mapping[str, Any]] = {}  # the sandbox's
    unavailable_is_uncertain: ClassVar[bool] = False  # the vendor's own "not now" leaves it open
    retry_after: ClassVar[float | None] = None  # what the vendor says with "slow down"
    gives_request_ids: ClassVar[bool] = True
    sees_foreign: ClassVar[bool] = True  # a removal or a look shows all faces of a person
    lists_person_keys: ClassVar[bool] = True
    lists_labels: ClassVar[bool] = True
    listing: ClassVar[Completeness] = Completeness.COMPLETE  # or partial: the vendor cannot show that there is no more
    listing_size: ClassVar[int] = 230  # faces that need several pages

    def options(self) -> Mapping[str, Any]:
        """The library's own options, as in the configuration file."""
        return {}

    def wrong_options(self) -> Mapping[str, Any] | None:
        """Options that the vendor turns away; None where there are no credentials."""
        return None

    def world_key(self, person: Person) -> str:
        """Under which key the sandbox holds the person."""
        return person_key(person.id)

    def make_sandbox(self) -> Sandbox:
        """As new, without limits: the contract is about what is held, and waits for nobody."""
        return sandbox_class(self.vendor)(limits=Limits(enabled=False), switches=self.switches)

    def make_library(self, door: Door, shelf: PhotoShelf, options: Mapping[str, Any]) -> FaceLibrary[Any]:
        kind = library_class(self.vendor)
        validated: LibraryOptions = kind.Options.model_validate(options)
        return kind(door, validated, shelf.url)

    @pytest.fixture
    def sandbox(self) -> Sandbox:
        return self.make_sandbox()

    @pytest.fixture
    def base_url(self, sandbox: Sandbox) -> Iterator[str]:
        with running(sandbox) as (url,):
            yield url

    @pytest.fixture
    def door(self, base_url: str) -> Iterator[Door]:
        with httpx.Client(timeout=TIMEOUT, trust_env=False) as client:
            yield Door(client, base_url, Account(f"{self.vendor}|test"), Unlimited(), timeout=TIMEOUT)

    @pytest.fixture
    def library(self, door: Door, shelf: PhotoShelf) -> FaceLibrary[Any]:
        return self.make_library(door, shelf, self.options())

    # --- what happened in the world ---------------------------------------------------------------------------

    def digests(self, sandbox: Sandbox, person: Person) -> list[str]:
        """What the person's faces in the sandbox were made from, sorted."""
        return sorted(sandbox.digests_of(self.world_key(person)))

    def assert_holds(self, sandbox: Sandbox, person: Person, held: Held) -> None:
        """The world is what we want, and what we believe is the world."""
        assert self.digests(sandbox, person) == sorted(face.digest for face in person.faces)
        self.assert_believes(sandbox, person, held)
        assert sorted((one.face_id, one.digest) for one in held) == sorted((one.id, one.digest) for one in person.faces)

    def assert_believes(self, sandbox: Sandbox, person: Person, held: Held) -> None:
        """What we think is held is what is there, id by id."""
        there = {one.vendor_face_id: one for one in sandbox.faces_of(self.world_key(person)) if not one.planted}
        assert vendor_ids(held) == set(there)
        for one in held:
            assert one.digest in {None, there[str(one.vendor_face_id)].digest}

    # --- what the flow does -----------------------------------------------------------------------------------

    def enrol(self, library: FaceLibrary[Any], *people: Person) -> list[Held]:
        return [library.replace(person, ()).held for person in people]

    def deliver(self, library: FaceLibrary[Any], person: Person, held: Held) -> Reading:
        """One errand: a departure is a delete, all else a replace."""
        if person.faces:
            return library.replace(person, held)
        answer = library.delete([(person, held)])[person.id]
        if isinstance(answer, ErrandError):
            raise answer
        return answer

    def after_trouble(self, library: FaceLibrary[Any], person: Person, held: Held, error: LibraryError) -> Held:
        """What is held after an error; a doubt is looked into before anything else."""
        held = error.held if error.held is not None else held
        if isinstance(error, UncertainError):
            return self.look_into(library, person, held)
        return held

    def look_into(self, library: FaceLibrary[Any], person: Person, held: Held) -> Held:
        doubt = Doubt(1, person.revision) if person.faces else None
        held = after_look(person, held, library.look(person, held), doubt=doubt).held
        accounted = {(one.face_id, one.digest) for one in held}
        for face in person.faces:
            if (face.id, face.digest) not in accounted:
                library.take_back(person, face)
        return held

    def converge(self, library: FaceLibrary[Any], person: Person, held: Held) -> Held:
        """Deliver until it is done, as the flow would."""
        for _ in range(8):
            try:
                reading = self.deliver(library, person, held)
            except LibraryError as error:
                held = self.after_trouble(library, person, held, error)
                continue
            if not reading.doubtful:
                return reading.held
            held = self.look_into(library, person, reading.held)
        raise AssertionError("does not converge")


def face(name: str, photo: Photo) -> Face:
    return Face(FaceId(name), photo.digest, photo)


def person(name: str, *faces: Face, revision: int = 1) -> Person:
    return Person(PersonId(name), Revision(revision), faces)


def somebody(name: str, *numbers: int, revision: int = 1) -> Person:
    """A person with the drawn photos of these numbers as faces f0, f1, ..."""
    faces = [face(f"f{place}", draw(number)) for place, number in enumerate(numbers)]
    return person(name, *faces, revision=revision)


def departed(who: Person) -> Person:
    return Person(who.id, Revision(who.revision + 1))
