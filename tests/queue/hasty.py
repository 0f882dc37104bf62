"""`python -m tests.queue.hasty ...` is `celery ...` in a hurry: a dead worker's errands are back within seconds.

It ends with the test that started it, also when that is killed.
"""

import ctypes
import os
import signal
import sys
from datetime import timedelta

from celery.__main__ import main

from syncsvc.flow import claim, deliver

PARENT = "SYNCSVC_TEST_PARENT"
LEASE = timedelta(seconds=8)


def hurry() -> None:
    for module, name, value in (
        (claim, "LEASE", LEASE),
        (claim, "PROBE_FOR", LEASE),
        (deliver, "LEASE", LEASE),
        (deliver, "SETTLING", 1.0),
    ):
        assert hasattr(module, name)
        setattr(module, name, value)


if __name__ == "__main__":
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if os.getppid() != int(os.environ[PARENT]):
            sys.exit(1)
    hurry()
    main()
