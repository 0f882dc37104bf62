"""Wants: the latest wins, doubts and leases outlive it, and whoever waits long enough is not overtaken any more."""

from datetime import timedelta

import pytest

from syncsvc.model.people import PersonId, Revision
from syncsvc.model.report import Doubt
from syncsvc.model.urgency import Urgency, rank
from syncsvc.store.rows import Settlement, Want
from tests.store.ground import ALICE, BOB, GATE, LEASE, LEFT, RIGHT, YARD, Table, photo, set_face

PAST_THE_LEASE = LEASE.total_seconds() + 1


def test_a_newer_want_takes_the_place_of_an_older_one(table: Table) -> None:
    first = table.owe(ALICE, revision=1)

    second = table.owe(ALICE, "delete", revision=2, faces=0, urgency=Urgency.DEPARTURE)

    row = table.row(second)
    assert first == second
    assert (row.wanted, row.verb, row.state, row.wanted_faces) == (2, "delete", "due", 0)


@pytest.mark.parametrize("state", ["synced", "refused", "exhausted"])
def test_a_newer_revision_reopens_what_had_ended(table: Table, state: str) -> None:
    owed = table.owe(ALICE)
    (claimed,) = table.claim(owed, lease="m")
    table.settle(claimed, "m", Settlement(state, table.clock(), 7, "replace", reason="why", detail="so"))

    table.owe(ALICE, revision=2)

    (again,) = table.claim(owed)
    row = table.row(owed)
    assert (again.attempts, again.wanted) == (1, 2)
    assert (row.reason, row.detail, row.face_id) == (None, None, None)


def test_a_want_in_mid_flight_does_not_release_the_lease(table: Table) -> None:
    owed = table.owe(ALICE)
    table.claim(owed, lease="m")

    table.owe(ALICE, revision=2)

    assert table.claim(owed) == []
    assert table.ring(5) == []
    assert table.row(owed).lease == "m"


def test_a_want_in_mid_flight_wins_at_the_end(table: Table) -> None:
    owed = table.owe(ALICE)
    (claimed,) = table.claim(owed, lease="m")
    table.owe(ALICE, "delete", revision=2, faces=0, urgency=Urgency.DEPARTURE)

    assert table.settle(claimed, "m", table.synced())

    row = table.row(owed)
    assert (row.state, row.wanted, row.verb, row.held, row.attempts) == ("due", 2, "delete", 1, 0)
    assert row.due_at == table.clock()
    assert (row.lease, row.leased_until, row.busy_until) == (None, None, None)
    assert len(table.claim(owed)) == 1


@pytest.mark.parametrize("state", ["due", "refused", "halted"])
def test_a_want_in_mid_flight_is_not_held_up_by_how_the_old_one_ended(table: Table, state: str) -> None:
    owed = table.owe(ALICE)
    (claimed,) = table.claim(owed, lease="m")
    table.owe(ALICE, revision=2)

    later = table.clock() + timedelta(hours=1)
    table.settle(claimed, "m", Settlement(state, later, 5, "replace", reason="why", detail="so"))

    (again,) = table.claim(owed)
    assert (again.wanted, again.attempts, again.doubtful) == (2, 1, False)
    assert table.row(owed).reason is None


@pytest.mark.parametrize("state", ["doubtful", "exhausted", "refused"])
def test_a_doubt_outlives_a_want_in_mid_flight(table: Table, state: str) -> None:
    owed = table.owe(ALICE)
    (claimed,) = table.claim(owed, lease="m")
    table.owe(ALICE, revision=2)

    table.settle(claimed, "m", Settlement(state, table.clock(), 8, "replace", doubt=Doubt(1, Revision(1))))

    (again,) = table.claim(owed)
    assert (again.wanted, again.doubtful, again.doubt) == (2, True, Doubt(1, Revision(1)))


@pytest.mark.parametrize("state", ["doubtful", "exhausted", "refused"])
def test_a_doubt_outlives_a_later_want(table: Table, state: str) -> None:
    owed = table.owe(ALICE)
    (claimed,) = table.claim(owed, lease="m")
    table.settle(claimed, "m", Settlement(state, table.clock(), 3, "replace", doubt=Doubt(1, Revision(1))))

    table.owe(ALICE, revision=2)

    (again,) = table.claim(owed)
    assert (again.doubtful, again.doubt) == (True, Doubt(1, Revision(1)))


