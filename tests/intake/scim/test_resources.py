"""Resources as they are sent, kept and shown, and the change that a new state tells."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from pydantic import ValidationError
from scim2_models import Context

from syncsvc.intake.scim.faces import asked
from syncsvc.intake.scim.models import User
from syncsvc.intake.scim.resources import (
    change_between,
    keep,
    load,
    name_of,
    person_of,
    read_creation,
    read_replacement,
    version_of,
)
from syncsvc.model.changes import Departed, Upserted
from syncsvc.model.errors import InputError
from syncsvc.model.people import Digest, Face, FaceId, PersonId, Revision
from syncsvc.store.scim_users import Kept, ScimUser
from tests.intake.scim.words import USERS
from tests.vendors.photos import draw

BASE = "https://faces.example.com/scim/v2"
NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
ALICE = PersonId("E-1")


def stored(kept: Kept, *faces: str, departed: bool = False) -> ScimUser:
    return ScimUser(
        id="5b0f",
        person=ALICE,
        user_name=kept.user_name,
        external_id=kept.external_id,
        resource=kept.resource,
        version=3,
        revision=Revision(7),
        departed=departed,
        faces=tuple(Face(FaceId(face), Digest("ab" * 32)) for face in faces),
        created_at=NOW,
        changed_at=NOW + timedelta(hours=1),
    )


def told(**more: Any) -> dict[str, Any]:
    return {"userName": "alice@example.com", "externalId": "E-1", **more}


def test_the_person_is_who_the_external_id_says_else_who_the_user_name_says() -> None:
    assert person_of(read_creation(told())) == "E-1"
    assert person_of(read_creation({"userName": "Alice@Example.com"})) == "Alice@Example.com"


@pytest.mark.parametrize("active", [{}, {"active": None}, {"Active": True}, {"active": "True"}])
def test_whoever_is_created_is_there_unless_it_is_said_otherwise(active: dict[str, Any]) -> None:
    assert read_creation(told(**active)).active is True
    assert read_creation(told(active=False)).active is False


def test_a_replacement_clears_what_it_leaves_out_except_whether_the_person_is_there_and_the_photos() -> None:
    kept = keep(read_creation(told(displayName="Alice", name={"givenName": "Alice"})))
    before = load(stored(kept, "left"), BASE)

    user = read_replacement({"userName": "alice@example.com"}, before)

    assert (user.display_name, user.name, user.external_id, user.active) == (None, None, None, True)
    assert [(one.face, one.picture) for one in asked(user)] == [("left", None)]
    assert user.id == before.id


@pytest.mark.parametrize("photos", [[], None])
def test_a_replacement_without_any_photo_says_so(photos: Any) -> None:
    before = load(stored(keep(read_creation(told())), "left"), BASE)

    assert asked(read_replacement(told(photos=photos), before)) == []


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"userName": ""}, "userName is empty"),
        ({"userName": " alice"}, "userName begins or ends with a space"),
        ({"userName": "a\x00b"}, "userName holds a character"),
        ({"externalId": ""}, "externalId is empty"),
        ({"externalId": "E" * 300}, "externalId has 300 characters; at most 256"),
    ],
)
def test_ids_that_cannot_be_kept_are_refused_by_name(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_creation(told(**wrong))


@pytest.mark.parametrize("missing", [{"externalId": "E-1"}, {"userName": None}, {}])
def test_a_user_name_is_needed(missing: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        read_creation(missing)


def test_what_is_kept_holds_no_secret_no_address_and_nothing_that_is_not_ours_to_keep() -> None:
    user = read_creation(told(password="CANARY", emails=[{"value": "CANARY@example.com"}], title="CANARY", active=True))

    kept = keep(user)

    assert b"CANARY" not in kept.resource
    assert (kept.user_name, kept.external_id) == ("alice@example.com", "E-1")


def test_user_names_are_kept_in_the_form_in_which_they_are_compared() -> None:
    assert keep(read_creation({"userName": "ÅSA@Example.com"})).user_name == "åsa@example.com"


def test_a_resource_that_is_too_large_to_be_one_is_refused_with_its_size() -> None:
    with pytest.raises(InputError, match="at most 65,536 are kept"):
        keep(read_creation(told(displayName="x" * 100_000)))


def test_what_is_shown_is_what_was_kept_with_what_our_own_database_knows() -> None:
    kept = keep(read_creation(told(displayName="Alice", photos=[{"value": "https://p.example.com/x"}])))

    shown = load(stored(kept, "left", departed=True), BASE).model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE)

    assert shown == {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "id": "5b0f",
        "externalId": "E-1",
        "userName": "alice@example.com",
        "displayName": "Alice",
        "active": False,
        "meta": {
            "resourceType": "User",
            "created": "2026-03-02T08:00:00Z",
            "lastModified": "2026-03-02T09:00:00Z",
            "location": f"{BASE}/Users/5b0f",
            "version": 'W/"3.7"',
        },
    }


def test_the_version_changes_with_the_resource_and_with_the_person() -> None:
    assert version_of(stored(Kept("alice", None, b"{}"))) == 'W/"3.7"'


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({"displayName": "Dr Alice", "name": {"formatted": "Alice"}}, "Dr Alice"),
        ({"name": {"formatted": "Alice Ahn", "givenName": "x"}}, "Alice Ahn"),
        ({"name": {"givenName": "Alice", "familyName": "Ahn"}}, "Alice Ahn"),
        ({"name": {"familyName": "Ahn"}}, "Ahn"),
        ({"name": {}}, None),
        ({"displayName": ""}, None),
        ({}, None),
    ],
)
def test_operators_see_the_best_name_there_is(names: dict[str, Any], expected: str | None) -> None:
    assert name_of(read_creation(told(**names))) == expected


def user(*, active: bool, name: str = "Alice") -> User:
    return read_creation(told(active=active, displayName=name))


def test_who_comes_is_upserted_and_who_goes_departs() -> None:
    here, gone = user(active=True), user(active=False)
    faces = [(FaceId("left"), draw(1))]

    assert change_between(ALICE, None, here, faces) == Upserted(ALICE, tuple(faces), "Alice")
    assert change_between(ALICE, None, here, None) == Upserted(ALICE, None, "Alice")
    assert change_between(ALICE, None, gone, None) == Departed(ALICE)
    assert change_between(ALICE, here, gone, None) == Departed(ALICE)
    assert change_between(ALICE, gone, here, None) == Upserted(ALICE, None, "Alice")


def test_what_says_nothing_new_is_no_change() -> None:
    here, gone = user(active=True), user(active=False)

    assert change_between(ALICE, here, here, None) is None
    assert change_between(ALICE, gone, gone, None) is None
    assert change_between(ALICE, gone, user(active=False, name="Alice B"), None) is None


def test_a_new_name_or_other_faces_are_news() -> None:
    here = user(active=True)

    assert change_between(ALICE, here, user(active=True, name="Alice B"), None) == Upserted(ALICE, None, "Alice B")
    assert change_between(ALICE, here, here, []) == Upserted(ALICE, (), "Alice")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(USERS)
def test_whatever_is_sent_is_either_kept_and_shown_again_or_refused(said: Any) -> None:
    try:
        kept = keep(read_creation(said))
    except (ValidationError, InputError):
        return

    shown = load(stored(kept), BASE)
    assert keep(shown).user_name == kept.user_name
    shown.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE)
