"""The chain as the database keeps it, and erasures as they are read from it."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from syncsvc.model.receipt_form import BEGINNING, Kind, ReceiptError, digest
from syncsvc.store import Store
from syncsvc.store.erased import Place
from syncsvc.store.receipts import About, Head, Signed
from syncsvc.store.tables import receipts
from tests.conftest import MovableClock
from tests.flow.receipt_ground import found_out, open_erasure


def append(store: Store, now: datetime, erasure: str | None = "e" * 32, library: str | None = None) -> Head:
    with store.transaction() as tx:
        head = tx.receipts.lock()
        body = b'{"number":%d}' % (head.number + 1)
        about = About(Kind.RETIRED if library else Kind.VERIFIED, erasure, library)
        tx.receipts.append(Signed(about, head.number + 1, now, body, digest(body), "signature", "key"))
        return tx.receipts.head()


def test_the_head_is_the_newest(store: Store, clock: MovableClock) -> None:
    with store.reading() as tx:
        assert tx.receipts.head() == Head(0, BEGINNING)

    assert append(store, clock()).number == 1
    assert append(store, clock()) == Head(2, digest(b'{"number":2}'))


def test_the_chain_is_read_in_its_order_page_by_page(store: Store, clock: MovableClock) -> None:
    for _ in range(5):
        append(store, clock())

    with store.reading() as tx:
        pages = [[one.number for one in tx.receipts.page(after=after, limit=2)] for after in (0, 2, 4, 5)]

    assert pages == [[1, 2], [3, 4], [5], []]


def test_receipts_are_found_by_what_they_are_about(store: Store, clock: MovableClock) -> None:
    append(store, clock(), "a" * 32)
    append(store, clock(), "a" * 32)
    append(store, clock(), None, "gate")

    with store.reading() as tx:
        newest, retired = tx.receipts.newest("a" * 32), tx.receipts.of_library("gate")
        assert newest is not None
        assert retired is not None
        assert (newest.number, retired.number) == (2, 3)
        assert tx.receipts.newest("a" * 32, Kind.CONFIRMED) is None
        assert tx.receipts.kinds(["a" * 32, "b" * 32]) == {"a" * 32: [(1, "verified"), (2, "verified")]}


def test_a_number_is_given_once(store: Store, clock: MovableClock) -> None:
    append(store, clock())

    with pytest.raises(IntegrityError), store.transaction() as tx:  # noqa: PT012
        body = b"{}"
        tx.receipts.append(Signed(About(Kind.VERIFIED), 1, clock(), body, digest(body), "signature", "key"))


def test_a_receipt_that_was_damaged_in_the_database_is_named(store: Store, clock: MovableClock) -> None:
    append(store, clock())
    with store.transaction() as tx:
        tx._connection.execute(update(receipts).values(body='{"number'))

    with pytest.raises(ReceiptError, match="receipt 1 was damaged"), store.reading() as tx:
        tx.receipts.page(after=0, limit=10)


def test_what_waits_is_taken_oldest_first(store: Store) -> None:
    with store.transaction() as tx:
        assert (tx.receipts.any_waiting(), tx.receipts.count_waiting()) == (False, 0)
        for number in range(3):
            tx.receipts.wait(About(Kind.OVERDUE, f"{number:032x}"), {"number": number})

    with store.transaction() as tx:
        some = tx.receipts.waiting(2)
        assert [(one.about.kind, one.facts["number"]) for one in some] == [("overdue", 0), ("overdue", 1)]
        for one in some:
            tx.receipts.taken(one)

    with store.reading() as tx:
        assert (tx.receipts.any_waiting(), tx.receipts.count_waiting()) == (True, 1)


def test_what_is_done_afterwards_is_done_only_after_a_commit(store: Store) -> None:
    done: list[str] = []
    with store.transaction() as tx:
        tx.afterwards(lambda: done.append("committed"))
        assert done == []
    with pytest.raises(ZeroDivisionError), store.transaction() as tx:  # noqa: PT012
        tx.afterwards(lambda: done.append("rolled back"))
        raise ZeroDivisionError

    assert done == ["committed"]


def test_pages_of_erasures_leave_nobody_out_who_departed_at_the_same_moment(store: Store, clock: MovableClock) -> None:
    ids = [f"{number:032x}" for number in range(7)]
    for number, one in enumerate(ids):
        open_erasure(store, clock() + timedelta(hours=number // 3), one, f"person-{number}", one)

    found: list[str] = []
    after: Place | None = None
    with store.reading() as tx:
        while page := tx.erased.page(state=None, who=None, after=after, limit=2, now=clock()):
            found += [one.id for one in page]
            after = Place(page[-1].opened_at, page[-1].id)

    assert found == ids[::-1]


def test_a_library_that_nobody_knows_any_more_still_has_its_verdict(store: Store, clock: MovableClock) -> None:
    open_erasure(store, clock())
    found_out(store, "gone", verdict="unverifiable", reason="it was taken out of the configuration")

    with store.reading() as tx:
        facts = tx.erased.facts("e" * 32)
        assert facts is not None
        assert [(one.name, one.vendor, one.verdict) for one in facts.libraries] == [("gone", "unknown", "unverifiable")]
        assert tx.erased.facts("f" * 32) is None
