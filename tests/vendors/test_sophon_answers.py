"""What Sophon's adapter makes of answers, the odd ones among them, one by one."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from syncsvc.library.http import Door
from syncsvc.model.errors import LibraryError, UnavailableError, UncertainError
from syncsvc.model.people import FaceId, HeldFace, VendorFaceId, vendor_ids
from syncsvc.model.permits import Account, Unlimited
from syncsvc.model.report import Reading
from syncsvc.model.situations import Situation
from syncsvc.vendors.sophon import FAULTS, Library, Options
from tests.vendors.contract_ground import ALICE, BOB, person, somebody
from tests.vendors.photos import draw


class Box:
    """Says what it is told to say, whatever is asked."""

    def __init__(self) -> None:
        self.answer: Any = {}
        self.status = 200
        self.asked: list[Any] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(json.loads(request.content))
        return httpx.Response(self.status, json=self.answer)


@pytest.fixture
def box() -> Box:
    return Box()


@pytest.fixture
def parrot(box: Box) -> Iterator[Library]:
    with httpx.Client(transport=httpx.MockTransport(box)) as client:
        door = Door(client, "http://box.test", Account("sophon"), Unlimited())
        yield Library(door, Options(), lambda digest: digest)


def state(*ids: str, key: Any = ALICE) -> dict[str, Any]:
    return {
        "identity_id": key,
        "total_face_cnt": len(ids),
        "face_ids": ids,
        "register_image_ids": [f"i-{i}" for i in ids],
    }


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({**state("a", "b"), "register_image_ids": ["i-a"]}, id="lists of different length"),
        pytest.param(state("a", key=BOB), id="somebody else"),
        pytest.param({**state(), "face_ids": [1], "register_image_ids": ["i"]}, id="a number for an id"),
        pytest.param({"identity_id": ALICE}, id="no lists"),
        pytest.param([], id="no object"),
        pytest.param("ok", id="a word"),
        pytest.param(None, id="nothing"),
        pytest.param({"error": {}}, id="an error without a code"),
    ],
)
def test_an_answer_in_no_documented_shape_is_doubtful(parrot: Library, box: Box, answer: Any) -> None:
    box.answer = answer
    alice = somebody(ALICE, 1, 2)
    (first, second) = (_held("x", "f0"), _held("y", "f1"))

    told = parrot.delete([(person(ALICE, alice.faces[0]), (first, second))])[alice.id]

    assert isinstance(told, UncertainError)


@pytest.mark.parametrize("key", [ALICE, [ALICE]], ids=["string", "list"])
def test_the_id_may_come_as_a_string_or_as_a_list(parrot: Library, box: Box, key: Any) -> None:
    box.answer = state("a", "b", key=key)

    seen = parrot.look(somebody(ALICE), ())

    assert [(one.vendor_face_id, one.vendor_image_id) for one in seen.faces] == [("a", "i-a"), ("b", "i-b")]


def test_the_faces_that_an_answer_still_lists_stay_held(parrot: Library, box: Box) -> None:
    box.answer = state("x", "y")
    held = (_held("x", "f0"), _held("y", "f1"))

    reading = parrot.delete([(person(ALICE, somebody(ALICE, 1).faces[0]), held)])[somebody(ALICE).id]

    assert isinstance(reading, Reading)
    assert vendor_ids(reading.held) == {"x", "y"}
    assert [one.situation for one in reading.findings] == [Situation.STRAY]


@pytest.mark.parametrize(
    ("missing", "left"), [("y", {"x"}), (ALICE, set()), ("cannot say", {"x"})], ids=["face", "person", "unclear"]
)
def test_what_was_not_found_is_told_by_the_message(parrot: Library, box: Box, missing: str, left: set[str]) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("deleteface"):
            return httpx.Response(404, json={"error": {"code": "ID_NOT_FOUND", "message": missing}})
        return httpx.Response(200, json=state("x"))

    parrot.door.client._transport = httpx.MockTransport(answer)
    held = (_held("x", "f0"), _held("y", "f1"))

    reading = parrot.delete([(person(ALICE, somebody(ALICE, 1).faces[0]), held)])[somebody(ALICE).id]

    assert isinstance(reading, Reading)
    assert vendor_ids(reading.held) == left


@pytest.mark.parametrize("status", [200, 400, 404, 500])
@pytest.mark.parametrize("code", sorted(FAULTS._faults))
def test_an_error_is_judged_by_its_code_whatever_the_status(parrot: Library, box: Box, code: str, status: int) -> None:
    box.status, box.answer = status, {"error": {"code": code, "message": "face_size"}}

    with pytest.raises(LibraryError) as caught:
        parrot.ping()

    assert isinstance(caught.value, FAULTS._faults[code].error)
    assert code in str(caught.value)


def test_what_is_sent_is_what_the_page_shows(parrot: Library, box: Box) -> None:
    box.answer = state("x")
    alice = somebody(ALICE, 1)

    with pytest.raises(UncertainError):  # the parrot shows no new face
        parrot.swap(alice, _held("x", "f0"), alice.faces[0])

    image = base64.b64encode(draw(1).content).decode()
    assert box.asked[1] == {
        "identity_id": ALICE,
        "face_id": "x",
        "register_image": f"data:image/jpg;base64,{image}",
        "fiqa_level": "high",
    }


def _held(vendor_face_id: str, name: str) -> HeldFace:
    return HeldFace(VendorFaceId(vendor_face_id), None, FaceId(name), draw(1).digest)


@pytest.mark.parametrize(
    ("code", "adding", "reading"),
    [
        ("INTERNAL_ERROR", UncertainError, UnavailableError),
        ("A_WORD_OF_TOMORROW", UncertainError, UnavailableError),
        ("INSUFFICIENT_SPACE_LEFT", UnavailableError, UnavailableError),
    ],
)
def test_the_boxs_own_trouble_leaves_an_add_in_doubt_and_nothing_else(
    parrot: Library, box: Box, code: str, adding: type[LibraryError], reading: type[LibraryError]
) -> None:
    box.status, box.answer = 500, {"error": {"code": code, "message": ""}}
    alice = somebody(ALICE, 1)

    with pytest.raises(adding) as added:
        parrot.add(alice, alice.faces[0], ())
    with pytest.raises(reading) as read:
        parrot.look(alice, ())
    gone = parrot.delete([(person(ALICE, alice.faces[0]), (_held("x", "f0"), _held("y", "f1")))])[alice.id]

    assert (type(added.value), type(read.value), type(gone)) == (adding, reading, reading)
