"""HR systems' own dialects, from the configuration to the person: through the door, the inbox and the API."""

import base64
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from syncsvc.flow.refresh import refresh
from syncsvc.flow.rounds import Rounds
from syncsvc.intake.dialects import Message
from syncsvc.model.errors import SettingsError
from syncsvc.model.people import PersonId
from syncsvc.settings import Settings, read
from syncsvc.store.tables import invalidations
from syncsvc.wiring import Service, check_sections, fetches
from tests.intake.dialects import test_bamboohr, test_dingtalk, test_feishu, test_hibob
from tests.intake.dialects.contract import EMPLOYEE, FIRST
from tests.intake.dialects.hr_rooms import Personio, Room, open_room
from tests.vendors.photos import draw
from tests.web.asking import Client

ENVIRON = {"KEY": base64.b64encode(b"k" * 32).decode(), "FIRST": FIRST, "SECRET": Room.SECRET}


def sections(personio_url: str) -> list[dict[str, Any]]:
    """One of every dialect, as deploy/syncsvc.example.toml shows them."""
    return [
        {
            "name": "bamboohr",
            "dialect": "bamboohr",
            "options": {"secrets": ["env:FIRST"], "api_url": "https://example.bamboohr.com", "api_key": "env:SECRET"},
        },
        {
            "name": "hibob",
            "dialect": "hibob",
            "options": {"secrets": ["env:FIRST"], "service_user_id": "u", "service_user_token": "env:SECRET"},
        },
        {
            "name": "personio",
            "dialect": "personio",
            "options": {
                "tokens": ["env:FIRST"],
                "client_id": "client",
                "client_secret": "env:SECRET",
                "api_url": personio_url,
            },
        },
        {
            "name": "feishu",
            "dialect": "feishu",
            "options": {
                "encrypt_keys": ["env:FIRST"],
                "verification_tokens": ["env:VERIFY"],
                "app_id": "cli_app",
                "app_secret": "env:SECRET",
            },
        },
        {
            "name": "dingtalk",
            "dialect": "dingtalk",
            "options": {
                "tokens": ["env:FIRST"],
                "aes_keys": ["env:AES"],
                "app_key": "ding-app",
                "app_secret": "env:SECRET",
            },
        },
    ]


@pytest.fixture
def room() -> Iterator[Room]:
    with open_room(Personio()) as open_:
        yield open_


@pytest.fixture
def settings(tmp_path: Path, room: Room) -> Settings:
    document = {"service": {"photo_key": "env:KEY"}, "webhook": sections(room.url)}
    more = {"VERIFY": test_feishu.TOKEN, "AES": test_dingtalk.AES_KEY}
    return read(document, ENVIRON | more, tmp_path)


def push(client: Client, name: str, message: Message) -> httpx.Response:
    query: Mapping[str, str] = message.query
    return client.post(f"/webhooks/{name}", content=message.body, headers=dict(message.headers), params=dict(query))


THIN: Mapping[str, Any] = {
    "bamboohr": test_bamboohr.TestEventBased(),
    "hibob": test_hibob.TestHearing(),
    "feishu": test_feishu.TestHearing(),
}


@pytest.mark.parametrize("name", THIN)
def test_a_thin_event_is_in_the_inbox_when_it_is_answered(client: Client, service: Service, name: str) -> None:
    kind = THIN[name]
    message = kind.message(json.dumps(kind.event()).encode(), datetime.now(UTC))

    first, again = push(client, name, message), push(client, name, message)

    assert (first.status_code, first.json()["effect"]) == (202, "fetching")
    assert (again.status_code, again.json()["change"]) == (200, first.json()["change"])
    with service.house.store.reading() as tx:
        entry = tx.changes.get(first.json()["change"])
        assert entry is not None
        assert (entry.person, entry.effect) == (EMPLOYEE, "fetching")
        assert tx.people.get(PersonId(EMPLOYEE)) is None


def test_dingtalk_gets_its_sealed_success_for_a_push_and_for_its_repetition(client: Client, service: Service) -> None:
    kind = test_dingtalk.TestHearing()
    message = kind.says(kind.event())

    for _ in range(2):
        answer = push(client, "dingtalk", message)
        assert answer.status_code == 200
        assert test_dingtalk.opened(answer.json()) == b"success"

    with service.house.store.reading() as tx:
        assert tx.invalidations.any_due("dingtalk", datetime.now(UTC) + timedelta(seconds=2))


