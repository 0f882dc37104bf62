"""A front desk over a real database and a real Redis."""

import base64
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import values

from syncsvc.cli import embedded
from syncsvc.settings import Settings, read
from syncsvc.store import schema
from syncsvc.web import create_app
from syncsvc.wiring import Service, declare_libraries, open_service
from tests.web.asking import Client


@pytest.fixture(autouse=True)
def _counters_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(values, "ValueClass", values.ValueClass)
    yield
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    library = {"name": "north-gate", "vendor": "sophon", "base_url": "http://127.0.0.1:1", "policy": "sync"}
    service = {"photo_key": "env:KEY", "public_url": "http://localhost"}
    return read({"service": service, "library": [library]}, {"KEY": base64.b64encode(b"k" * 32).decode()}, tmp_path)


@pytest.fixture
def service(settings: Settings) -> Iterator[Service]:
    service = open_service(settings)
    schema.upgrade(service.house.store)
    declare_libraries(service)
    yield service
    service.house.store.close()


@pytest.fixture
def client(service: Service) -> Client:
    return Client(create_app(service))


@pytest.fixture
def redis(settings: Settings) -> Iterator[None]:
    with embedded.running(settings):
        yield
