"""The inbox: what the outside told us, so that nothing is done twice."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select, update

from syncsvc.model.people import PersonId, Revision
from syncsvc.store.dialect import insert
from syncsvc.store.tables import changes


@dataclass(frozen=True, slots=True)
class Entry:
    """A change as remembered. `effect`: applied, unchanged (it said what we knew), old_news (overtaken)."""

    id: str
    person: PersonId
    kind: str
    effect: str
    revision: Revision | None
    received_at: datetime


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

    def said_before(self, source: str, source_id: str) -> Entry:
        """The earlier entry of a change that `enter` refused."""
        same = (changes.c.source == source) & (changes.c.source_id == source_id)
        return _entry(self._connection.execute(select(changes).where(same)).one())

    def get(self, change: str) -> Entry | None:
        row = self._connection.execute(select(changes).where(changes.c.id == change)).one_or_none()
        return None if row is None else _entry(row)


def _entry(row: Row[Any]) -> Entry:
    return Entry(row.id, PersonId(row.person_id), row.kind, row.effect, row.revision, row.received_at)
