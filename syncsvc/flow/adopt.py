"""Connects a library that already holds people: binds what is certain, and leaves the rest to people."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from syncsvc.flow.checks import AT_ONCE, owe_look
from syncsvc.flow.house import House, Shelf
from syncsvc.flow.match import Matched, match, propose
from syncsvc.flow.reconcile import ADOPTING, read_whole
from syncsvc.flow.review_file import ReviewWriter
from syncsvc.model.errors import InputError
from syncsvc.model.keys import face_label, person_hash, person_key
from syncsvc.model.people import Listed, Person, PersonId, Revision, VendorFaceId
from syncsvc.model.plan import agrees, unwanted
from syncsvc.model.urgency import Urgency, rank
from syncsvc.store import Transaction
from syncsvc.store.adoption import Acquaintance, Sheet, Shown, sheet
from syncsvc.store.bindings import Became
from syncsvc.store.checks import Bound
from syncsvc.store.listings import ListingState
from syncsvc.store.people import Known
from syncsvc.store.rows import Delivery, Want
from syncsvc.store.statements import OPEN_STATES

BEGINNING = PersonId("")

Watch = Callable[[ListingState], None]


@dataclass(slots=True)
class Adopted:
    """What became of a library's faces.

    `exact` were known by their label, `trusted` by the person they are filed under, whose one wanted face they now
    are; `unwanted` are ours and of no wanted picture; `known` were bound before; `review` are left to people. `owed`
    and `filled` count people: who is owed a delivery so that the library agrees, and who was not there at all.
    """

    library: str
    reading: int = 0
    listed: int = 0
    completeness: str | None = None
    why: str | None = None
    exact: int = 0
    trusted: int = 0
    unwanted: int = 0
    known: int = 0
    review: int = 0
    people: int = 0
    owed: int = 0
    filled: int = 0


@dataclass(frozen=True, slots=True)
class Terms:
    """How a library is adopted. `replace_pictures`: what is bound by its person alone gets our photo at the next
    delivery. `fill`: who is not in the library is owed to it."""

    replace_pictures: bool = False
    fill: bool = False


def adopt(
    house: House,
    shelf: Shelf,
    terms: Terms,
    *,
    review: ReviewWriter | None = None,
    watch: Watch | None = None,
) -> Adopted:
    """Read a library and bind what it holds of people whom we know.

    Nothing is sent and nothing removed here. When all is bound, people whose faces are not as they should be are
    owed a delivery that reads the library first; what is there too much is left to reconciliation, past its guard.
    Interrupted, it goes on reading where it was. Raises InputError where the library cannot be read now.
    """
    if terms.fill and shelf.policy == "observe":
        raise InputError(f"{shelf.name} is only observed, so nobody is sent to it; leave --fill out")
    state = read_whole(house, shelf.name, ADOPTING, watch=watch)
    with house.store.transaction() as tx:  # nobody is to compare it: as nothing is bound yet, all would be strangers
        tx.comparing.move_on(shelf.name, state.run, "done")
    found = Adopted(
        shelf.name,
        reading=state.run,
        listed=state.faces,
        completeness=state.completeness.value if state.completeness else None,
        why=state.why,
    )
    with sheet() as paper:
        _copy(house, shelf, state, paper)
        _bind_all(house, shelf, terms, paper, found)
        _review(house, paper, review, found)
        found.owed = owe_agreement(house, shelf)
        if terms.fill:
            found.filled = _fill(house, shelf, paper)
    return found


def owe_agreement(
    house: House, shelf: Shelf, losing: Callable[[Sequence[PersonId]], set[PersonId]] | None = None
) -> int:
    """See to it that the library is told of what becomes of everybody whom it holds; returns how many are owed a
    delivery now because it is not as it should be. `losing`: of whom faces too many may be removed by that."""
    count, after = 0, BEGINNING
    while True:
        with house.store.reading() as tx:
            people = tx.adoption.holders(shelf.name, after=after, limit=AT_ONCE)
        if not people:
            return count
        after = people[-1]
        with house.store.transaction() as tx:
            count += _owe(tx, house, shelf, people, losing(people) if losing else set())


def load_bound(house: House, shelf: Shelf, paper: Sheet) -> None:
    """Write on the paper whose each face is known to be."""
    last: Bound | None = None
    while True:
        with house.store.reading() as tx:
            bound = tx.adoption.bound(shelf.name, after=last, limit=AT_ONCE)
        if not bound:
            return
        paper.bind(bound)
        last = bound[-1]


def _copy(house: House, shelf: Shelf, state: ListingState, paper: Sheet) -> None:
    last: VendorFaceId | None = None
    count = 0
    while True:
        with house.store.reading() as tx:
            page = tx.adoption.listed(shelf.name, state.run, after=last, limit=AT_ONCE)
        if not page:
            break
        paper.enlist(page)
        count += len(page)
        last = page[-1].vendor_face_id
    if count != state.faces:
        raise InputError(f"{shelf.name} was read again meanwhile; adopt it again")
    load_bound(house, shelf, paper)


def _bind_all(house: House, shelf: Shelf, terms: Terms, paper: Sheet, found: Adopted) -> None:
    for people in _everybody(house):
        with house.store.reading() as tx:
            wanted = tx.people.wanted(people, pictures=False)
        here = _under(paper, wanted.values())
        found.known += sum(one.person is not None for shown in here.values() for one in shown)
        fresh = {who: shown for who, shown in here.items() if any(one.person is None for one in shown)}
        if fresh:
            with house.store.transaction() as tx:
                done = _bind(tx, house, shelf, terms, fresh)
            paper.bind([Bound(who, face.vendor_face_id) for who, one in done.items() for face in one.bound])
            for one in done.values():
                found.exact += len(one.exact)
                found.trusted += len(one.trusted)
                found.unwanted += len(one.unwanted)
                found.people += bool(one.bound)


def _everybody(house: House) -> Iterator[dict[PersonId, Revision]]:
    """Everybody we know of with their revisions, some at a time."""
    after: PersonId | None = None
    while True:
        with house.store.reading() as tx:
            page = tx.census.page(after=after, limit=AT_ONCE)
        if not page:
            return
        yield {one.id: one.revision for one in page}
        after = page[-1].id


def _under(paper: Sheet, people: Collection[Person]) -> dict[PersonId, list[Shown]]:
    """The faces that are listed under each one's key, or carry a label of theirs; who has none is not in it."""
    owners: dict[str, PersonId] = {}
    labels: dict[str, PersonId] = {}
    for one in people:
        owners |= {person_key(one.id): one.id, person_hash(one.id): one.id}
        labels |= {face_label(one.id, face.id, face.digest): one.id for face in one.faces}
    found: dict[PersonId, list[Shown]] = {}
    for shown in paper.under(owners.keys(), labels.keys()):
        key = shown.face.person_key
        by_label = labels.get(shown.face.label or "")
        who = owners.get(key) if key else by_label
        if who is not None and by_label in {None, who}:  # what key and label contradict each other about is nobody's
            found.setdefault(who, []).append(shown)
    return found


