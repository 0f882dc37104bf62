"""What is odd about faces in libraries, for as long as it is."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, case, delete, func, not_, or_, select, tuple_, update

from syncsvc.model.people import LibraryName, PersonId, VendorFaceId
from syncsvc.model.situations import Finding, Reaction, Situation
from syncsvc.store.dialect import insert
from syncsvc.store.tables import listed, situations

_s = situations.c
_TO_DO = (Reaction.REPAIR.value, Reaction.ADOPT.value)
_TAKEN_OUT = (Situation.STRAY.value, Situation.DUPLICATE.value, Situation.FOREIGN.value)


@dataclass(frozen=True, slots=True)
class Noted:
    library: LibraryName
    person: PersonId
    finding: Finding
    noted_at: datetime


@dataclass(frozen=True, slots=True)
class Odd:
    """A face that a reading of the library has shown to be odd, or missing. `person` is "" where nobody is known."""

    library: LibraryName
    person: PersonId
    vendor_face_id: VendorFaceId
    situation: Situation
    reaction: Reaction | None
    note: str
    person_key: str | None = None
    noted_at: datetime | None = None

    @property
    def key(self) -> tuple[PersonId, VendorFaceId]:
        return self.person, self.vendor_face_id


START = (PersonId(""), VendorFaceId(""))


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

    # --- what a reading of a whole library has shown -------------------------------------------------------------

    def note_run(self, run: int, odd: Sequence[Odd], now: datetime) -> None:
        """Note what this run has shown; since when somebody has been odd stays."""
        rows = [
            {
                "library": one.library,
                "person_id": one.person,
                "vendor_face_id": one.vendor_face_id,
                "situation": one.situation.value,
                "reaction": one.reaction.value if one.reaction else None,
                "note": one.note,
                "person_key": one.person_key,
                "run": run,
                "noted_at": now,
            }
            for one in odd
        ]
        if not rows:
            return
        statement = insert(self._connection.dialect.name, situations)
        again = {name: statement.excluded[name] for name in ("situation", "reaction", "note", "person_key", "run")}
        keys = ["library", "person_id", "vendor_face_id"]
        self._connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=again), rows)

    def sweep(self, library: LibraryName, *, limit: int) -> int:
        """Forget up to `limit` of what readings have shown; returns how many they were.

        Strangers under people of ours stay, as if an errand had noted them: an errand in doubt must not take one for
        ours, also while the next reading is compared, and also if that leaves the person to the errand.
        """
        theirs = and_(_s.situation == Situation.FOREIGN.value, _s.person_id != "")
        shown = select(_s.person_id, _s.vendor_face_id).where(_s.library == library, _s.run.is_not(None))
        mine, key = _s.library == library, tuple_(_s.person_id, _s.vendor_face_id)
        kept = update(situations).where(mine, key.in_(shown.where(theirs).limit(limit)))
        count = self._connection.execute(kept.values(run=None, reaction=None)).rowcount
        gone = delete(situations).where(mine, key.in_(shown.where(not_(theirs)).limit(limit - count)))
        return count + self._connection.execute(gone).rowcount

    def by_errands(
        self, library: LibraryName, *, after: tuple[PersonId, VendorFaceId], limit: int
    ) -> list[tuple[PersonId, VendorFaceId]]:
        """Faces that errands have noted and no reading since, in the order of person and id."""
        mine = select(_s.person_id, _s.vendor_face_id).where(
            _s.library == library, _s.run.is_(None), _s.vendor_face_id != ""
        )
        rows = self._connection.execute(_after(mine, after).limit(limit))
        return [(PersonId(row.person_id), VendorFaceId(row.vendor_face_id)) for row in rows]

    def of_run(
        self,
        library: LibraryName,
        run: int,
        *,
        after: tuple[PersonId, VendorFaceId] = START,
        limit: int,
        to_do: bool = False,
        situation: Situation | None = None,
    ) -> list[Odd]:
        """What this run has shown, in the order of person and vendor's id; `to_do`: where something is to be done."""
        mine = select(situations).where(_s.library == library, _s.run == run)
        if to_do:
            mine = mine.where(_s.reaction.in_(_TO_DO))
        if situation is not None:
            mine = mine.where(_s.situation == situation.value)
        return [_odd(row) for row in self._connection.execute(_after(mine, after).limit(limit))]

    def of_library(
        self,
        library: LibraryName,
        *,
        after: tuple[PersonId, VendorFaceId],
        limit: int,
        situation: Situation | None = None,
    ) -> list[Odd]:
        """Everything odd there, whoever noted it, in the same order."""
        mine = select(situations).where(_s.library == library, or_(_s.vendor_face_id != "", _s.person_id != ""))
        if situation is not None:
            mine = mine.where(_s.situation == situation.value)
        return [_odd(row) for row in self._connection.execute(_after(mine, after).limit(limit))]

    def leaving(self, library: LibraryName, run: int) -> int:
        """How many people would lose a face that nothing replaces, if all were done that this run has shown to do."""
        who = case(
            (_s.person_id != "", "p" + _s.person_id),
            (and_(_s.person_key.is_not(None), _s.person_key != ""), "k" + _s.person_key),
            else_="f" + _s.vendor_face_id,
        )
        there = (listed.c.library == _s.library) & (listed.c.run == run)
        mine = (
            select(func.count(who.distinct()))
            .select_from(situations)
            .join(listed, there & (listed.c.vendor_face_id == _s.vendor_face_id))
            .where(
                _s.library == library,
                _s.run == run,
                _s.reaction == Reaction.REPAIR.value,
                _s.situation.in_(_TAKEN_OUT),
            )
        )
        return int(self._connection.scalar(mine) or 0)

    def react(self, odd: Sequence[Odd], reaction: Reaction) -> None:
        """From now on this is what is done about them."""
        by_library: dict[LibraryName, list[tuple[str, str]]] = {}
        for one in odd:
            by_library.setdefault(one.library, []).append(one.key)
        for library, keys in by_library.items():
            mine = (_s.library == library) & tuple_(_s.person_id, _s.vendor_face_id).in_(keys)
            self._connection.execute(update(situations).where(mine).values(reaction=reaction.value))

    def now_of(self, run: int, odd: Odd, person: PersonId, now: datetime) -> None:
        """A foreign face is this person's now: unwanted, or of an unknown picture where it is adopted."""
        mine = (_s.library == odd.library) & (_s.vendor_face_id == odd.vendor_face_id)
        self._connection.execute(delete(situations).where(mine, _s.person_id == odd.person))
        adopted = odd.reaction is Reaction.ADOPT
        situation = Situation.STALE if adopted else Situation.STRAY
        becomes = "adopted, and our picture takes its place" if adopted else "taken out, for the library is ours alone"
        theirs = replace(
            odd, person=person, situation=situation, reaction=Reaction.WAIT, note=f"{odd.note}; it is {becomes}"
        )
        self.note_run(run, [theirs], odd.noted_at or now)

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


def _odd(row: Row[Any]) -> Odd:
    return Odd(
        LibraryName(row.library),
        PersonId(row.person_id),
        VendorFaceId(row.vendor_face_id),
        Situation(row.situation),
        Reaction(row.reaction) if row.reaction else None,
        row.note,
        row.person_key,
        row.noted_at,
    )


def _after(chosen: Select[Any], place: tuple[PersonId, VendorFaceId]) -> Select[Any]:
    person, face = place
    further = or_(_s.person_id > person, and_(_s.person_id == person, _s.vendor_face_id > face))
    return chosen.where(further).order_by(_s.person_id, _s.vendor_face_id)
