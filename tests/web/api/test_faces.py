"""One face over HTTP: a new picture in whichever way it comes, and the end of it."""

import base64
from dataclasses import replace

import pytest

from syncsvc.store import Store
from syncsvc.web import create_app
from syncsvc.wiring import Service
from tests.vendors.photos import draw
from tests.web.api.ground import FEATURE, OPERATOR, Album, Script, assert_problem, at, faces_of, inbox
from tests.web.asking import Client


def test_a_photo_is_sent_as_it_is(ops: Script, store: Store, rung: list[str]) -> None:
    ops.hire("alice", left=draw(1))
    rung.clear()

    answer = ops.put_photo("alice", "left", draw(2))

    assert answer.status_code == 202
    told = answer.json()
    assert (told["effect"], [one["face"] for one in told["photos"]]) == ("applied", ["left"])
    assert sorted(rung) == ["gate", "yard"]
    assert inbox(store)[-1].kind == "face.replaced"
    assert ops.put_photo("alice", "left", draw(2)).json()["effect"] == "unchanged"


def test_a_face_that_was_not_there_is_added_and_so_is_a_person(ops: Script) -> None:
    ops.put_photo("alice", "left", draw(1))
    ops.put_photo("alice", "right", draw(2))

    assert faces_of(ops, "alice") == ["left", "right"]


def test_a_photo_comes_as_base64_as_a_url_or_as_a_feature(ops: Script, album: Album) -> None:
    album.photos["https://photos.example/1"] = draw(2)
    ways = [
        {"base64": base64.b64encode(draw(1).content).decode()},
        {"url": "https://photos.example/1"},
        {"feature": FEATURE},
    ]

    answers = [ops.ask("PUT", at("alice", "left"), json={"photo": way}) for way in ways]

    assert [(one.status_code, one.json()["effect"]) for one in answers] == [(202, "applied")] * 3


def test_what_some_library_cannot_take_is_told_beforehand(ops: Script) -> None:
    answer = ops.ask("PUT", at("alice", "left"), json={"photo": {"feature": FEATURE}})

    (shown,) = answer.json()["photos"]
    assert answer.status_code == 202
    assert (shown["face"], shown["passes"], list(shown["fails"])) == ("left", ["gate"], ["yard"])
    assert "yard" in shown["words"]


def test_what_no_library_can_take_is_refused(service: Service, store: Store) -> None:
    yard = {name: shelf for name, shelf in service.house.shelves.items() if name == "yard"}
    ops = Script(Client(create_app(replace(service, house=replace(service.house, shelves=yard)))), OPERATOR)

    one = ops.ask("PUT", at("alice", "left"), json={"photo": {"feature": FEATURE}})
    whole = ops.ask("PUT", at("alice"), json={"faces": [{"id": "left", "photo": {"feature": FEATURE}}]})

    assert_problem(one, 422, "yard takes photos, not features", "photo")
    assert_problem(whole, 422, "face 'left' passes 0 of 1", "photo")
    assert inbox(store) == []


def test_a_departed_person_does_not_come_back_by_a_photo(ops: Script, store: Store) -> None:
    ops.hire("alice", left=draw(1))
    ops.ask("DELETE", at("alice"))

    answer = ops.put_photo("alice", "left", draw(2))

    assert_problem(answer, 409, "alice has departed")
    assert len(inbox(store)) == 2
    assert faces_of(ops, "alice") == []


def test_what_was_told_before_is_answered_though_the_person_has_departed_since(ops: Script) -> None:
    first = ops.put_photo("alice", "left", draw(1), key="k")
    ops.ask("DELETE", at("alice"))

    again = ops.put_photo("alice", "left", draw(1), key="k")

    assert (again.status_code, again.json()["change"]) == (200, first.json()["change"])
    assert faces_of(ops, "alice") == []


def test_the_same_key_with_another_photo_loses_nothing(ops: Script) -> None:
    ops.put_photo("alice", "left", draw(1), key="k")

    answer = ops.put_photo("alice", "left", draw(2), key="k")

    assert (answer.status_code, answer.json()["effect"]) == (202, "applied")


def test_a_face_is_deleted_and_the_others_stay(ops: Script) -> None:
    ops.hire("alice", left=draw(1), right=draw(2))

    answer = ops.ask("DELETE", at("alice", "left"))

    assert (answer.status_code, answer.json()["effect"]) == (202, "applied")
    assert faces_of(ops, "alice") == ["right"]


def test_a_face_that_is_not_there_cannot_be_deleted(ops: Script, store: Store) -> None:
    ops.hire("alice", left=draw(1))

    assert_problem(ops.ask("DELETE", at("alice", "right")), 404, "'alice' has no face 'right'")
    assert_problem(ops.ask("DELETE", at("bob", "right")), 404, "nobody is known as 'bob'")
    assert len(inbox(store)) == 1


def test_a_repeated_deletion_with_its_key_is_no_mistake(ops: Script) -> None:
    ops.hire("alice", left=draw(1))

    answers = [ops.ask("DELETE", at("alice", "left"), key="k") for _ in range(2)]

    assert [one.status_code for one in answers] == [202, 200]


@pytest.mark.parametrize(
    ("kind", "body", "status", "words"),
    [
        ("image/jpeg", b"", 422, "empty"),
        ("image/jpeg", b"%PDF-1.7", 422, "cannot be read as a picture"),
        ("image/png", draw(1).content[:200], 422, "photo"),
        ("image/svg+xml", b"<svg/>", 422, "cannot be read as a picture"),
        ("text/plain", b"x", 415, "image/jpeg"),
        ("application/x-www-form-urlencoded", draw(1).content, 415, "image/jpeg"),
        ("multipart/form-data; boundary=x", b"--x--", 415, "image/jpeg"),
        ("", draw(1).content, 415, "image/jpeg"),
        ("\xff", b"", 415, "image/jpeg"),
        ("application/json", b"", 422, "the body"),
        ("application/json", b"null", 422, "the body"),
        ("application/json", b"{}", 422, "photo"),
        ("application/json", b'{"photo": null}', 422, "photo"),
        ("application/json", b'{"photo": {"base64": ""}}', 422, "photo: the photo is empty"),
        ("application/json", b'{"photo": {"base64": "data:image/png;base64,AAAA"}}', 422, "not base64"),
        ("application/json", b'{"photo": {"url": 1}}', 422, "photo.url"),
        ("application/json", b'{"photo": {"feature": {}}}', 422, "photo.feature"),
        ("application/json; charset=utf-16", '{"photo": {}}'.encode("utf-16"), 422, "the body"),
        ("application/json", b'{"photo":' * 50_000, 422, "the body"),
        ("application/json", b'{"\\ud800": 1, "photo": {}}', 422, "the body"),
    ],
)
def test_a_bad_body_is_named_and_nothing_is_written(
    ops: Script, store: Store, *, kind: str, body: bytes, status: int, words: str
) -> None:
    headers = {"Content-Type": kind.encode("latin-1")} if kind else {}

    answer = ops.ask("PUT", at("alice", "left"), content=body, headers=headers)

    assert_problem(answer, status, words, answer.json().get("field"))
    assert inbox(store) == []
