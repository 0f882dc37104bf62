"""The FinAuth practice room, against the vendor's pages: forms as a stranger would send them."""

import base64
import hashlib
import hmac
import io
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from PIL import Image

from syncsvc.sandbox.base import Limits
from syncsvc.sandbox.faults import Kind
from syncsvc.sandbox.finauth import MAX_BYTES, Sandbox
from syncsvc.sandbox.serve import running

NOW = 1_750_000_000.0


def signed(*, now: int = int(NOW), expires: int | None = None, key: str = "sandbox-key", random: int = 7) -> str:
    raw = f"a={key}&b={now + 100 if expires is None else expires}&c={now}&d={random}".encode()
    return base64.b64encode(hmac.digest(b"sandbox-secret", raw, hashlib.sha1) + raw).decode()


def picture(shade: int = 128, kind: str = "PNG") -> bytes:
    image = Image.new("RGB", (32, 32), (shade, 20, 20))
    image.putpixel((3, 3), (255, 255, 255))
    packed = io.BytesIO()
    image.save(packed, kind)
    return packed.getvalue()


class Stranger:
    """Speaks the vendor's words by hand."""

    def __init__(self, sandbox: Sandbox, url: str, client: httpx.Client) -> None:
        self.sandbox, self.url, self.client = sandbox, url, client

    def ask(
        self, operation: str, *, photo: bytes | None = None, sign: str | None = None, **fields: str
    ) -> httpx.Response:
        whole = {"sign": sign or signed(), "sign_version": "hmac_sha1", "group_id": "sandbox", **fields}
        parts: dict[str, Any] = {name: (None, value) for name, value in whole.items()}
        if photo is not None:
            parts["file"] = ("face.png", photo, "image/png")
        return self.client.post(f"{self.url}/finauth/search/group/{operation}", files=parts)

    def add(self, user: str = "user_01", shade: int = 128) -> str:
        return str(self.ask("add", photo=picture(shade), user_id=user).json()["face_token"])

    def error(self, answer: httpx.Response) -> tuple[int, str]:
        return answer.status_code, answer.json()["error"]


@pytest.fixture
def stranger() -> Iterator[Stranger]:
    sandbox = Sandbox(clock=lambda: NOW, limits=Limits())
    with running(sandbox) as (url,), httpx.Client(trust_env=False) as client:
        yield Stranger(sandbox, url, client)


def test_a_face_is_added_with_its_labels_and_told_by_its_token(stranger: Stranger) -> None:
    token = stranger.ask("add", photo=picture(), user_id="user_01", user_data="Test user").json()["face_token"]

    told = stranger.ask("face_info", face_token=token).json()["info"]

    assert len(token) == 32
    assert told == {"face_token": token, "user_id": "user_01", "user_data": "Test user", "add_time": int(NOW * 1000)}


def test_the_picture_may_come_as_base64_in_an_urlencoded_form(stranger: Stranger) -> None:
    fields = {"sign": signed(), "sign_version": "hmac_sha1", "group_id": "sandbox", "user_id": "user_01"}

    answer = stranger.client.post(
        f"{stranger.url}/finauth/search/group/add",
        data={**fields, "image": base64.b64encode(picture()).decode()},
    )

    assert answer.status_code == 200
    assert stranger.sandbox.digests_of("user_01") == [hashlib.sha256(picture()).hexdigest()]


def test_a_plus_sign_that_was_not_form_encoded_breaks_the_signature(stranger: Stranger) -> None:
    sign = next(one for random in range(1000) if "+" in (one := signed(random=random)))
    body = f"sign={sign}&sign_version=hmac_sha1&group_id=sandbox"
    headers = {"Content-Type": "application/x-www-form-urlencoded"}

    answer = stranger.client.post(f"{stranger.url}/finauth/search/group/list", content=body, headers=headers)

    assert stranger.error(answer) == (401, "AUTHENTICATION_ERROR")


def test_the_same_picture_twice_is_two_faces(stranger: Stranger) -> None:
    first, second = stranger.add(), stranger.add()

    assert first != second
    assert len(stranger.sandbox.faces_of("user_01")) == 2


def test_a_delete_names_its_failures_and_counts_the_whole_library(stranger: Stranger) -> None:
    token, _other = stranger.add("user_01", 1), stranger.add("user_02", 2)

    answer = stranger.ask("delete", face_tokens=f"{token},{'0' * 32}")

    assert answer.status_code == 200
    told = answer.json()
    assert told["face_removed"] == 1
    assert told["face_count"] == 1
    assert told["failure_detail"] == [{"face_token": "0" * 32, "reason": "FACE_NOT_IN_GROUP"}]
    assert len(stranger.sandbox.faces_of("user_02")) == 1


