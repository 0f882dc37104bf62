"""`library compare` and `library retire` as an operator types them."""

import json
from pathlib import Path

from tests.cli.conftest import CONFIGURATION
from tests.cli.running import Run

TWO = """
[[library]]
name = "south-gate"
vendor = "sophon"
base_url = "http://127.0.0.1:2"
policy = "sync"
"""


def two_libraries(configuration: Path, run: Run) -> None:
    configuration.write_text(CONFIGURATION.format(base_url="http://127.0.0.1:1") + TWO)
    assert run("db", "upgrade").code == 0


def hire(run: Run, tmp_path: Path, person: str) -> None:
    from tests.vendors.photos import draw  # noqa: PLC0415

    photo = tmp_path / "photo.jpg"
    photo.write_bytes(draw(1).content)
    assert run("face", "replace", person, "--face", "left", "--photo", str(photo)).code == 0


def test_two_empty_libraries_are_alike(configuration: Path, run: Run) -> None:
    two_libraries(configuration, run)

    ended = run("library", "compare", "north-gate", "south-gate", "--json")

    assert ended.code == 0
    (totals,) = [json.loads(line) for line in ended.out.splitlines()]
    assert (totals["totals"]["wanted"], totals["totals"]["lacking"]) == (0, 0)


def test_whoever_is_in_neither_is_counted_and_streamed(configuration: Path, run: Run, tmp_path: Path) -> None:
    two_libraries(configuration, run)
    hire(run, tmp_path, "alice")

    ended = run("library", "compare", "north-gate", "south-gate", "--json")
    shown = run("library", "compare", "north-gate", "south-gate")

    person, totals = [json.loads(line) for line in ended.out.splitlines()]
    assert (person["person"], person["where"], totals["totals"]["neither"]) == ("alice", "neither", 1)
    assert "are in neither" in shown.out


def test_a_library_is_compared_with_another(configuration: Path, run: Run) -> None:
    two_libraries(configuration, run)

    ended = run("library", "compare", "north-gate", "north-gate")

    assert ended.code == 1
    assert "cannot be compared with itself" in ended.err


def test_to_retire_a_library_its_people_must_be_approved(configuration: Path, run: Run, tmp_path: Path) -> None:
    two_libraries(configuration, run)
    hire(run, tmp_path, "alice")

    refused = run("library", "retire", "north-gate", "--yes")
    begun = run("library", "retire", "north-gate", "--approve-removals", "1", "--yes")
    shown = run("library", "retire", "north-gate", "--status", "--json")

    assert refused.code == 1
    assert "say --approve-removals 1" in refused.err
    assert begun.code == 0
    assert "north-gate retires" in begun.out
    assert json.loads(shown.out)["progress"]["people"] == 1


def test_it_can_be_undone(configuration: Path, run: Run, tmp_path: Path) -> None:
    two_libraries(configuration, run)
    hire(run, tmp_path, "alice")
    run("library", "retire", "north-gate", "--approve-removals", "1", "--yes")

    undone = run("library", "retire", "north-gate", "--undo")
    after = run("library", "retire", "north-gate", "--status")

    assert "people are wanted in north-gate again" in undone.out
    assert after.code == 1
    assert "is not being retired" in after.err


def test_options_that_contradict_each_other_are_refused(configuration: Path, run: Run) -> None:
    two_libraries(configuration, run)

    ended = run("library", "retire", "north-gate", "--status", "--undo")

    assert ended.code == 1
    assert "stand alone" in ended.err


def test_check_says_that_a_library_retires(configuration: Path, run: Run, tmp_path: Path) -> None:
    two_libraries(configuration, run)
    hire(run, tmp_path, "alice")
    run("library", "retire", "north-gate", "--approve-removals", "1", "--yes")

    said = {one["what"]: one["words"] for one in json.loads(run("check", "--json").out)}

    assert said["retiring north-gate"].startswith("north-gate retires: ")
