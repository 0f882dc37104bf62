"""The tasks that tell and forget, in a process of their own, as Beat has them run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.intake.receiver import SECRET, receiver
from tests.queue.engine import ROOT

CONFIGURATION = """
[service]
photo_key = "env:PHOTO_KEY"
[[callback]]
name = "hr"
url = "{url}"
secret = "env:SECRET"
"""
PROGRAM = """
import threading
from syncsvc.model.changes import FaceDeleted, Told
from syncsvc.flow.record import record
from syncsvc.queue.tasks import notify_all, purge_all
from syncsvc.queue.app import service
from syncsvc.store import schema
house = service().house
schema.upgrade(house.store)
record(house, Told("hr", "their-id", FaceDeleted("alice", "left")), ring=False)
with house.store.transaction() as tx:
    tx.watches.look_at(["alice"], house.clock())
thread = threading.Thread(target=notify_all)
thread.start()
thread.join()
notify_all()
purge_all()
house.store.close()
"""


@pytest.mark.slow
def test_a_change_is_told_by_the_task_and_once(tmp_path: Path) -> None:
    with receiver() as there:
        (tmp_path / "syncsvc.toml").write_text(CONFIGURATION.format(url=there.url))
        environ = {
            **os.environ,
            "SYNCSVC_CONFIG": str(tmp_path / "syncsvc.toml"),
            "PHOTO_KEY": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
            "SECRET": SECRET,
            "PYTHONPATH": str(ROOT),
        }

        ended = subprocess.run(
            [sys.executable, "-W", "error", "-c", PROGRAM],
            cwd=tmp_path,
            env=environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert ended.returncode == 0, ended.stderr[-2000:]
    assert [one.content["data"]["source_id"] for one in there.taken] == ["their-id"]
    assert SECRET.removeprefix("whsec_") not in ended.stdout + ended.stderr
