"""FinAuth FaceSearch: the contract, and what is particular about it."""

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from syncsvc.library.base import FaceLibrary, Page
from syncsvc.library.http import Door
from syncsvc.model.errors import (
    CredentialsError,
    LibraryError,
    MisconfiguredError,
    RejectedError,
    ThrottledError,
    UnavailableError,
    UncertainError,
)
from syncsvc.model.keys import face_label, person_key
from syncsvc.model.listings import Completeness
from syncsvc.model.people import Held, HeldFace, Person, Photo, VendorFaceId, vendor_ids
from syncsvc.model.permits import Account, Unlimited
from syncsvc.model.report import Reading, after_look
from syncsvc.sandbox.base import Sandbox
from syncsvc.vendors import finauth
from syncsvc.vendors.finauth import MAX_TOKENS, Library, Options, guarded_tokens
from tests.vendors.contract import LibraryContract
from tests.vendors.contract_ground import ALICE, BOB, CAROL, DAVE, departed, face, person, somebody
from tests.vendors.photos import blank, too_large_for

MAGIC_WORD = "RemoveAllFaceTokens"
TOKEN = "34dce3f2d1fc4736670b4bad58523ce8"
OPTIONS = {"api_key": "sandbox-key", "api_secret": "sandbox-secret", "group_id": "sandbox"}


