"""Receipts: signed, chained without a gap whoever writes at once, and kept where there is no key yet."""

import base64
import hashlib
import json
import logging
import shutil
import subprocess
import sys
import threading
import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from syncsvc.flow.receipt_files import check_files
from syncsvc.flow.receipts import issue, issue_pending, issue_retirement
from syncsvc.flow.signing import Signer
from syncsvc.model.errors import NotFoundError
from syncsvc.model.people import LibraryName
from syncsvc.model.receipt_form import BEGINNING, Envelope, ReceiptError, digest
from syncsvc.model.receipts import chained
from syncsvc.store import Store
from tests.conftest import MovableClock
from tests.flow.receipt_ground import ALICE, ERASURE, SIGNER, SUBJECT, chain, found_out, house_of, open_erasure, say

GATE = LibraryName("gate")


@pytest.fixture
def opened(store: Store, clock: MovableClock) -> str:
    """Alice's erasure: the gate was read, the yard has only said yes, the dock cannot be read."""
    now = clock()
    with store.transaction() as tx:
        tx.libraries.declare({GATE: ("huawei", "sync"), LibraryName("yard"): ("finauth", "sync")}, now)
    open_erasure(store, now, state="verified", verified_at=now, second_look_at=now + timedelta(hours=24))
    asked = [{"operation": "delete", "request_id": "req-1", "at": now.isoformat()}]
    found_out(
        store,
        "gate",
        verdict="verified_absent",
        method="every face was asked for by its id",
        faces=3,
        accepted_at=now,
        checked_at=now + timedelta(minutes=5),
        looks=2,
        came_back=1,
        requests=asked,
    )
    found_out(store, "yard", verdict="vendor_accepted", accepted_at=now)
    found_out(store, "dock", verdict="unverifiable", reason=f"nobody may read it\n(asked for {ALICE.upper()})")
    return ERASURE


def test_a_receipt_says_what_is_known_library_by_library(opened: str, store: Store, clock: MovableClock) -> None:
    receipt = say(house_of(store, clock))

    libraries = {one["name"]: one for one in receipt.body["libraries"]}
    assert list(libraries) == ["dock", "gate", "yard"]
    assert libraries["gate"] == {
        "accepted_at": "2026-03-02T08:00:00Z",
        "came_back": 1,
        "checked_at": "2026-03-02T08:05:00Z",
        "faces": 3,
        "looks": 2,
        "method": "every face was asked for by its id",
        "name": "gate",
        "reason": None,
        "requests": [{"at": "2026-03-02T08:00:00Z", "operation": "delete", "request_id": "req-1"}],
        "vendor": "huawei",
        "verdict": "verified_absent",
    }
    assert (libraries["yard"]["verdict"], libraries["yard"]["checked_at"]) == ("vendor_accepted", None)
    body = {key: value for key, value in receipt.body.items() if key != "libraries"}
    assert body.pop("software").startswith("syncsvc ")
    assert body == {
        "as_of": "2026-03-02T08:00:00Z",
        "due_at": "2026-03-05T08:00:00Z",
        "erasure": ERASURE,
        "format": "syncsvc-receipt/1",
        "issued_at": "2026-03-02T08:00:00Z",
        "kind": "verified",
        "number": 1,
        "opened_at": "2026-03-02T08:00:00Z",
        "previous": BEGINNING,
        "second_look": {"done_at": None, "due_at": "2026-03-03T08:00:00Z"},
        "subject": SUBJECT,
        "verified_at": "2026-03-02T08:00:00Z",
    }


def test_nobody_is_named_in_it(opened: str, store: Store, clock: MovableClock) -> None:
    receipt = say(house_of(store, clock))

    assert ALICE not in receipt.line().decode().lower()
    dock = receipt.body["libraries"][0]
    assert dock["reason"] == "nobody may read it (asked for [person])"


