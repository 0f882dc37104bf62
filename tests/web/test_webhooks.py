"""What an HR system may say at the door, and what it is answered."""

import base64
import json
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select
from standardwebhooks import Webhook

from syncsvc.flow.record import Ring
from syncsvc.model.people import PersonId
from syncsvc.settings import Settings, read
from syncsvc.store.tables import changes, deliveries, faces, people, photos
from syncsvc.web import create_app
from syncsvc.web.problems import MEDIA_TYPE
from syncsvc.wiring import Service
from tests.vendors.photos import draw
from tests.web.asking import Client

OLD, NEW, OTHERS = ("whsec_" + base64.b64encode(word * 8).decode() for word in (b"old-", b"new-", b"him-"))
PHOTO = {"base64": base64.b64encode(draw(1).content).decode()}
LARGEST = 300_000


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    libraries = [
        {"name": "north-gate", "vendor": "sophon", "base_url": "http://127.0.0.1:1", "policy": "sync"},
        {
            "name": "fin",
            "vendor": "finauth",
            "base_url": "http://127.0.0.1:1",
            "policy": "sync",
            "options": {"api_key": "k", "api_secret": "env:OLD", "group_id": "g"},
        },
    ]
    document = {
        "service": {"photo_key": "env:KEY", "public_url": "http://localhost"},
        "database": {"url": "env:DATABASE"},
        "intake": {"max_body": LARGEST},
        "webhook": [{"name": "hr", "secrets": ["env:NEW", "env:OLD"]}],
        "library": libraries,
    }
    environ = {"KEY": base64.b64encode(b"k" * 32).decode(), "DATABASE": database_url, "OLD": OLD, "NEW": NEW}
    return read(document, environ, tmp_path)


@pytest.fixture
def rung() -> list[Ring]:
    return []


@pytest.fixture
def client(service: Service, rung: list[Ring]) -> Client:
    return Client(create_app(service, rung.extend))


def signed(body: bytes, *, secret: str = NEW, id_: str | None = None, at: datetime | None = None) -> dict[str, str]:
    id_, at = id_ or f"msg_{uuid.uuid4().hex}", at or datetime.now(UTC)
    return {
        "webhook-id": id_,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(id_, at, body.decode("utf-8", "replace")),
    }


def message(type_: str, told: Any) -> bytes:
    return json.dumps({"type": type_, "timestamp": "2026-03-02T08:00:00Z", "data": told}).encode()


def say(client: Client, type_: str, told: Any, **how: Any) -> httpx.Response:
    body = message(type_, told)
    return client.post("/webhooks/hr", content=body, headers=signed(body, **how))


def somebody(id_: str = "E1", **more: Any) -> dict[str, Any]:
    return {"person": {"id": id_, **more}}


def hire(client: Client, **how: Any) -> httpx.Response:
    return say(client, "person.upserted", somebody(faces=[{"id": "badge", "photo": PHOTO}]), **how)


def count(service: Service, table: Any) -> int:
    with service.house.store.reading() as tx:
        return int(tx._connection.scalar(select(func.count()).select_from(table)) or 0)


def nothing_is_written(service: Service) -> bool:
    return all(count(service, table) == 0 for table in (changes, people, faces, photos, deliveries))


# --- what is said well ----------------------------------------------------------------------------------------------


def test_a_hire_is_committed_before_its_answer_and_rung_for_after_it(
    client: Client, service: Service, rung: list[Ring]
) -> None:
    answer = hire(client)

    assert answer.status_code == 202
    with service.house.store.reading() as tx:
        entry = tx.changes.get(answer.json()["change"])
    assert entry is not None
    assert (entry.source, entry.person, entry.effect) == ("hr", "E1", "applied")
    assert (count(service, faces), count(service, deliveries)) == (1, 2)
    assert sorted(ring.library for ring in rung) == ["fin", "north-gate"]


