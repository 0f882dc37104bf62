"""People over HTTP: seen, told of, gone, and delivered again."""

import asyncio
import json
from datetime import timedelta

import httpx
import pytest

from syncsvc.model.people import PersonId
from syncsvc.store import Store
from syncsvc.web import create_app
from syncsvc.wiring import Service
from tests.conftest import MovableClock
from tests.vendors.photos import draw
from tests.web.api.ground import OPERATOR, Album, Script, assert_problem, at, faces_of, inbox, row


def test_a_person_is_told_of_once_and_owed_to_every_library(ops: Script, store: Store, rung: list[str]) -> None:
    answer = ops.hire("alice", left=draw(1), right=draw(2))

    assert answer.status_code == 202
    told = answer.json()
    assert (told["effect"], [one["face"] for one in told["photos"]]) == ("applied", ["left", "right"])
    assert sorted(rung) == ["gate", "yard"]
    assert [(one.id, one.source, one.kind) for one in inbox(store)] == [(told["change"], "api:ops", "person.upserted")]
    shown = ops.get(at("alice")).json()
    assert (shown["id"], shown["revision"], shown["faces"]) == ("alice", 1, [{"id": "left"}, {"id": "right"}])
    assert [(one["name"], one["vendor"], one["state"], one["wanted"], one["held"]) for one in shown["libraries"]] == [
        ("gate", "sophon", "due", 1, None),
        ("yard", "finauth", "due", 1, None),
    ]
    assert shown["libraries"][0].keys() >= {"reason", "attempts", "due_at", "faces"}


def test_faces_absent_stay_and_faces_given_are_exactly_these(ops: Script) -> None:
    ops.hire("alice", left=draw(1), right=draw(2))

    ops.ask("PUT", at("alice"), json={"name": "Alice"})
    unchanged = faces_of(ops, "alice")
    ops.hire("alice", right=draw(2))

    assert (unchanged, faces_of(ops, "alice")) == (["left", "right"], ["right"])


def test_an_older_version_of_a_script_is_old_news(ops: Script) -> None:
    ops.ask("PUT", at("alice"), json={"version": 7, "faces": []})

    answer = ops.ask("PUT", at("alice"), json={"version": 6, "faces": []})

    assert (answer.status_code, answer.json()["effect"]) == (202, "old_news")


def test_the_id_may_stand_in_the_body_if_it_is_the_same(ops: Script, store: Store) -> None:
    same = ops.ask("PUT", at("alice"), json={"id": "alice", "faces": []})
    other = ops.ask("PUT", at("alice"), json={"id": "bob", "faces": []})

    assert same.status_code == 202
    assert_problem(other, 422, "another than the one in the address", "id")
    assert len(inbox(store)) == 1


NASTY = {
    "nothing": (b"", "the body", None),
    "no JSON": (b"{", "the body", None),
    "a list": (b"[]", "the body", None),
    "deeply nested": (b'{"faces":' + b"[" * 100_000, "the body", None),
    "not UTF-8": (b'{"name": "\xff"}', "the body", None),
    "half a character": (b'{"name": "\\ud800"}', "the body", None),
    "unknown key": (b'{"nmae": "x"}', "nmae", "nmae"),
    "huge version": (b'{"version": 9223372036854775808}', "version", "version"),
    "endless version": (b'{"version": ' + b"9" * 5000 + b"}", "the body", None),
    "negative version": (b'{"version": -1}', "version", "version"),
    "version as text": (b'{"version": "1"}', "version", "version"),
    "name as number": (b'{"name": 1}', "name", "name"),
    "faces as text": (b'{"faces": "x"}', "faces", "faces"),
    "face without photo": (b'{"faces": [{"id": "f"}]}', "photo", "faces.0.photo"),
    "no photo at all": (b'{"faces": [{"id": "f", "photo": {}}]}', "one way", "faces.0.photo"),
    "photo twice": (b'{"faces": [{"id": "f", "photo": {"base64": "", "url": "x"}}]}', "one way", "faces.0.photo"),
    "photo no base64": (b'{"faces": [{"id": "f", "photo": {"base64": "%"}}]}', "base64", "faces.0.photo"),
    "photo no picture": (b'{"faces": [{"id": "f", "photo": {"base64": "AAAA"}}]}', "picture", "faces.0.photo"),
    "face with empty id": (b'{"faces": [{"id": "", "photo": {"base64": "AAAA"}}]}', "is empty", "faces.0.id"),
    "face id with NUL": (b'{"faces": [{"id": "\\u0000", "photo": {"base64": "AAAA"}}]}', "cannot be", "faces.0.id"),
    "feature too short": (b'{"faces": [{"id": "f", "photo": {"feature": [1]}}]}', "512", "faces.0.photo.feature"),
    "feature of text": (
        b'{"faces": [{"id": "f", "photo": {"feature": ["x"]}}]}',
        "feature",
        "faces.0.photo.feature.0",
    ),
    "feature without end": (
        b'{"faces": [{"id": "f", "photo": {"feature": [' + b",".join([b"1e999"] * 512) + b"]}}]}",
        "finite",
        "faces.0.photo.feature.0",
    ),
    "feature that is no number": (
        b'{"faces": [{"id": "f", "photo": {"feature": [' + b",".join([b"NaN"] * 512) + b"]}}]}",
        "",
        "faces.0.photo.feature.0",
    ),
    "10,000 faces": (
        json.dumps({"faces": [{"id": f"f{n}", "photo": {"url": "https://x.example"}} for n in range(10_000)]}).encode(),
        "100",
        "faces",
    ),
    "one face twice": (
        json.dumps({"faces": [{"id": "f", "photo": {"url": "https://x.example"}}] * 2}).encode(),
        "twice",
        "faces",
    ),
}


