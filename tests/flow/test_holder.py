"""Leases of processes that were killed: given back at once on the same machine, left alone everywhere else."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from syncsvc.flow.claim import claim
from syncsvc.flow.deliver import deliver
from syncsvc.flow.dispatch import sweep
from syncsvc.flow.holder import is_dead, this_process
from tests.flow.stage import ALICE, GATE, Stage


def gone() -> str:
    """A process of this machine that has ended."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return this_process().replace(f":{os.getpid()}", f":{ended.pid}")


def test_a_process_that_runs_is_not_dead() -> None:
    assert not is_dead(this_process())


def test_a_process_of_this_machine_that_ended_is_dead() -> None:
    assert is_dead(gone())


def test_nothing_is_known_of_other_machines() -> None:
    number = gone().rpartition(":")[2]

    assert not is_dead(f"another-machine:{number}")
    assert not is_dead("")
    assert not is_dead("lease-of-an-older-version")


@pytest.mark.parametrize("holder", ["killed", "elsewhere"])
def test_the_sweep_ends_the_leases_of_a_killed_worker_of_this_machine_only(stage: Stage, holder: str) -> None:
    stage.hire(ALICE, 1)
    lost = replace(stage.house, holder=gone() if holder == "killed" else "another-machine:7")
    (ring,) = sweep(stage.house)
    assert claim(lost, lost.shelf(GATE), ring.deliveries).taken

    rings = sweep(stage.house)

    assert len(rings) == (1 if holder == "killed" else 0)
    for found in rings:
        deliver(stage.house, found.library, found.deliveries)
        stage.assert_in_sync(ALICE)
