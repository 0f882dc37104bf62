"""A finished listing beside what we hold and want: only the odd faces leave the database, and a batch at a time."""

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Update, bindparam, exists, func, or_, select, text, update

from syncsvc.model.compare import Party, Past, Shown
from syncsvc.model.keys import face_label, person_hash
from syncsvc.model.listings import Completeness
from syncsvc.model.people import (
    Digest,
    Face,
    FaceId,
    HeldFace,
    LibraryName,
    PersonId,
    Revision,
    VendorFaceId,
    VendorImageId,
)
from syncsvc.store.deliveries import IN_DOUBT
from syncsvc.store.statements import OPEN_STATES
from syncsvc.store.tables import bindings, deliveries, faces, libraries, listed, listings, people

AT_ONCE = 500
_LABEL = re.compile(r"[0-9a-f]{32}")

_b, _d, _l, _r = bindings.c, deliveries.c, listed.c, listings.c

# Listed faces that are nobody's, or are filed under another key than their person's.
_UNKNOWN = """
SELECT coalesce(b.person_id, '') AS person_id, l.vendor_face_id FROM listed l
LEFT JOIN bindings b ON b.library = l.library AND b.vendor_face_id = l.vendor_face_id AND b.removed_at IS NULL
WHERE l.library = :lib AND l.run = :run AND (b.person_id IS NULL OR (l.person_key <> '' AND l.person_key <> b.person_id
    AND l.person_key <> (SELECT p.key FROM people p WHERE p.id = b.person_id)))"""
