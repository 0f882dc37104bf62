"""Departures that wait for an operator, on the command line."""

import json
from pathlib import Path

import pytest

from syncsvc.cli.commands import _desk
from syncsvc.flow.fulfil import fulfil
from syncsvc.flow.record import record
from syncsvc.model.changes import Departed, Told, Upserted
from syncsvc.model.people import FaceId, PersonId
from tests.cli.running import Run
from tests.vendors.photos import draw


@pytest.fixture
def held(run: Run, configuration: Path) -> None:
    """Nobody may leave, and Alice, Bob and Carol were told to have left."""
    configuration.write_text(configuration.read_text() + "\n[reconcile]\nmax_removals = 0\n")
    assert run("db", "upgrade").code == 0
    assert run("status").code == 0
    for number, person in enumerate(("alice", "bob", "carol")):
        told = Upserted(PersonId(person), ((FaceId("front"), draw(number)),))
        record(_desk.house, Told("hr", person, told))
        assert record(_desk.house, Told("hr", f"{person} left", Departed(PersonId(person)))).effect == "held"


def waiting(run: Run) -> list[str]:
    return sorted(one["person"] for one in json.loads(run("removals", "list", "--json").out))


def gone(run: Run, person: str) -> bool:
    run("status")
    fulfil(_desk.house)
    return json.loads(run("person", "show", person, "--json").out)["departed_at"] is not None


@pytest.mark.usefixtures("held")
def test_they_are_listed_with_what_they_would_leave(run: Run) -> None:
    shown = run("removals", "list")

    assert shown.code == 0
    for person in ("alice", "bob", "carol"):
        assert any(line.split()[:3] == [person, "north-gate", "hr"] for line in shown.out.splitlines())
    assert "removals approve PERSON" in shown.out
    assert "departures held back: 3" in run("attention", "list").out


@pytest.mark.usefixtures("held")
def test_one_is_approved_one_refused_and_then_all_the_others(run: Run) -> None:
    assert run("removals", "approve", "alice", "--yes").out == "1 person leaves now\n"
    assert run("removals", "refuse", "bob", "--yes").out == "1 person stays\n"
    assert waiting(run) == ["carol"]
    assert json.loads(run("removals", "approve", "--all", "--yes", "--json").out) == {"people": 1, "not_held": []}

    assert [gone(run, person) for person in ("alice", "bob", "carol")] == [True, False, True]
    assert run("removals", "list").out == "nobody's departure is held back\n"
    assert run("removals", "approve", "--all", "--yes").out == "nothing to do: nobody's departure is held back\n"


@pytest.mark.usefixtures("held")
def test_whom_nothing_is_held_of_is_said_and_the_others_go(run: Run) -> None:
    ended = run("removals", "approve", "alice", "dave", "--yes")

    assert ended.code == 1
    assert "nothing is held back of dave" in ended.out
    assert waiting(run) == ["bob", "carol"]


@pytest.mark.usefixtures("held")
@pytest.mark.parametrize("arguments", [(), ("alice", "--all")])
def test_it_must_be_said_whose(run: Run, arguments: tuple[str, ...]) -> None:
    ended = run("removals", "approve", *arguments, "--yes")

    assert ended.code == 2
    assert "either PERSON ... or --all" in ended.err
    assert waiting(run) == ["alice", "bob", "carol"]


@pytest.mark.usefixtures("held")
def test_an_erasure_by_hand_is_not_held(run: Run) -> None:
    assert run("person", "erase", "alice", "--yes").code == 0

    assert gone(run, "alice")
    assert waiting(run) == ["bob", "carol"]
