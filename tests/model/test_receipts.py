"""The form of receipts, and what is told from them when somebody has been at them."""

import base64
import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncsvc.flow.signing import PublicKey, Signer, check_signature, read_public_key
from syncsvc.model.errors import InputError
from syncsvc.model.people import PersonId
from syncsvc.model.receipt_chain import follow, join, link
from syncsvc.model.receipt_form import BEGINNING, LONGEST, Envelope, Kind, ReceiptError, canonical, digest, parse
from syncsvc.model.receipts import ErasureFacts, LibraryFacts, Request, chained, erasure_facts, retirement_facts

SIGNER, STRANGER = Signer(bytes(range(32))), Signer(bytes(32))
NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc\u00e9"), inner, max_size=3),
    max_leaves=10,
)


def facts(reason: str | None = None, person: str = "alice") -> dict[str, Any]:
    library = LibraryFacts("gate", "huawei", "verified_absent", "read", reason, 2, NOW, NOW, 1, 0)
    library = replace(library, requests=(Request("delete", "req-é-1", NOW),))
    erasure = ErasureFacts("e" * 32, PersonId(person), "5" * 32, NOW, NOW, NOW, None, None, [library])
    return erasure_facts(erasure, Kind.VERIFIED, NOW)


def signed(body: bytes, signer: Signer = SIGNER) -> Envelope:
    return Envelope(json.loads(body), digest(body), signer.sign(body), signer.public_key.base64)


def made(number: int = 1, previous: str = BEGINNING, told: dict[str, Any] | None = None) -> Envelope:
    body = chained(told or facts(), number=number, previous=previous, issued_at=NOW, software="syncsvc 0")
    return signed(body)


def chain(length: int) -> list[Envelope]:
    whole: list[Envelope] = []
    for number in range(1, length + 1):
        whole.append(made(number, whole[-1].hash if whole else BEGINNING))
    return whole


LINE = made().line()


def check(line: bytes) -> PublicKey:
    return check_signature(parse(line), [SIGNER.public_key])


@given(JSON)
def test_what_is_canonical_says_the_same_and_is_so_only_once(value: Any) -> None:
    told = canonical(value)

    assert json.loads(told) == value
    assert canonical(json.loads(told)) == told
    assert b"\\u00" not in told.replace(b"\\u000", b"").replace(b"\\u001", b"")


def test_the_form_is_what_the_documentation_says() -> None:
    assert canonical({"b": [1, None, True], "a": 'é\n"三'}) == '{"a":"é\\n\\"三","b":[1,null,true]}'.encode()


@pytest.mark.parametrize("value", [0.5, {"a": [1, float("nan")]}, {1: "a"}, b"bytes", "\ud800"])
def test_what_has_more_than_one_form_or_none_is_refused(value: Any) -> None:
    with pytest.raises(ReceiptError):
        canonical(value)


def test_an_envelope_reads_back_as_it_was() -> None:
    assert parse(LINE) == made()
    assert parse(LINE.rstrip(b"\n")) == parse(LINE.rstrip(b"\n") + b"\r\n") == made()
    assert check(LINE) == SIGNER.public_key


@given(st.integers(0, len(LINE) - 2), st.integers(1, 255))
def test_any_byte_that_was_changed_is_seen(place: int, mask: int) -> None:
    changed = bytearray(LINE)
    changed[place] ^= mask

    with pytest.raises(ReceiptError):
        check(bytes(changed))


@given(st.integers(0, len(LINE) - 2), st.integers(1, 255), st.booleans())
def test_whoever_mends_the_hash_as_well_still_has_no_signature(place: int, mask: int, mend: bool) -> None:  # noqa: FBT001
    """The body alone is changed, to anything that is JSON still."""
    body = bytearray(canonical(made().body))
    body[place % len(body)] ^= mask
    try:
        told = json.loads(bytes(body))
    except ValueError:
        return
    before = made()
    forged = Envelope(
        told, hashlib.sha256(body).hexdigest() if mend else before.hash, before.signature, before.public_key
    )

    with pytest.raises(ReceiptError):
        check(forged.line())


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_garbage_is_no_receipt(line: bytes) -> None:
    with pytest.raises(ReceiptError):
        parse(line)


@given(st.dictionaries(st.sampled_from(["hash", "public_key", "receipt", "signature"]), JSON, min_size=4))
def test_nor_is_what_has_only_its_outline(told: dict[str, Any]) -> None:
    with pytest.raises(ReceiptError):
        parse(canonical(told))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"", "not JSON"),
        (b"\xef\xbb\xbf" + LINE, "not JSON"),
        (LINE.decode().encode("utf-16"), "not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b"9" * 5000, "not JSON"),
        (b" " * (LONGEST + 1), "longer than"),
        (LINE.replace(b":1,", b":1.0,"), "not whole"),
        (LINE.replace(b":1,", b":NaN,"), "not whole"),
        (LINE.replace(b'"number":1,', b'"number":2,"number":1,'), "same key twice"),
        (LINE.replace(b'"number":1,', b'"number":true,'), "no number"),
        (LINE.replace(b'"number":1,', b'"number":"1",'), "no number"),
        (LINE.replace(b'"number":1,', b'"number":0,'), "no number"),
        (LINE.replace(b'"number":1,', b'"number":2,'), "names as the one before it"),
        (LINE.replace(b'"kind":"verified"', b'"kind":["verified"]'), "kind that nobody knows"),
        (LINE.replace(b'"kind":"verified"', b'"kind":"deleted"'), "kind that nobody knows"),
        (LINE.replace(b"receipt/1", b"receipt/2"), "a newer version"),
        (LINE.replace("é".encode(), b"\\u00e9"), "not in the form"),
        (LINE.replace("é".encode(), "e\u0301".encode()), "its hash"),
        (LINE.replace("é".encode(), b"\\ud800"), "half a character"),
        (LINE.replace(b'","', b'", "'), "not in the form"),
        (LINE.replace(b'"hash"', b'"hush"'), "needed is an object"),
        (b'{"hash":"","public_key":"","receipt":[],"signature":""}', "must be an object"),
    ],
)
def test_what_is_wrong_with_it_is_said(line: bytes, words: str) -> None:
    with pytest.raises(ReceiptError, match=words):
        parse(line)


