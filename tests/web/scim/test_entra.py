"""Microsoft Entra ID's conversation, in the forms that it documents.

"Tutorial: Develop and plan provisioning for a SCIM endpoint in Microsoft Entra ID" (Microsoft Learn) has the requests
and what is expected of the answers; "Known issues and resolutions with SCIM 2.0 protocol compliance of the Microsoft
Entra user provisioning service" has the older forms, which are still sent without the `aadOptscim062020` flag.
"""

import uuid
from typing import Any

import pytest

from tests.vendors.photos import draw
from tests.web.scim.provider import LIST, USER, IdentityProvider, data_uri

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


def person(**more: Any) -> dict[str, Any]:
    """As the tutorial creates a user; the employee id is mapped to externalId."""
    return {
        "schemas": [USER, ENTERPRISE],
        "externalId": "10042",
        "userName": "Test_User_dfeef4c5@contoso.com",
        "active": True,
        "emails": [{"primary": True, "type": "work", "value": "Test_User_fd0ea19b@contoso.com"}],
        "meta": {"resourceType": "User"},
        "name": {"formatted": "givenName familyName", "familyName": "familyName", "givenName": "givenName"},
        "roles": [],
        ENTERPRISE: {"employeeNumber": "10042", "department": "Doors", "manager": {"value": "10001"}},
        **more,
    }


@pytest.fixture
def user(idp: IdentityProvider) -> str:
    return str(idp.post(person(displayName="Lola")).json()["id"])


def test_the_connection_is_tested_by_asking_for_somebody_who_does_not_exist(idp: IdentityProvider) -> None:
    answer = idp.get(f'/Users?filter=userName eq "{uuid.uuid4()}"')

    assert answer.status_code == 200
    assert answer.json() == {
        "schemas": [LIST],
        "totalResults": 0,
        "Resources": [],
        "startIndex": 1,
        "itemsPerPage": 0,
    }


def test_a_user_is_created_and_what_is_not_kept_is_no_mistake(idp: IdentityProvider) -> None:
    answer = idp.post(person())

    assert answer.status_code == 201
    assert answer.json()["meta"]["resourceType"] == "User"
    assert {"emails", "roles", ENTERPRISE} & answer.json().keys() == set()
    assert answer.json()["schemas"] == [USER]
    assert idp.name("10042") == "givenName familyName"


@pytest.mark.parametrize(
    "query",
    [
        'userName eq "Test_User_dfeef4c5@contoso.com"',
        'userName eq "test_user_DFEEF4C5@contoso.com"',
        'externalId eq "10042"',
    ],
)
def test_a_user_is_looked_for_before_anything_is_changed(idp: IdentityProvider, user: str, query: str) -> None:
    found = idp.get("/Users", params={"filter": query}).json()

    assert [one["id"] for one in found["Resources"]] == [user]


def test_a_user_is_read_by_id_with_few_attributes(idp: IdentityProvider, user: str) -> None:
    answer = idp.get(f"/Users/{user}?attributes=id,active")

    assert answer.json().keys() == {"schemas", "id", "active"}


def test_attributes_are_updated_each_by_an_operation_of_its_own(idp: IdentityProvider, user: str) -> None:
    answer = idp.patch(
        user,
        {"op": "Replace", "path": 'emails[type eq "work"].value', "value": "updatedEmail@microsoft.com"},
        {"op": "Replace", "path": "name.familyName", "value": "updatedFamilyName"},
        {"op": "Add", "path": f"{ENTERPRISE}:department", "value": "Gates"},
        {"op": "Replace", "path": "displayName", "value": "Lola B"},
    )

    assert answer.status_code == 200
    assert answer.json()["name"]["familyName"] == "updatedFamilyName"
    assert idp.name("10042") == "Lola B"


def test_the_user_name_is_updated(idp: IdentityProvider, user: str) -> None:
    idp.patch(user, {"op": "Replace", "path": "userName", "value": "5b50642d@contoso.com"})

    assert idp.get('/Users?filter=userName eq "5b50642d@contoso.com"').json()["totalResults"] == 1


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "Replace", "path": "active", "value": False},
        {"op": "Replace", "path": "active", "value": "False"},
        {"op": "Replace", "path": "active", "value": [{"$ref": None, "value": "False"}]},
        {"op": "Replace", "value": {"active": "False", "displayName": "Lola"}},
    ],
)
def test_a_disabled_user_departs_and_is_still_found(
    idp: IdentityProvider, user: str, operation: dict[str, Any]
) -> None:
    assert idp.patch(user, operation).status_code == 200

    assert idp.departed("10042")
    assert idp.get(f"/Users/{user}").json()["active"] is False
    found = idp.get('/Users?filter=userName eq "Test_User_dfeef4c5@contoso.com"').json()
    assert found["Resources"][0]["active"] is False


def test_a_user_restored_within_thirty_days_is_back(idp: IdentityProvider, user: str) -> None:
    idp.patch(user, {"op": "Replace", "path": "active", "value": "False"})

    idp.patch(user, {"op": "Replace", "path": "active", "value": "True"})

    assert not idp.departed("10042")


def test_a_user_deleted_for_good_is_gone(idp: IdentityProvider, user: str) -> None:
    idp.patch(user, {"op": "Replace", "path": "active", "value": "False"})

    assert idp.delete(user).status_code == 204
    assert idp.get(f"/Users/{user}").status_code == 404
    assert idp.get('/Users?filter=externalId eq "10042"').json()["totalResults"] == 0


def test_the_older_forms_put_dotted_names_and_filters_into_the_value(idp: IdentityProvider, user: str) -> None:
    answer = idp.patch(
        user,
        {
            "op": "Add",
            "value": {
                "name.givenName": "Ann",
                'emails[type eq "work"].value': "ann@contoso.com",
                f"{ENTERPRISE}:department": "Gates",
                'photos[type eq "photo"].value': data_uri(1),
            },
        },
    )

    assert answer.json()["name"]["givenName"] == "Ann"
    assert idp.faces("10042") == {"photo": draw(1).digest}


def test_a_photo_is_mapped_like_any_other_attribute(idp: IdentityProvider, user: str) -> None:
    path = 'photos[type eq "photo"].value'

    idp.patch(user, {"op": "Add", "path": path, "value": data_uri(1)})
    assert idp.faces("10042") == {"photo": draw(1).digest}
    idp.patch(user, {"op": "Replace", "path": path, "value": data_uri(2)})
    assert idp.faces("10042") == {"photo": draw(2).digest}
    idp.patch(user, {"op": "Remove", "path": path})

    assert idp.faces("10042") == {}
    assert idp.get(f"/Users/{user}").json()["active"] is True


def test_a_user_who_exists_already_is_a_conflict(idp: IdentityProvider, user: str) -> None:
    answer = idp.post(person())

    assert (answer.status_code, answer.json()["scimType"]) == (409, "uniqueness")


def test_groups_are_not_there_to_be_provisioned(idp: IdentityProvider) -> None:
    assert idp.get('/Groups?excludedAttributes=members&filter=displayName eq "BBB"').status_code == 404
    assert "Group" not in idp.get("/ResourceTypes").text
