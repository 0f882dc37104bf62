"""The Huawei Cloud FRS practice room against the vendor's own client, and against what its pages say."""

import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkfrs.v2 import (
    AddFacesBase64Req,
    AddFacesByBase64Request,
    BatchDeleteFacesRequest,
    CreateFaceSetReq,
    CreateFaceSetRequest,
    DeleteFaceByExternalImageIdRequest,
    DeleteFaceByFaceIdRequest,
    DeleteFacesBatchReq,
    DeleteFaceSetRequest,
    FrsClient,
    ShowAllFaceSetsRequest,
    ShowFacesByFaceIdRequest,
    ShowFacesByLimitRequest,
    ShowFaceSetRequest,
    TypeInfo,
    UpdateFaceReq,
    UpdateFaceRequest,
)

from syncsvc.sandbox.base import Limits
from syncsvc.sandbox.huawei import Sandbox
from syncsvc.sandbox.serve import running
from tests.vendors.photos import blank, draw

FIELDS = {"person_id": "string", "floor": "integer"}
# The vendor's client asks datetime.utcnow, which Python 3.12 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")


class Hand:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC).timestamp()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Hand:
    return Hand()


@pytest.fixture
def sandbox(clock: Hand) -> Sandbox:
    return Sandbox(clock=clock, limits=Limits(enabled=False), face_set="people", fields=FIELDS)


@pytest.fixture
def url(sandbox: Sandbox) -> Iterator[str]:
    with running(sandbox) as (address,):
        yield address


@pytest.fixture
def client(url: str, sandbox: Sandbox) -> Any:
    return client_for(url, sandbox)


def client_for(url: str, sandbox: Sandbox, *, secret_key: str = "sandbox-secret") -> Any:
    who = BasicCredentials(sandbox.gateway.access_key, secret_key, sandbox.gateway.project_id)
    return FrsClient.new_builder().with_credentials(who).with_endpoint(url).build()


def add(client: Any, number: int, *, faces: int | None = None, home: str = "people", **more: Any) -> list[Any]:
    photo = base64.b64encode(draw(number, faces=faces).content).decode()
    body = AddFacesBase64Req(image_base64=photo, **more)
    found: list[Any] = client.add_faces_by_base64(AddFacesByBase64Request(face_set_name=home, body=body)).faces
    return found


def refused(call: Any, *told: Any) -> tuple[int, str]:
    with pytest.raises(ClientRequestException) as caught:
        call(*told)
    return caught.value.status_code, caught.value.error_code


