"""What connecting a library that already holds people needs: its newest reading, and paper to sort it on."""

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    Column,
    Connection,
    Integer,
    MetaData,
    Row,
    String,
    Table,
    Text,
    bindparam,
    create_engine,
    func,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.pool import StaticPool

from syncsvc.model.people import LibraryName, Listed, PersonId, Revision, VendorFaceId, VendorImageId
from syncsvc.store.checks import Bound
from syncsvc.store.dialect import among, insert
from syncsvc.store.tables import bindings, deliveries, listed, people

_b = bindings.c


@dataclass(frozen=True, slots=True)
class Acquaintance:
    """A person whom a library knows already. `held` is the revision that it has; None: nobody can say.

    `wanted` 0 is older than any revision: the library is owed the person as soon as it is owed anything.
    """

    person: PersonId
    verb: str
    wanted: Revision
    faces: int
    held: Revision | None


class Adoption:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def listed(self, library: LibraryName, run: int, *, after: VendorFaceId | None, limit: int) -> list[Listed]:
        """The next faces that this reading shows, by their ids."""
        page = select(listed).where(listed.c.library == library, listed.c.run == run)
        if after is not None:
            page = page.where(listed.c.vendor_face_id > after)
        return [_listed(row) for row in self._connection.execute(page.order_by(listed.c.vendor_face_id).limit(limit))]

    def these(self, library: LibraryName, run: int, ids: Collection[str]) -> dict[VendorFaceId, Listed]:
        """Those of these faces that this reading shows."""
        chosen = among(self._connection.dialect.name, listed.c.vendor_face_id, "ids")
        mine = select(listed).where(listed.c.library == library, listed.c.run == run, chosen)
        return {
            VendorFaceId(row.vendor_face_id): _listed(row) for row in self._connection.execute(mine, {"ids": list(ids)})
        }

    def bound(self, library: LibraryName, *, after: Bound | None, limit: int) -> list[Bound]:
        """The next faces that the library is known to hold, by person."""
        page = select(_b.person_id, _b.vendor_face_id).where(_b.library == library, _b.removed_at.is_(None))
        if after is not None:
            page = page.where(tuple_(_b.person_id, _b.vendor_face_id) > tuple_(after.person, after.face))
        rows = self._connection.execute(page.order_by(_b.person_id, _b.vendor_face_id).limit(limit))
        return [Bound(PersonId(row.person_id), VendorFaceId(row.vendor_face_id)) for row in rows]

    def whose(self, library: LibraryName, ids: Collection[str]) -> dict[VendorFaceId, PersonId]:
        """Those of these faces that the library is known to hold for somebody, and for whom."""
        chosen = among(self._connection.dialect.name, _b.vendor_face_id, "ids")
        mine = select(_b.vendor_face_id, _b.person_id).where(_b.library == library, _b.removed_at.is_(None), chosen)
        rows = self._connection.execute(mine, {"ids": list(ids)})
        return {VendorFaceId(row.vendor_face_id): PersonId(row.person_id) for row in rows}

    def holders(self, library: LibraryName, *, after: PersonId, limit: int) -> list[PersonId]:
        """The next people of whom the library is known to hold something."""
        mine = (_b.library == library) & _b.removed_at.is_(None) & (_b.person_id > after)
        page = select(_b.person_id).distinct().where(mine).order_by(_b.person_id).limit(limit)
        return [PersonId(one) for one in self._connection.scalars(page)]

    def by_key(self, keys: Collection[str]) -> dict[str, PersonId]:
        """Who is known inside libraries by each of these keys."""
        mine = select(people.c.key, people.c.id).where(among(self._connection.dialect.name, people.c.key, "keys"))
        return {row.key: PersonId(row.id) for row in self._connection.execute(mine, {"keys": list(keys)})}

    def acquaint(self, library: LibraryName, known: Sequence[Acquaintance], *, rank: datetime, now: datetime) -> int:
        """Write down that the library knows these people, so that it is told of what becomes of them; who is owed
        something there already is left as they are. Returns how many were written."""
        rows = [
            {
                "library": library,
                "person_id": one.person,
                "wanted": one.wanted,
                "wanted_faces": one.faces,
                "wanted_at": now,
                "verb": one.verb,
                "rank": rank,
                "state": "synced",
                "due_at": now,
                "held": one.held,
                "settled_at": now,
            }
            for one in sorted(known, key=lambda one: one.person)
        ]
        if not rows:
            return 0
        statement = insert(self._connection.dialect.name, deliveries)
        statement = statement.on_conflict_do_nothing(index_elements=["library", "person_id"])
        return len(self._connection.scalars(statement.returning(deliveries.c.id), rows).all())


# --- paper of one's own: nobody else sees it, and it is thrown away ---------------------------------------------------

_paper = MetaData()
_faces = Table(
    "faces",
    _paper,
    Column("vendor_face_id", Text, primary_key=True),
    Column("vendor_image_id", Text),
    Column("person_key", Text, index=True),
    Column("label", Text, index=True),
    Column("person_id", Text),  # whose it is known to be
)
_decisions = Table(
    "decisions",
    _paper,
    Column("line", Integer, primary_key=True),
    Column("vendor_face_id", Text, nullable=False, index=True),
    Column("decision", String(6), nullable=False),
    Column("person_id", Text, nullable=False, index=True),
    Column("face_id", Text),
    Column("bound_to", Text),
)
_f, _c = _faces.c, _decisions.c
_TAKE = update(_faces).where(_f.vendor_face_id == bindparam("which")).values(person_id=bindparam("who"))
_BOUND = update(_decisions).where(_c.vendor_face_id == bindparam("which")).values(bound_to=bindparam("who"))


