"""Celery's settings, the tasks' names, and what a broker that is away does to whoever rings."""

import json
import os
import runpy
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.queue.engine import ROOT

CONFIGURATION = """
[service]
photo_key = "env:PHOTO_KEY"
[redis]
url = "redis://127.0.0.1:1"
{more}
[[library]]
name = "north-gate"
vendor = "sophon"
base_url = "http://127.0.0.1:1"
policy = "sync"
[[library]]
name = "south-gate"
vendor = "sophon"
base_url = "http://127.0.0.1:2"
policy = "sync"
"""


@pytest.fixture
def environ(tmp_path: Path) -> Mapping[str, str]:
    return _environ(tmp_path, "")


def _environ(folder: Path, more: str) -> dict[str, str]:
    file = folder / "syncsvc.toml"
    file.write_text(CONFIGURATION.format(more=more), "utf-8")
    key = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
    return {**os.environ, "SYNCSVC_CONFIG": str(file), "PHOTO_KEY": key, "PYTHONPATH": str(ROOT)}


@pytest.fixture
def settings(environ: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Mapping[str, Any]:
    for name in ("SYNCSVC_CONFIG", "PHOTO_KEY"):
        monkeypatch.setenv(name, environ[name])
    return runpy.run_path(str(ROOT / "celeryconfig.py"))


def _run(words: list[str], folder: Path, environ: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *words], cwd=folder, env=environ, capture_output=True, text=True, timeout=60, check=False
    )


def test_messages_are_json_and_nothing_else_is_opened(settings: Mapping[str, Any]) -> None:
    assert settings["accept_content"] == ["json"]
    assert settings["task_serializer"] == settings["result_serializer"] == "json"


def test_a_message_is_acknowledged_when_its_errand_is_done(settings: Mapping[str, Any]) -> None:
    assert settings["task_acks_late"] is True
    assert settings["task_reject_on_worker_lost"] is True
    assert settings["worker_prefetch_multiplier"] == 1
    assert settings["worker_soft_shutdown_timeout"] > 0


def test_results_are_kept_nowhere_but_in_the_database(settings: Mapping[str, Any]) -> None:
    assert settings["result_backend"] is None
    assert settings["task_ignore_result"] is True


def test_every_library_has_a_queue_of_its_own(settings: Mapping[str, Any]) -> None:
    names = [queue.name for queue in settings["task_queues"]]

    assert names == ["housekeeping", "library.north-gate", "library.south-gate"]
    assert settings["task_default_queue"] == "housekeeping"


def test_whoever_rings_waits_for_no_broker(settings: Mapping[str, Any]) -> None:
    assert settings["task_publish_retry"] is False
    assert settings["broker_transport_options"]["socket_connect_timeout"] <= 5
    assert settings["broker_transport_options"]["socket_timeout"] <= 5
    assert settings["broker_transport_options"]["max_retries"] == 0


