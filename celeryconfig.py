"""Celery's settings, for `syncsvc worker` and for plain `celery -A syncsvc ...` alike."""

import os
import sys

from celery.schedules import crontab
from kombu import Queue

from syncsvc.model.errors import SyncsvcError
from syncsvc.settings import load
from syncsvc.settings.schema import STANDARD

try:
    _settings = load(None, os.environ)
except SyncsvcError as _error:
    sys.exit(f"syncsvc: {_error}")

broker_url = _settings.broker_url
broker_connection_retry_on_startup = True
broker_connection_max_retries = None  # a broker that is away comes back; the rows wait meanwhile
broker_transport_options = {
    "socket_connect_timeout": 2,
    "socket_timeout": 5,
    "max_retries": 0,  # of whoever rings: the sweep rings again; a worker reconnects by the setting above
    "socket_keepalive": True,
    # A message of a killed worker is handed out again after this; it has expired by then, and the sweep
    # has found its row long before.
    "visibility_timeout": 300,
}
result_backend = None  # how an errand went stands in the database
task_ignore_result = True

# JSON only: a message is a library's name and numbers, and nobody's pickle is ever opened.
accept_content = ["json"]
task_serializer = "json"
result_serializer = "json"

# The row is the truth, the message only a bell: it may be lost, so it need not be written to disk.
task_default_delivery_mode = "transient"
task_publish_retry = False

# Acknowledged when done, so that a stopping worker leaves its messages to the others.
task_acks_late = True
task_reject_on_worker_lost = True
worker_prefetch_multiplier = 1
worker_soft_shutdown_timeout = 20.0  # errands under way are finished and settled

# Threads: a worker waits for vendors, and synchronous calls in threads keep 97 % of what is possible at
# 50 ms; gevent with late acknowledgement collapses on Celery 5.7.
worker_pool = "threads"
worker_concurrency = _settings.worker.threads
worker_hijack_root_logger = False  # logs go through syncsvc.observe
worker_cancel_long_running_tasks_on_connection_loss = False

task_default_queue = "housekeeping"
task_queues = [Queue("housekeeping"), *(Queue(f"library.{one.name}") for one in _settings.libraries)]
task_create_missing_queues = True

imports = ["syncsvc.queue.tasks"]
timezone = _settings.reconcile.time_zone
enable_utc = True
beat_schedule_filename = str(_settings.state_dir / "beat")
beat_schedule = {
    "sweep": {
        "task": "syncsvc.sweep",
        "schedule": 1.0,
        "options": {"queue": "housekeeping", "expires": 3},
    },
    "verify": {
        "task": "syncsvc.verify",
        "schedule": 5.0,
        "options": {"queue": "housekeeping", "expires": 10},
    },
    "purge": {
        "task": "syncsvc.purge",
        "schedule": crontab(hour=_settings.reconcile.at.hour, minute=_settings.reconcile.at.minute),
        "options": {"queue": "housekeeping", "expires": 3600},
    },
}
for _library in _settings.libraries:
    beat_schedule[f"reconcile-{_library.name}"] = {
        "task": "syncsvc.reconcile",
        "args": (_library.name,),
        "schedule": crontab(hour=_settings.reconcile.at.hour, minute=_settings.reconcile.at.minute),
        "options": {"queue": f"library.{_library.name}", "expires": 3600},
    }
    beat_schedule[f"verify-{_library.name}"] = {
        "task": "syncsvc.verify",
        "args": (_library.name,),
        "schedule": 60.0,
        "options": {"queue": f"library.{_library.name}", "expires": 60},
    }
if any(one.dialect != STANDARD for one in _settings.webhooks):
    beat_schedule["fetch"] = {
        "task": "syncsvc.fetch",
        "schedule": 1.0,
        "options": {"queue": "housekeeping", "expires": 3},
    }
if _settings.callbacks:
    beat_schedule["notify"] = {
        "task": "syncsvc.notify",
        "schedule": 1.0,
        "options": {"queue": "housekeeping", "expires": 3},
    }
