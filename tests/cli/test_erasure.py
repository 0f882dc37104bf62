"""Erasures and receipts on the command line; whoever verifies one needs nothing but the public key."""

import base64
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from syncsvc.cli.commands import _desk
from syncsvc.flow.receipts import issue, issue_pending, issue_retirement
from syncsvc.flow.signing import Signer
from syncsvc.model.people import LibraryName
from syncsvc.model.receipt_form import LONGEST
from tests.cli.running import Run
from tests.flow.receipt_ground import ALICE, ERASURE, SEED, SIGNER, SUBJECT, found_out, open_erasure

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
BOB = "b" * 32
KEY = SIGNER.public_key.base64


@pytest.fixture
def keyed(configuration: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration with a receipt key."""
    monkeypatch.setenv("RECEIPT_KEY", base64.b64encode(SEED).decode())
    text = configuration.read_text().replace("[service]", '[service]\nreceipt_key = "env:RECEIPT_KEY"')
    configuration.write_text(text)
    return configuration


@pytest.fixture
def departed(run: Run) -> None:
    """Alice is verified at the gate; of Bob, whose erasure is overdue, the yard has only accepted the deletion."""
    assert run("db", "upgrade").code == 0
    assert run("status").code == 0
    store, now = _desk.store, datetime.now(UTC)
    open_erasure(store, NOW, state="verified", verified_at=NOW + timedelta(hours=1))
    found_out(store, "gate", verdict="verified_absent", method="read", checked_at=NOW, accepted_at=NOW)
    open_erasure(store, now - timedelta(hours=80), BOB, "bob", "6" * 32)
    found_out(store, "yard", BOB, verdict="vendor_accepted", accepted_at=now)
    found_out(store, "gate", BOB, verdict="verified_absent", checked_at=now)


def issued(*pairs: tuple[str, str]) -> None:
    for erasure, kind in pairs:
        with _desk.store.transaction() as tx:
            issue(tx, _desk.house, erasure, kind, NOW)


@pytest.fixture
def receipts(keyed: Path, departed: None, run: Run, tmp_path: Path) -> Path:
    """A chain of three, exported."""
    assert run("status").code == 0
    issued((ERASURE, "verified"), (BOB, "overdue"), (ERASURE, "confirmed"))
    file = tmp_path / "all.jsonl"
    assert run("erasure", "export", "-o", str(file)).out == f"3 receipts in {file}\n"
    return file


@pytest.mark.usefixtures("departed")
def test_erasures_are_listed_with_what_is_known_where(run: Run) -> None:
    shown = run("erasure", "list").out

    assert f"{BOB}  bob         overdue" in shown
    assert "gate verified_absent, yard vendor_accepted" in shown
    assert f"{ERASURE}  {ALICE}  verified" in shown

    def ids(*words: str) -> list[str]:
        return [one["id"] for one in json.loads(run("erasure", "list", "--json", *words).out)]

    assert ids() == [BOB, ERASURE]
    assert ids("--state", "overdue") == ids("--state", "open") == ids("--person", "bob") == [BOB]
    assert ids("--state", "verified") == ids("--person", SUBJECT) == [ERASURE]
    assert ids("--state", "confirmed") == ids("--person", "carol") == []
    assert "these are the newest 1; --limit shows more" in run("erasure", "list", "--limit", "1").out
    assert run("erasure", "list", "--person", "carol").out == "there is no such erasure\n"
    assert run("erasure", "list", "--state", "gone").code == 2


@pytest.mark.usefixtures("departed", "keyed")
def test_without_a_receipt_it_is_said_what_is_open_and_where(run: Run) -> None:
    ended = run("erasure", "receipt", "bob")

    assert ended.code == 1
    assert "there is no receipt yet; still open are: yard: vendor_accepted\n" in ended.err
    unknown = run("erasure", "receipt", "carol")
    assert (unknown.code, "nobody with that id has departed" in unknown.err) == (1, True)


def test_a_receipt_is_found_by_erasure_person_and_kind(run: Run, receipts: Path, tmp_path: Path) -> None:
    lines = receipts.read_text().splitlines(keepends=True)

    assert run("erasure", "receipt", ERASURE).out == run("erasure", "receipt", ALICE).out == lines[2]
    assert run("erasure", "receipt", ALICE, "--kind", "verified").out == lines[0]
    assert "there is no receipt of the kind confirmed; there is: overdue" in (
        run("erasure", "receipt", "bob", "--kind", "confirmed").err
    )
    file = tmp_path / "bob.json"
    assert run("erasure", "receipt", "bob", "-o", str(file)).out == ""
    assert file.read_text() == lines[1]
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith(".")] == []
    nowhere = run("erasure", "receipt", "bob", "-o", str(tmp_path / "nowhere" / "x"))
    assert (nowhere.code, "cannot be written (No such file or directory)" in nowhere.err) == (1, True)


def test_the_receipt_of_a_retired_library_is_asked_for_by_its_name(run: Run, receipts: Path, tmp_path: Path) -> None:
    assert run("status").code == 0
    with _desk.store.transaction() as tx:
        issue_retirement(tx, _desk.house, LibraryName("old-gate"), {"people": 3, "left": ["<nobody>"]}, NOW)

    told = run("erasure", "receipt", "--library", "old-gate").out
    page = run("erasure", "receipt", "--library", "old-gate", "--html").out

    (tmp_path / "retired.json").write_text(told)
    shown = run("erasure", "verify", str(tmp_path / "retired.json"))
    assert (shown.code, "receipt 4: old-gate is retired; as of 2026-03-02T08:00:00Z" in shown.out) == (0, True)
    assert "&lt;nobody&gt;" in page
    assert (
        "there is no receipt of a library 'south' that was retired"
        in run("erasure", "receipt", "--library", "south").err
    )
    for wrong in ((), ("bob", "--library", "old-gate"), ("--library", "old-gate", "--kind", "verified")):
        assert run("erasure", "receipt", *wrong).code == 2


def test_a_page_of_it_runs_nothing_and_needs_nothing(run: Run, receipts: Path) -> None:
    page = run("erasure", "receipt", "bob", "--html").out

    assert page.startswith("<!doctype html>")
    assert "Not verified: the vendor accepted the request" in page
    assert "1 of 2" in page
    assert not [word for word in ("<script", "http://", "https://", "bob", "src=", "deleted<") if word in page]


def test_one_receipt_is_shown_with_what_it_says(run: Run, receipts: Path, tmp_path: Path) -> None:
    run("erasure", "receipt", "bob", "-o", str(tmp_path / "bob.json"))

    ended = run("erasure", "verify", str(tmp_path / "bob.json"))

    assert ended.code == 0
    assert f"receipt 2, overdue: erasure of {'6' * 32}" in ended.out
    assert "yard     vendor_accepted" in ended.out
    assert f"valid: receipt 2, signed with {KEY} (the public part of service.receipt_key)" in ended.out


def test_the_public_key_alone_is_enough(receipts: Path, tmp_path: Path) -> None:
    """A process of its own, in a folder without a configuration."""
    folder = tmp_path / "auditor"
    folder.mkdir()
    (folder / "key.pem").write_text(SIGNER.public_key.pem)

    def verify(*words: str) -> "subprocess.CompletedProcess[str]":
        code = "from syncsvc.cli import main; main()"
        command = [sys.executable, "-W", "error", "-c", code, "erasure", "verify", str(receipts), *words]
        return subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True, env={})

    for key in (KEY, "key.pem"):
        ended = verify("--public-key", key)
        assert (ended.returncode, ended.stderr) == (0, "")
        assert "valid: receipts 1 to 3, no gap" in ended.stdout
    ended = verify()
    assert ended.returncode == 1
    assert "--public-key is needed" in ended.stderr
    ended = verify("--public-key", Signer(bytes(32)).public_key.base64)
    assert ended.returncode == 1
    assert "line 1: it names a public key that is not the one you trust" in ended.stderr
    assert "it is no public key" in verify("--public-key", "nonsense").stderr
    assert list(folder.iterdir()) == [folder / "key.pem"]


def test_a_chain_that_was_tampered_with_is_found_out(run: Run, receipts: Path, tmp_path: Path) -> None:
    lines = receipts.read_bytes().splitlines(keepends=True)
    head = json.loads(lines[2])["hash"]

    def verify(*contents: bytes, words: tuple[str, ...] = ()) -> tuple[int, str]:
        files = []
        for number, content in enumerate(contents):
            files.append(tmp_path / f"part-{number}")
            files[-1].write_bytes(content)
        ended = run("erasure", "verify", *map(str, files), *words)
        return ended.code, ended.err + ended.out

    def refused(words: str, *contents: bytes, options: tuple[str, ...] = ()) -> None:
        code, said = verify(*contents, words=options)
        assert code == 1, said
        assert words in said
        assert "unexpected" not in said

    assert verify(lines[2], lines[0], lines[1])[0] == 0
    code, said = verify(*lines, words=("--head", head))
    assert (code, "the published head is among them" in said) == (0, True)
    refused("receipts at the end are missing", lines[0] + lines[1], options=("--head", head))
    refused("64 hexadecimal digits", lines[0], options=("--head", "abc"))
    refused("line 2: receipt 2 is missing between 1 and 3", lines[0] + lines[2])
    refused("receipt 2 is missing between 1 and 3", lines[2], lines[0])
    refused("line 2: receipt 1 comes after receipt 2", lines[1] + lines[0])
    refused("is empty", b"")
    refused("line 1: it is no receipt", b"\xff\x00garbage")
    refused("nested too deeply", b"[" * 50_000)
    refused("longer than", b"[" * (LONGEST + 5))
    refused("its hash", lines[1].replace(b"vendor_accepted", b"verified_absent"))
    refused("cannot be read (No such file or directory)", lines[0], options=(str(tmp_path / "nowhere"),))
    refused("cannot be read (Is a directory)", lines[0], options=(str(tmp_path),))


def test_after_a_key_was_replaced_both_are_trusted_by_name(run: Run, receipts: Path, tmp_path: Path) -> None:
    new = Signer(bytes(32))
    assert run("status").code == 0
    with _desk.store.transaction() as tx:
        from dataclasses import replace  # noqa: PLC0415

        issue(tx, replace(_desk.house, signer=new), BOB, "verified", NOW)
    run("erasure", "export", "-o", str(tmp_path))
    file = str(tmp_path / "receipts.jsonl")

    assert "line 4: it names a public key that is not the one" in run("erasure", "verify", file).err
    both = run("erasure", "verify", file, "--public-key", KEY, "--public-key", new.public_key.base64, "--json")
    assert json.loads(both.out)["keys"] == [KEY, new.public_key.base64]


@pytest.mark.usefixtures("departed")
def test_receipts_wait_for_a_key_and_check_says_so(run: Run, keyed: Path) -> None:
    with_key = keyed.read_text()
    keyed.write_text(with_key.replace('receipt_key = "env:RECEIPT_KEY"', ""))

    def found() -> list[str]:
        return next(
            [one["state"], one["words"]] for one in json.loads(run("check", "--json").out) if one["what"] == "receipts"
        )

    assert found()[0] == "ok"
    assert "receipts of erasures will wait" in found()[1]
    assert run("erasure", "public-key").code == 1
    issued((ERASURE, "verified"))
    assert found() == ["failed", "1 receipt waits to be signed: set service.receipt_key; `syncsvc keygen` prints one"]
    assert "it waits for service.receipt_key" in run("erasure", "receipt", ALICE).err
    assert run("erasure", "export").out == ""

    keyed.write_text(with_key)
    assert run("status").code == 0
    assert issue_pending(_desk.house) == 1
    assert found() == ["ok", f"1 in the chain, signed with the key whose public part is {KEY}"]
    assert run("erasure", "receipt", ALICE).code == 0


def test_the_public_key_is_printed_for_auditors(run: Run, keyed: Path) -> None:
    assert run("erasure", "public-key").out == f"{KEY}\n"
    assert run("erasure", "public-key", "--pem").out == SIGNER.public_key.pem
    assert json.loads(run("erasure", "public-key", "--json").out) == {"public_key": KEY, "pem": SIGNER.public_key.pem}


def test_keygen_says_the_public_part_too(run: Run) -> None:
    told = dict(line.split("=", 1) for line in run("keygen").out.splitlines() if not line.startswith("#"))
    comment = run("keygen").out.splitlines()[-1]

    assert set(told) == {"SYNCSVC_PHOTO_KEY", "SYNCSVC_RECEIPT_KEY"}
    assert comment.startswith("# for auditors, the public part of the receipt key: ")
