"""What Alibaba Cloud's library may say, spoken by hand: four layers of errors, exact ids, other shapes."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest

from syncsvc.library.http import Door
from syncsvc.model.errors import (
    CredentialsError,
    GoneError,
    LibraryError,
    MisconfiguredError,
    RejectedError,
    ThrottledError,
    UnavailableError,
    UncertainError,
)
from syncsvc.model.listings import Completeness
from syncsvc.model.people import HeldFace, Listed, VendorFaceId
from syncsvc.model.permits import Account, Unlimited
from syncsvc.model.report import Reading
from syncsvc.model.situations import Situation
from syncsvc.vendors.aliyun import Library, Options
from tests.vendors.contract_ground import ALICE, BOB, departed, somebody

OPTIONS = {"access_key_id": "a-key", "access_key_secret": "a-secret", "region": "cn-shanghai", "group_id": "staff"}


def told(answer: Callable[[httpx.Request], httpx.Response]) -> Library:
    """A library whose vendor says what we want."""
    client = httpx.Client(transport=httpx.MockTransport(answer))
    door = Door(client, "http://vendor.invalid", Account("a"), Unlimited())
    return Library(door, Options.model_validate(OPTIONS), lambda digest: f"http://photos.invalid/{digest}")


def json_answer(data: Mapping[str, Any]) -> httpx.Response:
    return httpx.Response(200, json={"code": 200, "data": {"code": 200, **data}, "requestId": "r"})


CODES: Mapping[type[LibraryError], tuple[int, ...]] = {
    RejectedError: (400, 401, 403, 589, 590, 595),
    GoneError: (404,),
    CredentialsError: (408, 411, 596),
    UnavailableError: (480, 500, 503, 580, 585, 586, 587, 591, 592, 594, 999),
    ThrottledError: (588,),
    UncertainError: (280, 581),
}
WORDS: Mapping[type[LibraryError], tuple[str, ...]] = {
    CredentialsError: (
        "InvalidAccessKeyId.NotFound",
        "InvalidAccessKeyId.Inactive",
        "Forbidden.RAM",
        "SignatureDoesNotMatch",
    ),
    MisconfiguredError: ("InvalidTimeStamp.Expired", "InvalidAction.NotFound"),
    ThrottledError: ("Throttling", "Throttling.User", "Throttling.Api"),
    UnavailableError: ("ServiceUnavailable", "Something.New"),
    UncertainError: ("SignatureNonceUsed",),
}


def pairs(table: Mapping[type[LibraryError], tuple[Any, ...]]) -> list[Any]:
    return [pytest.param(code, kind, id=str(code)) for kind, codes in table.items() for code in codes]


@pytest.mark.parametrize("layer", ["top", "data", "capital"])
@pytest.mark.parametrize(("code", "kind"), pairs(CODES))
def test_a_code_in_the_body_is_an_error_in_whichever_layer(code: int, kind: type[LibraryError], layer: str) -> None:
    body: Any = {
        "top": {"code": code, "msg": "some words", "requestId": "r-1"},
        "data": {"code": 200, "msg": "OK", "requestId": "r-1", "data": {"code": code}},
        "capital": {"Code": code, "Msg": "some words", "RequestId": "r-1", "Data": None},
    }[layer]
    library = told(lambda _: httpx.Response(200, json=body))

    with pytest.raises(LibraryError) as caught:
        library._post("face/add", {}, dict, changes=True)

    assert (type(caught.value), caught.value.code, caught.value.request_id) == (kind, str(code), "r-1")
    assert "some words" not in str(caught.value)


@pytest.mark.parametrize(("code", "kind"), pairs(WORDS))
def test_a_word_of_the_gateway_is_an_error(code: str, kind: type[LibraryError]) -> None:
    body = {"Code": code, "Message": "some words", "RequestId": "r-1", "HostId": "h"}
    library = told(lambda _: httpx.Response(400, json=body))

    with pytest.raises(LibraryError) as caught:
        library._post("face/add", {}, dict, changes=True)

    assert (type(caught.value), caught.value.request_id) == (kind, "r-1")


@pytest.mark.parametrize("answer", [httpx.Response(403, json={"code": 411}), httpx.Response(403, text="no")])
def test_a_missing_permission_halts_the_library(answer: httpx.Response) -> None:
    with pytest.raises(CredentialsError):
        told(lambda _: answer).ping()


@pytest.mark.parametrize(
    "body",
    [
        {"data": {"code": 200, "personId": "alice-1"}},
        {"code": 200, "data": {"code": 200}},
        {"code": 200, "data": {"code": 200, "personId": "bob-2", "faceIds": []}},
        {"code": 200, "data": {"code": 200, "personId": "alice-1", "faceIds": ["1.5"]}},
        {"code": 200, "data": {"code": 200, "personId": "alice-1", "faceIds": [True]}},
        {"code": 200, "data": ["personId"]},
        ["code", 200],
    ],
)
def test_an_answer_of_another_shape_is_never_an_absence(body: Any) -> None:
    library = told(lambda _: httpx.Response(200, json=body))

    with pytest.raises(UnavailableError):
        library.look(somebody(ALICE), ())


@pytest.mark.parametrize(
    ("number", "text"),
    [("23088737259260929", "23088737259260929"), ("7.0", "7"), ("7E3", "7000"), ('"23088737259260929"', None)],
)
def test_an_exact_face_id_is_kept_to_the_last_digit(number: str, text: str | None) -> None:
    body = f'{{"code":200,"data":{{"faceImageItems":[{{"faceId":{number},"success":true}}]}}}}'

    reading = told(lambda _: httpx.Response(200, text=body)).replace(somebody(ALICE, 1), ())

    assert [one.vendor_face_id for one in reading.held] == [text or "23088737259260929"]


@pytest.mark.parametrize("number", ["2.3088737259260929E16", "9007199254740992.0", "1.5", "1e400", "NaN", "true", "-7"])
def test_an_inexact_face_id_is_no_answer(number: str) -> None:
    body = f'{{"code":200,"data":{{"faceImageItems":[{{"faceId":{number},"success":true}}]}}}}'

    with pytest.raises(UncertainError):
        told(lambda _: httpx.Response(200, text=body)).replace(somebody(ALICE, 1), ())


def test_faces_added_beyond_ours_are_known_as_strays() -> None:
    items = [{"faceId": 1, "success": True}, {"faceId": 2, "success": True}]

    held = told(lambda _: json_answer({"faceImageItems": items})).replace(somebody(BOB, 1), ()).held

    assert [(one.vendor_face_id, one.face_id) for one in held] == [("1", "f0"), ("2", None)]


def test_not_found_on_a_delete_is_not_taken_for_gone() -> None:
    person_seen = json_answer({"personId": ALICE, "faceIds": ["1", "2"]})
    not_found = httpx.Response(200, json={"code": 404})
    library = told(lambda request: not_found if "delete" in request.url.path else person_seen)
    held = (HeldFace(VendorFaceId("1")), HeldFace(VendorFaceId("2")))

    reading = library.delete([(departed(somebody(ALICE)), held)])[somebody(ALICE).id]

    assert isinstance(reading, Reading)
    assert reading.held == held
    assert [one.situation for one in reading.findings] == [Situation.STRAY, Situation.STRAY]


def test_somebody_who_left_during_a_listing_is_not_in_it() -> None:
    answers = {"personIds": ["person-0", "person-1"], "totalCount": 2}
    library = told(lambda request: json_answer(answers) if "group" in request.url.path else one_of(request))

    def one_of(request: httpx.Request) -> httpx.Response:
        if json.loads(request.content)["personId"] == "person-0":
            return httpx.Response(200, json={"code": 404, "msg": "NOT_FOUND"})
        return json_answer({"faceImageItems": [{"faceId": 7, "success": True}]})

    page = library.page(None)

    assert page.faces == (Listed(VendorFaceId("7"), person_key="person-1"),)


def test_a_group_that_is_not_there_yet_lists_nothing() -> None:
    page = told(lambda _: httpx.Response(200, json={"code": 404})).page(None)

    assert (page.faces, page.cursor, page.completeness) == ((), None, Completeness.PARTIAL)


def test_a_listing_with_an_inexact_id_is_no_listing() -> None:
    people = {"personIds": ["person-0"], "totalCount": 1}
    faces = {"faceImageItems": [{"faceId": 2.3088737259260928e16, "success": True}]}
    library = told(lambda request: json_answer(people if "group" in request.url.path else faces))

    with pytest.raises(UnavailableError):
        library.page(None)
