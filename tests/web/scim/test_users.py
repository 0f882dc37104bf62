"""What becomes of people whom an identity provider creates, changes and removes."""

from typing import Any

import pytest

from syncsvc.flow.record import record
from syncsvc.intake.scim.models import Photo
from syncsvc.model.changes import Departed, FaceReplaced, Told, Upserted
from syncsvc.model.people import FaceId, PersonId
from syncsvc.web.desk import Desk, silence
from syncsvc.web.scim.writing import Writer
from syncsvc.wiring import Service
from tests.vendors.photos import draw
from tests.web.scim.provider import BASE, PATCH, TOKENS, USER, Album, IdentityProvider, data_uri, number_at

ALICE = PersonId("alice")
X, Y = "https://photos.example.com/x.jpg", "https://photos.example.com/y.jpg"


def picture(url: str) -> str:
    return draw(number_at(url)).digest


LEAVE = {"op": "replace", "path": "active", "value": False}
RETURN = {"op": "replace", "path": "active", "value": True}


class Hr:
    """Another source of changes."""

    def __init__(self, service: Service) -> None:
        self._service, self._told = service, 0

    def tells(self, change: Any) -> None:
        self._told += 1
        record(self._service.house, Told("hr", f"message-{self._told}", change))


@pytest.fixture
def hr(service: Service) -> Hr:
    return Hr(service)


# --- creation -------------------------------------------------------------------------------------------------------


def test_a_new_user_is_a_person_with_their_faces_owed_to_every_library(idp: IdentityProvider) -> None:
    answer = idp.post(
        {
            "schemas": [USER],
            "userName": "alice@example.com",
            "externalId": "alice",
            "displayName": "Alice Ahn",
            "photos": [{"value": data_uri(1), "type": "photo"}, {"value": X, "display": "side"}],
        }
    )

    assert answer.status_code == 201
    assert answer.headers["Location"] == answer.json()["meta"]["location"] == f"{BASE}/Users/{answer.json()['id']}"
    assert answer.headers["ETag"] == answer.json()["meta"]["version"]
    assert idp.faces() == {"photo": draw(1).digest, "side": picture(X)}
    assert idp.name() == "Alice Ahn"
    assert idp.owed() == [("replace", 1)]


def test_pictures_and_where_they_are_never_come_back(idp: IdentityProvider) -> None:
    user = idp.hire("alice", X)

    answers = [
        idp.get(f"/Users/{user}"),
        idp.get(f"/Users/{user}?attributes=photos,userName"),
        idp.get("/Users?attributes=photos.value"),
        idp.put(user, {"userName": "alice", "photos": [{"value": Y}]}),
        idp.patch(user, {"op": "add", "path": "photos", "value": [{"value": X}]}),
    ]

    for answer in answers:
        assert answer.is_success
        assert "photos" not in answer.text
        assert "example.com/x" not in answer.text


def test_without_an_external_id_the_user_name_is_who_they_are(idp: IdentityProvider) -> None:
    idp.post({"userName": "Alice"})

    assert idp.person("Alice") is not None


def test_who_they_are_stays_when_what_they_are_called_changes(idp: IdentityProvider) -> None:
    user = idp.hire("alice", X)

    idp.patch(user, {"op": "replace", "value": {"userName": "berta", "externalId": "E-2"}})

    assert idp.get(f"/Users/{user}").json()["userName"] == "berta"
    assert idp.faces("alice") == {"photo": picture(X)}
    assert idp.person("E-2") is None


def test_somebody_whom_we_know_already_is_joined_and_keeps_their_faces(idp: IdentityProvider, hr: Hr) -> None:
    hr.tells(Upserted(ALICE, ((FaceId("left"), draw(1)),), "Alice"))

    user = idp.hire("alice", displayName="Alice Ahn")

    assert idp.faces() == {"left": draw(1).digest}
    assert idp.name() == "Alice Ahn"
    assert idp.patch(user, {"op": "remove", "path": "photos"}).is_success
    assert idp.faces() == {}