class TestFinAuth(LibraryContract):
    vendor: ClassVar[str] = "finauth"
    adding: ClassVar[tuple[str, ...]] = ("add",)
    replacing: ClassVar[tuple[str, ...]] = ("add", "delete")
    removing: ClassVar[tuple[str, ...]] = ("delete",)
    secrets: ClassVar[tuple[str, ...]] = ("sandbox-secret",)
    listing_size: ClassVar[int] = 1200

    def options(self) -> Mapping[str, Any]:
        return OPTIONS

    def wrong_options(self) -> Mapping[str, Any]:
        return {**OPTIONS, "api_secret": "another-secret"}

    # --- labels -----------------------------------------------------------------------------------------------

    def test_a_face_carries_whose_it_is_and_what_it_was_made_from(self, library: Library, sandbox: Sandbox) -> None:
        carol = somebody(CAROL, 1)

        library.replace(carol, ())

        (there,) = sandbox.world.faces.values()
        only = carol.faces[0]
        assert (there.person_key, there.label) == (person_key(carol.id), face_label(carol.id, only.id, only.digest))

    def test_a_face_that_somebody_put_there_without_a_label_is_foreign(
        self, library: Library, sandbox: Sandbox
    ) -> None:
        alice = somebody(ALICE, 1)
        (held,) = self.enrol(library, alice)
        foreign = sandbox.plant(person_key(alice.id))

        reading = after_look(alice, (), library.look(alice, ()))

        assert vendor_ids(reading.held) == vendor_ids(held)
        assert [one.vendor_face_id for one in reading.findings] == [foreign.vendor_face_id]

    # --- deleting many ----------------------------------------------------------------------------------------

    def test_many_departures_are_one_call(self, library: Library, sandbox: Sandbox) -> None:
        leaving = [somebody(f"person-{number}", number) for number in range(20)]
        held = self.enrol(library, *leaving)

        answers = library.delete([(departed(who), faces) for who, faces in zip(leaving, held, strict=True)])

        assert all(answer == Reading(()) for answer in answers.values())
        assert sandbox.world.faces == {}
        assert sandbox.calls()["by_operation"]["delete"] == 1

    def test_more_than_a_thousand_tokens_are_several_calls(self, library: Library, sandbox: Sandbox) -> None:
        bundle = self.crowd(sandbox, people=210, each=5)

        answers = library.delete(bundle)

        assert all(answer == Reading(()) for answer in answers.values())
        assert sandbox.world.faces == {}
        assert sandbox.calls()["by_operation"]["delete"] == 2

    def test_what_is_answered_and_what_is_not_are_kept_apart(self, library: Library, sandbox: Sandbox) -> None:
        bundle = self.crowd(sandbox, people=400, each=3)  # the 334th person's tokens are in both calls
        sandbox.fault("lost_answer", "delete", after=1, times=1)

        answers = list(library.delete(bundle).values())

        assert all(answer == Reading(()) for answer in answers[:333])
        divided = answers[333]
        assert isinstance(divided, UncertainError)
        assert divided.held == bundle[333][1][1:]
        assert all(isinstance(answer, UncertainError) for answer in answers[334:])

    def test_when_the_library_slows_us_down_the_rest_is_not_tried(self, library: Library, sandbox: Sandbox) -> None:
        bundle = self.crowd(sandbox, people=210, each=5)
        sandbox.fault("throttle", "delete")

        answers = library.delete(bundle)

        assert all(isinstance(answer, ThrottledError) for answer in answers.values())
        assert sandbox.calls()["by_operation"]["delete"] == 1
        assert len(sandbox.world.faces) == 1050

    def test_a_sum_that_does_not_fit_leaves_everybody_in_doubt(self, library: Library, sandbox: Sandbox) -> None:
        leaving = [somebody(ALICE, 1), somebody(DAVE, 2)]
        held = self.enrol(library, *leaving)
        sandbox.fault("partial", "delete", times=1, honest=False)

        answers = library.delete([(departed(who), faces) for who, faces in zip(leaving, held, strict=True)])

        for who, faces in zip(leaving, held, strict=True):
            answer = answers[who.id]
            assert isinstance(answer, Reading)
            assert (answer.held, answer.doubtful) == (faces, True)

    def test_a_token_that_could_not_be_removed_stays_held(self, library: Library, sandbox: Sandbox) -> None:
        leaving = [somebody(ALICE, 1), somebody(DAVE, 2)]
        held = self.enrol(library, *leaving)
        sandbox.fault("partial", "delete", times=1, honest=True)

        answers = library.delete([(departed(who), faces) for who, faces in zip(leaving, held, strict=True)])

        first, second = answers[leaving[0].id], answers[leaving[1].id]
        assert first == Reading(())
        assert isinstance(second, Reading)
        assert (second.held, second.doubtful) == (held[1], False)

    def test_a_face_that_the_answer_names_and_we_never_asked_for_is_a_sum_that_does_not_fit(self) -> None:
        failure = {"face_token": "0" * 32, "reason": "FACE_NOT_IN_GROUP"}
        library = answering(200, {"face_removed": 0, "face_count": 1, "failure_detail": [failure]})
        held = (HeldFace(VendorFaceId(TOKEN)),)
        alice = departed(somebody(ALICE))

        answer = library.delete([(alice, held)])[alice.id]

        assert isinstance(answer, Reading)
        assert (answer.held, answer.doubtful) == (held, True)

    # --- the word that must never be sent ---------------------------------------------------------------------

    @pytest.mark.parametrize(
        "token", [MAGIC_WORD, "", f"{TOKEN},{MAGIC_WORD}", TOKEN + "\n", TOKEN[:-1], "*", "ｆ" * 32]
    )
    def test_a_held_id_that_is_no_token_is_never_sent_and_keeps_nobody_in(
        self, library: Library, sandbox: Sandbox, token: str
    ) -> None:
        alice, bob, dave = somebody(ALICE), somebody(BOB, 2), somebody(DAVE, 3)
        of_bob, of_dave = self.enrol(library, bob, dave)
        odd = (HeldFace(VendorFaceId(token)),)

        answers = library.delete([(departed(alice), odd), (departed(dave), of_dave)])

        assert isinstance(answers[alice.id], RejectedError)
        assert answers[dave.id] == Reading(())
        self.assert_holds(sandbox, bob, of_bob)

    @pytest.mark.parametrize("fields", [{}, {"face_tokens": ""}, {"face_tokens": MAGIC_WORD}])
    def test_nor_from_inside_the_adapter(self, library: Library, sandbox: Sandbox, fields: dict[str, str]) -> None:
        bob = somebody(BOB, 2)
        (held,) = self.enrol(library, bob)
        before = sandbox.calls()["total"]

        with pytest.raises(RejectedError, match="nothing was sent"):
            library._call("delete", {"group_id": "sandbox", **fields}, lambda answer: answer, changes=True)

        assert sandbox.calls()["total"] == before
        self.assert_holds(sandbox, bob, held)

    # --- looking ----------------------------------------------------------------------------------------------

    def test_a_look_at_what_is_all_held_asks_for_each_face_and_lists_nothing(
        self, library: Library, sandbox: Sandbox
    ) -> None:
        alice = somebody(ALICE, 1, 2)
        (held,) = self.enrol(library, alice)
        sandbox.remove(held[1].vendor_face_id)

        seen = library.look(alice, held)

        assert vendor_ids(seen.faces) == {held[0].vendor_face_id}
        assert seen.absent == vendor_ids(held[1:])
        assert not seen.complete
        assert "list" not in sandbox.calls()["by_operation"]

    def test_a_look_for_a_lost_face_is_one_listing_where_that_shows_everything(
        self, library: Library, sandbox: Sandbox
    ) -> None:
        (held,) = self.enrol(library, somebody(ALICE, 1))
        self.enrol(library, somebody(BOB, 2))

        seen = library.look(somebody(ALICE, 1, 3, revision=2), held)

        assert vendor_ids(seen.faces) == vendor_ids(held)
        assert seen.complete
        assert sandbox.calls()["by_operation"].get("list") == 1
        assert "face_info" not in sandbox.calls()["by_operation"]

    def test_in_a_library_beyond_the_window_a_look_proves_no_absence(self, library: Library, sandbox: Sandbox) -> None:
        self.crowd(sandbox, people=2000, each=1)
        (held,) = self.enrol(library, somebody(ALICE, 1))

        seen = library.look(departed(somebody(ALICE)), held)

        assert vendor_ids(seen.faces) == vendor_ids(held)
        assert not seen.complete
        assert sandbox.calls()["by_operation"]["list"] == 2

    def test_an_add_whose_answer_was_lost_is_found_by_its_picture_in_a_library_beyond_the_window(
        self, library: Library, sandbox: Sandbox
    ) -> None:
        self.crowd(sandbox, people=2000, each=1)
        alice = somebody(ALICE, 1)
        self.enrol(library, somebody(BOB, 1))  # the same picture, another person
        sandbox.fault("lost_answer", "add", times=1)

        with pytest.raises(UncertainError) as caught:
            library.replace(alice, ())
        held = self.converge(library, alice, self.after_trouble(library, alice, (), caught.value))

        self.assert_holds(sandbox, alice, held)
        assert len(sandbox.world.faces) == 2002

    def test_a_picture_that_was_sent_smaller_is_found_by_what_was_sent(
        self, library: Library, sandbox: Sandbox
    ) -> None:
        self.crowd(sandbox, people=2000, each=1)
        alice = person(ALICE, face("f0", too_large_for(library.capabilities.photo)))
        sandbox.fault("lost_answer", "add", times=1)

        with pytest.raises(UncertainError):
            library.replace(alice, ())
        assert len(sandbox.world.faces) == 2001
        library.take_back(alice, alice.faces[0])

        assert len(sandbox.world.faces) == 2000

    def test_a_picture_that_nothing_makes_fit_was_never_sent_and_is_not_searched_for(
        self, library: Library, sandbox: Sandbox
    ) -> None:
        alice = person(ALICE, face("f0", Photo(b"no picture", "image/webp", 300, 300)))

        library.take_back(alice, alice.faces[0])

        assert sandbox.calls()["total"] == 0

    def test_a_lost_add_without_its_picture_stays_doubtful_in_a_library_beyond_the_window(
        self, library: Library, sandbox: Sandbox
    ) -> None:
        alice = somebody(ALICE, 1)
        without = replace(alice.faces[0], source=None)
        self.enrol(library, alice)

        library.retract(alice, without)

        assert sandbox.world.faces == {}
        self.crowd(sandbox, people=2000, each=1)
        with pytest.raises(UncertainError, match="without its picture"):
            library.retract(alice, without)

    def test_a_lost_add_of_a_picture_that_is_refused_leaves_nothing_to_take_back(
        self, library: Library, sandbox: Sandbox
    ) -> None:
        nobody = person(ALICE, face("f0", blank()))

        library.retract(nobody, nobody.faces[0])

        assert sandbox.calls()["by_operation"] == {"search": 1}

    # --- listing ----------------------------------------------------------------------------------------------

    def test_what_lies_beyond_the_window_is_a_partial_listing(self, library: Library, sandbox: Sandbox) -> None:
        self.crowd(sandbox, people=2500, each=1)

        pages = self.pages(library)

        assert [len(page.faces) for page in pages] == [1000, 999]
        assert pages[-1].completeness is Completeness.PARTIAL

    def test_where_the_next_index_is_told_and_taken_the_whole_library_is_seen(
        self, library: Library, sandbox: Sandbox
    ) -> None:
        sandbox.set_switches({"returns_next": True, "window_enforced": False, "add_time": "string"})
        self.crowd(sandbox, people=2500, each=1)

        pages = self.pages(library)

        assert [one.vendor_face_id for page in pages for one in page.faces] == list(sandbox.world.faces)
        assert pages[-1].completeness is Completeness.COMPLETE

    def test_where_the_next_index_is_told_and_refused_the_listing_is_partial(
        self, library: Library, sandbox: Sandbox
    ) -> None:
        sandbox.set_switches({"returns_next": True})
        self.crowd(sandbox, people=2500, each=1)

        pages = self.pages(library)

        assert sum(len(page.faces) for page in pages) == 1999
        assert pages[-1].completeness is Completeness.PARTIAL

    @pytest.mark.parametrize("size", [999, 1000, 1001, 1998, 1999])
    def test_a_library_that_the_window_shows_whole_is_not_partial_and_nothing_comes_twice(
        self, library: Library, sandbox: Sandbox, size: int
    ) -> None:
        self.crowd(sandbox, people=size, each=1)

        pages = self.pages(library)

        assert [one.vendor_face_id for page in pages for one in page.faces] == list(sandbox.world.faces)
        # A full last page may have a successor that nobody can see.
        assert (pages[-1].completeness is Completeness.PARTIAL) == (size == 1999)

    def test_a_face_deleted_during_the_walk_makes_the_listing_suspect(self, library: Library, sandbox: Sandbox) -> None:
        self.crowd(sandbox, people=1500, each=1)
        first = library.page(None)
        sandbox.remove(first.faces[0].vendor_face_id)

        second = library.page(first.cursor)

        assert second.cursor is None
        assert second.completeness is Completeness.SUSPECT

    def test_the_count_is_the_librarys_and_nothing_is_deleted_for_it(self, library: Library, sandbox: Sandbox) -> None:
        self.crowd(sandbox, people=3, each=2)

        assert library.count() == 6
        assert len(sandbox.world.faces) == 6

    # --- words ------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("word", ["INVALID_OUTER_ID", "INVALID_GROUP_ID"])
    def test_a_library_that_does_not_exist_halts_and_names_the_option(
        self, library: Library, sandbox: Sandbox, word: str
    ) -> None:
        sandbox.set_switches({"missing_library": word})
        sandbox.libraries.clear()  # type: ignore[attr-defined]

        with pytest.raises(MisconfiguredError, match=r"options\.group_id"):
            library.replace(somebody(ALICE, 1), ())

    def test_a_ping_sees_that_the_library_is_missing(self, library: Library, sandbox: Sandbox) -> None:
        sandbox.libraries.clear()  # type: ignore[attr-defined]

        with pytest.raises(MisconfiguredError, match=r"options\.group_id"):
            library.ping()

    def test_a_denied_key_halts_the_library(self, library: Library, sandbox: Sandbox) -> None:
        sandbox.set_switches({"denied": "Insufficient Account Balance"})

        with pytest.raises(CredentialsError, match="balance"):
            library.ping()

    def test_the_ancestors_error_field_is_understood_too(self, library: Library, sandbox: Sandbox) -> None:
        sandbox.set_switches({"error_field": "error_message"})
        sandbox.fault("throttle")

        with pytest.raises(ThrottledError):
            library.ping()

    # --- ground -----------------------------------------------------------------------------------------------

    def crowd(self, sandbox: Sandbox, *, people: int, each: int) -> list[tuple[Person, Held]]:
        """So many people with faces that are there and held."""
        bundle: list[tuple[Person, Held]] = []
        for number in range(people):
            who = departed(somebody(f"person-{number}"))
            planted = [sandbox.plant(person_key(who.id)) for _ in range(each)]
            bundle.append((who, tuple(HeldFace(VendorFaceId(one.vendor_face_id)) for one in planted)))
        return bundle

    def pages(self, library: FaceLibrary[Any]) -> list[Page]:
        pages = [library.page(None)]
        while pages[-1].cursor is not None:
            pages.append(library.page(pages[-1].cursor))
        return pages


