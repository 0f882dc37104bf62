"""Endings: what each thing that a vendor can say makes of a delivery, and what the library holds after it."""

import threading
from collections.abc import Callable
from datetime import timedelta

import httpx
import pytest

from syncsvc.flow.deliver import deliver
from syncsvc.model.errors import NoPermitError, NotFoundError
from syncsvc.model.people import LibraryName, PersonId
from syncsvc.model.urgency import BACKOFF_BASE, MAX_ATTEMPTS, Urgency, rank
from syncsvc.sandbox.base import Limits
from tests.flow.stage import (
    ADDING,
    ALICE,
    BOB,
    CAROL,
    GATE,
    LEFT,
    REMOVING,
    RIGHT,
    SECRETS,
    Stage,
    on,
    once,
    open_library,
)
from tests.vendors.photos import PhotoShelf, blank, draw

SILENCES: list[dict[str, object]] = [
    {"kind": "lost_answer"},
    {"kind": "garbage"},
    {"kind": "garbage", "carried_out": False},
]

# --- done ---------------------------------------------------------------------------------------------------------


def test_done_is_synced_and_what_is_held_is_bound(everywhere: Stage) -> None:
    stage = everywhere
    stage.hire(ALICE, 1, 2)

    settled = stage.deliver()

    row = stage.row()
    stage.assert_in_sync()
    assert len(stage.digests()) == 2
    assert (row.attempts, row.held, row.reason, row.lease, row.leased_until, row.busy_until) == (
        0,
        1,
        None,
        None,
        None,
        None,
    )
    assert row.settled_at == stage.clock()
    assert stage.outcomes() == ["applied"]
    assert settled.calls
    assert settled.converged == [0.0]


def test_a_whole_life_ends_in_agreement(everywhere: Stage) -> None:
    stage = everywhere
    stage.hire(BOB, 9)
    life: tuple[Callable[[], object], ...] = (
        lambda: stage.hire(ALICE, 1, 2),
        lambda: stage.swap(ALICE, 0, 3),
        lambda: stage.swap(ALICE, 1, 4),
        lambda: stage.drop(ALICE, 0),
        lambda: stage.hire(ALICE, 5, 4, 6),
        lambda: stage.leave(ALICE),
        lambda: stage.hire(ALICE, 1),
    )
    for act in life:
        act()
        stage.quiet()
        stage.assert_in_sync(ALICE)
        stage.assert_in_sync(BOB)


def test_an_id_with_odd_characters_is_nobody_else(everywhere: Stage) -> None:
    stage = everywhere
    stage.hire(CAROL, 1)
    stage.hire(ALICE, 1)
    stage.quiet()

    stage.leave(CAROL)
    stage.quiet()

    stage.assert_in_sync(CAROL)
    stage.assert_in_sync(ALICE)
    assert len(stage.digests(ALICE)) == 1


def test_a_replaced_person_is_never_absent_in_between(everywhere: Stage) -> None:
    stage = everywhere
    stage.hire(ALICE, 1)
    stage.quiet()
    (before,) = stage.there()
    steps = len(stage.room.world.counts(before.person_key))

    stage.swap(ALICE, 0, 2)
    stage.quiet()

    (after,) = stage.there()
    counts = [count for key in {before.person_key, after.person_key} for count in stage.room.world.counts(key)]
    if before.person_key == after.person_key:
        assert min(counts[steps:]) >= 1
    whole = [one.what for one in stage.room.world.history][steps:]
    assert whole[0] in {"add", "swap"}
    stage.assert_in_sync()


def test_what_is_already_gone_is_gone(everywhere: Stage) -> None:
    stage = everywhere
    stage.hire(ALICE, 1)
    stage.quiet()
    for one in stage.there():
        stage.room.remove(one.vendor_face_id)

    stage.leave(ALICE)
    stage.deliver()

    stage.assert_in_sync()
    assert stage.outcomes()[-1] == "applied"


# --- not now ------------------------------------------------------------------------------------------------------


