"""Readings as rows: one at a time, in one hand, and each page written down with the place it leads to."""

import threading
from datetime import timedelta

import pytest

from syncsvc.model.listings import Completeness
from syncsvc.model.people import HeldFace, LibraryName, Listed, PersonId, VendorFaceId
from syncsvc.store.bindings import Became
from syncsvc.store.listings import ListingState, OwnChanges
from syncsvc.store.tables import listed
from tests.store.ground import ALICE, BOB, GATE, YARD, Table

MINUTE, DAY = timedelta(seconds=60), timedelta(days=1)


def begin(table: Table, library: LibraryName = GATE, cause: str = "command") -> bool:
    now = table.clock()
    with table.store.transaction() as tx:
        return tx.listings.begin(library, cause, now, count=None, given_up_before=now - DAY)


def lease(table: Table, holder: str = "me", *, dead: str | None = None) -> ListingState | None:
    now = table.clock()
    with table.store.transaction() as tx:
        return tx.listings.lease(GATE, holder, now=now, until=now + MINUTE, dead=dead)


def held(table: Table, holder: str = "me") -> ListingState:
    found = lease(table, holder)
    assert found is not None
    return found


def add(table: Table, reading: ListingState, *ids: str, cursor: str | None = "next") -> int | None:
    faces = [Listed(VendorFaceId(one), None, "key", "label") for one in ids]
    now = table.clock()
    said = None if cursor else (Completeness.COMPLETE, "")
    with table.store.transaction() as tx:
        return tx.listings.add_page(reading, faces, cursor=cursor, now=now, until=now + MINUTE, said=said)


def finish(table: Table, reading: ListingState, completeness: Completeness = Completeness.COMPLETE) -> bool:
    with table.store.transaction() as tx:
        return tx.listings.finish(reading, completeness, None, table.clock(), count=7)


def state(table: Table) -> ListingState:
    with table.store.reading() as tx:
        found = tx.listings.get(GATE)
    assert found is not None
    return found


def shown(table: Table) -> list[tuple[int, str]]:
    with table.store.reading() as tx:
        rows = tx._connection.execute(listed.select().order_by(listed.c.run, listed.c.vendor_face_id)).all()
    return [(row.run, row.vendor_face_id) for row in rows]


def bind(table: Table, person: PersonId, *ids: str, before: tuple[str, ...] = ()) -> None:
    def faces(names: tuple[str, ...]) -> tuple[HeldFace, ...]:
        return tuple(HeldFace(VendorFaceId(one)) for one in names)

    with table.store.transaction() as tx:
        tx.people.lock(person, table.clock())
        tx.bindings.settle([Became(GATE, person, faces(before), faces(ids))], table.clock())


def test_a_library_that_was_never_read_has_no_reading(table: Table) -> None:
    with table.store.reading() as tx:
        assert (tx.listings.get(GATE), tx.listings.all()) == (None, [])


def test_one_reading_at_a_time_and_each_has_the_next_number(table: Table) -> None:
    assert begin(table)
    assert not begin(table)
    assert begin(table, YARD)
    finish(table, held(table))
    assert not begin(table)

    with table.store.transaction() as tx:
        tx.comparing.move_on(GATE, 1, "done")

    assert begin(table, cause="nightly")
    fresh = state(table)
    assert (fresh.run, fresh.cause, fresh.state, fresh.completeness) == (2, "nightly", "reading", None)
    assert (fresh.pages, fresh.faces, fresh.cursor, fresh.complete_at) == (0, 0, None, table.clock())


@pytest.mark.parametrize("at", ["reading", "read", "compared", "mending"])
def test_what_nobody_went_on_with_for_a_day_is_under_way_no_more(table: Table, at: str) -> None:
    begin(table)
    if at != "reading":
        finish(table, held(table))
        with table.store.transaction() as tx:
            tx.comparing.move_on(GATE, 1, at)
    assert not begin(table)

    table.clock.advance(86_401)

    assert begin(table)


def test_a_reading_for_a_plan_is_over_when_it_is_read(table: Table) -> None:
    begin(table, cause="plan")
    assert not begin(table)

    finish(table, held(table))

    assert begin(table)


def test_a_page_and_the_place_it_leads_to_are_one_step(table: Table) -> None:
    begin(table)
    reading = held(table)

    assert add(table, reading, "a", "b", cursor="2") == 2
    assert add(table, reading, "b", "c", "c", cursor="4") == 1

    now = state(table)
    assert (now.cursor, now.pages, now.faces, now.repeated) == ("4", 2, 3, 2)
    assert shown(table) == [(1, "a"), (1, "b"), (1, "c")]


def test_a_page_may_be_larger_than_a_statement(table: Table) -> None:
    begin(table)

    assert add(table, held(table), *(f"{number:05}" for number in range(2_001))) == 2_001
    assert len(shown(table)) == 2_001


