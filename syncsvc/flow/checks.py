"""Verifies single faces by their ids, the longest unseen first: for what no listing of a library proves."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog

from syncsvc.flow.house import House, Shelf
from syncsvc.flow.spare import spare
from syncsvc.library.base import FaceLibrary, is_blanket
from syncsvc.library.http import PATIENCE
from syncsvc.model.errors import ErrandError, GoneError, LibraryError, RejectedError
from syncsvc.model.keys import person_hash, person_key
from syncsvc.model.people import Held, LibraryName, Person, PersonId, VendorFaceId, vendor_ids
from syncsvc.model.report import Seen, after_look
from syncsvc.model.situations import Finding, Situation
from syncsvc.model.urgency import Urgency, rank
from syncsvc.store import Transaction
from syncsvc.store.checks import Unverified
from syncsvc.store.people import Known
from syncsvc.store.rows import Want
from syncsvc.store.statements import OPEN_STATES

AT_ONCE = 500  # rows of one transaction
PEOPLE = 50  # faces asked for at once: few enough that what happens meanwhile is seen soon
MARGIN = 0.8  # of the declared time: from then on a face's turn has come, so that a busy library is never late
TROUBLES = 3  # people in a row who cannot be looked at, before it is taken for the library's own trouble

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Verification:
    """How long a library's faces went unseen. `oldest` is in seconds, None where it holds nothing of ours.

    `overdue` counts those that were not seen for longer than declared.
    """

    library: LibraryName
    bindings: int
    oldest: float | None
    overdue: int


def check_oldest(house: House, name: LibraryName, *, seconds: float = 10.0) -> int:
    """Look at the people of a library whose faces went unseen for longest, for about so long.

    Returns how many faces were seen. Nothing is unbound here: where one is missing, or one of ours is there that we
    did not know of, the person is owed a delivery that reads the library first. In a library that is only observed
    it is noted. Only spare permits are used; a library that is paused, halted or closed is left alone. Of several
    who check one library at once only the first does. Raises NotFoundError for a library that is not configured.
    """
    shelf, now = house.shelf(name), house.clock()
    until = now + timedelta(seconds=seconds + 2 * (shelf.library.door.timeout + PATIENCE))
    with house.store.transaction() as tx:
        state = tx.libraries.get(name)
        closed = state is None or state.state != "active" or (state.open_until is not None and state.open_until > now)
        if closed or not tx.checks.begin(name, now, until):
            return 0
    try:
        return _slice(house, shelf, seconds)
    finally:
        with house.store.transaction() as tx:
            tx.checks.end(name, until)


def verify_listed(house: House, name: LibraryName, run: int, at: datetime) -> int:
    """What this listing shows of ours was seen at that instant; returns how many faces that is news of.

    To be called when the listing's situations are noted: what is odd is left out. One transaction for each `AT_ONCE`.
    """
    count, after = 0, None
    while True:
        with house.store.transaction() as tx:
            written, after = tx.checks.verify_listed(name, run, at, after=after, limit=AT_ONCE)
        count += written
        if after is None:
            return count


def verification_view(house: House) -> list[Verification]:
    """Every configured library, in the order of their names."""
    now = house.clock()
    with house.store.reading() as tx:
        names = [state.name for state in tx.libraries.all() if state.configured]
        found = unseen(tx, house, names, now)
        counts = {name: tx.checks.count(name) for name in names}
    return [Verification(name, counts[name], *found[name]) for name in names]


def unseen(
    tx: Transaction, house: House, names: Sequence[LibraryName], now: datetime
) -> dict[LibraryName, tuple[float | None, int]]:
    """For each of these libraries for how many seconds its longest unseen face went unseen (None: it holds nothing of
    ours), and how many faces for longer than declared. Cheap, however many there are, while none is."""
    oldest = tx.checks.oldest_seen(names)
    before = now - house.caretaking.verify_within
    found: dict[LibraryName, tuple[float | None, int]] = {}
    for name in names:
        since = oldest.get(name)
        late = tx.checks.count_unseen(name, before) if since is not None and since < before else 0
        found[name] = (None if since is None else max(0.0, (now - since).total_seconds()), late)
    return found


def owe_look(tx: Transaction, name: LibraryName, known: Known, now: datetime) -> None:
    """Owe one library a person again, who is locked; it is read before anything is done."""
    verb = "replace" if known.faces else "delete"
    urgency = Urgency.REPAIR if known.faces else Urgency.DEPARTURE
    want = Want(name, known.id, verb, known.revision, len(known.faces), rank(urgency, now))
    for one in tx.deliveries.want([want], now):
        tx.deliveries.look_again(one.id, now)


def _slice(house: House, shelf: Shelf, seconds: float) -> int:
    began = time.monotonic()
    library = spare(house, shelf, began + seconds + shelf.library.door.timeout + PATIENCE)
    count, troubles = 0, 0
    after: Unverified | None = None
    looked: set[PersonId] = set()
    while page := _turn(house, shelf.name, after):
        after = page[-1]
        for person in dict.fromkeys(one.person for one in page if one.person not in looked):
            looked.add(person)
            if time.monotonic() - began >= seconds:
                return count
            try:
                count += _check(house, shelf, library, person)
                troubles = 0
            except ErrandError as error:
                troubles += 1
                if isinstance(error, LibraryError) and _for_good(error):
                    _put_off(house, shelf.name, person, error.code or "rejected")
                if troubles >= TROUBLES or not _theirs(error):
                    log.info("checking stopped", library=shelf.name, error=type(error).__name__, seen=count)
                    return count
    return count


def _turn(house: House, name: LibraryName, after: Unverified | None) -> list[Unverified]:
    now = house.clock()
    before = now - MARGIN * house.caretaking.verify_within
    with house.store.reading() as tx:
        return tx.checks.oldest(name, before=before, now=now, after=after, limit=PEOPLE)


def _theirs(error: ErrandError) -> bool:
    """Whether it may lie in this very person, so that others can be looked at all the same."""
    return not is_blanket(error) or (isinstance(error, LibraryError) and error.about_person)


def _for_good(error: LibraryError) -> bool:
    """Whether the same person would meet the same at the next look, and keep everybody behind them waiting."""
    return error.about_person or isinstance(error, RejectedError | GoneError)


def _put_off(house: House, name: LibraryName, who: PersonId, code: str) -> None:
    """Note that these faces cannot be looked at: their turn comes again tomorrow, and others' before that."""
    now = house.clock()
    with house.store.transaction() as tx:
        tx.people.lock(who, now)
        faces = sorted(vendor_ids(tx.bindings.held(name, [who])[who]))
        tx.situations.forget(name, who, faces)  # noted as of now instead
        words = f"the library does not let it be looked at ({code})"
        tx.situations.note(name, who, [Finding(Situation.DISPUTED, face, words) for face in faces], now)


