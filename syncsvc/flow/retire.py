"""Retires a library: everybody in it is taken out, then it is read, and what was verified is written down."""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from syncsvc.flow import compare_libraries
from syncsvc.flow.house import House, Shelf
from syncsvc.flow.listing import begin, read_on
from syncsvc.flow.receipts import issue_retirement
from syncsvc.flow.spare import spare
from syncsvc.model.errors import ErrandError, InputError, NotFoundError, RejectedError, UnsafePlanError
from syncsvc.model.listings import Completeness
from syncsvc.model.people import HeldFace, LibraryName, Person, PersonId, Revision, VendorFaceId, vendor_ids
from syncsvc.model.urgency import Urgency, rank
from syncsvc.store import Transaction
from syncsvc.store.listings import ListingState
from syncsvc.store.migrating import RETIRED, UNDOING, Overtaken, Retirement, Retiring

AT_ONCE = 500  # deliveries of one transaction
PEOPLE_AT_ONCE = 100  # whose faces are verified before that is written down
LOOKS = 3  # a face that is shown again after so many removals is left to somebody who asks the vendor
AGAIN_AFTER = timedelta(minutes=10)  # a vendor's replicas have so long to hear of a removal

log = structlog.get_logger(__name__)
Ever = Mapping[PersonId, Sequence[HeldFace]]


@dataclass(frozen=True, slots=True)
class Found:
    """What was found out about some faces that a library once had."""

    absent: int
    there: Mapping[PersonId, frozenset[VendorFaceId]]
    unverifiable: Mapping[str, int]


def retire(
    house: House, name: LibraryName, *, replaced_by: LibraryName | None = None, approved: int | None = None
) -> Retiring:
    """Want nobody in a library any more; `go_on` does the rest, and needs nobody to wait for it.

    All its people would go, so just so many must be `approved`. With `replaced_by` nobody may be missing there. Safe to
    repeat: a library that is retiring goes on where it is. Raises NotFoundError, InputError where this library
    cannot be retired, and UnsafePlanError with the number to approve; nothing has changed then.
    """
    shelf = house.shelf(name)
    if shelf.policy != "sync":
        raise InputError(
            f"{name} has the policy {shelf.policy}: nobody is removed from it; with sync it can be retired"
        )
    if replaced_by is not None:
        _check_successor(house, name, replaced_by)
    now = house.clock()
    with house.store.transaction() as tx:
        before = tx.migrating.get(name)
        if before is not None and before.progress.stage == UNDOING:
            raise InputError(f"that {name} retires is being undone; when `--status` shows nothing any more, try again")
        if before is None:
            people = tx.removing.there(name)
            if people and approved != people:
                said = f", and {approved:,} were approved" if approved is not None else ""
                words = f"nobody was removed: if they are all to go, say --approve-removals {people}"
                raise UnsafePlanError(f"{name}: all of its {people:,} people would go{said}; {words}")
            tx.migrating.begin(name, Retirement("owing", people, replaced_by), now)
            log.info("library retires", library=name, people=people, replaced_by=replaced_by)
    return status(house, name)


def undo(house: House, name: LibraryName) -> Retiring | None:
    """Want people in the library again; whoever was taken out is sent there anew, and newcomers as well.

    None: everybody is owed. Else it was stopped in the middle, and `go_on` or another call goes on. Raises
    NotFoundError for a library that is not retiring, InputError for one that is retired.
    """
    while (one := status(house, name)).progress.stage != UNDOING:
        if one.progress.stage == RETIRED:
            words = "to use the same account again, configure it under another name and fill that"
            raise InputError(f"{name} is retired, and its receipt is written; {words}")
        with suppress(Overtaken), house.store.transaction() as tx:  # the caretaker took a step meanwhile: look again
            tx.migrating.undo(one, one.progress.at_the_start(UNDOING))
    return _go_on_with(house, house.shelf(name), time.monotonic() + 3600.0)


def status(house: House, name: LibraryName) -> Retiring:
    """How far the retiring of a library has come. Raises NotFoundError where nobody retires it."""
    with house.store.reading() as tx:
        found = tx.migrating.get(name)
    if found is None:
        house.shelf(name)
        raise NotFoundError(f"{name} is not being retired; `syncsvc library retire {name}` begins that")
    return found


def go_on(house: House, *, seconds: float = 10.0) -> list[Retiring]:
    """Bring every library that retires as far as it gets in so many seconds; returns those that are not done.

    Safe to run twice, at the same time, and to be stopped at any moment.
    """
    until = time.monotonic() + seconds
    with house.store.reading() as tx:
        names = [one.library for one in tx.migrating.all() if one.progress.stage != RETIRED]
    shelves = [house.shelves[name] for name in names if name in house.shelves]
    left = [_go_on_with(house, shelf, until) for shelf in shelves]
    return [one for one in left if one is not None and one.progress.stage != RETIRED]


