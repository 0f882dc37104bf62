"""Reading whole libraries: what a reading proves, where it goes on after a crash, and who reads."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from syncsvc.flow import listing
from syncsvc.flow.listing import LEASE, begin, read_on
from syncsvc.library.base import FaceLibrary, Page
from syncsvc.model.errors import NoPermitError, NotFoundError
from syncsvc.model.keys import person_key
from syncsvc.model.listings import Completeness
from syncsvc.model.people import HeldFace, PersonId, VendorFaceId
from syncsvc.sandbox.finauth import Sandbox as FinAuth
from syncsvc.store.bindings import Became
from syncsvc.store.listings import ListingState
from syncsvc.store.tables import listed
from tests.flow.stage import GATE, Stage, on

COMPLETE, PARTIAL, SUSPECT = Completeness.COMPLETE, Completeness.PARTIAL, Completeness.SUSPECT
LISTING = {"sophon": "getidentities", "finauth": "list", "huawei": "show", "aliyun": "group/persons"}
EACH = pytest.mark.parametrize("everywhere", ["sophon", "finauth", "huawei", "aliyun"], indirect=True)


class Killed(BaseException):
    """What a killed process cannot catch."""


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three new faces, or people, a page, for every vendor."""
    monkeypatch.setattr("syncsvc.vendors.sophon.PAGE", 3)
    monkeypatch.setattr("syncsvc.vendors.finauth.PAGE", 4)  # pages overlap by one
    monkeypatch.setattr("syncsvc.vendors.huawei.PAGE", 3)
    monkeypatch.setattr("syncsvc.vendors.aliyun._PEOPLE_PER_PAGE", 3)


def crowd(stage: Stage, count: int, *, first: int = 0) -> list[VendorFaceId]:
    """So many people with one face each, which we know of."""
    planted = []
    now = stage.clock()
    with stage.house.store.transaction() as tx:
        for number in range(first, first + count):
            person = PersonId(f"p{number}")
            tx.people.lock(person, now)
            face = VendorFaceId(stage.room.plant(person_key(person)).vendor_face_id)
            tx.bindings.settle([Became(GATE, person, (), (HeldFace(face),))], now)
            planted.append(face)
    return planted


def unbind(stage: Stage, number: int, face: VendorFaceId) -> None:
    """One of the crowd leaves, as our own errand would have it."""
    stage.room.remove(face)
    with stage.room.lock:
        stage.room.world.records.pop(person_key(PersonId(f"p{number}")), None)
    with stage.house.store.transaction() as tx:
        left = Became(GATE, PersonId(f"p{number}"), (HeldFace(face),), ())
        tx.bindings.settle([left], stage.clock())


def read(stage: Stage, cause: str = "command", **more: Any) -> ListingState:
    """A whole reading, in one go."""
    assert begin(stage.house, GATE, cause)
    state = read_on(stage.house, GATE, **more)
    assert state.state == "read"
    return state


def done(stage: Stage) -> None:
    """What was read has been dealt with."""
    with stage.house.store.transaction() as tx:
        state = tx.listings.get(GATE)
        assert state is not None
        tx.comparing.move_on(GATE, state.run, "done")


def shown(stage: Stage) -> list[tuple[int, str]]:
    """(run, vendor id) of everything that is written down as listed."""
    with stage.house.store.reading() as tx:
        rows = tx._connection.execute(listed.select().order_by(listed.c.run, listed.c.vendor_face_id)).all()
    return [(row.run, row.vendor_face_id) for row in rows]


def at_page(number: int, act: Callable[[], object]) -> Callable[[ListingState], None]:
    """A watch that does this once, after that page."""
    left = [act]

    def watch(state: ListingState) -> None:
        if state.pages == number and left:
            left.pop()()

    return watch


def kill() -> None:
    raise Killed


# --- what a reading shows ---------------------------------------------------------------------------------------------