_UNLISTED = """
SELECT b.person_id, b.vendor_face_id FROM bindings b WHERE b.library = :lib AND b.removed_at IS NULL
AND NOT EXISTS (SELECT 1 FROM listed l WHERE l.library = :lib AND l.run = :run AND l.vendor_face_id = b.vendor_face_id)
"""
# `person_id > ''` and the `+` lead SQLite along the people, in whose order the wanted faces stand as well: by the
# order of the vendor's ids it took eight times as long. PostgreSQL reads past them.
_UNWANTED = """
SELECT b.person_id, b.vendor_face_id FROM bindings b
LEFT JOIN faces f ON f.person_id = b.person_id AND f.face_id = b.face_id
    AND (SELECT r.retiring_at FROM libraries r WHERE r.name = :lib) IS NULL
WHERE b.library = :lib AND b.person_id > '' AND {removed_at} IS NULL
AND (f.digest IS NULL OR b.digest IS NULL OR f.digest <> b.digest)"""
_TWINS = """
SELECT t.person_id, t.vendor_face_id FROM bindings t JOIN ({twice}) d ON d.person_id = t.person_id
WHERE t.library = :lib AND t.removed_at IS NULL"""
_TWICE = {
    "postgresql": """SELECT DISTINCT person_id FROM (SELECT b.person_id FROM bindings b
        WHERE b.library = :lib AND b.removed_at IS NULL AND b.face_id IS NOT NULL
        GROUP BY b.person_id, b.face_id HAVING count(*) > 1) AS faces_twice""",
    "sqlite": """SELECT b.person_id FROM bindings b
        WHERE b.library = :lib AND b.person_id > '' AND +b.removed_at IS NULL AND b.face_id IS NOT NULL
        GROUP BY b.person_id HAVING count(*) > 1 AND count(*) > count(DISTINCT b.face_id)""",
}


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of some faces and of whoever they may belong to.

    `bound` says for each vendor id whose it is and since when; `keys` leads from a key to the person who goes by it.
    """

    shown: dict[VendorFaceId, Shown]
    images: dict[VendorFaceId, VendorImageId]
    bound: dict[VendorFaceId, dict[PersonId, datetime]]
    past: dict[VendorFaceId, Past]
    parties: dict[PersonId, Party]
    keys: dict[str, PersonId]


@dataclass(frozen=True, slots=True)
class Compared:
    """A reading of a library as far as comparing and mending are concerned. `counts` is empty before it is compared.
    `holder` reads or compares it."""

    library: LibraryName
    run: int
    cause: str
    state: str
    completeness: Completeness | None
    why: str | None
    counts: Mapping[str, int]
    started_at: datetime
    holder: str | None = None


class Comparing:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def anybody(self) -> bool:
        """Whether anybody at all has a face in our own database."""
        return self._connection.scalar(select(faces.c.person_id).limit(1)) is not None

    def listed(self, library: LibraryName, run: int) -> int:
        mine = select(func.count()).where(_l.library == library, _l.run == run)
        return int(self._connection.scalar(mine) or 0)

    def odd(self, library: LibraryName, run: int, *, complete: bool) -> Iterator[list[tuple[PersonId, VendorFaceId]]]:
        """Every face that is not simply in sync, each once, with the person it is bound to, "" where there is none.

        `complete`: so is what is bound and not listed. To be asked in a transaction that only reads.
        """
        dialect = self._connection.dialect.name
        if dialect == "postgresql":
            self._connection.execute(text("SET LOCAL work_mem = '64MB'"))
        removed_at = "+b.removed_at" if dialect == "sqlite" else "b.removed_at"
        parts = [_UNKNOWN, _UNWANTED.format(removed_at=removed_at), _TWINS.format(twice=_TWICE[dialect])]
        parts += [_UNLISTED] if complete else []
        # A table of its own: a cursor over the comparison itself would have PostgreSQL plan for its first rows only.
        values: tuple[Any, ...] = (
            bindparam("lib", library, literal_execute=True),
            bindparam("run", run, literal_execute=True),
        )
        self._connection.execute(text("DROP TABLE IF EXISTS odd_faces"))
        self._connection.execute(
            text("CREATE TEMPORARY TABLE odd_faces AS " + " UNION ".join(parts)).bindparams(*values)
        )
        chosen = text("SELECT person_id, vendor_face_id FROM odd_faces").execution_options(
            stream_results=True, yield_per=AT_ONCE
        )
        for rows in self._connection.execute(chosen).partitions(AT_ONCE):
            yield [(PersonId(row.person_id), VendorFaceId(row.vendor_face_id)) for row in rows]

    def facts(
        self,
        library: LibraryName,
        run: int,
        ids: Collection[VendorFaceId],
        since: datetime,
        *,
        persons: Collection[PersonId] = (),
    ) -> Facts:
        """What is known of these faces now; who was delivered to since `since`, or still is, is moving."""
        wanted = sorted(set(ids))
        seen = self._connection.execute(
            select(_l.vendor_face_id, _l.vendor_image_id, _l.person_key, _l.label).where(
                _l.library == library, _l.run == run, _l.vendor_face_id.in_(wanted)
            )
        ).all()
        shown = {VendorFaceId(row.vendor_face_id): Shown(row.person_key, row.label) for row in seen}
        images = {VendorFaceId(row.vendor_face_id): VendorImageId(row.vendor_image_id) for row in seen}
        bound: dict[VendorFaceId, dict[PersonId, datetime]] = {}
        past: dict[VendorFaceId, Past] = {}
        ever = select(bindings).where(_b.library == library, _b.vendor_face_id.in_(wanted)).order_by(_b.removed_at)
        for row in self._connection.execute(ever):
            face = VendorFaceId(row.vendor_face_id)
            if row.removed_at is None:
                bound.setdefault(face, {})[PersonId(row.person_id)] = row.bound_at
            else:
                past[face] = Past(PersonId(row.person_id), row.removed_at)
        keys = {one.key for one in shown.values() if one.key}
        named = select(people.c.key, people.c.id).where(people.c.key.in_(sorted(keys)))
        by_key = {row.key: PersonId(row.id) for row in self._connection.execute(named)} if keys else {}
        whose = {person for mine in bound.values() for person in mine} | {one.person for one in past.values()}
        parties = self.parties(library, whose | set(by_key.values()) | (set(persons) - {""}), since)
        images = {face: image for face, image in images.items() if image}
        return Facts(shown, images, bound, past, parties, by_key)

    def parties(self, library: LibraryName, persons: Collection[PersonId], since: datetime) -> dict[PersonId, Party]:
        """Those of these people whom we know, as this library should know them and does."""
        ids = sorted(persons)
        if not ids:
            return {}
        wanted: dict[str, list[Face]] = {}
        having = select(faces.c.person_id, faces.c.face_id, faces.c.digest).where(
            faces.c.person_id.in_(ids),
            exists().where(libraries.c.name == library, libraries.c.retiring_at.is_(None)),  # else nobody is wanted
        )
        for row in self._connection.execute(having.order_by(faces.c.person_id, faces.c.face_id)):
            wanted.setdefault(row.person_id, []).append(Face(FaceId(row.face_id), Digest(row.digest)))
        held: dict[str, list[HeldFace]] = {}
        holding = select(bindings).where(_b.library == library, _b.person_id.in_(ids), _b.removed_at.is_(None))
        for row in self._connection.execute(holding.order_by(_b.person_id, _b.bound_at, _b.vendor_face_id)):
            held.setdefault(row.person_id, []).append(
                HeldFace(
                    VendorFaceId(row.vendor_face_id),
                    VendorImageId(row.vendor_image_id) if row.vendor_image_id else None,
                    FaceId(row.face_id) if row.face_id else None,
                    Digest(row.digest) if row.digest else None,
                )
            )
        moving, doubted = self._motion(library, ids, since)
        known = select(people.c.id, people.c.key, people.c.revision).where(people.c.id.in_(ids))
        return {
            PersonId(row.id): Party(
                PersonId(row.id),
                row.key,
                Revision(row.revision),
                tuple(wanted.get(row.id, ())),
                tuple(held.get(row.id, ())),
                moving=row.id in moving,
                doubted=row.id in doubted,
            )
            for row in self._connection.execute(known)
        }

    def _motion(self, library: LibraryName, ids: Sequence[str], since: datetime) -> tuple[set[str], set[str]]:
        owed = select(_d.person_id, _d.state, _d.leased_until, _d.settled_at, _d.doubted_revision)
        moving, doubted = set(), set()
        for row in self._connection.execute(owed.where(_d.library == library, _d.person_id.in_(ids))):
            settled = row.settled_at is not None and row.settled_at >= since
            if row.state in OPEN_STATES or row.leased_until is not None or settled:
                moving.add(row.person_id)
            if row.state in IN_DOUBT or row.doubted_revision is not None:
                doubted.add(row.person_id)
        return moving, doubted

    def whose(
        self, labels: Collection[str], hashes: Collection[str]
    ) -> tuple[dict[str, PersonId], dict[str, PersonId]]:
        """Whose faces carry these labels, and whose keys are these hashes: everybody is gone through once."""
        marks, keys = {one for one in labels if _LABEL.fullmatch(one)}, set(hashes)
        by_label: dict[str, PersonId] = {}
        by_hash: dict[str, PersonId] = {}
        if not (marks or keys):
            return by_label, by_hash
        everybody = select(people.c.id, faces.c.face_id, faces.c.digest).join(
            faces, faces.c.person_id == people.c.id, isouter=bool(keys)
        )
        for row in self._connection.execute(everybody.execution_options(stream_results=True, yield_per=2000)):
            if row.face_id is not None and marks:
                label = face_label(row.id, row.face_id, row.digest)
                if label in marks:
                    by_label[label] = PersonId(row.id)
            if keys and (key := person_hash(row.id)) in keys:
                by_hash[key] = PersonId(row.id)
        return by_label, by_hash

    def listing(self, library: LibraryName) -> Compared | None:
        """The newest reading of the library, however far it is."""
        row = self._connection.execute(select(listings).where(listings.c.library == library)).one_or_none()
        if row is None:
            return None
        completeness = Completeness(row.completeness) if row.completeness else None
        counts = json.loads(row.counts) if row.counts else {}
        found = Compared(library, row.run, row.cause, row.state, completeness, row.why, counts, row.started_at)
        return replace(found, holder=row.holder)

    def take(
        self, library: LibraryName, run: int, holder: str, *, now: datetime, until: datetime, dead: str | None
    ) -> bool:
        """Have a finished reading to oneself while it is compared, from nobody, from a lease that ran out, or from
        `dead`, who holds it no more. False: somebody else is at it, or has done it."""
        free = or_(_r.holder.is_(None), _r.leased_until <= now, _r.holder == dead)
        mine = _reading(library, run).where(_r.state == "read", free).values(holder=holder, leased_until=until)
        return self._connection.execute(mine).rowcount > 0

    def keep(self, library: LibraryName, run: int, holder: str, until: datetime) -> bool:
        """Have it for longer. False: somebody else has taken it, or a newer one has begun."""
        mine = _reading(library, run).where(_r.state == "read", _r.holder == holder).values(leased_until=until)
        return self._connection.execute(mine).rowcount > 0

    def let_go(self, library: LibraryName, run: int, holder: str) -> None:
        """Whoever comes next may have it at once."""
        mine = _reading(library, run).where(_r.holder == holder).values(holder=None, leased_until=None)
        self._connection.execute(mine)

    def move_on(
        self,
        library: LibraryName,
        run: int,
        state: str,
        *,
        before: str | None = None,
        counts: Mapping[str, int] | None = None,
    ) -> bool:
        """What has become of a reading. False: a newer one has begun, or somebody has moved it on from `before`."""
        values: dict[str, object] = {"state": state}
        if counts is not None:
            values["counts"] = json.dumps(dict(sorted(counts.items())))
        mine = _reading(library, run).values(values)
        if before is not None:
            mine = mine.where(_r.state == before)
        return self._connection.execute(mine).rowcount > 0


def _reading(library: LibraryName, run: int) -> Update:
    return update(listings).where(_r.library == library, _r.run == run)
