"""`syncsvc reconcile`: what it prints, how it ends, and that a plan does nothing."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from syncsvc.sandbox.base import Limits, Sandbox
from syncsvc.sandbox.serve import running, sandbox_class
from syncsvc.settings import load
from tests.cli.conftest import CONFIGURATION
from tests.cli.running import Run


@pytest.fixture
def room(configuration: Path, run: Run, embedded_redis: None) -> Iterator[Sandbox]:
    """A library with a face of others in it."""
    sandbox = sandbox_class("sophon")(limits=Limits(enabled=False))
    with running(sandbox) as (url,):
        configuration.write_text(CONFIGURATION.format(base_url=url))
        assert run("db", "upgrade").code == 0
        sandbox.plant("stranger")
        yield sandbox


def test_a_run_reads_and_says_what_is_odd(run: Run, room: Sandbox) -> None:
    ended = run("reconcile", "run", "--library", "north-gate")
    (status,) = json.loads(run("reconcile", "status", "--json").out)
    listed = json.loads(run("reconcile", "list", "--situation", "foreign", "--json").out)

    assert ended.code == 0, ended.err
    assert "north-gate: 1 foreign" in ended.out
    assert (status["state"], status["faces"], status["counts"]["foreign"]) == ("done", 1, 1)
    assert (listed["person_key"], listed["reaction"]) == ("stranger", "report")
    assert run("reconcile", "list", "--situation", "stray").out == ""
    assert "foreign" in run("reconcile", "list").out
    assert "north-gate" in run("reconcile", "status").out
    assert len(room.world.faces) == 1


def test_a_plan_is_written_applied_and_refused_when_it_was_changed(run: Run, room: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "plan.jsonl"

    made = run("reconcile", "plan", "-o", str(file), "--json")
    applied = run("reconcile", "apply", str(file))
    file.write_text(file.read_text("utf-8").replace("north", "south"), "utf-8")
    refused = run("reconcile", "apply", str(file))

    assert made.code == applied.code == 0, made.err + applied.err
    assert json.loads(made.out)["steps"] == 0
    assert "north-gate: 0 faces seen to" in applied.out
    assert refused.code == 1
    assert "make a new plan" in refused.err


def test_what_is_wrong_is_said(run: Run, room: Sandbox, tmp_path: Path) -> None:
    assert "no library is called" in run("reconcile", "run", "--library", "nowhere").err
    assert "is not a folder" in run("reconcile", "plan", "-o", str(tmp_path / "none" / "plan")).err
    assert "cannot be read" in run("reconcile", "apply", str(tmp_path / "none")).err
    assert "never read" in run("reconcile", "status").out
    assert "never read" in run("reconcile", "approve", "north-gate").err


def test_libraries_are_read_also_while_the_service_is_down(configuration: Path, run: Run, tmp_path: Path) -> None:
    sandbox = sandbox_class("sophon")(limits=Limits(enabled=False))
    with running(sandbox) as (url,):
        configuration.write_text(CONFIGURATION.format(base_url=url))
        assert run("db", "upgrade").code == 0
        sandbox.plant("stranger")

        read = run("reconcile", "run")
        planned = run("reconcile", "plan", "-o", str(tmp_path / "plan.jsonl"))
        adopted = run("library", "adopt", "north-gate")

    assert read.code == planned.code == adopted.code == 0, read.err + planned.err + adopted.err
    assert "1 foreign" in read.out
    assert "lists 1 face" in adopted.out
    socket = load(configuration, os.environ).redis_socket
    assert not socket.exists()