def test_every_kind_of_event_is_taken(client: Client, service: Service) -> None:
    hire(client)

    answers = [
        say(client, "face.replaced", {**somebody(version=2), "face": {"id": "door", "photo": PHOTO}}),
        say(client, "face.deleted", {**somebody(version=3), "face": {"id": "door"}}),
        say(client, "person.upserted", somebody(version=4, name="Ada")),
        say(client, "person.departed", somebody(version=5)),
    ]

    assert [one.status_code for one in answers] == [202] * 4
    assert [one.json()["effect"] for one in answers] == ["applied"] * 4
    with service.house.store.reading() as tx:
        known = tx.people.get(PersonId("E1"))
    assert known is not None
    assert known.departed_at is not None
    assert count(service, photos) == 0


def test_the_same_id_again_is_200_and_nothing_is_done_twice(client: Client, service: Service, rung: list[Ring]) -> None:
    first = hire(client, id_="msg_1")
    rung.clear()

    again = hire(client, id_="msg_1")

    assert (first.status_code, again.status_code) == (202, 200)
    assert again.json()["change"] == first.json()["change"]
    assert (count(service, changes), rung) == (1, [])


def test_a_message_heard_before_is_not_read_again(client: Client, service: Service) -> None:
    """Its photo's address may have expired since."""
    first = hire(client, id_="msg_1")

    again = say(client, "person.upserted", {"nonsense": 1}, id_="msg_1")

    assert (again.status_code, again.json()["change"]) == (200, first.json()["change"])


def test_an_older_version_is_old_news_and_an_equal_one_a_repeat(client: Client) -> None:
    say(client, "person.upserted", somebody(version=7, faces=[]))

    older = say(client, "person.upserted", somebody(version=6, faces=[]))
    same = say(client, "person.upserted", somebody(version=7, faces=[]))

    assert (older.status_code, older.json()["effect"]) == (202, "old_news")
    assert (same.status_code, same.json()["effect"]) == (202, "unchanged")


def test_a_late_message_brings_nobody_back_and_an_explicit_newer_one_does(client: Client) -> None:
    say(client, "person.departed", somebody(version=9))

    late = say(client, "person.upserted", somebody(version=8, faces=[]))
    rehired = say(client, "person.upserted", somebody(version=10, faces=[]))

    assert (late.json()["effect"], rehired.json()["effect"]) == ("old_news", "applied")


def test_either_secret_is_good_while_they_rotate(client: Client) -> None:
    assert hire(client, secret=OLD).status_code == 202
    assert hire(client, secret=NEW).status_code == 202


def test_a_departure_in_the_future_waits(client: Client) -> None:
    later = (datetime.now(UTC) + timedelta(days=3)).isoformat()

    answer = say(client, "person.departed", {**somebody(), "effective_at": later})

    assert (answer.status_code, answer.json()["effect"]) == (202, "waiting")


def test_a_feature_goes_where_features_are_taken_and_is_told_where_not(client: Client) -> None:
    face = {"id": "badge", "photo": {"feature": [0.5] * 512}}

    answer = say(client, "person.upserted", somebody(faces=[face]))

    (photo,) = answer.json()["photos"]
    assert answer.status_code == 202
    assert photo["passes"] == ["north-gate"]
    assert "fin" in photo["fails"]
    assert photo["words"].startswith("passes 1 of 2: fin ")


def test_what_senders_add_around_their_data_is_passed_over(client: Client) -> None:
    told = {"type": "person.departed", "timestamp": "2026-03-02T08:00:00Z", "data": somebody(), "api_version": 3}
    body = json.dumps(told).encode()

    assert client.post("/webhooks/hr", content=body, headers=signed(body)).status_code == 202


# --- who is not believed --------------------------------------------------------------------------------------------


def _without(name: str) -> Callable[[bytes], dict[str, str]]:
    return lambda body: {key: value for key, value in signed(body).items() if key != name}


def _with(**more: str) -> Callable[[bytes], dict[str, str]]:
    return lambda body: signed(body) | {key.replace("_", "-"): value for key, value in more.items()}


