"""Whom the rosters of each source name, how these people stand, and who is named no more."""

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Connection,
    Select,
    bindparam,
    create_engine,
    delete,
    exists,
    func,
    select,
    true,
    update,
)
from sqlalchemy.pool import StaticPool

from syncsvc.model.people import FaceId, PersonId, Photo
from syncsvc.store.dialect import among, each_of, insert
from syncsvc.store.tables import faces, people, roster_people, rosters
from syncsvc.store.vault import Vault, VaultError

_m, _p = roster_people.c, people.c


@dataclass(frozen=True, slots=True)
class Standing:
    """How somebody stands with us. `faces` is how many they have; `name` is None also where nobody can open it."""

    here: bool
    departed: bool
    faces: int
    name: str | None = field(repr=False)
    expires_at: datetime | None = None


_STANDING: Select[Any] = select(
    _p.id,
    _p.revision,
    _p.departed_at,
    _p.sealed_name,
    _p.expires_at,
    select(func.count()).where(faces.c.person_id == _p.id).correlate(people).scalar_subquery().label("faces"),
)

_NOTE_ORIGIN = (
    update(faces)
    .where(
        faces.c.person_id == bindparam("person"),
        faces.c.face_id == bindparam("face"),
        faces.c.digest == bindparam("made_from"),
        faces.c.origin.is_distinct_from(bindparam("came_as")),
    )
    .values(origin=bindparam("came_as"))
)


class RosterPeople:
    def __init__(self, connection: Connection, vault: Vault) -> None:
        self._connection = connection
        self._vault = vault

    def mark(self, source: str, run: int, named: Sequence[PersonId]) -> set[PersonId]:
        """This import names these people; returns those whom it had not named before."""
        return _mark(self._connection, source, run, named)

    def standing(self, named: Collection[PersonId]) -> dict[PersonId, Standing]:
        """How those of them stand whom we know."""
        mine = among(self._connection.dialect.name, _p.id, "named")
        rows = self._connection.execute(_STANDING.where(mine), {"named": list(named)}).all()
        return {
            person: Standing(
                revision > 0 and departed_at is None,
                departed_at is not None,
                faces,
                self._name(person, sealed_name),
                expires_at,
            )
            for person, revision, departed_at, sealed_name, expires_at, faces in rows
        }

    def note_origins(self, read: Sequence[tuple[PersonId, FaceId, Photo]]) -> None:
        """Faces that were made from these pictures may as well have come as their bytes."""
        rows = [
            {"person": person, "face": face, "made_from": photo.digest, "came_as": photo.origin}
            for person, face, photo in read
        ]
        if rows:
            self._connection.execute(_NOTE_ORIGIN, rows)

    def absent(
        self, source: str, run: int | None, *, since: datetime, after: str, limit: int, everybody: bool
    ) -> list[PersonId]:
        """People who are with us and whom this import does not name, in the order of their ids, from `after` on.

        They are those whom an earlier roster of the source named, and no current one of another source;
        `everybody`: whoever is with us. Left out is who changed after `since`: that is newer than the file.
        `run` None: nobody is named yet.
        """
        chosen = self._not_named(source, run) if everybody else self._named_before(source, run)
        present = (_p.departed_at.is_(None)) & (_p.revision > 0) & (_p.changed_at <= since)
        (person,) = chosen.selected_columns
        page = chosen.where(present, person > after).order_by(person).limit(limit)
        return [PersonId(one) for one in self._connection.scalars(page)]

    def _not_named(self, source: str, run: int | None) -> Select[Any]:
        named = exists().where(_m.source == source, _m.person_id == _p.id, _m.run == run)
        return select(_p.id).where(~named if run is not None else true())

    def _named_before(self, source: str, run: int | None) -> Select[Any]:
        """Walks along the source's own rows: few of them are left over, and only those are looked up elsewhere."""
        others = select(rosters.c.source, rosters.c.whole_run).where(rosters.c.source != source)
        chosen = select(_m.person_id).join(people, _p.id == _m.person_id).where(_m.source == source)
        for other, whole_run in self._connection.execute(others).all():
            theirs = roster_people.alias()
            mine = (theirs.c.source == other) & (theirs.c.person_id == _m.person_id)
            chosen = chosen.where(~exists().where(mine, theirs.c.run >= whole_run))
        return chosen.where(_m.run != run if run is not None else true())

    def forget(self, source: str, gone: Collection[PersonId]) -> None:
        """The source's rosters never named these people."""
        self._connection.execute(delete(roster_people).where(_m.source == source, _m.person_id.in_(list(gone))))

    def forget_departed(self, source: str, run: int) -> None:
        """The same for whoever departed and is not named by this import: should they come back, they are not absent."""
        gone = exists().where(_p.id == _m.person_id, _p.departed_at.is_not(None))
        self._connection.execute(delete(roster_people).where(_m.source == source, _m.run != run, gone))

    def _name(self, person: str, sealed: bytes | None) -> str | None:
        if sealed is None:
            return None
        try:
            return self._vault.open(sealed, purpose="name", about=person).decode()
        except VaultError:  # told again it is written again
            return None


class Scratch:
    """Who was named so far, on paper of one's own: nobody else sees it, and it is thrown away."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def mark(self, named: Sequence[PersonId]) -> set[PersonId]:
        """Returns those who were not named before."""
        return _mark(self._connection, "", 1, named)

    def unnamed(self, asked: Sequence[PersonId]) -> list[PersonId]:
        """Those of them who were not named, in their order."""
        mine = select(_m.person_id).where(_m.person_id.in_(list(asked)))
        named = set(self._connection.scalars(mine))
        return [person for person in asked if person not in named]


@contextmanager
def scratch() -> Iterator[Scratch]:
    """In a file that the system removes: a million people are no burden on the memory."""
    engine = create_engine("sqlite://", creator=lambda: sqlite3.connect(""), poolclass=StaticPool, hide_parameters=True)
    try:
        with engine.begin() as connection:
            roster_people.create(connection)
            yield Scratch(connection)
    finally:
        engine.dispose()


def _mark(connection: Connection, source: str, run: int, named: Sequence[PersonId]) -> set[PersonId]:
    dialect = connection.dialect.name
    each = each_of(dialect, "named")
    columns = [bindparam("source", type_=_m.source.type), each.c.value, bindparam("run", type_=_m.run.type)]
    # Without a WHERE, SQLite would take ON CONFLICT for the condition of a join.
    statement = insert(dialect, roster_people).from_select(
        ["source", "person_id", "run"], select(*columns).where(true())
    )
    newer = statement.excluded.run
    statement = statement.on_conflict_do_update(
        index_elements=["source", "person_id"], set_={"run": newer}, where=_m.run != newer
    )
    values = {"source": source, "run": run, "named": list(dict.fromkeys(named))}
    return {PersonId(one) for one in connection.scalars(statement.returning(_m.person_id), values)}
