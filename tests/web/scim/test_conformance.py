"""The server against strangers' tools: scim2-tester's whole suite, and scim2-client as somebody would use it."""

import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import uvicorn
from scim2_client import BaseSyncSCIMClient
from scim2_models import NotFoundException, PatchOp, SearchRequest
from scim2_tester import Status, check_server

from syncsvc.web import create_app
from syncsvc.wiring import Service
from tests.vendors.photos import draw
from tests.web.scim.provider import TOKENS, IdentityProvider, data_uri


class SyncSCIMClient(BaseSyncSCIMClient):
    """scim2-client over the HTTP client that we have."""

    def __init__(self, http: httpx.Client) -> None:
        super().__init__()
        self._http = http

    def request(self, method: str, url: str, **kwargs: Any) -> httpx.Response:
        return self._http.request(method, url, **kwargs)

    def _parse_json(self, response: Any) -> Any:
        return response.json()

    def _stays_under_base_url(self, endpoint: str) -> bool:
        return str(self._http.build_request("GET", endpoint).url).startswith(str(self._http.base_url))


@pytest.fixture
def running(service: Service) -> Iterator[str]:
    """The application behind a real server on a free port."""
    config = uvicorn.Config(create_app(service), host="127.0.0.1", port=0, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    socket = config.bind_socket()
    thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{socket.getsockname()[1]}/scim/v2"
    server.should_exit = True
    thread.join()


@pytest.fixture
def client(running: str) -> Iterator[SyncSCIMClient]:
    headers = {"Authorization": f"Bearer {TOKENS['okta'][1]}"}
    with httpx.Client(base_url=running, headers=headers, trust_env=False) as http:
        yield SyncSCIMClient(http)


def test_the_whole_suite_of_scim2_tester_passes(client: SyncSCIMClient) -> None:
    results = check_server(client)

    assert [(one.title, one.reason) for one in results if one.status is not Status.SUCCESS] == []
    assert {one.title for one in results} >= {"object_creation", "object_replacement", "check_replace_attribute"}


def test_scim2_client_takes_a_person_from_hiring_to_leaving(client: SyncSCIMClient, idp: IdentityProvider) -> None:
    client.discover()
    model: Any = client.get_resource_model("User")

    alice = client.create(model(user_name="alice", active=True, photos=[{"value": data_uri(1)}]))
    client.modify(model, alice.id, PatchOp[model](operations=[{"op": "replace", "path": "displayName", "value": "A"}]))
    found = client.query(model, query_parameters=SearchRequest(filter='userName eq "ALICE"'))

    assert [one.display_name for one in found.resources] == ["A"]
    assert idp.faces("alice") == {"photo": draw(1).digest}

    client.modify(model, alice.id, PatchOp[model](operations=[{"op": "replace", "path": "active", "value": False}]))

    assert client.query(model, alice.id).active is False
    assert idp.departed("alice")

    client.delete(model, alice.id)

    with pytest.raises(NotFoundException):
        client.query(model, alice.id)
