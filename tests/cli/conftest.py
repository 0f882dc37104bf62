"""The command line, run in this process on a configuration of its own."""

import base64
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from prometheus_client import values

from syncsvc.cli import embedded
from syncsvc.cli.commands import _desk, main
from syncsvc.settings import load
from tests.cli.running import Ended, Run

KEY = base64.b64encode(b"k" * 32).decode()
CONFIGURATION = """
[service]
photo_key = "env:PHOTO_KEY"

[[library]]
name = "north-gate"
vendor = "sophon"
base_url = "{base_url}"
policy = "sync"
"""


@pytest.fixture
def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PHOTO_KEY", KEY)
    monkeypatch.setenv("SYNCSVC_CONFIG", "")  # so that what a command sets for Celery is gone after the test
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "syncsvc.toml"
    file.write_text(CONFIGURATION.format(base_url="http://127.0.0.1:1"))
    return file


@pytest.fixture
def embedded_redis(configuration: Path) -> Iterator[None]:
    """The Redis server that comes with us, for commands that need permits."""
    with embedded.running(load(configuration, os.environ)):
        yield


@pytest.fixture
def run(configuration: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Runs `syncsvc` with these arguments."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    monkeypatch.setattr(values, "ValueClass", values.ValueClass)

    def command(*arguments: str) -> Ended:
        vars(_desk).clear()  # each run of the program has a desk of its own
        monkeypatch.setattr("sys.argv", ["syncsvc", *arguments])
        try:
            main()
            code = 0
        except SystemExit as error:
            code = int(error.code or 0)
        if "service" in vars(_desk):
            _desk.house.store.close()
            for shelf in _desk.house.shelves.values():
                shelf.library.door.client.close()
        shown = capsys.readouterr()
        return Ended(code, shown.out, shown.err)

    yield command
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)
