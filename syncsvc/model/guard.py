"""The removal guard: whether a plan would take too many people away at once."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from syncsvc.model.errors import UnsafePlanError


@dataclass(frozen=True, slots=True)
class Limits:
    """How many people may leave a library in 24 hours: so many, and this share of those who were there.

    `floor` may go however small the library is, as long as `count` allows it: of six people two may leave on one day.
    """

    count: int
    share: float
    floor: int = 0

    def allow(self, people: int) -> int:
        """Of so many. A share is rounded up, so that from a small library one person may go."""
        return min(self.count, max(self.floor, math.ceil(round(self.share * people, 6))))

    def enough(self, removals: int) -> int:
        """Of so many people or more, `removals` are within the share: nobody need count further."""
        return math.ceil(round(removals / self.share, 6)) if self.share else 0


@dataclass(frozen=True, slots=True)
class Removals:
    """One library's people: who would go, who went in the last 24 hours, and how many are there now."""

    planned: int
    recent: int
    held: int

    def exceed(self, limits: Limits) -> bool:
        return self.planned > 0 and self.planned + self.recent > limits.allow(self.held + self.recent)


def judge(removals: Mapping[str, Removals], limits: Limits) -> None:
    """Raises UnsafePlanError, with the numbers of each library from which too many would go.

    To be asked of the whole plan, before the first removal is written down.
    """
    unsafe = [f"{where}: {_words(one)}" for where, one in sorted(removals.items()) if one.exceed(limits)]
    if unsafe:
        at_most = f"at most {limits.count:,} (max_removals) and {limits.share:.4g} of all (max_removals_share)"
        raise UnsafePlanError(f"{'; '.join(unsafe)}; in 24 hours {at_most} may go")


def _words(one: Removals) -> str:
    recently = f", and {one.recent:,} went in the last 24 hours" if one.recent else ""
    return f"{one.planned:,} of {one.held:,} people would go{recently}"
