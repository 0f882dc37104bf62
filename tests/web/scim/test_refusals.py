"""Bad input: each gets its documented SCIM error, nothing is half-written, and no error repeats what was sent."""

import json
from dataclasses import replace
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from syncsvc.intake.dialects.words import MOST_FACES
from syncsvc.store.tables import metadata
from syncsvc.wiring import Service
from tests.intake.scim.words import PATCHES, USERS
from tests.web.scim.provider import ERROR, PATCH, TOKENS, USER, IdentityProvider, data_uri

X = "https://photos.example.com/x.jpg"
ROUTES = [
    ("GET", "/Users"),
    ("POST", "/Users"),
    ("GET", "/Users/x"),
    ("PUT", "/Users/x"),
    ("PATCH", "/Users/x"),
    ("DELETE", "/Users/x"),
    ("POST", "/Users/.search"),
    ("POST", "/.search"),
    ("GET", "/ServiceProviderConfig"),
    ("GET", "/ResourceTypes"),
    ("GET", "/ResourceTypes/User"),
    ("GET", "/Schemas"),
    ("GET", f"/Schemas/{USER}"),
    ("GET", "/Me"),
    ("POST", "/Bulk"),
]


def rows(service: Service) -> dict[str, int]:
    """How many rows each table has."""
    with service.house.store.reading() as tx:
        return {
            table.name: tx._connection.scalar(select(func.count()).select_from(table)) or 0
            for table in metadata.sorted_tables
        }


# --- who asks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_nobody_without_a_token_is_answered(service: Service, method: str, path: str) -> None:
    answer = IdentityProvider(service, None).ask(method, path)

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_a_token_for_something_else_is_not_enough(service: Service, method: str, path: str) -> None:
    answer = IdentityProvider(service, TOKENS["ops"][1]).ask(method, path)

    assert answer.status_code == 403
    assert "needed: scim" in answer.json()["detail"]


def test_a_token_that_nobody_has_is_not_repeated(service: Service) -> None:
    answer = IdentityProvider(service, "CANARY-TOKEN-CANARY-TOKEN").get("/Users")

    assert answer.status_code == 401
    assert "CANARY" not in answer.text