def test_the_last_page_keeps_the_vendors_word_until_it_is_judged(table: Table) -> None:
    begin(table)
    reading = held(table)
    add(table, reading, "a", cursor=None)

    assert (state(table).state, state(table).completeness) == ("reading", Completeness.COMPLETE)

    assert finish(table, reading, Completeness.SUSPECT)
    last = state(table)
    assert (last.state, last.completeness, last.count_after) == ("read", Completeness.SUSPECT, 7)
    assert (last.complete_at, last.finished_at, last.holder) == (None, table.clock(), None)


def test_the_lease_is_one_readers_until_it_runs_out(table: Table) -> None:
    begin(table)
    first = held(table)
    assert lease(table, "another") is None

    table.clock.advance(60)
    second = held(table, "another")

    assert add(table, first, "a") is None
    assert not finish(table, first)
    assert (shown(table), state(table).pages) == ([], 0)
    assert add(table, second, "a") == 1


def test_the_lease_of_the_dead_and_of_who_let_go_is_free_at_once(table: Table) -> None:
    begin(table)
    first = held(table)
    second = lease(table, "another", dead="me")
    assert second is not None

    with table.store.transaction() as tx:
        tx.listings.let_go(first)  # too late: it is another's
    assert lease(table, "third") is None
    with table.store.transaction() as tx:
        tx.listings.let_go(second)

    assert lease(table, "third") is not None


def test_a_reading_that_is_over_cannot_be_leased(table: Table) -> None:
    assert lease(table) is None
    begin(table)
    finish(table, held(table))

    assert lease(table) is None


def test_of_many_who_want_the_lease_one_gets_it(table: Table) -> None:
    begin(table)
    got: list[object] = []
    everybody = [threading.Thread(target=lambda n=n: got.append(lease(table, f"reader-{n}"))) for n in range(8)]

    for one in everybody:
        one.start()
    for one in everybody:
        one.join()

    assert len([one for one in got if one is not None]) == 1


def test_of_many_who_begin_one_does(table: Table) -> None:
    begun: list[bool] = []
    everybody = [threading.Thread(target=lambda: begun.append(begin(table))) for _ in range(8)]

    for one in everybody:
        one.start()
    for one in everybody:
        one.join()

    assert sorted(begun) == [False] * 7 + [True]


def test_earlier_readings_are_forgotten_a_batch_at_a_time(table: Table) -> None:
    for run in range(1, 4):
        begin(table)
        reading = held(table)
        add(table, reading, *(f"{number}" for number in range(4)))
        finish(table, reading)
        with table.store.transaction() as tx:
            tx.comparing.move_on(GATE, run, "done")

    gone = []
    for _ in range(4):
        with table.store.transaction() as tx:
            gone.append(tx.listings.purge_listed(GATE, 3, 3))

    assert gone == [3, 3, 2, 0]
    assert shown(table) == [(3, f"{number}") for number in range(4)]


def test_what_we_changed_meanwhile_is_counted_in_faces_and_in_people(table: Table) -> None:
    bind(table, ALICE, "a1", "a2")
    bind(table, BOB, "b1")
    since = table.clock()
    table.clock.advance(1)

    bind(table, ALICE, "a2", "a3", before=("a1", "a2"))  # one exchanged
    bind(table, BOB, before=("b1",))  # gone
    bind(table, PersonId("carol"), "c1", "c2")  # new

    with table.store.reading() as tx:
        assert tx.listings.own_changes(GATE, since) == OwnChanges(added=3, removed=2, came=1, went=1)
        assert tx.listings.own_changes(GATE, table.clock()) == OwnChanges(0, 0, 0, 0)
        assert (tx.listings.held(GATE), tx.listings.held(GATE, at=since), tx.listings.held(YARD)) == (4, 1, 0)


def test_only_listed_faces_that_we_hold_are_shown(table: Table) -> None:
    bind(table, ALICE, "a1", "a2")
    bind(table, ALICE, "a2", before=("a1", "a2"))
    begin(table)
    add(table, held(table), "a1", "a2", "foreign")

    with table.store.reading() as tx:
        assert tx.listings.shown(GATE, 1) == 1


def test_something_is_due_only_where_it_could_be_sent_now(table: Table) -> None:
    def due(*names: LibraryName) -> bool:
        with table.store.reading() as tx:
            return tx.listings.anything_due(names, table.clock())

    assert not due(GATE, YARD)
    table.owe(ALICE)
    assert due(GATE, YARD)
    assert not due(YARD)

    with table.store.transaction() as tx:
        tx.libraries.open_breaker(GATE, table.clock() + MINUTE)
    assert not due(GATE)
    table.clock.advance(60)
    assert due(GATE)

    with table.store.transaction() as tx:
        tx.libraries.set_state(GATE, "paused", table.clock())
    assert not due(GATE)
