"""Receipts, each chained to the one before, and what waits to become one. Rows are only ever added."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, exists, func, insert, literal_column, select, text

from syncsvc.model.receipt_form import BEGINNING, Envelope, Kind, ReceiptError
from syncsvc.store.tables import receipts, unsigned_receipts

_r, _u = receipts.c, unsigned_receipts.c

_HEAD = select(_r.number, _r.hash).order_by(_r.number.desc()).limit(1)


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the chain: how many receipts there are, and the hash of the newest."""

    number: int = 0
    hash: str = BEGINNING


@dataclass(frozen=True, slots=True)
class About:
    """What a receipt is about: one erasure, or one library that was retired."""

    kind: Kind
    erasure: str | None = None
    library: str | None = None


@dataclass(frozen=True, slots=True)
class Signed:
    """A receipt about to be appended."""

    about: About
    number: int
    issued_at: datetime
    body: bytes
    hash: str
    signature: str
    public_key: str


@dataclass(frozen=True, slots=True)
class Unsigned:
    """What is to be said as soon as there is a key to sign it with."""

    id: int
    about: About
    facts: Mapping[str, Any]


class Receipts:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def lock(self) -> Head:
        """The end of the chain, which nobody else can move before this transaction has ended.

        Locks of rows must be taken before it, or two transactions may wait for each other.
        """
        if self._connection.dialect.name == "postgresql":  # SQLite has one writer anyway
            self._connection.execute(text("LOCK TABLE receipts IN SHARE ROW EXCLUSIVE MODE"))
        return self.head()

    def head(self) -> Head:
        row = self._connection.execute(_HEAD).first()
        return Head() if row is None else Head(row.number, row.hash)

    def append(self, signed: Signed) -> None:
        """Make it the end of the chain; only behind `lock`."""
        self._connection.execute(
            insert(receipts).values(
                number=signed.number,
                erasure_id=signed.about.erasure,
                library=signed.about.library,
                kind=signed.about.kind.value,
                issued_at=signed.issued_at,
                body=signed.body.decode(),
                hash=signed.hash,
                signature=signed.signature,
                public_key=signed.public_key,
            )
        )

    def wait(self, about: About, facts: Mapping[str, Any]) -> None:
        """Keep what is to be said until there is a key."""
        values = {"erasure_id": about.erasure, "library": about.library, "kind": about.kind.value}
        self._connection.execute(insert(unsigned_receipts).values(**values, facts=json.dumps(facts)))

    def waiting(self, limit: int) -> list[Unsigned]:
        """Up to `limit` of them, the oldest first; only behind `lock`, or somebody else may take them too."""
        rows = self._connection.execute(select(unsigned_receipts).order_by(_u.id).limit(limit))
        return [Unsigned(row.id, _about(row), json.loads(row.facts)) for row in rows]

    def taken(self, one: Unsigned) -> None:
        """It was appended."""
        self._connection.execute(delete(unsigned_receipts).where(_u.id == one.id))

    def count_waiting(self) -> int:
        return int(self._connection.scalar(select(func.count()).select_from(unsigned_receipts)) or 0)

    def any_waiting(self) -> bool:
        return bool(self._connection.scalar(select(exists(select(literal_column("1")).select_from(unsigned_receipts)))))

    def page(self, *, after: int, limit: int) -> list[Envelope]:
        """Up to `limit` receipts after that number, in the order of the chain."""
        rows = self._connection.execute(select(receipts).where(_r.number > after).order_by(_r.number).limit(limit))
        return [_envelope(row) for row in rows]

    def newest(self, erasure: str, kind: Kind | None = None) -> Envelope | None:
        """The erasure's newest receipt, of this kind where one is named."""
        mine = select(receipts).where(_r.erasure_id == erasure).order_by(_r.number.desc()).limit(1)
        row = self._connection.execute(mine if kind is None else mine.where(_r.kind == kind.value)).first()
        return None if row is None else _envelope(row)

    def of_library(self, library: str) -> Envelope | None:
        """The newest receipt of a library that was retired."""
        mine = select(receipts).where(_r.library == library).order_by(_r.number.desc()).limit(1)
        row = self._connection.execute(mine).first()
        return None if row is None else _envelope(row)

    def kinds(self, erasures: list[str]) -> dict[str, list[tuple[int, str]]]:
        """Erasure -> number and kind of each of its receipts, in order."""
        found: dict[str, list[tuple[int, str]]] = {}
        mine = select(_r.erasure_id, _r.number, _r.kind).where(_r.erasure_id.in_(erasures)).order_by(_r.number)
        for erasure, number, kind in self._connection.execute(mine):
            found.setdefault(erasure, []).append((number, kind))
        return found


def _about(row: Row[Any]) -> About:
    return About(Kind(row.kind), row.erasure_id, row.library)


def _envelope(row: Row[Any]) -> Envelope:
    """As it was signed; a body that somebody has changed since is handed out as it is, and fails its check."""
    try:
        body = json.loads(row.body)
    except ValueError:
        raise ReceiptError(f"receipt {row.number} was damaged in the database; restore it from an export") from None
    return Envelope(body, row.hash, row.signature, row.public_key)