def test_a_dead_worker_on_the_last_attempt_is_still_a_doubt_after_a_new_want(table: Table) -> None:
    owed = table.owe(ALICE, faces=2)
    for _ in range(8):
        table.claim(owed)
        table.clock.advance(PAST_THE_LEASE)
    with table.store.transaction() as tx:
        tx.deliveries.exhaust(table.clock())

    table.owe(ALICE, revision=2)

    (again,) = table.claim(owed)
    assert again.doubtful
    assert again.doubt == Doubt(16, Revision(1))


def test_a_doubt_that_was_resolved_is_gone(table: Table) -> None:
    owed = table.owe(ALICE)
    table.claim(owed)
    table.clock.advance(PAST_THE_LEASE)
    (again,) = table.claim(owed, lease="m")
    table.settle(again, "m", table.synced())

    table.owe(ALICE, revision=2)

    (third,) = table.claim(owed)
    assert (third.doubtful, third.doubt) == (False, None)


# --- the order ----------------------------------------------------------------------------------------------------


def test_departures_go_before_face_deletions_before_replacements_before_repairs(table: Table) -> None:
    owed = {urgency: table.owe(PersonId(urgency.name), urgency=urgency) for urgency in reversed(Urgency)}

    order = [one for _ in range(4) for one in table.ring(1)]

    assert order == [
        owed[one] for one in (Urgency.DEPARTURE, Urgency.FACE_DELETION, Urgency.REPLACEMENT, Urgency.REPAIR)
    ]


def test_an_old_replacement_is_at_last_not_overtaken(table: Table) -> None:
    old = table.owe(PersonId("old"), urgency=Urgency.REPLACEMENT)
    table.clock.advance(Urgency.REPLACEMENT.value.total_seconds() - 1)
    overtaking = table.owe(PersonId("overtaking"), "delete", urgency=Urgency.DEPARTURE)
    table.clock.advance(2)
    late = table.owe(PersonId("late"), "delete", urgency=Urgency.DEPARTURE)

    assert table.ring(9) == [overtaking, old, late]


def test_a_delivery_that_is_wanted_anew_keeps_its_place(table: Table) -> None:
    first = table.owe(ALICE)
    table.clock.advance(60)
    second = table.owe(BOB)
    table.clock.advance(60)

    table.owe(ALICE, revision=2)

    assert table.ring(9) == [first, second]


def test_a_deletion_after_a_replacement_that_is_still_owed_is_not_late(table: Table) -> None:
    other = table.owe(BOB, urgency=Urgency.FACE_DELETION)
    owed = table.owe(ALICE, urgency=Urgency.REPLACEMENT)

    table.owe(ALICE, "delete", revision=2, urgency=Urgency.DEPARTURE)

    assert table.ring(9) == [owed, other]
    assert table.row(owed).rank == rank(Urgency.DEPARTURE, table.clock())


def test_what_is_owed_keeps_saying_since_when(table: Table) -> None:
    since = table.clock()
    owed = table.owe(ALICE)
    table.clock.advance(60)

    table.owe(ALICE, revision=2)

    assert table.row(owed).wanted_at == since
    with table.store.reading() as tx:
        assert tx.deliveries.oldest_wait() == {GATE: since}


# --- the bell -----------------------------------------------------------------------------------------------------


def test_what_was_rung_is_not_rung_again_until_its_time_is_over(table: Table) -> None:
    owed = table.owe(ALICE)

    assert table.ring(5) == [owed]
    assert table.ring(5) == []
    table.clock.advance(5)

    assert table.ring(5) == [owed]


def test_rung_and_leased_are_busy_and_settled_is_not(table: Table) -> None:
    rung, leased = table.owe(ALICE), table.owe(BOB)
    table.owe(PersonId("elsewhere"), library=YARD, rung_until=table.clock() + timedelta(seconds=5))
    table.ring(1)
    (claimed,) = table.claim(leased, lease="m")

    def busy() -> tuple[int, int]:
        with table.store.reading() as tx:
            return tx.deliveries.busy(GATE, table.clock()), tx.deliveries.leased(GATE, table.clock())

    assert rung != leased
    assert busy() == (2, 1)
    table.settle(claimed, "m", table.synced())
    assert busy() == (1, 0)
    table.clock.advance(5)
    assert busy() == (0, 0)


def test_a_want_says_whether_its_bell_is_to_be_rung_and_counts_as_busy_then(table: Table) -> None:
    until = table.clock() + timedelta(seconds=5)
    wants = [
        Want(GATE, ALICE, "replace", Revision(1), 1, table.clock(), until),
        Want(YARD, ALICE, "replace", Revision(1), 1, table.clock(), None),
    ]

    with table.store.transaction() as tx:
        tx.people.lock(ALICE, table.clock())
        owed = tx.deliveries.want(wants, table.clock())
        busy = tx.deliveries.busy_in([GATE, YARD], table.clock())

    assert {one.library: one.rung for one in owed} == {GATE: True, YARD: False}
    assert busy == {GATE: 1}
    assert table.ring(9) == []