def _bind(
    tx: Transaction, house: House, shelf: Shelf, terms: Terms, fresh: Mapping[PersonId, Sequence[Shown]]
) -> dict[PersonId, Matched]:
    now = house.clock()
    known = tx.people.lock_all(fresh, now)
    held = tx.bindings.held(shelf.name, fresh)
    done = {
        who: match(known[who], held[who], shown, replace_pictures=terms.replace_pictures)
        for who, shown in fresh.items()
    }
    tx.bindings.settle(
        [
            Became(shelf.name, who, held[who], (*held[who], *one.bound))
            for who, one in sorted(done.items())
            if one.bound
        ],
        now,
    )
    return done


def _review(house: House, paper: Sheet, review: ReviewWriter | None, found: Adopted) -> None:
    """Write down what nobody could place."""
    last: Listed | None = None
    while page := paper.rest(after=last, limit=AT_ONCE):
        last = page[-1]
        found.review += len(page)
        if review is not None:
            with house.store.reading() as tx:
                owners = tx.adoption.by_key({one.person_key for one in page if one.person_key})
                wanted = tx.people.wanted(dict.fromkeys(owners.values(), Revision(0)), pictures=False)
            beside = _under(paper, wanted.values())
            whose = {one.vendor_face_id: wanted.get(owners.get(one.person_key or "", BEGINNING)) for one in page}
            review.write(found.reading, [propose(one, whose[one.vendor_face_id], beside) for one in page])


def _fill(house: House, shelf: Shelf, paper: Sheet) -> int:
    """Owe the library who is not in it; who has a face there that nobody could place would be there twice."""
    count = 0
    for people in _everybody(house):
        with house.store.reading() as tx:
            wanted = tx.people.wanted(people, pictures=False)
            told = tx.deliveries.ever_told(people)
        here = _under(paper, wanted.values())
        absent = [one for one, person in wanted.items() if person.faces and one not in here]
        absent = [one for one in absent if shelf.name not in told[one]]
        if absent:
            with house.store.transaction() as tx:
                count += _send(tx, house, shelf, absent)
    return count


def _send(tx: Transaction, house: House, shelf: Shelf, absent: Sequence[PersonId]) -> int:
    now = house.clock()
    known = tx.people.lock_all(absent, now)
    told = tx.deliveries.ever_told(absent)
    wants = [
        Want(shelf.name, one.id, "replace", one.revision, len(one.faces), rank(Urgency.REPAIR, now))
        for one in known.values()
        if one.faces and shelf.name not in told[one.id]
    ]
    return len(tx.deliveries.want(wants if shelf.name in tx.libraries.receiving() else [], now))


def _owe(tx: Transaction, house: House, shelf: Shelf, people: Sequence[PersonId], losing: set[PersonId]) -> int:
    now = house.clock()
    known = tx.people.lock_all(people, now)
    held = tx.bindings.held(shelf.name, people)
    rows = {who: mine for who, all_ in tx.deliveries.of_people(people).items() if (mine := _there(all_, shelf))}
    receives = shelf.name in tx.libraries.receiving()
    acquainted: list[Acquaintance] = []
    owed: list[Known] = []
    for who in people:
        one, row = known[who], rows.get(who)
        as_it_should_be = agrees(one.faces, held[who])
        too_many = bool(unwanted(one.faces, held[who])) and who not in losing
        if row is None and (not receives or as_it_should_be or too_many):
            acquainted.append(_acquaintance(one, receives=receives, agrees_=as_it_should_be))
        elif receives and (not (as_it_should_be or too_many) or (row is not None and row.state in OPEN_STATES)):
            owed.append(one)
    tx.adoption.acquaint(shelf.name, acquainted, rank=rank(Urgency.REPAIR, now), now=now)
    for one in owed:
        owe_look(tx, shelf.name, one, now)
    return len(owed)


def _there(deliveries: Sequence[Delivery], shelf: Shelf) -> Delivery | None:
    return next((one for one in deliveries if one.library == shelf.name), None)


def _acquaintance(one: Known, *, receives: bool, agrees_: bool) -> Acquaintance:
    """A library that is only observed is behind by all revisions: it is owed them when it is owed anything at all."""
    return Acquaintance(
        one.id,
        "replace" if one.faces else "delete",
        one.revision if receives else Revision(0),
        len(one.faces),
        one.revision if agrees_ else None,
    )