def _check_successor(house: House, name: LibraryName, successor: LibraryName) -> None:
    if house.shelf(successor).policy == "observe":
        raise InputError(f"{successor} is only observed: it is sent nobody, and cannot take the place of {name}")
    with house.store.reading() as tx:
        if tx.migrating.get(successor) is not None:
            raise InputError(f"{successor} is being retired itself; it cannot take the place of {name}")
    lacking = compare_libraries.compare(house, name, successor).all().lacking
    if lacking:
        words = f"`syncsvc library compare {name} {successor}` names them"
        raise UnsafePlanError(f"{successor} lacks {lacking:,} people whom {name} has; nobody was removed: {words}")


def _go_on_with(house: House, shelf: Shelf, until: float) -> Retiring | None:
    """Step by step, for as long as there is time and something to do. None: nobody retires it any more."""
    while True:
        with house.store.reading() as tx:
            one = tx.migrating.get(shelf.name)
        if one is None or one.progress.stage == RETIRED:
            return one
        try:
            went_on = _STAGES[one.progress.stage](house, shelf, one, until)
        except Overtaken:
            continue
        if not went_on or time.monotonic() >= until:
            return one


def _owe_deletions(house: House, _shelf: Shelf, one: Retiring, _until: float) -> bool:
    with house.store.transaction() as tx:
        after = PersonId(one.progress.cursor)
        page = tx.migrating.owe_deletions(one.library, after=after, limit=AT_ONCE, now=house.clock())
        further = replace(one.progress, cursor=page[-1]) if page else one.progress.at_the_start("removing")
        tx.migrating.reach(one, further)
    return True


def _owe_again(house: House, _shelf: Shelf, one: Retiring, _until: float) -> bool:
    """Everybody who has a face, whether or not the library was told of them before."""
    now = house.clock()
    with house.store.transaction() as tx:
        page = tx.people.page(after=PersonId(one.progress.cursor), limit=AT_ONCE)
        tx.migrating.owe_again(one.library, page, now=now)
        tx.deliveries.want_all(one.library, page, rank=rank(Urgency.REPAIR, now), now=now)
        tx.migrating.undo(one, replace(one.progress, cursor=page[-1]) if page else None)
    return True


def _remove(house: House, _shelf: Shelf, one: Retiring, _until: float) -> bool:
    """Wait until the workers have done it."""
    now = house.clock()
    with house.store.transaction() as tx:
        left = tx.migrating.left(one.library)
        if left:
            _wait(tx, one, ", ".join(f"{count:,} {state}" for state, count in sorted(left.items())))
            return False
        if tx.migrating.somebody_wanted(one.library):
            tx.migrating.reach(one, one.progress.at_the_start("owing"))
        else:
            reading = one.progress.at_the_start("reading")
            counted = replace(reading, removed_at=now.isoformat(), bound=0, verified=0, there=0, unverifiable={})
            tx.migrating.reach(one, replace(counted, looks=reading.looks + 1))
    return True


def _read_back(house: House, shelf: Shelf, one: Retiring, until: float) -> bool:
    progress, now = one.progress, house.clock()
    if progress.not_before is not None and now < datetime.fromisoformat(progress.not_before):
        return False
    listing, waits = _listing(house, one, until)
    if waits is not None:
        with house.store.transaction() as tx:
            _wait(tx, one, waits)
        return False
    with house.store.reading() as tx:
        page = tx.migrating.ever_bound(one.library, after=PersonId(progress.cursor), limit=PEOPLE_AT_ONCE)
    if not page:
        _conclude(house, one, listing)
        return True
    try:
        found = _verify(house, shelf, page, listing, until)
    except ErrandError as error:  # the library's own trouble, or no spare permits: where we are we go on later
        with house.store.transaction() as tx:
            _wait(tx, one, str(error))
        return False
    with house.store.transaction() as tx:
        tx.migrating.reopen(one.library, found.there, now)
        for person, back in found.there.items():
            tx.migrating.take_back(one.library, [person], back)
        tx.migrating.reach(one, _further(progress, page, found))
    return True


