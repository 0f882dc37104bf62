"""The Sophon practice room against what the vendor's pages say."""

import base64
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from syncsvc.sandbox.serve import running
from syncsvc.sandbox.sophon import Sandbox
from tests.vendors.photos import blank, draw

Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox()


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with running(sandbox) as (url,), httpx.Client(base_url=f"{url}/sophon/v2/face/", trust_env=False) as client:
        yield client


@pytest.fixture
def ask(client: httpx.Client) -> Ask:
    def asking(operation: str, **body: Any) -> dict[str, Any]:
        answer: dict[str, Any] = client.post(operation, json=body).json()
        return answer

    return asking


def image(number: int, **more: Any) -> str:
    return base64.b64encode(draw(number, **more).content).decode()


def code(answer: dict[str, Any]) -> tuple[str, str]:
    return answer["error"]["code"], answer["error"]["message"]


def test_a_person_is_created_with_a_face_and_shown_with_two_lists(ask: Ask) -> None:
    made = ask("createidentity", identity_id="100000", register_image=f"data:image/jpg;base64,{image(1)}")
    added = ask("addface", identity_id="100000", register_image=image(2))

    shown = ask("getidentity", identity_id="100000")

    assert set(made) == {"identity_id", "face_id", "register_image_id"}
    assert (added["total_face_cnt"], added["face_ids"][0]) == (2, made["face_id"])
    assert (shown["face_ids"], shown["register_image_ids"]) == (added["face_ids"], added["register_image_ids"])
    assert "total_face_cnt" not in shown
    assert shown["user_type"] == "employee"


def test_an_id_is_generated_where_none_is_given(ask: Ask) -> None:
    assert ask("createidentity", identity_id="", register_image=image(1))["identity_id"]


def test_a_duplicate_is_an_error_unless_force_replace_is_asked_for(ask: Ask, sandbox: Sandbox) -> None:
    ask("createidentity", identity_id="7", register_image=image(1))

    assert code(ask("createidentity", identity_id="7", register_image=image(2))) == ("ID_REPEAT_ERROR", "7")
    ask("createidentity", identity_id="7", register_image=image(2), force_replace=True)
    assert sandbox.digests_of("7") == [draw(2).digest]


def test_of_both_selectors_of_a_deletion_the_image_id_counts(ask: Ask, sandbox: Sandbox) -> None:
    ask("createidentity", identity_id="7", register_image=image(1))
    both = ask("addface", identity_id="7", register_image=image(2))

    left = ask(
        "deleteface", identity_id="7", face_id=both["face_ids"][0], register_image_id=both["register_image_ids"][1]
    )

    assert left["face_ids"] == both["face_ids"][:1]
    assert sandbox.digests_of("7") == [draw(1).digest]


def test_not_found_names_the_id_that_was_not_found(ask: Ask, client: httpx.Client) -> None:
    ask("createidentity", identity_id="7", register_image=image(1))

    assert code(ask("deleteface", identity_id="8", face_id="f")) == ("ID_NOT_FOUND", "8")
    assert code(ask("deleteface", identity_id="7", face_id="f")) == ("ID_NOT_FOUND", "f")
    assert client.post("deleteface", json={"identity_id": "8", "face_id": "f"}).status_code == 404


@pytest.mark.parametrize("as_list", [True, False])
def test_a_replacement_by_each_selector_changes_one_face(ask: Ask, sandbox: Sandbox, *, as_list: bool) -> None:
    sandbox.set_switches({"identity_id_as_list": as_list})
    ask("createidentity", identity_id="7", register_image=image(1))
    state = ask("addface", identity_id="7", register_image=image(2))

    for number, selector in enumerate(
        (
            {"register_image_index": 1},
            {"face_id": state["face_ids"][0]},
            {"register_image_id": state["register_image_ids"][0]},
        )
    ):
        answer = ask("replaceface", identity_id="7", register_image=image(10 + number), **selector)
        if "error" not in answer:
            assert answer["identity_id"] == (["7"] if as_list else "7")

    assert sandbox.digests_of("7") == [draw(11).digest, draw(10).digest]
    assert sandbox.world.counts("7") == [1, 2, 2, 2]


def test_two_selectors_or_none_are_refused(ask: Ask) -> None:
    ask("createidentity", identity_id="7", register_image=image(1))

    assert code(ask("replaceface", identity_id="7", register_image=image(2)))[0] == "MISSING_ARGUMENTS"
    both = ask("replaceface", identity_id="7", register_image=image(2), face_id="f", register_image_index=0)
    assert code(both)[0] == "INVALID_ARGUMENTS"


