"""Query plans: what every errand and every sweep asks for is found by an index, however many people there are."""

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, insert, text

from syncsvc.model.people import PersonId, Revision
from syncsvc.store import Store, Transaction
from syncsvc.store.attention import Part, Place
from syncsvc.store.rows import Want
from syncsvc.store.tables import bindings, changes, deliveries, faces, people, photos
from syncsvc.store.vault import VaultError
from tests.conftest import MovableClock
from tests.store.ground import ALICE, GATE, LEASE, LEFT, YARD, Table, enter

ROWS = 4000
ASKS: dict[str, Callable[[Transaction, MovableClock], Any]] = {
    "claim": lambda tx, clock: tx.deliveries.claim(GATE, [1, 2, 3], lease="m", now=clock(), until=clock() + LEASE),
    "claim_more": lambda tx, clock: tx.deliveries.claim_more(
        GATE, "delete", 50, lease="m", now=clock(), until=clock() + LEASE
    ),
    "ring": lambda tx, clock: tx.deliveries.ring(GATE, 20, now=clock(), until=clock() + timedelta(seconds=5)),
    "busy": lambda tx, clock: tx.deliveries.busy(GATE, clock()),
    "leased": lambda tx, clock: tx.deliveries.leased(GATE, clock()),
    "exhaust": lambda tx, clock: tx.deliveries.exhaust(clock()),
    "unsettled": lambda tx, _: tx.deliveries.unsettled(),
    "oldest_wait": lambda tx, _: tx.deliveries.oldest_wait(),
    "of_person": lambda tx, _: tx.deliveries.of_person(PersonId("person-7")),
    "in_doubt": lambda tx, _: tx.deliveries.in_doubt([PersonId("person-7")]),
    "ever_told": lambda tx, _: tx.deliveries.ever_told([PersonId("person-7"), PersonId("person-8")]),
    "anything_due": lambda tx, clock: tx.listings.anything_due([GATE, YARD], clock()),
    "busy_in": lambda tx, clock: tx.deliveries.busy_in([GATE, YARD], clock()),
    "want": lambda tx, clock: tx.deliveries.want(
        [
            Want(library, PersonId("person-7"), "replace", Revision(2), 1, clock(), clock() + timedelta(seconds=5))
            for library in (GATE, YARD)
        ],
        clock(),
    ),
    "pending_of": lambda tx, _: tx.changes.pending_of([PersonId("person-7")]),
    "held_changes": lambda tx, _: tx.changes.held(limit=10),
    "held_of": lambda tx, _: tx.changes.held_of([PersonId("person-7")]),
    "count_held": lambda tx, _: tx.changes.count_held(),
    "expired": lambda tx, clock: tx.people.expired(clock(), 10),
    "where": lambda tx, _: tx.removing.where([PersonId("person-7")], hold=True),
    "lately": lambda tx, clock: tx.removing.lately([GATE, YARD], clock() - timedelta(days=1), 51),
    "due_changes": lambda tx, clock: tx.changes.due(clock(), 10),
    "versions": lambda tx, _: tx.versions.of([PersonId("person-7")], ["hr"]),
    "look_again": lambda tx, clock: tx.deliveries.look_again(7, clock()),
    "held": lambda tx, _: tx.bindings.held(GATE, [PersonId("person-7"), PersonId("person-8")]),
    "wanted": lambda tx, _: tx.people.wanted({PersonId("person-7"): Revision(1)}, pictures=True),
    "foreign": lambda tx, _: tx.situations.foreign(GATE, [PersonId("person-7")]),
    "forget_unused": lambda tx, _: tx.photos.forget_unused([_digest(7)]),
    "attention": lambda tx, clock: tx.attention.read(Part(GATE, "refused"), after=Place(clock(), 7), limit=10),
    "reopen": lambda tx, clock: tx.attention.reopen(Part(GATE, "exhausted"), after=None, limit=10, now=clock()),
    "census": lambda tx, _: tx.census.page(after=PersonId("person-7"), limit=10),
    "enter": lambda tx, clock: enter(tx, "hr", "1", kind="x", person=ALICE, version=None, now=clock()),
}


@pytest.fixture
def crowd(table: Table) -> Table:
    """Thousands of people in two libraries: nearly all synced, some due, few under way."""
    now = table.clock()
    instants = {"wanted_at": now, "rank": now, "due_at": now}
    owed: list[dict[str, Any]] = [
        {
            "library": library,
            "person_id": f"person-{number}",
            "wanted": 1,
            "wanted_faces": 1,
            "verb": "delete" if number % 40 == 0 else "replace",
            "state": "due" if number % 20 == 0 else "synced",
            "busy_until": now + LEASE if number % 1000 == 0 else None,
            "leased_until": now + LEASE if number % 1000 == 0 else None,
            **instants,
        }
        for library in (GATE, YARD)
        for number in range(ROWS)
    ]
    with table.store.transaction() as tx:
        execute = tx._connection.execute
        somebody = [
            {"id": f"person-{number}", "key": f"person-{number}", "revision": 1, "changed_at": now}
            for number in range(ROWS)
        ]
        execute(insert(people), somebody)
        execute(insert(photos), [_photo(number, table.clock) for number in range(ROWS)])
        execute(insert(faces), [_face(number) for number in range(ROWS)])
        execute(insert(deliveries), owed)
        execute(insert(bindings), [_binding(row, table.clock) for row in owed])
        execute(insert(changes), [_change(number, table.clock) for number in range(ROWS)])
    with table.store.transaction() as tx:
        tx._connection.execute(text("ANALYZE"))
    return table


