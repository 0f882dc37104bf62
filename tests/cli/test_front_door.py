"""The front door from end to end: SCIM, webhooks and callbacks against a running service and four practice rooms."""

import base64
import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

from syncsvc.model.people import Photo
from syncsvc.sandbox.base import Sandbox, StoredFace
from syncsvc.sandbox.serve import running, sandbox_class
from tests.cli.conftest import KEY
from tests.cli.upping import Up, eventually, running_up
from tests.vendors.photos import draw

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

VENDORS = ("sophon", "aliyun", "huawei", "finauth")
SECRET = "whsec_" + base64.b64encode(b"hr-secret" * 3).decode()
BACK = "whsec_" + base64.b64encode(b"our-secret" * 3).decode()
TOKENS = {"scim": "scim-token-0123456789", "ops": "ops-token-0123456789"}
CONFIGURATION = """
[service]
public_url = "http://127.0.0.1:$port"
photo_key = "env:PHOTO_KEY"

[[token]]
name = "idp"
role = "scim"
secret = "env:SCIM_TOKEN"

[[token]]
name = "ops"
role = "operator"
secret = "env:OPS_TOKEN"

[[webhook]]
name = "hr"
secrets = ["env:HR_SECRET"]

[[callback]]
name = "hr"
url = "{callback}"
secret = "env:BACK_SECRET"

[[library]]
name = "north-gate"
vendor = "sophon"
base_url = "{sophon}"
policy = "sync"

[[library]]
name = "cloud-ali"
vendor = "aliyun"
base_url = "{aliyun}"
policy = "sync"
[library.options]
access_key_id = "sandbox-key"
access_key_secret = "env:PRACTICE"
region = "cn-shanghai"
group_id = "staff"

[[library]]
name = "cloud-huawei"
vendor = "huawei"
base_url = "{huawei}"
policy = "sync"
[library.options]
project_id = "0123456789abcdef0123456789abcdef"
face_set_name = "sandbox"
access_key = "SANDBOXACCESSKEY"
secret_key = "env:PRACTICE"

[[library]]
name = "fin"
vendor = "finauth"
base_url = "{finauth}"
policy = "sync"
[library.options]
api_key = "sandbox-key"
api_secret = "env:PRACTICE"
group_id = "sandbox"
"""


class Listener:
    """Somebody who takes our callbacks, and believes only what is signed."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                listener.heard.append(Webhook(BACK).verify(body, dict(self.headers)))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Says nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/told"

    def told(self, change: str) -> list[str]:
        return [one["type"] for one in self.heard if one["data"]["change"] == change]


@contextmanager
def listening() -> Iterator[Listener]:
    listener = Listener()
    thread = threading.Thread(target=listener.server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield listener
    listener.server.shutdown()
    thread.join()
    listener.server.server_close()


@pytest.fixture
def rooms() -> dict[str, Sandbox]:
    return {vendor: sandbox_class(vendor)() for vendor in VENDORS}


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listening() as listener:
        yield listener


@pytest.fixture
def up(tmp_path: Path, rooms: dict[str, Sandbox], listener: Listener) -> Iterator[Up]:
    environ = {
        "PHOTO_KEY": KEY,
        "SCIM_TOKEN": TOKENS["scim"],
        "OPS_TOKEN": TOKENS["ops"],
        "HR_SECRET": SECRET,
        "BACK_SECRET": BACK,
        "PRACTICE": "sandbox-secret",
    }
    with running(*rooms.values()) as urls:
        written = CONFIGURATION.format(callback=listener.url, **dict(zip(VENDORS, urls, strict=True)))
        with running_up(tmp_path, written, environ) as up:
            yield up


def held(rooms: dict[str, Sandbox]) -> dict[str, list[StoredFace]]:
    found = {}
    for vendor, room in rooms.items():
        with room.lock:
            found[vendor] = list(room.world.faces.values())
    return found


def everywhere(rooms: dict[str, Sandbox], photo: Photo | None) -> bool:
    """Whether every library holds exactly one face, of this picture; nobody at all where there is none."""
    wanted = [] if photo is None else [photo.digest]
    return all([face.digest for face in faces] == wanted for faces in held(rooms).values())


def test_a_person_is_enrolled_by_scim_replaced_by_webhook_and_departed_by_scim(
    up: Up, rooms: dict[str, Sandbox], listener: Listener
) -> None:
    scim = httpx.Client(
        base_url=f"http://127.0.0.1:{up.port}/scim/v2", headers={"Authorization": f"Bearer {TOKENS['scim']}"}
    )
    api = httpx.Client(base_url=f"http://127.0.0.1:{up.port}/v1", headers={"Authorization": f"Bearer {TOKENS['ops']}"})
    picture = "data:image/jpeg;base64," + base64.b64encode(draw(1).content).decode()
    user = {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": "ada@example.com",
        "externalId": "E1001",
        "displayName": "Ada Lovelace",
        "photos": [{"value": picture, "type": "photo"}],
    }

    created = scim.post("/Users", json=user)
    assert created.status_code == 201, created.text
    eventually(lambda: everywhere(rooms, draw(1)), "every library holds the first picture")

    told = {
        "type": "face.replaced",
        "timestamp": "2026-03-02T08:00:00Z",
        "data": {
            "person": {"id": "E1001"},
            "face": {"id": "photo", "photo": {"base64": base64.b64encode(draw(2).content).decode()}},
        },
    }
    body, id_, now = json.dumps(told), f"msg_{uuid.uuid4().hex}", datetime.now(UTC)
    headers = {
        "webhook-id": id_,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(SECRET).sign(id_, now, body),
    }
    replaced = httpx.post(f"http://127.0.0.1:{up.port}/webhooks/hr", content=body, headers=headers)
    assert replaced.status_code == 202, replaced.text
    eventually(lambda: everywhere(rooms, draw(2)), "every library holds the second picture, and no other")

    patch = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "replace", "path": "active", "value": False}],
    }
    departed = scim.patch(f"/Users/{created.json()['id']}", json=patch)
    assert departed.status_code == 200, departed.text
    eventually(lambda: everywhere(rooms, None), "no library holds anybody")

    person = api.get("/people/E1001").json()
    change = replaced.json()["change"]
    eventually(lambda: listener.told(change) == ["change.converged"], "HR was told that its change has converged")
    assert person["faces"] == []
    assert {one["name"] for one in person["libraries"]} == {"north-gate", "cloud-ali", "cloud-huawei", "fin"}
    assert [one for one in person["libraries"] if one["faces"]] == []
    scim.close()
    api.close()
