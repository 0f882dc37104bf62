"""What a sandbox shows when it is told to lie about its listing, its counts and its deletions."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from syncsvc.sandbox.base import Sandbox
from syncsvc.sandbox.serve import running
from syncsvc.sandbox.sophon import Sandbox as Sophon

LIST = "/sophon/v2/face/getidentities"
SIZE = 2


@pytest.fixture
def room() -> Iterator[tuple[Sandbox, httpx.Client]]:
    sandbox = Sophon()
    for number in range(5):
        sandbox.plant(f"p{number}")
    with running(sandbox) as (url,), httpx.Client(base_url=url) as client:
        yield sandbox, client


def listed(client: httpx.Client, pages: int = 4) -> list[str]:
    """What each page shows: the people's numbers together."""
    return ["".join(one["identity_id"].removeprefix("p") for one in page(client, index)) for index in range(pages)]


def page(client: httpx.Client, index: int) -> list[dict[str, Any]]:
    answer = client.post(LIST, json={"page_index": index, "page_limit": SIZE})
    found: list[dict[str, Any]] = answer.json()["identities"]
    return found


def told(client: httpx.Client, index: int = 0) -> int:
    answer = client.post(LIST, json={"page_index": index, "page_limit": SIZE})
    return int(answer.json()["pagination"]["total_count"])


@pytest.mark.parametrize(
    ("listing", "shown", "count"),
    [
        ("honest", ["01", "23", "4", ""], 5),
        ("empty", ["", "", "", ""], 0),
        ("loop", ["01", "01", "01", "01"], 5),
        ("missing_page", ["01", "4", "", ""], 5),
        ("duplicate_page", ["01", "01", "23", "4"], 5),
    ],
)
def test_a_listing_may_show_something_else(
    room: tuple[Sandbox, httpx.Client], listing: str, shown: list[str], count: int
) -> None:
    sandbox, client = room

    sandbox.misbehave(listing=listing)

    assert listed(client) == shown
    assert told(client) == count
    assert len(sandbox.world.faces) == 5


def test_a_stale_listing_shows_the_world_as_it_was(room: tuple[Sandbox, httpx.Client]) -> None:
    sandbox, client = room
    sandbox.misbehave(listing="stale")
    sandbox.remove(sandbox.faces_of("p0")[0].vendor_face_id)
    sandbox.plant("p5")

    assert listed(client) == ["01", "23", "4", ""]

    sandbox.misbehave()
    assert page(client, 0)[0]["face_ids"] == []
    assert told(client) == 6


def test_an_endless_listing_always_has_another_full_page(room: tuple[Sandbox, httpx.Client]) -> None:
    sandbox, client = room
    sandbox.misbehave(listing="endless")

    for index in range(20):
        assert len(page(client, index)) == SIZE
        assert told(client, index) > (index + 1) * SIZE


def test_a_count_may_be_off(room: tuple[Sandbox, httpx.Client]) -> None:
    _, client = room

    client.post("/_control/misbehave", json={"count_off": -2})

    assert (told(client), len(page(client, 0))) == (3, SIZE)


def test_deleted_faces_come_back_once_with_their_ids(room: tuple[Sandbox, httpx.Client]) -> None:
    sandbox, client = room
    face = sandbox.faces_of("p1")[0].vendor_face_id
    client.post("/sophon/v2/face/deleteidentities", json={"identity_ids": ["p1"]})

    assert client.post("/_control/bring_back").json() == {"back": [face]}

    assert [one.vendor_face_id for one in sandbox.faces_of("p1")] == [face]
    sandbox.remove(face)
    assert sandbox.bring_back() == []


def test_deleted_faces_come_back_by_themselves(room: tuple[Sandbox, httpx.Client]) -> None:
    sandbox, client = room
    sandbox.misbehave(comes_back_after=0)
    client.post("/sophon/v2/face/deleteidentities", json={"identity_ids": ["p1"]})
    assert not sandbox.faces_of("p1")

    page(client, 0)

    assert len(sandbox.faces_of("p1")) == 1


@pytest.mark.parametrize(
    ("told", "says"), [({"listing": "odd"}, "listing must be one of"), ({"count": 1}, "mischief has no count")]
)
def test_a_wrong_wish_is_refused(room: tuple[Sandbox, httpx.Client], told: dict[str, Any], says: str) -> None:
    answer = room[1].post("/_control/misbehave", json=told)

    assert answer.status_code == 422
    assert says in answer.json()["error"]