# --- what is sent ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "invalidSyntax"),
        (b"CANARY", "invalidSyntax"),
        (b'["CANARY"]', "invalidSyntax"),
        (b'{"userName": "CANARY"', "invalidSyntax"),
        ('{"userName": "CANARY"}'.encode("utf-16"), "invalidSyntax"),
        (b'{"userName": "CANARY\xff"}', "invalidSyntax"),
        (b'{"userName": "CANARY\\ud800"}', "invalidSyntax"),
        (b'{"userName": "a", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "invalidSyntax"),
        (b'{"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "userName": "CANARY"}', "invalidSyntax"),
        (b"{}", "invalidValue"),
        (b'{"userName": null}', "invalidValue"),
        (b'{"userName": ["CANARY"]}', "invalidValue"),
        (b'{"userName": {"value": "CANARY"}}', "invalidValue"),
        (b'{"userName": "CANARY\\u0000"}', "invalidValue"),
        (b'{"userName": "a", "active": "CANARY"}', "invalidValue"),
        (b'{"userName": "a", "name": "CANARY"}', "invalidValue"),
        (b'{"userName": "a", "photos": "CANARY"}', "invalidValue"),
        (b'{"userName": "a", "photos": ["CANARY"]}', "invalidValue"),
        (b'{"userName": "a", "photos": [{"type": "CANARY"}]}', "invalidValue"),
        (b'{"userName": "a", "photos": [{"value": {"CANARY": 1}}]}', "invalidValue"),
        (b'{"userName": "a", "photos": [{"value": "CANARY"}]}', "invalidValue"),
        (b'{"userName": "a", "photos": [{"value": "data:image/jpeg;base64,Q0FOQVJZ"}]}', "invalidValue"),
        (
            b'{"userName": "a", "photos": [{"value": "x", "primary": true}, {"value": "y", "primary": true}]}',
            "invalidValue",
        ),
        (b'{"userName": "a", "externalId": "' + b"CANARY" * 100 + b'"}', "invalidValue"),
        (b'{"userName": "a", "displayName": "' + b"CANARY" * 20_000 + b'"}', "invalidValue"),
        (json.dumps({"userName": "a", "photos": [{"value": X}] * 10_000}).encode(), "invalidValue"),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_what_is_no_user_is_refused_and_nothing_is_written(
    idp: IdentityProvider, service: Service, method: str, body: bytes, kind: str
) -> None:
    user = idp.hire("somebody")
    before = rows(service)

    path = "/Users" if method == "POST" else f"/Users/{user}"
    answer = idp.ask(method, path, content=body, headers={"Content-Type": "application/scim+json"})

    assert (answer.status_code, answer.json()["scimType"]) == (400, kind)
    assert "CANARY" not in answer.text
    assert rows(service) == before


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ({"op": "CANARY", "path": "active"}, "invalidValue"),
        ({"op": "replace", "path": "active", "value": "CANARY"}, "invalidValue"),
        ({"op": "replace", "path": "displayName", "value": {"CANARY": 1}}, "invalidValue"),
        ({"op": "replace", "path": "userName", "value": ""}, "invalidValue"),
        ({"op": "replace", "path": "userName", "value": None}, "mutability"),
        ({"op": "replace", "path": "id", "value": "CANARY"}, "mutability"),
        ({"op": "replace", "value": {"id": "CANARY"}}, "mutability"),
        ({"op": "remove", "path": "active"}, "mutability"),
        ({"op": "remove"}, "noTarget"),
        ({"op": "replace", "path": 'photos[display ne "CANARY"].value', "value": X}, "noTarget"),
        ({"op": "replace", "path": 'photos[display eq "CANARY"', "value": X}, "invalidPath"),
        ({"op": "replace", "path": 'photos[nothing eq "CANARY"].value', "value": X}, "invalidFilter"),
        ({"op": "add", "path": "photos", "value": [{"display": "CANARY"}]}, "invalidValue"),
        ({"op": "add", "path": "photos", "value": [{"value": "CANARY"}]}, "invalidValue"),
        ("CANARY", "invalidValue"),
    ],
)
def test_what_is_no_patch_is_refused_and_nothing_is_written(
    idp: IdentityProvider, service: Service, operation: Any, kind: str
) -> None:
    user = idp.hire("somebody")
    before = rows(service), idp.get(f"/Users/{user}").text

    answer = idp.patch(user, {"op": "replace", "path": "displayName", "value": "B"}, operation)

    assert (answer.status_code, answer.json()["scimType"]) == (400, kind)
    assert "CANARY" not in answer.text
    assert (rows(service), idp.get(f"/Users/{user}").text) == before


def test_errors_name_the_attribute_that_is_wrong(idp: IdentityProvider) -> None:
    wrong = idp.post({"userName": "a", "active": "perhaps"}).json()["detail"]
    faces = idp.post({"userName": "a", "photos": [{"value": X}] * (MOST_FACES + 1)}).json()["detail"]
    patch = idp.patch(idp.hire("alice"), {"op": "replace", "path": "active", "value": "perhaps"}).json()["detail"]

    assert wrong == patch == "Input should be a valid boolean, unable to interpret input: active"
    assert faces == f"there are {MOST_FACES + 1} photos; at most {MOST_FACES} are taken"


def test_a_photo_that_cannot_be_had_just_now_is_asked_for_again_later(idp: IdentityProvider) -> None:
    answer = idp.post({"userName": "alice", "photos": [{"value": "https://away.example.com/x"}]})

    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert idp.person("alice") is None


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "multipart/form-data; boundary=x", "nonsense"])
def test_a_body_of_another_kind_is_not_read(idp: IdentityProvider, kind: str) -> None:
    answer = idp.ask("POST", "/Users", content=b'{"userName": "a"}', headers={"Content-Type": kind})

    assert answer.status_code == 415


