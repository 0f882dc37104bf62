"""What identity providers keep of people: SCIM resources, sealed, beside what our own database says of the person."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    asc,
    delete,
    desc,
    exists,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from syncsvc.model.people import Digest, Face, FaceId, PersonId, Revision
from syncsvc.store.dialect import insert
from syncsvc.store.tables import faces, people, scim_users
from syncsvc.store.vault import KEY_ID_LENGTH, Vault, VaultError

CHUNK = 200

Key = Literal["id", "user_name", "external_id"]
Order = Literal["created_at", "user_name"]

_u = scim_users


@dataclass(frozen=True, slots=True)
class Kept:
    """What is written of a resource. `user_name` is in the form that comparisons use; `resource` is JSON."""

    user_name: str
    external_id: str | None
    resource: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ScimUser:
    """A resource as stored, and its person as our own database knows them now, whoever told it.

    `version` counts the resource's changes, `revision` the person's. `changed_at` is the later change of the two.
    `resource` is None where no configured key opens it: its ids are left, and nobody need stay for a lost key.
    """

    id: str
    person: PersonId
    user_name: str
    external_id: str | None
    resource: bytes | None = field(repr=False)
    version: int
    revision: Revision
    departed: bool
    faces: tuple[Face, ...]
    created_at: datetime
    changed_at: datetime


class ScimUsers:
    def __init__(self, connection: Connection, vault: Vault) -> None:
        self._connection = connection
        self._vault = vault

    def add(self, user: str, person: PersonId, kept: Kept, now: datetime) -> Literal["user_name", "person"] | None:
        """Keep a new resource under the id `user`; None, or what of it another one has already."""
        row = {"id": user, "person_id": person, "version": 1, "created_at": now, "changed_at": now}
        statement = insert(self._connection.dialect.name, scim_users).values({**row, **self._values(user, kept)})
        if self._connection.scalar(statement.on_conflict_do_nothing().returning(_u.c.id)) is not None:
            return None
        same_name = exists().where(_u.c.user_name == kept.user_name)
        return "user_name" if self._connection.scalar(select(same_name)) else "person"

    def amend(self, user: str, kept: Kept, now: datetime) -> bool:
        """Write the next version; False, and nothing is written, where another resource has this user name."""
        values = {**self._values(user, kept), "version": _u.c.version + 1, "changed_at": now}
        try:
            with self._connection.begin_nested():
                self._connection.execute(update(scim_users).where(_u.c.id == user).values(values))
        except IntegrityError:
            return False
        return True

    def remove(self, user: str) -> None:
        self._connection.execute(delete(scim_users).where(_u.c.id == user))

    def get(self, user: str) -> ScimUser | None:
        found = self.matching("id", user)
        return found[0] if found else None

    def lock(self, user: str) -> ScimUser | None:
        """The same, held against every other change of the resource and of its person until the transaction ends."""
        mine = select(_u.c.person_id).where(_u.c.id == user).with_for_update()
        person = self._connection.scalar(mine) if _storable(user) else None
        if person is None:
            return None
        self._connection.execute(select(people.c.id).where(people.c.id == person).with_for_update())
        return self.get(user)

    def matching(self, key: Key, value: str) -> list[ScimUser]:
        """Whoever has exactly this value, found by an index."""
        if not _storable(value):
            return []
        return self._read(_all().where(_u.c[key] == value).order_by(_u.c.created_at, _u.c.id))

    def count(self) -> int:
        return self._connection.scalar(select(func.count()).select_from(scim_users)) or 0

    def page(self, start: int, count: int, *, order: Order = "created_at", descending: bool = False) -> list[ScimUser]:
        """`count` resources after the first `start`, by default in the order in which they came."""
        turn = desc if descending else asc
        by = (turn(_u.c[order]), turn(_u.c.id))
        ids = select(_u.c.id).order_by(*by).offset(start).limit(count).subquery()  # read from the index alone
        return self._read(_all().where(_u.c.id.in_(select(ids.c.id))).order_by(*by))

    def each(self) -> Iterator[ScimUser]:
        """Every resource in the order in which they came, read a few at a time."""
        after: ColumnElement[bool] | None = None
        while True:
            chosen = _all().order_by(_u.c.created_at, _u.c.id).limit(CHUNK)
            chunk = self._read(chosen if after is None else chosen.where(after))
            yield from chunk
            if len(chunk) < CHUNK:
                return
            last = chunk[-1]
            after = or_(_u.c.created_at > last.created_at, and_(_u.c.created_at == last.created_at, _u.c.id > last.id))

    def reseal(self, limit: int) -> int:
        """Seal up to `limit` resources anew that were sealed with an older key; returns how many were found so."""
        older = func.substr(_u.c.sealed, 1, KEY_ID_LENGTH) != self._vault.current
        rows = self._connection.execute(select(_u.c.id, _u.c.sealed).where(older).limit(limit)).all()
        for row in rows:
            sealed = self._seal(row.id, self._open(row.id, row.sealed))
            same = (_u.c.id == row.id) & (_u.c.sealed == row.sealed)  # not what came in the meantime
            self._connection.execute(update(scim_users).where(same).values(sealed=sealed))
        return len(rows)

    def _values(self, user: str, kept: Kept) -> dict[str, object]:
        sealed = self._seal(user, kept.resource)
        return {"user_name": kept.user_name, "external_id": kept.external_id, "sealed": sealed}

    def _read(self, chosen: Select[Any]) -> list[ScimUser]:
        rows = self._connection.execute(chosen).all()
        theirs = self._faces([row.person_id for row in rows])
        return [self._user(row, tuple(theirs.get(row.person_id, ()))) for row in rows]

    def _faces(self, persons: Collection[str]) -> dict[str, list[Face]]:
        found: dict[str, list[Face]] = {}
        if persons:
            chosen = select(faces).where(faces.c.person_id.in_(list(persons))).order_by(faces.c.face_id)
            for row in self._connection.execute(chosen):
                found.setdefault(row.person_id, []).append(Face(FaceId(row.face_id), Digest(row.digest)))
        return found

    def _user(self, row: Row[Any], theirs: Sequence[Face]) -> ScimUser:
        changes = [row.changed_at] if row.person_changed_at is None else [row.changed_at, row.person_changed_at]
        return ScimUser(
            id=row.id,
            person=PersonId(row.person_id),
            user_name=row.user_name,
            external_id=row.external_id,
            resource=self._resource(row),
            version=row.version,
            revision=Revision(row.revision or 0),
            departed=row.revision is None or row.departed_at is not None or row.leaving_at is not None,
            faces=tuple(theirs),
            created_at=row.created_at,
            changed_at=max(changes),
        )

    def _resource(self, row: Row[Any]) -> bytes | None:
        try:
            return self._open(row.id, row.sealed)
        except VaultError:
            return None

    def _seal(self, user: str, plain: bytes) -> bytes:
        return self._vault.seal(plain, purpose="scim", about=user)

    def _open(self, user: str, sealed: bytes) -> bytes:
        return self._vault.open(sealed, purpose="scim", about=user)


def _storable(value: str) -> bool:
    """PostgreSQL keeps no NUL, and nobody half a character: they would be an error there and not just nobody's."""
    return "\x00" not in value and not any("\ud800" <= one <= "\udfff" for one in value)


def _all() -> Select[Any]:
    """Outer: a person may have been forgotten altogether while the identity provider still lists them."""
    mine = people.c.id == _u.c.person_id
    person = (
        people.c.revision,
        people.c.departed_at,
        people.c.leaving_at,
        people.c.changed_at.label("person_changed_at"),
    )
    return select(scim_users, *person).select_from(scim_users.outerjoin(people, mine))
