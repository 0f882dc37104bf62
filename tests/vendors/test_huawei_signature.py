"""SDK-HMAC-SHA256: the published vectors, the vendor's own signer, and what goes over the wire."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
import pytest
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.sdk_request import SdkRequest
from huaweicloudsdkcore.signer.signer import Signer
from hypothesis import example, given
from hypothesis import strategies as st

from syncsvc.library.http import Door
from syncsvc.model.permits import Account, Unlimited
from syncsvc.vendors.huawei import Library, Options, authorization, canonical_query

VECTORS = Path(__file__).parents[2].parent / "shared" / "vendors" / "signature-vectors.json"
PROJECT = "0123456789abcdef0123456789abcdef"
HEADERS = {
    "Content-Type": "application/json",
    "X-Project-Id": PROJECT,
    "X-Sdk-Date": "20240301T120000Z",
    "Host": "face.cn-north-4.myhuaweicloud.com",
}
FACES = f"/v2/{PROJECT}/face-sets/people/faces"

# Made with huaweicloudsdkcore 3.1.219.
MADE_BY_THE_SDK = [
    pytest.param(
        "DELETE",
        FACES,
        [("external_image_id", "a b+c~d")],
        {},
        b"",
        "60dfa96d0ba6f6545d026a3506ad794902f1371e07f11f9489135cd919d228f9",
        id="a-query-that-needs-quoting",
    ),
    pytest.param(
        "GET",
        FACES,
        [("offset", "9000"), ("limit", "1000")],
        {"Host": "127.0.0.1:5603"},
        b"",
        "f0de67582405e0953ec139ea482cb4369173e8ddd0e0738e3de509cf19721595",
        id="a-port",
    ),
    pytest.param(
        "POST",
        FACES,
        [],
        {"User-Agent": " syncsvc ", "X_Skipped": "1"},
        '{"external_image_id": "张三"}'.encode(),
        "25ad63e2c1caff4c9c94c707c09b00ca34e69f5b1c9ecfc182383ba665f9ac0f",
        id="a-header-to-trim-and-one-to-skip",
    ),
    pytest.param(
        "PUT",
        "/v2/%E5%BC%A0/a%20b/",
        [],
        {},
        b"{}",
        "36fe544e5e220cae6274792df6d17b55a6189f720b01034db5bcaec3d786595b",
        id="a-path-that-is-quoted",
    ),
]

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=20)
VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=40)
NAMES = st.from_regex(r"X-T-[a-z]{1,3}[A-Z]?", fullmatch=True)


def vectors() -> list[dict[str, Any]]:
    if not VECTORS.exists():
        return []
    found: list[dict[str, Any]] = json.loads(VECTORS.read_text("utf-8"))["huawei_sdk_hmac_sha256"]
    return found


def by_the_sdk(
    method: str, path: str, query: list[tuple[str, str]], headers: dict[str, str], body: bytes
) -> SdkRequest:
    """What the vendor's client would send."""
    request = SdkRequest(method, "https", headers["Host"], path, path, query, dict(headers), body.decode())
    return Signer(BasicCredentials("testAK", "testSK", PROJECT)).sign(request)


def ours(method: str, path: str, query: list[tuple[str, str]], headers: dict[str, str], body: bytes) -> str:
    return authorization("testAK", "testSK", method=method, path=path, query=query, headers=headers, body=body)


def test_the_signature_vectors_are_at_hand() -> None:
    if not VECTORS.exists() and not os.environ.get("CI"):
        pytest.skip("signature-vectors.json is not beside this checkout; it is required in CI only")

    assert len(vectors()) >= 4


@pytest.mark.parametrize("vector", vectors(), ids=lambda vector: vector["name"])
def test_a_published_vector_is_signed_to_the_letter(vector: dict[str, Any]) -> None:
    told = vector["input"]
    parts = urlsplit(told["path_and_query"])
    pairs = [pair.partition("=") for pair in parts.query.split("&") if pair]

    made = authorization(
        told["ak"],
        told["sk"],
        method=told["method"],
        path=parts.path,
        query=[(unquote(name), unquote(value)) for name, _, value in pairs],
        headers=told["headers"],
        body=told["body_utf8"].encode(),
    )

    assert made == vector["expected"]["authorization"]


@pytest.mark.parametrize(("method", "path", "query", "more", "body", "signature"), MADE_BY_THE_SDK)
def test_what_the_vendors_client_once_signed_is_signed_alike(  # noqa: PLR0917
    method: str, path: str, query: list[tuple[str, str]], more: dict[str, str], body: bytes, signature: str
) -> None:
    made = ours(method, path, query, {**HEADERS, **more}, body)

    assert made.rpartition("Signature=")[2] == signature


@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
    segments=st.lists(WORDS, max_size=4),
    query=st.lists(st.tuples(WORDS, WORDS), max_size=4, unique_by=lambda pair: pair[0]),
    more=st.dictionaries(NAMES, VALUES, max_size=3).filter(
        lambda told: len({name.lower() for name in told}) == len(told)
    ),
    body=st.text(max_size=60),
)
@example(method="GET", segments=["a%2Fb", "%41", "?"], query=[("b", " "), ("a", "+")], more={}, body="")
def test_whatever_is_asked_the_vendors_signer_agrees(
    method: str, segments: list[str], query: list[tuple[str, str]], more: dict[str, str], body: str
) -> None:
    path = "/" + "/".join(segments)
    headers = {**HEADERS, **more}

    made = ours(method, path, query, headers, body.encode())
    theirs = by_the_sdk(method, path, query, headers, body.encode())

    assert made == theirs.header_params["Authorization"]
    assert path + ("?" + canonical_query(query) if query else "") == theirs.uri


def test_a_body_that_is_not_json_is_signed_as_unsigned() -> None:
    headers = {**HEADERS, "Content-Type": "multipart/form-data", "X-Sdk-Content-Sha256": "UNSIGNED-PAYLOAD"}

    made = ours("POST", FACES, [], headers, b"some photo")

    assert made == by_the_sdk("POST", FACES, [], headers, b"some photo").header_params["Authorization"]


def test_what_is_sent_is_what_was_signed_at_that_moment() -> None:
    sent: list[httpx.Request] = []

    def vendor(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, json={"faces": []})

    options = Options.model_validate(
        {"project_id": PROJECT, "face_set_name": "people", "access_key": "testAK", "secret_key": "testSK"}
    )
    with httpx.Client(transport=httpx.MockTransport(vendor)) as client:
        library = Library(Door(client, "http://gate.example:8443", Account("a"), Unlimited()), options, str)
        before = datetime.now(UTC).replace(microsecond=0)

        library._call("show", "GET", "/faces", query=[("face_id", "a b+~c")], changes=False, read=lambda told: told)

    (request,) = sent
    signed = {name: request.headers[name] for name in ("Content-Type", "Host", "X-Project-Id", "X-Sdk-Date")}
    told_at = datetime.strptime(signed["X-Sdk-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    assert request.url.raw_path.decode() == f"{FACES}?face_id=a%20b%2B~c"
    assert signed["Host"] == "gate.example:8443"
    assert before <= told_at <= datetime.now(UTC)
    theirs = by_the_sdk("GET", FACES, [("face_id", "a b+~c")], signed, b"")
    assert request.headers["Authorization"] == theirs.header_params["Authorization"]