def test_every_face_of_a_library_is_written_down_once(everywhere: Stage) -> None:
    planted = crowd(everywhere, 8)

    state = read(everywhere)

    assert shown(everywhere) == sorted((1, face) for face in planted)
    assert (state.faces, state.repeated, state.run) == (8, 0, 1)
    assert state.completeness is (PARTIAL if everywhere.room.name == "aliyun" else COMPLETE)
    assert (state.complete_at is not None) == (state.completeness is COMPLETE)


@on("aliyun")
def test_a_partial_listing_says_why(stage: Stage) -> None:
    crowd(stage, 2)

    state = read(stage)

    assert (state.completeness, state.complete_at) == (PARTIAL, None)
    assert state.why == "the vendor shows no people who are in no group"


@on("finauth")
def test_an_empty_library_of_which_we_know_nobody_is_complete(stage: Stage) -> None:
    state = read(stage)

    assert (state.completeness, state.faces, state.count_before, state.count_after) == (COMPLETE, 0, 0, 0)


@on("finauth")
def test_a_new_reading_forgets_what_the_one_before_has_shown(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "OLD_AT_ONCE", 2)
    gone, *left = crowd(stage, 9)
    first = read(stage)
    done(stage)
    unbind(stage, 0, gone)
    stage.clock.advance(60)

    state = read(stage)

    assert (state.run, state.faces, state.cause) == (2, 8, "command")
    assert shown(stage) == sorted((2, face) for face in left)
    assert first.complete_at is not None
    assert state.complete_at == first.complete_at + timedelta(seconds=60)


@on("finauth")
def test_whoever_watches_is_told_of_every_page(stage: Stage) -> None:
    crowd(stage, 8)
    seen: list[tuple[int, int]] = []

    read(stage, watch=lambda state: seen.append((state.pages, state.faces)))

    assert seen == [(1, 4), (2, 7), (3, 8)]


def test_what_nobody_began_cannot_be_read(stage: Stage) -> None:
    with pytest.raises(NotFoundError, match="nobody has begun"):
        read_on(stage.house, GATE)


# --- whether to begin -------------------------------------------------------------------------------------------------


def test_only_one_reading_is_under_way(stage: Stage) -> None:
    crowd(stage, 2)
    assert begin(stage.house, GATE, "command")
    assert not begin(stage.house, GATE, "nightly")

    read_on(stage.house, GATE)
    assert not begin(stage.house, GATE, "command")  # it has not been compared yet

    done(stage)
    assert begin(stage.house, GATE, "command")


def test_a_reading_that_nobody_went_on_with_for_a_day_is_begun_anew(stage: Stage) -> None:
    crowd(stage, 9)
    begin(stage.house, GATE, "command")
    read_on(stage.house, GATE, seconds=0)
    stage.clock.advance(86_401)

    state = read(stage, "command")

    assert (state.run, state.completeness, state.repeated) == (2, COMPLETE, 0)


@pytest.mark.parametrize("state", ["paused", "halted"])
def test_a_library_that_is_not_at_work_is_not_read(stage: Stage, state: str) -> None:
    crowd(stage, 9)
    begin(stage.house, GATE, "command")
    stage.set_state(state)

    assert not begin(stage.house, GATE, "command")
    assert read_on(stage.house, GATE).pages == 0
    assert stage.room.calls()["total"] == 0

    stage.resume()
    assert read_on(stage.house, GATE).completeness is COMPLETE


def test_a_library_whose_breaker_is_open_is_not_read(stage: Stage) -> None:
    with stage.house.store.transaction() as tx:
        tx.libraries.open_breaker(GATE, stage.clock() + timedelta(seconds=10))

    assert not begin(stage.house, GATE, "command")

    stage.clock.advance(10)
    assert begin(stage.house, GATE, "command")


def test_a_library_that_is_not_configured_is_not_read(stage: Stage) -> None:
    stage.house = replace(stage.house, shelves={})

    assert not begin(stage.house, GATE, "command")


