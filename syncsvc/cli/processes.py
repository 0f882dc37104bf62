"""`web`, `worker`, `beat`, `flower` and the embedded `redis`: one process each."""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from syncsvc.cli import embedded
from syncsvc.cli.desk import Desk, desk
from syncsvc.cli.ports import check_port
from syncsvc.observe import logs

SUPERVISOR = "SYNCSVC_SUPERVISOR"
_PR_SET_PDEATHSIG = 1  # prctl(2), Linux
_REDIS_SECONDS = 15.0
_COLUMNS = "name,args,state,received,started,runtime,worker"  # args: the library, and numbers that are ids

Host = Annotated[str, typer.Option(help="Address to listen on.")]


def web(
    context: typer.Context, host: Host = "127.0.0.1", port: Annotated[int, typer.Option(min=1, max=65535)] = 8080
) -> None:
    """Serve the API, photo links, health and metrics."""
    from syncsvc.web import serve  # noqa: PLC0415 - the web framework, which no other command needs

    check_port(host, port, "--port")
    here = _begin(context)
    logs.configure()
    os.environ["SYNCSVC_CONFIG"] = str(here.file)  # Celery finds the same configuration by this
    from syncsvc.queue.send import send  # noqa: PLC0415

    serve(here.service, send, host=host, port=port)


def worker(
    context: typer.Context,
    threads: Annotated[
        int | None, typer.Option(help="Errands under way at once; worker.threads is the default.")
    ] = None,
    name: Annotated[str, typer.Option(help="This worker's name on this machine.")] = "worker",
) -> None:
    """Carry out errands: one Celery worker for every library's queue and for housekeeping."""
    here = _begin(context)
    settings = here.settings
    queues = [*(f"library.{library.name}" for library in settings.libraries), "housekeeping"]
    concurrency = str(threads or settings.worker.threads)
    options = ["--pool", "threads", "--concurrency", concurrency, "--queues", ",".join(queues)]
    quiet = ["--without-gossip", "--without-mingle", "--loglevel", "INFO", "--task-events"]
    _celery(here, ["worker", "--hostname", f"{name}@%h", *options, *quiet])


def beat(context: typer.Context) -> None:
    """Ring the clock: sweeps and the nightly round. One of these for the whole service."""
    here = _begin(context)
    schedule = here.settings.state_dir / "run" / "beat"
    schedule.parent.mkdir(parents=True, exist_ok=True)
    _celery(here, ["beat", "--schedule", str(schedule), "--loglevel", "INFO"])


def flower(
    context: typer.Context, host: Host = "127.0.0.1", port: Annotated[int, typer.Option(min=1, max=65535)] = 5555
) -> None:
    """Watch the traffic at each library's door in a browser."""
    check_port(host, port, "--port")
    here = _begin(context)
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)  # Flower counts for itself, not among our processes
    _celery(here, ["flower", f"--address={host}", f"--port={port}", f"--tasks-columns={_COLUMNS}"])


def redis(context: typer.Context) -> None:
    """Run the embedded Redis; `syncsvc up` does this by itself."""
    _die_with_parent()
    embedded.run(desk(context).settings)


def _begin(context: typer.Context) -> Desk:
    _die_with_parent()
    here = desk(context)
    if here.settings.embedded_redis:
        embedded.wait(here.settings, seconds=_REDIS_SECONDS if SUPERVISOR in os.environ else 0.0)
    return here


def _celery(here: Desk, arguments: Sequence[str]) -> NoReturn:
    """Become Celery's own command, which finds our application by the same configuration file."""
    environ = {**os.environ, "SYNCSVC_CONFIG": str(here.file)}
    words = [sys.executable, "-m", "celery", "-A", "syncsvc", "--quiet", *arguments]
    os.execve(words[0], words, environ)  # noqa: S606 - no shell, and every word is ours


def _die_with_parent() -> None:
    """Under `up`: end when the supervisor does, even by `kill -9`, so that a second `up` finds the ports free.

    What is asked of the kernel here survives an exec. Elsewhere than on Linux there is no such promise.
    """
    supervisor = os.environ.get(SUPERVISOR)
    if not supervisor or sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(supervisor):
        sys.exit(1)
