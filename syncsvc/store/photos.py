"""Photos and features: sealed, one copy per content, gone when no face needs them."""

import json
from collections.abc import Iterable
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, case, delete, exists, func, or_, select

from syncsvc.model.people import Digest, Feature, Photo, Source
from syncsvc.store.dialect import insert
from syncsvc.store.tables import faces, lost_faces, people, photos
from syncsvc.store.vault import KEY_ID_LENGTH, Vault

key_id = func.substr(photos.c.sealed, 1, KEY_ID_LENGTH)


@cache
def _keep(dialect: str, known: tuple[bytes, ...]) -> Any:
    statement = insert(dialect, photos)
    # An update, not nothing: it locks the row against a sweep that finds it unused at this moment.
    opens = or_(*(key_id == key for key in known))  # not IN: one of a length to come cannot run for many rows at once
    kept = case((opens, photos.c.sealed), else_=statement.excluded.sealed)
    values = {"stored_at": statement.excluded.stored_at, "sealed": kept}
    return statement.on_conflict_do_update(index_elements=["digest"], set_=values)


class Photos:
    def __init__(self, connection: Connection, vault: Vault) -> None:
        self._connection = connection
        self._vault = vault

    def keep(self, source: Source, now: datetime) -> Digest:
        """Store a picture once; returns its digest. A copy whose key is gone gives way to the one that came."""
        self.keep_all([source], now)
        return source.digest

    def keep_all(self, sources: Iterable[Source], now: datetime) -> None:
        """The same for several, which are locked in the order of their digests."""
        every = sorted({source.digest: source for source in sources}.items())
        if every:
            rows = [self._row(digest, source, now) for digest, source in every]
            self._connection.execute(_keep(self._connection.dialect.name, self._vault.known), rows)

    def hold(self, digests: Iterable[Digest]) -> None:
        """Lock those that are stored, before others are kept and these perhaps forgotten: of two who exchange
        pictures that several people have, each would otherwise wait for what the other has kept."""
        held = sorted(digests)
        if held and self._connection.dialect.name == "postgresql":  # elsewhere there is one writer at a time
            mine = photos.c.digest.in_(held)
            self._connection.execute(select(photos.c.digest).where(mine).order_by(photos.c.digest).with_for_update())

    def _row(self, digest: Digest, source: Source, now: datetime) -> dict[str, object]:
        match source:
            case Photo():
                plain, kind, media_type = source.content, "photo", source.media_type
                width, height = source.width, source.height
            case Feature():
                plain, kind, media_type = json.dumps(source.values).encode(), "feature", "application/json"
                width, height = 0, 0
        return {
            "digest": digest,
            "kind": kind,
            "media_type": media_type,
            "width": width,
            "height": height,
            "sealed": self._vault.seal(plain, purpose="photo", about=digest),
            "stored_at": now,
        }

    def locked_away(self, digests: Iterable[Digest]) -> set[Digest]:
        """Those of `digests` whose stored copies were sealed with a key that is gone."""
        mine = photos.c.digest.in_(list(digests))
        return set(self._connection.scalars(select(photos.c.digest).where(mine, key_id.not_in(self._vault.known))))

    def get(self, digest: Digest) -> Source | None:
        row = self._connection.execute(select(photos).where(photos.c.digest == digest)).one_or_none()
        return None if row is None else unseal(self._vault, row)

    def in_use(self, digest: Digest) -> bool:
        """Whether somebody who is with us has a face from this picture, or had it and an add of it is under way."""
        stays = select(people.c.id).where(people.c.departed_at.is_(None))
        had = exists().where(lost_faces.c.digest == digest, lost_faces.c.person_id.in_(stays))
        return bool(self._connection.scalar(select(exists().where(faces.c.digest == digest) | had)))

    def forget_unused(self, digests: Iterable[Digest]) -> int:
        """Delete those of `digests` that no face refers to, wanted or lost; returns how many went."""
        wanted = sorted(digests)
        if not wanted:
            return 0
        # Locked first and deleted by a second statement, which sees the face of whoever had the lock before us.
        self.hold(wanted)
        mine = photos.c.digest.in_(wanted)
        used = or_(*(exists().where(table.c.digest == photos.c.digest) for table in (faces, lost_faces)))
        return self._connection.execute(delete(photos).where(mine, ~used)).rowcount

    def reseal(self, limit: int) -> int:
        """Seal up to `limit` photos anew that were sealed with an older key; returns how many were found so."""
        old = select(photos).where(key_id != self._vault.current).limit(limit)
        rows = self._connection.execute(old).all()
        for row in rows:
            plain = self._vault.open(row.sealed, purpose="photo", about=row.digest)
            sealed = self._vault.seal(plain, purpose="photo", about=row.digest)
            same = (photos.c.digest == row.digest) & (photos.c.sealed == row.sealed)  # not what came in the meantime
            self._connection.execute(photos.update().where(same).values(sealed=sealed))
        return len(rows)


def unseal(vault: Vault, row: Row[Any]) -> Source:
    """A photo row as the picture it holds. Raises VaultError where no configured key opens it."""
    plain = vault.open(row.sealed, purpose="photo", about=row.digest)
    if row.kind == "feature":
        return Feature(tuple(json.loads(plain)))
    return Photo(plain, row.media_type, row.width, row.height)
