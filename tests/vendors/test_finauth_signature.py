"""The form field `sign`: the published vectors, other derivations, and a verifier that knows nothing of ours."""

import base64
import hashlib
import hmac
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncsvc.vendors.finauth import SIGN_SECONDS, sign

VECTORS = Path(__file__).parents[2].parent / "shared" / "vendors" / "signature-vectors.json"
KEYS = st.text(st.characters(codec="ascii", categories=("L", "N"), include_characters="-_"), min_size=1, max_size=40)


def vectors() -> list[dict[str, Any]]:
    if not VECTORS.exists():
        return []
    found: list[dict[str, Any]] = json.loads(VECTORS.read_text("utf-8"))["finauth_hmac_sha1"]
    return found


def test_the_signature_vectors_are_at_hand() -> None:
    if not VECTORS.exists() and not os.environ.get("CI"):
        pytest.skip("signature-vectors.json is not beside this checkout; it is required in CI only")

    assert len(vectors()) >= 2


@pytest.mark.parametrize("vector", vectors(), ids=lambda vector: vector["name"])
def test_a_published_vector_is_signed_to_the_letter(vector: dict[str, Any]) -> None:
    given_ = vector["input"]

    made = sign(
        given_["api_key"],
        given_["api_secret"],
        now=given_["current_time"],
        expires=given_["expire_time"],
        random=given_["random"],
    )

    assert made == vector["expected"]["sign"]


@settings(deadline=None, derandomize=True, database=None)
@given(key=KEYS, secret=KEYS, now=st.integers(1, 2**33), random=st.integers(0, 10**10 - 1))
def test_any_signature_equals_one_derived_from_the_definition_of_hmac(
    key: str, secret: str, now: int, random: int
) -> None:
    raw = f"a={key}&b={now + 7}&c={now}&d={random}".encode()
    padded = secret.encode().ljust(64, b"\0")  # RFC 2104, written out
    inner = hashlib.sha1(bytes(byte ^ 0x36 for byte in padded) + raw).digest()
    outer = hashlib.sha1(bytes(byte ^ 0x5C for byte in padded) + inner).digest()

    made = sign(key, secret, now=now, expires=now + 7, random=str(random))

    assert made == base64.b64encode(outer + raw).decode()


def test_the_openssl_program_derives_the_same_signature() -> None:
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl program on this machine")
    raw = b"a=some-key&b=1700000100&c=1700000000&d=42"
    command = ["openssl", "dgst", "-sha1", "-hmac", "some-secret", "-binary"]
    mac = subprocess.run(command, input=raw, capture_output=True, check=True).stdout

    made = sign("some-key", "some-secret", now=1_700_000_000, expires=1_700_000_100, random="42")

    assert made == base64.b64encode(mac + raw).decode()


def test_a_verifier_can_take_a_fresh_signature_apart() -> None:
    decoded = base64.b64decode(sign("some-key", "some-secret", now=1_700_000_000))

    mac, raw = decoded[:20], decoded[20:]
    parts = dict(part.split("=", 1) for part in raw.decode().split("&"))

    assert hmac.compare_digest(mac, hmac.digest(b"some-secret", raw, "sha1"))
    assert list(parts) == ["a", "b", "c", "d"]
    assert parts["a"] == "some-key"
    assert int(parts["b"]) - int(parts["c"]) == SIGN_SECONDS
    assert parts["d"].isdecimal()
    assert len(parts["d"]) <= 10


def test_two_signatures_of_one_second_differ() -> None:
    made = {sign("some-key", "some-secret", now=1_700_000_000) for _ in range(100)}

    assert len(made) == 100
