"""The inbox: what the outside told us, so that nothing is done twice."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, literal_column, select, update

from syncsvc.model.people import PersonId, Revision
from syncsvc.store.dialect import insert
from syncsvc.store.tables import changes

# Spelled out like the partial index's own condition: with values to come, SQLite would not see that it is the same.
_IS_WAITING = changes.c.effect == literal_column("'waiting'")


@dataclass(frozen=True, slots=True)
class Entry:
    """A change as remembered. `effect`: applied, unchanged (it said what we knew), old_news (overtaken); waiting for
    `effective_at`, cancelled before it came; fetching, until the HR system was asked."""

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


class Changes:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def enter(
        self, source: str, source_id: str, *, kind: str, person: PersonId, version: int | None, now: datetime
    ) -> str | None:
        """Remember a change; returns its id, or None where this source said it before."""
        row = {
            "id": uuid.uuid4().hex,
            "source": source,
            "source_id": source_id,
            "kind": kind,
            "person_id": person,
            "version": version,
            "received_at": now,
            "effect": "unchanged",
        }
        statement = insert(self._connection.dialect.name, changes).values(row)
        statement = statement.on_conflict_do_nothing(index_elements=["source", "source_id"]).returning(changes.c.id)
        entered: str | None = self._connection.scalar(statement)
        return entered

    def close(self, change: str, effect: str, revision: Revision | None) -> None:
        self._connection.execute(update(changes).where(changes.c.id == change).values(effect=effect, revision=revision))

    def fetched(self, source: str, employee: str, person: PersonId, effect: str, revision: Revision | None) -> None:
        """What was told of an employee, and waited until they were fetched, has this effect on this person."""
        waited = (changes.c.person_id == employee) & (changes.c.source == source) & (changes.c.effect == "fetching")
        closed = update(changes).where(waited).values(person_id=person, effect=effect, revision=revision)
        self._connection.execute(closed)

    def let_wait(self, change: str, effective_at: datetime) -> None:
        """`close` says "waiting" of it as well."""
        self._connection.execute(update(changes).where(changes.c.id == change).values(effective_at=effective_at))

    def waiting_of(self, person: PersonId) -> list[Entry]:
        """A person's departures whose moments have not come."""
        mine = _IS_WAITING & (changes.c.person_id == person)
        return [_entry(row) for row in self._connection.execute(select(changes).where(mine))]

    def due(self, now: datetime, limit: int) -> list[str]:
        """Departures whose moments have come, the earliest first."""
        come = select(changes.c.id).where(_IS_WAITING, changes.c.effective_at <= now)
        return list(self._connection.scalars(come.order_by(changes.c.effective_at).limit(limit)))

    def end_waiting(self, change: str) -> bool:
        """Whether it still waited; only one of several who ask is told so."""
        mine = _IS_WAITING & (changes.c.id == change)
        return self._connection.execute(update(changes).where(mine).values(effect="unchanged")).rowcount > 0

    def cancel_waiting(self, person: PersonId) -> int:
        """Call a person's waiting departures off; returns how many."""
        mine = _IS_WAITING & (changes.c.person_id == person)
        return self._connection.execute(update(changes).where(mine).values(effect="cancelled")).rowcount

    def said_before(self, source: str, source_id: str) -> Entry:
        """The earlier entry of a change that `enter` refused."""
        found = self.find(source, source_id)
        assert found is not None
        return found

    def find(self, source: str, source_id: str) -> Entry | None:
        same = (changes.c.source == source) & (changes.c.source_id == source_id)
        row = self._connection.execute(select(changes).where(same)).one_or_none()
        return None if row is None else _entry(row)

    def get(self, change: str) -> Entry | None:
        row = self._connection.execute(select(changes).where(changes.c.id == change)).one_or_none()
        return None if row is None else _entry(row)


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
    )
