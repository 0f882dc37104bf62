"""In which order deliveries are taken, and when again: both as arithmetic on instants."""

import random
from datetime import datetime, timedelta
from enum import Enum

MAX_ATTEMPTS = 8
BACKOFF_BASE = 2.0  # seconds before the second attempt, at most
BACKOFF_CAP = 900.0

BREAKER_THRESHOLD = 5  # failures in a row of the library itself
BREAKER_BASE = 5.0
BREAKER_CAP = 300.0


class Urgency(Enum):
    """How long a later change of a more urgent kind may overtake this one.

    Departures and face deletions before replacements before repairs. The head start is fixed when a
    delivery is written, so whatever waits is overtaken for so long and no longer: nothing starves.
    """

    DEPARTURE = timedelta(0)
    FACE_DELETION = timedelta(minutes=5)
    REPLACEMENT = timedelta(days=1)
    REPAIR = timedelta(days=2)


def rank(urgency: Urgency, wanted_at: datetime) -> datetime:
    """The instant by which deliveries are sorted: earliest first."""
    return wanted_at + urgency.value


def backoff(attempts: int, *, base: float = BACKOFF_BASE, cap: float = BACKOFF_CAP) -> float:
    """Seconds to wait after `attempts` failures: exponential with full jitter, so that many do not return at once."""
    return random.uniform(0, min(cap, base * 2.0 ** min(attempts - 1, 30)))  # noqa: S311 - spreads load, guards nothing
