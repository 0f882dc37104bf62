"""What people and scripts look at: erasures, library by library, and the receipts that there are of them."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from syncsvc.flow.house import House
from syncsvc.model.errors import NotFoundError
from syncsvc.model.people import LibraryName, PersonId
from syncsvc.model.receipt_form import Envelope, Kind
from syncsvc.model.receipts import LibraryFacts
from syncsvc.store import Transaction
from syncsvc.store.erased import Erasure, Place, State

OPEN, OVERDUE = "open", "overdue"
_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class ReceiptName:
    number: int
    kind: str


@dataclass(frozen=True, slots=True)
class ErasureView:
    """`state` is overdue where the due date has passed and some library is open still."""

    id: str
    person: PersonId
    subject: str
    state: str
    opened_at: datetime
    due_at: datetime
    verified_at: datetime | None
    second_look_at: datetime | None
    finished_at: datetime | None
    libraries: tuple[LibraryFacts, ...]
    receipts: tuple[ReceiptName, ...]


@dataclass(frozen=True, slots=True)
class ErasurePage:
    """`next` is None on the last page."""

    erasures: tuple[ErasureView, ...]
    next: Place | None


def erasure_page(
    house: House,
    *,
    state: State | None = None,
    person: str | None = None,
    after: Place | None = None,
    limit: int,
) -> ErasurePage:
    """Up to `limit` erasures, those opened last at the front; `person`: by their id, or by their pseudonym."""
    now = house.clock()
    with house.store.reading() as tx:
        who = None if person is None else _known_as(tx, person)
        found = tx.erased.page(state=state, who=who, after=after, limit=limit + 1, now=now)
        page = found[:limit]
        views = _views(tx, page, now)
    last = Place(page[-1].opened_at, page[-1].id) if len(found) > limit else None
    return ErasurePage(tuple(views), last)


def erasure_view(house: House, erasure: str) -> ErasureView:
    """Raises NotFoundError for an erasure that nobody opened."""
    with house.store.reading() as tx:
        return _views(tx, [_found(tx, erasure)], house.clock())[0]


def receipt_of(house: House, erasure: str, kind: Kind | None = None) -> Envelope:
    """The newest receipt of an erasure, of this kind where one is named.

    Raises NotFoundError, with what is still open in which library, while there is none.
    """
    with house.store.reading() as tx:
        found = tx.receipts.newest(_found(tx, erasure).id, kind)
    if found is None:
        raise NotFoundError(_none_yet(house, erasure_view(house, erasure), kind))
    return found


def retirement_of(house: House, library: LibraryName) -> Envelope:
    """The newest receipt of a library that was retired. Raises NotFoundError while there is none."""
    with house.store.reading() as tx:
        found = tx.receipts.of_library(library)
    if found is None:
        raise NotFoundError(
            f"there is no receipt of a library {library!r} that was retired; an export has all there are"
        )
    return found


def newest_of(house: House, who: str) -> str:
    """The erasure that is meant by its own id, or by a person: their newest. Raises NotFoundError."""
    with house.store.reading() as tx:
        if _ID.fullmatch(who) and tx.erased.get(who) is not None:
            return who
        now = house.clock()
        found = tx.erased.page(state=None, who=_known_as(tx, who), after=None, limit=1, now=now)
    if not found:
        raise NotFoundError(
            f"no erasure has the id {who!r}, and nobody with that id has departed; `syncsvc erasure list` shows all"
        )
    return found[0].id


def _found(tx: Transaction, erasure: str) -> Erasure:
    found = tx.erased.get(erasure) if _ID.fullmatch(erasure) else None
    if found is None:
        raise NotFoundError("no erasure has such an id; GET /v1/erasures lists them all")
    return found


def _known_as(tx: Transaction, person: str) -> Collection[str]:
    """What an erasure may call them: a while after it is finished only the pseudonym is left."""
    return {person, *tx.pseudonyms.known([PersonId(person)]).values()}


def _views(tx: Transaction, found: Sequence[Erasure], now: datetime) -> list[ErasureView]:
    ids = [one.id for one in found]
    libraries, receipts = tx.erased.libraries(ids), tx.receipts.kinds(ids)
    return [
        ErasureView(
            id=one.id,
            person=one.person,
            subject=one.subject,
            state=OVERDUE if one.state == OPEN and one.due_at <= now else one.state,
            opened_at=one.opened_at,
            due_at=one.due_at,
            verified_at=one.verified_at,
            second_look_at=one.second_look_at,
            finished_at=one.finished_at,
            libraries=tuple(libraries[one.id]),
            receipts=tuple(ReceiptName(number, kind) for number, kind in receipts.get(one.id, ())),
        )
        for one in found
    ]


def _none_yet(house: House, view: ErasureView, kind: Kind | None) -> str:
    which = "receipt" if kind is None else f"receipt of the kind {kind.value}"
    if kind is not None and view.receipts:
        there = ", ".join(one.kind for one in view.receipts)
        return f"there is no {which}; there is: {there}"
    if view.state not in {OPEN, OVERDUE} and house.signer is None:
        return f"there is no {which} yet: it waits for service.receipt_key, which signs it; `syncsvc keygen` prints one"
    open_still = [f"{one.name}: {one.verdict or 'nothing known yet'}" for one in view.libraries if _is_open(one)]
    return f"there is no {which} yet; still open are: {'; '.join(open_still) or 'no library'}"


def _is_open(library: LibraryFacts) -> bool:
    return library.verdict not in {"verified_absent", "unverifiable"}