def test_photos_at_creation_are_exactly_the_faces(idp: IdentityProvider, hr: Hr) -> None:
    hr.tells(Upserted(ALICE, ((FaceId("left"), draw(1)),)))

    idp.hire("alice", X)

    assert idp.faces() == {"photo": picture(X)}


def test_no_photos_at_creation_are_no_faces(idp: IdentityProvider, hr: Hr) -> None:
    hr.tells(Upserted(ALICE, ((FaceId("left"), draw(1)),)))

    idp.hire("alice", photos=[])

    assert idp.faces() == {}


def test_who_is_created_as_gone_leaves_nothing_anywhere(idp: IdentityProvider, album: Album, hr: Hr) -> None:
    hr.tells(Upserted(ALICE, ((FaceId("left"), draw(1)),), "Alice"))

    user = idp.hire("alice", X, active=False, displayName="Alice")

    assert idp.get(f"/Users/{user}").json()["active"] is False
    assert (idp.departed(), idp.faces(), idp.name()) == (True, {}, None)
    assert album.fetched == []


def test_two_users_never_share_a_user_name_whatever_its_case(idp: IdentityProvider) -> None:
    idp.hire("alice")

    answer = idp.post({"userName": "ALICE", "externalId": "another"})

    assert (answer.status_code, answer.json()["scimType"]) == (409, "uniqueness")
    assert idp.person("another") is None


def test_two_users_never_stand_for_one_person(idp: IdentityProvider) -> None:
    idp.hire("alice")

    answer = idp.post({"userName": "berta", "externalId": "alice"})

    assert (answer.status_code, answer.json()["scimType"]) == (409, "uniqueness")
    assert idp.get('/Users?filter=userName eq "berta"').json()["totalResults"] == 0


def test_a_user_name_that_is_taken_cannot_be_changed_to(idp: IdentityProvider) -> None:
    idp.hire("alice")
    berta = idp.hire("berta", X)

    answer = idp.patch(berta, {"op": "replace", "value": {"userName": "Alice", "displayName": "B"}})

    assert (answer.status_code, answer.json()["scimType"]) == (409, "uniqueness")
    assert "displayName" not in idp.get(f"/Users/{berta}").json()


# --- departures and returns -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("said", [LEAVE, {"op": "replace", "value": {"active": False}}])
def test_whoever_becomes_inactive_departs(idp: IdentityProvider, said: dict[str, Any]) -> None:
    user = idp.hire("alice", X, displayName="Alice")

    answer = idp.patch(user, said)

    assert (answer.status_code, answer.json()["active"]) == (200, False)
    assert (idp.departed(), idp.faces(), idp.name()) == (True, {}, None)
    assert [verb for verb, _ in idp.owed()] == ["delete"]


def test_no_photo_ever_stands_in_the_way_of_a_departure(idp: IdentityProvider, album: Album) -> None:
    user = idp.hire("alice", X)

    answer = idp.put(user, {"userName": "alice", "active": False, "photos": [{"value": "https://away.example.com/x"}]})

    assert answer.status_code == 200
    assert (idp.departed(), idp.faces()) == (True, {})
    assert album.fetched == [X]


def test_whoever_is_deleted_departs_and_is_not_found_any_more(idp: IdentityProvider) -> None:
    user = idp.hire("alice", X)

    answer = idp.delete(user)

    assert (answer.status_code, answer.content) == (204, b"")
    assert (idp.departed(), idp.faces()) == (True, {})
    assert {idp.get(f"/Users/{user}").status_code, idp.delete(user).status_code} == {404}
    assert idp.patch(user, RETURN).status_code == 404
    assert idp.departed()


def test_whoever_departs_elsewhere_is_shown_as_inactive(idp: IdentityProvider, hr: Hr) -> None:
    user = idp.hire("alice", X)
    before = idp.get(f"/Users/{user}")

    hr.tells(Departed(ALICE))

    after = idp.get(f"/Users/{user}")
    assert after.json()["active"] is False
    assert after.headers["ETag"] != before.headers["ETag"]
    assert idp.get('/Users?filter=userName eq "alice" and active eq false').json()["totalResults"] == 1


