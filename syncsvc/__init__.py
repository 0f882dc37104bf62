"""Keeps vendor face libraries equal to one canonical database of people and faces."""

from typing import Any


def __getattr__(name: str) -> Any:
    """`celery -A syncsvc` looks for an attribute `app`; nobody else pays for importing Celery."""
    if name == "app":
        from syncsvc.queue.app import app  # noqa: PLC0415

        return app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
