"""Sandboxes are found by their file's name and served until a signal."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from syncsvc.sandbox.serve import running, sandbox_class, sandbox_names
from tests.sandbox.toy import Toy

ROOT = Path(__file__).resolve().parents[2]


def test_a_room_is_found_by_its_files_name_and_a_helper_is_none() -> None:
    names = sandbox_names()

    assert "sophon" in names
    assert not {"base", "control", "faults", "serve", "windows", "wire", "world"} & set(names)
    assert sandbox_class("sophon").name == "sophon"
    with pytest.raises(KeyError):
        sandbox_class("base")


def test_several_rooms_run_beside_each_other_and_do_not_meet() -> None:
    first, second = Toy(), Toy()

    with running(first, second) as (one, other):
        assert httpx.post(f"{one}/add", trust_env=False).status_code == 200
        assert httpx.get(f"{other}/_control/world", trust_env=False).json()["total"] == 0

    assert (len(first.world.faces), len(second.world.faces)) == (1, 0)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_several_vendors_are_served_in_one_process_until_a_signal(number: signal.Signals) -> None:
    ports = {"sophon": _free_port(), "finauth": _free_port()}
    script = f"from syncsvc.sandbox.serve import serve_forever; serve_forever({ports})"
    process = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stderr=subprocess.PIPE)
    transport = httpx.HTTPTransport(retries=7)  # its back-off waits for the process to come up

    with httpx.Client(transport=transport) as client:
        vendors = [client.get(f"http://127.0.0.1:{port}/_control/world").json()["vendor"] for port in ports.values()]
    process.send_signal(number)
    _, complaints = process.communicate(timeout=20)

    assert vendors == list(ports)
    assert (process.returncode, complaints) == (0, b"")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