def test_each_names_the_one_before_and_is_signed_with_the_key(opened: str, store: Store, clock: MovableClock) -> None:
    house = house_of(store, clock)
    first, second = say(house), say(house, "confirmed")

    assert [one.number for one in (first, second)] == [1, 2]
    assert second.previous == first.hash
    for one in (first, second):
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(one.public_key))
        told = json.dumps(one.body, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
        assert hashlib.sha256(told).hexdigest() == one.hash
        key.verify(base64.b64decode(one.signature), told)
        with pytest.raises(InvalidSignature):
            key.verify(base64.b64decode(one.signature), told + b" ")


@pytest.mark.skipif(not (shutil.which("openssl") and shutil.which("jq")), reason="needs openssl and jq")
def test_openssl_and_jq_can_check_it_without_us(opened: str, store: Store, clock: MovableClock, tmp_path: Path) -> None:
    (tmp_path / "receipt.json").write_bytes(say(house_of(store, clock)).line())
    (tmp_path / "key.pem").write_text(SIGNER.public_key.pem)
    commands = (
        "jq -cSj .receipt receipt.json > body && jq -r .signature receipt.json | base64 -d > signature"
        " && openssl pkeyutl -verify -pubin -inkey key.pem -rawin -in body -sigfile signature"
    )

    def run() -> int:
        return subprocess.run(["sh", "-c", commands], cwd=tmp_path, check=False, capture_output=True).returncode

    assert run() == 0
    told = (tmp_path / "receipt.json").read_text()
    (tmp_path / "receipt.json").write_text(told.replace("vendor_accepted", "verified_absent"))
    assert run() != 0


def test_what_is_rolled_back_leaves_no_gap_and_no_line_in_the_log(
    opened: str, store: Store, clock: MovableClock, capsys: pytest.CaptureFixture[str]
) -> None:
    house = house_of(store, clock)
    with pytest.raises(ZeroDivisionError), store.transaction() as tx:  # noqa: PT012
        issue(tx, house, opened, "verified", clock())
        raise ZeroDivisionError

    assert chain(house) == []
    assert "receipt issued" not in capsys.readouterr().out
    assert say(house).number == 1


def test_the_head_is_told_to_the_log_once_it_is_written(
    opened: str, store: Store, clock: MovableClock, capsys: pytest.CaptureFixture[str]
) -> None:
    receipt = say(house_of(store, clock))

    told = [line for line in capsys.readouterr().out.splitlines() if "receipt issued" in line]
    assert len(told) == 1
    assert receipt.hash in told[0]


def test_without_a_key_it_waits_and_says_later_what_was_so_then(opened: str, store: Store, clock: MovableClock) -> None:
    keyless = house_of(store, clock, signer=None)
    with store.transaction() as tx:
        issue(tx, keyless, opened, "verified", clock())
        issue_retirement(tx, keyless, GATE, {"people": 3}, clock())
    assert (chain(keyless), issue_pending(keyless)) == ([], 0)
    with store.transaction() as tx:
        tx._connection.exec_driver_sql("UPDATE erasure_libraries SET verdict = 'unreachable'")
    clock.advance(86400)

    house = house_of(store, clock)
    done = issue_pending(house), issue_pending(house)

    assert done == (2, 0)
    first, second = chain(house)
    assert (first.body["as_of"], first.body["issued_at"]) == ("2026-03-02T08:00:00Z", "2026-03-03T08:00:00Z")
    assert first.body["libraries"][1]["verdict"] == "verified_absent"
    assert (second.kind, second.previous, second.body["retirement"]) == ("retired", first.hash, {"people": 3})


def test_what_is_said_once_there_is_a_key_comes_after_what_waited_for_it(
    opened: str, store: Store, clock: MovableClock
) -> None:
    with store.transaction() as tx:
        issue(tx, house_of(store, clock, signer=None), opened, "verified", clock())
    house = house_of(store, clock)
    clock.advance(86400)
    with store.transaction() as tx:
        issue(tx, house, opened, "confirmed", clock())

    issue_pending(house)

    assert [one.kind for one in chain(house)] == ["verified", "confirmed"]
    with store.reading() as tx:
        newest = tx.receipts.newest(opened)
    assert newest is not None
    assert newest.kind == "confirmed"


def test_a_retirement_stands_in_the_same_chain(opened: str, store: Store, clock: MovableClock) -> None:
    house = house_of(store, clock)
    first = say(house)
    with store.transaction() as tx:
        issue_retirement(tx, house, GATE, {"at": clock(), "left": [{"people": 2}], "by": "a\x00b"}, clock())

    retired = chain(house)[1]
    assert (retired.number, retired.previous, retired.body["library"]) == (2, first.hash, "gate")
    assert retired.body["retirement"] == {"at": "2026-03-02T08:00:00Z", "left": [{"people": 2}], "by": "a b"}
    with store.reading() as tx:
        assert tx.receipts.of_library("gate") == retired


@pytest.mark.parametrize("signer", [SIGNER, None], ids=["key", "no key"])
def test_what_has_no_one_form_is_refused_at_once(signer: Signer | None, store: Store, clock: MovableClock) -> None:
    house = house_of(store, clock, signer)

    with pytest.raises(ReceiptError, match="float"), store.transaction() as tx:
        issue_retirement(tx, house, GATE, {"share": 0.5}, clock())


def test_an_erasure_that_nobody_opened_has_no_receipt(store: Store, clock: MovableClock) -> None:
    with pytest.raises(NotFoundError), store.transaction() as tx:
        issue(tx, house_of(store, clock), "f" * 32, "verified", clock())


@pytest.mark.timeout(60)
def test_two_processes_at_once_make_one_chain(store: Store, clock: MovableClock) -> None:
    """Each has a store of its own, as processes do; half of them first sign what had waited."""
    ids = [f"{number:032x}" for number in range(12)]
    for number, one in enumerate(ids):
        open_erasure(store, clock(), one, f"person-{number}")
    for one in ids[:4]:
        with store.transaction() as tx:
            issue(tx, house_of(store, clock, None), one, "overdue", clock())
    stores = [Store(store.url, store._vault) for _ in range(2)]
    houses = [house_of(one, clock) for one in stores]
    ready = threading.Barrier(2)

    def work(mine: int) -> None:
        ready.wait()
        issue_pending(houses[mine])
        for one in ids[mine::2]:
            with stores[mine].transaction() as tx:
                issue(tx, houses[mine], one, "verified", clock())
                issue(tx, houses[mine], one, "confirmed", clock())

    threads = [threading.Thread(target=work, args=(mine,)) for mine in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for opened_twice in stores:
        opened_twice.close()

    whole = chain(house_of(store, clock))
    assert [one.number for one in whole] == list(range(1, 29))
    assert [one.previous for one in whole] == [BEGINNING, *(one.hash for one in whole[:-1])]


def test_a_new_key_goes_on_with_the_chain_and_old_receipts_name_the_old_one(
    opened: str, store: Store, clock: MovableClock
) -> None:
    house = house_of(store, clock)
    first = say(house)
    second = say(replace(house, signer=Signer(bytes(32))), "confirmed")

    assert second.previous == first.hash
    assert [one.public_key for one in chain(house)] == [first.public_key, second.public_key]
    assert first.public_key != second.public_key


def test_a_long_correspondence_is_cut_to_its_newest_and_says_so(store: Store, clock: MovableClock) -> None:
    open_erasure(store, clock())
    times = [(clock() + timedelta(minutes=number)).isoformat() for number in range(110)]
    found_out(
        store, "gate", requests=[{"operation": "delete", "request_id": f"r{at}", "at": at} for at in reversed(times)]
    )

    told = say(house_of(store, clock)).body["libraries"][0]

    assert len(told["requests"]) == 100
    assert datetime.fromisoformat(told["requests"][-1]["at"]) == datetime.fromisoformat(times[-1])


def test_the_key_is_shown_to_nobody() -> None:
    assert logging.Formatter().format(logging.makeLogRecord({"msg": SIGNER})) == repr(SIGNER)
    assert base64.b64encode(bytes(range(32))).decode() not in repr(SIGNER)


def test_the_receipt_in_the_documentation_verifies_by_what_the_documentation_says(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "erasure.md").read_text("utf-8")
    line, script = (page.split(f"```{kind}\n")[1].split("```")[0] for kind in ("json", "python"))
    (tmp_path / "receipts.jsonl").write_text(line, "utf-8")
    (tmp_path / "verify.py").write_text(script, "utf-8")

    def run() -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "verify.py", SIGNER.public_key.base64, "receipts.jsonl"]
        return subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)

    found = check_files([tmp_path / "receipts.jsonl"], [SIGNER.public_key])
    assert run().stdout == f"valid; the head is {found.head}\n"
    (tmp_path / "receipts.jsonl").write_text(line.replace("unverifiable", "verified_absent"), "utf-8")
    assert "InvalidSignature" in run().stderr


def test_a_long_export_is_checked_in_little_memory(tmp_path: Path) -> None:
    """A chain of 3,000, of which never more than a few are in memory at once."""
    before = BEGINNING
    facts = {"as_of": "now", "kind": "retired", "library": "gate", "retirement": {"words": "x" * 2000}}
    with (tmp_path / "all.jsonl").open("wb") as file:
        for number in range(1, 3001):
            body = chained(
                facts, number=number, previous=before, issued_at=datetime(2026, 3, 2, tzinfo=UTC), software="s"
            )
            before = digest(body)
            file.write(Envelope(json.loads(body), before, SIGNER.sign(body), SIGNER.public_key.base64).line())
    tracemalloc.start()

    found = check_files([tmp_path / "all.jsonl"], [SIGNER.public_key], head=before)
    seen = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert (found.first, found.last, found.published) == (1, 3000, True)
    assert seen < 2_000_000 < (tmp_path / "all.jsonl").stat().st_size
