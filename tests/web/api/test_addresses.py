"""Whatever an id is made of, one address means one person and one face."""

import asyncio
from typing import Any
from urllib.parse import unquote

import pytest
from starlette.types import Message

from syncsvc.flow.record import record
from syncsvc.model.changes import Told, Upserted
from syncsvc.model.people import PersonId
from syncsvc.store import Store
from syncsvc.web import create_app
from syncsvc.wiring import Service
from tests.vendors.photos import draw
from tests.web.api.ground import OPERATOR, Script, assert_problem, at, inbox

IDS = ["a/b", "a/faces/b", "/", "//", "a%2Fb", "%", "Zoë Ä", "三/odd@id", "a?b#c", "a+b", "a;b=c", "🦄", "x" * 256]


@pytest.mark.parametrize("person", IDS)
def test_a_person_with_any_id_is_told_of_seen_and_gone(ops: Script, store: Store, person: str) -> None:
    assert ops.hire(person, left=draw(1)).status_code == 202
    assert ops.get(at(person)).json()["id"] == person
    assert ops.post(f"{at(person)}/resync").status_code == 202
    assert ops.put_photo(person, person, draw(2)).status_code == 202
    assert sorted(one["id"] for one in ops.get(at(person)).json()["faces"]) == sorted(["left", person])
    assert ops.ask("DELETE", at(person, person)).status_code == 202
    assert ops.ask("DELETE", at(person)).status_code == 202
    assert {one.person_id for one in inbox(store)} == {person}


def test_a_plain_slash_and_an_encoded_one_are_told_apart(ops: Script) -> None:
    ops.hire("alice", b=draw(1))
    ops.hire("alice/faces/b", left=draw(2))

    ops.ask("DELETE", "/v1/people/alice/faces/b")

    assert ops.get(at("alice")).json()["faces"] == []
    assert ops.get(at("alice/faces/b")).json()["faces"] == [{"id": "left"}]


def test_what_need_not_be_encoded_may_be(ops: Script) -> None:
    ops.hire("alice@example.com", left=draw(1))

    for address in (
        "/v1/people/alice@example.com",
        "/v1/people/alice%40example.com",
        "/v1/%70eople/%61lice@example.com",
    ):
        assert ops.get(address).json()["id"] == "alice@example.com"


BAD = {
    "a NUL": ("a%00b", "cannot be written"),
    "a line's end": ("a%0Ab", "cannot be written"),
    "not UTF-8": ("%FF", "is not UTF-8"),
    "an overlong form": ("%C0%AF", "is not UTF-8"),
    "half a character": ("%ED%A0%80", "is not UTF-8"),
    "a space at the end": ("a%20", "space"),
    "only a space": ("%20", "space"),
    "too long": ("x" * 257, "at most 256"),
    "a character nobody has assigned": ("%F4%8F%BF%BF", "cannot be written"),
}


@pytest.mark.parametrize(("segment", "words"), BAD.values(), ids=BAD)
def test_an_id_that_cannot_be_one_is_named(ops: Script, store: Store, segment: str, words: str) -> None:
    person, face = f"/v1/people/{segment}", f"/v1/people/alice/faces/{segment}"

    for answer in (
        ops.get(person),
        ops.ask("PUT", person, json={}),
        ops.ask("DELETE", person),
        ops.post(f"{person}/resync"),
        ops.ask("PUT", f"{person}/faces/left", content=draw(1).content, headers={"Content-Type": "image/jpeg"}),
        ops.ask("DELETE", f"{person}/faces/left"),
    ):
        assert_problem(answer, 422, words, "id")
    for answer in (
        ops.ask("PUT", face, content=draw(1).content, headers={"Content-Type": "image/jpeg"}),
        ops.ask("DELETE", face),
    ):
        assert_problem(answer, 422, words, "face")
    assert inbox(store) == []


@pytest.mark.parametrize(
    "path",
    ["/v1/people/", "/v1/people//", "/v1/people//faces/left", "/v1/people/a/faces", "/v1/people/a/b", "/v1/", "/v1"],
)
def test_an_address_that_is_none_is_nothing_here(ops: Script, path: str) -> None:
    assert_problem(ops.get(path), 404, "there is nothing at this address")


def test_dots_alone_are_an_id_too_where_a_client_leaves_them_alone(service: Service) -> None:
    """Most clients take them for "here" and "above", also encoded; the service does not."""
    record(service.house, Told("hr", "1", Upserted(PersonId(".."), ())))

    assert asked_as_it_is(service, b"/v1/people/%2E%2E") == 200
    assert asked_as_it_is(service, b"/v1/people/..") == 200
    assert asked_as_it_is(service, b"/v1/people/.") == 404


def test_a_server_that_passes_no_raw_path_on_still_finds_people(ops: Script, service: Service) -> None:
    ops.hire("alice", left=draw(1))

    assert asked_as_it_is(service, None, "/v1/people/alice") == 200


def asked_as_it_is(service: Service, raw: bytes | None, path: str = "") -> int:
    """The status of an answer to exactly this path."""
    statuses: list[int] = []
    scope: dict[str, Any] = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path or unquote((raw or b"").decode()),
        "query_string": b"",
        "headers": [(b"authorization", f"Bearer {OPERATOR}".encode())],
        **({} if raw is None else {"raw_path": raw}),
    }

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    asyncio.run(create_app(service)(scope, receive, send))
    return statuses[0]
