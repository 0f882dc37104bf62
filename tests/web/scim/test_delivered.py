"""From the identity provider to what a library holds: a practice room at the end of the corridor."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from syncsvc.model.people import PersonId
from syncsvc.store import Store
from syncsvc.wiring import Service
from tests.conftest import MovableClock
from tests.flow.stage import Stage, staged
from tests.vendors.photos import draw, photo_shelf
from tests.web.scim.provider import IdentityProvider, data_uri

ALICE = PersonId("alice")


@pytest.fixture
def stage(store: Store, clock: MovableClock) -> Iterator[Stage]:
    with photo_shelf() as shelf, staged(store, clock, shelf, ["finauth"]) as ready:
        yield ready


@pytest.fixture
def idp(service: Service, stage: Stage) -> IdentityProvider:
    return IdentityProvider(replace(service, house=stage.house))


def test_a_person_comes_changes_and_goes_by_scim_and_the_library_follows(idp: IdentityProvider, stage: Stage) -> None:
    user = idp.hire("alice", data_uri(1), data_uri(2))
    stage.quiet()
    assert stage.digests(ALICE) == sorted([draw(1).digest, draw(2).digest])

    idp.patch(user, {"op": "replace", "path": "photos", "value": [{"value": data_uri(3)}]})
    stage.quiet()
    assert stage.digests(ALICE) == [draw(3).digest]

    idp.patch(user, {"op": "Replace", "path": "active", "value": "False"})
    stage.quiet()
    assert stage.digests(ALICE) == []

    idp.patch(
        user,
        {"op": "Replace", "path": "active", "value": "True"},
        {"op": "Add", "path": 'photos[type eq "photo"].value', "value": data_uri(4)},
    )
    stage.quiet()
    assert stage.digests(ALICE) == [draw(4).digest]

    idp.delete(user)
    stage.quiet()
    assert stage.digests(ALICE) == []
    assert stage.stored_pictures() == set()


def test_of_many_who_want_one_user_name_at_once_exactly_one_has_it(idp: IdentityProvider) -> None:
    said = [{"userName": "alice", "externalId": f"E-{number}"} for number in range(8)]

    with ThreadPoolExecutor(8) as pool:
        statuses = [answer.status_code for answer in pool.map(idp.post, said)]

    assert sorted(statuses) == [201] + [409] * 7
    assert sum(idp.person(one["externalId"]) is not None for one in said) == 1


def test_changes_of_one_user_at_once_are_all_written(idp: IdentityProvider) -> None:
    user = idp.hire("alice")
    attributes = ["displayName", "name.familyName", "name.givenName", "name.middleName", "name.formatted"]

    def change(attribute: str) -> int:
        return idp.patch(user, {"op": "replace", "path": attribute, "value": "x"}).status_code

    with ThreadPoolExecutor(5) as pool:
        assert set(pool.map(change, attributes)) == {200}

    said = idp.get(f"/Users/{user}").json()
    assert said["displayName"] == "x"
    assert said["name"] == {"familyName": "x", "givenName": "x", "middleName": "x", "formatted": "x"}
