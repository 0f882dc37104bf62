"""The contract signed three ways, and what is this vendor's alone."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import pytest

from syncsvc.library.base import Page
from syncsvc.model.errors import (
    CredentialsError,
    ErrandError,
    ExistsError,
    GoneError,
    LibraryError,
    MisconfiguredError,
    RejectedError,
    ThrottledError,
    UnavailableError,
    UncertainError,
)
from syncsvc.model.keys import face_label, person_hash
from syncsvc.model.listings import Completeness
from syncsvc.model.people import HeldFace, VendorFaceId
from syncsvc.model.report import Reading, after_look
from syncsvc.sandbox.base import Limits
from syncsvc.sandbox.huawei import Sandbox
from syncsvc.sandbox.serve import running
from syncsvc.vendors.huawei import FAULTS, Library
from tests.vendors.contract import LibraryContract
from tests.vendors.contract_ground import ALICE, BOB, DAVE, departed, face, person, somebody
from tests.vendors.huawei_ground import FIELD, KEYS, TOKEN, ByLabel, Desk, answering, library_at
from tests.vendors.photos import draw

HELD = (HeldFace(VendorFaceId("Zlm2pQbb")),)


class TestHuaweiWithoutPeople(Desk, LibraryContract):
    """No custom field: a face is known by its label alone."""

    lists_person_keys: ClassVar[bool] = False

    def options(self) -> Mapping[str, Any]:
        return KEYS

    def wrong_options(self) -> Mapping[str, Any]:
        return {**KEYS, "secret_key": "not-the-secret"}

    def make_sandbox(self) -> Sandbox:
        return ByLabel(limits=Limits(enabled=False), fields={})


class TestHuaweiWithPersonField(Desk, LibraryContract):
    def wrong_options(self) -> Mapping[str, Any]:
        return {**FIELD, "access_key": "SOMEBODYELSE"}

    def test_a_foreign_face_of_a_departed_person_stays_and_is_reported(self, library: Any, sandbox: Any) -> None:
        """Whoever bears a person's hash in the field that is declared for it is that person's, and leaves too."""
        alice, bob = somebody(ALICE, 1, 2), somebody(BOB, 3)
        held, of_bob = self.enrol(library, alice, bob)
        sandbox.plant(self.world_key(alice))
        stranger = sandbox.plant("stranger")

        reading = library.delete([(departed(alice), held)])[alice.id]

        assert reading.doubtful
        assert [finding.note for finding in reading.findings] == ["2 asked to go, 3 reported as removed"]
        assert self.converge(library, departed(alice), held) == ()
        self.assert_holds(sandbox, bob, of_bob)
        assert stranger.vendor_face_id in sandbox.world.faces


class TestHuaweiWithToken(Desk, LibraryContract):
    """Who we are is asked of IAM first."""

    def options(self) -> Mapping[str, Any]:
        return {**TOKEN, "iam_url": self.url}

    def wrong_options(self) -> Mapping[str, Any]:
        return {**self.options(), "password": "not-the-password"}

    test_a_foreign_face_of_a_departed_person_stays_and_is_reported = (
        TestHuaweiWithPersonField.test_a_foreign_face_of_a_departed_person_stays_and_is_reported
    )

    @pytest.fixture
    def base_url(self, sandbox: Sandbox) -> Iterator[str]:
        with running(sandbox) as (url,):
            self.url = url
            yield url


class TestFaces(Desk):
    def test_a_face_bears_our_label_and_its_persons_hash_and_nothing_else_of_ours(
        self, library: Library, sandbox: Sandbox
    ) -> None:
        alice = somebody(ALICE, 1)

        self.enrol(library, alice)

        (there,) = sandbox.world.faces.values()
        assert there.label == face_label(alice.id, alice.faces[0].id, alice.faces[0].digest)
        assert there.extra["fields"] == {"person_id": person_hash(alice.id)}

    def test_of_a_photo_of_three_one_face_is_added_and_bound(self, library: Library, sandbox: Sandbox) -> None:
        alice = person(ALICE, face("f0", draw(1, faces=3)))

        reading = library.replace(alice, ())

        self.assert_holds(sandbox, alice, reading.held)

    def test_a_vendor_that_adds_more_than_one_face_leaves_strays_that_we_know_of(self) -> None:
        made = [{"face_id": one, "external_image_id": "label"} for one in ("first", "second")]
        library = library_at(answering(200, {"faces": made}))

        reading = library.replace(somebody(ALICE, 1), ())

        assert [(one.vendor_face_id, one.face_id) for one in reading.held] == [("first", "f0"), ("second", None)]

    def test_a_lost_add_is_taken_back_by_its_label_and_nothing_else_goes(
        self, library: Library, sandbox: Sandbox
    ) -> None:
        alice = somebody(ALICE, 1, 2)
        held, of_bob = self.enrol(library, alice, somebody(BOB, 1))

        library.retract(alice, alice.faces[1])

        assert set(sandbox.world.faces) == {held[0].vendor_face_id, of_bob[0].vendor_face_id}

    @pytest.mark.parametrize("answer", ["error", "empty"])
    def test_a_face_that_is_not_there_is_absent_however_the_vendor_says_so(
        self, library: Library, sandbox: Sandbox, answer: str
    ) -> None:
        alice = somebody(ALICE, 1, 2)
        (held,) = self.enrol(library, alice)
        sandbox.set_switches({"show_absent": answer})
        sandbox.remove(held[0].vendor_face_id)

        seen = library.look(alice, held)

        assert (seen.absent, seen.complete) == (frozenset({held[0].vendor_face_id}), False)
        assert after_look(alice, held, seen).held == (held[1],)

    def test_another_face_than_the_one_asked_for_proves_nothing(self) -> None:
        library = library_at(answering(200, {"faces": [{"face_id": "other"}]}))

        with pytest.raises(UnavailableError, match="another face"):
            library.look(somebody(ALICE), HELD)


class TestFullFaceSet(Desk):
    def make_sandbox(self) -> Sandbox:
        return Sandbox(limits=Limits(enabled=False), capacity=1)

    def test_it_refuses_in_words_for_the_operator(self, library: Library, sandbox: Sandbox) -> None:
        self.enrol(library, somebody(ALICE, 1))

        with pytest.raises(RejectedError, match="the operator must") as caught:
            library.replace(somebody(BOB, 2), ())

        assert (caught.value.code, caught.value.face_id) == ("FRS.0306", "f0")
        assert len(sandbox.world.faces) == 1


class TestRemoving(Desk):
    def test_a_departure_of_several_faces_is_one_call(self, library: Library, sandbox: Sandbox) -> None:
        alice = somebody(ALICE, 1, 2, 3)
        (held,) = self.enrol(library, alice)

        answer = library.delete([(departed(alice), held)])[alice.id]

        assert answer == Reading(())
        assert sandbox.calls()["by_operation"]["delete"] == 1
        assert sandbox.world.faces == {}

    def test_faces_from_before_the_field_was_configured_leave_too(
        self, library: Library, door: Any, sandbox: Sandbox, shelf: Any
    ) -> None:
        alice = somebody(ALICE, 1, 2)
        (held,) = self.enrol(self.make_library(door, shelf, KEYS), alice)

        answer = library.delete([(departed(alice), held)])[alice.id]

        assert answer == Reading(())
        assert sandbox.world.faces == {}

    def test_a_field_that_is_not_declared_halts_the_library_instead_of_passing_for_gone(
        self, door: Any, sandbox: Sandbox, shelf: Any
    ) -> None:
        library = self.make_library(door, shelf, {**KEYS, "person_field": "badge"})
        alice = somebody(ALICE, 1, 2)
        (held,) = self.enrol(self.make_library(door, shelf, KEYS), alice)

        answer = library.delete([(departed(alice), held)])[alice.id]

        assert isinstance(answer, MisconfiguredError)
        assert "does not declare badge" in str(answer)
        assert set(sandbox.world.faces) == {one.vendor_face_id for one in held}

    @pytest.mark.parametrize(
        ("kind", "error"),
        [("throttle", ThrottledError), ("outage", UnavailableError), ("lost_answer", UncertainError)],
    )
    def test_what_went_before_a_removal_failed_is_no_longer_held(
        self, door: Any, shelf: Any, sandbox: Sandbox, kind: str, error: type[ErrandError]
    ) -> None:
        library = self.make_library(door, shelf, KEYS)
        alice, dave = somebody(ALICE, 1, 2, 3), somebody(DAVE, 4)
        held, of_dave = self.enrol(library, alice, dave)
        sandbox.fault(kind, "delete", after=1, times=1)

        answers = library.delete([(departed(alice), held), (departed(dave), of_dave)])

        answer = answers[alice.id]
        assert isinstance(answer, error)
        assert answer.held == held[1:]
        assert not any(getattr(answers[dave.id], "held", None) or ())

    @pytest.mark.parametrize("count", [0, 2])
    def test_a_count_that_does_not_fit_one_face_is_doubtful(self, count: int) -> None:
        library = library_at(answering(200, {"face_number": count}))

        reading = library.delete([(departed(somebody(ALICE)), HELD)])[somebody(ALICE).id]

        assert isinstance(reading, Reading)
        assert reading.doubtful


class TestListing(Desk):
    def walk(self, library: Library, sandbox: Sandbox, *, leaving: str | None = None) -> tuple[int, Page]:
        page, seen = library.page(None), 0
        while page.cursor is not None:
            seen += len(page.faces)
            if leaving:
                sandbox.remove(leaving)
            page = library.page(page.cursor)
        return seen + len(page.faces), page

    @pytest.mark.parametrize(
        ("there", "shown", "why"),
        [(10_000, 10_000, ""), (10_001, 10_000, "the vendor shows the first 10,000 of 10,001 faces")],
    )
    def test_beyond_the_vendors_window_a_listing_is_partial(
        self, library: Library, sandbox: Sandbox, there: int, shown: int, why: str
    ) -> None:
        for number in range(there):
            sandbox.plant(f"p-{number}")

        seen, last = self.walk(library, sandbox)

        assert (seen, last.why) == (shown, why)
        assert last.completeness is (Completeness.PARTIAL if why else Completeness.COMPLETE)
        assert library.count() == there

    def test_a_face_that_leaves_in_mid_listing_makes_it_suspect(self, library: Library, sandbox: Sandbox) -> None:
        first, *_ = [sandbox.plant(f"p-{number}") for number in range(1_500)]

        seen, last = self.walk(library, sandbox, leaving=first.vendor_face_id)

        assert (seen, last.completeness, last.grew) == (1_499, Completeness.SUSPECT, -1)

    def test_a_count_that_does_not_fit_makes_it_suspect(self, library: Library, sandbox: Sandbox) -> None:
        sandbox.plant("somebody")
        sandbox.misbehave(count_off=1)

        seen, last = self.walk(library, sandbox)

        assert (seen, last.completeness, last.grew) == (1, Completeness.SUSPECT, 0)

    def test_a_ping_says_what_to_do_about_a_field_that_is_not_declared(
        self, door: Any, sandbox: Any, shelf: Any
    ) -> None:
        library = self.make_library(door, shelf, {**KEYS, "person_field": "badge"})

        with pytest.raises(MisconfiguredError, match="does not declare badge"):
            library.ping()


NOT_SUCCESS: list[tuple[int, str, type[LibraryError]]] = [
    (400, "FRS.0002", CredentialsError),
    (403, "FRS.0002", CredentialsError),
    (400, "FRS.0013", RejectedError),
    (400, "FRS.0018", UncertainError),
    (400, "FRS.0019", MisconfiguredError),
    (400, "FRS.0021", RejectedError),
    (403, "FRS.0028", MisconfiguredError),
    (429, "FRS.0033", ThrottledError),
    (400, "FRS.0202", MisconfiguredError),
    (400, "FRS.0301", ExistsError),
    (400, "FRS.0302", MisconfiguredError),
    (403, "FRS.0306", RejectedError),
    (400, "FRS.0404", RejectedError),
    (404, "APIGW.0101", MisconfiguredError),
    (504, "APIGW.0201", UncertainError),
    (401, "APIGW.0301", CredentialsError),
    (401, "APIG.0301", CredentialsError),
    (401, "APIGW.0303", CredentialsError),
    (429, "APIGW.0308", ThrottledError),
    (400, "FRS.7777", UncertainError),
    (401, "APIGW.7777", CredentialsError),
    (429, "APIGW.7777", ThrottledError),
    (200, "FRS.0404", RejectedError),
]


@pytest.mark.parametrize(("status", "code", "error"), NOT_SUCCESS)
def test_each_code_has_its_ending(status: int, code: str, error: type[LibraryError]) -> None:
    library = library_at(answering(status, {"error_code": code, "error_msg": "words of the vendor's"}))

    with pytest.raises(error) as caught:
        library.replace(somebody(ALICE, 1), ())

    assert type(caught.value) is error
    assert "words of the vendor's" not in str(caught.value)
    assert caught.value.request_id in {"r-1", None}


@pytest.mark.parametrize("code", ["FRS.0303", "FRS.0401", "FRS.0402", "FRS.0403", "FRS.0407"])
def test_each_way_to_say_not_found_is_already_gone(code: str) -> None:
    library = library_at(answering(400, {"error_code": code, "error_msg": ""}))

    assert isinstance(FAULTS.error(code), GoneError)
    assert library.delete([(departed(somebody(ALICE)), HELD)]) == {somebody(ALICE).id: Reading(())}
    assert library.look(somebody(ALICE), HELD).absent == {"Zlm2pQbb"}


def test_a_gateway_that_gives_up_on_a_question_leaves_nothing_in_doubt() -> None:
    library = library_at(answering(504, {"error_code": "APIGW.0201", "error_msg": ""}))

    with pytest.raises(UnavailableError):
        library.look(somebody(ALICE), HELD)


@pytest.mark.parametrize("told", [b"<html>", b"[]", b"{}", b'{"faces": 1}', b'{"faces": [{"face_id": ""}]}', b"null"])
def test_an_answer_in_no_known_shape_is_doubtful(told: bytes) -> None:
    library = library_at(answering(200, told))

    with pytest.raises(UncertainError):
        library.replace(somebody(ALICE, 1), ())


@pytest.mark.parametrize(
    "told",
    [{}, {"face_set_info": 7}, {"face_set_info": {"face_number": "many"}}, {"face_set_info": {"face_number": None}}],
)
def test_a_face_set_in_no_known_shape_proves_nothing(told: dict[str, Any]) -> None:
    library = library_at(answering(200, told))

    for ask in (library.count, library.ping, lambda: library.page(None)):
        with pytest.raises(UnavailableError):
            ask()


def test_fields_in_no_known_shape_prove_nothing() -> None:
    library = library_at(answering(200, {"face_set_info": {"face_number": 1, "external_fields": {"person_id": 3}}}))

    with pytest.raises(UnavailableError):
        library.ping()
