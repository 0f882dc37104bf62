"""What the store's tests stand on: libraries, somebody who is owed something, and a delivery's bare row."""

import uuid
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from syncsvc.model.people import Digest, FaceId, LibraryName, PersonId, Photo, Revision
from syncsvc.model.report import Doubt
from syncsvc.model.urgency import Urgency, rank
from syncsvc.store import Store, Transaction
from syncsvc.store.changes import Telling
from syncsvc.store.people import Amended, FaceRow
from syncsvc.store.rows import Claimed, Ending, Settlement, Want
from syncsvc.store.tables import deliveries
from tests.conftest import MovableClock

GATE, YARD = LibraryName("gate"), LibraryName("yard")
ALICE, BOB = PersonId("alice"), PersonId("bob")
LEFT, RIGHT = FaceId("left"), FaceId("right")
LEASE = timedelta(seconds=45)


def photo(number: int) -> Photo:
    """Bytes that no picture has, but that everybody recognises when they turn up where they should not."""
    return Photo(b"CANARY-PICTURE-%d-" % number + bytes(64), "image/jpeg", 300, 300)


def set_face(
    tx: Transaction, person: PersonId, face: FaceId, digest: Digest, revision: Revision, *, origin: Digest | None = None
) -> None:
    tx.people.set_faces([FaceRow(person, face, digest, revision, origin)])


def amend(
    tx: Transaction, person: PersonId, revision: Revision, now: datetime, *, departed: bool, name: str | None
) -> None:
    before = tx.people.get(person)
    assert before is not None
    tx.people.amend([Amended(before, revision, departed, name)], now)


def name_of(tx: Transaction, person: PersonId) -> str | None:
    known = tx.people.get(person)
    assert known is not None
    return tx.people.name(known)


def enter(
    tx: Transaction, source: str, source_id: str, *, kind: str, person: PersonId, version: int | None, now: datetime
) -> str | None:
    """The change's id, None where it was heard before."""
    return tx.changes.enter([Telling(source, source_id, kind, person, version)], now).get((source, source_id))


class Table:
    """The store with a movable clock and short verbs; every verb is one transaction."""

    def __init__(self, store: Store, clock: MovableClock) -> None:
        self.store, self.clock = store, clock
        self.declare(GATE, YARD)

    def declare(self, *names: LibraryName, policy: str = "sync") -> None:
        with self.store.transaction() as tx:
            tx.libraries.declare(dict.fromkeys(names, ("cedar", policy)), self.clock())

    def owe(
        self,
        person: PersonId,
        verb: str = "replace",
        *,
        revision: int = 1,
        faces: int = 1,
        urgency: Urgency = Urgency.REPLACEMENT,
        library: LibraryName = GATE,
        rung_until: datetime | None = None,
    ) -> int:
        with self.store.transaction() as tx:
            tx.people.lock(person, self.clock())
            place = rank(urgency, self.clock())
            want = Want(library, person, verb, Revision(revision), faces, place, rung_until)
            (owed,) = tx.deliveries.want([want], self.clock())
        return owed.id

    def claim(self, *ids: int, lease: str | None = None, library: LibraryName = GATE) -> list[Claimed]:
        now = self.clock()
        with self.store.transaction() as tx:
            return tx.deliveries.claim(library, ids, lease=lease or uuid.uuid4().hex, now=now, until=now + LEASE)

    def settle(self, claimed: Claimed, lease: str, ends: Settlement) -> bool:
        """False: the lease was somebody else's."""
        with self.store.transaction() as tx:
            return not tx.deliveries.settle([Ending(claimed.id, lease, claimed.wanted, ends)], self.clock())

    def ring(self, limit: int, library: LibraryName = GATE) -> list[int]:
        now = self.clock()
        with self.store.transaction() as tx:
            rung = tx.deliveries.ring(library, limit, now=now, until=now + timedelta(seconds=5))
        return [number for number, _ in rung]

    def row(self, delivery: int) -> Any:
        with self.store.reading() as tx:
            return tx._connection.execute(select(deliveries).where(deliveries.c.id == delivery)).one()

    def synced(self) -> Settlement:
        return Settlement("synced", self.clock(), 0, "replace")

    def doubtful(self, claimed: Claimed, *, adds: int = 1) -> Settlement:
        return Settlement(
            "doubtful",
            self.clock(),
            claimed.attempts,
            claimed.verb,
            doubt=Doubt(adds, claimed.wanted),
            reason="silence",
        )
