"""The demo's child processes: started in a session of their own, stopped by their process ids.

`python -m syncsvc.cli.demo.children ...` is `syncsvc ...` that ends with the demo.
"""

import ctypes
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from syncsvc.model.errors import SyncsvcError

_PR_SET_PDEATHSIG = 1  # prctl(2), Linux


class ChildError(SyncsvcError):
    """A process of the demo ended before its time."""


class Child:
    """One running child. `check` raises where it is no longer running."""

    def __init__(self, name: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.name, self._process, self._log = name, process, log

    def check(self) -> None:
        code = self._process.poll()
        if code is not None:
            raise ChildError(f"{self.name} ended with {code}; its last words: {_last_line(self._log)}")

    def stop(self, seconds: float) -> None:
        """SIGTERM, and after so many seconds SIGKILL; returns when it is gone."""
        self._process.terminate()
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def child(name: str, arguments: Sequence[str], log: Path, *, stop_seconds: float) -> Iterator[Child]:
    """A Python child while the block lasts; what it says goes to `log`.

    It has a session of its own: Ctrl-C reaches the demo alone, which then stops its children in their order.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and our own words
            [sys.executable, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, PARENT: str(os.getpid())},
        )
    running = Child(name, process, log)
    try:
        yield running
    finally:
        running.stop(stop_seconds)


PARENT = "SYNCSVC_DEMO"


def end_with_parent() -> None:
    """In a child: end when the demo does, even by `kill -9`. Only Linux promises this."""
    if sys.platform != "linux" or PARENT not in os.environ:
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(os.environ[PARENT]):
        sys.exit(1)


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface that nobody listens on at this moment, all different."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


def kill_hard(pid_file: Path) -> int | None:
    """SIGKILL the process whose id is in the file; its id, or None where there is none to kill."""
    pid = read_pid(pid_file)
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            return pid
    return None


def read_pid(pid_file: Path) -> int | None:
    """The id in the file; None where there is none, nor anything that could be meant by 0 and 1."""
    with suppress(OSError, ValueError):
        pid = int(pid_file.read_text())
        return pid if pid > 1 else None
    return None


def _last_line(log: Path) -> str:
    lines = log.read_text("utf-8", "replace").strip().splitlines()
    return f"{lines[-1][:300]} (all of them: {log})" if lines else f"none (see {log.parent})"


if __name__ == "__main__":
    end_with_parent()
    from syncsvc.cli import main

    main()
