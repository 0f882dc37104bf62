"""What needs somebody, on the command line."""

import json
from datetime import UTC, datetime

import pytest
from sqlalchemy import update

from syncsvc.cli.commands import _desk
from syncsvc.flow.record import record
from syncsvc.model.changes import Told, Upserted
from syncsvc.model.people import FaceId, PersonId
from syncsvc.store.tables import deliveries
from tests.cli.running import Run
from tests.vendors.photos import draw

ENDED = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


@pytest.fixture
def stuck(run: Run) -> None:
    """Alice refused, Bob given up a day later."""
    assert run("db", "upgrade").code == 0
    assert run("status").code == 0
    for number, (person, state) in enumerate((("alice", "refused"), ("bob", "exhausted"))):
        told = Upserted(PersonId(person), ((FaceId("front"), draw(number)),))
        record(_desk.house, Told("hr", person, told))
        values = {"state": state, "reason": f"why-{person}", "detail": f"words about {person}"}
        with _desk.store.transaction() as tx:
            mine = update(deliveries).where(deliveries.c.person_id == person)
            tx._connection.execute(mine.values(due_at=ENDED.replace(day=2 + number), face_id="front", **values))


@pytest.mark.usefixtures("stuck")
def test_it_is_listed_with_person_library_reason_and_face(run: Run) -> None:
    shown = run("attention", "list")

    assert shown.code == 0
    assert "library     person  state      reason     detail             face   since" in shown.out
    assert "north-gate  bob     exhausted  why-bob    words about bob    front  20" in shown.out
    assert "north-gate  alice   refused    why-alice  words about alice  front  20" in shown.out
    told = json.loads(run("attention", "list", "--json").out)
    assert [(one["person"], one["since"]) for one in told] == [
        ("bob", "2026-03-03T08:00:00Z"),
        ("alice", "2026-03-02T08:00:00Z"),
    ]


@pytest.mark.usefixtures("stuck")
def test_only_some_are_listed_and_more_is_said(run: Run) -> None:
    assert "bob" not in run("attention", "list", "--reason", "why-alice").out
    assert "alice" not in run("attention", "list", "--since", "2026-03-02T18:00+08:00").out
    assert "these are the first 1; --limit shows more" in run("attention", "list", "--limit", "1").out
    assert run("attention", "list", "--reason", "nothing").out == "nothing needs anybody\n"


@pytest.mark.usefixtures("stuck")
def test_what_is_tried_again_is_counted_and_owed(run: Run) -> None:
    assert run("attention", "retry", "--reason", "why-bob").out == "1 delivery is tried again\n"
    assert [json.loads(run("status", "--json").out)[0][name] for name in ("due", "doubtful", "attention")] == [0, 1, 1]
    assert json.loads(run("attention", "retry", "--library", "north-gate", "--json").out) == {"reopened": 1}
    assert run("attention", "retry").out == "nothing to do: nothing of that kind needs anybody\n"


def test_what_cannot_be_meant_is_said(run: Run) -> None:
    assert run("db", "upgrade").code == 0

    assert run("attention", "list", "--since", "yesterday").code == 2
    assert run("attention", "list", "--since", "0001-01-01T00:00+14:00").code == 2
    unknown = run("attention", "retry", "--library", "south-gate")
    assert (unknown.code, "no library is called 'south-gate'" in unknown.err) == (1, True)
