"""What became of one change."""

import pytest

from syncsvc.store import Store
from tests.vendors.photos import draw
from tests.web.api.ground import Script, amend, assert_problem


def test_a_change_is_followed_library_by_library(ops: Script, eyes: Script, store: Store) -> None:
    change = ops.hire("alice", left=draw(1)).json()["change"]
    amend(store, "alice", state="synced", held=1)
    amend(store, "alice", "yard", state="refused", reason="no_face", detail="there is no face", face_id="left")

    told = eyes.get(f"/v1/changes/{change}").json()

    assert (told["id"], told["kind"], told["person"], told["effect"]) == (change, "person.upserted", "alice", "applied")
    assert told["state"] == "attention"
    assert [(one["name"], one["state"], one["detail"], one["face"]) for one in told["libraries"]] == [
        ("gate", "synced", None, None),
        ("yard", "refused", "there is no face", "left"),
    ]


@pytest.mark.parametrize("change", ["0" * 32, "0" * 31, "%00", "x", "A" * 32, "%F0%9F%A6%84", "a%2Fb"])
def test_a_change_that_nobody_told_is_not_there(eyes: Script, change: str) -> None:
    assert_problem(eyes.get(f"/v1/changes/{change}"), 404, "no change")


def test_an_id_that_is_not_utf_8_is_named(eyes: Script) -> None:
    assert_problem(eyes.get("/v1/changes/%FF"), 422, "is not UTF-8", "id")