def answering(status: int, body: object, *, seen: Callable[[httpx.Request], None] = lambda request: None) -> Library:
    """A library whose vendor always says the same: for words that no sandbox would say."""

    def answer(request: httpx.Request) -> httpx.Response:
        seen(request)
        content = body if isinstance(body, str) else json.dumps(body)
        return httpx.Response(status, text=content)

    return library_at(httpx.MockTransport(answer))


def library_at(transport: httpx.MockTransport) -> Library:
    door = Door(httpx.Client(transport=transport), "http://vendor.test", Account("finauth|test"), Unlimited())
    return Library(door, Options.model_validate(OPTIONS), str)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (403, {"error": "CONCURRENCY_LIMIT_EXCEEDED"}, ThrottledError),
        (403, {"error": "AUTHORIZATION_ERROR:Denied by Client"}, CredentialsError),
        (403, {"error_message": "AUTHORIZATION_ERROR"}, CredentialsError),
        (403, {"error": "AUTHENTICATION_ERROR"}, CredentialsError),
        (401, {"error": "AUTHENTICATION_ERROR"}, CredentialsError),
        (403, "<html>a proxy</html>", CredentialsError),
        (404, {"error": "API_NOT_FOUND"}, MisconfiguredError),
        (404, "not found", MisconfiguredError),
        (412, {"error": "IMAGE_DOWNLOAD_TIMEOUT"}, UnavailableError),
        (413, "Request Entity Too Large", RejectedError),
        (500, {"error": "INTERNAL_ERROR"}, UncertainError),
        (500, "a gateway", UncertainError),
        (503, "<html>out of service</html>", UnavailableError),
        (400, {"error": "IMAGE_ERROR_UNSUPPORTED_FORMAT: image"}, RejectedError),
        (400, {"error": "INVALID_IMAGE_SIZE: file"}, RejectedError),
        (400, {"error": "LOW_QUALITY"}, RejectedError),
        (400, {"error": "MULTIPLE_FACES"}, RejectedError),
        (400, {"error": "A_WORD_OF_TOMORROW"}, UncertainError),
        (200, {"error": "INTERNAL_ERROR"}, UncertainError),
        (200, {}, UncertainError),
        (200, [], UncertainError),
        (200, {"face_token": "no-token"}, UncertainError),
        (200, {"face_token": MAGIC_WORD}, UncertainError),
    ],
)
def test_every_word_of_the_vendor_has_one_meaning(status: int, body: object, error: type[LibraryError]) -> None:
    library = answering(status, body)

    with pytest.raises(error) as caught:
        library.replace(somebody(ALICE, 1), ())

    assert type(caught.value) is error


