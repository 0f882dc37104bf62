"""Bindings, inbox, attempts, situations and libraries: what each table's verbs promise."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

from sqlalchemy import select

from syncsvc.model.people import Digest, HeldFace, LibraryName, PersonId, Revision, VendorFaceId, VendorImageId
from syncsvc.model.situations import Finding, Situation
from syncsvc.store import Store
from syncsvc.store.attempts import Attempt
from syncsvc.store.bindings import Became
from syncsvc.store.changes import Closing
from syncsvc.store.tables import bindings as bindings_table
from tests.conftest import MovableClock
from tests.store import ground
from tests.store.ground import ALICE, BOB, GATE, LEFT, RIGHT, YARD, Table

ONE = HeldFace(VendorFaceId("v1"), VendorImageId("i1"), LEFT, Digest("d1"))
TWO = HeldFace(VendorFaceId("v2"), None, RIGHT, Digest("d2"))
STRAY = HeldFace(VendorFaceId("v3"))


# --- bindings -----------------------------------------------------------------------------------------------------


def test_what_is_held_is_what_was_last_written_down(store: Store, clock: MovableClock) -> None:
    with store.transaction() as tx:
        tx.bindings.settle([Became(GATE, ALICE, (), (ONE, TWO))], clock())
        tx.bindings.settle([Became(GATE, ALICE, (ONE, TWO), (TWO, STRAY))], clock())
        tx.bindings.settle([Became(YARD, ALICE, (), (ONE,))], clock())

        held = tx.bindings.held(GATE, [ALICE, BOB])

    assert set(held[ALICE]) == {TWO, STRAY}
    assert held[BOB] == ()


def test_no_vendor_id_is_ever_forgotten(store: Store, clock: MovableClock) -> None:
    with store.transaction() as tx:
        tx.bindings.settle([Became(GATE, ALICE, (), (ONE,))], clock())
        tx.bindings.settle([Became(GATE, ALICE, (ONE,), ())], clock())

        rows = tx._connection.execute(select(bindings_table)).all()

    assert [(row.vendor_face_id, row.removed_at) for row in rows] == [("v1", clock())]


def test_a_face_that_comes_back_under_its_old_id_is_held_again(store: Store, clock: MovableClock) -> None:
    renewed = replace(ONE, digest=Digest("d9"))
    with store.transaction() as tx:
        tx.bindings.settle([Became(GATE, ALICE, (), (ONE,))], clock())
        tx.bindings.settle([Became(GATE, ALICE, (ONE,), ())], clock())
        tx.bindings.settle([Became(GATE, ALICE, (), (renewed,))], clock())
        back = tx.bindings.held(GATE, [ALICE])[ALICE]
        tx.bindings.settle([Became(GATE, ALICE, (renewed,), (ONE,))], clock())

        swapped = tx.bindings.held(GATE, [ALICE])[ALICE]

    assert (back, swapped) == ((renewed,), (ONE,))


def test_what_another_wrote_in_the_meantime_is_not_unbound(store: Store, clock: MovableClock) -> None:
    with store.transaction() as tx:
        tx.bindings.settle([Became(GATE, ALICE, (), (ONE,))], clock())
        tx.bindings.settle([Became(GATE, ALICE, (ONE,), (ONE, TWO))], clock())

        tx.bindings.settle([Became(GATE, ALICE, (ONE,), (ONE, STRAY))], clock())

        assert set(tx.bindings.held(GATE, [ALICE])[ALICE]) == {ONE, TWO, STRAY}


def test_the_same_vendor_id_under_two_people_is_two_bindings(store: Store, clock: MovableClock) -> None:
    with store.transaction() as tx:
        tx.bindings.settle([Became(GATE, ALICE, (), (ONE,))], clock())
        tx.bindings.settle([Became(GATE, BOB, (), (ONE,))], clock())
        tx.bindings.settle([Became(GATE, BOB, (ONE,), ())], clock())

        assert tx.bindings.held(GATE, [ALICE, BOB]) == {ALICE: (ONE,), BOB: ()}


def test_only_what_was_read_counts_as_verified(store: Store, clock: MovableClock) -> None:
    with store.transaction() as tx:
        tx.bindings.settle([Became(GATE, ALICE, (), (ONE, TWO))], clock())
        tx.bindings.verify(GATE, ALICE, (TWO,), clock())
        tx.bindings.verify(GATE, ALICE, (), clock())

        found = tx.bindings.of_person(ALICE)

    assert dict(found[GATE]) == {ONE: None, TWO: clock()}


# --- inbox --------------------------------------------------------------------------------------------------------


def test_what_a_source_says_twice_is_entered_once(store: Store, clock: MovableClock) -> None:
    def enter(source: str, source_id: str) -> str | None:
        with store.transaction() as tx:
            return ground.enter(tx, source, source_id, kind="person.departed", person=ALICE, version=3, now=clock())

    first = enter("hr", "1")
    with store.transaction() as tx:
        assert first is not None
        tx.changes.close([Closing(first, "applied", None)])

    assert enter("hr", "1") is None
    assert enter("hr", "2") is not None
    assert enter("scim", "1") is not None
    with store.reading() as tx:
        entry = tx.changes.said_before("hr", "1")
        assert tx.changes.get(first) == entry
        assert tx.changes.get("nothing") is None
    assert (entry.id, entry.effect, entry.person, entry.received_at) == (first, "applied", ALICE, clock())


def test_of_many_who_say_the_same_at_once_one_is_entered(store: Store, clock: MovableClock) -> None:
    def enter(_: int) -> str | None:
        with store.transaction() as tx:
            return ground.enter(tx, "hr", "same", kind="person.departed", person=ALICE, version=None, now=clock())

    with ThreadPoolExecutor(6) as pool:
        entered = [one for one in pool.map(enter, range(12)) if one is not None]

    assert len(entered) == 1


# --- attempts -----------------------------------------------------------------------------------------------------


def test_attempts_are_told_newest_first(store: Store, clock: MovableClock) -> None:
    calls: list[dict[str, object]] = [{"operation": "add", "outcome": "ok"}]
    attempt = Attempt(GATE, ALICE, "replace", Revision(3), 1, clock(), 0.25, "deferred", "throttled", "slow", calls)
    with store.transaction() as tx:
        tx.attempts.log([])
        tx.attempts.log([attempt, replace(attempt, number=2), replace(attempt, library=YARD, number=9)])

    with store.reading() as tx:
        everything = tx.attempts.of_person(ALICE)
        assert tx.attempts.of_person(BOB) == []
        assert tx.attempts.of_person(ALICE, library=GATE, limit=1) == [replace(attempt, number=2)]
    assert [one.number for one in everything] == [9, 2, 1]
    assert everything[-1] == attempt


# --- situations ---------------------------------------------------------------------------------------------------


def test_a_situation_stays_until_it_is_mended_and_a_foreign_face_longer(store: Store, clock: MovableClock) -> None:
    findings = [
        Finding(Situation.STRAY, VendorFaceId("v1"), "ours"),
        Finding(Situation.FOREIGN, VendorFaceId("v2"), "not ours"),
        Finding(Situation.DISPUTED, None, "a count"),
    ]
    with store.transaction() as tx:
        tx.situations.note(GATE, ALICE, findings, clock())
        tx.situations.note(YARD, ALICE, findings[:1], clock())
        assert tx.situations.foreign(GATE, [ALICE, BOB]) == {ALICE: frozenset({"v2"}), BOB: frozenset()}
        assert tx.situations.counts()[GATE, Situation.STRAY] == 1

        tx.situations.clear(GATE, ALICE)

        left = tx.situations.of_person(ALICE)
    assert {(one.library, one.finding.situation) for one in left} == {
        (GATE, Situation.FOREIGN),
        (YARD, Situation.STRAY),
    }


def test_what_is_noted_again_says_the_latest(store: Store, clock: MovableClock) -> None:
    with store.transaction() as tx:
        tx.situations.note(GATE, ALICE, [Finding(Situation.DISPUTED, None, "first")], clock())
        tx.situations.note(GATE, ALICE, [Finding(Situation.DISPUTED, None, "second")], clock())

        (noted,) = tx.situations.of_person(ALICE)

    assert noted.finding == Finding(Situation.DISPUTED, None, "second")


# --- libraries ----------------------------------------------------------------------------------------------------


def test_the_table_follows_the_configuration_and_loses_nothing(table: Table) -> None:
    with table.store.transaction() as tx:
        tx.libraries.set_state(GATE, "halted", table.clock(), reason="why", detail="so")
        tx.libraries.declare({YARD: ("elm", "observe")}, table.clock())

        gate, yard = tx.libraries.all()
        receiving = tx.libraries.receiving()
        nobody = tx.libraries.get(LibraryName("nowhere"))

    assert (gate.configured, gate.state, gate.reason) == (False, "halted", "why")
    assert (yard.configured, yard.vendor, yard.policy) == (True, "elm", "observe")
    assert receiving == []
    assert nobody is None


def test_halting_is_told_once(table: Table) -> None:
    with table.store.transaction() as tx:
        told = [tx.libraries.set_state(GATE, "halted", table.clock(), reason="401") for _ in range(3)]

    assert told == [True, False, False]


def test_activating_closes_the_breaker(table: Table) -> None:
    with table.store.transaction() as tx:
        tx.libraries.note_failure(GATE, table.clock(), probe=False)
        tx.libraries.open_breaker(GATE, table.clock() + timedelta(hours=1))
        tx.libraries.set_state(GATE, "paused", table.clock())
        tx.libraries.set_state(GATE, "active", table.clock())

        state = tx.libraries.get(GATE)

    assert state is not None
    assert (state.state, state.failures, state.open_until) == ("active", 0, None)


def test_while_the_breaker_is_open_only_a_probes_failure_counts(table: Table) -> None:
    now = table.clock()
    with table.store.transaction() as tx:
        counted = [tx.libraries.note_failure(GATE, now, probe=False) for _ in range(5)]
        tx.libraries.open_breaker(GATE, now + timedelta(seconds=5))

        late = tx.libraries.note_failure(GATE, now, probe=False)
        probed = tx.libraries.note_failure(GATE, now, probe=True)

    assert counted == [1, 2, 3, 4, 5]
    assert (late, probed) == (None, 6)


def test_one_probe_goes_and_the_others_wait_for_it(table: Table) -> None:
    with table.store.transaction() as tx:
        tx.libraries.open_breaker(GATE, table.clock() + timedelta(seconds=5))
    table.clock.advance(5)
    until = table.clock() + timedelta(seconds=30)

    def probe(_: int) -> bool:
        with table.store.transaction() as tx:
            return tx.libraries.take_probe(GATE, table.clock(), until)

    with ThreadPoolExecutor(4) as pool:
        goes = list(pool.map(probe, range(8)))

    assert sum(goes) == 1
    with table.store.transaction() as tx:
        tx.libraries.return_probe(GATE, table.clock())
    assert probe(0)


def test_an_answer_closes_the_breaker(table: Table) -> None:
    with table.store.transaction() as tx:
        tx.libraries.note_failure(GATE, table.clock(), probe=False)
        tx.libraries.open_breaker(GATE, table.clock() + timedelta(hours=1))
        tx.libraries.note_answer(GATE)

        state = tx.libraries.get(GATE)

    assert state is not None
    assert (state.failures, state.open_until) == (0, None)


def test_a_person_is_never_in_two_librarys_answers(store: Store, clock: MovableClock) -> None:
    with store.transaction() as tx:
        tx.bindings.settle([Became(GATE, PersonId("a"), (), (ONE,))], clock())
        tx.bindings.settle([Became(YARD, PersonId("a"), (), (TWO,))], clock())

        assert tx.bindings.held(YARD, [PersonId("a")]) == {PersonId("a"): (TWO,)}
