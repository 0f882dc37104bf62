"""What people look at: employees of whom an HR system told, and who could not be fetched so far."""

from dataclasses import dataclass

from syncsvc.store import Transaction
from syncsvc.store.invalidations import Overdue

SHOWN = 1000


@dataclass(frozen=True, slots=True)
class Trouble:
    """An HR system some of whose employees could not be fetched so far: how many are tried again, how many were given
    up, and what was wrong with the one who waits for longest."""

    webhook: str
    waiting: int
    given_up: int
    words: str


def overdue(tx: Transaction) -> list[Overdue]:
    """Employees who could not be fetched so far, the longest-waiting first; at most `SHOWN`."""
    return tx.invalidations.overdue(SHOWN)


def troubles(tx: Transaction) -> list[Trouble]:
    """The same at a glance, in the order of the webhooks' names."""
    counts = tx.invalidations.failing()
    return [
        Trouble(
            webhook=webhook,
            waiting=counts.get((webhook, "due"), 0),
            given_up=counts.get((webhook, "exhausted"), 0),
            words=tx.invalidations.overdue(1, webhook)[0].detail,
        )
        for webhook in sorted({webhook for webhook, _ in counts})
    ]
