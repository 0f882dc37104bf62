"""A front desk that scripts talk to, over either kind of database; two libraries, of which one takes features."""

import base64
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from syncsvc.settings import Settings, read
from syncsvc.store import Store
from syncsvc.web import create_app
from syncsvc.wiring import Service, declare_libraries, open_service
from tests.conftest import PHOTO_KEY, MovableClock
from tests.web.api.ground import OPERATOR, PROVIDER, READER, Album, Script
from tests.web.asking import Client

FINAUTH = {"api_key": "a-key", "api_secret": "env:VENDOR", "group_id": "staff"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    gate = {"name": "gate", "vendor": "sophon", "base_url": "http://127.0.0.1:1", "policy": "sync"}
    yard = {"name": "yard", "vendor": "finauth", "base_url": "http://127.0.0.1:1", "policy": "sync", "options": FINAUTH}
    tokens = [("ops", "operator", "env:OPS"), ("eyes", "reader", "env:EYES"), ("idp", "scim", "env:IDP")]
    told = {
        "service": {"photo_key": "env:KEY", "public_url": "http://localhost"},
        "library": [gate, yard],
        "token": [{"name": name, "role": role, "secret": secret} for name, role, secret in tokens],
        "webhook": [{"name": "hr", "secrets": ["env:HR"]}],
    }
    environ = {"KEY": base64.b64encode(PHOTO_KEY).decode(), "OPS": OPERATOR, "EYES": READER, "IDP": PROVIDER}
    environ |= {"VENDOR": "a-secret", "HR": "whsec_" + base64.b64encode(bytes(32)).decode()}
    return read(told, environ, tmp_path)


@pytest.fixture
def album() -> Album:
    return Album()


@pytest.fixture
def service(settings: Settings, album: Album, store: Store, clock: MovableClock) -> Iterator[Service]:
    opened = open_service(settings)
    opened.house.store.close()
    ready = replace(opened, photos=album, house=replace(opened.house, store=store, clock=clock))
    declare_libraries(ready)
    yield ready
    for shelf in ready.house.shelves.values():
        shelf.library.door.client.close()


@pytest.fixture
def rung() -> list[str]:
    """The libraries whose bell was rung."""
    return []


@pytest.fixture
def client(service: Service, rung: list[str]) -> Client:
    return Client(create_app(service, lambda rings: rung.extend(ring.library for ring in rings)))


@pytest.fixture
def ops(client: Client) -> Script:
    """A script that may change."""
    return Script(client, OPERATOR)


@pytest.fixture
def eyes(client: Client) -> Script:
    """A script that may look."""
    return Script(client, READER)
