"""Logs as events: a fixed phrase and fields, for people on a terminal and as JSON lines everywhere else."""

import logging
import sys
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor

from syncsvc.observe.redaction import redact

_TALKATIVE = ("httpx", "httpcore", "urllib3", "PIL", "asyncio")  # they print addresses below WARNING
_EVERY_SECOND = ("celery.beat", "celery.worker.strategy", "celery.app.trace")  # each sweep is four lines of theirs


def configure(*, level: str = "INFO", stream: TextIO | None = None) -> None:
    """Route structlog and the standard library's logging (Celery, uvicorn, Alembic) into one redacted stream."""
    stream = stream or sys.stderr
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        _positional,
        _without_theirs,
        redact,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _renderer(stream)],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in (*_TALKATIVE, *_EVERY_SECOND):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)


def _renderer(stream: TextIO) -> Processor:
    if stream.isatty():
        return structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    return structlog.processors.JSONRenderer(ensure_ascii=False)


def _without_theirs(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """What uvicorn and Celery attach to their lines says nothing that the line does not."""
    for field in ("color_message", "data"):
        event.pop(field, None)
    return event


_positional = structlog.stdlib.PositionalArgumentsFormatter()