@pytest.mark.parametrize(
    "change",
    [
        {"libraries": [1]},
        {"libraries": [{}]},
        {"libraries": {}},
        {"second_look": []},
        {"subject": None},
        {"verified_at": 7},
        {"more": 1},
        {"kind": "retired"},
    ],
    ids=str,
)
def test_what_the_key_owner_signed_in_another_shape_is_no_receipt_either(change: dict[str, Any]) -> None:
    body = canonical({**made().body, **change})

    with pytest.raises(ReceiptError):
        parse(signed(body).line())


def test_the_key_in_the_file_is_never_believed() -> None:
    forged = signed(canonical(made().body), STRANGER)

    with pytest.raises(ReceiptError, match="not the one you trust"):
        check(forged.line())
    lying = replace(forged, public_key=SIGNER.public_key.base64)
    with pytest.raises(ReceiptError, match="did not sign this content"):
        check(lying.line())


def test_base64_has_one_form_only() -> None:
    told = made()
    assert told.signature.endswith("==")
    for other in (told.signature[:-3] + chr(ord(told.signature[-3]) + 1) + "==", told.signature[:-2], "", "é"):
        with pytest.raises(ReceiptError, match="signature"):
            check(replace(told, signature=other).line())


@pytest.mark.parametrize(
    "given_as", [SIGNER.public_key.base64, f" {SIGNER.public_key.base64}\n", SIGNER.public_key.pem]
)
def test_a_public_key_is_read_from_base64_and_from_pem(given_as: str) -> None:
    assert read_public_key(given_as) == SIGNER.public_key


@pytest.mark.parametrize(
    "given_as", ["", "x", base64.b64encode(bytes(31)).decode(), "-----BEGIN PUBLIC KEY-----\nAAAA", "三" * 44]
)
def test_what_is_no_public_key_is_said_to_be_none(given_as: str) -> None:
    with pytest.raises(InputError):
        read_public_key(given_as)


@given(st.data())
def test_a_chain_that_lost_a_receipt_within_or_has_them_elsewhere_is_none(data: st.DataObject) -> None:
    whole = [link(one) for one in chain(6)]
    order = data.draw(
        st.permutations(whole)
        | st.sets(st.sampled_from(range(1, 5)), min_size=1).map(
            lambda gone: [one for place, one in enumerate(whole) if place not in gone]
        )
    )
    stretch = None
    if order == whole:
        for one in order:
            stretch = follow(stretch, one)
        assert stretch is not None
        assert stretch.count == 6
        return

    with pytest.raises(ReceiptError):  # noqa: PT012
        for one in order:
            stretch = follow(stretch, one)


def test_stretches_are_joined_in_any_order_and_a_gap_is_named() -> None:
    links = [link(one) for one in chain(6)]
    parts = [follow(None, one) for one in links]

    joined = join(reversed(parts))
    assert joined is not None
    assert (joined.first, joined.last) == (links[0], links[5])
    assert join([]) is None
    with pytest.raises(ReceiptError, match=r"receipt 3 to 4 are missing between 2 and 5"):
        join([*parts[:2], *parts[4:]])
    with pytest.raises(ReceiptError, match=r"receipt 2 is missing between 1 and 3"):
        join([parts[2], parts[0]])
    with pytest.raises(ReceiptError, match="give each once"):
        join([parts[1], parts[1]])
    other = link(made(2, links[0].hash, facts("another")))
    with pytest.raises(ReceiptError, match="forked"):
        join([parts[1], follow(None, other)])
    with pytest.raises(ReceiptError, match="does not follow"):
        join([follow(None, other), parts[2]])


@pytest.mark.parametrize(
    ("person", "reason", "shown"),
    [
        ("alice", "Alice's face, asked for alice", "[person]'s face, asked for [person]"),
        ("7", "77 calls in 72 hours, not 7", "77 calls in 72 hours, not [person]"),
        ("a.b*", "xa.b*x and aXb", "x[person]x and aXb"),
        ("三三", "asked for 三三", "asked for [person]"),
    ],
)
def test_a_person_is_taken_out_of_reasons(person: str, reason: str, shown: str) -> None:
    assert facts(reason, person)["libraries"][0]["reason"] == shown


def test_what_vendors_know_a_person_by_is_taken_out_too() -> None:
    long = "somebody-with-a-long-id@example.com"
    key = "x-" + base64.b32encode(hashlib.sha256(long.encode()).digest()).decode().lower()[:30]

    shown = facts(f"{key} and {hashlib.sha256(long.encode()).hexdigest()[:32]}", long)

    assert shown["libraries"][0]["reason"] == "[person] and [person]"


def test_times_are_utc_to_the_second_wherever_they_come_from() -> None:
    there = datetime(2026, 3, 2, 16, 0, 0, 999_999, tzinfo=timezone(timedelta(hours=8)))

    assert retirement_facts("gate", {"at": there}, NOW)["retirement"] == {"at": "2026-03-02T08:00:00Z"}