def test_a_change_that_does_not_say_so_brings_nobody_back(idp: IdentityProvider, album: Album, hr: Hr) -> None:
    user = idp.hire("alice")
    hr.tells(Departed(ALICE))

    patched = idp.patch(user, {"op": "replace", "value": {"displayName": "B", "photos": [{"value": X}]}})
    replaced = idp.put(user, {"userName": "alice", "displayName": "C", "photos": [{"value": X}]})

    assert (patched.json()["active"], replaced.json()["active"]) == (False, False)
    assert replaced.json()["displayName"] == "C"
    assert (idp.departed(), idp.faces(), album.fetched) == (True, {}, [])


def test_whoever_becomes_active_again_is_back_without_the_faces_that_are_forgotten(idp: IdentityProvider) -> None:
    user = idp.hire("alice", X, displayName="Alice")
    idp.patch(user, LEAVE)

    answer = idp.patch(user, RETURN)

    assert answer.json()["active"] is True
    assert (idp.departed(), idp.faces(), idp.name()) == (False, {}, "Alice")


def test_whoever_comes_back_with_a_photo_has_a_face(idp: IdentityProvider) -> None:
    user = idp.hire("alice", X)
    idp.patch(user, LEAVE)

    idp.patch(user, RETURN, {"op": "add", "path": "photos", "value": [{"value": Y}]})

    assert idp.faces() == {"photo": picture(Y)}


def test_whoever_was_deleted_can_be_created_again(idp: IdentityProvider) -> None:
    first = idp.hire("alice", X)
    idp.delete(first)

    second = idp.hire("alice", Y)

    assert second != first
    assert (idp.departed(), idp.faces()) == (False, {"photo": picture(Y)})


# --- changes --------------------------------------------------------------------------------------------------------


def test_a_replacement_without_photos_leaves_the_faces_alone(idp: IdentityProvider) -> None:
    user = idp.hire("alice", X, displayName="Alice")

    answer = idp.put(user, {"schemas": [USER], "userName": "alice", "displayName": "Alice B", "active": True})

    assert answer.json()["displayName"] == "Alice B"
    assert (idp.faces(), idp.name()) == ({"photo": picture(X)}, "Alice B")


def test_a_replacement_with_photos_means_exactly_these(idp: IdentityProvider) -> None:
    user = idp.hire("alice", X, Y)

    idp.put(user, {"userName": "alice", "photos": [{"value": Y}]})
    assert idp.faces() == {"photo": picture(Y)}
    idp.put(user, {"userName": "alice", "photos": []})

    assert idp.faces() == {}


def test_one_face_changes_and_the_other_stays(idp: IdentityProvider) -> None:
    user = idp.hire("alice", photos=[{"value": X, "type": "photo"}, {"value": Y, "display": "side"}])

    idp.patch(user, {"op": "replace", "path": 'photos[type eq "photo"].value', "value": data_uri(1)})
    assert idp.faces() == {"photo": draw(1).digest, "side": picture(Y)}
    idp.patch(user, {"op": "remove", "path": 'photos[display eq "side"]'})

    assert idp.faces() == {"photo": draw(1).digest}


def test_faces_from_elsewhere_can_be_seen_by_a_patch(idp: IdentityProvider, hr: Hr) -> None:
    user = idp.hire("alice", X)
    hr.tells(FaceReplaced(ALICE, FaceId("left"), draw(1)))

    idp.patch(user, {"op": "remove", "path": 'photos[display eq "left"]'})

    assert idp.faces() == {"photo": picture(X)}


def test_saying_the_same_again_changes_nothing(idp: IdentityProvider, service: Service) -> None:
    said = {"userName": "alice", "displayName": "Alice", "photos": [{"value": X}], "active": True}
    user = idp.hire("alice", X, displayName="Alice")
    idp.put(user, {**said, "externalId": "alice"})
    before = idp.get(f"/Users/{user}")

    answers = [
        idp.put(user, {**said, "externalId": "alice"}),
        idp.patch(user, RETURN),
        idp.patch(user, {"op": "add", "path": "photos", "value": [{"value": X}]}),
        idp.patch(user, {"op": "replace", "path": 'photos[type eq "photo"].value', "value": X}),
        idp.patch(user, {"op": "replace", "path": 'emails[type eq "work"].value', "value": "a@example.com"}),
    ]

    assert {answer.headers["ETag"] for answer in answers} == {before.headers["ETag"]}
    assert idp.faces() == {"photo": picture(X)}