@pytest.mark.parametrize(("body", "words", "field"), NASTY.values(), ids=NASTY)
def test_a_bad_body_is_named_and_nothing_is_written(
    ops: Script, store: Store, body: bytes, words: str, field: str | None
) -> None:
    answer = ops.ask("PUT", at("alice"), content=body, headers={"Content-Type": "application/json"})

    assert_problem(answer, 422, words, field)
    assert inbox(store) == []
    assert ops.get(at("alice")).status_code == 404


def test_a_body_of_another_kind_is_not_guessed_at(ops: Script, store: Store) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "application/xml"):
        answer = ops.ask("PUT", at("alice"), content=b"{}", headers={"Content-Type": kind} if kind else {})

        assert_problem(answer, 415, "Content-Type: application/json")
    assert inbox(store) == []


def test_a_departure_takes_every_face_and_the_person_still_answers(ops: Script, clock: MovableClock) -> None:
    ops.hire("alice", left=draw(1))

    answer = ops.ask("DELETE", at("alice"))

    assert (answer.status_code, answer.json()["effect"], answer.json()["photos"]) == (202, "applied", [])
    shown = ops.get(at("alice")).json()
    assert (shown["faces"], shown["departed_at"]) == ([], clock().isoformat().replace("+00:00", "Z"))
    assert [one["state"] for one in shown["libraries"]] == ["due", "due"]
    assert ops.ask("DELETE", at("alice")).json()["effect"] == "unchanged"


def test_nobody_unknown_departs(ops: Script, store: Store) -> None:
    assert_problem(ops.ask("DELETE", at("alice")), 404, "nobody is known as 'alice'")
    assert inbox(store) == []
    assert ops.get("/v1/people").json()["people"] == []


def test_a_departure_waits_for_its_moment(ops: Script, clock: MovableClock) -> None:
    ops.hire("alice", left=draw(1))
    moment = (clock() + timedelta(days=1)).astimezone().isoformat().replace("+", "%2B")

    answer = ops.ask("DELETE", f"{at('alice')}?effective_at={moment}")

    assert (answer.status_code, answer.json()["effect"]) == (202, "waiting")
    assert faces_of(ops, "alice") == ["left"]
    shown = ops.get(f"/v1/changes/{answer.json()['change']}").json()
    assert shown["state"] == "waiting"


@pytest.mark.parametrize(
    "moment",
    [
        "tomorrow",
        "2026-13-01T00:00:00Z",
        "2026-01-01T00:00:00",
        "0001-01-01T00:00:00%2B14:00",
        "1e400",
        "1767225600",
        "-1",
        "%00",
        "",
    ],
)
def test_a_moment_that_is_none_is_named(ops: Script, store: Store, moment: str) -> None:
    ops.hire("alice", left=draw(1))

    answer = ops.ask("DELETE", f"{at('alice')}?effective_at={moment}")

    assert_problem(answer, 422, "effective_at", "effective_at")
    assert len(inbox(store)) == 1


def test_the_same_request_with_the_same_key_counts_once(ops: Script, store: Store) -> None:
    ops.hire("alice", left=draw(1))

    first = ops.ask("DELETE", at("alice"), key="once")
    ops.hire("alice", left=draw(1))
    second = ops.ask("DELETE", at("alice"), key="once")

    assert (first.status_code, second.status_code) == (202, 200)
    assert first.json() == second.json()
    assert faces_of(ops, "alice") == ["left"]
    assert len(inbox(store)) == 3


def test_the_same_key_on_another_request_is_another_change(ops: Script) -> None:
    ops.hire("alice", left=draw(1))
    ops.hire("bob", left=draw(2))

    answers = [ops.ask("DELETE", at(person), key="k") for person in ("alice", "bob")]

    assert [one.status_code for one in answers] == [202, 202]
    assert [faces_of(ops, person) for person in ("alice", "bob")] == [[], []]


@pytest.mark.parametrize("key", ["", "x" * 256, "two words", "caf\xe9"])
def test_a_key_that_cannot_be_one_is_named(ops: Script, store: Store, key: str) -> None:
    answer = ops.ask("PUT", at("alice"), json={"faces": []}, headers={"Idempotency-Key": key.encode("latin-1")})

    assert_problem(answer, 422, "Idempotency-Key", "Idempotency-Key")
    assert inbox(store) == []