@on("finauth")
def test_a_library_that_we_only_observe_is_read_and_nothing_else(stage: Stage) -> None:
    stage.reshelve(policy="observe")
    stage.plant()

    state = read(stage, "nightly")

    assert (state.faces, state.completeness, state.count_before) == (1, COMPLETE, None)
    assert set(stage.room.calls()["by_operation"]) == {"list"}


@on("huawei")
def test_a_night_in_which_the_count_agrees_reads_nothing(stage: Stage) -> None:
    crowd(stage, 4)
    read(stage)
    done(stage)
    calls = stage.room.calls()["by_operation"]["show"]
    stage.clock.advance(86_400)

    assert not begin(stage.house, GATE, "nightly")

    assert stage.room.calls()["by_operation"]["show"] == calls
    assert stage.library().reconciled_at == stage.clock()


@on("huawei")
@pytest.mark.parametrize("what", ["foreign", "missing", "week", "suspect", "never", "odd"])
def test_a_night_reads_the_library_where_the_count_is_not_enough(stage: Stage, what: str) -> None:
    faces = crowd(stage, 4)
    if what == "suspect":
        stage.room.misbehave(listing="duplicate_page")
    if what != "never":
        read(stage)
        done(stage)
    stage.room.misbehave()
    match what:
        case "foreign":
            stage.plant()
        case "missing":
            stage.room.remove(faces[0])
        case "week":
            stage.clock.advance(7 * 86_400)
        case "odd":
            stage.room.plant("somebody")
            stage.room.remove(faces[0])
            with stage.house.store.transaction() as tx:
                tx._connection.exec_driver_sql(
                    "INSERT INTO situations (library, person_id, vendor_face_id, situation, note, noted_at, run)"
                    " VALUES ('gate', 'p0', 'x', 'foreign', '', '2026-03-02 08:00:00', 1)"
                )

    assert begin(stage.house, GATE, "nightly")


@on("huawei")
def test_a_reading_that_is_under_way_is_not_counted_again(stage: Stage) -> None:
    crowd(stage, 9)
    begin(stage.house, GATE, "nightly")
    calls = stage.room.calls()["total"]

    assert not begin(stage.house, GATE, "nightly")

    assert stage.room.calls()["total"] == calls


@on("huawei")
def test_a_command_reads_whatever_the_count_says(stage: Stage) -> None:
    crowd(stage, 4)
    read(stage)
    done(stage)

    assert begin(stage.house, GATE, "command")


# --- what it proves ---------------------------------------------------------------------------------------------------

MISBEHAVIOURS = [
    ("sophon", "loop", "shown more than once"),
    ("finauth", "loop", "went round in circles"),
    ("huawei", "loop", "shown more than once"),
    ("aliyun", "loop", "went round in circles"),
    ("sophon", "duplicate_page", "3 faces were shown more than once"),
    ("finauth", "duplicate_page", "faces were shown more than once"),
    ("huawei", "duplicate_page", "3 faces were shown more than once"),
    ("aliyun", "duplicate_page", "3 faces were shown more than once"),
    ("sophon", "missing_page", "people were shown and the library counts 9"),
    ("finauth", "missing_page", "others may have slipped past"),
    ("huawei", "missing_page", "faces were shown and the library counts 9"),
    ("aliyun", "missing_page", None),
    *((vendor, "empty", "we hold 9 faces there") for vendor in LISTING),
]


@pytest.mark.parametrize(
    ("stage", "kind", "why"), [pytest.param(*one, id=f"{one[0]}-{one[1]}") for one in MISBEHAVIOURS], indirect=["stage"]
)
def test_a_listing_that_contradicts_itself_is_suspect(stage: Stage, kind: str, why: str | None) -> None:
    crowd(stage, 9)
    stage.room.misbehave(listing=kind)

    state = read(stage)

    assert state.completeness is (SUSPECT if why else PARTIAL)
    assert (why or "") in (state.why or "")
    assert state.complete_at is None


