"""Receipts: written down with what they attest, signed, each chained to the one before.

Without a receipt key nothing is lost: what is to be said is kept as it stood then, and signed when there is one.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache, partial
from importlib.metadata import version
from typing import Any

import structlog

from syncsvc.flow.house import House
from syncsvc.flow.signing import Signer
from syncsvc.model.errors import NotFoundError
from syncsvc.model.people import LibraryName
from syncsvc.model.receipt_form import Envelope, Kind, digest
from syncsvc.model.receipts import chained, erasure_facts, retirement_facts
from syncsvc.store import Transaction
from syncsvc.store.receipts import About, Head, Signed

AT_ONCE = 100  # receipts signed in one transaction, or read in one

log = structlog.get_logger(__name__)


def issue(tx: Transaction, house: House, erasure_id: str, kind: str, now: datetime) -> None:
    """Say what is known of an erasure as this transaction leaves it; `kind`: verified, confirmed or overdue.

    It is signed and appended, or waits for a key. The end of the chain stays locked until the transaction has ended,
    so it must have its locks of rows before. Raises NotFoundError for an erasure that nobody opened.
    """
    why = Kind(kind)
    known = tx.erased.facts(erasure_id)
    if known is None:
        raise NotFoundError("no erasure has such an id")
    _say(tx, house, About(why, erasure=erasure_id), erasure_facts(known, why, now), now)


def issue_retirement(
    tx: Transaction, house: House, library: LibraryName, content: Mapping[str, Any], now: datetime
) -> None:
    """Say what was found when a library was retired, in the same chain.

    `content` is made of text, whole numbers, yes and no, None, instants, lists and mappings, and names no person.
    Raises ReceiptError for anything else, as a fraction.
    """
    _say(tx, house, About(Kind.RETIRED, library=library), retirement_facts(library, content, now), now)


def issue_pending(house: House) -> int:
    """Sign what waited for a key, the oldest first; returns how many. Safe to run twice, and by several at once."""
    if house.signer is None:
        return 0
    with house.store.reading() as tx:
        if not tx.receipts.any_waiting():
            return 0
    done = 0
    while count := _sign_some(house, house.signer):
        done += count
    return done


def every_receipt(house: House) -> Iterator[Envelope]:
    """The whole chain, a page at a time."""
    last = 0
    while True:
        with house.store.reading() as tx:
            page = tx.receipts.page(after=last, limit=AT_ONCE)
        yield from page
        if len(page) < AT_ONCE:
            return
        last = page[-1].number


def _say(tx: Transaction, house: House, about: About, facts: Mapping[str, Any], now: datetime) -> None:
    if house.signer is None:
        chained(facts, number=1, previous="", issued_at=now, software=software())  # what cannot be said is told now
        tx.receipts.wait(about, facts)
        fields = {"kind": about.kind.value, "erasure": about.erasure, "library": about.library}
        tx.afterwards(partial(log.warning, "receipt waits for a key", **fields))
        return
    head = tx.receipts.lock()
    if tx.receipts.any_waiting():  # what is older is signed first: the newest receipt is to say the newest
        chained(facts, number=1, previous="", issued_at=now, software=software())
        tx.receipts.wait(about, facts)
        return
    _append(tx, house.signer, head, about, facts, now=now)


def _sign_some(house: House, signer: Signer) -> int:
    now = house.clock()
    with house.store.transaction() as tx:
        head = tx.receipts.lock()
        some = tx.receipts.waiting(AT_ONCE)
        for one in some:
            head = _append(tx, signer, head, one.about, one.facts, now=now)
            tx.receipts.taken(one)
    return len(some)


def _append(
    tx: Transaction, signer: Signer, head: Head, about: About, facts: Mapping[str, Any], *, now: datetime
) -> Head:
    number = head.number + 1
    body = chained(facts, number=number, previous=head.hash, issued_at=now, software=software())
    receipt = Signed(about, number, now, body, digest(body), signer.sign(body), signer.public_key.base64)
    tx.receipts.append(receipt)
    tx.afterwards(partial(log.info, "receipt issued", number=number, kind=about.kind.value, hash=receipt.hash))
    return Head(number, receipt.hash)


@cache
def software() -> str:
    return f"syncsvc {version('syncsvc')}"
