"""Compares a finished listing with what we hold and want: every face gets one situation and one reaction."""

import re
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from syncsvc.flow.holder import is_dead
from syncsvc.flow.house import House, Shelf
from syncsvc.model.compare import Party, Shown, Terms, Verdict, adoptable_as, judge_bound, judge_unbound
from syncsvc.model.errors import InputError
from syncsvc.model.listings import Completeness
from syncsvc.model.people import FaceId, HeldFace, LibraryName, PersonId, VendorFaceId
from syncsvc.model.situations import Reaction, Situation
from syncsvc.store import Transaction
from syncsvc.store.comparing import Compared, Facts
from syncsvc.store.situations import START, Odd

AT_ONCE = 500
LABELS_AT_ONCE = 50_000  # faces whose labels or keys are looked for in one walk through everybody
SWEEP = 5000
LEASE = timedelta(minutes=10)  # longer than the database takes to find what is odd; each batch renews it
WAITING = "waiting"  # how many faces were not judged, because something is under way
_HASH = re.compile(r"[0-9a-f]{32}")

Pair = tuple[PersonId, VendorFaceId]


class BusyError(InputError):
    """Somebody else is at the same reading just now, and this call has changed nothing of it."""

    def __init__(self, name: LibraryName) -> None:
        super().__init__(f"{name} is being compared by somebody else just now, or read anew; try again in a minute")


def compare(house: House, name: LibraryName) -> Mapping[Situation, int]:
    """Note what is odd in the newest finished listing of the library; how many faces are in each situation.

    A listing that was compared already is not compared again. Raises InputError where there is no finished one, and
    BusyError while somebody else compares it: of two, one would forget what the other notes.
    Faces of people of whom something is under way are not judged. Nothing is sent and nobody is owed anything.
    """
    with house.store.reading() as tx:
        listing = tx.comparing.listing(name)
        if listing is None or listing.state == "reading" or listing.completeness is None:
            raise InputError(f"{name} has not been read to the end; `syncsvc reconcile run --library {name}` reads it")
        if listing.state != "read":
            return _situations(listing.counts)
    token = _take(house, listing)
    try:
        counts = _compare(house, listing, token)
    finally:
        with house.store.transaction() as tx:
            tx.comparing.let_go(name, listing.run, token)
    return _situations(counts)


def _take(house: House, listing: Compared) -> str:
    token, now = f"{house.holder}/{uuid.uuid4().hex}", house.clock()
    dead = listing.holder if listing.holder and is_dead(listing.holder.partition("/")[0]) else None
    with house.store.transaction() as tx:
        if not tx.comparing.take(listing.library, listing.run, token, now=now, until=now + LEASE, dead=dead):
            raise BusyError(listing.library)
    return token


def _compare(house: House, listing: Compared, token: str) -> Mapping[str, int]:
    name = listing.library
    with house.store.reading() as tx:
        terms = terms_of(tx, house.shelf(name), listing)
        total = tx.comparing.listed(name, listing.run)
    comparison = _Comparison(house, house.shelf(name), listing, terms, token)
    comparison.forget_earlier()
    comparison.walk()
    comparison.forget_mended()
    counts = {situation.value: count for situation, count in comparison.counts.items()}
    counts |= {Situation.IN_SYNC.value: max(0, total - comparison.odd_listed), WAITING: comparison.waiting}
    with house.store.transaction() as tx:
        comparison.keep(tx)
        tx.comparing.move_on(name, listing.run, "compared", counts=counts)
    return counts


def terms_of(tx: Transaction, shelf: Shelf, listing: Compared) -> Terms:
    """What may be done in the library after such a listing."""
    state = tx.libraries.get(shelf.name)
    harmless = None
    if listing.completeness is Completeness.SUSPECT:
        harmless = f"the listing is suspect ({listing.why})" if listing.why else "the listing is suspect"
    elif not tx.comparing.listed(shelf.name, listing.run):
        harmless = "the library listed nobody"
    elif not tx.comparing.anybody():
        harmless = "nobody has a face in our own database"
    reports = state is None or not state.receives or state.retiring_at is not None
    return Terms(shelf.reactions, shelf.policy, shelf.owned, reports, harmless)


