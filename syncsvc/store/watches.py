"""Changes of which somebody is to be told what became; without callbacks there are none, and nothing here costs."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, delete, literal, select, update

from syncsvc.model.people import PersonId
from syncsvc.store.dialect import insert
from syncsvc.store.tables import changes, watches

FIRST_LOOK = timedelta(seconds=2)  # for what no delivery will tell: a change that no library is concerned by

_w = watches.c
_UNDECIDED = ("waiting", "fetching", "held")


@dataclass(frozen=True, slots=True)
class Watch:
    """`told`: whose trouble was told already, as "state library"."""

    change: str
    told: frozenset[str]


class Watches:
    def __init__(self, connection: Connection, *, kept: bool) -> None:
        """`kept`: there are callbacks."""
        self._connection = connection
        self._kept = kept

    def watch(self, ids: Collection[str], now: datetime) -> None:
        """Have it told what becomes of these changes, as far as it is decided what they do.

        Takes no lock that anybody waits for, and may be called again.
        """
        if not (self._kept and ids):
            return
        columns = ("change_id", "person_id", "check_at", "created_at")
        instants = (literal(value, _w.check_at.type) for value in (now + FIRST_LOOK, now))
        told = select(changes.c.id, changes.c.person_id, *instants).where(
            changes.c.id.in_(sorted(ids)), changes.c.effect.not_in(_UNDECIDED)
        )
        statement = insert(self._connection.dialect.name, watches).from_select(columns, told)
        self._connection.execute(statement.on_conflict_do_nothing(index_elements=["change_id"]))

    def look_at(self, people: Collection[PersonId], now: datetime) -> None:
        """Something has ended for these people in some library: look at their changes now.

        Called after deliveries are locked, and never before; locks in one order, as two libraries settle at once.
        Also what is to be looked at already: whoever looks at this moment does not see yet what has ended, and is
        waited for, or they would put the next look off.
        """
        if not (self._kept and people):
            return
        theirs = select(_w.change_id).where(_w.person_id.in_(sorted(people)))
        ids = self._connection.scalars(theirs.order_by(_w.change_id).with_for_update()).all()
        if ids:
            resting = _w.change_id.in_(ids) & (_w.check_at > now)
            self._connection.execute(update(watches).where(resting).values(check_at=now))

    def any_due(self, now: datetime) -> bool:
        return self._connection.scalar(select(_w.change_id).where(_w.check_at <= now).limit(1)) is not None

    def take(self, now: datetime, limit: int) -> list[Watch]:
        """Lock up to `limit` that are to be looked at, with those of the same people: a newer change may have taken
        the older ones' place. What somebody else holds is passed over."""
        due = select(_w.person_id).where(_w.check_at <= now).order_by(_w.check_at).limit(limit)
        people = set(self._connection.scalars(due.with_for_update(skip_locked=True)))
        if not people:
            return []
        theirs = select(_w.change_id, _w.told).where(_w.person_id.in_(sorted(people))).order_by(_w.change_id)
        rows = self._connection.execute(theirs.with_for_update(skip_locked=True))
        return [Watch(row.change_id, frozenset(json.loads(row.told))) for row in rows]

    def keep(self, told: Mapping[str, Collection[str]], check_at: datetime) -> None:
        """Look at these changes again then, unless something ends before; change -> whose trouble was told."""
        rows = [{"change": change, "words": json.dumps(sorted(words))} for change, words in sorted(told.items())]
        if rows:
            kept = update(watches).where(_w.change_id == bindparam("change"))
            self._connection.execute(
                kept.values(told=bindparam("words"), check_at=literal(check_at, _w.check_at.type)), rows
            )

    def end(self, ids: Sequence[str]) -> None:
        """All is told of these changes."""
        if ids:
            self._connection.execute(delete(watches).where(_w.change_id.in_(ids)))

    def purge(self, before: datetime, limit: int) -> int:
        """Forget up to `limit` that are older than that, or any where nobody is to be told; returns how many."""
        old = select(_w.change_id).order_by(_w.created_at).limit(limit).with_for_update(skip_locked=True)
        if self._kept:
            old = old.where(_w.created_at < before)
        return self._connection.execute(delete(watches).where(_w.change_id.in_(old))).rowcount
