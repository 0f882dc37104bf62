"""Looking for users: every filter, every order, every page, and no more than was asked for."""

from typing import Any

import pytest

from syncsvc.web.scim import queries
from tests.conftest import MovableClock
from tests.web.scim.provider import LIST, USER, IdentityProvider

SEARCH = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
X = "https://photos.example.com/x.jpg"


@pytest.fixture
def staff(idp: IdentityProvider, clock: MovableClock) -> IdentityProvider:
    """Four people, hired in this order; Bob is gone, Dora has a photo, Carol has no name."""
    told: list[dict[str, Any]] = [
        {"userName": "dora@example.com", "externalId": "E-4", "displayName": "Dora", "photos": [{"value": X}]},
        {"userName": "Alice@example.com", "externalId": "E-1", "displayName": "Alice", "name": {"familyName": "Ahn"}},
        {"userName": "carol@example.com", "externalId": "E-3"},
        {"userName": "bob@example.com", "externalId": "E-2", "displayName": "Bob", "name": {"familyName": "berg"}},
    ]
    for one in told:
        clock.advance(60)
        assert idp.post({"schemas": [USER], **one}).status_code == 201
    bob = idp.get('/Users?filter=externalId eq "E-2"').json()["Resources"][0]["id"]
    idp.patch(bob, {"op": "replace", "path": "active", "value": False})
    return idp


def names(answer: Any) -> list[str]:
    return [one["userName"].partition("@")[0].lower() for one in answer.json()["Resources"]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ('userName eq "ALICE@example.com"', ["alice"]),
        ('USERNAME EQ "alice@example.com"', ["alice"]),
        ('urn:ietf:params:scim:schemas:core:2.0:User:userName eq "alice@example.com"', ["alice"]),
        ('externalId eq "E-3"', ["carol"]),
        ('externalId eq "e-3"', []),
        ('externalId eq "E-3" and active eq true', ["carol"]),
        ('active eq false and externalId eq "E-3"', []),
        ('externalId eq "E-3" or externalId eq "E-4"', ["dora", "carol"]),
        ('not (externalId eq "E-3")', ["dora", "alice", "bob"]),
        ('id eq "nobody"', []),
        ("active eq false", ["bob"]),
        ("displayName pr", ["dora", "alice", "bob"]),
        ('displayName co "O"', ["dora", "bob"]),
        ('name.familyName sw "b"', ["bob"]),
        ('name.familyName gt "ahn"', ["bob"]),
        ("photos pr", ["dora"]),
        ('photos[type eq "photo"]', ["dora"]),
        ('meta.created ge "2026-03-02T08:03:00Z"', ["carol", "bob"]),
        ('meta.lastModified lt "2026-03-02T08:02:00Z"', ["dora"]),
        ('userName eq "a\\"b"', []),
        ('userName eq "\\u0000"', []),
        ('userName eq "\\ud800"', []),
    ],
)
def test_a_filter_finds_whom_it_describes(staff: IdentityProvider, query: str, expected: list[str]) -> None:
    answer = staff.get("/Users", params={"filter": query})

    assert answer.status_code == 200, answer.text
    assert names(answer) == expected
    assert answer.json()["totalResults"] == len(expected)


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        ("userName eq", "invalidFilter"),
        ("userName zz 1", "invalidFilter"),
        ('emails.value eq "a@example.com"', "invalidFilter"),
        ("active gt true", "invalidFilter"),
        ('meta.created gt "yesterday"', "invalidFilter"),
        ("(" * 500, "invalidFilter"),
        ("not (" * 100 + "active pr" + ")" * 100, "invalidFilter"),
        ("", "invalidFilter"),
    ],
)
def test_a_filter_that_means_nothing_is_refused(staff: IdentityProvider, query: str, kind: str) -> None:
    answer = staff.get("/Users", params={"filter": query})

    assert (answer.status_code, answer.json()["scimType"]) == (400, kind)


def test_a_refusal_does_not_repeat_whom_somebody_looked_for(staff: IdentityProvider) -> None:
    answer = staff.get("/Users", params={"filter": 'meta.created eq "CANARY"'})

    assert answer.status_code == 400
    assert "CANARY" not in answer.text


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"sortBy": "userName"}, ["alice", "bob", "carol", "dora"]),
        ({"sortBy": "userName", "sortOrder": "descending"}, ["dora", "carol", "bob", "alice"]),
        ({"sortBy": "meta.created", "sortOrder": "descending"}, ["bob", "carol", "alice", "dora"]),
        ({"sortBy": "name.familyName"}, ["alice", "bob", "dora", "carol"]),
        ({"sortBy": "name.familyName", "sortOrder": "descending"}, ["dora", "carol", "bob", "alice"]),
        ({"sortBy": "externalId", "filter": "active eq true"}, ["alice", "carol", "dora"]),
        ({"sortBy": "displayName", "count": "2", "startIndex": "2"}, ["bob", "dora"]),
        ({"sortOrder": "descending"}, ["dora", "alice", "carol", "bob"]),
    ],
)
def test_users_come_in_the_order_that_is_asked_for(
    staff: IdentityProvider, parameters: dict[str, str], expected: list[str]
) -> None:
    assert names(staff.get("/Users", params=parameters)) == expected


