"""Rings: puts delivery ids into a library's queue. A ring may be lost; the sweep rings again."""

from collections.abc import Iterable

import structlog
from kombu.exceptions import OperationalError

from syncsvc.flow.record import RUNG_FOR, Ring
from syncsvc.queue.app import app

log = structlog.get_logger(__name__)


def send(rings: Iterable[Ring]) -> int:
    """Send one message per ring; returns how many were sent. A broker that is away is noted, never raised."""
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
        log.warning(
            "broker unreachable", error=type(error).__name__, mend="deliveries wait; check [broker] and [redis]"
        )
    return sent
