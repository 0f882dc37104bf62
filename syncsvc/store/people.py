"""Canonical people and the faces they should have."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, Select, Table, bindparam, delete, exists, func, select, update

from syncsvc.model.changes import Until
from syncsvc.model.keys import person_key
from syncsvc.model.people import Digest, Face, FaceId, Person, PersonId, Revision
from syncsvc.store.dialect import insert
from syncsvc.store.photos import key_id, unseal
from syncsvc.store.pseudonyms import Pseudonyms
from syncsvc.store.tables import changes, faces, lost_faces, people, photos
from syncsvc.store.tombs import Tombs
from syncsvc.store.vault import KEY_ID_LENGTH, Vault

EXPIRY = "retention"  # who tells the departures of people who have expired


@dataclass(frozen=True, slots=True)
class Known:
    """A person as stored, without pictures.

    `expires_at` is when they depart by themselves. `leaving_at`: since then they would be gone, had a departure of
    theirs not been held back by the removal guard, or by a rule for a while.
    """

    id: PersonId
    revision: Revision
    departed_at: datetime | None
    faces: tuple[Face, ...]
    sealed_name: bytes | None = field(default=None, repr=False, compare=False)
    expires_at: datetime | None = None
    leaving_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Amended:
    """A person's next revision. `name` and `until` None leave what is stored, except that a departure forgets it."""

    before: Known
    revision: Revision
    departed: bool
    name: str | None = field(default=None, repr=False)
    until: Until | None = None


@dataclass(frozen=True, slots=True)
class FaceRow:
    """One face of a person. `origin` is the SHA-256 of the bytes that the picture came as, where that is known."""

    person: PersonId
    face: FaceId
    digest: Digest
    revision: Revision
    origin: Digest | None = None


def _of(table: Table, *, pictures: bool) -> Select[Any]:
    columns = (table.c.person_id, table.c.face_id)
    chosen = select(*columns, photos).join(photos, photos.c.digest == table.c.digest) if pictures else select(table)
    return chosen.where(table.c.person_id.in_(bindparam("people", expanding=True))).order_by(*columns)


_FACES, _PICTURES = _of(faces, pictures=False), _of(faces, pictures=True)
_ORIGINS = (
    select(faces.c.person_id, faces.c.face_id, faces.c.origin)
    .join(photos, photos.c.digest == faces.c.digest)
    .where(faces.c.person_id.in_(bindparam("people", expanding=True)), faces.c.origin.is_not(None))
)
_LOST, _LOST_PICTURES = _of(lost_faces, pictures=False), _of(lost_faces, pictures=True)

_DROP = delete(faces).where(
    faces.c.person_id == bindparam("who", type_=faces.c.person_id.type),
    faces.c.face_id == bindparam("which", type_=faces.c.face_id.type),
)
_AMEND = (
    update(people)
    .where(people.c.id == bindparam("who", type_=people.c.id.type))
    .values(
        revision=bindparam("to_revision", type_=people.c.revision.type),
        changed_at=bindparam("now", type_=people.c.changed_at.type),
        departed_at=bindparam("to_departed", type_=people.c.departed_at.type),
        sealed_name=bindparam("to_name", type_=people.c.sealed_name.type),
        expires_at=bindparam("to_expire", type_=people.c.expires_at.type),
        leaving_at=bindparam("to_leave", type_=people.c.leaving_at.type),
    )
)


_ANYBODY, _id = select(people), people.c.id