def test_a_challenge_is_answered_and_leaves_nothing(client: Client, service: Service) -> None:
    challenge = test_feishu.sealed(test_feishu.TestHearing().challenge(), FIRST)

    answer = push(client, "feishu", Message({}, challenge))

    assert (answer.status_code, answer.json()) == (200, {"challenge": "ajls384kdj"})
    with service.house.store.reading() as tx:
        assert not tx.invalidations.any_due("feishu", datetime.now(UTC) + timedelta(seconds=2))


def test_whoever_has_not_the_secret_is_told_nothing(client: Client) -> None:
    for name in ("bamboohr", "hibob", "personio", "feishu", "dingtalk"):
        answer = push(client, name, Message({"authorization": "guess"}, b'{"encrypt": "AAAA"}', {"timestamp": "1"}))

        assert answer.status_code == 401
        assert FIRST not in answer.text


def test_from_an_event_to_a_person_with_a_face_and_away_again(
    redis: None, client: Client, service: Service, room: Room
) -> None:
    worker = room.hire(EMPLOYEE, photo=draw(1).content)
    happen(client, service, "person.created")
    with service.house.store.reading() as tx:
        known = tx.people.get(PersonId(EMPLOYEE))
    assert known is not None
    assert [face.id for face in known.faces] == ["main"]

    worker.there = False
    happen(client, service, "employment.terminated")

    with service.house.store.reading() as tx:
        known = tx.people.get(PersonId(EMPLOYEE))
    assert known is not None
    assert known.departed_at is not None
    assert known.faces == ()


def happen(client: Client, service: Service, event: str) -> None:
    """Personio tells of it, and a second later we ask."""
    body = {"company_id": "1", "event_name": event, "occurred_at": "now", "payload": {"person": {"id": EMPLOYEE}}}
    message = Message({"authorization": FIRST}, json.dumps(body).encode())
    assert push(client, "personio", message).status_code == 202
    with service.house.store.transaction() as tx:
        tx._connection.execute(update(invalidations).values(due_at=datetime.now(UTC)))
    list(refresh(service.house, fetches(service), Rounds()))


@pytest.mark.parametrize(
    ("dialect", "options", "key", "words"),
    [
        ("hibob", {"secrets": ["whsec"]}, "options.secrets", "env:NAME"),
        ("hibob", {}, "options.service_user_id", "service user"),
        ("personio", {"token": ["env:FIRST"]}, "options.token", "did you mean tokens"),
        ("feishu", {"person_field": "mobile"}, "options.person_field", "user_id, open_id"),
        ("dingtalk", {"aes_keys": ["env:FIRST"]}, "options.aes_keys", "43"),
        ("bamboohr", {"api_url": "http://example.bamboohr.com"}, "options.api_url", "https"),
        ("bamboohr", {"time_zone": "Mars/Base"}, "options.time_zone", "time zone"),
        ("workday", {}, "dialect", "known are bamboohr, dingtalk, feishu, hibob, personio, standard"),
    ],
)
def test_every_mistake_in_a_section_is_said_with_its_key(
    tmp_path: Path, dialect: str, options: dict[str, Any], key: str, words: str
) -> None:
    document = {
        "service": {"photo_key": "env:KEY"},
        "webhook": [{"name": "hr", "dialect": dialect, "options": options}],
    }

    with pytest.raises(SettingsError) as raised:
        check_sections(read(document, ENVIRON, tmp_path))

    said = dict(raised.value.mistakes)
    assert words in said[f"webhook[0].{key}"]


def test_employees_who_cannot_be_fetched_are_counted_also_where_there_are_none(
    redis: None, client: Client, service: Service, room: Room
) -> None:
    none = client.get("/metrics").text
    room.hire(EMPLOYEE)
    room.fault = "forbidden"
    happen(client, service, "person.created")

    one = client.get("/metrics").text

    assert 'syncsvc_employees_unfetched{name="personio",state="due"} 0.0' in none
    assert 'syncsvc_employees_unfetched{name="personio",state="due"} 1.0' in one
    assert 'syncsvc_employees_unfetched{name="personio",state="exhausted"} 0.0' in one
