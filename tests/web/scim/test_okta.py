"""Okta's conversation, in the forms of "Okta and SCIM Version 2.0" and of Okta's own SCIM test suite for Runscope."""

from typing import Any

import pytest

from syncsvc.wiring import Service
from tests.conftest import MovableClock
from tests.vendors.photos import draw
from tests.web.scim.provider import LIST, TOKENS, USER, IdentityProvider, data_uri


@pytest.fixture
def idp(service: Service) -> IdentityProvider:
    return IdentityProvider(service, TOKENS["okta"][1])


def person(**more: Any) -> dict[str, Any]:
    """A user as Okta creates and replaces one: the whole of it, with a password and groups."""
    return {
        "schemas": [USER],
        "userName": "test.user@okta.local",
        "name": {"givenName": "Test", "familyName": "User"},
        "emails": [{"primary": True, "value": "test.user@okta.local", "type": "work"}],
        "displayName": "Test User",
        "locale": "en-US",
        "externalId": "00ujl29u0le5T6Aj10h7",
        "groups": [],
        "password": "1mz050nq",
        "active": True,
        **more,
    }


PERSON = "00ujl29u0le5T6Aj10h7"
JSON = {"Content-Type": "application/scim+json; charset=utf-8", "Accept": "application/scim+json"}


def test_the_credentials_are_tested_by_asking_for_two_users(idp: IdentityProvider) -> None:
    answer = idp.get("/Users?count=2&startIndex=1", headers=JSON)

    assert answer.status_code == 200
    assert answer.json()["schemas"] == [LIST]
    assert (answer.json()["totalResults"], answer.json()["startIndex"], answer.json()["Resources"]) == (0, 1, [])


def test_a_user_is_looked_for_then_created_then_found(idp: IdentityProvider) -> None:
    query = "/Users?filter=userName%20eq%20%22test.user%40okta.local%22&startIndex=1&count=100"
    assert idp.get(query).json()["totalResults"] == 0

    created = idp.post(person(), headers=JSON)

    assert created.status_code == 201
    assert created.json()["userName"] == "test.user@okta.local"
    assert "password" not in created.text
    assert idp.get(query).json()["Resources"] == [created.json()]


def test_a_user_who_exists_is_a_conflict_with_a_detail(idp: IdentityProvider) -> None:
    idp.post(person())

    answer = idp.post(person())

    assert answer.status_code == 409
    assert answer.json()["detail"]


def test_somebody_who_does_not_exist_is_not_found(idp: IdentityProvider) -> None:
    answer = idp.get("/Users/00919288221112222")

    assert answer.status_code == 404
    assert answer.json()["detail"]


def test_a_profile_is_pushed_as_a_whole(idp: IdentityProvider) -> None:
    user = idp.post(person()).json()
    name = {"givenName": "Another", "familyName": "Name", "middleName": "M"}

    answer = idp.put(user["id"], {**user, **person(name=name, displayName="Another Name")})

    assert answer.status_code == 200
    assert answer.json()["name"] == name
    assert idp.name(PERSON) == "Another Name"


def test_a_user_is_deactivated_by_patch(idp: IdentityProvider) -> None:
    user = idp.post(person(photos=[{"value": data_uri(1)}])).json()["id"]

    answer = idp.patch(user, {"op": "replace", "value": {"active": False}})

    assert (answer.status_code, answer.json()["active"]) == (200, False)
    assert (idp.departed(PERSON), idp.faces(PERSON)) == (True, {})


def test_a_user_is_deactivated_and_brought_back_by_put(idp: IdentityProvider) -> None:
    user = idp.post(person(photos=[{"value": data_uri(1)}])).json()["id"]

    assert idp.put(user, person(active=False)).json()["active"] is False
    assert idp.departed(PERSON)
    assert idp.put(user, person(active=True)).json()["active"] is True

    assert not idp.departed(PERSON)


def test_a_photo_url_in_the_profile_is_a_face(idp: IdentityProvider) -> None:
    user = idp.post(person(photos=[{"value": data_uri(1), "type": "photo"}])).json()["id"]

    idp.put(user, person(photos=[{"value": data_uri(2), "type": "photo"}]))

    assert idp.faces(PERSON) == {"photo": draw(2).digest}


def test_users_are_imported_page_by_page(idp: IdentityProvider, clock: MovableClock) -> None:
    for number in range(5):
        clock.advance(1)
        idp.hire(f"user-{number}")

    pages = [idp.get(f"/Users?startIndex={start}&count=2").json() for start in (1, 3, 5, 7)]

    assert [one["userName"] for page in pages for one in page["Resources"]] == [f"user-{n}" for n in range(5)]
    assert [(page["totalResults"], page["startIndex"], page["itemsPerPage"]) for page in pages] == [
        (5, 1, 2),
        (5, 3, 2),
        (5, 5, 1),
        (5, 7, 0),
    ]
