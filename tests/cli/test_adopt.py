"""`library adopt` and `person explain` from end to end, against a practice room."""

import csv
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from syncsvc.sandbox.base import Limits, Sandbox
from syncsvc.sandbox.serve import running, sandbox_class
from tests.cli.conftest import CONFIGURATION
from tests.cli.running import Run
from tests.vendors.photos import draw


@pytest.fixture
def room(run: Run, configuration: Path, tmp_path: Path, embedded_redis: None) -> Iterator[Sandbox]:
    """alice wants one face and bob two, and the library was told of neither."""
    opened = sandbox_class("sophon")(limits=Limits(enabled=False))
    for number in range(3):
        (tmp_path / f"{number}.jpg").write_bytes(draw(number).content)
    roster = tmp_path / "people.csv"
    roster.write_text("id,face,photo\nalice,left,0.jpg\nbob,left,1.jpg\nbob,right,2.jpg\n")
    with running(opened) as (url,):
        configuration.write_text(CONFIGURATION.format(base_url=url))
        assert run("db", "upgrade").code == 0
        imported = run("roster", "import", str(roster))
        assert imported.code == 0, imported.out
        with closing(sqlite3.connect(tmp_path / "var" / "syncsvc.db")) as database, database:
            database.execute("DELETE FROM deliveries")
        yield opened


def test_a_library_is_adopted_and_the_rest_is_done_as_a_file_says(run: Run, room: Sandbox, tmp_path: Path) -> None:
    review = tmp_path / "review.csv"
    room.plant("alice")
    theirs = room.plant("bob").vendor_face_id

    ended = run("library", "adopt", "north-gate", "-o", str(review), "--json")

    assert ended.code == 0, ended.err
    told = json.loads(ended.out)
    assert (told["listed"], told["trusted"], told["review"]) == (2, 1, 1)
    with review.open(encoding="utf-8-sig", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["vendor_face_id"], row["person"], row["decision"]) == (theirs, "bob", "leave")
    refused = run("library", "adopt", "north-gate", "-o", str(review))
    assert refused.code == 1
    assert "may hold decisions" in refused.err

    row |= {"decision": "bind", "face": "left"}
    with review.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, row.keys())
        writer.writeheader()
        writer.writerow(row)
    applied = run("library", "adopt", "north-gate", "--apply", str(review))

    assert applied.code == 0, applied.err
    assert "1 bound, 0 to be removed" in applied.out
    shown = json.loads(run("person", "show", "bob", "--json").out)
    assert [one["vendor_face_id"] for one in shown["libraries"][0]["faces"]] == [theirs]


def test_options_that_do_not_go_together_are_wrong_usage(run: Run, tmp_path: Path) -> None:
    assert run("library", "adopt", "north-gate", "--approve-removals", "3").code == 2
    file = tmp_path / "review.csv"
    file.write_text("x")
    assert run("library", "adopt", "north-gate", "--apply", str(file), "--fill").code == 2


def test_a_person_is_explained_in_words_and_as_json(run: Run, room: Sandbox) -> None:
    run("library", "fill", "north-gate")

    words = run("person", "explain", "alice")
    told = json.loads(run("person", "explain", "alice", "--library", "north-gate", "--look", "--json").out)

    assert words.code == 0, words.err
    assert "1. add face left: it is wanted, and the library does not hold it" in words.out
    assert "in the way: it is due, and waits for its turn" in words.out
    (library,) = told["libraries"]
    assert library["state"] == "due"
    assert library["seen"] is not None
    assert run("person", "explain", "carol").code == 1