class TestTheVendorsOwnClient:
    def test_it_adds_shows_and_deletes_a_face(self, client: Any, sandbox: Sandbox) -> None:
        (made,) = add(client, 1, external_image_id="label-1", external_fields={"person_id": "alice"}, single=True)

        shown = client.show_faces_by_face_id(ShowFacesByFaceIdRequest(face_set_name="people", face_id=made.face_id))
        deleted = client.delete_face_by_face_id(DeleteFaceByFaceIdRequest(face_set_name="people", face_id=made.face_id))

        (face,) = shown.faces
        assert (face.face_id, face.external_image_id) == (made.face_id, "label-1")
        assert face.external_fields == {"person_id": "alice"}
        assert (deleted.face_number, deleted.face_set_name) == (1, "people")
        assert shown.x_request_id
        assert sandbox.world.faces == {}

    def test_it_lists_five_faces_unless_told_otherwise(self, client: Any, sandbox: Sandbox) -> None:
        planted = [sandbox.plant(f"p-{number}").vendor_face_id for number in range(7)]

        first = client.show_faces_by_limit(ShowFacesByLimitRequest(face_set_name="people")).faces
        rest = client.show_faces_by_limit(ShowFacesByLimitRequest(face_set_name="people", offset=5, limit=100)).faces

        assert [face.face_id for face in first] == planted[:5]
        assert [face.face_id for face in rest] == planted[5:]

    def test_it_deletes_every_face_of_a_label(self, client: Any, sandbox: Sandbox) -> None:
        for number in (1, 2):
            add(client, number, external_image_id="same", single=True)
        (other,) = add(client, 3, external_image_id="other", single=True)

        deleted = client.delete_face_by_external_image_id(
            DeleteFaceByExternalImageIdRequest(face_set_name="people", external_image_id="same")
        )

        assert deleted.face_number == 2
        assert set(sandbox.world.faces) == {other.face_id}

    @pytest.mark.parametrize(
        ("text", "left"),
        [
            ("person_id:alice", [2, 3]),
            ("floor:[1 TO 2]", [3]),
            ("floor:{1 TO 3}", [1, 3]),
            ("floor:[2 TO *]", [1]),
            ("person_id:bob && floor:2", [1, 3]),
            ("person_id:alice || floor:3", [2]),
            ("(!person_id:alice)", [1]),
            ("(person_id:alice || person_id:bob) && (!floor:1)", [1, 3]),
        ],
    )
    def test_it_deletes_by_a_filter(self, client: Any, sandbox: Sandbox, text: str, left: list[int]) -> None:
        for number, person in ((1, "alice"), (2, "bob"), (3, "carol")):
            add(client, number, external_fields={"person_id": person, "floor": number}, single=True)

        client.batch_delete_faces(
            BatchDeleteFacesRequest(face_set_name="people", body=DeleteFacesBatchReq(filter=text))
        )

        assert sorted(face.extra["fields"]["floor"] for face in sandbox.world.faces.values()) == left

    def test_it_changes_labels_and_fields_and_no_picture(self, client: Any, sandbox: Sandbox) -> None:
        (made,) = add(client, 1, external_image_id="old", external_fields={"person_id": "alice"}, single=True)
        change = UpdateFaceReq(face_id=made.face_id, external_image_id="new", external_fields={"floor": 4})

        told = client.update_face(UpdateFaceRequest(face_set_name="people", body=change))

        face = sandbox.world.faces[made.face_id]
        assert told.face_number == 1
        assert (face.label, face.digest) == ("new", draw(1).digest)
        assert face.extra["fields"] == {"person_id": "alice", "floor": 4}

    def test_it_makes_and_removes_face_sets(self, client: Any, sandbox: Sandbox) -> None:
        wanted = CreateFaceSetReq(
            face_set_name="annex", face_set_capacity=20_000, external_fields={"badge": TypeInfo("string")}
        )

        made = client.create_face_set(CreateFaceSetRequest(body=wanted)).face_set_info
        add(client, 1, home="annex", external_fields={"badge": "b-1"}, single=True)
        about = client.show_face_set(ShowFaceSetRequest(face_set_name="annex")).face_set_info
        names = [one.face_set_name for one in client.show_all_face_sets(ShowAllFaceSetsRequest()).face_sets_info]
        client.delete_face_set(DeleteFaceSetRequest(face_set_name="annex"))

        assert (made.face_set_name, made.face_set_capacity, made.face_number) == ("annex", 20_000, 0)
        assert len(made.face_set_id) == 8
        assert (about.face_number, about.external_fields) == (1, {"badge": {"type": "string"}})
        assert names == ["people", "annex"]
        assert sandbox.world.faces == {}
        assert refused(client.show_face_set, ShowFaceSetRequest(face_set_name="annex")) == (400, "FRS.0302")

    def test_a_wrong_secret_is_turned_away(self, url: str, sandbox: Sandbox) -> None:
        stranger = client_for(url, sandbox, secret_key="guessed")

        assert refused(add, stranger, 1) == (401, "APIGW.0301")
        assert sandbox.world.faces == {}

    @pytest.mark.parametrize(("off", "let_in"), [(880, True), (-880, True), (930, False), (-930, False)])
    def test_a_date_may_be_a_quarter_of_an_hour_off(self, client: Any, clock: Hand, off: int, *, let_in: bool) -> None:
        clock.now = datetime.now(UTC).timestamp() + off

        if let_in:
            assert client.show_face_set(ShowFaceSetRequest(face_set_name="people")).face_set_info.face_number == 0
        else:
            assert refused(client.show_face_set, ShowFaceSetRequest(face_set_name="people")) == (401, "APIGW.0303")

    def test_another_project_is_turned_away(self, url: str, sandbox: Sandbox) -> None:
        who = BasicCredentials(sandbox.gateway.access_key, "sandbox-secret", "f" * 32)
        other = FrsClient.new_builder().with_credentials(who).with_endpoint(url).build()

        assert refused(other.show_face_set, ShowFaceSetRequest(face_set_name="people")) == (403, "FRS.0028")


