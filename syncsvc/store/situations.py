"""What is odd about faces in libraries, for as long as it is."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, select

from syncsvc.model.people import LibraryName, PersonId, VendorFaceId
from syncsvc.model.situations import Finding, Situation
from syncsvc.store.dialect import insert
from syncsvc.store.tables import situations


@dataclass(frozen=True, slots=True)
class Noted:
    library: LibraryName
    person: PersonId
    finding: Finding
    noted_at: datetime


class Situations:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def note(self, library: LibraryName, person: PersonId, findings: Sequence[Finding], now: datetime) -> None:
        for finding in findings:
            row = {
                "library": library,
                "person_id": person,
                "vendor_face_id": finding.vendor_face_id or "",
                "situation": finding.situation.value,
                "note": finding.note,
                "noted_at": now,
            }
            statement = insert(self._connection.dialect.name, situations).values(row)
            again = {"situation": row["situation"], "note": row["note"]}
            keys = ["library", "person_id", "vendor_face_id"]
            self._connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=again))

    def clear(
        self, library: LibraryName, person: PersonId, *, keep: Collection[Situation] = (Situation.FOREIGN,)
    ) -> None:
        """Forget what has been mended; foreign faces stay noted until a reading no longer shows them."""
        mine = (situations.c.library == library) & (situations.c.person_id == person)
        kept = [situation.value for situation in keep]
        self._connection.execute(delete(situations).where(mine, situations.c.situation.not_in(kept)))

    def forget(self, library: LibraryName, person: PersonId, faces: Collection[VendorFaceId]) -> None:
        """These need not be noted any more, whatever they were."""
        if faces:
            mine = (situations.c.library == library) & (situations.c.person_id == person)
            self._connection.execute(delete(situations).where(mine, situations.c.vendor_face_id.in_(sorted(faces))))

    def foreign(self, library: LibraryName, people: Collection[PersonId]) -> dict[PersonId, frozenset[VendorFaceId]]:
        """Vendor ids noted under these people as not ours."""
        rows = self._connection.execute(
            select(situations.c.person_id, situations.c.vendor_face_id).where(
                situations.c.library == library,
                situations.c.person_id.in_(list(people)),
                situations.c.situation == Situation.FOREIGN.value,
            )
        )
        found: dict[PersonId, set[VendorFaceId]] = {person: set() for person in people}
        for row in rows:
            found[PersonId(row.person_id)].add(VendorFaceId(row.vendor_face_id))
        return {person: frozenset(ids) for person, ids in found.items()}

    def of_person(self, person: PersonId) -> list[Noted]:
        return [
            _noted(row) for row in self._connection.execute(select(situations).where(situations.c.person_id == person))
        ]

    def counts(self) -> dict[tuple[LibraryName, Situation], int]:
        rows = self._connection.execute(
            select(situations.c.library, situations.c.situation, func.count()).group_by(
                situations.c.library, situations.c.situation
            )
        )
        return {(LibraryName(library), Situation(situation)): count for library, situation, count in rows}


def _noted(row: Row[Any]) -> Noted:
    finding = Finding(
        Situation(row.situation), VendorFaceId(row.vendor_face_id) if row.vendor_face_id else None, row.note
    )
    return Noted(LibraryName(row.library), PersonId(row.person_id), finding, row.noted_at)