@pytest.mark.parametrize("attribute", ["photos", "photos.value", "name", "emails", "nothing"])
def test_nobody_sorts_by_what_has_no_order_here(staff: IdentityProvider, attribute: str) -> None:
    answer = staff.get(f"/Users?sortBy={attribute}")

    assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidPath")


def test_more_users_than_are_sorted_in_memory_are_too_many(
    staff: IdentityProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "MOST_SORTED", 3)

    answer = staff.get("/Users?sortBy=displayName")

    assert (answer.status_code, answer.json()["scimType"]) == (400, "tooMany")
    assert names(staff.get("/Users?sortBy=userName")) == ["alice", "bob", "carol", "dora"]
    assert names(staff.get("/Users?sortBy=displayName&filter=active eq true")) == ["alice", "dora", "carol"]


@pytest.mark.parametrize("query", [{}, {"filter": "userName pr"}])
@pytest.mark.parametrize(
    ("parameters", "start", "expected"),
    [
        ({"startIndex": "2", "count": "2"}, 2, ["alice", "carol"]),
        ({"startIndex": "4", "count": "9"}, 4, ["bob"]),
        ({"startIndex": "5"}, 5, []),
        ({"startIndex": "-7", "count": "1"}, 1, ["dora"]),
        ({"startIndex": "0", "count": "1"}, 1, ["dora"]),
        ({"count": "0"}, 1, []),
        ({"count": "-5"}, 1, []),
        ({"startIndex": "9" * 40, "count": "9" * 40}, int("9" * 40), []),
        ({"STARTINDEX": "4"}, 4, ["bob"]),
        ({"cursor": "abc", "unknown": "x"}, 1, ["dora", "alice", "carol", "bob"]),
    ],
)
def test_a_page_is_what_was_asked_for_and_the_total_is_right(
    staff: IdentityProvider, query: dict[str, str], parameters: dict[str, str], start: int, expected: list[str]
) -> None:
    answer = staff.get("/Users", params={**query, **parameters})

    assert names(answer) == expected
    page = answer.json()
    assert (page["totalResults"], page["startIndex"], page["itemsPerPage"]) == (4, start, len(expected))


def test_no_page_is_larger_than_we_say(idp: IdentityProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        idp.hire(f"user-{number}")
    monkeypatch.setattr(queries, "MOST_RESULTS", 3)

    assert idp.get("/Users?count=1000").json()["itemsPerPage"] == 3


@pytest.mark.parametrize("parameters", ["count=x", "startIndex=1.5", "sortOrder=up&sortBy=userName", "attributes=a[b"])
def test_parameters_that_mean_nothing_are_refused(staff: IdentityProvider, parameters: str) -> None:
    assert staff.get(f"/Users?{parameters}").status_code == 400


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ("attributes=userName", {"schemas", "id", "userName"}),
        ("attributes=username,name.familyName", {"schemas", "id", "userName", "name"}),
        (f"attributes={USER}:userName", {"schemas", "id", "userName"}),
        ("attributes=emails,photos,nothing", {"schemas", "id"}),
        ("excludedAttributes=name,meta,displayName", {"schemas", "id", "userName", "externalId", "active"}),
        (
            "excludedAttributes=id,photos",
            {"schemas", "id", "userName", "externalId", "active", "name", "displayName", "meta"},
        ),
    ],
)
def test_only_those_attributes_come_that_are_asked_for(
    staff: IdentityProvider, parameters: str, expected: set[str]
) -> None:
    page = staff.get(f'/Users?filter=externalId eq "E-1"&{parameters}').json()
    alice = staff.get('/Users?filter=externalId eq "E-1"').json()["Resources"][0]["id"]

    assert page["Resources"][0].keys() == expected
    assert page["totalResults"] == 1
    assert staff.get(f"/Users/{alice}?{parameters}").json().keys() == expected


def test_attributes_are_asked_for_or_excluded_not_both(staff: IdentityProvider) -> None:
    answer = staff.get("/Users?attributes=id&excludedAttributes=name")

    assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidValue")


@pytest.mark.parametrize("path", ["/Users/.search", "/.search"])
def test_a_search_says_the_same_in_a_body(staff: IdentityProvider, path: str) -> None:
    said = {
        "schemas": [SEARCH],
        "filter": "active eq true",
        "sortBy": "userName",
        "startIndex": 2,
        "count": 1,
        "attributes": ["userName"],
    }

    answer = staff.post(said, path)

    assert answer.status_code == 200
    assert answer.json()["schemas"] == [LIST]
    assert (answer.json()["totalResults"], answer.json()["startIndex"], names(answer)) == (3, 2, ["carol"])
    assert answer.json()["Resources"][0].keys() == {"schemas", "id", "userName"}


@pytest.mark.parametrize("said", [{"filter": 5}, {"count": {}}, {"attributes": 3}, {"schemas": [USER]}, {"sortBy": []}])
def test_a_search_that_means_nothing_is_refused(staff: IdentityProvider, said: dict[str, Any]) -> None:
    assert staff.post(said, "/Users/.search").status_code == 400