@pytest.mark.parametrize("tokens", ["", ",".join(["0" * 32] * 1001)])
def test_no_token_and_more_than_a_thousand_are_refused(stranger: Stranger, tokens: str) -> None:
    answer = stranger.ask("delete", face_tokens=tokens)

    assert stranger.error(answer) == (400, "INVALID_FACE_TOKENS_SIZE")


def test_the_ancestors_magic_word_empties_the_library_unless_switched_off(stranger: Stranger) -> None:
    stranger.add("user_01", 1)
    stranger.sandbox.set_switches({"magic_word": False})
    harmless = stranger.ask("delete", face_tokens="RemoveAllFaceTokens").json()["face_removed"]
    stranger.sandbox.set_switches({"magic_word": True})

    told = stranger.ask("delete", face_tokens="RemoveAllFaceTokens").json()

    assert harmless == 0
    assert told["face_removed"] == 1
    assert told["face_count"] == 0


@pytest.mark.parametrize(
    "sign",
    [
        "",
        "no base64!",
        base64.b64encode(b"too short").decode(),
        signed(key="another-key"),
        signed(expires=int(NOW) - 1),
        signed(now=int(NOW) + 3600),
        base64.b64encode(bytes(20) + b"a=sandbox-key&b=1750000100&c=1750000000&d=7").decode(),
    ],
    ids=["empty", "no base64", "too short", "another key", "expired", "from the future", "forged"],
)
def test_a_wrong_signature_is_turned_away(stranger: Stranger, sign: str) -> None:
    answer = stranger.ask("list", sign=sign or " ")

    assert stranger.error(answer) == (401, "AUTHENTICATION_ERROR")


def test_a_signature_without_an_end_is_good_for_one_call(stranger: Stranger) -> None:
    once = signed(expires=0)

    answers = [stranger.ask("list", sign=once).status_code for _ in range(2)]

    assert answers == [200, 401]


def test_the_listing_is_in_the_order_of_creation_and_paged_by_index(stranger: Stranger) -> None:
    tokens = [stranger.add("user_01", shade) for shade in range(5)]

    told = stranger.ask("list", start="2", limit="3").json()

    assert [one["face_token"] for one in told["face_tokens"]] == tokens[1:4]
    assert "next" not in told


def test_the_next_index_is_told_where_it_is_switched_on(stranger: Stranger) -> None:
    for shade in range(5):
        stranger.add("user_01", shade)
    stranger.sandbox.set_switches({"returns_next": True})

    nexts = [stranger.ask("list", start=start, limit="3").json().get("next") for start in ("1", "4")]

    assert nexts == [4, None]


@pytest.mark.parametrize(
    ("start", "limit", "word"), [("0", "1", "start"), ("1001", "1", "start"), ("1", "1001", "limit")]
)
def test_an_index_or_a_page_outside_the_window_is_refused(
    stranger: Stranger, start: str, limit: str, word: str
) -> None:
    answer = stranger.ask("list", start=start, limit=limit)

    assert stranger.error(answer) == (400, f"BAD_ARGUMENTS:{word}")


def test_without_the_window_any_index_is_taken(stranger: Stranger) -> None:
    stranger.sandbox.set_switches({"window_enforced": False})

    answer = stranger.ask("list", start="5000")

    assert answer.json()["face_tokens"] == []


@pytest.mark.parametrize("word", ["INVALID_OUTER_ID", "INVALID_GROUP_ID"])
def test_a_library_that_is_not_there_has_two_words(stranger: Stranger, word: str) -> None:
    stranger.sandbox.set_switches({"missing_library": word})

    answer = stranger.ask("list", group_id="nowhere")

    assert stranger.error(answer) == (400, word)


def test_an_unknown_face_has_no_info(stranger: Stranger) -> None:
    answer = stranger.ask("face_info", face_token="0" * 32)

    assert stranger.error(answer) == (400, "INVALID_FACE_TOKEN")


@pytest.mark.parametrize(
    ("photo", "word"),
    [
        (b"no picture", "IMAGE_ERROR_UNSUPPORTED_FORMAT: image"),
        (picture(kind="GIF"), "IMAGE_ERROR_UNSUPPORTED_FORMAT: image"),
        (None, "MISSING_ARGUMENTS:image"),
    ],
    ids=["no picture", "GIF", "none"],
)
def test_what_is_no_picture_is_refused(stranger: Stranger, photo: bytes | None, word: str) -> None:
    answer = stranger.ask("add", photo=photo, user_id="user_01")

    assert stranger.error(answer) == (400, word)