def test_our_own_pace_costs_no_attempt_and_sends_nothing(stage: Stage) -> None:
    stage.hire(ALICE, 1)
    stage.gatekeeper.before = refuse(3.5)

    for _ in range(MAX_ATTEMPTS + 2):
        stage.deliver()

    row = stage.row()
    assert (row.state, row.attempts, row.reason) == ("due", 0, "own_pace")
    assert row.due_at == stage.clock() + timedelta(seconds=3.5)
    assert stage.room.calls()["total"] == 0
    assert stage.library().failures == 0


def refuse(wait: float) -> Callable[[str], None]:
    def before(_operation: str) -> None:
        raise NoPermitError(wait)

    return before


def test_slow_down_is_waited_for_costs_no_attempt_and_closes_the_account(everywhere: Stage) -> None:
    stage = everywhere
    stage.hire(ALICE, 1)
    stage.room.fault("throttle")

    for _ in range(MAX_ATTEMPTS + 2):
        began = stage.clock()
        stage.deliver()

    row = stage.row()
    assert (row.state, row.attempts, row.reason) == ("due", 0, "throttled")
    assert row.due_at > began
    assert len(stage.gatekeeper.closed) == MAX_ATTEMPTS + 2
    assert stage.library().failures == 0
    stage.room.clear_faults()
    stage.quiet()
    stage.assert_in_sync()


def test_a_vendors_own_counting_is_the_same(stage: Stage) -> None:
    stage.room.set_limits(Limits(rates=((1, 3600.0),)))
    stage.hire(ALICE, 1)
    stage.hire(BOB, 2)

    stage.deliver(ALICE)
    stage.deliver(BOB)

    assert (stage.row(ALICE).state, stage.row(BOB).reason) == ("synced", "throttled")


@pytest.mark.parametrize("kind", ["outage", "unavailable"])
def test_not_now_counts_and_backs_off(stage: Stage, kind: str) -> None:
    """The vendor's own trouble may have struck after an add was carried out, so that ends in doubt."""
    state = {"outage": "due", "unavailable": "doubtful"}[kind]
    stage.hire(ALICE, 1)
    stage.room.fault(kind)

    for attempt in (1, 2, 3, 4):
        stage.deliver()

        row = stage.row()
        assert (row.state, row.attempts) == (state, attempt)
        assert timedelta(0) <= row.due_at - stage.clock() <= timedelta(seconds=BACKOFF_BASE * 2 ** (attempt - 1))
        assert row.reason
    stage.room.clear_faults()
    stage.quiet()
    stage.assert_in_sync()


def test_not_now_for_one_person_alone_ends_in_the_list_for_people(stage: Stage) -> None:
    """The library answers others in between, so that it is not the library's breaker that waits."""
    stage.hire(ALICE, 1)
    stage.deliver()
    for attempt in range(MAX_ATTEMPTS):
        stage.swap(BOB, 0, 100 + attempt)
        stage.deliver(BOB)
        if attempt == 0:
            stage.swap(ALICE, 0, 2)
        stage.room.fault("unavailable", "add", times=1)
        stage.deliver(ALICE)

    row = stage.row(ALICE)
    assert (row.state, row.attempts) == ("exhausted", MAX_ATTEMPTS)
    assert row.reason
    assert row.detail
    assert stage.digests(ALICE) == [draw(1).digest]
    stage.swap(ALICE, 0, 3)
    stage.quiet()
    stage.assert_in_sync(ALICE)


def test_an_unknown_code_is_not_now_and_never_success(everywhere: Stage) -> None:
    stage = everywhere
    stage.hire(ALICE, 1)
    stage.room.fault("unknown_code", times=2)

    stage.deliver()

    assert stage.row().state in {"due", "doubtful"}
    assert stage.digests() == []
    stage.quiet()
    stage.assert_in_sync()


# --- never this photo ---------------------------------------------------------------------------------------------


def test_a_refused_photo_is_named_with_words_and_a_newer_one_reopens_it(everywhere: Stage) -> None:
    stage = everywhere
    stage.hire(ALICE, 1, 2)
    stage.quiet()
    stage.tell_photo(ALICE, LEFT, blank())

    stage.deliver()

    row = stage.row()
    assert (row.state, row.face_id) == ("refused", LEFT)
    assert row.reason
    assert len(row.detail) > 20
    assert stage.digests() == sorted([draw(1).digest, draw(2).digest])
    stage.quiet()
    assert stage.row().state == "refused"
    stage.swap(ALICE, 0, 3)
    stage.quiet()
    stage.assert_in_sync()