def _listing(house: House, one: Retiring, until: float) -> tuple[ListingState | None, str | None]:
    """A reading of the whole library that began after everybody was taken out, or what it waits for.

    Neither: none is to be had, and each face must be asked for by itself.
    """
    assert one.progress.removed_at is not None
    since = datetime.fromisoformat(one.progress.removed_at)
    with house.store.reading() as tx:
        state = tx.libraries.get(one.library)
    if state is None or state.state != "active":
        return None, f"the library is {'not there' if state is None else state.state}"
    seconds = max(1.0, until - time.monotonic())
    with house.store.reading() as tx:
        found = tx.listings.get(one.library)
    if found is None or (found.started_at < since and found.state != "reading"):
        if not begin(house, one.library, "command"):
            return None, None
    elif found.state != "reading":
        return found, None
    found = read_on(house, one.library, seconds=seconds)
    if found.state == "reading" or found.started_at < since:
        return None, f"the library is being read: {found.faces:,} faces so far"
    return found, None


def _verify(house: House, shelf: Shelf, page: Ever, listing: ListingState | None, until: float) -> Found:
    """Which of these faces are gone. Raises ErrandError where that cannot be asked now."""
    shown: set[VendorFaceId] = set()
    if listing is not None:
        ids = [face.vendor_face_id for ever in page.values() for face in ever]
        with house.store.reading() as tx:
            shown = tx.migrating.shown(shelf.name, listing.run, ids)
    there = {person: vendor_ids(ever) & shown for person, ever in page.items() if vendor_ids(ever) & shown}
    absent, unverifiable = 0, dict[str, int]()
    library = spare(house, shelf, until)
    for person, ever in page.items():
        unsure = vendor_ids(ever) - shown
        if listing is not None and listing.completeness == Completeness.COMPLETE:
            absent += len(unsure)
            continue
        try:
            seen = library.look(Person(person, Revision(0)), tuple(ever))
        except RejectedError as error:
            words = error.code or "rejected"
            unverifiable[words] = unverifiable.get(words, 0) + len(unsure)
            continue
        back = unsure & vendor_ids(seen.faces)
        gone = (unsure if seen.complete else unsure & seen.absent) - back
        absent += len(gone)
        if back:
            there[person] = there.get(person, frozenset()) | back
        if unknown := unsure - back - gone:
            words = "the library shows neither all faces of a person nor each by its id"
            unverifiable[words] = unverifiable.get(words, 0) + len(unknown)
    return Found(absent, there, unverifiable)


def _further(progress: Retirement, page: Ever, found: Found) -> Retirement:
    unverifiable = dict(progress.unverifiable)
    for why, count in found.unverifiable.items():
        unverifiable[why] = unverifiable.get(why, 0) + count
    return replace(
        progress,
        cursor=list(page)[-1],
        bound=progress.bound + sum(len(ever) for ever in page.values()),
        verified=progress.verified + found.absent,
        there=progress.there + sum(len(back) for back in found.there.values()),
        unverifiable=unverifiable,
        waits=None,
    )


def _conclude(house: House, one: Retiring, listing: ListingState | None) -> None:
    """Everybody was looked at: what is there still is removed once more, or it is done."""
    progress, now = one.progress, house.clock()
    with house.store.transaction() as tx:
        if progress.there and progress.looks < LOOKS:
            later = (now + AGAIN_AFTER * progress.looks).isoformat()
            again = replace(progress.at_the_start("removing"), not_before=later)
            tx.migrating.reach(one, replace(again, returned=progress.returned + progress.there))
            return
        issue_retirement(tx, house, one.library, content(one, listing, now), now)
        tx.migrating.finish(one, progress.at_the_start(RETIRED), now)
    log.info(
        "library retired",
        library=one.library,
        verified=progress.verified,
        unverifiable=sum(progress.unverifiable.values()),
        there=progress.there,
    )


def content(one: Retiring, listing: ListingState | None, now: datetime) -> dict[str, object]:
    """What a receipt says of a retired library: counts and times, and nobody's id."""
    progress = one.progress
    return {
        "vendor": one.vendor,
        "replaced_by": progress.replaced_by,
        "people": progress.people,
        "faces_ever_bound": progress.bound,
        "verified_absent": progress.verified,
        "still_there": progress.there,
        "unverifiable": progress.unverifiable,
        "returned": progress.returned,
        "looks": progress.looks,
        "began_at": None if one.since is None else one.since.isoformat(),
        "removed_at": progress.removed_at,
        "verified_at": now.isoformat(),
        "listing": None
        if listing is None
        else {"completeness": listing.completeness, "why": listing.why, "faces": listing.faces},
    }


def _wait(tx: Transaction, one: Retiring, words: str) -> None:
    if one.progress.waits != words:
        tx.migrating.reach(one, replace(one.progress, waits=words))


_STAGES = {"owing": _owe_deletions, "removing": _remove, "reading": _read_back, UNDOING: _owe_again}
