"""The inbox: what the outside told us, so that nothing is done twice."""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, delete, func, literal_column, or_, select, update

from syncsvc.model.people import PersonId, Revision
from syncsvc.store.dialect import insert
from syncsvc.store.tables import changes

# Spelled out like the partial index's own condition: with values to come, SQLite would not see that it is the same.
_IS_WAITING = changes.c.effect == literal_column("'waiting'")
_IS_HELD = changes.c.effect == literal_column("'held'")


@dataclass(frozen=True, slots=True)
class Entry:
    """A change as remembered. `effect`: applied, unchanged (it said what we knew), old_news (overtaken); waiting for
    `effective_at`, cancelled before it came; fetching, until the HR system was asked; held, until an operator approves
    that so many go. `approved_by` is who did, or who else answers for a departure."""

    id: str
    source: str
    source_id: str
    person: PersonId
    kind: str
    version: int | None
    effect: str
    revision: Revision | None
    received_at: datetime
    effective_at: datetime | None
    approved_by: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page of held departures ended."""

    received_at: datetime
    id: str


@dataclass(frozen=True, slots=True)
class Telling:
    """A change as it is heard; the same `source_id` from the same source is the same telling."""

    source: str
    source_id: str
    kind: str
    person: PersonId
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Closing:
    change: str
    effect: str
    revision: Revision | None
    effective_at: datetime | None = None
    approved_by: str | None = None


_CLOSE = (
    update(changes)
    .where(changes.c.id == bindparam("change", type_=changes.c.id.type))
    .values(
        effect=bindparam("to_effect", type_=changes.c.effect.type),
        revision=bindparam("to_revision", type_=changes.c.revision.type),
        effective_at=func.coalesce(bindparam("to_moment", type_=changes.c.effective_at.type), changes.c.effective_at),
        approved_by=func.coalesce(bindparam("approved", type_=changes.c.approved_by.type), changes.c.approved_by),
    )
)


@cache
def _enter(dialect: str) -> Any:
    entered = insert(dialect, changes).on_conflict_do_nothing(index_elements=["source", "source_id"])
    return entered.returning(changes.c.id, changes.c.source, changes.c.source_id)


class Changes:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def enter(self, tellings: Sequence[Telling], now: datetime) -> dict[tuple[str, str], str]:
        """Remember changes: the id of each by (source, source_id). Who is not in the answer was heard before.

        Of several with the same ids the first counts.
        """
        first = {(one.source, one.source_id): one for one in reversed(tellings)}
        rows = [
            {
                "id": uuid.uuid4().hex,
                "source": one.source,
                "source_id": one.source_id,
                "kind": one.kind,
                "person_id": one.person,
                "version": one.version,
                "received_at": now,
                "effect": "unchanged",
            }
            for _, one in sorted(first.items())
        ]
        entered = self._connection.execute(_enter(self._connection.dialect.name), rows) if rows else ()
        return {(row.source, row.source_id): row.id for row in entered}

    def close(self, closings: Sequence[Closing]) -> None:
        """What became of changes."""
        if closings:
            self._connection.execute(
                _CLOSE,
                [
                    {
                        "change": one.change,
                        "to_effect": one.effect,
                        "to_revision": one.revision,
                        "to_moment": one.effective_at,
                        "approved": one.approved_by,
                    }
                    for one in closings
                ],
            )

    def pending_of(self, people: Collection[PersonId]) -> dict[PersonId, list[Entry]]:
        """People's departures whose moments have not come, or that are held back; who has none is not in the answer."""
        found: dict[PersonId, list[Entry]] = {}
        mine = or_(_IS_WAITING, _IS_HELD) & changes.c.person_id.in_(list(people))
        for row in self._connection.execute(select(changes).where(mine)) if people else ():
            found.setdefault(PersonId(row.person_id), []).append(_entry(row))
        return found

    def due(self, now: datetime, limit: int) -> list[str]:
        """Departures whose moments have come, the earliest first."""
        come = select(changes.c.id).where(_IS_WAITING, changes.c.effective_at <= now)
        return list(self._connection.scalars(come.order_by(changes.c.effective_at).limit(limit)))

    def end_waiting(self, change: str) -> bool:
        """Whether it still waited; only one of several who ask is told so."""
        mine = _IS_WAITING & (changes.c.id == change)
        return self._connection.execute(update(changes).where(mine).values(effect="unchanged")).rowcount > 0

    def held(self, *, after: Place | None = None, limit: int) -> list[Entry]:
        """Up to `limit` departures that are held back, those first that were told first."""
        page = select(changes).where(_IS_HELD).order_by(changes.c.received_at, changes.c.id).limit(limit)
        if after is not None:
            later = and_(changes.c.received_at == after.received_at, changes.c.id > after.id)
            page = page.where(changes.c.received_at >= after.received_at)
            page = page.where(or_(changes.c.received_at > after.received_at, later))
        return [_entry(row) for row in self._connection.execute(page)]

    def held_of(self, people: Collection[PersonId]) -> list[Entry]:
        """The same of these people."""
        mine = select(changes).where(_IS_HELD, changes.c.person_id.in_(list(people))).order_by(changes.c.id)
        return [_entry(row) for row in self._connection.execute(mine)] if people else []

    def any_held(self) -> bool:
        return self._connection.scalar(select(changes.c.id).where(_IS_HELD).limit(1)) is not None

    def count_held(self) -> int:
        """How many people's departures are held back."""
        return self._connection.scalar(select(func.count(changes.c.person_id.distinct())).where(_IS_HELD)) or 0

    def approve(self, held: Collection[str], by: str, now: datetime) -> set[PersonId]:
        """Let held departures go, now; returns whose they were that were still held."""
        mine = update(changes).where(_IS_HELD, changes.c.id.in_(sorted(held)))
        going = mine.values(effect="waiting", effective_at=now, approved_by=by).returning(changes.c.person_id)
        return {PersonId(one) for one in self._connection.scalars(going)} if held else set()

    def refuse(self, held: Collection[str]) -> set[PersonId]:
        """Call held departures off; returns whose they were that were still held."""
        mine = update(changes).where(_IS_HELD, changes.c.id.in_(sorted(held)))
        staying = mine.values(effect="cancelled").returning(changes.c.person_id)
        return {PersonId(one) for one in self._connection.scalars(staying)} if held else set()

    def cancel(self, pending: Collection[str]) -> None:
        """Call departures off that wait or are held back."""
        if pending:
            mine = or_(_IS_WAITING, _IS_HELD) & changes.c.id.in_(sorted(pending))
            self._connection.execute(update(changes).where(mine).values(effect="cancelled"))

    def fetched(
        self,
        source: str,
        employee: str,
        person: PersonId,
        effect: str,
        revision: Revision | None,
        *,
        effective_at: datetime | None = None,
    ) -> list[str]:
        """What was told of an employee, and waited until they were fetched, has this effect on this person; returns
        which changes that were. `effective_at` is for the effect "waiting"."""
        waited = (changes.c.person_id == employee) & (changes.c.source == source) & (changes.c.effect == "fetching")
        closed = (
            update(changes)
            .where(waited)
            .values(person_id=person, effect=effect, revision=revision, effective_at=effective_at)
        )
        return list(self._connection.scalars(closed.returning(changes.c.id)))

    def said_before(self, source: str, source_id: str) -> Entry:
        """The earlier entry of a change that `enter` refused."""
        found = self.find(source, source_id)
        assert found is not None
        return found

    def find(self, source: str, source_id: str) -> Entry | None:
        same = (changes.c.source == source) & (changes.c.source_id == source_id)
        row = self._connection.execute(select(changes).where(same)).one_or_none()
        return None if row is None else _entry(row)

    def latest_of(self, person: PersonId) -> Entry | None:
        """The change that made the person what they are; None where it has been forgotten."""
        mine = (changes.c.person_id == person) & (changes.c.effect == "applied")
        newest = select(changes).where(mine).order_by(changes.c.revision.desc(), changes.c.received_at.desc()).limit(1)
        row = self._connection.execute(newest).one_or_none()
        return None if row is None else _entry(row)

    def get(self, change: str) -> Entry | None:
        row = self._connection.execute(select(changes).where(changes.c.id == change)).one_or_none()
        return None if row is None else _entry(row)

    def these(self, ids: Collection[str]) -> list[Entry]:
        """Those of these changes that are remembered."""
        found = select(changes).where(changes.c.id.in_(sorted(ids)))
        return [_entry(row) for row in self._connection.execute(found)] if ids else []

    def purge(self, before: datetime, limit: int) -> int:
        """Forget up to `limit` that came, and took effect, before that; returns how many. What still waits stays."""
        over = (changes.c.received_at < before) & changes.c.effect.not_in(("waiting", "fetching", "held"))
        over &= or_(changes.c.effective_at.is_(None), changes.c.effective_at < before)
        old = select(changes.c.id).where(over).order_by(changes.c.received_at).limit(limit)
        gone = delete(changes).where(changes.c.id.in_(old.with_for_update(skip_locked=True)))
        return self._connection.execute(gone).rowcount


def _entry(row: Row[Any]) -> Entry:
    return Entry(
        id=row.id,
        source=row.source,
        source_id=row.source_id,
        person=PersonId(row.person_id),
        kind=row.kind,
        version=row.version,
        effect=row.effect,
        revision=row.revision,
        received_at=row.received_at,
        effective_at=row.effective_at,
        approved_by=row.approved_by,
    )
