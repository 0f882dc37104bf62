"""How many people leave, left and are in each library: what the removal guard asks. Counts of people, not of faces."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, bindparam, exists, func, select

from syncsvc.model.people import LibraryName, PersonId
from syncsvc.store.tables import changes, deliveries, libraries, people

_d = deliveries.c
# Elsewhere nobody is removed, whatever becomes of them.
_REMOVING = select(libraries.c.name).where(libraries.c.configured == 1, libraries.c.policy == "sync")


def _counted(*conditions: ColumnElement[bool]) -> Select[Any]:
    return select(_d.library, func.count()).where(_d.library.in_(_REMOVING), *conditions).group_by(_d.library)


_OF = _counted(_d.person_id.in_(bindparam("people", expanding=True)), _d.wanted_faces > 0)
_SINCE = _counted(
    _d.person_id.in_(
        select(people.c.id).where(people.c.departed_at >= bindparam("since", type_=people.c.departed_at.type))
    ),
    _d.wanted_faces == 0,
)

_TOLD_BY = (
    select(func.count())
    .select_from(people)
    .where(
        people.c.departed_at >= bindparam("since", type_=people.c.departed_at.type),
        exists().where(
            changes.c.person_id == people.c.id,
            changes.c.source == bindparam("source"),
            changes.c.kind == "person.departed",
            changes.c.received_at >= bindparam("since", type_=changes.c.received_at.type),
        ),
    )
)


class Removing:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def of(self, leaving: Collection[PersonId]) -> dict[LibraryName, int]:
        """From which libraries these people would be removed if they departed: how many of them from each."""
        return self._by_library(_OF, {"people": list(leaving)})

    def since(self, instant: datetime) -> dict[LibraryName, int]:
        """How many departed since then whom a library had been told of, and are still gone."""
        return self._by_library(_SINCE, {"since": instant})

    def told_by(self, source: str, since: datetime) -> int:
        """How many people departed since then by this source's word, and are still gone."""
        return int(self._connection.scalar(_TOLD_BY, {"source": source, "since": since}) or 0)

    def there(self, library: LibraryName, *, at_most: int | None = None) -> int:
        """How many people the library is to have; `at_most`: who need not know more precisely stops counting there."""
        mine = select(_d.id).where(_d.library == library, _d.wanted_faces > 0).limit(at_most)
        return int(self._connection.scalar(select(func.count()).select_from(mine.subquery())) or 0)

    def _by_library(self, counted: Select[Any], values: dict[str, object]) -> dict[LibraryName, int]:
        return {LibraryName(library): count for library, count in self._connection.execute(counted, values)}
