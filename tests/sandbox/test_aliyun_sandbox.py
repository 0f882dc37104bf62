"""Alibaba Cloud's practice room, driven by the vendor's own client and, where that is too polite, by hand."""

import io
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import urlsplit

import httpx
import pytest
from aliyunsdkcore.acs_exception.exceptions import ServerException
from aliyunsdkcore.auth.algorithm import sha_hmac1
from aliyunsdkcore.auth.composer.roa_signature_composer import compose_string_to_sign
from aliyunsdkcore.client import AcsClient
from aliyunsdkcore.utils.parameter_helper import get_rfc_2616_date, md5_sum
from aliyunsdkgreen.request.v20180509.AddFacesRequest import AddFacesRequest
from aliyunsdkgreen.request.v20180509.AddGroupsRequest import AddGroupsRequest
from aliyunsdkgreen.request.v20180509.AddPersonRequest import AddPersonRequest
from aliyunsdkgreen.request.v20180509.DeleteFacesRequest import DeleteFacesRequest
from aliyunsdkgreen.request.v20180509.DeletePersonRequest import DeletePersonRequest
from aliyunsdkgreen.request.v20180509.GetFacesRequest import GetFacesRequest
from aliyunsdkgreen.request.v20180509.GetGroupsRequest import GetGroupsRequest
from aliyunsdkgreen.request.v20180509.GetPersonRequest import GetPersonRequest
from aliyunsdkgreen.request.v20180509.GetPersonsRequest import GetPersonsRequest
from PIL import Image

from syncsvc.sandbox.aliyun import Sandbox
from syncsvc.sandbox.base import Call, Limits
from syncsvc.sandbox.serve import running

DOCUMENTED_ID = 23088737259260929


def drawn(shade: int, kind: str = "PNG") -> bytes:
    image = Image.new("RGB", (64, 64), (shade, 20, 20))
    image.putpixel((3, 3), (255, 255, 255))
    packed = io.BytesIO()
    image.save(packed, kind)
    return packed.getvalue()


