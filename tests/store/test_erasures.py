"""What is written of erasures: opened for all libraries that ever knew the person, leased, and written once."""

from dataclasses import replace
from datetime import timedelta

from syncsvc.model.erasures import Verdict
from syncsvc.model.people import HeldFace, LibraryName, Revision, VendorFaceId
from syncsvc.store.bindings import Became
from syncsvc.store.rows import Want
from tests.store.ground import ALICE, BOB, GATE, YARD, Table

MINUTE = timedelta(minutes=1)


def opened(table: Table, *, told: bool = True) -> str:
    """Alice's erasure: the gate was told of her, the yard had a face of hers and has it no more."""
    now = table.clock()
    with table.store.transaction() as tx:
        tx.libraries.declare({GATE: ("finauth", "sync"), YARD: ("sophon", "sync")}, now)
        tx.people.lock_all([ALICE, BOB], now)
    if told:
        face = (HeldFace(VendorFaceId("v1")),)
        with table.store.transaction() as tx:
            tx.deliveries.want([Want(GATE, ALICE, "replace", Revision(1), 1, now)], now)
            tx.bindings.settle([Became(YARD, ALICE, (), face)], now)
            tx.bindings.settle([Became(YARD, ALICE, face, ())], now)
    with table.store.transaction() as tx:
        tx.erasures.open({ALICE: Revision(2)}, now)
        return tx.erasures.of_person(ALICE)[0].id


def test_it_covers_every_library_that_was_told_or_ever_had_a_face(table: Table) -> None:
    erasure = opened(table)

    with table.store.reading() as tx:
        found = {one.library: (one.faces, one.verdict) for one in tx.erasures.libraries(erasure)}
        whole = tx.erasures.get(erasure)
    assert found == {GATE: (0, None), YARD: (1, None)}
    assert whole is not None
    assert (whole.state, whole.due_at - whole.opened_at) == ("open", timedelta(hours=72))


def test_what_is_leased_is_nobody_elses_until_the_lease_is_over(table: Table) -> None:
    opened(table)
    table.clock.advance(60)
    now = table.clock()
    with table.store.transaction() as tx:
        first = tx.erasures.take(now, now + MINUTE, 1)
    with table.store.transaction() as tx:
        second = tx.erasures.take(now, now + MINUTE, 10)
    with table.store.transaction() as tx:
        third = tx.erasures.take(now, now + MINUTE, 10)
    table.clock.advance(61)
    with table.store.transaction() as tx:
        again = tx.erasures.take(table.clock(), table.clock() + MINUTE, 10)

    assert {one.library for one in first + second} == {GATE, YARD}
    assert (len(first), len(second), third, len(again)) == (1, 1, [], 2)


def test_whoever_lost_the_lease_writes_nothing(table: Table) -> None:
    erasure = opened(table)
    table.clock.advance(60)
    with table.store.transaction() as tx:
        (old, _) = tx.erasures.take(table.clock(), table.clock() + MINUTE, 10)
    table.clock.advance(61)
    with table.store.transaction() as tx:
        (new, _) = tx.erasures.take(table.clock(), table.clock() + MINUTE, 10)
    done = replace(new, verdict=Verdict.VERIFIED_ABSENT, method="looked", check_at=None)

    with table.store.transaction() as tx:
        late = tx.erasures.put(old, replace(old, verdict=Verdict.UNREACHABLE))
        written = tx.erasures.put(new, done)
        again = tx.erasures.put(new, done)

    assert (late, written, again) == (False, True, False)
    with table.store.reading() as tx:
        found = {one.library: one for one in tx.erasures.libraries(erasure)}[new.library]
    assert found == done


def test_an_answer_brings_the_reading_forward_and_never_puts_it_off(table: Table) -> None:
    erasure = opened(table)
    soon = table.clock() + timedelta(seconds=5)

    with table.store.transaction() as tx:
        tx.erasures.answered(GATE, [ALICE, BOB], soon)
        tx.erasures.answered(GATE, [ALICE], soon + MINUTE)

    with table.store.reading() as tx:
        checks = {one.library: one.check_at for one in tx.erasures.libraries(erasure)}
    assert checks[GATE] == soon
    assert checks[LibraryName("yard")] == table.clock() + timedelta(seconds=10)


def test_whom_no_library_ever_knew_is_to_be_looked_at_as_a_whole_at_once(table: Table) -> None:
    erasure = opened(table, told=False)

    with table.store.reading() as tx:
        assert tx.erasures.libraries(erasure) == []
        assert tx.erasures.due(table.clock(), 10) == [erasure]


def test_what_is_not_confirmed_is_counted_and_what_is_late(table: Table) -> None:
    erasure = opened(table)
    later = table.clock() + timedelta(hours=73)

    with table.store.transaction() as tx:
        before = tx.erasures.unfinished(later), tx.erasures.late()
        tx.erasures.amend(erasure, check_at=None, warned_at=later)
        warned = tx.erasures.late()
        tx.erasures.amend(erasure, check_at=None, state="confirmed")
        after = tx.erasures.unfinished(later), tx.erasures.late()

    assert before == (({"open": 1, "verified": 0}, 1), 0)
    assert warned == 1
    assert after == (({"open": 0, "verified": 0}, 0), 0)
