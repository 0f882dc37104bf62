"""Libraries over HTTP: at a glance, stopped and started."""

import pytest

from tests.vendors.photos import draw
from tests.web.api.ground import Script, assert_problem


def test_every_library_is_seen_at_a_glance(ops: Script, eyes: Script) -> None:
    ops.hire("alice", left=draw(1))

    gate, yard = eyes.get("/v1/libraries").json()

    assert (gate["name"], gate["vendor"], gate["policy"], gate["state"]) == ("gate", "sophon", "sync", "active")
    assert (gate["due"], gate["attention"], gate["permits"], yard["name"]) == (1, 0, None, "yard")


def test_a_library_is_paused_and_goes_on(ops: Script) -> None:
    answers = [ops.post(f"/v1/libraries/gate/{verb}") for verb in ("pause", "pause", "resume", "resume")]

    assert [one.status_code for one in answers] == [200] * 4
    assert [(one.json()["state"], one.json()["changed"]) for one in answers] == [
        ("paused", True),
        ("paused", False),
        ("active", True),
        ("active", False),
    ]
    ops.post("/v1/libraries/%67ate/pause")
    assert [one["state"] for one in ops.get("/v1/libraries").json()] == ["paused", "active"]


@pytest.mark.parametrize("name", ["nowhere", "GATE", "%00", "a%2Fb", "%F0%9F%A6%84", "x" * 5000])
@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_a_library_that_is_not_configured_is_told_by_name(ops: Script, name: str, verb: str) -> None:
    assert_problem(ops.post(f"/v1/libraries/{name}/{verb}"), 404, "configured are: gate, yard")


def test_a_name_that_is_not_utf_8_is_named(ops: Script) -> None:
    assert_problem(ops.post("/v1/libraries/%FF/pause"), 422, "is not UTF-8", "name")