def test_every_request_is_multipart_and_signed() -> None:
    seen: list[httpx.Request] = []
    library = answering(200, {"face_removed": 1, "failure_detail": []}, seen=seen.append)

    library.delete([(departed(somebody(ALICE)), (HeldFace(VendorFaceId(TOKEN)),))])

    (request,) = seen
    assert request.url.path == "/finauth/search/group/delete"
    assert request.headers["Content-Type"].startswith("multipart/form-data; boundary=")
    for name in (b"sign", b"sign_version", b"group_id", b"face_tokens"):
        assert request.content.count(b'name="' + name + b'"') == 1
    assert b"hmac_sha1" in request.content


def test_a_delete_that_is_refused_as_a_whole_is_not_a_delete_that_is_done() -> None:
    library = answering(400, {"error": "INVALID_FACE_TOKEN"})
    alice = departed(somebody(ALICE))

    answer = library.delete([(alice, (HeldFace(VendorFaceId(TOKEN)),))])[alice.id]

    assert isinstance(answer, RejectedError)


@pytest.mark.parametrize("following", [0, 1, "1"])
def test_a_listing_that_does_not_advance_is_not_walked_for_ever(following: object) -> None:
    listed = {"face_token": TOKEN, "user_id": "a", "user_data": "", "add_time": 1}
    library = answering(200, {"face_tokens": [listed], "next": following})

    with pytest.raises(UnavailableError):
        library.page(None)