@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "application/scim+json",
        "Application/SCIM+JSON; charset=utf-8",
        "application/json;charset=UTF-8",
    ],
)
def test_either_kind_of_json_is_read(idp: IdentityProvider, kind: str) -> None:
    answer = idp.ask("POST", "/Users", content=b'{"userName": "a"}', headers={"Content-Type": kind})

    assert answer.status_code == 201


def test_a_body_that_is_too_large_is_said_to_be_so_in_the_words_of_scim(service: Service) -> None:
    intake = service.settings.intake.model_copy(update={"max_body": 70_000})
    small = replace(service, settings=service.settings.model_copy(update={"intake": intake}))
    idp = IdentityProvider(small)

    answer = idp.post({"userName": "alice", "displayName": "x" * 80_000})

    assert answer.status_code == 413
    assert "70,000 bytes" in answer.json()["detail"]
    assert idp.person("alice") is None


@pytest.mark.parametrize("user", ["x", "%00", "a%2Fb", "..%2F..", "%F0%9F%98%80", "x" * 5000, "%ff", "' OR 1=1 --"])
def test_users_whom_nobody_knows_are_not_found(idp: IdentityProvider, user: str) -> None:
    answers = [
        idp.get(f"/Users/{user}"),
        idp.delete(user),
        idp.put(user, {"userName": "a"}),
        idp.patch(user, {"op": "remove", "path": "photos"}),
    ]

    assert {answer.status_code for answer in answers} <= {404, 405}


# --- whatever is sent -----------------------------------------------------------------------------------------------


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(said=USERS, patch=PATCHES, query=st.text(max_size=30))
def test_whatever_is_said_is_answered_and_never_with_a_fault_of_ours(
    idp: IdentityProvider, said: Any, patch: Any, query: str
) -> None:
    user = idp.get("/Users?count=1").json()["Resources"]
    id_ = user[0]["id"] if user else idp.hire("somebody", data_uri(1))

    answers = [
        idp.post(said),
        idp.put(id_, said),
        idp.ask("PATCH", f"/Users/{id_}", {"schemas": [PATCH], **patch}),
        idp.get("/Users", params={"filter": query, "sortBy": query}),
        idp.get("/Users", params={"filter": query}),
        idp.post({"filter": query, **said}, "/Users/.search"),
    ]

    assert {answer.status_code for answer in answers} <= {200, 201, 400, 409}


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_database_that_is_away_is_said_to_be_away(service: Service) -> None:
    idp = IdentityProvider(service)
    with service.house.store.transaction() as tx:
        tx._connection.exec_driver_sql("DROP TABLE scim_users")

    answer = idp.get("/Users")

    assert answer.status_code == 503
    assert answer.json()["schemas"] == [ERROR]


def test_what_nobody_thought_of_is_said_without_a_word_about_it(service: Service) -> None:
    class Broken:
        def read(self, content: bytes) -> Any:
            raise AssertionError("CANARY")

        def fetch(self, url: str) -> Any:
            raise AssertionError("CANARY")

    answer = IdentityProvider(replace(service, photos=Broken())).post({"userName": "alice", "photos": [{"value": X}]})

    assert answer.status_code == 500
    assert "CANARY" not in answer.text


def test_nothing_that_is_sent_is_logged(idp: IdentityProvider, caplog: pytest.LogCaptureFixture) -> None:
    said = {"userName": "alice", "displayName": "CANARY", "photos": [{"value": "https://canary.example.com/CANARY"}]}

    with caplog.at_level("DEBUG"), structlog.testing.capture_logs() as events:
        user = str(idp.post(said).json()["id"])
        idp.put(user, {**said, "active": "CANARY"})
        idp.patch(user, {"op": "replace", "path": "displayName", "value": {"CANARY": 1}})
        idp.get("/Users", params={"filter": 'displayName eq "CANARY"'})
        idp.get("/Users", params={"filter": 'displayName eq "CANARY'})

    ours = [one.getMessage() for one in caplog.records if one.name != "httpx"]  # which is the client's own log
    assert "CANARY" not in str(events) + str(ours)
