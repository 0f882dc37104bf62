"""What one process remembers of the HR systems it asks: how many rounds are under way, and whom to leave alone."""

import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from syncsvc.model.urgency import BREAKER_BASE, BREAKER_CAP

SIDE_BY_SIDE = 4  # rounds of one process; its other threads are for the libraries


@dataclass
class Rounds:
    """Shared by threads. Each process finds out for itself.

    A pause grows while an HR system fails for everybody, and one employee at a time tries whether it works again.
    """

    _places: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(SIDE_BY_SIDE))
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _pauses: dict[str, tuple[int, datetime]] = field(default_factory=dict)

    def begin(self) -> bool:
        """False: enough are under way."""
        return self._places.acquire(blocking=False)

    def end(self) -> None:
        self._places.release()

    def may_ask(self, webhook: str, now: datetime) -> bool:
        with self._lock:
            failures, until = self._pauses.get(webhook, (0, now))
            if until > now:
                return False
            if failures:  # this one tries; nobody else does before it has come back, or is late
                self._pauses[webhook] = (failures, now + timedelta(seconds=BREAKER_BASE))
            return True

    def failed(self, webhook: str, now: datetime) -> None:
        with self._lock:
            failures = self._pauses.get(webhook, (0, now))[0] + 1
            wait = min(BREAKER_CAP, BREAKER_BASE * 2.0 ** min(failures - 1, 10))
            self._pauses[webhook] = (failures, now + timedelta(seconds=wait))

    def paused(self, webhook: str, until: datetime) -> None:
        """It asked us to slow down: no failure, and nobody asks before then."""
        with self._lock:
            self._pauses[webhook] = (0, until)

    def answered(self, webhook: str) -> None:
        with self._lock:
            self._pauses.pop(webhook, None)