def _check(house: House, shelf: Shelf, library: FaceLibrary[Any], who: PersonId) -> int:
    """Look at one person, and write down what was seen; returns how many of our faces were."""
    with house.store.reading() as tx:
        known = tx.people.get(who)
        held = tx.bindings.held(shelf.name, [who])[who]
        foreign = tx.situations.foreign(shelf.name, [who])[who]
    if known is None or not held:
        return 0
    person = Person(who, known.revision, known.faces)
    seen = library.look(person, held)
    reading = after_look(person, held, seen, owned=shelf.owned, foreign=foreign)
    ours = vendor_ids(reading.held)
    lost = vendor_ids(held) - ours
    disputed = _of_others(person, held, seen)
    verified = tuple(face for face in held if face.vendor_face_id in vendor_ids(seen.faces) - disputed)
    noted = [one for one in reading.findings if one.situation in {Situation.FOREIGN, Situation.DISPUTED}]
    noted += [Finding(Situation.DISPUTED, face, "the library files it under another person") for face in disputed]
    look_again = bool(lost or ours - vendor_ids(held))
    now = house.clock()
    with house.store.transaction() as tx:
        known = tx.people.lock(who, now)
        still = vendor_ids(tx.bindings.held(shelf.name, [who])[who])
        tx.bindings.verify(shelf.name, who, tuple(one for one in verified if one.vendor_face_id in still), now)
        if look_again and shelf.name in tx.libraries.receiving():
            if not _owed(tx, shelf.name, who):
                owe_look(tx, shelf.name, known, now)
        else:
            noted += [
                Finding(Situation.MISSING, face, "no longer there, and not removed by us") for face in lost & still
            ]
        tx.situations.forget(shelf.name, who, _settled(tx, shelf.name, who, vendor_ids(verified)))
        again = {one.vendor_face_id for one in noted} & still
        tx.situations.forget(shelf.name, who, [face for face in again if face is not None])  # noted as of now instead
        tx.situations.note(shelf.name, who, noted, now)
    return len(verified)


def _of_others(person: Person, held: Held, seen: Seen) -> frozenset[VendorFaceId]:
    """Faces of ours that the library shows under another person's key."""
    keys = {None, "", person_key(person.id), person_hash(person.id)}
    mine = vendor_ids(held)
    return vendor_ids([one for one in seen.faces if one.vendor_face_id in mine and one.person_key not in keys])


def _settled(
    tx: Transaction, name: LibraryName, who: PersonId, verified: frozenset[VendorFaceId]
) -> frozenset[VendorFaceId]:
    """Faces that were noted as missing or as somebody else's, and are where they should be after all."""
    over = {Situation.MISSING, Situation.DISPUTED}
    noted = [one.finding for one in tx.situations.of_person(who) if one.library == name]
    ids = {one.vendor_face_id for one in noted if one.situation in over and one.vendor_face_id in verified}
    return frozenset(face for face in ids if face is not None)


def _owed(tx: Transaction, name: LibraryName, who: PersonId) -> bool:
    return any(one.library == name and one.state in OPEN_STATES for one in tx.deliveries.of_person(who))
