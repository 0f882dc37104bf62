"""People whose very id is forgotten: what is kept of them stands under a keyed pseudonym, until they are told of again.

Their versions and the moment of their departure are kept, so that a late message re-creates nobody.
"""

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    and_,
    bindparam,
    delete,
    exists,
    insert,
    literal_column,
    select,
    update,
)

from syncsvc.model.keys import person_key
from syncsvc.model.people import PersonId
from syncsvc.store.pseudonyms import Pseudonyms
from syncsvc.store.tables import (
    attempts,
    bindings,
    changes,
    deliveries,
    employees,
    erasures,
    faces,
    invalidations,
    libraries,
    lost_faces,
    people,
    roster_people,
    scim_users,
    situations,
    versions,
    watches,
)

PREFIX = "gone:"

_RENAMED = (faces, lost_faces, versions, deliveries, changes, attempts, situations, bindings, erasures)
_FORGOTTEN = (watches, roster_people, scim_users)  # nothing of these is needed to know somebody again
_BY_LIBRARY = (bindings, situations)  # found by library first, as their keys have it


class Tombs:
    def __init__(self, connection: Connection, pseudonyms: Pseudonyms) -> None:
        self._connection = connection
        self._pseudonyms = pseudonyms

    def of(self, persons: Collection[PersonId]) -> dict[PersonId, PersonId]:
        """Those of these people of whom only a tombstone is left, and under which id it stands; one query."""
        ids = {PersonId(PREFIX + name): person for person, name in self._pseudonyms.known(persons).items()}
        there = select(people.c.id).where(people.c.id.in_(sorted(ids)))
        return {ids[PersonId(one)]: PersonId(one) for one in self._connection.scalars(there)} if ids else {}

    def give_back(self, persons: Collection[PersonId]) -> set[PersonId]:
        """Whoever of these new people has a tombstone is who they were; returns whom. They are locked."""
        tombs = self.of(persons)
        self._rename({tomb: person for person, tomb in tombs.items()}, new=False)
        return set(tombs)

    def forgettable(self, before: datetime, limit: int, *, among: Collection[PersonId] | None = None) -> list[PersonId]:
        """Up to `limit` departed people whose last erasure was confirmed before that; by their ids."""
        after = and_(erasures.c.person_id == people.c.id, erasures.c.state == literal_column("'confirmed'"))
        later = exists().where(
            erasures.c.person_id == people.c.id,
            (erasures.c.finished_at.is_(None)) | (erasures.c.finished_at >= before),
        )
        gone = (people.c.departed_at < before) & ~people.c.id.startswith(PREFIX, autoescape=True)
        found = select(people.c.id).where(gone, exists().where(after), ~later)
        if among is not None:
            found = found.where(people.c.id.in_(sorted(among)))
        return [PersonId(one) for one in self._connection.scalars(found.order_by(people.c.id).limit(limit))]

    def forget(self, persons: Collection[PersonId], before: datetime) -> int:
        """Forget the ids of these, as far as they are still to be forgotten; they are locked until the end.
        Returns how many."""
        locked = select(people.c.id).where(people.c.id.in_(sorted(persons))).order_by(people.c.id).with_for_update()
        self._connection.execute(locked)
        # Asked again, now that they are locked: somebody may have come back.
        names = self._pseudonyms.of_all(self.forgettable(before, len(persons), among=persons))
        self._forget_rest(list(names))
        self._rename({person: PersonId(PREFIX + name) for person, name in names.items()}, new=True)
        return len(names)

    def _forget_rest(self, persons: Collection[PersonId]) -> None:
        if not persons:
            return
        for table in _FORGOTTEN:
            self._connection.execute(delete(table).where(table.c.person_id.in_(persons)))
        theirs = select(employees.c.employee).where(
            employees.c.webhook == invalidations.c.webhook, employees.c.person_id.in_(persons)
        )
        given_up = invalidations.c.state == literal_column("'exhausted'")
        known = invalidations.c.employee.in_(persons) | invalidations.c.employee.in_(theirs)
        self._connection.execute(delete(invalidations).where(given_up, known))
        self._connection.execute(delete(employees).where(employees.c.person_id.in_(persons)))
        mine = situations.c.person_id.in_(persons)
        self._connection.execute(update(situations).where(_anywhere(situations), mine).values(person_key=None))

    def _rename(self, names: Mapping[PersonId, PersonId], *, new: bool) -> None:
        """Everything of these people under other ids; `new`: nobody has those yet."""
        if not names:
            return
        pairs = [{"was": before, "is_now": after} for before, after in sorted(names.items())]
        columns = [column for column in people.c if column.name not in {"id", "key"}]
        rows = self._connection.execute(select(people).where(people.c.id.in_(sorted(names)))).mappings().all()
        kept = [
            {
                "is_now": names[row["id"]],
                "to_key": person_key(names[row["id"]]),
                **{f"to_{column.name}": row[column.name] for column in columns},
            }
            for row in rows
        ]
        values = {column.name: bindparam(f"to_{column.name}", type_=column.type) for column in columns}
        whole = {"id": bindparam("is_now"), "key": bindparam("to_key"), **values}
        if new:
            self._connection.execute(insert(people).values(whole), kept)
        else:
            mine = update(people).where(people.c.id == bindparam("is_now"))
            self._connection.execute(mine.values({"key": bindparam("to_key"), **values}), kept)
        for table in _RENAMED:
            mine = update(table).where(table.c.person_id == bindparam("was")).values(person_id=bindparam("is_now"))
            self._connection.execute(mine.where(_anywhere(table)) if table in _BY_LIBRARY else mine, pairs)
        self._connection.execute(delete(people).where(people.c.id == bindparam("was")), pairs)


def _anywhere(table: Table) -> ColumnElement[bool]:
    return table.c.library.in_(select(libraries.c.name))
