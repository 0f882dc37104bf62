"""The Celery application, and the one house of this process."""

import logging
import os
import threading
from typing import Any

from celery import Celery
from celery.signals import setup_logging, worker_process_shutdown, worker_shutdown

from syncsvc.observe import logs
from syncsvc.queue import redis_transport
from syncsvc.settings import load
from syncsvc.wiring import Service, open_service

redis_transport.install()
app = Celery("syncsvc")
app.config_from_object("celeryconfig")

_lock = threading.Lock()
_service: Service | None = None


def service() -> Service:
    """This process' service, opened at its first task: after a fork, never before it."""
    global _service  # noqa: PLW0603 - one per process is the point
    with _lock:
        if _service is None:
            _service = open_service(load(None, os.environ))
        return _service


@setup_logging.connect
def _configure_logs(**_: Any) -> None:
    logs.configure()
    # Two lines for every message and one for every tick would bury what happened: errands log their own line.
    for chatty in ("celery.worker.strategy", "celery.app.trace", "celery.beat"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


@worker_shutdown.connect
@worker_process_shutdown.connect
def _close(**_: Any) -> None:
    if _service is not None:
        _service.house.store.close()
