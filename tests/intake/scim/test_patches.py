"""PATCH as it is sent and as it is meant: what it makes of a resource, whatever it says.

Entra ID's forms are those of Microsoft's "Tutorial: Develop and plan provisioning for a SCIM endpoint" and of its
list of known SCIM 2.0 compliance issues; Okta's those of "Okta and SCIM Version 2.0".
"""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from pydantic import ValidationError
from scim2_models import MutabilityException, NoTargetException, SCIMException

from syncsvc.intake.scim.faces import asked, show
from syncsvc.intake.scim.models import User
from syncsvc.intake.scim.patches import MOST_OPERATIONS, patched, read_patch
from syncsvc.intake.scim.resources import keep
from syncsvc.model.errors import InputError
from syncsvc.model.people import FaceId
from tests.intake.scim.words import PATCHES

NEW = "https://photos.example.com/new"
CORE = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


def alice() -> User:
    user = User.model_validate(
        {
            "userName": "alice@example.com",
            "externalId": "E-1",
            "active": True,
            "displayName": "Alice",
            "name": {"givenName": "Alice", "familyName": "Ahn"},
            "photos": [
                {"value": "urn:syncsvc:face:photo", "type": "photo", "primary": True},
                {"value": "urn:syncsvc:face:side", "display": "side"},
            ],
        }
    )
    show(user, [FaceId("photo"), FaceId("side")])
    return user


def after(*operations: Any) -> User:
    return patched(alice(), read_patch({"Operations": list(operations)}))


def faces(user: User) -> dict[str, str | None]:
    return {str(one.face): one.picture for one in asked(user)}


KEPT = {"photo": None, "side": None}


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "replace", "path": "active", "value": False},
        {"op": "Replace", "path": "active", "value": "False"},
        {"op": "Replace", "path": "active", "value": [{"value": "False"}]},
        {"op": "Replace", "path": "active", "value": [{"$ref": None, "value": "False"}]},
        {"op": "replace", "value": {"active": False}},
        {"op": "Replace", "value": {"active": "False"}},
        {"op": "Replace", "value": {"active": [{"value": "False"}]}},
        {"op": "Add", "path": f"{CORE}:active", "value": "false"},
        {"Op": "replace", "Path": "Active", "Value": False},
    ],
)
def test_every_provider_has_its_own_way_to_say_that_somebody_leaves(operation: dict[str, Any]) -> None:
    assert after(operation).active is False


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "Replace", "path": "name.familyName", "value": "Berg"},
        {"op": "Replace", "path": "name", "value": {"familyName": "Berg"}},
        {"op": "Add", "value": {"name.familyName": "Berg"}},
        {"op": "Add", "value": {f"{CORE}:name.familyName": "Berg"}},
        {"op": "Replace", "path": "name.familyName", "value": [{"value": "Berg"}]},
        {"op": "replace", "value": {"name": {"familyName": "Berg"}}},
    ],
)
def test_a_name_changes_in_part(operation: dict[str, Any]) -> None:
    name = after(operation).name

    assert name is not None
    assert (name.given_name, name.family_name) == ("Alice", "Berg")


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ({"op": "Replace", "path": 'photos[type eq "photo"].value', "value": NEW}, {"photo": NEW, "side": None}),
        (
            {"op": "Replace", "path": 'photos[type eq "photo"].value', "value": [{"value": NEW}]},
            {"photo": NEW, "side": None},
        ),
        (
            {"op": "Replace", "path": f'{CORE}:photos[type eq "photo"].value', "value": NEW},
            {"photo": NEW, "side": None},
        ),
        ({"op": "Replace", "path": "photos[primary eq true]", "value": {"value": NEW}}, {"photo": NEW, "side": None}),
        ({"op": "Replace", "path": 'photos[display eq "side"].value', "value": NEW}, {"photo": None, "side": NEW}),
        ({"op": "Add", "path": 'photos[type eq "thumbnail"].value', "value": NEW}, {**KEPT, "thumbnail": NEW}),
        ({"op": "Add", "value": {'photos[type eq "photo"].value': NEW}}, {"photo": NEW, "side": None}),
        ({"op": "Add", "value": {'photos[type eq "photo"].value': NEW, "title": "x"}}, {"photo": NEW, "side": None}),
        ({"op": "add", "path": "photos", "value": [{"value": NEW}]}, {**KEPT, "photo-2": NEW}),
        ({"op": "add", "path": "photos", "value": {"value": NEW, "display": "third"}}, {**KEPT, "third": NEW}),
        ({"op": "add", "value": {"photos": [{"value": NEW}]}}, {**KEPT, "photo-2": NEW}),
        ({"op": "replace", "path": "photos", "value": [{"value": NEW}]}, {"photo": NEW}),
        ({"op": "replace", "value": {"photos": [{"value": NEW}]}}, {"photo": NEW}),
        ({"op": "replace", "path": "photos", "value": []}, {}),
        ({"op": "remove", "path": "photos"}, {}),
        ({"op": "remove", "path": 'photos[type eq "photo"]'}, {"side": None}),
        ({"op": "remove", "path": "photos[primary eq true]"}, {"side": None}),
        ({"op": "remove", "path": 'photos[type eq "photo"].value'}, {"side": None}),
        ({"op": "Remove", "path": "photos", "value": [{"display": "side"}]}, {"photo": None}),
        ({"op": "remove", "path": 'photos[type eq "nothing"]'}, KEPT),
        ({"op": "replace", "path": 'photos[type eq "photo"].display', "value": "Front"}, KEPT),
        ({"op": "replace", "path": 'photos[display eq "side"].primary', "value": True}, KEPT),
    ],
)
def test_photos_change_one_by_one_or_all_together(operation: dict[str, Any], expected: dict[str, Any]) -> None:
    assert faces(after(operation)) == expected


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "Add", "path": 'emails[type eq "work"].value', "value": "a@example.com"},
        {"op": "Replace", "path": "title", "value": "Head of Doors"},
        {"op": "Remove", "path": 'phoneNumbers[type eq "mobile"].value'},
        {"op": "Add", "path": f"{ENTERPRISE}:department", "value": "Doors"},
        {"op": "Add", "path": ENTERPRISE, "value": {"department": "Doors"}},
        {"op": "Add", "path": f"{ENTERPRISE}:manager", "value": [{"$ref": "../Users/1", "value": "1"}]},
        {"op": "replace", "value": {ENTERPRISE: {"department": "Doors"}, "nickName": "Al", "x.y": 1}},
        {"op": "replace", "path": "password", "value": "secret"},
        {"op": "Add", "path": "roles", "value": [{"value": "admin"}]},
        {"op": "Add", "path": "name.nothing", "value": "x"},
    ],
)
def test_what_is_not_kept_changes_nothing_and_is_no_mistake(operation: dict[str, Any]) -> None:
    assert keep(after(operation)) == keep(alice())


