"""On what terms people leave: how many at once, and how long after their contract's end or their departure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta

from syncsvc.model.changes import Departed, Told, Until, Upserted
from syncsvc.model.guard import Limits

ROSTER = "roster/"  # before the source of a roster, where it tells changes
_LAST_ZONE = timedelta(hours=12)  # when a day is over in UTC, so much later it is over everywhere


@dataclass(frozen=True, slots=True)
class Rule:
    """One source's: people expire so long after their contract's end, and departures wait for so long."""

    after_contract_end: timedelta | None = None
    after_departure: timedelta | None = None

    def expiry(self, until: Until | None) -> Until | None:
        """Until when somebody stays who was told of so; None where that is not said. A contract's end says nothing
        where no rule is about it."""
        if until is None or not until.contract:
            return until
        if self.after_contract_end is None:
            return None
        return Until(None if until.moment is None else _later(until.moment, self.after_contract_end))


_NO_RULE = Rule()


@dataclass(frozen=True, slots=True)
class Terms:
    """`limits` are the removal guard's; None: nothing is guarded. `retention` is by source: a webhook's or a
    roster's."""

    limits: Limits | None = None
    retention: Mapping[str, Rule] = field(default_factory=dict)

    def rule(self, source: str) -> Rule:
        return self.retention.get(source.removeprefix(ROSTER), _NO_RULE)

    def applied(self, told: Told, now: datetime) -> Told:
        """The same, with what its source's rule makes of its moments."""
        if not self.retention:
            return told if not isinstance(told.change, Upserted) else _resolved(told, _NO_RULE)
        rule = self.rule(told.source)
        if isinstance(told.change, Departed) and rule.after_departure is not None:
            moment = _later(told.effective_at or now, rule.after_departure)
            return told if moment is None else replace(told, effective_at=moment)
        return _resolved(told, rule) if isinstance(told.change, Upserted) else told

    def only_kept(self, source: str, effective_at: datetime | None, now: datetime) -> bool:
        """Whether somebody whose departure waits would be gone already, if a rule did not keep them: until their
        moment has come an upsert calls it off, as it would bring them back."""
        kept = self.rule(source).after_departure
        return kept is not None and effective_at is not None and effective_at - now <= kept


FREE = Terms()


def end_of(day: date) -> datetime | None:
    """When a day is over everywhere on earth; None for one that no clock will see."""
    try:
        return datetime.combine(day, time(), UTC) + timedelta(days=1) + _LAST_ZONE
    except OverflowError:
        return None


def _resolved(told: Told, rule: Rule) -> Told:
    change = told.change
    if not isinstance(change, Upserted) or change.until is None or not change.until.contract:
        return told
    return replace(told, change=replace(change, until=rule.expiry(change.until)))


def _later(moment: datetime, wait: timedelta) -> datetime | None:
    """None beyond the year 9999, which people write where there is no end."""
    try:
        return moment + wait
    except OverflowError:
        return None