def _digest(number: int) -> Any:
    return f"{number:064x}"


def _photo(number: int, clock: MovableClock) -> dict[str, Any]:
    sides = {"media_type": "image/jpeg", "width": 300, "height": 300}
    return {"digest": _digest(number), "kind": "photo", "sealed": bytes(40), "stored_at": clock(), **sides}


def _face(number: int) -> dict[str, Any]:
    return {"person_id": f"person-{number}", "face_id": LEFT, "digest": _digest(number), "revision": 1}


def _change(number: int, clock: MovableClock) -> dict[str, Any]:
    waits = number % 500 == 0
    return {
        "id": f"{number:032x}",
        "source": "hr",
        "source_id": f"message-{number}",
        "kind": "person.departed",
        "person_id": f"person-{number}",
        "received_at": clock(),
        "effect": "waiting" if waits else "applied",
        "effective_at": clock() + timedelta(days=number) if waits else None,
    }


def _binding(row: dict[str, Any], clock: MovableClock) -> dict[str, Any]:
    ids = {"library": row["library"], "person_id": row["person_id"], "vendor_face_id": f"v-{row['person_id']}"}
    return {**ids, "bound_at": clock()}


def plans_of(store: Store, clock: MovableClock, ask: Callable[[Transaction, MovableClock], Any]) -> list[str]:
    """How the database goes about each statement of `ask`."""
    asked: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:  # noqa: FBT001
        asked.append((statement, parameters[0] if many and isinstance(parameters, list) else parameters))

    with store.transaction() as tx:
        event.listen(store.engine, "before_cursor_execute", note)
        try:
            with suppress(VaultError):  # the pictures are zeros, which is not the point here
                ask(tx, clock)
        finally:
            event.remove(store.engine, "before_cursor_execute", note)
        explain = "EXPLAIN " if store.engine.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN "
        return [
            "\n".join(str(tuple(row)) for row in tx._connection.exec_driver_sql(explain + statement, parameters))
            for statement, parameters in asked
            if not statement.startswith(("BEGIN", "EXPLAIN"))
        ]


def test_nothing_that_runs_for_every_errand_reads_a_whole_table(crowd: Table) -> None:
    plans = {name: plans_of(crowd.store, crowd.clock, ask) for name, ask in ASKS.items()}

    assert all(plans.values())
    assert {name: reads for name, those in plans.items() if (reads := whole_reads(those))} == {}


def whole_reads(plans: list[str]) -> list[str]:
    """The lines that read one of the large tables from end to end; small ones are read as the database likes."""
    return [line for plan in plans for line in plan.splitlines() if _WHOLE.search(line) and "USING" not in line]


_WHOLE = re.compile(r"(Seq Scan on|SCAN) (deliveries|people|faces|photos|bindings|changes)\b")


def test_a_limit_is_a_limit_whatever_the_plan(crowd: Table) -> None:
    with crowd.store.transaction() as tx:
        rung = tx.deliveries.ring(GATE, 7, now=crowd.clock(), until=crowd.clock() + timedelta(seconds=5))
        more = tx.deliveries.claim_more(
            GATE, "delete", 7, lease="m", now=crowd.clock(), until=crowd.clock() + timedelta(seconds=45)
        )

    assert (len(rung), len(more)) == (7, 7)


@pytest.mark.parametrize("name", ["ring", "claim_more"])
def test_what_is_taken_is_found_by_its_id_and_not_by_walking_what_is_due(crowd: Table, name: str) -> None:
    _, taken = plans_of(crowd.store, crowd.clock, ASKS[name])

    assert "ix_deliveries_open" not in taken


@pytest.mark.parametrize("name", ["ring", "claim_more"])
def test_what_is_most_urgent_is_found_in_order_and_not_sorted_out_of_a_library(crowd: Table, name: str) -> None:
    plan, *_ = plans_of(crowd.store, crowd.clock, ASKS[name])

    if crowd.store.engine.dialect.name == "sqlite":
        assert "ix_deliveries_open" in plan
        assert "TEMP B-TREE" not in plan
    else:
        assert "ix_deliveries_open" in plan or "ix_deliveries_unsettled" in plan  # its choice, by what is rarer
