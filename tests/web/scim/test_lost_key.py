"""Resources that no configured key opens any more: who stands for whom is still known, and departures still happen."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from syncsvc.store import Store
from syncsvc.store.vault import Vault
from syncsvc.wiring import Service
from tests.web.scim.provider import IdentityProvider


@pytest.fixture
def user(idp: IdentityProvider) -> str:
    return idp.hire("alice", displayName="Alice Ahn")


@pytest.fixture
def later(service: Service, user: str) -> Iterator[IdentityProvider]:
    """The same service with another key, and without the one before."""
    store = Store(service.house.store.url, Vault([bytes(32)]))
    yield IdentityProvider(replace(service, house=replace(service.house, store=store)))
    store.close()


def test_they_are_still_listed_and_found_without_their_names(later: IdentityProvider, user: str) -> None:
    found = later.get("/Users", params={"filter": 'userName eq "alice"'}).json()["Resources"]

    assert [(one["id"], one["externalId"], one["active"]) for one in found] == [(user, "alice", True)]
    assert "displayName" not in found[0]
    assert later.get("/Users").json()["totalResults"] == 1


def test_they_depart_when_they_are_deactivated(later: IdentityProvider, user: str) -> None:
    answer = later.patch(user, {"op": "Replace", "path": "active", "value": "False"})

    assert answer.status_code == 200
    assert later.departed()


def test_they_depart_when_they_are_deleted(later: IdentityProvider, user: str) -> None:
    assert later.delete(user).status_code == 204
    assert later.departed()


def test_a_name_that_is_told_again_is_kept_again(later: IdentityProvider, user: str) -> None:
    later.patch(user, {"op": "Replace", "path": "displayName", "value": "Alice Ahn"})

    assert later.get(f"/Users/{user}").json()["displayName"] == "Alice Ahn"
    assert later.name() == "Alice Ahn"