@pytest.mark.parametrize("stage", ["sophon", "finauth", "aliyun"], indirect=True)
def test_a_listing_without_an_end_is_given_up(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("syncsvc.flow.judge_listing.SOME", 30)
    monkeypatch.setattr("syncsvc.flow.judge_listing.FEW", 30)
    crowd(stage, 3)
    if stage.room.name == "finauth":
        stage.room.set_switches({"returns_next": True, "window_enforced": False})
    stage.room.misbehave(listing="endless")

    state = read(stage, seconds=60)

    assert state.completeness is SUSPECT
    assert "did not end where it should have" in (state.why or "")
    assert state.faces <= 50


@pytest.mark.parametrize("stage", ["finauth", "huawei"], indirect=True)
@pytest.mark.parametrize("off", [-1, 1])
def test_a_count_that_lies_makes_a_listing_suspect(stage: Stage, off: int) -> None:
    crowd(stage, 4)
    stage.room.misbehave(count_off=off)

    state = read(stage)

    assert state.completeness is SUSPECT
    assert "counts" in (state.why or "")


@on("sophon")
def test_a_listing_that_shows_too_few_of_ours_is_suspect(stage: Stage) -> None:
    for face in crowd(stage, 5)[:3]:
        stage.room.remove(face)

    state = read(stage)

    assert (state.completeness, state.why) == (SUSPECT, "only 2 of the 5 faces that we hold there were listed")


@on("sophon")
def test_a_stale_listing_is_told_by_what_it_lacks(stage: Stage) -> None:
    stage.room.misbehave(listing="stale")
    crowd(stage, 5)
    stage.clock.advance(1)

    assert read(stage).completeness is SUSPECT


@pytest.mark.parametrize("stage", ["sophon", "finauth", "huawei"], indirect=True)
def test_a_library_that_others_change_while_it_is_read_is_suspect(stage: Stage) -> None:
    first, *_ = crowd(stage, 9)

    def leave() -> None:
        with stage.room.lock:
            stage.room.world.forget(stage.room.world.faces[first].person_key)
            stage.room.remove(first)

    state = read(stage, watch=at_page(1, leave))

    assert state.completeness is SUSPECT


@pytest.mark.parametrize("stage", ["sophon", "finauth", "huawei"], indirect=True)
def test_what_we_add_ourselves_while_it_is_read_speaks_against_nothing(stage: Stage) -> None:
    crowd(stage, 7)

    def come() -> None:
        stage.clock.advance(1)
        crowd(stage, 2, first=7)

    state = read(stage, watch=at_page(1, come))

    assert (state.completeness, state.faces, state.why) == (COMPLETE, 9, None)


@pytest.mark.parametrize("stage", ["sophon", "huawei"], indirect=True)
def test_whom_we_take_out_ourselves_while_it_is_read_may_hide_another(stage: Stage) -> None:
    first, *_ = crowd(stage, 9)

    def leave() -> None:
        stage.clock.advance(1)
        unbind(stage, 0, first)

    state = read(stage, watch=at_page(2, leave))

    assert len(shown(stage)) < 9
    assert (state.completeness, "slipped past" in (state.why or "")) == (SUSPECT, True)


@on("finauth")
def test_a_face_that_we_take_out_where_nothing_can_slip_past_speaks_against_nothing(stage: Stage) -> None:
    *_, last = crowd(stage, 9)

    def leave() -> None:
        stage.clock.advance(1)
        unbind(stage, 8, last)

    assert read(stage, watch=at_page(1, leave)).completeness is COMPLETE


@on("finauth")
def test_a_page_that_the_vendor_refuses_ends_the_reading_as_suspect(stage: Stage) -> None:
    crowd(stage, 9)

    def close_the_library() -> None:
        stage.room.set_switches({"missing_library": "BAD_ARGUMENTS"})
        assert isinstance(stage.room, FinAuth)
        stage.room.libraries.clear()

    state = read(stage, watch=at_page(1, close_the_library))

    assert state.completeness is SUSPECT
    assert state.faces == 4
    assert "refused to show the next page (BAD_ARGUMENTS)" in (state.why or "")


# --- crashes, trouble, and who reads ----------------------------------------------------------------------------------


@EACH
@pytest.mark.parametrize("dies_at", [1, 2, 3])
def test_after_a_crash_behind_any_page_it_is_gone_on_with(everywhere: Stage, dies_at: int) -> None:
    stage = everywhere
    planted = crowd(stage, 7)
    begin(stage.house, GATE, "command")
    with pytest.raises(Killed):
        read_on(stage.house, GATE, watch=at_page(dies_at, kill))
    stage.clock.advance(LEASE.total_seconds())

    state = read_on(stage.house, GATE)

    assert (state.state, state.faces, state.repeated, state.pages) == ("read", 7, 0, 3)
    assert state.completeness is not SUSPECT
    assert [face for _, face in shown(stage)] == sorted(planted)


@EACH
@pytest.mark.parametrize("dies_at", [1, 2, 3])
def test_a_crash_before_a_page_was_written_reads_that_page_again_and_no_other(
    everywhere: Stage, dies_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = everywhere
    planted = crowd(stage, 7)
    begin(stage.house, GATE, "command")
    with monkeypatch.context() as patched:
        die_after_fetching(stage, dies_at, patched)
        with pytest.raises(Killed):
            read_on(stage.house, GATE)
    stage.clock.advance(LEASE.total_seconds())

    state = read_on(stage.house, GATE)

    assert (state.state, state.faces, state.repeated) == ("read", 7, 0)
    assert [face for _, face in shown(stage)] == sorted(planted)
    assert stage.room.calls()["by_operation"][LISTING[stage.room.name]] == 4


def die_after_fetching(stage: Stage, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = type(stage.house.shelf(GATE).library)
    fetch, fetched = kind.page, [0]

    def page(library: FaceLibrary[Any], cursor: str | None) -> Page:
        found: Page = fetch(library, cursor)
        fetched[0] += 1
        if fetched[0] == number:
            raise Killed
        return found

    monkeypatch.setattr(kind, "page", page)


def test_a_crash_between_the_last_page_and_the_verdict_loses_neither(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd(stage, 4)
    begin(stage.house, GATE, "command")
    with monkeypatch.context() as patched:
        patched.setattr(listing, "judge", lambda *_, **__: kill())
        with pytest.raises(Killed):
            read_on(stage.house, GATE)
    calls = stage.room.calls()["by_operation"]["list"]
    stage.clock.advance(LEASE.total_seconds())

    state = read_on(stage.house, GATE)

    assert (state.state, state.completeness, state.faces) == ("read", COMPLETE, 4)
    assert stage.room.calls()["by_operation"]["list"] == calls


def test_a_reader_who_died_on_this_machine_is_taken_over_from_at_once(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd(stage, 7)
    begin(stage.house, GATE, "command")
    with pytest.raises(Killed):
        read_on(stage.house, GATE, watch=at_page(1, kill))
    monkeypatch.setattr(listing, "is_dead", lambda holder: holder == stage.house.holder)

    assert read_on(stage.house, GATE).completeness is COMPLETE


def test_a_second_reader_gets_the_state_and_asks_for_nothing(stage: Stage) -> None:
    crowd(stage, 9)
    begin(stage.house, GATE, "command")
    second: list[ListingState] = []

    state = read_on(stage.house, GATE, watch=at_page(1, lambda: second.append(read_on(stage.house, GATE))))

    assert [one.state for one in second] == ["reading"]
    assert (state.completeness, state.pages) == (COMPLETE, 3)
    assert stage.room.calls()["by_operation"]["list"] == 3


def test_many_readers_at_once_read_every_page_once(stage: Stage) -> None:
    crowd(stage, 9)
    begin(stage.house, GATE, "command")
    readers = [threading.Thread(target=read_on, args=[stage.house, GATE]) for _ in range(5)]

    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()

    state = read_on(stage.house, GATE)
    assert (state.state, state.completeness, state.repeated) == ("read", COMPLETE, 0)
    assert stage.room.calls()["by_operation"]["list"] == 3


def test_a_reader_who_lost_the_lease_writes_nothing_more(stage: Stage) -> None:
    crowd(stage, 9)
    begin(stage.house, GATE, "command")

    def another_goes_on() -> None:
        stage.clock.advance(LEASE.total_seconds())
        read_on(stage.house, GATE, seconds=0)

    state = read_on(stage.house, GATE, watch=at_page(1, another_goes_on))

    assert (state.state, state.pages, state.repeated) == ("reading", 2, 0)
    assert read_on(stage.house, GATE).completeness is COMPLETE


@pytest.mark.parametrize("kind", ["unavailable", "throttle", "outage", "garbage", "lost_answer"])
def test_one_bad_page_ends_the_slice_and_halts_nothing(stage: Stage, kind: str) -> None:
    crowd(stage, 9)
    begin(stage.house, GATE, "command")

    state = read_on(stage.house, GATE, watch=at_page(2, lambda: stage.room.fault(kind, "list", times=1)))

    assert (state.state, state.pages, state.holder) == ("reading", 2, None)
    assert (stage.library().state, stage.library().failures) == ("active", 0)
    assert read_on(stage.house, GATE).completeness is COMPLETE


@on("finauth")
def test_a_library_that_does_not_know_us_halts(stage: Stage) -> None:
    crowd(stage, 9)
    begin(stage.house, GATE, "command")

    state = read_on(stage.house, GATE, watch=at_page(1, lambda: stage.room.set_switches({"denied": "Denied by Admin"})))

    assert (state.state, state.pages) == ("reading", 1)
    assert stage.library().state == "halted"


def test_a_slice_ends_when_its_time_is_up(stage: Stage) -> None:
    crowd(stage, 9)
    begin(stage.house, GATE, "command")

    slices = [read_on(stage.house, GATE, seconds=0) for _ in range(3)]

    assert [one.pages for one in slices] == [1, 2, 3]
    assert [one.state for one in slices] == ["reading", "reading", "read"]


def test_where_no_permit_is_to_be_had_the_slice_ends_and_keeps_what_it_has(stage: Stage) -> None:
    crowd(stage, 9)
    begin(stage.house, GATE, "command")

    def refuse(_operation: str) -> None:
        raise NoPermitError(60)

    def no_more() -> None:
        stage.gatekeeper.before = refuse

    state = read_on(stage.house, GATE, watch=at_page(2, no_more))

    assert (state.state, state.pages, state.holder) == ("reading", 2, None)
    stage.gatekeeper.before = lambda _: None
    assert read_on(stage.house, GATE).completeness is COMPLETE


@on("finauth")
def test_a_departure_in_mid_listing_goes_first(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("syncsvc.flow.spare.GLANCE", 0.0)
    crowd(stage, 9)
    stage.hire(PersonId("alice"), 1)
    stage.quiet()
    stage.clock.advance(1)
    begin(stage.house, GATE, "command")

    def leave() -> None:
        stage.clock.advance(1)
        stage.leave(PersonId("alice"))

    state = read_on(stage.house, GATE, watch=at_page(1, leave))

    assert (state.state, state.pages) == ("reading", 1)
    stage.quiet()
    assert stage.there(PersonId("alice")) == []
    assert read_on(stage.house, GATE).state == "read"


@on("finauth")
def test_a_departure_due_before_it_begins_leaves_nothing_to_the_reader(stage: Stage) -> None:
    stage.hire(PersonId("alice"), 1)
    begin(stage.house, GATE, "command")

    state = read_on(stage.house, GATE)

    assert (state.pages, stage.room.calls()["total"]) == (0, 0)
    stage.quiet()
    assert read_on(stage.house, GATE).state == "read"