@dataclass(frozen=True, slots=True)
class Shown:
    """A listed face, and whose it is known to be."""

    face: Listed
    person: PersonId | None


@dataclass(frozen=True, slots=True)
class Decision:
    """What somebody decided about a face, and on which line. `bound_to`: whose it is known to be already."""

    line: int
    face: VendorFaceId
    decision: str
    person: PersonId
    face_id: str | None
    bound_to: PersonId | None = None


class Sheet:
    """The faces of one library, found by key and by label; and what was decided about some."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def enlist(self, faces: Sequence[Listed]) -> None:
        rows = [
            {
                "vendor_face_id": one.vendor_face_id,
                "vendor_image_id": one.vendor_image_id,
                "person_key": one.person_key or None,
                "label": one.label or None,
            }
            for one in faces
        ]
        if rows:
            self._connection.execute(insert("sqlite", _faces).on_conflict_do_nothing(), rows)

    def bind(self, bound: Sequence[Bound]) -> None:
        """These faces are known to be these people's; one that is not on the sheet is passed over."""
        rows = [{"which": one.face, "who": one.person} for one in bound]
        if rows:
            self._connection.execute(_TAKE, rows)
            self._connection.execute(_BOUND, rows)

    def under(self, keys: Collection[str], labels: Collection[str]) -> list[Shown]:
        """The faces that are listed under one of these keys, or carry one of these labels."""
        mine = or_(among("sqlite", _f.person_key, "keys"), among("sqlite", _f.label, "labels"))
        rows = self._connection.execute(select(_faces).where(mine), {"keys": list(keys), "labels": list(labels)})
        return [Shown(_listed(row), PersonId(row.person_id) if row.person_id else None) for row in rows]

    def rest(self, *, after: Listed | None, limit: int) -> Sequence[Listed]:
        """The next faces that are nobody's, those of one key beside each other."""
        key = func.coalesce(_f.person_key, "")
        page = select(_faces).where(_f.person_id.is_(None)).order_by(key, _f.vendor_face_id).limit(limit)
        if after is not None:
            page = page.where(tuple_(key, _f.vendor_face_id) > tuple_(after.person_key or "", after.vendor_face_id))
        return [_listed(row) for row in self._connection.execute(page)]

    def decide(self, decisions: Sequence[Decision]) -> None:
        rows = [
            {
                "line": one.line,
                "vendor_face_id": one.face,
                "decision": one.decision,
                "person_id": one.person,
                "face_id": one.face_id,
            }
            for one in decisions
        ]
        if rows:
            self._connection.execute(insert("sqlite", _decisions), rows)

    def decisions(self, *, after: int, limit: int) -> Sequence[Decision]:
        """The next ones, in the order of their lines."""
        page = select(_decisions).where(_c.line > after).order_by(_c.line).limit(limit)
        return [_decision(row) for row in self._connection.execute(page)]

    def repeated(self, limit: int) -> Sequence[tuple[int, int]]:
        """Lines that decide about the same face, or bind two faces as the same one: (the later line, the first)."""
        first = _decisions.alias()
        same_face = first.c.vendor_face_id == _c.vendor_face_id
        same_place = (
            (first.c.decision == "bind")
            & (_c.decision == "bind")
            & (first.c.person_id == _c.person_id)
            & (first.c.face_id == _c.face_id)
        )
        found: dict[int, int] = {}
        for same in (same_face, same_place):
            pairs = select(_c.line, func.min(first.c.line).label("first")).join(first, same & (first.c.line < _c.line))
            for row in self._connection.execute(pairs.group_by(_c.line).order_by(_c.line).limit(limit)):
                found.setdefault(row.line, row.first)
        return sorted(found.items())[:limit]

    def removing(self) -> int:
        """From how many people something is to be removed that is not known to be theirs yet."""
        mine = select(func.count(_c.person_id.distinct())).where(_c.decision == "remove", _c.bound_to.is_(None))
        return int(self._connection.scalar(mine) or 0)

    def losing(self, people: Collection[PersonId]) -> set[PersonId]:
        """Those of these people from whom something is to be removed."""
        mine = select(_c.person_id).where(_c.decision == "remove", among("sqlite", _c.person_id, "people"))
        return {PersonId(one) for one in self._connection.scalars(mine, {"people": list(people)})}

    def concerned(self, *, after: PersonId, limit: int) -> Sequence[PersonId]:
        """The next people whom a decision names, by their ids."""
        page = select(_c.person_id).distinct().where(_c.person_id > after).order_by(_c.person_id).limit(limit)
        return [PersonId(one) for one in self._connection.scalars(page)]


@contextmanager
def sheet() -> Iterator[Sheet]:
    """In a file that the system removes: a million faces are no burden on the memory."""
    engine = create_engine("sqlite://", creator=lambda: sqlite3.connect(""), poolclass=StaticPool, hide_parameters=True)
    try:
        with engine.begin() as connection:
            _paper.create_all(connection)
            yield Sheet(connection)
    finally:
        engine.dispose()


def _listed(row: Row[tuple[object, ...]]) -> Listed:
    image = VendorImageId(row.vendor_image_id) if row.vendor_image_id else None
    return Listed(VendorFaceId(row.vendor_face_id), image, row.person_key, row.label)


def _decision(row: Row[tuple[object, ...]]) -> Decision:
    return Decision(
        line=row.line,
        face=VendorFaceId(row.vendor_face_id),
        decision=row.decision,
        person=PersonId(row.person_id),
        face_id=row.face_id,
        bound_to=PersonId(row.bound_to) if row.bound_to else None,
    )
