"""A vendor's limits as the vendor counts them: strict sliding windows at arrival, and calls under way."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

Rates = tuple[tuple[int, float], ...]  # (permits, period in seconds)


@dataclass(frozen=True, slots=True)
class Limits:
    """`rates` count all calls of an account together; `operations` one class; `each` every class by itself."""

    rates: Rates = ()
    each: Rates = ()
    operations: Mapping[str, Rates] = field(default_factory=dict)
    concurrency: int | None = None
    enabled: bool = True


class Windows:
    """Counts calls. A call that is turned away does not count; time is whatever the caller says it is."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._seen: dict[tuple[str, str, int, float], deque[float]] = {}
        self._under_way: dict[str, int] = {}

    def arrive(self, account: str, operation: str, now: float) -> bool:
        """Count one call, or say that it is one too many. One that is let in must `leave`."""
        limits = self.limits
        busy = self._under_way.get(account, 0)
        if limits.enabled:
            if limits.concurrency is not None and busy >= limits.concurrency:
                return False
            windows = [self._window(account, "", rate, now) for rate in limits.rates]
            own = limits.operations.get(operation, limits.each)
            windows += [self._window(account, operation, rate, now) for rate in own]
            if any(len(window) >= permits for window, permits in windows):
                return False
            for window, _ in windows:
                window.append(now)
        self._under_way[account] = busy + 1
        return True

    def leave(self, account: str) -> None:
        """A call that was let in is over."""
        self._under_way[account] = max(0, self._under_way.get(account, 0) - 1)

    def forget(self) -> None:
        """Count from nothing again."""
        self._seen.clear()

    def _window(self, account: str, operation: str, rate: tuple[int, float], now: float) -> tuple[deque[float], int]:
        permits, period = rate
        window = self._seen.setdefault((account, operation, permits, period), deque())
        while window and now - window[0] >= period:
            window.popleft()
        return window, permits
