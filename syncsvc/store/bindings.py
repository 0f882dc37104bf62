"""Which of our faces is which of the vendor's, now and ever."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, update

from syncsvc.model.people import (
    Digest,
    FaceId,
    Held,
    HeldFace,
    LibraryName,
    PersonId,
    VendorFaceId,
    VendorImageId,
    vendor_ids,
)
from syncsvc.store.dialect import insert
from syncsvc.store.tables import bindings

_HELD = (
    select(bindings)
    .where(
        bindings.c.library == bindparam("lib"),
        bindings.c.person_id.in_(bindparam("people", expanding=True)),
        bindings.c.removed_at.is_(None),
    )
    .order_by(bindings.c.person_id, bindings.c.bound_at, bindings.c.vendor_face_id)
)


_UNBIND = (
    update(bindings)
    .where(
        bindings.c.library == bindparam("lib"),
        bindings.c.person_id == bindparam("who"),
        bindings.c.vendor_face_id == bindparam("id"),
    )
    .values(removed_at=bindparam("now", type_=bindings.c.removed_at.type))
)


@dataclass(frozen=True, slots=True)
class Became:
    """What a library held for a person, and holds now."""

    library: LibraryName
    person: PersonId
    before: Held
    after: Held


@cache
def _bind(dialect: str) -> Any:
    """Bind a face, again if it was bound before; built once, it is run for every face."""
    statement = insert(dialect, bindings)
    again = {name: statement.excluded[name] for name in ("vendor_image_id", "face_id", "digest")}
    return statement.on_conflict_do_update(
        index_elements=["library", "person_id", "vendor_face_id"], set_={**again, "removed_at": None}
    )


class Bindings:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def held(self, library: LibraryName, people: Collection[PersonId]) -> dict[PersonId, Held]:
        """What a library is known to hold for each of these people; nobody is missing from the answer."""
        found: dict[PersonId, list[HeldFace]] = {person: [] for person in people}
        for row in self._connection.execute(_HELD, {"lib": library, "people": list(people)}):
            found[PersonId(row.person_id)].append(held_face(row))
        return {person: tuple(mine) for person, mine in found.items()}

    def settle(self, became: Sequence[Became], now: datetime) -> None:
        """Write down what people's faces in a library have become; ids that went stay as history."""
        gone = [
            {"lib": one.library, "who": one.person, "id": face, "now": now}
            for one in became
            for face in sorted(vendor_ids(one.before) - vendor_ids(one.after))
        ]
        if gone:
            self._connection.execute(_UNBIND, gone)
        new = [
            {
                "library": one.library,
                "person_id": one.person,
                "vendor_face_id": face.vendor_face_id,
                "vendor_image_id": face.vendor_image_id,
                "face_id": face.face_id,
                "digest": face.digest,
                "bound_at": now,
            }
            for one in became
            for face in one.after
            if face not in one.before
        ]
        if new:
            self._connection.execute(_bind(self._connection.dialect.name), new)

    def verify(self, library: LibraryName, person: PersonId, faces: Held, now: datetime) -> None:
        """The library was read, and these are there."""
        ids = [face.vendor_face_id for face in faces]
        if ids:
            mine = (
                (bindings.c.library == library) & (bindings.c.person_id == person) & bindings.c.vendor_face_id.in_(ids)
            )
            self._connection.execute(update(bindings).where(mine).values(verified_at=now))

    def of_person(self, person: PersonId) -> dict[LibraryName, list[tuple[HeldFace, datetime | None]]]:
        """Everything held for one person: library -> (face, when the library was last read and had it)."""
        rows = self._connection.execute(
            select(bindings)
            .where(bindings.c.person_id == person, bindings.c.removed_at.is_(None))
            .order_by(bindings.c.library)
        )
        found: dict[LibraryName, list[tuple[HeldFace, datetime | None]]] = {}
        for row in rows:
            found.setdefault(LibraryName(row.library), []).append((held_face(row), row.verified_at))
        return found


def held_face(row: Row[Any]) -> HeldFace:
    return HeldFace(
        VendorFaceId(row.vendor_face_id),
        VendorImageId(row.vendor_image_id) if row.vendor_image_id else None,
        FaceId(row.face_id) if row.face_id else None,
        Digest(row.digest) if row.digest else None,
    )
