"""Messages that we owe to others, and whether their addresses work."""

import json
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, bindparam, delete, func, insert, literal_column, or_, select, update

from syncsvc.model.callbacks import Letter, Notice
from syncsvc.store import dialect
from syncsvc.store.tables import callback_targets, callbacks

_c, _t = callbacks.c, callback_targets.c
# Spelled out like the partial index's own condition: with values to come, SQLite would not see that it is the same.
_UNDELIVERED: ColumnElement[bool] = _c.state != literal_column("'delivered'")
_IS_DUE: ColumnElement[bool] = (_c.state == literal_column("'due'")) & _UNDELIVERED


@dataclass(frozen=True, slots=True)
class Target:
    """One callback's address. `failures` are rounds in a row in which it accepted nothing, `failing_since` the first.

    `not_before`: whoever may send until then is at it, or it is given a rest. `reason`: the last failure in words.
    """

    name: str
    not_before: datetime | None = None
    failures: int = 0
    failing_since: datetime | None = None
    disabled_at: datetime | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Posted:
    """How one try to send a message went. `state`: due, delivered or given_up."""

    id: str
    state: str
    due_at: datetime
    attempts: int
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many messages of one callback there are in each state, and since when the oldest waits."""

    due: int = 0
    given_up: int = 0
    oldest: datetime | None = None


class Callbacks:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def owe(self, names: Collection[str], notices: Sequence[Notice], now: datetime) -> None:
        """Have every one of these callbacks told each of the notices, with this transaction or not at all."""
        rows = [
            {
                "id": uuid.uuid4().hex,
                "callback": name,
                "type": notice.type,
                "body": _body(notice, now),
                "created_at": now,
                "due_at": now,
            }
            for notice in notices
            for name in names
        ]
        if rows:
            self._connection.execute(insert(callbacks), rows)

    def ready(self, names: Collection[str], now: datetime) -> list[str]:
        """Those of these callbacks that have something due and that nobody is sending to."""
        shut = or_(_t.disabled_at.is_not(None), _t.not_before > now)
        closed = set(self._connection.scalars(select(_t.name).where(_t.name.in_(sorted(names)), shut)))
        return [name for name in sorted(names) if name not in closed and self.due(name, now, 1)]

    def serve(self, name: str, now: datetime, until: datetime) -> Target | None:
        """Become the one who sends to this callback, until then; None where somebody else is, or nobody may."""
        statement = dialect.insert(self._connection.dialect.name, callback_targets).values(name=name, not_before=until)
        free = _t.disabled_at.is_(None) & or_(_t.not_before.is_(None), _t.not_before <= now)
        statement = statement.on_conflict_do_update(
            index_elements=["name"], set_={"not_before": until}, where=free
        ).returning(callback_targets)
        row = self._connection.execute(statement).mappings().one_or_none()
        return None if row is None else Target(**row)

    def due(self, name: str, now: datetime, limit: int) -> list[Letter]:
        """Up to `limit` messages whose time has come, the longest due first."""
        mine = select(_c.id, _c.type, _c.body, _c.attempts).where(_c.callback == name, _IS_DUE, _c.due_at <= now)
        rows = self._connection.execute(mine.order_by(_c.due_at).limit(limit))
        return [Letter(row.id, row.type, row.body, row.attempts) for row in rows]

    def settle(self, posted: Sequence[Posted]) -> None:
        """Write down how tries went; one that somebody else has brought to an end meanwhile stays as it is."""
        rows = [
            {"owed": one.id, "to_state": one.state, "to_due": one.due_at, "tried": one.attempts, "words": one.detail}
            for one in posted
        ]
        if rows:
            ended = update(callbacks).where(_c.id == bindparam("owed"), _IS_DUE)
            values = {
                "state": bindparam("to_state"),
                "due_at": bindparam("to_due", type_=_c.due_at.type),
                "attempts": bindparam("tried"),
                "detail": bindparam("words"),
            }
            self._connection.execute(ended.values(values), rows)

    def note(self, target: Target, *, served_until: datetime) -> bool:
        """Write down how an address does. False: whoever served it until then is not the one who does now."""
        mine = (_t.name == target.name) & (_t.not_before == served_until) & _t.disabled_at.is_(None)
        values = {
            "not_before": target.not_before,
            "failures": target.failures,
            "failing_since": target.failing_since,
            "disabled_at": target.disabled_at,
            "reason": target.reason,
        }
        return self._connection.execute(update(callback_targets).where(mine).values(values)).rowcount > 0

    def enable(self, name: str, now: datetime) -> int:
        """Send to this callback again, all that waits, as if it had never failed; returns how many wait."""
        self._connection.execute(delete(callback_targets).where(_t.name == name))
        waiting = update(callbacks).where(_c.callback == name, _IS_DUE)
        return self._connection.execute(waiting.values(due_at=now, attempts=0)).rowcount

    def targets(self, names: Collection[str]) -> dict[str, Target]:
        """These callbacks' addresses; one that nothing was ever sent to is new."""
        rows = self._connection.execute(select(callback_targets).where(_t.name.in_(sorted(names))))
        found = {row["name"]: Target(**row) for row in rows.mappings()}
        return {name: found.get(name, Target(name)) for name in sorted(names)}

    def waiting(self, names: Collection[str]) -> dict[str, Waiting]:
        """These callbacks' messages that have not arrived."""
        counted = (
            select(_c.callback, _c.state, func.count().label("many"), func.min(_c.created_at).label("oldest"))
            .where(_c.callback.in_(sorted(names)), _UNDELIVERED)
            .group_by(_c.callback, _c.state)
        )
        rows = {(row.callback, row.state): row for row in self._connection.execute(counted)}
        found = {}
        for name in sorted(names):
            due, given_up = rows.get((name, "due")), rows.get((name, "given_up"))
            found[name] = Waiting(due.many if due else 0, given_up.many if given_up else 0, due.oldest if due else None)
        return found

    def purge(self, names: Collection[str], before: datetime, limit: int) -> int:
        """Forget up to `limit` messages that are older than that, or wait for none of these callbacks; and the
        addresses of others. Returns how many messages."""
        self._connection.execute(delete(callback_targets).where(_t.name.not_in(sorted(names))))
        old = select(_c.id).where(_c.created_at < before).order_by(_c.created_at)
        nobodys = select(_c.id).where(_IS_DUE, _c.callback.not_in(sorted(names)))
        gone = 0
        for those in (old, nobodys):
            some = those.limit(limit - gone).with_for_update(skip_locked=True)
            gone += self._connection.execute(delete(callbacks).where(_c.id.in_(some))).rowcount
        return gone


def _body(notice: Notice, now: datetime) -> str:
    """As Standard Webhooks has it ("Payload structure"): what happened, when, and about what."""
    instant = now.isoformat().replace("+00:00", "Z")
    return json.dumps({"type": notice.type, "timestamp": instant, "data": notice.content}, separators=(",", ":"))