@pytest.mark.parametrize("size", [0, 1, 2, 999, 1000])
def test_a_listing_that_always_tells_the_next_index_ends_all_the_same(size: int) -> None:
    tokens = [f"{number:032x}" for number in range(size)]

    def answer(request: httpx.Request) -> httpx.Response:
        start = int(request.content.split(b'name="start"\r\n\r\n')[1].split(b"\r\n")[0])
        shown = [{"face_token": one, "user_id": "a"} for one in tokens[start - 1 : start + 999]]
        return httpx.Response(200, json={"face_tokens": shown, "next": start + len(shown)})

    library = library_at(httpx.MockTransport(answer))

    pages = [library.page(None)]
    while pages[-1].cursor is not None:
        pages.append(library.page(pages[-1].cursor))

    assert [one.vendor_face_id for page in pages for one in page.faces] == tokens
    assert pages[-1].completeness is Completeness.COMPLETE


@settings(deadline=None, derandomize=True, database=None)
@given(st.text())
@example("")
@example(",")
@example(MAGIC_WORD)
@example(f"{TOKEN},")
@example(f"{TOKEN},{MAGIC_WORD}")
@example(TOKEN + "\n")
@example(TOKEN.upper())
@example(",".join([TOKEN] * (MAX_TOKENS + 1)))
def test_nothing_that_is_not_a_list_of_tokens_passes_the_guard(text: str) -> None:
    with pytest.raises(RejectedError):
        guarded_tokens(text)


