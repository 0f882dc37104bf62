"""What the service says of itself: what it keeps and does, and nothing else."""

from typing import Any

import pytest

from tests.web.scim.provider import BASE, LIST, USER, IdentityProvider


def attributes(said: Any) -> dict[str, Any]:
    return {one["name"]: one for one in said["attributes"]}


def test_it_says_what_it_can_do(idp: IdentityProvider) -> None:
    said = idp.get("/ServiceProviderConfig").json()

    can = {name: said[name]["supported"] for name in ("patch", "bulk", "filter", "changePassword", "sort", "etag")}
    assert can == {
        "patch": True,
        "bulk": False,
        "filter": True,
        "changePassword": False,
        "sort": True,
        "etag": True,
    }
    assert said["filter"]["maxResults"] == 200
    assert [one["type"] for one in said["authenticationSchemes"]] == ["oauthbearertoken"]
    assert said["meta"]["location"] == f"{BASE}/ServiceProviderConfig"


def test_users_are_all_there_is(idp: IdentityProvider) -> None:
    said = idp.get("/ResourceTypes").json()

    assert said["schemas"] == [LIST]
    assert [(one["id"], one["endpoint"], one["schema"]) for one in said["Resources"]] == [("User", "/Users", USER)]
    assert idp.get("/ResourceTypes/User").json() == said["Resources"][0]


def test_a_user_has_exactly_the_attributes_that_are_kept(idp: IdentityProvider) -> None:
    said = attributes(idp.get(f"/Schemas/{USER}").json())

    assert said.keys() == {"userName", "name", "displayName", "active", "photos"}
    assert (said["userName"]["required"], said["userName"]["uniqueness"]) == (True, "server")
    assert (said["photos"]["mutability"], said["photos"]["returned"]) == ("writeOnly", "never")
    value = {one["name"]: one for one in said["photos"]["subAttributes"]}["value"]
    assert (value["type"], value["referenceTypes"], value["returned"]) == ("reference", ["external"], "never")


def test_every_schema_is_found_where_it_says(idp: IdentityProvider) -> None:
    for schema in idp.get("/Schemas").json()["Resources"]:
        assert schema["meta"]["location"] == f"{BASE}/Schemas/{schema['id']}"
        assert idp.get(f"/Schemas/{schema['id']}").json() == schema


@pytest.mark.parametrize(
    "path", ["/Schemas/urn:nothing", "/ResourceTypes/Group", "/Groups", "/nowhere", "/", "/Users/"]
)
def test_what_is_not_there_is_not_found(idp: IdentityProvider, path: str) -> None:
    assert idp.get(path).status_code == 404


@pytest.mark.parametrize("path", ["/Schemas", "/ResourceTypes", "/ServiceProviderConfig"])
def test_what_is_said_of_itself_is_not_filtered(idp: IdentityProvider, path: str) -> None:
    assert idp.get(f'{path}?filter=name eq "User"').status_code == 403


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/Me"), ("PATCH", "/Me"), ("DELETE", "/Me/x"), ("POST", "/Me"), ("PUT", "/Me"), ("POST", "/Bulk")],
)
def test_what_is_not_done_is_said_to_be_not_implemented(idp: IdentityProvider, method: str, path: str) -> None:
    assert idp.ask(method, path, {} if method in {"POST", "PUT", "PATCH"} else None).status_code == 501


@pytest.mark.parametrize(
    ("method", "path"),
    [("DELETE", "/Users"), ("PUT", "/Users"), ("POST", "/Schemas"), ("PATCH", "/ServiceProviderConfig")],
)
def test_a_method_that_means_nothing_is_not_allowed(idp: IdentityProvider, method: str, path: str) -> None:
    answer = idp.ask(method, path)

    assert answer.status_code == 405
    assert answer.headers["Allow"]
