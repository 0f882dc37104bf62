"""Scripted faults: what shall go wrong, for which operation, how often and how long."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What can go wrong."""

    UNAVAILABLE = "unavailable"  # the vendor's own "not now"
    OUTAGE = "outage"  # a dead proxy's HTML page, status 503
    THROTTLE = "throttle"  # the vendor's own "slow down"
    TIMEOUT = "timeout"  # carried out (or not), and no answer for `wait` seconds
    LOST_ANSWER = "lost_answer"  # carried out, then the connection is cut
    LYING_OK = "lying_ok"  # the answer of a success, and nothing was done
    PARTIAL = "partial"  # only the first half is done; `honest`: and the answer says so
    GARBAGE = "garbage"  # status 200 and an unreadable body, carried out (or not)
    UNKNOWN_CODE = "unknown_code"  # the vendor's error shape with a code that is in no table


@dataclass(frozen=True, slots=True)
class Fault:
    """One line of the script; it lasts until `times` calls were hit or `seconds` have passed, else until cleared.

    `operation` None: all. `after`: so many matching calls get through first. `every`: hits only each n-th.
    """

    kind: Kind
    operation: str | None = None
    times: int | None = None
    seconds: float | None = None
    after: int = 0
    every: int = 1
    wait: float = 30.0
    carried_out: bool = True
    honest: bool = True


_KEYS = frozenset(Fault.__dataclass_fields__)


def fault_of(told: Mapping[str, Any]) -> Fault:
    """A fault from JSON. Raises ValueError naming what is wrong with it."""
    if unknown := set(told) - _KEYS:
        raise ValueError(f"a fault has no {', '.join(sorted(unknown))}; it has {', '.join(sorted(_KEYS))}")
    if told.get("kind") not in set(Kind):
        raise ValueError(f"kind must be one of {', '.join(Kind)}")
    return Fault(**{**told, "kind": Kind(told["kind"])})


@dataclass(slots=True)
class _Running:
    fault: Fault
    since: float
    seen: int = 0
    fired: int = 0


class Script:
    """The faults in force, asked in the order they were written."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._running: list[_Running] = []
        self.fired: dict[str, int] = {}

    def write(self, fault: Fault) -> None:
        """Add a fault, in force from now."""
        self._running.append(_Running(fault, self._clock()))

    def clear(self) -> None:
        """Nothing goes wrong any more; the count of what went wrong stays."""
        self._running.clear()

    def next(self, operation: str) -> Fault | None:
        """The fault that hits this call, if one does."""
        now = self._clock()
        for running in self._running:
            fault = running.fault
            if fault.operation not in {None, operation} or _over(running, now):
                continue
            running.seen += 1
            if running.seen <= fault.after or (running.seen - fault.after) % fault.every:
                continue
            running.fired += 1
            self.fired[fault.kind] = self.fired.get(fault.kind, 0) + 1
            return fault
        return None

    def in_force(self) -> list[Fault]:
        """Every fault that can still hit."""
        now = self._clock()
        return [running.fault for running in self._running if not _over(running, now)]


def _over(running: _Running, now: float) -> bool:
    fault = running.fault
    if fault.times is not None and running.fired >= fault.times:
        return True
    return fault.seconds is not None and now - running.since >= fault.seconds
