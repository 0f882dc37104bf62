"""Does what people decided about faces that nobody could place: all of it, or nothing where a line is wrong."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from syncsvc.flow import guard
from syncsvc.flow.adopt import load_bound, owe_agreement
from syncsvc.flow.checks import AT_ONCE
from syncsvc.flow.house import House, Shelf
from syncsvc.flow.review_file import DECISIONS, ReviewLine, read_review
from syncsvc.model.errors import InputError, UnsafePlanError
from syncsvc.model.people import FaceId, Held, HeldFace, Listed, PersonId, Revision, VendorFaceId, vendor_ids
from syncsvc.store import Transaction
from syncsvc.store.adoption import Decision, Sheet, sheet
from syncsvc.store.bindings import Became
from syncsvc.store.listings import ListingState
from syncsvc.store.people import Known

SHOWN = 20  # bad lines that are told; there may be many


@dataclass(slots=True)
class Applied:
    """Counts of lines, and of people who are owed a delivery now. `overtaken`: the person changed meanwhile, or the
    face became somebody else's."""

    library: str
    bound: int = 0
    removed: int = 0
    left: int = 0
    known: int = 0
    overtaken: int = 0
    owed: int = 0


def apply_review(
    house: House, shelf: Shelf, path: Path, *, replace_pictures: bool = False, approved: int | None = None
) -> Applied:
    """Bind and remove as the file says.

    What is to be removed is bound to the person named, so that their next delivery takes it out, and nobody else's.
    `approved` lets exactly so many people lose something, past the removal guard. Safe to repeat after a crash.
    Raises InputError with the lines that are wrong, and UnsafePlanError; then nothing was done.
    """
    found = Applied(shelf.name)
    with house.store.reading() as tx:
        reading = tx.listings.get(shelf.name)
    if reading is None or reading.state == "reading":
        words = "was never read" if reading is None else "is being read just now, and what is there may have changed"
        raise InputError(f"{shelf.name} {words}; `syncsvc library adopt {shelf.name} -o FILE` reads it")
    with sheet() as paper:
        _Judge(house, shelf, reading, paper, found).judge(path)
        _guard(house, shelf, paper.removing(), approved)
        for decisions in _pages(paper):
            with house.store.transaction() as tx:
                _write(tx, shelf, decisions, found, house.clock(), replace_pictures=replace_pictures)
        found.owed = owe_agreement(house, shelf, losing=paper.losing)
    return found


class _Judge:
    """Reads every line, and finds what is wrong with it, before anything is done."""

    def __init__(self, house: House, shelf: Shelf, reading: ListingState, paper: Sheet, found: Applied) -> None:
        self.house, self.shelf, self.reading, self.paper, self.found = house, shelf, reading, paper, found
        self.wrong: list[tuple[int, str]] = []

    def judge(self, path: Path) -> None:
        batch: list[ReviewLine] = []
        for line in read_review(path):
            batch.append(line)
            if len(batch) == AT_ONCE:
                self._batch(batch)
                batch = []
        self._batch(batch)
        load_bound(self.house, self.shelf, self.paper)
        for decisions in _pages(self.paper):
            self._against_what_is_bound(decisions)
        self.wrong += [(line, f"says again what line {first} says") for line, first in self.paper.repeated(SHOWN)]
        if self.wrong:
            self.wrong.sort()
            words = "\n".join(f"  line {line}: {why}" for line, why in self.wrong[:SHOWN])
            more = f"\n  and {len(self.wrong) - SHOWN:,} more" if len(self.wrong) > SHOWN else ""
            raise InputError(f"nothing was done, because lines of {path} are wrong:\n{words}{more}")

    def _batch(self, lines: Sequence[ReviewLine]) -> None:
        with self.house.store.reading() as tx:
            shown = tx.adoption.these(self.shelf.name, self.reading.run, {one.face for one in lines})
            named = {PersonId(one.person) for one in lines if one.person}
            known = {one: at for one in sorted(named) if (at := tx.people.get(one)) is not None}
        decided: list[Decision] = []
        for line in lines:
            why = self._why_not(line, shown, known)
            if why is not None:
                self.wrong.append((line.line, why))
            elif line.decision == "leave":
                self.found.left += 1
            else:
                face = line.face_id if line.decision == "bind" else None
                decided.append(Decision(line.line, line.face, line.decision, PersonId(line.person), face))
        self.paper.enlist([shown[one.face] for one in decided if one.face in shown])
        self.paper.decide(decided)

    def _why_not(
        self, line: ReviewLine, shown: Mapping[VendorFaceId, Listed], known: Mapping[PersonId, Known]
    ) -> str | None:
        listed = shown.get(line.face)
        if line.decision not in DECISIONS:
            return f"the decision is {line.decision!r}; it must be one of {', '.join(DECISIONS)}"
        if line.library != self.shelf.name:
            return f"is of the library {line.library!r}, and not of {self.shelf.name}"
        if not line.reading.isdecimal() or int(line.reading) > self.reading.run:
            return f"is of reading {line.reading!r}, which never was; the newest is {self.reading.run}"
        if listed is None or listed.vendor_image_id != line.image:
            newest = "" if line.reading == str(self.reading.run) else f", and the newest reading is {self.reading.run}"
            return f"the library does not list such a face (the line is of reading {line.reading}{newest})"
        return None if line.decision == "leave" else self._why_not_so(line, known)

    def _why_not_so(self, line: ReviewLine, known: Mapping[PersonId, Known]) -> str | None:
        if not line.person:
            return f"says {line.decision} and names no person"
        person = known.get(PersonId(line.person))
        if person is None:
            return f"nobody is known as {line.person!r}"
        if line.decision == "remove":
            if self.shelf.policy != "sync":
                return f"nothing is removed from {self.shelf.name}, whose policy is {self.shelf.policy}"
            return None
        faces = ", ".join(face.id for face in person.faces) or "none"
        if not line.face_id:
            return f"says bind and names no face; {line.person} has: {faces}"
        if line.face_id not in {face.id for face in person.faces}:
            return f"{line.person} has no face {line.face_id!r}; there are: {faces}"
        return None

    def _against_what_is_bound(self, decisions: Sequence[Decision]) -> None:
        people = {one.person for one in decisions}
        with self.house.store.reading() as tx:
            held = tx.bindings.held(self.shelf.name, people)
            wanted = tx.people.wanted(dict.fromkeys(people, Revision(0)), pictures=False)
        for one in decisions:
            if one.bound_to is not None and one.bound_to != one.person:
                self.wrong.append((one.line, f"the face is {one.bound_to}'s already"))
            if one.decision != "bind":
                continue
            digests = {face.id: face.digest for face in wanted[one.person].faces}
            for face in held[one.person]:
                settled = face.face_id == one.face_id and face.digest == digests.get(FaceId(one.face_id or ""))
                if settled and face.vendor_face_id != one.face:
                    words = f"{one.person}'s face {one.face_id} is there as {face.vendor_face_id} already"
                    self.wrong.append((one.line, words))