class People:
    def __init__(self, connection: Connection, vault: Vault, pseudonyms: Pseudonyms) -> None:
        self._connection = connection
        self._vault = vault
        self._tombs = Tombs(connection, pseudonyms)

    def lock(self, person: PersonId, now: datetime) -> Known:
        """The person, held against every other change of the same person until the transaction ends.

        A person nobody knew is created at revision 0, with no faces.
        """
        return self.lock_all([person], now)[person]

    def lock_all(self, people: Collection[PersonId], now: datetime) -> dict[PersonId, Known]:
        """The same for several, always in the order of their ids: two that lock several do not stand in each
        other's way."""
        ids = sorted(set(people))
        rows = [{"id": person, "key": person_key(person), "revision": 0, "changed_at": now} for person in ids]
        if rows and self._connection.dialect.name == "postgresql":
            # Of two who create somebody at once, the second would stumble over the key: a conflict that is to be
            # mended is looked for in one index only. One that is to be left alone is looked for in all of them.
            self._connection.execute(_create(), rows)
        taken = {row.id: row for row in self._connection.execute(_lock(self._connection.dialect.name), rows)}
        if back := self._tombs.give_back([PersonId(row.id) for row in taken.values() if row.revision == 0]):
            again = _ANYBODY.where(_id.in_(sorted(back)))
            taken |= {row.id: row for row in self._connection.execute(again)}
        faces = self._read(_FACES, ids, pictures=False)
        return {person: _known(row, faces[person]) for person, row in ((person, taken[person]) for person in ids)}

    def page(self, *, after: PersonId, limit: int) -> list[PersonId]:
        """Up to `limit` people by their ids, those after `after`, whether or not they have a face; locked, so that
        nobody departs between being looked at and being owed."""
        mine = select(people.c.id).where(people.c.id > after).order_by(people.c.id).limit(limit)
        return [PersonId(person) for person in self._connection.scalars(mine.with_for_update())]

    def get(self, person: PersonId) -> Known | None:
        row = self._connection.execute(select(people).where(people.c.id == person)).one_or_none()
        if row is None:
            tomb = self._tombs.of([person]).get(person)
            mine = select(people).where(people.c.id == tomb)
            row = self._connection.execute(mine).one_or_none() if tomb is not None else None
            return None if row is None else replace(_known(row, ()), id=person)
        return _known(row, self._faces(person))

    def name(self, known: Known) -> str | None:
        """Raises VaultError where no configured key opens it."""
        sealed = known.sealed_name
        return self._vault.open(sealed, purpose="name", about=known.id).decode() if sealed else None

    def reseal_names(self, limit: int) -> int:
        """Seal up to `limit` names anew that were sealed with an older key; returns how many were found so."""
        older = func.substr(people.c.sealed_name, 1, KEY_ID_LENGTH) != self._vault.current
        rows = self._connection.execute(select(people.c.id, people.c.sealed_name).where(older).limit(limit)).all()
        for row in rows:
            plain = self._vault.open(row.sealed_name, purpose="name", about=row.id)
            sealed = self._vault.seal(plain, purpose="name", about=row.id)
            # Not where another name came in the meantime, or the person departed: that must not undo a forgetting.
            same = (people.c.id == row.id) & (people.c.sealed_name == row.sealed_name)
            self._connection.execute(update(people).where(same).values(sealed_name=sealed))
        return len(rows)

    def forgettable(self, before: datetime, limit: int) -> list[PersonId]:
        """Up to `limit` people whose very ids may be forgotten: their erasures were confirmed before that."""
        return self._tombs.forgettable(before, limit)

    def forget(self, persons: Collection[PersonId], before: datetime) -> int:
        """Forget the ids of these people and leave tombstones, under which `lock_all` and `get` know them again;
        whoever has come back meanwhile stays. Returns how many are forgotten."""
        return self._tombs.forget(persons, before)

    def amend(self, amended: Sequence[Amended], now: datetime) -> None:
        """Write people's next revisions; they are locked."""
        if amended:
            self._connection.execute(_AMEND, [self._amended(one, now) for one in amended])

    def set_leaving(self, leaving: Collection[PersonId], since: datetime | None) -> None:
        """That a departure of these people is held back; None: not any more. They are locked."""
        if leaving:
            self._connection.execute(update(people).where(people.c.id.in_(sorted(leaving))).values(leaving_at=since))

    def expired(self, now: datetime, limit: int) -> list[PersonId]:
        """Who should have departed by themselves, the earliest first; not those who wait for an operator to say so."""
        asked = exists().where(
            changes.c.person_id == people.c.id,
            changes.c.source == EXPIRY,
            changes.c.effect.in_(("held", "waiting")),
        )
        mine = select(people.c.id).where(people.c.expires_at <= now, ~asked)
        return [PersonId(one) for one in self._connection.scalars(mine.order_by(people.c.expires_at).limit(limit))]

    def no_longer_expired(self, kept: Collection[PersonId], now: datetime) -> None:
        """Whoever's moment has come stays without one. They are locked."""
        if kept:
            come = people.c.id.in_(sorted(kept)) & (people.c.expires_at <= now)
            self._connection.execute(update(people).where(come).values(expires_at=None))

    def set_faces(self, rows: Sequence[FaceRow]) -> None:
        if rows:
            self._connection.execute(_set_face(self._connection.dialect.name), [_face(row) for row in rows])

    def origins(self, people: Collection[PersonId]) -> dict[PersonId, dict[FaceId, Digest]]:
        """What these people's faces were made from: the SHA-256 of the bytes as they came; one query for all.

        The same bytes for the same face say nothing new, and need not be read again. A face is left out where
        that is not known, or where nobody can open its picture any more and it must be told anew.
        """
        found: dict[PersonId, dict[FaceId, Digest]] = {person: {} for person in people}
        opens = key_id.in_(self._vault.known)
        for row in self._connection.execute(_ORIGINS.where(opens), {"people": list(people)}):
            found[PersonId(row.person_id)][FaceId(row.face_id)] = Digest(row.origin)
        return found

    def drop_faces(self, gone: Sequence[tuple[PersonId, FaceId]]) -> None:
        if gone:
            self._connection.execute(_DROP, [{"who": person, "which": face} for person, face in gone])

    def wanted(self, people: dict[PersonId, Revision], *, pictures: bool) -> dict[PersonId, Person]:
        """People as every library should know them; someone without faces is there, empty.

        `pictures` loads and opens the photos as well; without, every face's source is None.
        """
        found = self._read(_PICTURES if pictures else _FACES, people, pictures=pictures)
        return {person: Person(person, people[person], mine) for person, mine in found.items()}

    def lost(self, people: Collection[PersonId], *, pictures: bool) -> dict[PersonId, tuple[Face, ...]]:
        """Pictures that these people no longer have, and of which an add may have been under way."""
        return self._read(_LOST_PICTURES if pictures else _LOST, people, pictures=pictures)

    def remember_lost(self, gone: Sequence[tuple[PersonId, Face]]) -> None:
        """Keep pictures that are wanted no more until it is certain that no library holds them."""
        if gone:
            rows = [{"person_id": person, "face_id": face.id, "digest": face.digest} for person, face in gone]
            self._connection.execute(insert(self._connection.dialect.name, lost_faces).on_conflict_do_nothing(), rows)

    def forget_lost(self, person: PersonId) -> set[Digest]:
        """It is certain now; returns the digests of what need not be kept any longer."""
        mine = lost_faces.c.person_id == person
        return set(self._connection.scalars(delete(lost_faces).where(mine).returning(lost_faces.c.digest)))

    def _read(
        self, chosen: Select[Any], people: Collection[PersonId], *, pictures: bool
    ) -> dict[PersonId, tuple[Face, ...]]:
        found: dict[PersonId, list[Face]] = {person: [] for person in people}
        for row in self._connection.execute(chosen, {"people": list(people)}):
            source = unseal(self._vault, row) if pictures else None
            found[PersonId(row.person_id)].append(Face(FaceId(row.face_id), Digest(row.digest), source))
        return {person: tuple(mine) for person, mine in found.items()}

    def _amended(self, one: Amended, now: datetime) -> dict[str, object]:
        sealed = one.before.sealed_name
        if one.departed:
            sealed = None
        elif one.name is not None:
            sealed = self._vault.seal(one.name.encode(), purpose="name", about=one.before.id)
        return {
            "who": one.before.id,
            "to_revision": one.revision,
            "now": now,
            "to_departed": now if one.departed else None,
            "to_name": sealed,
            "to_expire": _expiry(one),
            "to_leave": None if one.departed else one.before.leaving_at,
        }

    def _faces(self, person: PersonId) -> tuple[Face, ...]:
        mine = select(faces.c.face_id, faces.c.digest).where(faces.c.person_id == person).order_by(faces.c.face_id)
        return tuple(Face(FaceId(row.face_id), Digest(row.digest)) for row in self._connection.execute(mine))


