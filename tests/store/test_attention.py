"""Stuck deliveries as rows: found in order, reopened once, waiting for nobody."""

import threading
from datetime import datetime, timedelta

import pytest
from sqlalchemy import update

from syncsvc.model.people import PersonId
from syncsvc.store.attention import Part, Place
from syncsvc.store.tables import deliveries
from tests.store.ground import GATE, YARD, Table

REFUSED = Part(GATE, "refused")


def stick(table: Table, person: str, *, at: datetime | None = None, state: str = "refused", reason: str = "r") -> int:
    owed = table.owe(PersonId(person))
    with table.store.transaction() as tx:
        values = {"state": state, "reason": reason, "detail": "words", "face_id": "left", "attempts": 3}
        mine = update(deliveries).where(deliveries.c.id == owed)
        tx._connection.execute(mine.values(due_at=at or table.clock(), **values))
    return owed


def reopen(
    table: Table, part: Part = REFUSED, *, after: Place | None = None, limit: int = 10
) -> tuple[int, Place | None]:
    with table.store.transaction() as tx:
        return tx.attention.reopen(part, after=after, limit=limit, now=table.clock())


def read(table: Table, part: Part = REFUSED, *, after: Place | None = None, limit: int = 10) -> list[int]:
    with table.store.reading() as tx:
        return [one.id for one in tx.attention.read(part, after=after, limit=limit)]


def test_they_are_read_by_age_and_then_by_number(table: Table) -> None:
    now = table.clock()
    late, early, same = (
        stick(table, name, at=now + timedelta(seconds=s)) for name, s in (("a", 9), ("b", 1), ("c", 1))
    )
    stick(table, "d", state="exhausted")
    table.owe(PersonId("e"))
    table.owe(PersonId("f"), library=YARD)

    assert read(table) == [early, same, late]
    assert read(table, limit=1) == [early]
    assert read(table, after=Place(now + timedelta(seconds=1), early)) == [same, late]
    assert read(table, after=Place(now + timedelta(seconds=1), same)) == [late]
    assert read(table, Part(GATE, "refused", since=now + timedelta(seconds=2))) == [late]
    assert read(table, Part(YARD, "refused")) == []


def test_what_is_reopened_is_as_if_it_had_just_been_wanted(table: Table) -> None:
    owed = stick(table, "a")
    table.clock.advance(60)

    assert reopen(table) == (1, None)

    row = table.row(owed)
    assert (row.state, row.attempts, row.reason, row.detail, row.face_id) == ("due", 0, None, None, None)
    assert (row.due_at, row.wanted_at) == (table.clock(), table.clock())
    assert [one.id for one in table.claim(owed)] == [owed]


@pytest.mark.parametrize(("state", "doubted", "becomes"), [("exhausted", None, "doubtful"), ("refused", 1, "doubtful")])
def test_what_may_have_ended_in_the_middle_is_looked_at_first(
    table: Table, state: str, doubted: int | None, becomes: str
) -> None:
    owed = stick(table, "a", state=state)
    with table.store.transaction() as tx:
        tx._connection.execute(update(deliveries).values(doubted_revision=doubted, doubted_adds=doubted or 0))

    reopen(table, Part(GATE, "exhausted" if state == "exhausted" else "refused"))

    row = table.row(owed)
    assert (row.state, row.doubted_revision, row.doubted_adds) == (becomes, doubted, doubted or 0)


def test_departures_go_before_repairs(table: Table) -> None:
    repair, departure = stick(table, "a"), stick(table, "b")
    with table.store.transaction() as tx:
        tx._connection.execute(update(deliveries).where(deliveries.c.id == departure).values(wanted_faces=0))

    reopen(table)

    assert table.ring(2) == [departure, repair]


def test_a_batch_goes_on_where_the_last_one_ended(table: Table) -> None:
    for number in range(5):
        stick(table, f"p{number}")

    counts, place, first = [], None, True
    while place or first:
        count, place = reopen(table, after=place, limit=2)
        counts.append(count)
        first = False

    assert counts == [2, 2, 1]


def test_what_ended_after_the_beginning_is_left_for_the_next_time(table: Table) -> None:
    stick(table, "a", at=table.clock() + timedelta(seconds=1))

    assert reopen(table) == (0, None)


def test_what_somebody_else_is_writing_is_passed_over_and_not_waited_for(table: Table, database: str) -> None:
    if database == "sqlite":
        pytest.skip("SQLite has one writer: nobody else is writing")
    taken, left = stick(table, "a"), stick(table, "b")
    counts: list[int] = []

    with table.store.transaction() as tx:
        tx._connection.execute(update(deliveries).where(deliveries.c.id == taken).values(verb="delete"))
        other = threading.Thread(target=lambda: counts.append(reopen(table)[0]))
        other.start()
        other.join(timeout=20)

    assert counts == [1]
    assert [table.row(owed).state for owed in (taken, left)] == ["refused", "due"]
