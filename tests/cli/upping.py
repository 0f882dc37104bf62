"""A running `syncsvc up`, with everything of its own, and its end."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

PATIENCE = 60.0


def eventually(true: Callable[[], bool], what: str) -> None:
    """Waits for other processes; there is no clock of theirs to move."""
    until = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < until, f"not within {PATIENCE:.0f} s: {what}"
        time.sleep(0.1)


@dataclass
class Up:
    """A running `syncsvc up`."""

    folder: Path
    port: int
    environ: dict[str, str]
    process: "subprocess.Popen[bytes]" = field(init=False)

    def __post_init__(self) -> None:
        self.said = (self.folder / "said.txt").open("ab")
        words = [sys.executable, "-m", "syncsvc", "up", "--port", str(self.port)]
        self.process = subprocess.Popen(
            words, cwd=self.folder, env=self.environ, stdout=self.said, stderr=subprocess.STDOUT
        )

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        words = [sys.executable, "-m", "syncsvc", *arguments]
        return subprocess.run(words, cwd=self.folder, env=self.environ, capture_output=True, text=True, check=False)

    def pid(self, name: str) -> int | None:
        file = self.folder / "var" / "run" / f"{name}.pid"
        return int(file.read_text() or 0) if file.exists() else None

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def children(self) -> list[int]:
        """Processes whose command line names this folder's configuration, or its Redis."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != self.process.pid:
                try:
                    words = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
                except OSError:
                    continue
                if str(self.folder).encode() in words and int(entry.name) != os.getpid():
                    found.append(int(entry.name))
        return found


@contextmanager
def running_up(folder: Path, configuration: str, environ: Mapping[str, str]) -> Iterator[Up]:
    """Everything has answered when the block begins, and is gone when it has ended; $port is the service's own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    file = folder / "syncsvc.toml"
    file.write_text(Template(configuration).safe_substitute(port=port) + "[worker]\nthreads = 4\n")
    up = Up(folder, port, {**os.environ, **environ, "SYNCSVC_CONFIG": str(file)})
    try:
        eventually(up.ready, "ready")
        yield up
    finally:
        up.process.kill()
        up.process.wait()
        up.said.close()
        eventually(lambda: not up.children(), "its children ended with it")
