"""Does what a comparison says: binds what is ours, owes what is wrong, and leaves every call to the errands."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime

import structlog

from syncsvc.flow import guard
from syncsvc.flow.compare import BusyError
from syncsvc.flow.house import House, Shelf
from syncsvc.model.compare import Party, adoptable_as
from syncsvc.model.errors import UnsafePlanError
from syncsvc.model.keys import face_label, person_key
from syncsvc.model.people import Face, Held, HeldFace, LibraryName, PersonId, Revision
from syncsvc.model.situations import Reaction, Situation
from syncsvc.model.urgency import Urgency, rank
from syncsvc.store import Transaction
from syncsvc.store.bindings import Became
from syncsvc.store.comparing import Compared, Facts
from syncsvc.store.people import Amended, Known
from syncsvc.store.rows import Want
from syncsvc.store.situations import Odd

AT_ONCE = 500
MENDING = "mending"  # the guard has let it go: from here on nothing is judged again

log = structlog.get_logger(__name__)


def mend(house: House, name: LibraryName, *, approved: int | None = None) -> int:
    """Carry out what the newest comparison of the library says; how many faces were seen to.

    `approved`: just so many people may be taken out. Raises UnsafePlanError where the removal guard says no: nothing
    has been written to bindings or deliveries then. Safe to repeat, and goes on where it was interrupted.
    """
    with house.store.reading() as tx:
        listing = tx.comparing.listing(name)
    if listing is None or listing.state not in {"compared", "waiting", MENDING}:
        return 0
    if listing.state != MENDING:
        with nullcontext() if approved is not None else suppress(BusyError):  # somebody else has decided the same
            decide(house, [listing], approved=approved)
    return carry_out(house, name)


def decide(house: House, listings: Sequence[Compared], *, approved: int | None = None) -> None:
    """Ask the removal guard about what these comparisons would do together, before any of it is done.

    Raises UnsafePlanError, and remembers that an operator is waited for; BusyError where somebody else has gone on
    with one of them, or read it anew.
    """
    try:
        house.store.patiently(lambda tx: _decide(tx, house, listings, approved))
    except UnsafePlanError as error:
        with house.store.transaction() as tx:
            for one in listings:
                tx.comparing.move_on(one.library, one.run, "waiting", before=one.state)
        if any(one.state != "waiting" for one in listings):
            names = ",".join(one.library for one in listings)
            log.error("reconciliation waits for an approval", library=names, why=str(error))  # noqa: TRY400
        raise


def _decide(tx: Transaction, house: House, listings: Sequence[Compared], approved: int | None) -> None:
    now = house.clock()
    tx.rosters.hold_all()
    tx.removing.hold()  # whoever else takes people out counts before or after, and not at the same time
    planned = {one.library: tx.situations.leaving(one.library, one.run) for one in listings}
    total = sum(planned.values())
    if total and not tx.comparing.anybody():
        raise UnsafePlanError("nobody has a face in our own database any more, and by an empty one nobody is removed")
    try:
        if approved is not None and approved != total:
            raise UnsafePlanError(f"{_people(total)} would go, and {approved:,} were approved")  # noqa: TRY301
        if approved is None and house.limits is not None:
            promised = tx.rosters.promised(since=now - guard.WINDOW)
            going = {library: count for library, count in planned.items() if count}
            guard.check(tx, going, now, house.limits, promised=promised)
    except UnsafePlanError as error:
        words = "nobody was removed: look at `syncsvc reconcile list`, and if it is right"
        raise UnsafePlanError(f"{error}; {words} approve the removal of {total}") from error
    for one in listings:
        if planned[one.library]:
            tx.removing.plan(one.library, planned[one.library], f"reconciliation {one.run}", now)
        if not tx.comparing.move_on(one.library, one.run, MENDING, before=one.state):
            raise BusyError(one.library)


def _people(count: int) -> str:
    return "1 person" if count == 1 else f"{count:,} people"


def carry_out(house: House, name: LibraryName) -> int:
    """Owe and bind what was decided, a batch at a time; how many faces were seen to."""
    shelf, done = house.shelf(name), 0
    while True:
        count = house.store.patiently(lambda tx: _next_batch(tx, house, shelf))
        if not count:
            return done
        done += count


def _next_batch(tx: Transaction, house: House, shelf: Shelf) -> int:
    now = house.clock()
    listing = tx.comparing.listing(shelf.name)
    if listing is None or listing.state != MENDING:
        return 0  # somebody else has done the rest
    odd = tx.situations.of_run(shelf.name, listing.run, limit=AT_ONCE, to_do=True)
    if odd:
        _Batch(tx, shelf, listing, now).mend(odd)
    else:
        tx.comparing.move_on(shelf.name, listing.run, "done")
        tx.libraries.note_reconciled(shelf.name, now)
    return len(odd)


@dataclass(frozen=True, slots=True)
class _Batch:
    tx: Transaction
    shelf: Shelf
    listing: Compared
    now: datetime

    def mend(self, odd: Sequence[Odd]) -> None:
        """People first, then what is owed of them, then the bindings: the order in which everybody locks."""
        state = self.tx.libraries.get(self.shelf.name)
        if state is None or not state.receives or state.retiring_at is not None:
            self.tx.situations.react(odd, Reaction.REPORT)
            return
        owners = {one.key: owner for one in odd if (owner := self._owner(one)) is not None}
        nobodys = [one for one in odd if one.key not in owners]
        known = self.tx.people.lock_all(set(owners.values()), self.now) if owners else {}
        ids = [one.vendor_face_id for one in odd]
        started = self.listing.started_at
        facts = self.tx.comparing.facts(self.shelf.name, self.listing.run, ids, started, persons=set(owners.values()))
        self._introduce([one for one in known.values() if not one.revision])
        moved: dict[PersonId, list[HeldFace]] = {}
        now_of: list[tuple[Odd, PersonId]] = []
        owed: set[PersonId] = set()
        for one in odd:
            owner = owners.get(one.key)
            if owner is None or self._moves(one, owner, facts):
                continue
            face = self._bind(one, owner, facts, moved.get(owner, []))
            if face is None and one.vendor_face_id not in facts.bound:
                nobodys.append(one)
                continue
            owed.add(owner)
            if face is not None:
                moved.setdefault(owner, []).append(face)
                if one.situation is Situation.FOREIGN:
                    now_of.append((one, owner))
        self._owe({person: known[person] for person in owed})
        self._settle(moved, facts)
        self.tx.situations.react(odd, Reaction.WAIT)
        self.tx.situations.react(nobodys, Reaction.REPORT)
        for one, owner in now_of:
            self.tx.situations.now_of(self.listing.run, one, owner, self.now)

    def _owner(self, one: Odd) -> PersonId | None:
        """As whose the face is taken out or bound; None where the library has no way to take it out."""
        if one.situation is Situation.FOREIGN and one.reaction is Reaction.REPAIR and not self.shelf.owned:
            return None  # it was ours alone when the faces were compared
        if one.person:
            return one.person
        if one.person_key and person_key(PersonId(one.person_key)) == one.person_key:
            return PersonId(one.person_key)
        if self.shelf.library.capabilities.labels:  # such libraries take a face out by its id, whoever it is
            return PersonId(f"unclaimed:{self.shelf.name}")
        return None

    def _introduce(self, strangers: Sequence[Known]) -> None:
        """People who exist only so that their faces can be taken out: departed from the beginning."""
        self.tx.people.amend([Amended(one, Revision(1), departed=True) for one in strangers], self.now)

    @staticmethod
    def _moves(one: Odd, owner: PersonId, facts: Facts) -> bool:
        """Whether something has begun since it was judged, or somebody else has the face now."""
        party = facts.parties.get(owner)
        bound = facts.bound.get(one.vendor_face_id, {})
        stranger = owner.startswith("unclaimed:")  # many faces, so that others of its may be on their way
        return (party is not None and party.moving and not stranger) or (bool(bound) and owner not in bound)

    def _bind(self, one: Odd, owner: PersonId, facts: Facts, moved: Sequence[HeldFace]) -> HeldFace | None:
        """What the face is to be bound as; None where it is bound already, or to be left alone."""
        if one.vendor_face_id in facts.bound or one.situation is Situation.MISSING:
            return None
        party, image = facts.parties.get(owner), facts.images.get(one.vendor_face_id)
        if one.reaction is Reaction.REPAIR:
            return HeldFace(one.vendor_face_id, image)
        if party is None:
            return None
        if one.situation is Situation.FOREIGN:
            face_id = adoptable_as(party, [face.face_id for face in moved if face.face_id is not None])
            return None if face_id is None else HeldFace(one.vendor_face_id, image, face_id)
        shown = facts.shown.get(one.vendor_face_id)
        wanted = _labelled(party, shown.label if shown else None)
        if wanted is None or (wanted.id, wanted.digest) in {
            (face.face_id, face.digest) for face in (*party.held, *moved)
        }:
            return HeldFace(one.vendor_face_id, image)
        return HeldFace(one.vendor_face_id, image, wanted.id, wanted.digest)

    def _owe(self, people: Mapping[PersonId, Known]) -> None:
        wants = []
        for person, known in sorted(people.items()):
            urgency = Urgency.REPAIR if known.faces else Urgency.DEPARTURE
            verb = "replace" if known.faces else "delete"
            revision = known.revision or Revision(1)
            place = rank(urgency, self.now)
            wants.append(Want(self.shelf.name, person, verb, revision, len(known.faces), place))
        for owed in sorted(self.tx.deliveries.want(wants, self.now), key=lambda one: one.id):
            self.tx.deliveries.look_again(owed.id, self.now)

    def _settle(self, moved: Mapping[PersonId, Sequence[HeldFace]], facts: Facts) -> None:
        became = []
        for person, new in moved.items():
            party = facts.parties.get(person)
            before: Held = party.held if party is not None else ()
            became.append(Became(self.shelf.name, person, before, (*before, *new)))
        self.tx.bindings.settle(became, self.now)


def _labelled(party: Party, label: str | None) -> Face | None:
    return next((one for one in party.wanted if face_label(party.id, one.id, one.digest) == label), None)