def _pages(paper: Sheet) -> Iterator[Sequence[Decision]]:
    """What was decided, in the order of the lines, some at a time."""
    after = 0
    while page := paper.decisions(after=after, limit=AT_ONCE):
        yield page
        after = page[-1].line


def _guard(house: House, shelf: Shelf, people: int, approved: int | None) -> None:
    """Count the plan, and write it down as one. Raises UnsafePlanError."""
    if approved is not None and approved != people:
        raise UnsafePlanError(f"{people:,} people would lose a face, and {approved:,} were approved; nothing was done")
    if not people:
        return
    now = house.clock()
    with house.store.transaction() as tx:
        tx.rosters.hold_all()
        tx.removing.hold()
        if house.limits is not None and approved is None:
            try:
                promised = tx.rosters.promised(since=now - guard.WINDOW)
                guard.check(tx, {shelf.name: people}, now, house.limits, promised=promised)
            except UnsafePlanError as error:
                words = f"{error}; nothing was done (--approve-removals {people} lets exactly these)"
                raise UnsafePlanError(words) from error
        tx.removing.plan(shelf.name, people, "adopt", now)


def _write(
    tx: Transaction,
    shelf: Shelf,
    decisions: Sequence[Decision],
    found: Applied,
    now: datetime,
    *,
    replace_pictures: bool,
) -> None:
    people = {one.person for one in decisions}
    known = tx.people.lock_all(people, now)
    before = tx.bindings.held(shelf.name, people)
    with_images = tx.adoption.these(shelf.name, _newest(tx, shelf), {one.face for one in decisions})
    whose = tx.adoption.whose(shelf.name, {one.face for one in decisions})
    after: dict[PersonId, Held] = dict(before)
    for one in decisions:
        if one.face in vendor_ids(after[one.person]):
            found.known += 1
            continue
        if whose.get(one.face, one.person) != one.person:  # an errand has found it to be somebody else's meanwhile
            found.overtaken += 1
            continue
        listed = with_images.get(one.face)
        image = listed.vendor_image_id if listed else None
        if one.decision == "remove":
            made = HeldFace(one.face, image)
            found.removed += 1
        else:
            face = next((face for face in known[one.person].faces if face.id == one.face_id), None)
            if face is None:
                found.overtaken += 1
                continue
            made = HeldFace(one.face, image, face.id, None if replace_pictures else face.digest)
            found.bound += 1
        after[one.person] = (*after[one.person], made)
    became = [Became(shelf.name, who, before[who], after[who]) for who in sorted(people)]
    tx.bindings.settle([one for one in became if one.before != one.after], now)


def _newest(tx: Transaction, shelf: Shelf) -> int:
    reading = tx.listings.get(shelf.name)
    return reading.run if reading else 0