class Watched(Sandbox):
    """Remembers the headers and the query of every call."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.seen: list[tuple[Mapping[str, str], str]] = []

    def authenticate(self, operation: str, call: Call) -> Any:
        self.seen.append((call.headers, call.query))
        return super().authenticate(operation, call)


class Vendor:
    """The vendor's own client, at a sandbox's door."""

    def __init__(self, sandbox: Watched, url: str, photos: str) -> None:
        self.sandbox, self.url, self.photos = sandbox, url, photos
        self.clients: list[Any] = []
        self.client = self.client_of("sandbox-key", "sandbox-secret")

    def client_of(self, key_id: str, secret: str) -> Any:
        self.clients.append(AcsClient(key_id, secret, "cn-shanghai", port=urlsplit(self.url).port))
        return self.clients[-1]

    def close(self) -> None:
        """The clients' own finalizers may run after their sockets'."""
        for client in self.clients:
            client.session.close()

    def ask(self, kind: Any, *, client: Any = None, **told: Any) -> Any:
        request = kind()
        request.set_endpoint("127.0.0.1")
        if told:
            request.set_content(json.dumps(told).encode())
        return json.loads((client or self.client).do_action_with_exception(request))

    def enrol(self, key: str, *photos: str) -> list[str]:
        self.ask(AddPersonRequest, personId=key, groupIds=["staff"])
        for photo in photos:
            self.add(key, photo)
        return [face.vendor_face_id for face in self.sandbox.faces_of(key)]

    def add(self, key: str, *photos: str) -> Any:
        return self.ask(AddFacesRequest, personId=key, urls=[f"{self.photos}/{photo}" for photo in photos])


class Photos(BaseHTTPRequestHandler):
    """Photos of all kinds, and addresses that have none."""

    late: ClassVar[threading.Event]
    served: ClassVar[Mapping[str, tuple[int, str, bytes]]] = {
        **{f"/{shade}.png": (200, "image/png", drawn(shade)) for shade in range(30)},
        "/photo.bmp": (200, "image/bmp", drawn(1, "BMP")),
        "/photo.gif": (200, "image/gif", drawn(1, "GIF")),
        "/photo.webp": (200, "image/webp", drawn(1, "WEBP")),
        "/photo.jpg": (200, "image/jpeg", drawn(1, "JPEG")),
        "/photo.tiff": (200, "image/tiff", drawn(1, "TIFF")),
        "/blank.png": (200, "image/png", b""),
        "/page.html": (200, "text/html", drawn(1)),
        "/forbidden.png": (403, "text/plain", b""),
        "/broken.png": (500, "text/plain", b""),
        "/moved.png": (302, "text/plain", b""),
    }

    def do_GET(self) -> None:
        if self.path == "/late.png":
            self.late.wait(10)
        status, kind, content = self.served.get(self.path, (404, "text/plain", b""))
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        with suppress(ConnectionError):  # who asked for the late one has left
            self.end_headers()
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture(scope="module")
def photos() -> Iterator[str]:
    Photos.late = threading.Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Photos)
    server.daemon_threads = False  # so that closing waits for the late one
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    Photos.late.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def sandbox() -> Watched:
    return Watched(limits=Limits(enabled=False))


@pytest.fixture
def vendor(sandbox: Watched, photos: str) -> Iterator[Vendor]:
    with running(sandbox) as (url,), closing(Vendor(sandbox, url, photos)) as vendor:
        yield vendor


# --- the vendor's own client ----------------------------------------------------------------------------------


def test_the_vendors_own_client_lives_a_whole_life_here(vendor: Vendor) -> None:
    made = vendor.ask(AddPersonRequest, personId="alice-1", groupIds=["staff"])
    added = vendor.add("alice-1", "1.png", "2.png")
    one, two = (item["faceId"] for item in added["data"]["faceImageItems"])
    person = vendor.ask(GetPersonRequest, personId="alice-1")
    faces = vendor.ask(GetFacesRequest, personId="alice-1")
    people = vendor.ask(GetPersonsRequest, groupId="staff")
    groups = vendor.ask(GetGroupsRequest)
    deleted = vendor.ask(DeleteFacesRequest, personId="alice-1", faceIds=[str(one)])
    left = vendor.sandbox.digests_of("alice-1")
    gone = vendor.ask(DeletePersonRequest, personId="alice-1")

    assert (made["code"], made["msg"], made["data"]["code"]) == (200, "OK", 200)
    assert one == DOCUMENTED_ID
    assert person["data"]["faceIds"] == [str(one), str(two)]
    assert [item["faceId"] for item in faces["data"]["faceImageItems"]] == [one, two]
    assert people["data"]["personIds"] == ["alice-1"]
    assert people["data"]["totalCount"] == 1
    assert groups["data"]["groupIds"] == ["staff"]
    assert (deleted["data"]["faceIds"], deleted["data"]["deleteCount"]) == ([str(one)], 1)
    assert len(left) == 1
    assert gone["data"]["deleteCount"] == 1
    assert vendor.sandbox.world.people() == {}


def test_the_vendors_own_client_sends_no_nonce_and_no_json_type(vendor: Vendor) -> None:
    vendor.ask(AddPersonRequest, personId="alice-1", groupIds=["staff"])

    ((headers, query),) = vendor.sandbox.seen
    assert "x-acs-signature-nonce" not in headers
    assert headers["content-type"] == "application/octet-stream"
    assert query == "RegionId=cn-shanghai"


@pytest.mark.parametrize(
    ("key_id", "secret", "code"),
    [
        ("sandbox-key", "wrong", "SignatureDoesNotMatch"),
        ("nobody", "sandbox-secret", "InvalidAccessKeyId.NotFound"),
    ],
)
def test_the_gateway_turns_a_wrong_key_away(vendor: Vendor, key_id: str, secret: str, code: str) -> None:
    with pytest.raises(ServerException) as caught:
        vendor.ask(GetGroupsRequest, client=vendor.client_of(key_id, secret))

    assert caught.value.get_error_code() == code


@pytest.mark.parametrize("seconds", [-901, 901])
def test_a_clock_that_is_fifteen_minutes_off_is_refused(photos: str, seconds: float) -> None:
    sandbox = Watched(clock=lambda: time.time() + seconds)
    with running(sandbox) as (url,), closing(Vendor(sandbox, url, photos)) as vendor:
        with pytest.raises(ServerException) as caught:
            vendor.ask(GetGroupsRequest)

        assert caught.value.get_error_code() == "InvalidTimeStamp.Expired"


def test_a_scripted_throttle_comes_in_the_body_and_the_vendors_client_thinks_it_success(vendor: Vendor) -> None:
    vendor.sandbox.fault("throttle")

    assert vendor.ask(GetGroupsRequest)["code"] == 588


# --- by hand --------------------------------------------------------------------------------------------------


def by_hand(url: str, path: str, body: bytes = b"", **told: str) -> httpx.Response:
    """A signed request; `told` are headers to be sent otherwise than they were signed."""
    headers = {
        "Accept": "application/json",
        "Content-Type": "application/json",
        "Date": get_rfc_2616_date(),
        "x-acs-version": "2018-05-09",
        "x-acs-signature-nonce": "once",
    }
    if body:
        headers["Content-MD5"] = md5_sum(body)
    signed = sha_hmac1.get_sign_string(compose_string_to_sign("POST", {}, path, headers), secret="sandbox-secret")
    headers |= {"Authorization": f"acs sandbox-key:{signed}", **told}
    return httpx.post(url + path, content=body, headers=headers, trust_env=False)


def test_a_nonce_is_good_for_one_request(vendor: Vendor) -> None:
    first, second = (by_hand(vendor.url, "/green/sface/groups") for _ in range(2))

    assert first.json()["code"] == 200
    assert (second.status_code, second.json()["Code"]) == (400, "SignatureNonceUsed")


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ({"Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="}, "ContentMD5NotMatched"),
        ({"Accept": "*/*"}, "SignatureDoesNotMatch"),
        ({"x-acs-more": "1"}, "SignatureDoesNotMatch"),
        ({"Authorization": "Bearer whatever"}, "InvalidAccessKeyId.NotFound"),
        ({"x-acs-version": "2017-08-25"}, "InvalidAction.NotFound"),
    ],
)
def test_what_was_not_signed_as_it_is_sent_is_refused(vendor: Vendor, told: dict[str, str], code: str) -> None:
    body = b'{"personId":"alice-1","groupIds":["staff"]}'

    answer = by_hand(vendor.url, "/green/sface/person/add", body, **told)

    assert set(answer.json()) == {"Code", "Message", "RequestId", "HostId"}
    assert answer.json()["Code"] == code
    assert vendor.sandbox.world.people() == {}


def test_an_unknown_address_is_no_action(vendor: Vendor) -> None:
    assert by_hand(vendor.url, "/green/sface/group/create").json()["Code"] == "InvalidAction.NotFound"


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"personId":7,"groupIds":["staff"]}', b'{"personId":"a"}'])
def test_a_malformed_request_is_a_bad_request(vendor: Vendor, body: bytes) -> None:
    assert by_hand(vendor.url, "/green/sface/person/add", body).json()["code"] == 400


# --- photos ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("photo", "code"),
    [
        ("nowhere.png", 404),
        ("forbidden.png", 403),
        ("broken.png", 480),
        ("moved.png", 480),
        ("page.html", 590),
        ("blank.png", 590),
        ("photo.tiff", 590),
    ],
)
def test_a_photo_that_cannot_be_had_is_a_code_in_the_body(vendor: Vendor, photo: str, code: int) -> None:
    vendor.enrol("alice-1")

    answer = vendor.add("alice-1", photo)

    assert answer["code"] == code
    assert vendor.sandbox.faces_of("alice-1") == []


@pytest.mark.parametrize("photo", ["1.png", "photo.jpg", "photo.bmp", "photo.gif", "photo.webp"])
def test_the_documented_formats_are_taken(vendor: Vendor, photo: str) -> None:
    vendor.enrol("alice-1")

    assert vendor.add("alice-1", photo)["data"]["faceImageItems"] == [{"faceId": DOCUMENTED_ID, "success": True}]


def test_a_photo_is_fetched_within_its_time_and_size(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    vendor.enrol("alice-1")
    limits = {"seconds": 0.3, "max_bytes": 100, "formats": frozenset({"PNG"})}
    monkeypatch.setattr("syncsvc.sandbox.aliyun._FETCHING", limits)

    assert vendor.add("alice-1", "late.png")["code"] == 592
    assert vendor.add("alice-1", "1.png")["code"] == 589


@pytest.mark.parametrize(("url", "code"), [("ftp://127.0.0.1/1.png", 401), ("http://127.0.0.1:9/1.png", 480)])
def test_an_address_that_leads_nowhere_is_told(vendor: Vendor, url: str, code: int) -> None:
    vendor.enrol("alice-1")

    assert vendor.ask(AddFacesRequest, personId="alice-1", urls=[url])["code"] == code


def test_of_several_photos_each_has_its_own_answer(vendor: Vendor) -> None:
    vendor.enrol("alice-1")

    items = vendor.add("alice-1", "1.png", "nowhere.png", "2.png")["data"]["faceImageItems"]

    assert [item["success"] for item in items] == [True, False, True]
    assert len(vendor.sandbox.faces_of("alice-1")) == 2


def test_a_person_has_twenty_faces_at_most(vendor: Vendor) -> None:
    vendor.enrol("alice-1", *(f"{shade}.png" for shade in range(20)))

    assert vendor.add("alice-1", "21.png")["code"] == 400
    assert len(vendor.sandbox.faces_of("alice-1")) == 20


def test_a_number_that_has_been_a_double_is_another_number(vendor: Vendor) -> None:
    vendor.sandbox.set_switches({"float_ids": True})
    vendor.enrol("alice-1")

    (item,) = vendor.add("alice-1", "1.png")["data"]["faceImageItems"]

    assert item["faceId"] == 2.3088737259260928e16
    assert vendor.ask(GetPersonRequest, personId="alice-1")["data"]["faceIds"] == [str(DOCUMENTED_ID)]


# --- deleting and listing -------------------------------------------------------------------------------------


def test_a_delete_answers_with_what_was_deleted(vendor: Vendor) -> None:
    one, two = vendor.enrol("alice-1", "1.png", "2.png")

    answer = vendor.ask(DeleteFacesRequest, personId="alice-1", faceIds=[one, "99"])

    assert (answer["data"]["faceIds"], answer["data"]["deleteCount"]) == ([one], 1)
    assert [face.vendor_face_id for face in vendor.sandbox.faces_of("alice-1")] == [two]


def test_a_delete_never_reaches_another_persons_face(vendor: Vendor) -> None:
    (one,) = vendor.enrol("alice-1", "1.png")
    vendor.enrol("bob-2")

    answer = vendor.ask(DeleteFacesRequest, personId="bob-2", faceIds=[one])

    assert answer["data"]["deleteCount"] == 0
    assert len(vendor.sandbox.faces_of("alice-1")) == 1


def test_a_delete_of_a_face_that_is_gone_may_be_an_error(vendor: Vendor) -> None:
    vendor.sandbox.set_switches({"gone_face": 404})
    (one,) = vendor.enrol("alice-1", "1.png")

    answer = vendor.ask(DeleteFacesRequest, personId="alice-1", faceIds=[one, "99"])

    assert answer["code"] == 404
    assert len(vendor.sandbox.faces_of("alice-1")) == 1


@pytest.mark.parametrize(("honest", "claimed"), [(True, 1), (False, 2)])
def test_a_delete_that_stops_half_way_tells_or_does_not(vendor: Vendor, *, honest: bool, claimed: int) -> None:
    faces = vendor.enrol("alice-1", "1.png", "2.png")
    vendor.sandbox.fault("partial", honest=honest)

    answer = vendor.ask(DeleteFacesRequest, personId="alice-1", faceIds=faces)

    assert answer["data"]["deleteCount"] == claimed
    assert len(vendor.sandbox.faces_of("alice-1")) == 1


def test_somebody_who_is_there_may_be_made_again_or_not(vendor: Vendor) -> None:
    vendor.enrol("alice-1", "1.png")

    again = vendor.ask(AddPersonRequest, personId="alice-1", groupIds=["guests"])
    vendor.sandbox.set_switches({"existing_person": 400})
    refused = vendor.ask(AddPersonRequest, personId="alice-1", groupIds=["night"])

    assert again["data"]["groupIds"] == ["staff", "guests"]
    assert refused["code"] == 400
    assert vendor.ask(GetGroupsRequest)["data"]["groupIds"] == ["guests", "staff"]
    assert len(vendor.sandbox.faces_of("alice-1")) == 1


def test_nobody_unknown_has_anything(vendor: Vendor) -> None:
    for kind in (GetPersonRequest, GetFacesRequest, DeletePersonRequest):
        assert vendor.ask(kind, personId="nobody")["code"] == 404


def test_people_of_a_group_come_in_pages(vendor: Vendor) -> None:
    for number in range(45):
        vendor.sandbox.plant(f"person-{number:02}")

    first = vendor.ask(GetPersonsRequest, groupId="staff")["data"]
    last = vendor.ask(GetPersonsRequest, groupId="staff", currentPage=3)["data"]
    refused = vendor.ask(GetPersonsRequest, groupId="staff", pageSize=101)

    assert (len(first["personIds"]), first["totalCount"]) == (20, 45)
    assert last["personIds"] == [f"person-{number}" for number in range(40, 45)]
    assert refused["code"] == 400


def test_an_account_has_a_hundred_groups_at_most(vendor: Vendor) -> None:
    vendor.ask(AddPersonRequest, personId="alice-1", groupIds=[f"g{number}" for number in range(100)])

    assert vendor.ask(AddGroupsRequest, personId="alice-1", groupIds=["g100"])["code"] == 400
    assert len(vendor.ask(GetGroupsRequest)["data"]["groupIds"]) == 100


# --- limits and shapes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "permits"), [(GetPersonRequest, 20), (AddGroupsRequest, 10)])
def test_each_operation_has_its_own_strict_second(photos: str, kind: Any, permits: int) -> None:
    now = [time.time()]
    sandbox = Watched(clock=lambda: now[0])
    sandbox.plant("alice-1")
    with running(sandbox) as (url,), closing(Vendor(sandbox, url, photos)) as vendor:
        codes = [vendor.ask(kind, personId="alice-1", groupIds=["staff"])["code"] for _ in range(permits + 1)]
        other = vendor.ask(GetGroupsRequest)["code"]
        now[0] += 1.0
        later = vendor.ask(kind, personId="alice-1", groupIds=["staff"])["code"]

    assert codes == [200] * permits + [588]
    assert (other, later) == (200, 200)
    assert sandbox.calls()["throttled"]["own"] == 1


def test_the_gateway_may_be_what_throttles(vendor: Vendor) -> None:
    vendor.sandbox.set_switches({"throttle_layer": "gateway"})
    vendor.sandbox.fault("throttle")

    with pytest.raises(ServerException) as caught:
        vendor.ask(GetGroupsRequest)

    assert caught.value.get_error_code() == "Throttling.User"


def test_an_error_may_stand_in_the_inner_layer(vendor: Vendor) -> None:
    vendor.sandbox.set_switches({"error_layer": "data"})

    answer = vendor.ask(GetPersonRequest, personId="nobody")

    assert (answer["code"], answer["data"]) == (200, {"code": 404})


def test_the_envelope_may_be_capitalised(vendor: Vendor) -> None:
    vendor.sandbox.set_switches({"envelope": "capital"})

    answer = vendor.ask(GetGroupsRequest)

    assert set(answer) == {"Code", "Msg", "Data", "RequestId"}
    assert answer["Data"]["groupIds"] == []