class TestWhatIsNotThere:
    def test_each_has_its_code(self, client: Any, sandbox: Sandbox) -> None:
        sandbox.plant("alice", label="there")
        change = UpdateFaceReq(face_id="nobody00", external_image_id="new")

        told = [
            refused(
                client.delete_face_by_face_id, DeleteFaceByFaceIdRequest(face_set_name="people", face_id="nobody00")
            ),
            refused(
                client.delete_face_by_external_image_id,
                DeleteFaceByExternalImageIdRequest(face_set_name="people", external_image_id="nothing"),
            ),
            refused(client.batch_delete_faces, filtered("person_id:nobody")),
            refused(client.batch_delete_faces, filtered("badge:1")),
            refused(client.batch_delete_faces, filtered("person_id:(")),
            refused(client.update_face, UpdateFaceRequest(face_set_name="people", body=change)),
            refused(client.show_faces_by_face_id, ShowFacesByFaceIdRequest(face_set_name="people", face_id="nobody00")),
        ]

        assert {status for status, _ in told} == {400}
        codes = [code.removeprefix("FRS.") for _, code in told]
        assert codes == ["0403", "0402", "0407", "0402", "0012", "0303", "0403"]
        assert len(sandbox.world.faces) == 1

    def test_a_custom_field_is_undeclared_or_has_no_such_value(self, url: str, sandbox: Sandbox) -> None:
        with vendor(url, sandbox) as ask:
            told = [
                ask("DELETE", "/people/faces?person_id=nobody"),
                ask("DELETE", "/people/faces?badge=nobody"),
                ask("DELETE", "/people/faces?person_id="),
                ask("DELETE", "/people/faces"),
                ask("DELETE", "/people/faces?person_id=a&face_id=b"),
            ]

        assert [answer["error_code"].removeprefix("FRS.") for answer in told] == [
            "0401",
            "0402",
            "0012",
            "0012",
            "0012",
        ]

    def test_faces_of_another_set_are_not_there(self, client: Any, sandbox: Sandbox) -> None:
        client.create_face_set(CreateFaceSetRequest(body=CreateFaceSetReq(face_set_name="annex")))
        (made,) = add(client, 1, single=True)

        told = refused(
            client.delete_face_by_face_id, DeleteFaceByFaceIdRequest(face_set_name="annex", face_id=made.face_id)
        )

        assert told == (400, "FRS.0403")
        assert set(sandbox.world.faces) == {made.face_id}


