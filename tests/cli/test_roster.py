"""`syncsvc roster import`: what it prints, how it ends, what it leaves behind, and that it survives its own death."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from syncsvc.cli import roster_screen
from syncsvc.cli.commands import _desk
from syncsvc.cli.roster_screen import BadLines
from syncsvc.model.rosters import BadLine
from tests.cli.running import Run
from tests.vendors.photos import draw

MANY = 40_000
ROOM = 200 * 1024  # KiB
# By a small process of its own: the peak of a child begins with that of whoever started it.
MEASURE = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


@pytest.fixture
def folder(run: Run, tmp_path: Path) -> Path:
    assert run("db", "upgrade").code == 0
    folder = tmp_path / "hr"
    folder.mkdir()
    for number in range(4):
        (folder / f"{number}.jpg").write_bytes(draw(number).content)
    return folder


def written(folder: Path, text: str, name: str = "roster.csv") -> str:
    (folder / name).write_text(text, "utf-8")
    return str(folder / name)


def test_a_roster_is_recorded_and_counted(run: Run, folder: Path) -> None:
    file = written(folder, "id,name,photo\nE1,Canary-Name,0.jpg\nE2,,1.jpg\n")

    first = run("roster", "import", file)
    again = run("roster", "import", file)

    assert first.code == again.code == 0
    assert first.out.startswith("2 people: 2 new, 0 changed, 0 back again, 0 unchanged (")
    assert "this very file was imported before" in again.out
    assert "2 people: 0 new, 0 changed, 0 back again, 2 unchanged (" in again.out
    (library,) = json.loads(run("status", "--json").out)
    assert library["due"] == 2


def test_bad_lines_are_shown_kept_in_a_file_and_make_it_end_with_1(run: Run, folder: Path, tmp_path: Path) -> None:
    lines = [f"E{number},Canary-Name,none.jpg" for number in range(30)]
    file = written(folder, "id,name,photo\nE99,Ada,0.jpg\n" + "\n".join(lines) + "\n")

    ended = run("roster", "import", file)

    kept = tmp_path / "var" / "log" / "roster-roster.bad.csv"
    assert ended.code == 1
    assert ended.out.count("the photo file cannot be read") == BadLines.SHOWN
    assert f"30 bad lines, 30 people skipped; all of them: {kept}" in ended.out
    with kept.open(encoding="utf-8", newline="") as rows:
        assert [(row["line"], row["reason"]) for row in csv.DictReader(rows)] == [
            (str(number), "the photo file cannot be read (No such file or directory)") for number in range(3, 33)
        ]
    assert "Canary" not in ended.out + ended.err + kept.read_text("utf-8")


def test_a_clean_run_leaves_no_bad_lines_of_an_older_one(run: Run, folder: Path, tmp_path: Path) -> None:
    run("roster", "import", written(folder, "id,photo\nE1,none.jpg\n"))

    run("roster", "import", written(folder, "id,photo\nE1,0.jpg\n"))

    assert not (tmp_path / "var" / "log" / "roster-roster.bad.csv").exists()


def test_for_scripts_there_is_one_object_at_the_end(run: Run, folder: Path) -> None:
    told = json.loads(run("roster", "import", written(folder, "id\nE1\nE1\n"), "--source", "site-a", "--json").out)

    assert told.pop("seconds") >= 0
    assert told.pop("bad_file").endswith("roster-site-a.bad.csv")
    assert told == {
        "source": "site-a",
        "dry_run": False,
        "people": 1,
        "new": 1,
        "changed": 0,
        "back": 0,
        "unchanged": 0,
        "skipped": 1,
        "bad_lines": 1,
        "departed": 0,
        "refused": None,
        "went_on_after": 0,
        "imported_before": None,
        "photos": [],
    }


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        (b"\xef\xbb\xbfline;reason\r\n3;x\r\n", []),
        (b"\xef\xbb\xbfline,reason\r\n3,x\r\n9,y\r\n", [BadLine(3, "x")]),
        (b"line,reason\n3,caf\xe9\n", [BadLine(3, "caf\ufffd")]),
        (b'line,reason\n3,x\n,\n4,"to', [BadLine(3, "x"), BadLine(4, "to")]),
        (b"lin", []),
    ],
)
def test_a_file_of_bad_lines_that_somebody_saved_or_a_death_tore_stands_in_nobodys_way(
    tmp_path: Path, content: bytes, kept: list[BadLine]
) -> None:
    (tmp_path / "bad.csv").write_bytes(content)
    bad = BadLines(tmp_path / "bad.csv")

    bad.go_on_after(8)

    assert bad.first == kept


def test_departures_are_refused_in_numbers_and_approved_by_number(run: Run, folder: Path) -> None:
    everybody = "id,photo\n" + "".join(f"E{number},{number % 4}.jpg\n" for number in range(60))
    run("roster", "import", written(folder, everybody))
    file = written(folder, "".join(everybody.splitlines(keepends=True)[:50]))

    refused = run("roster", "import", file, "--complete")
    approved = run("roster", "import", file, "--complete", "--approve-removals", "11", "--json")

    assert refused.code == 1
    assert "nobody departed: north-gate: 11 of 60 people would go" in refused.out
    assert "say --approve-removals 11" in refused.out
    assert approved.code == 0
    told = json.loads(approved.out)
    assert (told["departed"], told["went_on_after"]) == (11, 50)
    (library,) = json.loads(run("status", "--json").out)
    assert library["due"] == 60


def test_a_dry_run_says_it_would(run: Run, folder: Path, tmp_path: Path) -> None:
    run("roster", "import", written(folder, "id,photo\nE1,0.jpg\nE2,1.jpg\n"))

    ended = run("roster", "import", written(folder, "id,photo\nE1,2.jpg\nE3,1.jpg\n"), "--dry-run", "--complete")

    assert ended.code == 0
    assert ended.out.startswith("2 people: 1 would be new, 1 would be changed, 0 would be back again, 0 unchanged (")
    assert "1 absent person would depart" in ended.out
    assert json.loads(run("person", "show", "E2", "--json").out)["departed_at"] is None


@pytest.mark.parametrize(
    "wrong",
    [
        ("--source", "Site A"),
        ("--everybody",),
        ("--approve-removals", "3"),
        ("--complete", "--approve-removals", "0"),
        ("--dry-run", "--restart"),
    ],
)
def test_wrong_usage_is_2(run: Run, folder: Path, wrong: tuple[str, ...]) -> None:
    assert run("roster", "import", written(folder, "id\nE1\n"), *wrong).code == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "there is no first line that names the columns"),
        ("name\nAda\n", "there is no column id"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_in_one_line(run: Run, folder: Path, text: str, words: str) -> None:
    ended = run("roster", "import", written(folder, text))

    assert (ended.code, ended.out) == (1, "")
    assert words in ended.err
    assert ended.err.count("\n") == 1


def test_a_file_or_a_folder_that_is_not_there_is_told(run: Run, folder: Path) -> None:
    assert "cannot be read (No such file or directory)" in run("roster", "import", str(folder / "none.csv")).err
    gone = run("roster", "import", written(folder, "id\nE1\n"), "--photos", str(folder / "none"))
    assert "there is no folder" in gone.err


def test_a_roster_that_names_nobody_is_done_unless_it_should_name_everybody(run: Run, folder: Path) -> None:
    file = written(folder, "id,photo\n")

    assert run("roster", "import", file).code == 0
    refused = run("roster", "import", file, "--complete")
    assert refused.code == 1
    assert "nobody departed: the roster names nobody" in refused.out


def test_where_there_is_no_terminal_a_line_is_shown_now_and_then(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roster_screen, "EVERY", 0.0)
    file = written(folder, "id\n" + "".join(f"E{number}\n" for number in range(1200)))

    ended = run("roster", "import", file)

    assert "%: 1,001 lines, " in ended.err
    assert "100%: 1,201 lines, " in ended.err


def test_bad_lines_that_are_told_again_are_kept_once_and_those_that_are_read_again_are_dropped(tmp_path: Path) -> None:
    kept = BadLines(tmp_path / "bad.csv")
    kept.add([BadLine(4, "b"), BadLine(3, "a"), BadLine(4, "c")])
    kept.add([BadLine(3, "a"), BadLine(4, "b"), BadLine(4, "c"), BadLine(9, "d")])

    again = BadLines(tmp_path / "bad.csv")
    again.go_on_after(4)
    again.add([BadLine(9, "d"), BadLine(10, "e")])

    rows = (tmp_path / "bad.csv").read_text("utf-8").split()
    assert rows == ["line,reason", "3,a", "4,b", "4,c", "9,d", "10,e"]
    assert [one.line for one in again.first] == [3, 4, 4, 9, 10]


@pytest.mark.slow
def test_an_import_that_is_killed_goes_on_where_it_was(run: Run, folder: Path, configuration: Path) -> None:
    file = written(folder, "id\n" + "".join(f"E{number}\n" for number in range(MANY)))
    child = subprocess.Popen(command(configuration, file), env=os.environ, stderr=subprocess.DEVNULL)
    while (come := lines_read(run)) < 2000:
        assert child.poll() is None
    child.send_signal(signal.SIGKILL)
    child.wait()

    ended = json.loads(run("roster", "import", file, "--json").out)

    assert ended["went_on_after"] >= come
    assert ended["went_on_after"] < MANY
    assert (ended["new"], ended["unchanged"]) == (MANY, 0)


@pytest.mark.slow
def test_a_long_roster_with_photos_stays_small_in_memory(run: Run, folder: Path, configuration: Path) -> None:
    lines = (f"E{number},Somebody {number},{number % 4}.jpg\n" for number in range(MANY // 4))
    file = written(folder, "id,name,photo\n" + "".join(lines))

    measured = [sys.executable, "-c", MEASURE, *command(configuration, file)]
    ended = subprocess.run(measured, env=os.environ, capture_output=True, text=True, check=True)

    told, peak = ended.stdout.splitlines()
    assert json.loads(told)["new"] == MANY // 4
    assert int(peak) < ROOM


def command(configuration: Path, file: str) -> list[str]:
    return [sys.executable, "-m", "syncsvc", "--config", str(configuration), "roster", "import", file, "--json"]


def lines_read(run: Run) -> int:
    """How far the import has come, seen from outside."""
    with _desk.store.reading() as tx:
        found = tx.rosters.get("roster")
    return found.place.line if found is not None else 0