def test_a_refused_photo_does_not_keep_the_others_out(everywhere: Stage) -> None:
    stage = everywhere
    stage.tell_faces(ALICE, {LEFT: blank(), RIGHT: draw(2)})

    stage.deliver()

    assert stage.row().state == "refused"
    assert stage.digests() == [draw(2).digest]
    assert stage.believed() == {one.vendor_face_id for one in stage.there()}


def test_a_refused_person_who_departs_is_gone(everywhere: Stage) -> None:
    stage = everywhere
    stage.tell_faces(ALICE, {LEFT: blank(), RIGHT: draw(2)})
    stage.deliver()

    stage.leave(ALICE)
    stage.quiet()

    stage.assert_in_sync()
    assert stage.digests() == []


# --- who are you --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("everywhere", sorted(SECRETS), indirect=True)
def test_wrong_credentials_halt_the_library_once_and_nothing_is_lost(everywhere: Stage, shelf: PhotoShelf) -> None:
    stage = everywhere
    right = stage.house.shelf(GATE).library
    vendor = stage.room.name
    wrong = open_library(vendor, right.door, shelf, **{SECRETS[vendor]: "another-secret"})
    stage.reshelve(library_=wrong)
    stage.hire(ALICE, 1)
    stage.hire(BOB, 2)
    rows = [stage.row(ALICE).id, stage.row(BOB).id]
    before = stage.room.calls()["total"]

    told = [deliver(stage.house, GATE, [number]).halted for number in rows]

    assert told == [True, False]
    assert stage.room.calls()["total"] == before + 1
    state = stage.library()
    assert state.state == "halted"
    assert state.detail
    assert (stage.row(ALICE).state, stage.row(ALICE).attempts) == ("due", 0)
    stage.quiet()
    assert stage.row(ALICE).state == "due"

    stage.reshelve(library_=right)
    stage.resume()
    stage.quiet()
    stage.assert_in_sync(ALICE)
    stage.assert_in_sync(BOB)


# --- silence ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "silence", [{"kind": "lost_answer"}, {"kind": "garbage"}, {"kind": "garbage", "carried_out": False}]
)
def test_silence_is_doubtful_until_the_person_was_read_and_leaves_no_stray(
    everywhere: Stage, silence: dict[str, object]
) -> None:
    stage = everywhere
    stage.hire(ALICE, 1)
    stage.room.write_fault({**silence, "operation": ADDING[stage.room.name], "times": 1})

    stage.deliver()

    row = stage.row()
    assert (row.state, row.attempts, row.doubted_adds, row.doubted_revision) == ("doubtful", 1, 1, 1)
    stage.quiet()
    stage.assert_in_sync()
    assert len(stage.there()) == 1


def test_a_lost_answer_to_a_departure_is_looked_into(everywhere: Stage) -> None:
    stage = everywhere
    stage.hire(ALICE, 1)
    stage.hire(BOB, 2)
    stage.quiet()
    stage.leave(ALICE)
    stage.room.fault("lost_answer", REMOVING[stage.room.name], times=1)

    stage.deliver()

    row = stage.row()
    assert (row.state, row.doubted_adds) == ("doubtful", 0)
    stage.quiet()
    stage.assert_in_sync(ALICE)
    stage.assert_in_sync(BOB)
    assert stage.digests() == []


def test_a_doubt_that_cannot_be_looked_into_stays_one(everywhere: Stage) -> None:
    stage = everywhere
    stage.hire(ALICE, 1)
    stage.room.fault("lost_answer", ADDING[stage.room.name], times=1)
    stage.deliver()
    stage.room.fault("outage")

    stage.deliver()
    stage.deliver()

    row = stage.row()
    assert (row.state, row.doubted_adds, row.doubted_revision) == ("doubtful", 1, 1)
    assert len(stage.there()) == 1
    stage.room.clear_faults()
    stage.quiet()
    stage.assert_in_sync()
    assert len(stage.there()) == 1


# --- a fault of our own -------------------------------------------------------------------------------------------