class TestAdding:
    def test_every_face_of_a_photo_is_added_unless_single(self, client: Any, sandbox: Sandbox) -> None:
        several = add(client, 1, faces=3, external_image_id="group")
        one = add(client, 1, faces=3, external_image_id="group", single=True)

        assert (len(several), len(one)) == (3, 1)
        assert len(sandbox.world.faces) == 4
        assert {face.label for face in sandbox.world.faces.values()} == {"group"}

    def test_the_same_photo_again_is_another_face(self, client: Any) -> None:
        assert add(client, 1, single=True)[0].face_id != add(client, 1, single=True)[0].face_id

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            ({}, "FRS.0011"),
            ({"image_url": "https://elsewhere/photo.jpg"}, "FRS.0021"),
            ({"image_base64": "not base64!"}, "FRS.0015"),
            ({"image_base64": base64.b64encode(b"no picture").decode()}, "FRS.0016"),
            ({"image_base64": base64.b64encode(blank().content).decode()}, "FRS.0404"),
            ({"external_image_id": "x" * 37}, "FRS.0012"),
            ({"external_image_id": "a b"}, "FRS.0012"),
            ({"external_fields": {"badge": "1"}}, "FRS.0012"),
            ({"external_fields": {"floor": "1"}}, "FRS.0012"),
            ({"external_fields": {"person_id": "张三"}}, "FRS.0012"),
            ({"single": "true"}, "FRS.0012"),
        ],
    )
    def test_what_it_does_not_take_has_its_code(
        self, url: str, sandbox: Sandbox, body: dict[str, Any], code: str
    ) -> None:
        photo = {} if {"image_base64", "image_url"} & set(body) or not body else {"image_base64": drawn(1)}

        with vendor(url, sandbox) as ask:
            told = ask("POST", "/people/faces", json={**photo, **body})

        assert told["error_code"] == code
        assert sandbox.world.faces == {}

    def test_a_photo_of_eight_megabytes_of_text_is_too_large(self, url: str, sandbox: Sandbox) -> None:
        with vendor(url, sandbox) as ask:
            told = ask("POST", "/people/faces", json={"image_base64": "A" * (8 * 1024 * 1024)})

        assert told["error_code"] == "FRS.0017"

    def test_a_full_set_takes_nothing_and_a_deletion_makes_room(self, url: str, clock: Hand) -> None:
        small = Sandbox(clock=clock, face_set="people", capacity=1)
        with running(small) as (address,):
            client = client_for(address, small)
            (made,) = add(client, 1, single=True)

            full = refused(add, client, 2)
            client.delete_face_by_face_id(DeleteFaceByFaceIdRequest(face_set_name="people", face_id=made.face_id))
            add(client, 2, single=True)

        assert full == (403, "FRS.0306")
        assert [face.digest for face in small.world.faces.values()] == [draw(2).digest]


class TestFaceSets:
    @pytest.mark.parametrize(
        ("body", "code"),
        [
            ({}, "FRS.0011"),
            ({"face_set_name": "with space"}, "FRS.0012"),
            ({"face_set_name": "people"}, "FRS.0301"),
            ({"face_set_name": "odd", "face_set_capacity": 15_000}, "FRS.0012"),
            ({"face_set_name": "odd", "face_set_capacity": 110_000}, "FRS.0012"),
            ({"face_set_name": "odd", "external_fields": {"face_id": {"type": "string"}}}, "FRS.0012"),
            ({"face_set_name": "odd", "external_fields": {"badge": {"type": "text"}}}, "FRS.0012"),
            ({"face_set_name": "odd", "external_fields": {f"f{n}": {"type": "long"} for n in range(11)}}, "FRS.0012"),
        ],
    )
    def test_what_cannot_be_made_has_its_code(
        self, url: str, sandbox: Sandbox, body: dict[str, Any], code: str
    ) -> None:
        with vendor(url, sandbox) as ask:
            assert ask("POST", "", json=body)["error_code"] == code

    def test_there_are_ten_at_most(self, client: Any) -> None:
        for number in range(9):
            client.create_face_set(CreateFaceSetRequest(body=CreateFaceSetReq(face_set_name=f"set-{number}")))

        eleventh = refused(
            client.create_face_set, CreateFaceSetRequest(body=CreateFaceSetReq(face_set_name="one-more"))
        )

        assert eleventh == (400, "FRS.0305")

    @pytest.mark.parametrize(("offset", "limit", "shown"), [(9_000, 1_000, True), (9_000, 1_001, False)])
    def test_nobody_sees_beyond_the_first_ten_thousand(
        self, url: str, sandbox: Sandbox, offset: int, limit: int, *, shown: bool
    ) -> None:
        with vendor(url, sandbox) as ask:
            told = ask("GET", f"/people/faces?offset={offset}&limit={limit}")

        assert ("faces" in told, told.get("error_code")) == ((True, None) if shown else (False, "FRS.0012"))


