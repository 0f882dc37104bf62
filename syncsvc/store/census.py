"""Everybody we know of, a page at a time."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from syncsvc.model.people import PersonId, Revision
from syncsvc.store.tables import faces, people


@dataclass(frozen=True, slots=True)
class Counted:
    """A person in brief; `faces` is how many they should have."""

    id: PersonId
    revision: Revision
    departed_at: datetime | None
    faces: int


class Census:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def page(self, *, after: PersonId | None, limit: int) -> list[Counted]:
        """Up to `limit` people by their ids, those after `after`: a page costs the same wherever it stands."""
        count = select(func.count()).where(faces.c.person_id == people.c.id).scalar_subquery()
        found = select(people.c.id, people.c.revision, people.c.departed_at, count.label("faces"))
        if after is not None:
            found = found.where(people.c.id > after)
        rows = self._connection.execute(found.order_by(people.c.id).limit(limit))
        return [Counted(PersonId(row.id), Revision(row.revision), row.departed_at, row.faces) for row in rows]
