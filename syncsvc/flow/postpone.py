"""Lets a departure wait that is told before its moment."""

from datetime import datetime

from syncsvc.model.changes import Told
from syncsvc.store import Transaction


def postpone(tx: Transaction, entered: str, told: Told, now: datetime) -> str | None:
    """A departure replaces one that still waits; in the future, it waits itself."""
    waiting = tx.changes.waiting_of(told.change.person)
    newer = [one for one in waiting if one.source == told.source and (one.version or 0) > (told.version or 0)]
    if told.version is not None and newer:
        return "old_news"
    if waiting:
        tx.changes.cancel_waiting(told.change.person)
    if told.effective_at is None or told.effective_at <= now:
        return None
    tx.changes.let_wait(entered, told.effective_at)
    return "waiting"