def _known(row: Row[Any], mine: tuple[Face, ...]) -> Known:
    return Known(PersonId(row.id), row.revision, row.departed_at, mine, row.sealed_name, row.expires_at, row.leaving_at)


def _expiry(one: Amended) -> datetime | None:
    if one.departed:
        return None
    return one.before.expires_at if one.until is None else one.until.moment


def _face(row: FaceRow) -> dict[str, object]:
    return {
        "person_id": row.person,
        "face_id": row.face,
        "digest": row.digest,
        "revision": row.revision,
        "origin": row.origin,
    }


@cache
def _create() -> Any:
    return insert("postgresql", people).on_conflict_do_nothing()


@cache
def _lock(dialect: str) -> Any:
    # DO UPDATE and not DO NOTHING: it takes the row's lock whether or not the row was there.
    taken = insert(dialect, people)
    taken = taken.on_conflict_do_update(index_elements=["id"], set_={"id": taken.excluded.id})
    columns = ("id", "revision", "departed_at", "sealed_name", "expires_at", "leaving_at")
    return taken.returning(*(people.c[name] for name in columns))


@cache
def _set_face(dialect: str) -> Any:
    statement = insert(dialect, faces)
    changed = {name: statement.excluded[name] for name in ("digest", "revision", "origin")}
    return statement.on_conflict_do_update(index_elements=["person_id", "face_id"], set_=changed)
