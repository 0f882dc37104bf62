"""A front desk that identity providers talk to, over either kind of database."""

import base64
from dataclasses import replace
from pathlib import Path

import pytest

from syncsvc.settings import Settings, read
from syncsvc.store import Store
from syncsvc.wiring import Service, declare_libraries, open_service
from tests.conftest import PHOTO_KEY, MovableClock
from tests.web.scim.provider import TOKENS, Album, IdentityProvider


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    told = {
        "service": {"photo_key": "env:KEY", "public_url": "https://faces.example.com"},
        "library": [{"name": "gate", "vendor": "sophon", "base_url": "http://127.0.0.1:1", "policy": "sync"}],
        "token": [{"name": name, "role": role, "secret": f"env:{name}"} for name, (role, _) in TOKENS.items()],
    }
    secrets = {name: secret for name, (_, secret) in TOKENS.items()}
    return read(told, {"KEY": base64.b64encode(PHOTO_KEY).decode(), **secrets}, tmp_path)


@pytest.fixture
def album() -> Album:
    return Album()


@pytest.fixture
def service(settings: Settings, album: Album, store: Store, clock: MovableClock) -> Service:
    opened = open_service(settings)
    opened.house.store.close()
    ready = replace(opened, photos=album, house=replace(opened.house, store=store, clock=clock))
    declare_libraries(ready)
    return ready


@pytest.fixture
def idp(service: Service) -> IdentityProvider:
    return IdentityProvider(service)