def test_callbacks_are_told_every_second_where_there_are_some(
    settings: Mapping[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "notify" not in settings["beat_schedule"]
    section = '[[callback]]\nname = "hr"\nurl = "http://127.0.0.1:1"\nsecret = "env:SECRET"\n'
    monkeypatch.setenv("SYNCSVC_CONFIG", _environ(tmp_path, section)["SYNCSVC_CONFIG"])
    monkeypatch.setenv("SECRET", "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")

    beat = runpy.run_path(str(ROOT / "celeryconfig.py"))["beat_schedule"]["notify"]

    assert (beat["task"], beat["schedule"]) == ("syncsvc.notify", 1.0)
    assert beat["options"] == {"queue": "housekeeping", "expires": 3}


def test_what_is_old_is_forgotten_at_the_hour_of_the_nightly_round(
    tmp_path: Path, settings: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    at = '[reconcile]\nat = "04:05"\ntime_zone = "Asia/Shanghai"\n'
    monkeypatch.setenv("SYNCSVC_CONFIG", _environ(tmp_path, at)["SYNCSVC_CONFIG"])

    read = runpy.run_path(str(ROOT / "celeryconfig.py"))

    night = read["beat_schedule"]["purge"]
    assert (night["task"], read["timezone"]) == ("syncsvc.purge", "Asia/Shanghai")
    assert (night["schedule"].hour, night["schedule"].minute) == ({4}, {5})


def test_the_tasks_have_their_public_names(environ: Mapping[str, str], tmp_path: Path) -> None:
    words = "import json; from syncsvc.queue import tasks; print(json.dumps(sorted(tasks.app.tasks)))"

    ended = _run(["-c", words], tmp_path, environ)

    names = {name for name in json.loads(ended.stdout) if not name.startswith("celery.")}
    assert {"syncsvc.delete", "syncsvc.replace", "syncsvc.sweep"} <= names
    assert names <= {
        f"syncsvc.{one}" for one in ("delete", "replace", "sweep", "reconcile", "verify", "purge", "notify", "fetch")
    }


@pytest.mark.parametrize("command", ["worker", "beat", "status"])
def test_celery_without_a_configuration_says_one_clear_thing(command: str, tmp_path: Path) -> None:
    environ = {key: value for key, value in os.environ.items() if key != "SYNCSVC_CONFIG"} | {"PYTHONPATH": str(ROOT)}

    ended = _run(["-m", "celery", "-A", "syncsvc", command], tmp_path, environ)

    assert ended.returncode != 0
    said = (ended.stdout + ended.stderr).strip().splitlines()
    assert said[0] == "syncsvc: the configuration has 1 mistake:"
    assert "syncsvc.toml: there is no such file" in said[1]
    assert len(said) == 2


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_a_broker_that_is_away_is_noted_and_not_raised(scheme: str, tmp_path: Path) -> None:
    environ = _environ(tmp_path, f'[broker]\nurl = "{scheme}://127.0.0.1:1"')

    ended = _run(["-m", "tests.queue.bell"], tmp_path, environ)

    assert ended.returncode == 0, ended.stderr[-500:]
    assert ended.stdout.splitlines()[-1] == "0"
    assert "broker unreachable" in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """Connections are taken and nothing is said, as by a broker behind a broken network."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_a_broker_that_says_nothing_is_waited_for_once(scheme: str, silent: socket.socket, tmp_path: Path) -> None:
    environ = _environ(tmp_path, f'[broker]\nurl = "{scheme}://127.0.0.1:{silent.getsockname()[1]}"')

    ended = _run(["-m", "tests.queue.bell"], tmp_path, environ)

    assert ended.returncode == 0, ended.stderr[-500:]
    assert ended.stdout.splitlines()[-1] == "0"
    assert (ended.stdout + ended.stderr).count("broker unreachable") == 1  # for two people's rings
    assert _connections(silent) == 1


def _connections(listener: socket.socket) -> int:
    number = 0
    with suppress(BlockingIOError):
        while True:
            listener.accept()[0].close()
            number += 1
    return number


def test_employees_are_asked_about_where_an_hr_system_tells_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook = """
[[webhook]]
name = "people"
dialect = "personio"
[webhook.options]
tokens = ["env:PERSONIO"]
client_id = "client"
client_secret = "env:PERSONIO"
"""
    for name, value in (_environ(tmp_path, webhook) | {"PERSONIO": "secret"}).items():
        monkeypatch.setenv(name, value)

    asking = runpy.run_path(str(ROOT / "celeryconfig.py"))["beat_schedule"]
    quiet = tmp_path / "quiet"
    quiet.mkdir()
    monkeypatch.setenv("SYNCSVC_CONFIG", _environ(quiet, "")["SYNCSVC_CONFIG"])
    silent = runpy.run_path(str(ROOT / "celeryconfig.py"))["beat_schedule"]

    assert asking["fetch"]["task"] == "syncsvc.fetch"
    assert "fetch" not in silent
