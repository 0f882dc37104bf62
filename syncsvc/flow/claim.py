"""Takes the notes that a bell named: leases deliveries and gathers what their errands need."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from syncsvc.flow.attempt import Errand
from syncsvc.flow.house import House, Shelf
from syncsvc.flow.settle import Round
from syncsvc.model.people import Face, Person, PersonId
from syncsvc.model.urgency import BREAKER_THRESHOLD
from syncsvc.store import Transaction
from syncsvc.store.rows import Claimed
from syncsvc.store.vault import VaultError

LEASE = timedelta(seconds=45)  # longer than an errand may take: no call starts that could outlast it
PROBE_FOR = timedelta(seconds=30)  # how long a probe may take before the next one may try


@dataclass(frozen=True, slots=True)
class Asked:
    """What one task was rung for."""

    shelf: Shelf
    deliveries: Sequence[int]


@dataclass(frozen=True, slots=True)
class Claim:
    """What one task took: the round, and each delivery with its errand."""

    round: Round
    taken: tuple[tuple[Claimed, Errand], ...]


def claim(house: House, shelf: Shelf, deliveries: Sequence[int]) -> Claim:
    """Lease those of `deliveries` that are due and nobody else's; where a call can carry more removals than
    were rung for, the most urgent others as well. One transaction, shared with whoever asks at the same moment."""
    taken: Claim = house.claims(Asked(shelf, deliveries), partial(_claim_all, house))
    return taken


def _claim_all(house: House, asked: Sequence[Asked]) -> list[Claim]:
    now = house.clock()
    lease = f"{house.holder}/{uuid.uuid4().hex}"
    claims: dict[int, Claim] = {}
    with house.store.transaction() as tx:
        # By name, as whoever records a change does: two that lock in different orders would wait for each other.
        for shelf in sorted({id(one.shelf): one.shelf for one in asked}.values(), key=lambda shelf: shelf.name):
            mine = [(place, one) for place, one in enumerate(asked) if one.shelf is shelf]
            rows = _lease(tx, shelf, [one.deliveries for _, one in mine], lease, now)
            errands = _errands(tx, shelf, [row for each, _ in rows for row in each])
            for (place, _), (each, probe) in zip(mine, rows, strict=True):
                round_ = Round(shelf.name, lease, now, probe)
                claims[place] = Claim(round_, tuple((row, errands[row.id]) for row in each))
    return [claims[place] for place in range(len(asked))]


def _lease(
    tx: Transaction, shelf: Shelf, asked: Sequence[Sequence[int]], lease: str, now: datetime
) -> list[tuple[list[Claimed], bool]]:
    """For each asker the rows it got, and whether they only probe a library whose breaker was open."""
    until = now + LEASE
    wanted = sorted({number for numbers in asked for number in numbers})
    labels = shelf.library.capabilities.labels
    claimed = tx.deliveries.claim(shelf.name, wanted, lease=lease, now=now, until=until, labels=labels)
    rows = {row.id: row for row in claimed}
    probing = any(row.failures >= BREAKER_THRESHOLD for row in rows.values())
    shares = [[rows.pop(number) for number in numbers if number in rows] for numbers in asked]
    if probing:
        return _probe(tx, shelf, shares, lease, now)
    bundle = shelf.library.capabilities.bundle
    for share in shares:
        room = bundle - len(share)
        if share and room > 0 and all(row.verb == "delete" for row in share):
            share.extend(tx.deliveries.claim_more(shelf.name, "delete", room, lease=lease, now=now, until=until))
    return [(share, False) for share in shares]


def _probe(
    tx: Transaction, shelf: Shelf, shares: list[list[Claimed]], lease: str, now: datetime
) -> list[tuple[list[Claimed], bool]]:
    """One asker goes to see whether the library works again; the others give back what they took."""
    first = next(place for place, share in enumerate(shares) if share)
    goes = tx.libraries.take_probe(shelf.name, now, now + PROBE_FOR)
    back = [row.id for place, share in enumerate(shares) for row in share if not (goes and place == first)]
    if back:
        tx.deliveries.release(back, lease=lease, due_at=now)
    return [(share if goes and place == first else [], True) for place, share in enumerate(shares)]


def _errands(tx: Transaction, shelf: Shelf, rows: Sequence[Claimed]) -> dict[int, Errand]:
    """Everything an errand needs, so that no transaction is open while a vendor thinks."""
    if not rows:
        return {}
    people, sealed = _people(tx, rows)
    held = tx.bindings.held(shelf.name, people.keys())
    odd = [row.person for row in rows if row.noted]
    foreign = tx.situations.foreign(shelf.name, odd) if odd else {}
    lost = _lost(tx, [row.person for row in rows if row.lost and row.doubt and row.doubt.adds])
    errands = {
        row.id: Errand(
            delivery=row.id,
            person=people[row.person],
            held=held[row.person],
            doubtful=row.doubtful,
            doubt=row.doubt,
            foreign=foreign.get(row.person, frozenset()),
            lost=lost.get(row.person, ()),
            sealed=sealed.get(row.person),
        )
        for row in rows
    }
    return errands | {row.id: _wants_nobody(errands[row.id]) for row in rows if row.retiring}


def _wants_nobody(errand: Errand) -> Errand:
    """The errand in a library that is being retired: none of the person's faces is wanted there, and an add of any of
    them may be there whose answer was lost."""
    person = errand.person
    return replace(errand, person=replace(person, faces=()), lost=errand.lost + person.faces, sealed=None)


def _lost(tx: Transaction, people: Sequence[PersonId]) -> dict[PersonId, tuple[Face, ...]]:
    """Pictures of which an add may be there; with their content, because some libraries find a face only by that."""
    if not people:
        return {}
    try:
        return tx.people.lost(people, pictures=True)
    except VaultError:
        return tx.people.lost(people, pictures=False)


def _people(tx: Transaction, rows: Sequence[Claimed]) -> tuple[dict[PersonId, Person], dict[PersonId, str]]:
    """The people, with pictures where one is to be sent; and why, for whom they cannot be opened."""
    # A lost add may have to be searched for by its picture, also where only a removal is owed.
    sent = {row.id for row in rows if row.verb != "delete" or (row.doubt and row.doubt.adds)}
    removed = {row.person: row.wanted for row in rows if row.id not in sent}
    replaced = {row.person: row.wanted for row in rows if row.id in sent}
    people = tx.people.wanted(removed, pictures=False) if removed else {}
    if not replaced:
        return people, {}
    try:
        return people | tx.people.wanted(replaced, pictures=True), {}
    except VaultError:
        sealed: dict[PersonId, str] = {}
        for person, revision in replaced.items():  # one by one: nobody waits for somebody else's lost key
            try:
                people |= tx.people.wanted({person: revision}, pictures=True)
            except VaultError as error:
                people |= tx.people.wanted({person: revision}, pictures=False)
                sealed[person] = str(error)
        return people, sealed
