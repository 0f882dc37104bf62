"""Erasures and their receipts over HTTP."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from syncsvc.flow.house import House
from syncsvc.flow.receipt_files import check_files
from syncsvc.flow.receipts import issue, issue_retirement
from syncsvc.model.people import LibraryName
from syncsvc.store import Store
from syncsvc.wiring import Service
from tests.conftest import MovableClock
from tests.flow.receipt_ground import ALICE, ERASURE, SIGNER, SUBJECT, found_out, house_of, open_erasure
from tests.web.api.ground import Script, assert_problem

BOB = "b" * 32
RECEIPT = f"/v1/erasures/{ERASURE}/receipt"


@pytest.fixture
def house(store: Store, clock: MovableClock, service: Service) -> House:
    """Alice, verified at the gate while the yard only says so; an hour later Bob, of whom nothing is known."""
    now = clock()
    open_erasure(store, now, state="verified", verified_at=now)
    found_out(store, "gate", verdict="verified_absent", method='by "id" & <hand>', checked_at=now, accepted_at=now)
    found_out(store, "yard", verdict="vendor_accepted", accepted_at=now)
    open_erasure(store, now + timedelta(hours=1), BOB, "bob", "6" * 32)
    found_out(store, "gate", BOB)
    return house_of(store, clock)


def say(house: House, kind: str = "verified", erasure: str = ERASURE) -> None:
    with house.store.transaction() as tx:
        issue(tx, house, erasure, kind, house.clock())


def test_erasures_are_listed_the_newest_first_and_page_by_page(eyes: Script, house: House) -> None:
    say(house)

    first = eyes.get("/v1/erasures?limit=1").json()
    second = eyes.get(first["next"]).json()

    assert [one["id"] for one in (*first["items"], *second["items"])] == [BOB, ERASURE]
    assert second["next"] is None
    told = second["items"][0]
    assert (told["person"], told["subject"], told["state"]) == (ALICE, SUBJECT, "verified")
    assert [(one["name"], one["vendor"], one["verdict"]) for one in told["libraries"]] == [
        ("gate", "sophon", "verified_absent"),
        ("yard", "finauth", "vendor_accepted"),
    ]
    assert told["receipts"] == [{"number": 1, "kind": "verified"}]
    assert eyes.get(f"/v1/erasures/{ERASURE}").json() == told


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("state=open", [BOB]),
        ("state=verified", [ERASURE]),
        ("state=confirmed", []),
        ("state=overdue", []),
        ("person=bob", [BOB]),
        (f"person={SUBJECT}", [ERASURE]),
        ("person=carol", []),
    ],
)
def test_only_some_are_listed(eyes: Script, house: House, asked: str, found: list[str]) -> None:
    assert [one["id"] for one in eyes.get(f"/v1/erasures?{asked}").json()["items"]] == found


def test_what_is_open_past_its_date_is_overdue(eyes: Script, house: House, clock: MovableClock) -> None:
    clock.advance(80 * 3600)

    assert [one["id"] for one in eyes.get("/v1/erasures?state=overdue").json()["items"]] == [BOB]
    assert eyes.get(f"/v1/erasures/{BOB}").json()["state"] == "overdue"


def test_the_receipt_is_answered_in_the_bytes_that_verify(eyes: Script, house: House, tmp_path: Path) -> None:
    say(house)
    say(house, "confirmed")

    answer = eyes.get(RECEIPT)

    (tmp_path / "receipt.json").write_bytes(answer.content)
    assert check_files([tmp_path / "receipt.json"], [SIGNER.public_key]).last == 2
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert eyes.get(f"{RECEIPT}?kind=verified").json()["receipt"]["number"] == 1
    assert ALICE not in answer.text


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html; charset=utf-8"),
        ("application/json;q=0.5, text/html", "text/html; charset=utf-8"),
        ("*/*", "application/json"),
        ("text/html;q=0.5, application/json", "application/json"),
        ("text/html;q=0", "application/json"),
        ("text/html;q=nonsense", "application/json"),
        (";;,,", "application/json"),
    ],
)
def test_people_get_a_page_and_scripts_get_json(eyes: Script, house: House, accept: str, kind: str) -> None:
    say(house)

    assert eyes.ask("GET", RECEIPT, headers={"Accept": accept}).headers["Content-Type"] == kind


def test_the_page_escapes_everything_and_may_run_nothing(eyes: Script, house: House) -> None:
    say(house)

    answer = eyes.ask("GET", RECEIPT, headers={"Accept": "text/html"})

    assert "by &quot;id&quot; &amp; &lt;hand&gt;" in answer.text
    assert "<hand>" not in answer.text
    assert "<script" not in answer.text
    assert "1 of 2" in answer.text
    assert "Not verified: the vendor accepted the request" in answer.text
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert (answer.headers["Vary"], answer.headers["Cache-Control"]) == ("Accept", "no-store")


def test_while_there_is_no_receipt_it_is_said_what_is_open(eyes: Script, house: House) -> None:
    answer = eyes.get(f"/v1/erasures/{BOB}/receipt")

    assert_problem(answer, 404, "there is no receipt yet; still open are: gate: nothing known yet")


def test_what_waits_for_a_key_says_so(eyes: Script, house: House) -> None:
    say(replace(house, signer=None))

    assert_problem(eyes.get(RECEIPT), 404, "it waits for service.receipt_key")


@pytest.mark.parametrize("erasure", ["f" * 32, "nonsense", "%00", "E" * 32])
def test_an_id_that_nobody_gave_is_not_found(eyes: Script, house: House, erasure: str) -> None:
    for path in (f"/v1/erasures/{erasure}", f"/v1/erasures/{erasure}/receipt"):
        assert_problem(eyes.get(path), 404, "no erasure has such an id")


def test_wrong_questions_are_named(eyes: Script, house: House) -> None:
    assert_problem(eyes.get("/v1/erasures?state=gone"), 422, "state", "state")
    assert_problem(eyes.get("/v1/erasures?cursor=xyz"), 422, "is not one of ours", "cursor")
    assert_problem(eyes.get(f"{RECEIPT}?kind=gone"), 422, "kind", "kind")


def test_the_length_and_the_end_of_the_chain_are_published(
    eyes: Script, house: House, store: Store, clock: MovableClock
) -> None:
    def shown() -> dict[str, str]:
        told = [line for line in eyes.get("/metrics").text.splitlines() if line.startswith("syncsvc_receipt")]
        return {line.rpartition(" ")[0]: line.rpartition(" ")[2] for line in told}

    assert shown() == {
        "syncsvc_receipts": "0.0",
        f'syncsvc_receipt_chain_head_info{{hash="{"0" * 64}"}}': "1.0",
        "syncsvc_receipts_unsigned": "0.0",
    }
    say(house)
    with store.transaction() as tx:
        issue_retirement(tx, replace(house, signer=None), LibraryName("gate"), {}, clock())
    head = json.loads(eyes.get(RECEIPT).content)["hash"]

    assert shown() == {
        "syncsvc_receipts": "1.0",
        f'syncsvc_receipt_chain_head_info{{hash="{head}"}}': "1.0",
        "syncsvc_receipts_unsigned": "1.0",
    }
