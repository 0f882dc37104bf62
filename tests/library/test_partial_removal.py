"""What a removal of several faces had done before it failed is never lost."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from syncsvc.library.base import Capabilities, FaceLibrary, LibraryOptions, Page
from syncsvc.library.fitting import PhotoRule
from syncsvc.library.http import Door
from syncsvc.model.errors import ErrandError, NoPermitError, ThrottledError, UnavailableError, UncertainError
from syncsvc.model.people import Digest, Face, FaceId, Held, HeldFace, Person, PersonId, Revision, VendorFaceId
from syncsvc.model.permits import Account, Unlimited
from syncsvc.model.report import Reading, Report, Seen


class Library(FaceLibrary[LibraryOptions]):
    """Removes one face a call, and fails with `trouble` once `patience` calls were made."""

    capabilities = Capabilities(PhotoRule(frozenset({"image/jpeg"}), max_bytes=1000))
    Options = LibraryOptions
    operations = ("delete",)
    patience = 1
    trouble: Callable[[], ErrandError]

    def remove(self, removal: Any) -> Report:
        done: set[VendorFaceId] = set()
        for face in removal.faces:
            if self.patience == 0:
                error = self.trouble()
                error.removed = frozenset(done)
                raise error
            self.patience -= 1
            done.add(face.vendor_face_id)
        return Report(removed=frozenset(done))

    @staticmethod
    def credential_id(options: Any) -> str:
        return ""

    def add(self, person: Person, face: Face, held: Held) -> Report:
        raise NotImplementedError

    def look(self, person: Person, held: Held) -> Seen:
        raise NotImplementedError

    def page(self, cursor: str | None) -> Page:
        raise NotImplementedError

    def ping(self) -> str:
        return "here"


def a_library(door: Door, trouble: Callable[[], ErrandError]) -> Library:
    library = Library(door, LibraryOptions(), photo_url=str)
    library.trouble = trouble
    return library


def held(*ids: str) -> Held:
    return tuple(HeldFace(VendorFaceId(one), None, FaceId(one), Digest("d-" + one)) for one in ids)


@pytest.fixture
def door() -> Any:
    with httpx.Client(trust_env=False) as client:
        yield Door(client, "http://127.0.0.1:1", Account("fake"), Unlimited())


def test_a_departure_that_fails_half_way_says_what_is_still_held(door: Door) -> None:
    library = a_library(door, lambda: ThrottledError("slow down", retry_after=2.0))
    person = Person(PersonId("p"), Revision(1))

    answer = library.delete([(person, held("a", "b"))])[person.id]

    assert isinstance(answer, ThrottledError)
    assert answer.held == held("a", "b")[1:]


def test_a_replacement_whose_removals_fail_half_way_says_what_is_still_held(door: Door) -> None:
    library = a_library(door, lambda: UncertainError("no answer"))
    kept = Face(FaceId("k"), Digest("d-k"))
    person = Person(PersonId("p"), Revision(1), (kept,))

    with pytest.raises(UncertainError) as caught:
        library.replace(person, held("k", "a", "b"))

    assert caught.value.held == (*held("k"), *held("b"))


def test_the_next_person_of_a_bundle_is_not_told_of_the_first_ones_faces(door: Door) -> None:
    library = a_library(door, lambda: NoPermitError(1.5))
    first, second = Person(PersonId("p"), Revision(1)), Person(PersonId("q"), Revision(1))

    answers = library.delete([(first, held("a", "b")), (second, held("c"))])

    told = answers[second.id]
    assert isinstance(told, NoPermitError)
    assert (told.wait, told.held, told.removed) == (1.5, None, frozenset())
    mine = answers[first.id]
    assert not isinstance(mine, Reading)
    assert mine.held == held("b")


def test_a_gateway_that_gave_up_on_a_question_leaves_nothing_in_doubt(door: Door) -> None:
    def read(_response: httpx.Response) -> None:
        raise UncertainError("a gateway answered", code="http-504")

    def gateway(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(504)

    with httpx.Client(transport=httpx.MockTransport(gateway)) as client:
        there = replace(door, client=client)

        with pytest.raises(UnavailableError) as asked:
            there.call("get", lambda: client.build_request("GET", "http://x/"), read, changes=False)
        with pytest.raises(UncertainError):
            there.call("delete", lambda: client.build_request("DELETE", "http://x/"), read, changes=True)

    assert asked.value.code == "http-504"