def test_a_feature_goes_before_an_image_and_must_have_512_numbers(ask: Ask, sandbox: Sandbox) -> None:
    ask("createidentity", identity_id="7", register_feature=[0.5] * 512, register_image=image(1))

    assert sandbox.digests_of("7") != [draw(1).digest]
    short = ask("addface", identity_id="7", register_feature=[0.5] * 511)
    assert code(short) == ("INVALID_ARGUMENTS", "register_feature")


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ({"register_image": "!!!"}, "IMAGE_DECODE_ERROR"),
        ({"register_image": base64.b64encode(b"no picture").decode()}, "IMAGE_DECODE_ERROR"),
        ({"register_image": base64.b64encode(blank().content).decode()}, "NO_FACE_ERROR"),
        ({"register_image": image(1, side=112)}, "LOW_QUALITY_ERROR"),
        ({"register_image": image(1, side=80), "fiqa_level": "normal"}, "LOW_QUALITY_ERROR"),
        ({"register_image": image(1), "fiqa_level": "middle"}, "INVALID_ARGUMENTS"),
        ({"register_image_path": "/data/image/test.jpg"}, "IMAGE_NOT_OPENED"),
        ({}, "MISSING_ARGUMENTS"),
    ],
)
def test_a_photo_is_refused_by_the_documented_code(ask: Ask, source: dict[str, Any], says: str) -> None:
    assert code(ask("createidentity", identity_id="7", **source))[0] == says


@pytest.mark.parametrize(("level", "side"), [("high", 113), ("normal", 81), ("low", 61), ("no", 20)])
def test_a_face_just_large_enough_passes_its_level(ask: Ask, level: str, side: int) -> None:
    made = ask("createidentity", identity_id="7", register_image=image(1, side=side), fiqa_level=level)

    assert made["face_id"]


def test_a_full_box_says_so(ask: Ask, sandbox: Sandbox) -> None:
    sandbox.set_switches({"capacity": 1})
    ask("createidentity", identity_id="7", register_image=image(1))

    assert code(ask("createidentity", identity_id="8", register_image=image(2)))[0] == "GROUP_LEN_ERROR"


@pytest.mark.parametrize(("old", "key"), [(False, "success_identity_ids"), (True, "sucess_identity_ids")])
def test_a_deletion_of_many_succeeds_in_part(ask: Ask, sandbox: Sandbox, *, old: bool, key: str) -> None:
    sandbox.set_switches({"old_spelling": old})
    for name in ("7", "8"):
        ask("createidentity", identity_id=name, register_image=image(1))

    told = ask("deleteidentities", identity_ids=["7", "9"])

    assert told == {key: ["7"], "failed_identity_ids": ["9"]}
    assert list(sandbox.world.people()) == ["8"]


def test_pages_count_from_nought_and_tell_the_total(ask: Ask, sandbox: Sandbox) -> None:
    for number in range(25):
        sandbox.plant(f"p{number:02}")

    default, last, beyond = ask("getidentities"), ask("getidentities", page_index=2), ask("getidentities", page_index=3)

    assert [one["identity_id"] for one in default["identities"]] == [f"p{number:02}" for number in range(10)]
    assert default["pagination"] == {"page_index": 0, "page_limit": 10, "total_count": 25}
    assert [len(last["identities"]), len(beyond["identities"])] == [5, 0]
    only = ask("getidentities", filters={"identity_id": "p03"})
    assert [one["identity_id"] for one in only["identities"]] == ["p03"]


@pytest.mark.parametrize(
    ("content", "kind", "says", "status"),
    [
        (b"{}", "text/plain", "UNSUPPORT_CONTENT_TYPE", 415),
        (b"", "application/json", "EMPTY_REQUEST_JSON", 400),
        (b"{", "application/json", "INVALID_REQUEST_JSON", 400),
        (b"{}", "application/json", "MISSING_ARGUMENTS", 400),
    ],
)
def test_a_malformed_request_is_named(client: httpx.Client, content: bytes, kind: str, says: str, status: int) -> None:
    answer = client.post("getidentity", content=content, headers={"Content-Type": kind})

    assert (answer.json()["error"]["code"], answer.status_code) == (says, status)


def test_errors_may_come_with_status_200(ask: Ask, client: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.set_switches({"errors_with_200": True})

    answer = client.post("getidentity", json={"identity_id": "7"})

    assert (answer.status_code, code(answer.json())) == (200, ("ID_NOT_FOUND", "7"))


def test_a_persons_last_face_may_be_refused(ask: Ask, sandbox: Sandbox) -> None:
    made = ask("createidentity", identity_id="7", register_image=image(1))
    sandbox.set_switches({"refuse_last_face": True})

    refused = ask("deleteface", identity_id="7", face_id=made["face_id"])
    sandbox.set_switches({"refuse_last_face": False})
    left = ask("deleteface", identity_id="7", face_id=made["face_id"])

    assert code(refused)[0] == "INVALID_ARGUMENTS"
    assert left == {"identity_id": "7", "total_face_cnt": 0, "face_ids": [], "register_image_ids": []}
    assert ask("getidentity", identity_id="7")["face_ids"] == []