@pytest.mark.parametrize(
    "headers",
    [
        lambda body: {},
        _without("webhook-id"),
        _without("webhook-timestamp"),
        _without("webhook-signature"),
        _with(webhook_id="msg_another"),
        _with(webhook_timestamp="soon"),
        _with(webhook_timestamp="NaN"),
        _with(webhook_timestamp="9" * 400),
        _with(webhook_signature="v1"),
        _with(webhook_signature="v1,%%%"),
        _with(webhook_signature="v2,abcd"),
        _with(webhook_signature=","),
        lambda body: signed(body, secret=OTHERS),
        lambda body: signed(body + b" "),
        lambda body: signed(body, at=datetime.now(UTC) - timedelta(minutes=6)),
        lambda body: signed(body, at=datetime.now(UTC) + timedelta(minutes=6)),
    ],
)
def test_who_does_not_sign_well_and_now_is_not_believed(
    client: Client, service: Service, headers: Callable[[bytes], dict[str, str]]
) -> None:
    body = message("person.departed", somebody())

    answer = client.post("/webhooks/hr", content=body, headers=headers(body))

    assert answer.status_code == 401
    assert answer.headers["Content-Type"] == MEDIA_TYPE
    assert nothing_is_written(service)


def test_a_webhook_that_nobody_configured_is_not_there(client: Client) -> None:
    body = message("person.departed", somebody())

    assert client.post("/webhooks/payroll", content=body, headers=signed(body)).status_code == 404
    assert client.get("/webhooks/hr").status_code == 405


# --- what cannot be used --------------------------------------------------------------------------------------------

FACE = {"id": "badge", "photo": PHOTO}
BAD = [
    (b"", "the body is not JSON", None),
    (b"{", "the body is not JSON", None),
    (b"[]", "the body is not a JSON object", None),
    (b"\xff\xfe{}", None, None),
    (b'{"type": NaN}', "the body is not JSON", None),
    (b"[" * 100_000, "the body is not JSON", None),
    (b'{"a":' * 20_000 + b"1" + b"}" * 20_000, None, None),
    (json.dumps({"data": {}}).encode(), "type: field required", "type"),
    (json.dumps({"type": "person.departed"}).encode(), "data: field required", "data"),
    (message("person.promoted", somebody()), "type: must be one of person.upserted, ", "type"),
    (
        json.dumps({"type": "person.departed", "timestamp": "now", "data": somebody()}).encode(),
        "timestamp",
        "timestamp",
    ),
    (message("person.departed", {}), "data.person: field required", "data.person"),
    (message("person.departed", {"person": "E1"}), "data.person: must be an object", "data.person"),
    (message("person.departed", somebody("")), "data.person.id: the person's id is empty", "data.person.id"),
    (message("person.departed", somebody("a\0b")), "data.person.id", "data.person.id"),
    (message("person.departed", somebody("x" * 257)), "data.person.id", "data.person.id"),
    (message("person.departed", {"person": {"id": 7}}), "data.person.id", "data.person.id"),
    (message("person.departed", somebody(version="7")), "data.person.version", "data.person.version"),
    (message("person.departed", somebody(version=2**63)), "data.person.version", "data.person.version"),
    (message("person.departed", somebody(version=-1)), "data.person.version", "data.person.version"),
    (message("person.departed", somebody(version=10**4000)), None, None),
    (message("person.departed", somebody(versoin=7)), "data.person.versoin", "data.person.versoin"),
    (
        message("person.departed", {**somebody(), "effective_at": "2030-01-01T00:00:00"}),
        "data.effective_at",
        "data.effective_at",
    ),
    (
        message("person.departed", {**somebody(), "effective_at": "9999-12-31T23:59:59-14:00"}),
        "data.effective_at: is outside the years 1 to 9999",
        "data.effective_at",
    ),
    (
        message("person.departed", {**somebody(), "effective_at": 20301231}),  # as seconds, a day in 1970
        "data.effective_at: must be a moment",
        "data.effective_at",
    ),
    (message("person.departed", {**somebody(), "effective_at": "4102444800"}), None, "data.effective_at"),
    (message("person.upserted", somebody(faces=[FACE, FACE])), "data.person.faces: one face", "data.person.faces"),
    (message("person.upserted", somebody(faces=[{"id": "a", "photo": {}}])), None, "data.person.faces.0.photo"),
    (
        message("person.upserted", somebody(faces=[{"id": "a", "photo": {**PHOTO, "url": "https://x.example"}}])),
        None,
        "data.person.faces.0.photo",
    ),
    (
        message("person.upserted", somebody(faces=[{"id": "a", "photo": {"base64": "%%%"}}])),
        "data.person.faces.0.photo: is not base64",
        "data.person.faces.0.photo",
    ),
    (
        message("person.upserted", somebody(faces=[FACE, {"id": "b", "photo": {"base64": "AAAA"}}])),
        "data.person.faces.1.photo: the photo cannot be read",
        "data.person.faces.1.photo",
    ),
    (
        message("person.upserted", somebody(faces=[{"id": f"f{n}", "photo": {"base64": ""}} for n in range(2_000)])),
        "data.person.faces",
        "data.person.faces",
    ),
    (
        message("face.replaced", {**somebody(), "face": {"id": "a", "photo": {"feature": [0.5] * 511}}}),
        None,
        "data.face.photo.feature",
    ),
    (message("face.deleted", {**somebody(), "face": {"id": ""}}), "data.face.id", "data.face.id"),
    (message("person.upserted", somebody(name="x" * 1001)), "data.person.name", "data.person.name"),
    (message("person.upserted", somebody(name=["Ada"])), "data.person.name", "data.person.name"),
    (message("person.upserted", somebody(name="\ud800")), "data.person.name", "data.person.name"),
    (message("person.departed", somebody("\udfff")), "data.person.id", "data.person.id"),
]