def test_a_picture_without_a_face_is_refused(stranger: Stranger) -> None:
    packed = io.BytesIO()
    Image.new("RGB", (32, 32), "white").save(packed, "PNG")

    answer = stranger.ask("add", photo=packed.getvalue(), user_id="user_01")

    assert stranger.error(answer) == (400, "NO_FACE_FOUND")


def test_a_picture_that_is_too_large_is_refused_in_plain_text(stranger: Stranger) -> None:
    answer = stranger.ask("add", photo=bytes(MAX_BYTES + 1), user_id="user_01")

    assert answer.status_code == 413
    assert answer.headers["Content-Type"] == "text/plain"
    assert answer.text == "Request Entity Too Large"


def test_a_name_with_strange_characters_is_refused(stranger: Stranger) -> None:
    answer = stranger.ask("add", photo=picture(), user_id="王")

    assert stranger.error(answer) == (400, "BAD_ARGUMENTS:user_id")


def test_a_search_finds_the_same_picture_first(stranger: Stranger) -> None:
    stranger.add("user_01", 1)
    token = stranger.add("user_02", 2)

    told = stranger.ask("search", photo=picture(2), limit="5", threshold="90").json()["results"]

    assert [(one["face_token"], one["user_id"]) for one in told] == [(token, "user_02")]


def test_a_library_is_made_listed_and_freed_only_when_empty(stranger: Stranger) -> None:
    stranger.ask("create", group_id="south", group_name="South gate")
    stranger.ask("add", group_id="south", photo=picture(), user_id="user_01")
    listed = [one["group_id"] for one in stranger.ask("group_list").json()["group_infos"]]

    refused = stranger.ask("free", group_id="south")
    freed = stranger.ask("free", group_id="south", check_empty="0")

    assert listed == ["sandbox", "south"]
    assert stranger.error(refused) == (400, "NOT_EMPTY")
    assert freed.status_code == 200
    assert stranger.sandbox.faces_of("user_01") == []


def test_a_face_of_another_library_cannot_be_deleted_from_here(stranger: Stranger) -> None:
    stranger.ask("create", group_id="south", group_name="South gate")
    token = stranger.ask("add", group_id="south", photo=picture(), user_id="user_01").json()["face_token"]

    told = stranger.ask("delete", face_tokens=token).json()

    assert told["face_removed"] == 0
    assert len(stranger.sandbox.faces_of("user_01")) == 1


def test_the_eleventh_call_in_a_second_is_turned_away_with_403() -> None:
    sandbox = Sandbox(clock=lambda: NOW)
    with running(sandbox) as (url,), httpx.Client(trust_env=False) as client:
        stranger = Stranger(sandbox, url, client)

        answers = [stranger.ask("list") for _ in range(11)]

    assert [one.status_code for one in answers] == [200] * 10 + [403]
    assert answers[-1].json()["error"] == "CONCURRENCY_LIMIT_EXCEEDED"


def test_a_denied_key_gets_403_without_a_request_id(stranger: Stranger) -> None:
    stranger.sandbox.set_switches({"denied": "Denied by Admin"})

    answer = stranger.ask("list")

    assert stranger.error(answer) == (403, "AUTHORIZATION_ERROR:Denied by Admin")
    assert "request_id" not in answer.json()


def test_an_unknown_address_gets_404_without_a_request_id(stranger: Stranger) -> None:
    answer = stranger.ask("replace")

    assert stranger.error(answer) == (404, "API_NOT_FOUND")
    assert "request_id" not in answer.json()


@pytest.mark.parametrize(("honest", "failures"), [(True, 1), (False, 0)])
def test_half_a_delete_is_told_or_kept_silent(stranger: Stranger, *, honest: bool, failures: int) -> None:
    tokens = [stranger.add("user_01", 1), stranger.add("user_02", 2)]
    stranger.sandbox.fault(Kind.PARTIAL, "delete", times=1, honest=honest)

    told = stranger.ask("delete", face_tokens=",".join(tokens)).json()

    assert told["face_removed"] == 1
    assert len(told["failure_detail"]) == failures
    assert len(stranger.sandbox.faces_of("user_02")) == 1


def test_a_reset_brings_the_first_libraries_back_and_nothing_else(stranger: Stranger) -> None:
    stranger.ask("create", group_id="south", group_name="South gate")
    stranger.add()

    stranger.sandbox.reset()

    assert list(stranger.sandbox.libraries) == ["sandbox"]
    assert stranger.sandbox.faces_of("user_01") == []
