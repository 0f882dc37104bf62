"""`syncsvc up` with real processes: what dies is restarted, one signal stops everything, nothing is left behind."""

import os
import signal
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from syncsvc.flow.record import record
from syncsvc.model.changes import Told, Upserted
from syncsvc.model.people import FaceId, PersonId
from syncsvc.sandbox.base import Sandbox
from syncsvc.sandbox.serve import running, sandbox_class
from syncsvc.settings import load
from syncsvc.wiring import open_service
from tests.cli.conftest import CONFIGURATION, KEY
from tests.cli.upping import PATIENCE, Up, eventually, running_up
from tests.vendors.photos import draw

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture
def sandbox() -> Iterator[tuple[Sandbox, str]]:
    sandbox = sandbox_class("sophon")()
    with running(sandbox) as (url,):
        yield sandbox, url


@pytest.fixture
def up(tmp_path: Path, sandbox: tuple[Sandbox, str]) -> Iterator[Up]:
    with running_up(tmp_path, CONFIGURATION.format(base_url=sandbox[1]), {"PHOTO_KEY": KEY}) as up:
        yield up


def tell(up: Up, person: str) -> None:
    settings = load(Path(up.environ["SYNCSVC_CONFIG"]), up.environ)
    service = open_service(settings)
    told = Upserted(PersonId(person), ((FaceId("front"), draw(7)),))
    record(service.house, Told("hr", uuid.uuid4().hex, told))
    service.house.store.close()
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)


def holds(sandbox: Sandbox) -> int:
    with sandbox.lock:
        return len(sandbox.world.faces)


def test_the_whole_service_lives_through_what_dies_and_stops_at_one_signal(
    up: Up, sandbox: tuple[Sandbox, str]
) -> None:
    eventually(lambda: all(up.pid(name) for name in ("redis", "web", "worker-1", "beat")), "every child is up")
    tell(up, "alice")
    eventually(lambda: holds(sandbox[0]) == 1, "alice is enrolled")

    for name in ("worker-1", "web", "redis"):
        before = up.pid(name)
        assert before
        os.kill(before, signal.SIGKILL)
        eventually(lambda name=name, before=before: up.pid(name) not in {None, before}, f"{name} is restarted")  # type: ignore[misc]
    eventually(up.ready, "ready again")
    erased = up.run("person", "erase", "alice", "--yes")

    assert erased.returncode == 0, erased.stderr
    eventually(lambda: holds(sandbox[0]) == 0, "alice is gone")
    second = up.run("up", "--port", str(up.port))
    assert second.returncode == 1
    assert f"already runs on {up.folder / 'var'} (process {up.process.pid})" in second.stderr
    up.process.send_signal(signal.SIGTERM)
    assert up.process.wait(PATIENCE) == 0
    assert up.children() == []
    said = (up.folder / "said.txt").read_text()
    assert "died     worker-1  (was killed); starting it again" in said
    assert said.endswith("everything is stopped\n")
    assert "Traceback" not in said


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends the children of a killed parent")
def test_a_killed_supervisor_takes_its_children_along(up: Up) -> None:
    eventually(lambda: all(up.pid(name) for name in ("redis", "web", "worker-1", "beat")), "every child is up")

    up.process.kill()
    up.process.wait()

    eventually(lambda: not up.children(), "its children ended with it")