def test_what_is_kept_counts_beside_what_is_not() -> None:
    user = after(
        {"op": "replace", "value": {"title": "x", "displayName": "Alice B", 'emails[type eq "work"].value': "y"}}
    )

    assert user.display_name == "Alice B"


def test_operations_are_carried_out_one_after_the_other() -> None:
    user = after(
        {"op": "remove", "path": "photos"},
        {"op": "add", "path": "photos", "value": [{"value": NEW, "display": "only"}]},
        {"op": "replace", "path": "displayName", "value": "Alice B"},
    )

    assert (faces(user), user.display_name) == ({"only": NEW}, "Alice B")


def test_the_resource_it_was_made_of_stays_as_it_was() -> None:
    before = alice()

    patched(before, read_patch({"Operations": [{"op": "remove", "path": "photos"}]}))

    assert faces(before) == KEPT


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({}, "invalidValue"),
        ({"Operations": []}, "invalidValue"),
        ({"Operations": "x"}, "list_type"),
        ({"Operations": ["x"]}, "model_type"),
        ({"Operations": [{"op": "move", "path": "active"}]}, "invalidValue"),
        ({"Operations": [{"op": "remove"}]}, "noTarget"),
        ({"Operations": [{"op": "add", "path": "active"}]}, "invalidValue"),
        ({"Operations": [{"op": "replace", "path": "photos[type eq", "value": 1}]}, "invalidPath"),
        ({"Operations": [{"op": "replace", "path": "id", "value": "x"}]}, "mutability"),
        ({"Operations": [{"op": "replace", "path": "meta.version", "value": "x"}]}, "mutability"),
        ({"Operations": [{"op": "remove", "path": "userName"}]}, "mutability"),
        ({"Operations": [{"op": "remove", "path": "active"}]}, "mutability"),
        ({"schemas": ["urn:x:y"], "Operations": [{"op": "remove", "path": "photos"}]}, "schema"),
    ],
)
def test_what_no_resource_could_make_sense_of_is_refused_by_name(said: dict[str, Any], kind: str) -> None:
    with pytest.raises(ValidationError) as caught:
        read_patch(said)

    assert kind in caught.value.errors()[0]["type"]


def test_more_operations_than_anybody_needs_are_refused() -> None:
    one = {"op": "replace", "path": "active", "value": True}

    with pytest.raises(SCIMException, match=f"at most {MOST_OPERATIONS}"):
        read_patch({"Operations": [one] * (MOST_OPERATIONS + 1)})


def test_a_filter_that_describes_no_entry_has_no_target() -> None:
    with pytest.raises(NoTargetException):
        after({"op": "replace", "path": 'photos[type ne "photo" and display eq "x"].value', "value": NEW})


def test_what_we_give_is_not_changed_by_a_value_either() -> None:
    with pytest.raises(MutabilityException):
        after({"op": "replace", "value": {"id": "another"}})


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(PATCHES)
def test_whatever_is_said_is_either_done_or_refused_and_no_face_is_lost_or_renamed_by_the_way(said: Any) -> None:
    before = alice()

    try:
        user = patched(before, read_patch(said))
        wanted = asked(user)
        keep(user)
    except (SCIMException, ValidationError, InputError):
        return

    assert len({one.face for one in wanted}) == len(wanted)
    assert {one.face for one in wanted if one.picture is None} <= set(KEPT)
    if not any("photos" in str(one) or CORE in str(one) for one in said["Operations"]) and user.active:
        assert faces(user) == KEPT