def _situations(counts: Mapping[str, int]) -> Mapping[Situation, int]:
    return {situation: counts.get(situation.value, 0) for situation in Situation}


@dataclass
class _Comparison:
    house: House
    shelf: Shelf
    listing: Compared
    terms: Terms
    token: str
    counts: Counter[Situation] = field(default_factory=Counter)
    waiting: int = 0
    odd_listed: int = 0
    nameless: list[VendorFaceId] = field(default_factory=list)  # whose label or key is still to be looked for

    @property
    def complete(self) -> bool:
        return self.listing.completeness is Completeness.COMPLETE

    @property
    def labels(self) -> bool:
        return self.shelf.library.capabilities.labels

    def keep(self, tx: Transaction) -> None:
        """To be asked first wherever something is written. Raises BusyError when the reading is not ours any more."""
        if not tx.comparing.keep(self.shelf.name, self.listing.run, self.token, self._now() + LEASE):
            raise BusyError(self.shelf.name)

    def forget_earlier(self) -> None:
        """What earlier readings have shown, or this one to somebody who did not get to the end."""
        left = SWEEP
        while left == SWEEP:
            with self.house.store.transaction() as tx:
                self.keep(tx)
                left = tx.situations.sweep(self.shelf.name, limit=SWEEP)

    def walk(self) -> None:
        """Judge every odd face, a batch at a time, while only the database holds them all."""
        with self.house.store.reading() as tx:
            for pairs in tx.comparing.odd(self.shelf.name, self.listing.run, complete=self.complete):
                facts = self._facts(tx, [face for _, face in pairs], [person for person, _ in pairs])
                self._write(self._judge_all(pairs, facts))
                if len(self.nameless) >= LABELS_AT_ONCE:
                    self._name(tx)
            self._name(tx)

    def forget_mended(self) -> None:
        """Let go of what errands have noted of faces that this listing shows to be in order, or gone."""
        place = START
        while True:
            with self.house.store.reading() as tx:
                pairs = tx.situations.by_errands(self.shelf.name, after=place, limit=AT_ONCE)
                facts = self._facts(tx, [face for _, face in pairs], [person for person, _ in pairs])
            if not pairs:
                return
            place = pairs[-1]
            with self.house.store.transaction() as tx:
                self.keep(tx)
                for person, face in pairs:
                    if self._over(person, face, facts):
                        tx.situations.forget(self.shelf.name, person, [face])

    def _facts(self, tx: Transaction, faces: Sequence[VendorFaceId], persons: Iterable[PersonId] = ()) -> Facts:
        since = self.listing.started_at
        return tx.comparing.facts(self.shelf.name, self.listing.run, faces, since, persons=set(persons))

    def _judge_all(self, pairs: Sequence[Pair], facts: Facts) -> list[Odd]:
        odd = []
        for person, face in pairs:
            shown = facts.shown.get(face)
            if person:
                odd += self._bound(person, face, shown, facts)
            elif shown is not None and not self._put_off(face, shown, facts):
                odd += self._unbound(face, shown, facts, None)
        return odd

    def _bound(self, person: PersonId, face: VendorFaceId, shown: Shown | None, facts: Facts) -> list[Odd]:
        party, since = facts.parties.get(person), facts.bound.get(face, {}).get(person)
        if party is None or since is None or party.moving or since >= self.listing.started_at:
            return self._wait(shown)
        verdict = judge_bound(party, face, shown, complete=self.complete)
        if verdict is None or verdict.situation is Situation.IN_SYNC:
            return []
        return self._odd(verdict, person, face, shown)

    def _put_off(self, face: VendorFaceId, shown: Shown, facts: Facts) -> bool:
        """Whether all of our people must be gone through to say whose the face is."""
        if not self.labels or face in facts.past or face in facts.bound or (shown.key and shown.key in facts.keys):
            return False
        if not any(one and _HASH.fullmatch(one) for one in (shown.label, shown.key)):
            return False
        self.nameless.append(face)
        return True

    def _name(self, tx: Transaction) -> None:
        """Judge the faces that were put off."""
        waiting, self.nameless = self.nameless, []
        whose: dict[str, PersonId] = {}
        if waiting:
            marks: set[str] = set()
            keys: set[str] = set()
            for start in range(0, len(waiting), AT_ONCE):
                for shown in self._facts(tx, waiting[start : start + AT_ONCE]).shown.values():
                    marks |= {shown.label} if shown.label and _HASH.fullmatch(shown.label) else set()
                    keys |= {shown.key} if shown.key and _HASH.fullmatch(shown.key) else set()
            by_label, by_key = tx.comparing.whose(marks, keys)
            whose = by_key | by_label
        for start in range(0, len(waiting), AT_ONCE):
            faces = waiting[start : start + AT_ONCE]
            facts = self._facts(tx, faces, whose.values() if len(whose) < AT_ONCE else ())
            odd: list[Odd] = []
            owners: dict[VendorFaceId, PersonId] = {}
            for face, shown in facts.shown.items():
                owner = whose.get(shown.label or "") or whose.get(shown.key or "")
                if owner is not None:
                    owners[face] = owner
            since = self.listing.started_at
            facts.parties.update(tx.comparing.parties(self.shelf.name, set(owners.values()), since))
            for face, shown in facts.shown.items():
                odd += self._unbound(face, shown, facts, owners.get(face))
            self._write(odd)

    def _unbound(self, face: VendorFaceId, shown: Shown, facts: Facts, owner: PersonId | None) -> list[Odd]:
        past = facts.past.get(face)
        person = past.person if past else owner or facts.keys.get(shown.key or "")
        party = facts.parties.get(person) if person else None
        started = self.listing.started_at
        if face in facts.bound or (past and past.removed_at >= started) or (party and party.moving):
            return self._wait(shown)
        verdict = judge_unbound(shown, party, past, labels=self.labels)
        adopts = None
        if party is not None and verdict.situation is Situation.FOREIGN:
            adopts = adoptable_as(party)
        odd = self._odd(verdict, person or PersonId(""), face, shown, adoptable=adopts is not None)
        if party is not None and odd and odd[0].reaction is Reaction.ADOPT:
            facts.parties[party.id] = _with(party, face, verdict.claims or adopts)
        return odd

    def _odd(
        self, verdict: Verdict, person: PersonId, face: VendorFaceId, shown: Shown | None, *, adoptable: bool = False
    ) -> list[Odd]:
        reaction, note = self.terms.react(verdict, adoptable=adoptable)
        if reaction is Reaction.WAIT:
            return self._wait(shown)
        self.counts[verdict.situation] += 1
        self.odd_listed += shown is not None
        key = shown.key if shown is not None else None
        return [Odd(self.shelf.name, person, face, verdict.situation, reaction, note, key or None)]

    def _wait(self, shown: Shown | None) -> list[Odd]:
        self.waiting += 1
        self.odd_listed += shown is not None
        return []

    def _write(self, odd: Sequence[Odd]) -> None:
        for start in range(0, len(odd), AT_ONCE):
            with self.house.store.transaction() as tx:
                self.keep(tx)
                tx.situations.note_run(self.listing.run, odd[start : start + AT_ONCE], self._now())

    def _over(self, person: PersonId, face: VendorFaceId, facts: Facts) -> bool:
        shown, party = facts.shown.get(face), facts.parties.get(person)
        if face not in facts.bound:
            return shown is None and self.complete
        if shown is None or party is None or person not in facts.bound[face] or party.moving:
            return False
        verdict = judge_bound(party, face, shown, complete=self.complete)
        return verdict is not None and verdict.situation is Situation.IN_SYNC

    def _now(self) -> datetime:
        return self.house.clock()


def _with(party: Party, face: VendorFaceId, face_id: FaceId | None) -> Party:
    """The person, once this face is theirs too: another like it is then one too many."""
    digest = next((one.digest for one in party.wanted if one.id == face_id), None)
    return replace(party, held=(*party.held, HeldFace(face, None, face_id, digest)))
