"""Leases of processes that were killed: given back soon on the same machine, left alone everywhere else."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from syncsvc.flow.claim import claim
from syncsvc.flow.deliver import deliver
from syncsvc.flow.dispatch import sweep
from syncsvc.flow.holder import is_dead, this_process
from syncsvc.flow.house import House
from syncsvc.model.urgency import MAX_ATTEMPTS
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


def brief(house: House) -> House:
    """The same, with a vendor whose calls take 10 s at most."""
    shelf = house.shelf(GATE)
    door = replace(shelf.library.door, account=replace(shelf.library.door.account, longest_call=10.0))
    return replace(house, shelves={GATE: replace(shelf, library=shelf.library.at(door))})


@pytest.mark.parametrize("holder", ["killed", "elsewhere"])
def test_the_sweep_shortens_the_leases_of_a_killed_worker_of_this_machine_only(stage: Stage, holder: str) -> None:
    stage.hire(ALICE, 1)
    house = brief(stage.house)
    lost = replace(house, holder=gone() if holder == "killed" else "another-machine:7")
    (ring,) = sweep(house)
    assert claim(lost, lost.shelf(GATE), ring.deliveries).taken

    at_once = sweep(house)
    stage.clock.advance(11)
    rings = sweep(house)

    assert at_once == []  # the vendor may still be at work on what the dead one asked for
    assert len(rings) == (1 if holder == "killed" else 0)
    for found in rings:
        deliver(house, found.library, found.deliveries)
        stage.assert_in_sync(ALICE)


def test_what_kills_its_worker_at_every_attempt_ends_with_the_operator(stage: Stage) -> None:
    stage.hire(ALICE, 1)
    house = brief(stage.house)
    lost = replace(house, holder=gone())

    for _ in range(3 * MAX_ATTEMPTS):
        stage.clock.advance(11)
        for ring in sweep(house):
            claim(lost, lost.shelf(GATE), ring.deliveries)

    with house.store.reading() as tx:
        (owed,) = tx.deliveries.of_person(ALICE)
    assert (owed.state, owed.reason) == ("exhausted", "worker_lost")
