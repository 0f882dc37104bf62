"""Sets the stage: a fresh folder, a configuration, the practice rooms and the whole service on free ports."""

import base64
import fcntl
import os
import secrets
import shutil
import time
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from string import Template

import httpx

from syncsvc import wiring
from syncsvc.cli.demo.children import Child, ChildError, child, free_ports, kill_hard, read_pid
from syncsvc.cli.demo.rooms import Room
from syncsvc.cli.demo.sample import Sample
from syncsvc.model.errors import SyncsvcError
from syncsvc.settings import load

CONFIGURATION = "syncsvc.toml"
MARK = "# Written by `syncsvc demo`"
PRACTICE_SECRET = "sandbox-secret"  # noqa: S105 - what every practice room accepts, and nobody else
_START_SECONDS = 90.0
_STOP_SECONDS = 60.0


class StageError(SyncsvcError):
    """The demo cannot be set up here."""


@dataclass(frozen=True)
class Stage:
    """The running demo: the service's house, and each library's practice room."""

    folder: Path
    web: str
    service: wiring.Service
    rooms: Mapping[str, Room]
    children: tuple[Child, ...]

    def check(self) -> None:
        """Raises ChildError where a process that must not end has ended."""
        for one in self.children:
            one.check()

    def kill(self, worker: str) -> int | None:
        return kill_hard(self._pid_file(worker))

    def pid(self, worker: str) -> int | None:
        return read_pid(self._pid_file(worker))

    def _pid_file(self, name: str) -> Path:
        return self.folder / "run" / f"{name}.pid"


@contextmanager
def set_stage(folder: Path, sample: Sample) -> Iterator[Stage]:
    """Everything is up and has answered when the block begins; everything is gone when it has ended."""
    folder = folder.absolute()
    with _alone(folder), ExitStack() as stack:
        _clear(folder)
        configuration, ports = _configure(folder, sample)
        os.environ["SYNCSVC_CONFIG"] = str(configuration)  # Celery finds the same configuration by this
        log = folder / "log"
        words = [f"{vendor}={port}" for vendor, port in ports.items() if vendor != "web"]
        rooms_process = stack.enter_context(
            child("the practice rooms", ["-m", "syncsvc.cli.demo.rooms", *words], log / "rooms.log", stop_seconds=10)
        )
        rooms = _rooms(configuration, ports)
        for room in rooms.values():
            stack.enter_context(closing(room))
            room.wait(rooms_process, seconds=_START_SECONDS)
            room.set_latency(float(sample.story["latency"]))
        up = ["-m", "syncsvc.cli.demo.children", "--config", str(configuration), "up", "--port", str(ports["web"])]
        service_process = stack.enter_context(
            child("the service", up, log / "up.log", stop_seconds=_STOP_SECONDS),
        )
        web = f"http://127.0.0.1:{ports['web']}"
        _wait_ready(web, service_process)
        service = wiring.open_service(load(configuration, os.environ))
        stack.callback(service.house.store.close)
        yield Stage(folder, web, service, rooms, (rooms_process, service_process))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Only one demo in a folder; the kernel lets go of it when this process ends, however it ends."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = folder.with_name(folder.name + ".lock").open("w")
    except OSError as error:
        raise StageError(f"cannot write to {folder.parent} ({error.strerror}); name another with --folder") from error
    with lock:
        _lock(lock.fileno(), f"another demo runs in {folder}; wait for it, or name another with --folder")
        if (left := folder / "up.lock").exists():
            with left.open() as service:
                _lock(service.fileno(), f"a `syncsvc up` runs in {folder}; stop it first")
        yield


def _lock(number: int, words: str) -> None:
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StageError(words) from None


def _clear(folder: Path) -> None:
    """Begin anew, but never in a folder that no demo has made."""
    if folder.exists() and any(folder.iterdir()):
        found = folder / CONFIGURATION
        if not (found.is_file() and found.read_text("utf-8", "replace").startswith(MARK)):
            raise StageError(f"{folder} is not empty and not a demo's; name another with --folder")
        shutil.rmtree(folder)
    (folder / "log").mkdir(parents=True)
    (folder / "keys").mkdir(mode=0o700)


def _configure(folder: Path, sample: Sample) -> tuple[Path, dict[str, int]]:
    """Keys, free ports, and the sample's configuration with both filled in."""
    for name in ("photo", "receipt"):
        _secret(folder / "keys" / name, base64.b64encode(secrets.token_bytes(32)).decode())
    _secret(folder / "keys" / "practice", PRACTICE_SECRET)
    template = Template((sample.folder / CONFIGURATION).read_text("utf-8"))
    names = template.get_identifiers()
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    configuration = folder / CONFIGURATION
    configuration.write_text(template.substitute(ports), "utf-8")
    return configuration, ports


def _secret(file: Path, content: str) -> None:
    file.touch(mode=0o600)
    file.write_text(content)


def _rooms(configuration: Path, ports: Mapping[str, int]) -> dict[str, Room]:
    libraries = tomllib.loads(configuration.read_text("utf-8"))["library"]
    return {one["name"]: Room(one["vendor"], ports[one["vendor"]]) for one in libraries}


def _wait_ready(web: str, process: Child) -> None:
    until = time.monotonic() + _START_SECONDS
    with httpx.Client(timeout=5.0, trust_env=False) as client:
        while time.monotonic() < until:
            process.check()
            try:
                if client.get(f"{web}/readyz").status_code == HTTPStatus.OK:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.2)
    raise ChildError(f"the service was not ready within {_START_SECONDS:.0f} s")
