"""The ROA signature: the published vectors, and the vendor's own two signers."""

import base64
import hashlib
import hmac
import json
import os
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from alibabacloud_openapi_util.client import Client as OpenApiUtil
from aliyunsdkcore.auth.algorithm import sha_hmac1
from aliyunsdkcore.auth.composer import roa_signature_composer
from aliyunsdkcore.utils.parameter_helper import md5_sum
from hypothesis import given
from hypothesis import strategies as st
from Tea.request import TeaRequest

from syncsvc.vendors.aliyun import content_md5, signature, signed_headers, string_to_sign

VECTORS = Path(__file__).parents[2].parent / "shared" / "vendors" / "signature-vectors.json"
WORDS = st.text(st.characters(codec="ascii", categories=("L", "N"), include_characters="-_./"), min_size=1, max_size=24)
TOLD = {
    "x-acs-version": "2018-05-09",
    "x-acs-region-id": "cn-shanghai",
    "Content-Type": "application/json",
    "Date": "Tue, 17 Jan 2017 10:16:36 GMT",
    "Accept": "application/json",
    "x-acs-signature-method": "HMAC-SHA1",
    "x-acs-signature-version": "1.0",
}
# What aliyun-python-sdk-core 2.16.1 makes of requests of aliyun-python-sdk-green 3.6.6, for region cn-shanghai.
MADE_BY_THE_SDK = [
    pytest.param(
        "/green/sface/person/add",
        b'{"personId":"alice-1","groupIds":["staff"]}',
        {"x-acs-action": "AddPerson", "x-acs-signature-nonce": "n-1"},
        "NY2TOtYY8RSlkDbBxek4HA==",
        "2oSGJM33EZyg8GolVWEM6/4jSU4=",
        id="add-person",
    ),
    pytest.param(
        "/green/sface/person",
        '{"personId":"张三"}'.encode(),
        {"x-acs-action": "GetPerson", "x-acs-signature-nonce": "n-2"},
        "nb1p7aGWBAgSb0pKaM8cTg==",
        "/L92zxZnL987/WBXu5ioR55s6YM=",
        id="body-beyond-ascii",
    ),
    pytest.param(
        "/green/sface/groups",
        b"",
        {"x-acs-action": "GetGroups"},
        "",
        "iMllDEGG0PWmfMsOjK/nRfxa+5Q=",
        id="no-body-no-nonce",
    ),
]


def vectors() -> list[dict[str, Any]]:
    if not VECTORS.exists():
        return []
    found: list[dict[str, Any]] = json.loads(VECTORS.read_text("utf-8"))["aliyun_roa_v1_hmac_sha1"]
    return found


def test_the_signature_vectors_are_at_hand() -> None:
    if not VECTORS.exists() and not os.environ.get("CI"):
        pytest.skip("signature-vectors.json is not beside this checkout; it is required in CI only")

    assert len(vectors()) >= 4


@pytest.mark.parametrize("vector", vectors(), ids=lambda vector: vector["name"])
def test_a_published_vector_is_signed_to_the_letter(vector: dict[str, Any]) -> None:
    told, expected = vector["input"], vector["expected"]
    path, _, asked = told["url_path_and_query"].partition("?")
    body = told["body_utf8"].encode()
    headers = dict(told["headers"])
    if body:
        headers["Content-MD5"] = content_md5(body)

    text = string_to_sign(told["method"], path, dict(parse_qsl(asked)), headers)

    assert headers.get("Content-MD5") == expected["content_md5"]
    assert text == expected["string_to_sign"]
    assert signature(told["access_key_secret"], text) == expected["signature"]


@pytest.mark.parametrize(("path", "body", "more", "md5", "signed"), MADE_BY_THE_SDK)
def test_a_request_of_the_vendors_client_is_signed_to_the_letter(
    path: str, body: bytes, more: dict[str, str], md5: str, signed: str
) -> None:
    headers = {**TOLD, **more, **({"Content-MD5": content_md5(body)} if body else {})}

    text = string_to_sign("POST", path, {"RegionId": "cn-shanghai"}, headers)

    assert headers.get("Content-MD5", "") == md5
    assert signature("testAccessKeySecret", text) == signed


@given(
    path=WORDS.map("/green/sface/".__add__),
    query=st.dictionaries(WORDS, WORDS | st.just('{"userId":"1 & 2"}'), max_size=4),
    told=st.dictionaries(WORDS.map(lambda word: f"x-acs-{word.lower()}"), WORDS, max_size=4),
    secret=WORDS,
    body=st.text(max_size=40),
)
def test_whatever_is_signed_both_of_the_vendors_signers_agree(
    path: str, query: dict[str, str], told: dict[str, str], secret: str, body: str
) -> None:
    headers = {**TOLD, **told, "Content-MD5": content_md5(body.encode())}
    request = TeaRequest()
    request.method, request.pathname, request.query = "POST", path, query
    request.headers = {name.lower(): value for name, value in headers.items()}

    text = string_to_sign("POST", path, query, headers)

    assert headers["Content-MD5"] == md5_sum(body)
    assert text == roa_signature_composer.compose_string_to_sign("POST", dict(query), path, headers)
    assert text == OpenApiUtil.get_string_to_sign(request)
    assert signature(secret, text) == sha_hmac1.get_sign_string(text, secret=secret)
    assert signature(secret, text) == OpenApiUtil.get_roasignature(text, secret)


def test_the_headers_are_all_that_the_vendor_requires_and_signed_as_they_are_sent() -> None:
    body = b'{"personId":"alice-1"}'
    required = {"Accept", "Content-Type", "Content-MD5", "Date", "x-acs-version", "x-acs-signature-nonce"}
    required |= {"x-acs-signature-version", "x-acs-signature-method", "Authorization"}

    made = signed_headers("some-key", "some-secret", "/green/sface/person", {"RegionId": "r"}, body)

    assert set(made) == required
    lines = ["POST", *(made[name] for name in ("Accept", "Content-MD5", "Content-Type", "Date"))]
    lines += [f"{name}:{made[name]}" for name in sorted(made) if name.startswith("x-acs-")]
    text = "\n".join([*lines, "/green/sface/person?RegionId=r"])
    mac = base64.b64encode(hmac.new(b"some-secret", text.encode(), hashlib.sha1).digest()).decode()
    assert made["Authorization"] == f"acs some-key:{mac}"
    assert abs(parsedate_to_datetime(made["Date"]) - datetime.now(UTC)) < timedelta(minutes=1)


def test_no_two_requests_share_a_nonce() -> None:
    made = [signed_headers("k", "s", "/green/sface/groups", {}, b"") for _ in range(100)]

    assert len({one["x-acs-signature-nonce"] for one in made}) == 100
    assert not any("Content-MD5" in one for one in made)