def test_everything_of_one_request_is_written_or_nothing(idp: IdentityProvider) -> None:
    user = idp.hire("alice", X)
    before = idp.get(f"/Users/{user}").text

    for wrong, status in (("ftp://photos.example.com/y", 400), ("https://away.example.com/y", 503)):
        answer = idp.patch(
            user,
            {"op": "replace", "path": "displayName", "value": "B"},
            {"op": "add", "path": "photos", "value": [{"value": wrong}]},
        )
        assert answer.status_code == status

    assert idp.get(f"/Users/{user}").text == before
    assert idp.faces() == {"photo": picture(X)}


def test_each_identity_provider_is_a_source_of_its_own(idp: IdentityProvider, service: Service) -> None:
    idp.hire("alice")
    IdentityProvider(service, TOKENS["okta"][1]).hire("berta")

    with service.house.store.reading() as tx:
        told = tx._connection.exec_driver_sql("SELECT source, person_id FROM changes ORDER BY person_id").all()
    assert [tuple(row) for row in told] == [("scim:entra", "alice"), ("scim:okta", "berta")]


def test_the_bell_is_rung_after_the_commit(service: Service) -> None:
    heard: list[str] = []
    idp = IdentityProvider(service, ring=lambda rings: heard.extend(one.verb for one in rings))

    user = idp.hire("alice", X)
    assert heard == ["replace"]
    idp.delete(user)

    assert heard == ["replace", "delete"]


# --- at the same time -----------------------------------------------------------------------------------------------


def test_what_changes_while_a_photo_is_fetched_is_not_overwritten(idp: IdentityProvider, album: Album) -> None:
    user = idp.hire("alice", X, displayName="Alice")
    album.meanwhile = lambda: idp.patch(user, {"op": "replace", "path": "displayName", "value": "Alice B"})

    idp.patch(user, {"op": "replace", "path": 'photos[type eq "photo"].value', "value": Y})

    assert idp.get(f"/Users/{user}").json()["displayName"] == "Alice B"
    assert idp.faces() == {"photo": picture(Y)}


def test_whoever_is_removed_while_a_photo_is_fetched_stays_away(idp: IdentityProvider, album: Album) -> None:
    user = idp.hire("alice", X)
    album.meanwhile = lambda: idp.delete(user)

    answer = idp.patch(user, {"op": "replace", "path": 'photos[type eq "photo"].value', "value": Y})

    assert answer.status_code == 404
    assert (idp.departed(), idp.faces()) == (True, {})


def test_a_picture_that_is_needed_only_now_is_fetched_before_anything_is_written(
    idp: IdentityProvider, service: Service, album: Album
) -> None:
    user = idp.hire("alice", active=False)
    writer = Writer(Desk(service, silence), "entra", BASE, lambda _stored: None)
    seen: list[bool] = []

    def with_photo(before: Any) -> Any:
        seen.append(bool(before.active))
        if len(seen) == 1:
            idp.patch(user, RETURN)  # somebody else, in the very moment between reading and writing
        return before.model_copy(update={"photos": [Photo.model_validate({"value": X})]}, deep=True)

    writer.amend(user, with_photo)

    assert seen == [False, True, True, True]
    assert (idp.faces(), album.fetched) == ({"photo": picture(X)}, [X])


def test_a_patch_message_needs_its_own_schema_or_none(idp: IdentityProvider) -> None:
    user = idp.hire("alice")

    wrong = idp.ask("PATCH", f"/Users/{user}", {"schemas": [USER], "Operations": [LEAVE]})
    right = idp.ask("PATCH", f"/Users/{user}", {"schemas": [PATCH], "Operations": [LEAVE]})

    assert (wrong.status_code, wrong.json()["scimType"]) == (400, "invalidSyntax")
    assert right.status_code == 200
