"""Canonical people and the faces they should have."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, Table, and_, bindparam, delete, func, or_, select, update

from syncsvc.model.keys import person_key
from syncsvc.model.people import Digest, Face, FaceId, Person, PersonId, Revision
from syncsvc.store.dialect import insert
from syncsvc.store.photos import key_id, unseal
from syncsvc.store.tables import faces, lost_faces, people, photos, versions
from syncsvc.store.vault import KEY_ID_LENGTH, Vault


@dataclass(frozen=True, slots=True)
class Known:
    """A person as stored, without pictures."""

    id: PersonId
    revision: Revision
    departed_at: datetime | None
    faces: tuple[Face, ...]


@dataclass(frozen=True, slots=True)
class Versions:
    """How far one source has counted the changes of a person: of whether they are there, of all their faces
    together, and of single faces that changed after that."""

    presence: int | None = None
    faces: int | None = None
    face: Mapping[FaceId, int] = field(default_factory=dict)


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


class People:
    def __init__(self, connection: Connection, vault: Vault) -> None:
        self._connection = connection
        self._vault = vault

    def lock(self, person: PersonId, now: datetime) -> Known:
        """The person, held against every other change of the same person until the transaction ends.

        A person nobody knew is created at revision 0, with no faces.
        """
        fresh = {"id": person, "key": person_key(person), "revision": 0, "changed_at": now}
        # DO UPDATE and not DO NOTHING: it takes the row's lock whether or not the row was there.
        taken = insert(self._connection.dialect.name, people).values(fresh)
        taken = taken.on_conflict_do_update(index_elements=["id"], set_={"id": taken.excluded.id})
        row = self._connection.execute(taken.returning(people)).one()
        return Known(person, row.revision, row.departed_at, self._faces(person))

    def get(self, person: PersonId) -> Known | None:
        row = self._connection.execute(select(people).where(people.c.id == person)).one_or_none()
        if row is None:
            return None
        return Known(person, row.revision, row.departed_at, self._faces(person))

    def name(self, person: PersonId) -> str | None:
        sealed = self._connection.scalar(select(people.c.sealed_name).where(people.c.id == person))
        return self._vault.open(sealed, purpose="name", about=person).decode() if sealed else None

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

    def amend(
        self,
        person: PersonId,
        revision: Revision,
        now: datetime,
        *,
        departed: bool,
        name: str | None,
    ) -> None:
        """Write the next revision. `name` None leaves the stored one, except that a departure forgets it."""
        values: dict[str, object] = {"revision": revision, "changed_at": now, "departed_at": now if departed else None}
        if departed:
            values["sealed_name"] = None
        elif name is not None:
            values["sealed_name"] = self._vault.seal(name.encode(), purpose="name", about=person)
        self._connection.execute(update(people).where(people.c.id == person).values(values))

    def versions(self, person: PersonId, source: str) -> Versions:
        mine = (versions.c.person_id == person) & (versions.c.source == source)
        rows = self._connection.execute(select(versions).where(mine)).all()
        whole = {row.part: row.version for row in rows if row.part != "face"}
        single = {FaceId(row.face_id): row.version for row in rows if row.part == "face"}
        return Versions(whole.get("presence"), whole.get("faces"), single)

    def note_versions(self, person: PersonId, source: str, told: Versions, *, left: Collection[FaceId] = ()) -> None:
        """Write how far the source has counted; what `told` does not mention stays.

        A count of all faces ends those of single faces that it has passed, and of the faces in `left`.
        """
        parts = {("face", face): version for face, version in told.face.items()}
        whole = {("presence", FaceId("")): told.presence, ("faces", FaceId("")): told.faces}
        parts |= {part: version for part, version in whole.items() if version is not None}
        rows = [
            {"person_id": person, "source": source, "part": part, "face_id": face, "version": version}
            for (part, face), version in parts.items()
        ]
        statement = insert(self._connection.dialect.name, versions).values(rows)
        key, later = ["person_id", "source", "part", "face_id"], {"version": statement.excluded.version}
        self._connection.execute(statement.on_conflict_do_update(index_elements=key, set_=later))
        if told.faces is not None:
            mine = and_(versions.c.person_id == person, versions.c.source == source, versions.c.part == "face")
            ended = or_(versions.c.version <= told.faces, versions.c.face_id.in_(list(left)))
            self._connection.execute(delete(versions).where(mine, ended))

    def set_face(
        self, person: PersonId, face: FaceId, digest: Digest, revision: Revision, *, origin: Digest | None = None
    ) -> None:
        """`origin` is the SHA-256 of the bytes that the picture came as, where that is known."""
        changed = {"digest": digest, "revision": revision, "origin": origin}
        row = {"person_id": person, "face_id": face, **changed}
        statement = insert(self._connection.dialect.name, faces).values(row)
        self._connection.execute(statement.on_conflict_do_update(index_elements=["person_id", "face_id"], set_=changed))

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

    def drop_faces(self, person: PersonId, gone: Sequence[FaceId]) -> None:
        if gone:
            mine = faces.c.person_id == person
            self._connection.execute(delete(faces).where(mine, faces.c.face_id.in_(gone)))

    def wanted(self, people: dict[PersonId, Revision], *, pictures: bool) -> dict[PersonId, Person]:
        """People as every library should know them; someone without faces is there, empty.

        `pictures` loads and opens the photos as well; without, every face's source is None.
        """
        found = self._read(_PICTURES if pictures else _FACES, people, pictures=pictures)
        return {person: Person(person, people[person], mine) for person, mine in found.items()}

    def lost(self, people: Collection[PersonId], *, pictures: bool) -> dict[PersonId, tuple[Face, ...]]:
        """Pictures that these people no longer have, and of which an add may have been under way."""
        return self._read(_LOST_PICTURES if pictures else _LOST, people, pictures=pictures)

    def remember_lost(self, person: PersonId, gone: Sequence[Face]) -> None:
        """Keep pictures that are wanted no more until it is certain that no library holds them."""
        rows = [{"person_id": person, "face_id": face.id, "digest": face.digest} for face in gone]
        self._connection.execute(
            insert(self._connection.dialect.name, lost_faces).values(rows).on_conflict_do_nothing()
        )

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

    def _faces(self, person: PersonId) -> tuple[Face, ...]:
        mine = select(faces.c.face_id, faces.c.digest).where(faces.c.person_id == person).order_by(faces.c.face_id)
        return tuple(Face(FaceId(row.face_id), Digest(row.digest)) for row in self._connection.execute(mine))