def test_a_resync_owes_a_person_everywhere_and_looks_first(ops: Script, store: Store, rung: list[str]) -> None:
    ops.hire("alice", left=draw(1))
    rung.clear()

    answer = ops.post(f"{at('alice')}/resync")

    assert (answer.status_code, answer.json()) == (202, {"libraries": ["gate", "yard"]})
    assert rung == ["gate", "yard"]
    assert row(store, "alice").state == "doubtful"
    assert_problem(ops.post(f"{at('bob')}/resync"), 404, "nobody is known as 'bob'")


def test_everybody_is_listed_page_by_page(ops: Script, eyes: Script) -> None:
    people = ["a/b", "alice", "bob", "Zoë", "三"]
    for number, person in enumerate(people):
        ops.hire(person, **{f"f{one}": draw(one) for one in range(number)})
    ops.ask("DELETE", at("bob"))

    pages, address = [], "/v1/people?limit=2"
    while address:
        page = eyes.get(address).json()
        pages.append(page["people"])
        address = page["next"]

    assert [len(page) for page in pages] == [2, 2, 1]
    found = {one["id"]: (one["revision"], one["faces"], one["departed_at"] is None) for page in pages for one in page}
    assert found == {
        "a/b": (1, 0, True),
        "alice": (1, 1, True),
        "bob": (2, 0, False),
        "Zoë": (1, 3, True),
        "三": (1, 4, True),
    }


def test_a_page_that_ends_with_the_last_person_is_the_last(ops: Script) -> None:
    ops.hire("alice")
    ops.hire("bob")

    assert ops.get("/v1/people?limit=2").json()["next"] is None


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=99999999999999999999999", "limit"),
        ("limit=x", "limit"),
        ("limit=%00", "limit"),
        ("cursor=x", "cursor"),
        ("cursor=%00", "cursor"),
        ("cursor=%F0%9F%A6%84", "cursor"),
        ("cursor=IlxlZDgwMCI", "cursor"),
        ("cursor=IlwwMCI", "cursor"),
        ("cursor=WzFd", "cursor"),
        ("cursor=ImFcdTAwMDAi", "cursor"),  # "a\\u0000"
        ("cursor=" + "A" * 3000, "cursor"),
    ],
)
def test_a_page_that_is_none_is_named(ops: Script, query: str, field: str) -> None:
    assert_problem(ops.get(f"/v1/people?{query}"), 422, field, field)


def test_a_photos_server_that_is_away_is_to_be_asked_again(ops: Script, album: Album, store: Store) -> None:
    told = {"faces": [{"id": "left", "photo": {"url": "https://photos.example/1"}}]}

    away = ops.ask("PUT", at("alice"), json=told, key="k")
    album.photos["https://photos.example/1"] = draw(1)
    there = ops.ask("PUT", at("alice"), json=told, key="k")
    album.photos.clear()
    again = ops.ask("PUT", at("alice"), json=told, key="k")

    assert_problem(away, 503, "did not answer")
    assert int(away.headers["Retry-After"]) > 0
    assert (there.status_code, again.status_code) == (202, 200)
    assert again.json() == there.json() | {"photos": []}
    assert len(inbox(store)) == 1


def test_who_is_listed_is_who_was_told_of(ops: Script, store: Store) -> None:
    ops.hire("alice", left=draw(1))

    with store.reading() as tx:
        (found,) = tx.census.page(after=None, limit=10)
        after = tx.census.page(after=PersonId("alice"), limit=10)

    assert (found.id, found.faces, after) == ("alice", 1, [])


def test_a_misspelt_moment_is_not_now(ops: Script, store: Store) -> None:
    ops.hire("alice", left=draw(1))

    answer = ops.ask("DELETE", f"{at('alice')}?effectiv_at=2027-01-01T00:00:00Z")

    assert_problem(answer, 422, "effectiv_at", "effectiv_at")
    assert faces_of(ops, "alice") == ["left"]


def test_the_same_request_sent_many_times_at_once_counts_once(ops: Script, service: Service, store: Store) -> None:
    ops.hire("alice", left=draw(1))
    transport = httpx.ASGITransport(create_app(service))
    headers = {"Authorization": f"Bearer {OPERATOR}", "Idempotency-Key": "k"}

    async def at_once() -> list[httpx.Response]:
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await asyncio.gather(*(client.delete(at("alice"), headers=headers) for _ in range(12)))

    answers = asyncio.run(at_once())

    assert sorted(one.status_code for one in answers) == [200] * 11 + [202]
    assert len({one.json()["change"] for one in answers}) == 1
    assert len(inbox(store)) == 2


def test_a_person_is_explained_library_by_library(ops: Script) -> None:
    ops.hire("alice", left=draw(1))

    answer = ops.get(f"{at('alice')}/explain")

    assert answer.status_code == 200
    assert answer.json()["told_by"]["source"] == "api:ops"
    steps = [(one["name"], one["steps"]) for one in answer.json()["libraries"]]
    words = "add face left: it is wanted, and the library does not hold it"
    assert steps == [("gate", [words]), ("yard", [words])]
    assert_problem(ops.get(f"{at('bob')}/explain"), 404, "nobody is known as 'bob'")