@pytest.mark.parametrize(("body", "detail", "field"), BAD)
def test_what_cannot_be_used_is_named_and_nothing_is_half_written(
    client: Client, service: Service, body: bytes, detail: str | None, field: str | None
) -> None:
    answer = client.post("/webhooks/hr", content=body, headers=signed(body))

    if body.startswith(b"\xff"):  # not text, so that nobody can have signed it
        assert answer.status_code == 401
    else:
        said = answer.json()
        assert answer.status_code == 422, said
        assert said["detail"].startswith(detail or ""), said
        assert field is None or said["field"].startswith(field)
        assert len(answer.content) < 2_000
    assert nothing_is_written(service)


def test_what_is_too_large_is_refused_whether_or_not_it_says_so(client: Client, service: Service) -> None:
    body = message("person.upserted", somebody(name="x" * LARGEST))

    def dripping() -> Iterator[bytes]:
        yield body

    told = client.post("/webhooks/hr", content=body, headers=signed(body))

    assert told.status_code == 413
    assert told.headers["Content-Type"] == MEDIA_TYPE
    assert nothing_is_written(service)


def test_nobody_unknown_is_a_mistake(client: Client) -> None:
    """HR may tell of people and faces in any order: what is not there is noted, and is no error."""
    answers = [
        say(client, "person.departed", somebody("never-seen")),
        say(client, "face.deleted", {**somebody("never-seen-2"), "face": {"id": "badge"}}),
    ]

    assert [one.status_code for one in answers] == [202, 202]


def test_how_it_went_is_counted(client: Client, service: Service) -> None:
    hire(client, id_="msg_1")
    hire(client, id_="msg_1")
    hire(client, secret=OTHERS)
    say(client, "person.departed", {})

    shown = client.get("/metrics").text

    for outcome in ("accepted", "repeated", "unsigned", "invalid"):
        assert f'syncsvc_webhooks_total{{name="hr",outcome="{outcome}"}} 1.0' in shown