def test_a_fault_of_ours_in_the_middle_is_doubtful_and_not_lost(
    everywhere: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It happens after the second picture: two are there, and we were told of neither."""
    stage = everywhere
    stage.hire(ALICE, 1, 2, 3)
    kind = type(stage.house.shelf(GATE).library)
    add, calls = kind.add, []

    def breaks(self: object, *told: object) -> object:
        report = add(self, *told)  # type: ignore[arg-type]
        calls.append(1)
        if len(calls) == 2:
            raise KeyError("a mistake of ours")
        return report

    monkeypatch.setattr(kind, "add", breaks)
    stage.deliver()

    row = stage.row()
    assert (row.state, row.reason, row.doubted_adds) == ("doubtful", "internal_error", 3)
    assert "KeyError" in row.detail
    assert len(stage.there()) == 2
    stage.quiet()
    stage.assert_in_sync()


def test_a_fault_of_ours_over_a_bundle_touches_everybody_in_it_alike(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for person in (ALICE, BOB):
        stage.hire(person, 1)
    stage.quiet()
    stage.leave(ALICE)
    stage.leave(BOB)

    def breaks(*_: object) -> None:
        raise KeyError("a mistake of ours")

    kind = type(stage.house.shelf(GATE).library)
    monkeypatch.setattr(kind, "remove_many", breaks)

    deliver(stage.house, GATE, [stage.row(ALICE).id])

    assert [row.state for row in stage.rows()] == ["doubtful", "doubtful"]
    monkeypatch.undo()
    stage.quiet()
    assert stage.room.world.faces == {}


# --- what comes in between ----------------------------------------------------------------------------------------


def test_a_change_in_mid_flight_is_delivered_next(everywhere: Stage) -> None:
    stage = everywhere
    stage.hire(ALICE, 1)
    stage.gatekeeper.before = once(lambda: stage.swap(ALICE, 0, 2))

    stage.deliver()

    row = stage.row()
    assert (row.state, row.wanted, row.held) == ("due", 2, 1)
    stage.quiet()
    stage.assert_in_sync()
    assert stage.digests() == [draw(2).digest]


def test_a_departure_in_mid_flight_is_delivered_next(everywhere: Stage) -> None:
    stage = everywhere
    stage.hire(ALICE, 1, 2)
    stage.gatekeeper.before = once(lambda: stage.leave(ALICE))

    stage.deliver()

    assert (stage.row().state, stage.row().verb) == ("due", "delete")
    stage.quiet()
    stage.assert_in_sync()
    assert stage.digests() == []


def test_a_departure_that_overtakes_a_hire_never_enrols(everywhere: Stage) -> None:
    stage = everywhere
    stage.hire(ALICE, 1)
    stage.leave(ALICE)

    stage.quiet()

    stage.assert_in_sync()
    assert stage.room.world.history == []
    assert stage.room.calls()["by_operation"].get(ADDING[stage.room.name]) is None


def test_of_several_changes_only_the_last_is_sent(everywhere: Stage) -> None:
    stage = everywhere
    stage.hire(ALICE, 1)
    for number in (2, 3, 4):
        stage.swap(ALICE, 0, number)

    stage.quiet()

    stage.assert_in_sync()
    assert len(stage.room.world.history) == 1


def test_a_face_deletion_goes_first_and_leaves_the_pending_replacement_due(everywhere: Stage) -> None:
    stage = everywhere
    stage.hire(ALICE, 1, 2)
    stage.quiet()
    wanted_at = stage.clock()
    stage.swap(ALICE, 0, 3)
    stage.drop(ALICE, 1)

    stage.deliver()

    row = stage.row()
    assert stage.digests() == [draw(1).digest]
    assert (row.state, row.verb, row.rank) == ("due", "replace", rank(Urgency.REPLACEMENT, wanted_at))
    stage.quiet()
    stage.assert_in_sync()
    assert stage.digests() == [draw(3).digest]


def test_no_transaction_is_open_while_the_vendor_thinks(stage: Stage) -> None:
    """Somebody else can write to the same database, of which one kind has a single writer."""
    stage.hire(ALICE, 1)
    recorded = []
    other = threading.Thread(target=lambda: recorded.append(stage.hire(BOB, 2).effect))

    def meanwhile() -> None:
        other.start()
        other.join(5.0)
        recorded.append("vendor answered")

    stage.gatekeeper.before = once(meanwhile)
    stage.deliver()
    other.join()

    assert recorded == ["applied", "vendor answered"]
    stage.quiet()
    stage.assert_in_sync(ALICE)
    stage.assert_in_sync(BOB)


# --- asked for nothing --------------------------------------------------------------------------------------------


def test_a_bell_for_what_is_not_due_does_nothing(stage: Stage) -> None:
    stage.hire(ALICE, 1)
    stage.quiet()
    before = stage.room.calls()["total"]

    settled = deliver(stage.house, GATE, [stage.row().id, 4711])

    assert (settled.deliveries, settled.halted) == ((), False)
    assert stage.room.calls()["total"] == before


def test_a_bell_for_a_library_that_is_not_configured_says_so(stage: Stage) -> None:
    with pytest.raises(NotFoundError, match="configured are: gate"):
        deliver(stage.house, LibraryName("nowhere"), [1])


def test_a_doubled_bell_makes_one_errand(stage: Stage) -> None:
    stage.hire(ALICE, 1)
    number = stage.row().id

    deliver(stage.house, GATE, [number, number])
    deliver(stage.house, GATE, [number])

    assert stage.room.calls()["by_operation"] == {"add": 1}


# --- bundles ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", ["finauth", "sophon"], indirect=True)
def test_ten_departures_are_one_call(stage: Stage) -> None:
    people = [PersonId(f"person-{number}") for number in range(10)]
    for number, person in enumerate(people):
        stage.hire(person, number)
    stage.hire(ALICE, 50)
    stage.quiet()
    for person in people:
        stage.leave(person)

    deliver(stage.house, GATE, [stage.row(people[0]).id])

    assert all(stage.row(person).state == "synced" for person in people)
    assert [one.digest for one in stage.room.world.faces.values()] == [draw(50).digest]
    assert stage.room.calls()["by_operation"][REMOVING[stage.room.name]] == 1


def test_one_persons_trouble_does_not_touch_anothers(stage: Stage) -> None:
    for number, person in enumerate((ALICE, BOB)):
        stage.hire(person, number)
        stage.deliver(person)
    with stage.house.store.transaction() as tx:
        held = tx.bindings.held(GATE, [ALICE])[ALICE]
        stage.bind(tx, ALICE, held, "no-token-of-this-vendor")
    stage.leave(ALICE)
    stage.leave(BOB)

    deliver(stage.house, GATE, [stage.row(ALICE).id, stage.row(BOB).id])

    assert (stage.row(ALICE).state, stage.row(ALICE).reason) == ("refused", "unsafe_tokens")
    assert stage.row(BOB).state == "synced"
    assert stage.digests(BOB) == []


# --- pictures that cannot be opened -------------------------------------------------------------------------------


@on("finauth")
def test_a_photo_under_a_lost_key_is_told_and_counted_and_stops_nobody_else(stage: Stage) -> None:
    stage.hire(ALICE, 1)
    stage.hire(BOB, 2)
    stage.damage(draw(1).digest)

    stage.deliver(ALICE)
    stage.deliver(BOB)

    row = stage.row(ALICE)
    assert (row.state, row.reason, row.attempts) == ("due", "photo_sealed", 1)
    assert "add that key back" in row.detail
    stage.assert_in_sync(BOB)
    stage.quiet()
    assert stage.row(ALICE).state == "exhausted"


def test_a_library_that_cannot_be_reached_at_all_is_not_now(stage: Stage, shelf: PhotoShelf) -> None:
    library = stage.house.shelf(GATE).library
    with httpx.Client(timeout=1.0, trust_env=False) as client:
        nowhere = type(library.door)(client, "http://127.0.0.1:9", library.door.account, stage.gatekeeper, timeout=1.0)
        stage.reshelve(library_=library.at(nowhere))
        stage.hire(ALICE, 1)

        stage.deliver()

    assert (stage.row().state, stage.row().reason, stage.row().attempts) == ("due", "ConnectError", 1)