def test_nobody_rings_for_what_is_under_way(table: Table) -> None:
    owed = table.owe(ALICE)
    table.claim(owed, lease="m")

    with table.store.transaction() as tx:
        want = Want(GATE, ALICE, "replace", Revision(2), 1, table.clock(), table.clock() + timedelta(seconds=5))
        (again,) = tx.deliveries.want([want], table.clock())

    assert not again.rung


def test_a_new_library_is_owed_everybody_who_has_a_face_once(table: Table) -> None:
    table.owe(ALICE)
    with table.store.transaction() as tx:
        for person, faces in ((ALICE, (LEFT, RIGHT)), (BOB, (LEFT,)), (PersonId("faceless"), ())):
            tx.people.lock(person, table.clock())
            for number, face in enumerate(faces):
                set_face(tx, person, face, tx.photos.keep(photo(number), table.clock()), Revision(1))

        page = tx.people.page(after=PersonId(""), limit=10)
        first = tx.deliveries.want_all(YARD, page, rank=table.clock(), now=table.clock())
        again = tx.deliveries.want_all(YARD, page, rank=table.clock(), now=table.clock())
        (of_alice,) = [one for one in tx.deliveries.of_person(ALICE) if one.library == YARD]

    assert (first, again) == (2, 0)
    assert table.row(of_alice.id).wanted_faces == 2


# --- endings ------------------------------------------------------------------------------------------------------


def test_settling_after_the_lease_was_lost_writes_nothing_and_has_the_library_read(table: Table) -> None:
    owed = table.owe(ALICE)
    (late,) = table.claim(owed, lease="late")
    table.clock.advance(PAST_THE_LEASE)
    table.claim(owed, lease="other")

    assert not table.settle(late, "late", table.synced())
    with table.store.transaction() as tx:
        tx.deliveries.look_again(owed, table.clock())

    row = table.row(owed)
    assert (row.state, row.held) == ("doubtful", None)
    assert table.claim(owed) == []


def test_whoever_has_the_lease_by_then_makes_for_another_look_too(table: Table) -> None:
    owed = table.owe(ALICE)
    (late,) = table.claim(owed, lease="late")
    table.clock.advance(PAST_THE_LEASE)
    (other,) = table.claim(owed, lease="other")
    table.settle(late, "late", table.synced())
    with table.store.transaction() as tx:
        tx.deliveries.look_again(owed, table.clock())

    assert not table.settle(other, "other", table.synced())
    with table.store.transaction() as tx:
        tx.deliveries.look_again(owed, table.clock())

    (again,) = table.claim(owed)
    assert again.doubtful


def test_a_late_ending_with_nobody_else_at_work_is_taken_again_at_once(table: Table) -> None:
    owed = table.owe(ALICE)
    for number in range(8):
        table.claim(owed, lease=f"worker-{number}")
        table.clock.advance(PAST_THE_LEASE)
    with table.store.transaction() as tx:
        tx.deliveries.exhaust(table.clock())

    with table.store.transaction() as tx:
        tx.deliveries.look_again(owed, table.clock())

    assert [one.doubtful for one in table.claim(owed)] == [True]


def test_a_delivery_tells_people_what_became_of_it(table: Table) -> None:
    owed = table.owe(ALICE, revision=4)
    (claimed,) = table.claim(owed, lease="m")
    table.clock.advance(2)
    table.settle(claimed, "m", table.synced())

    with table.store.reading() as tx:
        (one,) = tx.deliveries.of_person(ALICE)
        counts = tx.deliveries.unsettled()

    assert (one.library, one.person, one.wanted, one.held, one.state) == (GATE, ALICE, 4, 4, "synced")
    assert one.settled_at == table.clock()
    assert counts == {}


def test_unsettled_deliveries_are_counted_by_library_and_state(table: Table) -> None:
    for number in range(3):
        table.owe(PersonId(f"person-{number}"))
    table.owe(ALICE, library=YARD)
    (claimed,) = table.claim(table.owe(BOB), lease="m")
    table.settle(claimed, "m", table.doubtful(claimed))

    with table.store.reading() as tx:
        assert tx.deliveries.unsettled() == {GATE: {"due": 3, "doubtful": 1}, YARD: {"due": 1}}
        assert tx.deliveries.in_doubt([BOB])
        assert not tx.deliveries.in_doubt([ALICE])