class TestTokens:
    def test_a_token_opens_the_door_until_it_ends(self, url: str, sandbox: Sandbox, clock: Hand) -> None:
        with httpx.Client(base_url=url, trust_env=False) as http:
            answer = http.post("/v3/auth/tokens", json=asking(sandbox))
            headers = {"X-Auth-Token": answer.headers["X-Subject-Token"]}
            path = f"/v2/{sandbox.gateway.project_id}/face-sets/people"

            fresh = http.get(path, headers=headers)
            elsewhere = http.get(path.replace(sandbox.gateway.project_id, "f" * 32), headers=headers)
            clock.now += 24 * 3600
            old = http.get(path, headers=headers)
            invented = http.get(path, headers={"X-Auth-Token": "invented"})
            none = http.get(path)

        assert answer.status_code == 201
        ends, began = (datetime.fromisoformat(answer.json()["token"][key]) for key in ("expires_at", "issued_at"))
        assert (ends - began).total_seconds() == 24 * 3600
        assert fresh.json()["face_set_info"]["face_number"] == 0
        assert outcome(elsewhere) == (403, "FRS.0028")
        assert outcome(old) == (403, "FRS.0002")
        assert outcome(invented) == (401, "APIGW.0301")
        assert outcome(none) == (401, "APIGW.0301")
        assert none.json()["request_id"] == none.headers["X-Request-Id"]

    @pytest.mark.parametrize(
        ("wrong", "status"), [({"password": "guessed"}, 401), ({"project": "f" * 32}, 403), ({"user": None}, 400)]
    )
    def test_iam_gives_nobody_else_a_token(
        self, url: str, sandbox: Sandbox, wrong: dict[str, Any], status: int
    ) -> None:
        with httpx.Client(base_url=url, trust_env=False) as http:
            answer = http.post("/v3/auth/tokens", json=asking(sandbox, **wrong))

        assert (answer.status_code, answer.json()["error"]["code"]) == (status, status)
        assert "X-Subject-Token" not in answer.headers
        assert sandbox.gateway.tokens == {}


class TestLimits:
    def test_eleven_calls_of_one_kind_in_a_second_are_one_too_many(self, clock: Hand) -> None:
        sandbox = Sandbox(clock=clock, face_set="people")
        with running(sandbox) as (url,), vendor(url, sandbox) as ask:
            told = [ask("GET", "/people/faces").get("error_code") for _ in range(11)]
            other = ask("GET", "/people")
            clock.now += 1.0
            later = ask("GET", "/people/faces")

        assert told == [None] * 10 + ["FRS.0033"]
        assert "face_set_info" in other
        assert "faces" in later

    def test_an_unknown_address_has_no_api(self, url: str, sandbox: Sandbox) -> None:
        with vendor(url, sandbox) as ask:
            assert ask("POST", "/people/search", json={})["error_code"] == "APIGW.0101"


def test_a_reset_leaves_the_founding_set_alone(client: Any, sandbox: Sandbox) -> None:
    client.create_face_set(CreateFaceSetRequest(body=CreateFaceSetReq(face_set_name="annex")))
    add(client, 1, single=True)

    sandbox.reset()

    assert list(sandbox.sets) == ["people"]
    assert sandbox.world.faces == {}


def drawn(number: int) -> str:
    return base64.b64encode(draw(number).content).decode()


def filtered(text: str) -> BatchDeleteFacesRequest:
    return BatchDeleteFacesRequest(face_set_name="people", body=DeleteFacesBatchReq(filter=text))


def outcome(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error_code"]


def asking(sandbox: Sandbox, **wrong: Any) -> dict[str, Any]:
    """The password method's body, with something wrong where a test wants that."""
    told = {"user": "sandbox-user", "password": "sandbox-password", "project": sandbox.gateway.project_id, **wrong}
    user = {"name": told["user"], "password": told["password"], "domain": {"name": "sandbox-domain"}}
    identity = {"methods": ["password"], "password": {"user": user if told["user"] else None}}
    return {"auth": {"identity": identity, "scope": {"project": {"id": told["project"]}}}}


@contextmanager
def vendor(url: str, sandbox: Sandbox) -> Iterator[Callable[..., dict[str, Any]]]:
    """Asks below the face sets with a token that is already there, and returns what is told."""
    with httpx.Client(trust_env=False) as http:
        sandbox.gateway.tokens["token"] = float("inf")

        def ask(method: str, path: str, **more: Any) -> dict[str, Any]:
            address = f"{url}/v2/{sandbox.gateway.project_id}/face-sets{path}"
            told: dict[str, Any] = http.request(method, address, headers={"X-Auth-Token": "token"}, **more).json()
            return told

        yield ask
