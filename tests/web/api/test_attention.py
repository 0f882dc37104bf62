"""What somebody must look at, over HTTP."""

import base64
import json
from datetime import timedelta
from typing import Any

import pytest

from syncsvc.store import Store
from tests.conftest import MovableClock
from tests.vendors.photos import draw
from tests.web.api.ground import Script, amend, assert_problem, row


@pytest.fixture
def stuck(ops: Script, store: Store, clock: MovableClock) -> None:
    """Alice refused at both libraries, Bob given up at the gate an hour later, and Carol who is as she should be."""
    for number, person in enumerate(("alice", "bob", "carol")):
        ops.hire(person, left=draw(number))
    refused: dict[str, Any] = {
        "state": "refused",
        "reason": "no_face",
        "attempts": 1,
        "face_id": "left",
        "due_at": clock(),
    }
    amend(store, "alice", detail="there is no face", **refused)
    amend(store, "alice", "yard", **refused)
    later = clock() + timedelta(hours=1)
    amend(store, "bob", state="exhausted", reason="unavailable", detail="it was away", attempts=8, due_at=later)
    amend(store, "carol", state="synced", held=1)
    clock.advance(7200)


@pytest.mark.usefixtures("stuck")
def test_it_is_listed_with_its_reason_in_words(eyes: Script) -> None:
    told = eyes.get("/v1/attention").json()

    assert told["next"] is None
    assert [(one["library"], one["person"], one["state"], one["reason"]) for one in told["items"]] == [
        ("gate", "bob", "exhausted", "unavailable"),
        ("gate", "alice", "refused", "no_face"),
        ("yard", "alice", "refused", "no_face"),
    ]
    assert [one["detail"] for one in told["items"][:2]] == ["it was away", "there is no face"]
    assert "did not say why" in told["items"][2]["detail"]
    assert [(one["face"], one["attempts"]) for one in told["items"]] == [(None, 8), ("left", 1), ("left", 1)]
    assert told["items"][0]["since"] == "2026-03-02T09:00:00Z"


@pytest.mark.usefixtures("stuck")
@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ("library=gate", ["bob", "alice"]),
        ("library=yard", ["alice"]),
        ("reason=no_face", ["alice", "alice"]),
        ("reason=no_face&library=gate", ["alice"]),
        ("reason=nothing", []),
        ("since=2026-03-02T08:30:00Z", ["bob"]),
        ("since=2026-03-02T17:00:00%2B08:00", ["bob"]),
        ("since=2026-03-02T09:00:01Z", []),
    ],
)
def test_the_list_and_the_retry_have_the_same_filters(ops: Script, filters: str, found: list[str]) -> None:
    listed = [one["person"] for one in ops.get(f"/v1/attention?{filters}").json()["items"]]
    reopened = ops.post(f"/v1/attention/retry?{filters}").json()

    assert listed == found
    assert reopened == {"reopened": len(found)}
    assert len(ops.get("/v1/attention").json()["items"]) == 3 - len(found)


@pytest.mark.usefixtures("stuck")
def test_what_is_tried_again_is_due_and_looked_at_first_where_in_doubt(
    ops: Script, store: Store, clock: MovableClock
) -> None:
    answer = ops.post("/v1/attention/retry")

    assert (answer.status_code, answer.json()) == (200, {"reopened": 3})
    bob, alice = row(store, "bob"), row(store, "alice")
    assert (bob.state, alice.state, row(store, "carol").state) == ("doubtful", "due", "synced")
    assert (bob.attempts, bob.reason, bob.detail, bob.due_at) == (0, None, None, clock())
    nothing: dict[str, object] = {"items": [], "next": None, "departures_held": 0, "erasures_late": 0}
    assert ops.get("/v1/attention").json() == nothing


@pytest.mark.usefixtures("stuck")
def test_pages_follow_each_other_with_the_same_filters(eyes: Script) -> None:
    pages, address = [], "/v1/attention?limit=1&reason=no_face"
    while address:
        page = eyes.get(address).json()
        pages.append([(one["library"], one["person"]) for one in page["items"]])
        address = page["next"]

    assert pages == [[("gate", "alice")], [("yard", "alice")]]


@pytest.mark.parametrize(
    ("query", "status", "words", "field"),
    [
        ("library=nowhere", 404, "configured are: gate, yard", None),
        ("library=%00", 422, "library", "library"),
        ("libary=gate", 422, "libary", "libary"),
        ("since=1767225600", 422, "must be a moment", "since"),
        ("library=" + "x" * 201, 422, "library", "library"),
        ("reason=%00", 422, "cannot be written", "reason"),
        ("reason=a%0Ab", 422, "cannot be written", "reason"),
        ("since=yesterday", 422, "since", "since"),
        ("since=2026-03-02T08:00:00", 422, "since", "since"),
        ("since=9999-12-31T23:59:59-14:00", 422, "years 1 to 9999", "since"),
    ],
)
def test_a_filter_that_is_none_is_named(ops: Script, query: str, status: int, words: str, field: str | None) -> None:
    assert_problem(ops.get(f"/v1/attention?{query}"), status, words, field)
    assert_problem(ops.post(f"/v1/attention/retry?{query}"), status, words, field)


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        {},
        {"library": "gate", "state": "synced", "since": "2026-01-01T00:00:00Z", "id": 1},
        {"library": "gate", "state": "refused", "since": "2026-01-01T00:00:00", "id": 1},
        {"library": "gate", "state": "refused", "since": "2026-01-01T00:00:00Z", "id": 2**63},
        {"library": "ga\0te", "state": "refused", "since": "2026-01-01T00:00:00Z", "id": 1},
    ],
    ids=str,
)
def test_a_cursor_that_is_not_ours_is_named(eyes: Script, cursor: object) -> None:
    sent = cursor if isinstance(cursor, str) else base64.urlsafe_b64encode(json.dumps(cursor).encode()).decode()

    assert_problem(eyes.get(f"/v1/attention?cursor={sent}"), 422, "is not one of ours", "cursor")
