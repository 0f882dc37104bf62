"""Asks the removal guard about a plan, with what the last 24 hours and each library say."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from syncsvc.model.guard import Limits, Removals, judge
from syncsvc.model.people import LibraryName
from syncsvc.store import Transaction

WINDOW = timedelta(hours=24)


def check(
    tx: Transaction, planned: Mapping[LibraryName, int], now: datetime, limits: Limits, *, promised: int = 0
) -> None:
    """Raises UnsafePlanError where more people would leave a library than may within 24 hours.

    `planned` is for each library how many of its people the whole plan takes out. `promised` counts people whose
    departure was decided elsewhere and is not written down yet. Nothing is written here.
    """
    before = tx.removing.since(now - WINDOW)
    recent = {library: before.get(library, 0) + promised for library in planned}
    roughly = {
        library: Removals(
            count, recent[library], tx.removing.there(library, at_most=limits.enough(count + recent[library]))
        )
        for library, count in planned.items()
    }
    if any(one.exceed(limits) for one in roughly.values()):
        exactly = {
            str(name): Removals(one.planned, one.recent, tx.removing.there(name)) for name, one in roughly.items()
        }
        judge(exactly, limits)
