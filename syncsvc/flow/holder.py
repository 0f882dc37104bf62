"""Who holds a lease: a process of a machine. A process that is gone from this machine holds nothing any more."""

import os
import uuid
from pathlib import Path


def this_process() -> str:
    """Names this process apart from every other, on this machine and on others."""
    return f"{_machine()}:{os.getpid()}"


def is_dead(holder: str) -> bool:
    """Whether `holder` was a process of this machine that runs no more. Of other machines nothing is known: False."""
    machine, _, number = holder.rpartition(":")
    if machine != _machine() or not number.isdecimal():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except OSError:  # somebody else's process, but there
        return False
    return False


def _machine() -> str:
    """This boot of this kernel and its space of process ids: containers may share a host name, never both of these."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot}-{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return f"{uuid.getnode():x}"