@settings(deadline=None, derandomize=True, database=None)
@given(st.lists(st.text("0123456789abcdef", min_size=32, max_size=32), min_size=1, max_size=20))
def test_every_list_of_tokens_passes_the_guard_as_it_is(tokens: list[str]) -> None:
    text = ",".join(tokens)

    assert guarded_tokens(text) == text


@settings(deadline=None, derandomize=True, database=None)
@given(st.lists(st.one_of(st.text(), st.just(MAGIC_WORD), st.just(TOKEN)), max_size=5))
def test_whatever_is_held_only_tokens_ever_leave(ids: list[str]) -> None:
    seen: list[httpx.Request] = []
    library = answering(200, {"face_removed": 1, "failure_detail": []}, seen=seen.append)
    held = tuple(HeldFace(VendorFaceId(one)) for one in dict.fromkeys(ids))

    library.delete([(departed(somebody(ALICE)), held)])

    assert len(seen) == (1 if TOKEN in ids else 0)
    for request in seen:
        sent = request.content.split(b'name="face_tokens"\r\n\r\n')[1].split(b"\r\n")[0]
        assert sent == TOKEN.encode()


def test_there_is_one_way_out_of_the_adapter() -> None:
    source = inspect.getsource(finauth)

    assert source.count("door.call(") == 1
    assert source.count("build_request(") == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"api_key": "two words"},
        {"api_key": ""},
        {"api_secret": ""},
        {"group_id": ""},
        {"group_id": "é"},
        {"other": "x"},
    ],
)
def test_options_that_cannot_work_are_mistakes(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Options.model_validate({**OPTIONS, **wrong})
