"""Departures that wait for an operator, and until when people stay, over HTTP."""

from dataclasses import replace
from datetime import timedelta

import pytest

from syncsvc.flow.fulfil import fulfil
from syncsvc.model.guard import Limits
from syncsvc.wiring import Service
from tests.conftest import MovableClock
from tests.vendors.photos import draw
from tests.web.api.ground import Script, assert_problem, at
from tests.web.asking import Client

PEOPLE = ("alice", "bob", "carol")


@pytest.fixture
def service(service: Service) -> Service:
    """Nobody may leave unasked."""
    return replace(service, house=replace(service.house, limits=Limits(0, 0.0)))


@pytest.fixture
def held(ops: Script) -> list[str]:
    """Three people whose departures are held back: their changes."""
    for number, person in enumerate(PEOPLE):
        ops.hire(person, left=draw(number))
    answers = [ops.ask("DELETE", at(person)) for person in PEOPLE]
    assert {(one.status_code, one.json()["effect"]) for one in answers} == {(202, "held")}
    return [one.json()["change"] for one in answers]


def departed(script: Script, service: Service, person: str) -> bool:
    fulfil(service.house)
    return script.get(at(person)).json()["departed_at"] is not None


@pytest.mark.usefixtures("held")
def test_they_are_listed_page_by_page_with_the_libraries_they_would_leave(eyes: Script) -> None:
    found, address = [], "/v1/removals?limit=2"
    while address:
        page = eyes.get(address).json()
        found += page["items"]
        address = page["next"]

    assert sorted(one["person"] for one in found) == sorted(PEOPLE)
    assert all((one["libraries"], one["source"]) == (["gate", "yard"], "api:ops") for one in found)
    assert eyes.get("/v1/attention").json()["departures_held"] == 3


def test_a_held_change_says_what_it_waits_for(eyes: Script, held: list[str]) -> None:
    told = eyes.get(f"/v1/changes/{held[0]}").json()

    assert (told["effect"], told["state"]) == ("held", "waiting")
    assert "operator's approval" in told["detail"]


@pytest.mark.usefixtures("held")
def test_some_go_some_stay_and_to_say_it_again_changes_nothing(ops: Script, service: Service) -> None:
    approved = ops.ask("POST", "/v1/removals/approve", json={"people": ["alice", "nobody"]})
    again = ops.ask("POST", "/v1/removals/approve", json={"people": ["alice"]})
    refused = ops.ask("POST", "/v1/removals/refuse", json={"people": ["bob"]})
    rest = ops.ask("POST", "/v1/removals/approve", json={"all": True})

    assert approved.json() == {"people": 1, "not_held": ["nobody"]}
    assert again.json() == {"people": 0, "not_held": ["alice"]}
    assert (refused.json()["people"], rest.json()["people"]) == (1, 1)
    assert [departed(ops, service, person) for person in PEOPLE] == [True, False, True]


@pytest.mark.usefixtures("held")
@pytest.mark.parametrize(
    "body", [{}, {"all": False}, {"all": True, "people": ["alice"]}, {"people": []}, {"peple": []}]
)
def test_it_must_be_said_whose(ops: Script, eyes: Script, body: dict[str, object]) -> None:
    assert ops.ask("POST", "/v1/removals/approve", json=body).status_code == 422
    assert len(eyes.get("/v1/removals").json()["items"]) == 3


def test_a_reader_only_looks(eyes: Script) -> None:
    assert_problem(eyes.ask("POST", "/v1/removals/approve", json={"all": True}), 403, "operator")
    assert eyes.get("/v1/removals").json() == {"items": [], "next": None}


def test_the_metric_counts_people(client: Client, held: list[str]) -> None:
    assert len(held) == 3
    assert "syncsvc_removals_held 3.0" in client.ask("GET", "/metrics").text


def test_until_when_somebody_stays_is_told_shown_and_cleared(ops: Script, clock: MovableClock) -> None:
    end = (clock() + timedelta(days=3)).isoformat()
    ops.ask("PUT", at("alice"), json={"name": "Ada", "expires_at": end})
    shown = ops.get(at("alice")).json()["expires_at"]
    ops.ask("PUT", at("alice"), json={"name": "Ada L."})
    kept = ops.get(at("alice")).json()["expires_at"]
    ops.ask("PUT", at("alice"), json={"expires_at": None})

    assert shown == kept == end.replace("+00:00", "Z")
    assert ops.get(at("alice")).json()["expires_at"] is None


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"expires_at": "2026-12-31T00:00:00"}, "expires_at"),
        ({"expires_at": "tomorrow"}, "expires_at"),
        ({"contract_end": "2026-02-30"}, "contract_end"),
        ({"contract_end": "2026-12-31", "expires_at": "2026-12-31T00:00:00Z"}, "not both"),
    ],
)
def test_an_end_that_cannot_be_meant_is_refused(ops: Script, told: dict[str, str], words: str) -> None:
    answer = ops.ask("PUT", at("alice"), json=told)

    assert answer.status_code == 422
    assert words in answer.json()["detail"]
