"""The demo's whole story on a small slice, and that its end would tell of a library that does not agree."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "deploy" / "sample"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

QUIET = "changes_per_second = 20.0\nlatency = 0.0\n"


def start(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    words = [sys.executable, "-m", "syncsvc", "demo", "--folder", str(folder), "--json", *arguments]
    return subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: "subprocess.Popen[str]") -> tuple[int, dict[str, Any], str]:
    """Exit code, the JSON on standard output, and what people were told."""
    out, told = process.communicate(timeout=380)
    return process.returncode, json.loads(out) if out else {}, told


def with_story(tmp_path: Path, story: str) -> Path:
    """The sample with a story of its own."""
    folder = tmp_path / "sample"
    shutil.copytree(SAMPLE, folder)
    (folder / "story.toml").write_text(story)
    return folder


def left_running(folder: Path) -> Sequence[str]:
    """Processes that still have this folder in their command line or environment."""
    found = []
    for one in Path("/proc").glob("[0-9]*"):
        try:
            words = (one / "cmdline").read_bytes() + (one / "environ").read_bytes()
        except OSError:
            continue
        if str(folder).encode() in words and one.name != str(os.getpid()):
            found.append(words[:200].decode("utf-8", "replace"))
    return found


def test_every_library_agrees_after_an_outage_throttling_lost_answers_and_a_killed_worker(tmp_path: Path) -> None:
    folder = tmp_path / "demo"

    code, result, told = ended(start(folder, "--people", "30"))

    assert code == 0, told
    assert result["agreed"]
    assert result["canonical"] == {"agrees": True, "disagreements": []}
    assert [one["name"] for one in result["libraries"]] == ["north-gate", "cloud-ali", "cloud-huawei", "fin"]
    for library in result["libraries"]:
        assert library["converged"]
        assert not library["disagreements"]
        assert library["throttled_own"] == 0
        assert library["refused"] == library["refused_expected"] == 1
        assert library["odd_faces"] == 0
        assert library["people"] == result["people"]
        assert library["faces"] == result["faces"] - 1
    faults = {one["name"]: one["faults"] for one in result["libraries"]}
    assert faults["cloud-ali"]["throttle"]
    assert faults["cloud-huawei"]["outage"]
    assert faults["fin"]["lost_answer"]
    what = " ".join(one["what"] for one in result["happened"])
    assert "worker-1 was killed" in what
    assert "worker-1 runs again" in what
    assert result["changes"]["old_news"] == 2
    assert result["changes"]["told again"] == 1
    assert (folder / "syncsvc.db").stat().st_size
    assert not left_running(folder)


def test_a_library_that_holds_what_nobody_wants_is_named_and_the_exit_code_is_1(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    story = QUIET + '[[sabotage]]\nlibrary = "cloud-ali"\nplant = "E10000"\n'

    code, result, told = ended(start(folder, "--people", "3", "--sample", str(with_story(tmp_path, story))))

    assert code == 1
    assert {one["name"]: one["converged"] for one in result["libraries"]} == {
        "north-gate": True,
        "cloud-ali": False,
        "cloud-huawei": True,
        "fin": True,
    }
    assert result["libraries"][1]["disagreements"] == [{"who": "E10000", "what": "faces: 1 too many"}]
    assert "cloud-ali: E10000: faces: 1 too many" in told


def test_being_interrupted_stops_everything_that_was_started(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    process = start(folder)
    assert process.stderr is not None
    told = ""
    while "the roster is recorded" not in told:
        line = process.stderr.readline()
        assert line, told
        told += line

    process.send_signal(signal.SIGINT)
    code, _, told = ended(process)

    assert code == 130
    assert "interrupted; everything is stopped" in told
    assert not left_running(folder)


def test_a_folder_that_no_demo_has_made_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("my only copy")

    code, _, told = ended(start(tmp_path))

    assert code == 1
    assert "is not empty and not a demo's; name another with --folder" in told
    assert (tmp_path / "thesis.txt").read_text() == "my only copy"
