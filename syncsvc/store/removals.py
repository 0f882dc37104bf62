"""How many people leave, left and are in each library: what the removal guard asks. Counts of people, not of faces."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Integer, Select, bindparam, exists, func, insert, select

from syncsvc.model.people import LibraryName, PersonId
from syncsvc.store.tables import changes, deliveries, libraries, people, removals

_d = deliveries.c
# Elsewhere nobody is removed, whatever becomes of them.
_REMOVING = select(libraries.c.name).where(libraries.c.configured == 1, libraries.c.policy == "sync")


def _counted(*conditions: ColumnElement[bool]) -> Select[Any]:
    return select(_d.library, func.count()).where(_d.library.in_(_REMOVING), *conditions).group_by(_d.library)


_OF = _counted(_d.person_id.in_(bindparam("people", expanding=True)), _d.wanted_faces > 0)
_SINCE = _counted(
    _d.person_id.in_(
        select(people.c.id).where(
            people.c.departed_at >= bindparam("since", type_=people.c.departed_at.type),
            people.c.revision > 1,  # whom a plan only named to take their faces out was counted with the plan
        )
    ),
    _d.wanted_faces == 0,
)
_PLANNED = (
    select(removals.c.library, func.sum(removals.c.people))
    .where(removals.c.made_at >= bindparam("since", type_=removals.c.made_at.type))
    .group_by(removals.c.library)
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


# One for everybody who counts departures and lets people go by that count; any number that nobody else here uses.
_GUARD = 0x5359_4E43
_WHERE = select(_d.person_id, _d.library).where(
    _d.person_id.in_(bindparam("people", expanding=True)), _d.wanted_faces > 0, _d.library.in_(_REMOVING)
)

_WHERE_HOLDING = _WHERE.add_columns(func.pg_advisory_xact_lock(_GUARD))


def _bounded(counting: Select[Any], most: str) -> Any:
    """How many there are for the library at hand, counted no further than that."""
    some = counting.limit(bindparam(most, type_=Integer)).correlate(libraries).subquery()
    return select(func.count()).select_from(some).correlate(libraries).scalar_subquery()


_WENT = (
    select(_d.id)
    .join(people, people.c.id == _d.person_id)
    .where(
        people.c.departed_at >= bindparam("since", type_=people.c.departed_at.type),
        people.c.revision > 1,
        _d.library == libraries.c.name,
        _d.wanted_faces == 0,
    )
)
_THERE = select(_d.id).where(_d.library == libraries.c.name, _d.wanted_faces > 0)


def _of_each(counted: Any) -> Select[Any]:
    return select(libraries.c.name, counted).where(libraries.c.name.in_(bindparam("libraries", expanding=True)))


_TAKEN = (
    select(func.coalesce(func.sum(removals.c.people), 0))
    .where(
        removals.c.library == libraries.c.name,
        removals.c.made_at >= bindparam("since", type_=removals.c.made_at.type),
    )
    .correlate(libraries)
    .scalar_subquery()
)
_LATELY, _ABOUT = _of_each(_bounded(_WENT, "most") + _TAKEN), _of_each(_bounded(_THERE, "most"))


class Removing:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def of(self, leaving: Collection[PersonId]) -> dict[LibraryName, int]:
        """From which libraries these people would be removed if they departed: how many of them from each."""
        return self._by_library(_OF, {"people": list(leaving)})

    def since(self, instant: datetime) -> dict[LibraryName, int]:
        """How many went from each library since then: whom it had been told of and who departed and are still gone,
        and whom plans have taken out."""
        departed = self._by_library(_SINCE, {"since": instant})
        planned = self._by_library(_PLANNED, {"since": instant})
        return {library: departed.get(library, 0) + planned.get(library, 0) for library in departed | planned}

    def plan(self, library: LibraryName, people: int, cause: str, now: datetime) -> None:
        """A plan takes so many people out of the library, from now on."""
        row = {"library": library, "made_at": now, "people": people, "cause": cause}
        self._connection.execute(insert(removals).values(row))

    def hold(self) -> None:
        """Nobody else who holds this lets anybody go until the transaction ends: what is counted then stays true.

        To be asked for after people are locked, and before anything else is. SQLite has one writer anyway.
        """
        if self._connection.dialect.name == "postgresql":
            self._connection.execute(select(func.pg_advisory_xact_lock(_GUARD)))

    def where(self, leaving: Collection[PersonId], *, hold: bool = False) -> dict[PersonId, set[LibraryName]]:
        """From which libraries each of them would be removed; who is in none is not in the answer. `hold`: as `hold`
        in the same stroke, where somebody is in one."""
        statement = _WHERE_HOLDING if hold and self._connection.dialect.name == "postgresql" else _WHERE
        found: dict[PersonId, set[LibraryName]] = {}
        for row in self._connection.execute(statement, {"people": list(leaving)}):
            found.setdefault(PersonId(row.person_id), set()).add(LibraryName(row.library))
        return found

    def lately(self, names: Collection[LibraryName], since: datetime, at_most: int) -> dict[LibraryName, int]:
        """As `since`, for these libraries; departures are counted no further than `at_most`."""
        return self._by_library(_LATELY, {"libraries": list(names), "since": since, "most": at_most})

    def about(self, names: Collection[LibraryName], at_most: int) -> dict[LibraryName, int]:
        """As `there`, for these libraries in one query."""
        return self._by_library(_ABOUT, {"libraries": list(names), "most": at_most})

    def told_by(self, source: str, since: datetime) -> int:
        """How many people departed since then by this source's word, and are still gone."""
        return int(self._connection.scalar(_TOLD_BY, {"source": source, "since": since}) or 0)

    def there(self, library: LibraryName, *, at_most: int | None = None) -> int:
        """How many people the library is to have; `at_most`: who need not know more precisely stops counting there."""
        mine = select(_d.id).where(_d.library == library, _d.wanted_faces > 0).limit(at_most)
        return int(self._connection.scalar(select(func.count()).select_from(mine.subquery())) or 0)

    def _by_library(self, counted: Select[Any], values: dict[str, object]) -> dict[LibraryName, int]:
        return {LibraryName(library): int(count) for library, count in self._connection.execute(counted, values)}
