"""`up`: the whole service on one machine, restarted where it dies, stopped by one signal."""

import fcntl
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from syncsvc.cli.caretaker import supervise
from syncsvc.cli.desk import Desk, desk
from syncsvc.cli.ports import check_port
from syncsvc.cli.processes import SUPERVISOR, Host
from syncsvc.model.errors import SyncsvcError
from syncsvc.observe import metrics

_REDIS, _HOUSE = 100, 200  # what is started later is stopped earlier


class UpError(SyncsvcError):
    """The service cannot be started here."""


@dataclass(frozen=True, slots=True)
class Program:
    """One child: the arguments of `syncsvc` that start it, and how long it may take to stop."""

    name: str
    arguments: tuple[str, ...]
    stop_seconds: int
    priority: int = _HOUSE


def up(
    context: typer.Context,
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of the API.", min=1, max=65535)] = 8080,
    flower: Annotated[bool, typer.Option("--flower", help="Run Flower too.")] = False,  # noqa: FBT002 - a switch
    flower_port: Annotated[int, typer.Option(help="Flower's port.", min=1, max=65535)] = 5555,
) -> None:
    """Run the whole service on this machine until Ctrl-C or SIGTERM."""
    here = desk(context)
    state_dir = here.settings.state_dir
    with _only_one(state_dir):
        check_port(host, port, "--port")
        if flower:
            check_port("127.0.0.1", flower_port, "--flower-port")
        _upgrade(here)
        metrics.clear(state_dir / "metrics")
        programs = _programs(here, host=host, port=port, flower_port=flower_port if flower else None)
        file = _write_configuration(here, programs)
        os.environ[SUPERVISOR] = str(os.getpid())
        supervise(file, state_dir, web=f"http://{host}:{port}", flower=f"http://127.0.0.1:{flower_port}")


def _programs(here: Desk, *, host: str, port: int, flower_port: int | None) -> list[Program]:
    settings = here.settings
    programs = [Program("web", ("web", "--host", host, "--port", str(port)), 15)]
    workers = [f"worker-{number}" for number in range(1, settings.worker.processes + 1)]
    programs += [Program(name, ("worker", "--name", name), 30) for name in workers]  # it finishes what it has begun
    programs.append(Program("beat", ("beat",), 10))
    if flower_port is not None:
        programs.append(Program("flower", ("flower", "--port", str(flower_port)), 5))
    if settings.embedded_redis:
        programs.insert(0, Program("redis", ("redis",), 10, _REDIS))
    return programs


def _write_configuration(here: Desk, programs: list[Program]) -> Path:
    state_dir = here.settings.state_dir
    log, run = state_dir / "log", state_dir / "run"
    for folder in (log, run):
        folder.mkdir(parents=True, exist_ok=True)
    sections = [
        "[supervisord]",
        "nodaemon = true",
        "silent = true",
        f"logfile = {_escaped(log / 'supervisor.log')}",
        "logfile_maxbytes = 5MB",
        "logfile_backups = 1",
        f"pidfile = {_escaped(run / 'supervisor.pid')}",
        f"childlogdir = {_escaped(log)}",
    ]
    for one in programs:
        words = (sys.executable, "-m", "syncsvc", "--config", str(here.file), *one.arguments)
        sections += [
            "",
            f"[program:{one.name}]",
            f"command = {_escaped(shlex.join(words))}",
            f"priority = {one.priority}",
            "autorestart = true",
            "startsecs = 2",
            "startretries = 1000000",  # never given up: what it waits for may come back
            "stopsignal = TERM",
            f"stopwaitsecs = {one.stop_seconds}",
            "killasgroup = true",
            "redirect_stderr = true",
            f"stdout_logfile = {_escaped(log / one.name)}.log",
            "stdout_logfile_maxbytes = 20MB",
            "stdout_logfile_backups = 2",
        ]
    house = ",".join(one.name for one in programs if one.priority == _HOUSE)
    sections += ["", "[group:house]", f"programs = {house}", f"priority = {_HOUSE}", ""]  # stopped all together
    file = run / "supervisor.conf"
    file.write_text("\n".join(sections), "utf-8")
    return file


def _escaped(value: Path | str) -> str:
    return str(value).replace("%", "%%")


def _upgrade(here: Desk) -> None:
    from syncsvc import wiring  # noqa: PLC0415 - the database's library
    from syncsvc.store import schema  # noqa: PLC0415

    schema.upgrade(here.store)
    wiring.declare_libraries(here.service)
    here.store.close()  # no connection may be open when the children are forked


@contextmanager
def _only_one(state_dir: Path) -> Iterator[None]:
    """Holds the folder; the kernel lets go of it when this process ends, however it ends."""
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (state_dir / "up.lock").open("a+")
    except OSError as error:
        raise UpError(f"cannot write to {state_dir} ({error.strerror}); mend it or change service.state_dir") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            words = f"`syncsvc up` already runs on {state_dir} (process {lock.read().strip() or 'unknown'})"
            raise UpError(f"{words}; stop it first, or use another service.state_dir") from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
