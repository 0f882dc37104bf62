"""Rings: puts delivery ids into a library's queue. A ring may be lost; the sweep rings again."""

import time
from collections.abc import Iterable

import structlog
from kombu.exceptions import OperationalError

from syncsvc.flow.record import RUNG_FOR, Ring
from syncsvc.model.people import LibraryName
from syncsvc.queue.app import app

AWAY_FOR = 2.0  # seconds

log = structlog.get_logger(__name__)

_away_until = 0.0


def send(rings: Iterable[Ring]) -> int:
    """Send one message per ring; returns how many were sent.

    A broker that is away is noted, never raised, and not asked again for `AWAY_FOR`: where many changes come
    in, not each of them waits for it.
    """
    global _away_until  # noqa: PLW0603 - one per process is the point
    rings = list(rings)
    if not rings or time.monotonic() < _away_until:
        return 0
    sent = 0
    try:
        with app.producer_pool.acquire(block=True, timeout=2) as producer:
            for ring in rings:
                app.send_task(
                    f"syncsvc.{ring.verb}",
                    args=(ring.library, list(ring.deliveries)),
                    queue=f"library.{ring.library}",
                    expires=RUNG_FOR.total_seconds(),
                    producer=producer,
                )
                sent += 1
    except (OperationalError, OSError) as error:
        _away_until = time.monotonic() + AWAY_FOR
        log.warning(
            "broker unreachable", error=type(error).__name__, mend="deliveries wait; check [broker] and [redis]"
        )
    return sent


def send_rounds(libraries: Iterable[LibraryName]) -> None:
    """Have somebody go on with these libraries' rounds; a message that is lost comes again with the next look."""
    for library in libraries:
        try:
            app.send_task(
                "syncsvc.reconcile", args=(library, False), queue=f"library.{library}", expires=RUNG_FOR.total_seconds()
            )
        except (OperationalError, OSError) as error:
            log.warning(
                "broker unreachable", error=type(error).__name__, mend="rounds wait; check [broker] and [redis]"
            )
            return
