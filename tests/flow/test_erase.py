"""A departure is pursued until each library was read and has nothing of the person; accepted is not verified."""

from dataclasses import replace as changed
from typing import Any

import pytest
from sqlalchemy import select

from syncsvc.flow.erase import pursue
from syncsvc.flow.operate import resync
from syncsvc.flow.settle import settle
from syncsvc.model.erasures import Erasing, Verdict
from syncsvc.model.people import LibraryName, PersonId
from syncsvc.store.erasures import Erasure, InLibrary
from syncsvc.store.tables import callbacks, receipts, unsigned_receipts
from tests.flow.stage import ADDING, ALICE, GATE, REMOVING, YARD, Stage

HOUR = 3600.0
ABSENT, ACCEPTED = Verdict.VERIFIED_ABSENT, Verdict.VENDOR_ACCEPTED
UNREACHABLE, UNVERIFIABLE = Verdict.UNREACHABLE, Verdict.UNVERIFIABLE


def erasure(stage: Stage, person: PersonId = ALICE) -> Erasure:
    """The person's newest."""
    with stage.house.store.reading() as tx:
        return tx.erasures.of_person(person)[0]


def erasures(stage: Stage, person: PersonId = ALICE) -> list[Erasure]:
    with stage.house.store.reading() as tx:
        return tx.erasures.of_person(person)


def place(stage: Stage, person: PersonId = ALICE, library: LibraryName = GATE, *, which: int = 0) -> InLibrary:
    with stage.house.store.reading() as tx:
        found = tx.erasures.libraries(tx.erasures.of_person(person)[which].id)
    return next(one for one in found if one.library == library)


def said(stage: Stage) -> list[str]:
    """The kinds of receipts that were issued, or wait for a key, oldest first."""
    with stage.house.store.reading() as tx:
        signed = list(tx._connection.scalars(select(receipts.c.kind).order_by(receipts.c.number)))
        waiting = list(tx._connection.scalars(select(unsigned_receipts.c.kind).order_by(unsigned_receipts.c.id)))
    return signed + waiting


def told(stage: Stage) -> list[str]:
    with stage.house.store.reading() as tx:
        return list(tx._connection.scalars(select(callbacks.c.type).order_by(callbacks.c.created_at)))


def follow(stage: Stage, *, seconds: float = 60.0) -> None:
    """Deliver, move on, pursue: a round after which whatever a library does at once has been read back."""
    stage.quiet()
    stage.clock.advance(seconds)
    pursue(stage.house)


def gone(stage: Stage, *photos: int) -> None:
    """Somebody with these photos was there, and has departed; nothing is delivered of that yet."""
    stage.hire(ALICE, *photos)
    stage.quiet()
    stage.clock.advance(HOUR)
    stage.leave(ALICE)


# --- the way to the verdict ---------------------------------------------------------------------------------------


def test_every_vendor_is_read_back_before_anything_is_called_absent(everywhere: Stage) -> None:
    stage = everywhere
    gone(stage, 1, 2)

    stage.quiet()
    stage.clock.advance(1)
    pursue(stage.house)
    first = erasure(stage)
    follow(stage)

    found = place(stage)
    assert first.state == "open"
    assert found.verdict is ABSENT
    assert found.method in {
        "each of 2 face ids was asked for; none is there",
        "the person was listed; no face of ours is there",
    }
    assert (found.faces, found.looks, found.came_back) == (2, 1, 0)
    assert found.accepted_at is not None
    assert found.checked_at is not None
    assert found.checked_at > found.accepted_at
    assert bool(found.requests) is (stage.room.name != "sophon")  # which tells no ids of requests
    assert all(one["request_id"] and one["at"] and one["operation"] for one in found.requests)
    assert erasure(stage).state == "verified"
    assert said(stage) == ["verified"]
    assert stage.there() == []


def test_what_a_vendor_accepted_is_not_shown_as_more(stage: Stage) -> None:
    gone(stage, 1)
    stage.quiet()

    stage.clock.advance(4)
    with stage.house.store.transaction() as tx:
        tx.erasures.look_again(erasure(stage).id, stage.clock())
    pursue(stage.house)

    found = place(stage)
    assert (found.verdict, found.looks, found.checked_at) == (ACCEPTED, 0, None)
    assert [one["operation"] for one in found.requests] == [REMOVING[stage.room.name]]
    assert erasure(stage).state == "open"


def test_a_deletion_that_lies_is_found_out_and_pursued(everywhere: Stage) -> None:
    stage = everywhere
    gone(stage, 1)
    stage.room.fault("lying_ok", REMOVING[stage.room.name])

    follow(stage)

    found = place(stage)
    assert found.verdict is UNREACHABLE
    assert found.reason is not None
    assert len(stage.there()) == 1
    assert said(stage) == []
    if stage.row().state == "exhausted":  # its own answers show that it lies
        assert found.reason.startswith("every attempt at the deletion failed")
        resync(stage.house, ALICE)
    else:
        assert "still shows 1 faces" in found.reason
        assert found.came_back == 1

    stage.room.clear_faults()
    follow(stage)

    assert place(stage).verdict is ABSENT
    assert stage.there() == []
    assert erasure(stage).state == "verified"


def test_a_lie_repeated_is_looked_at_ever_more_seldom(stage: Stage) -> None:
    gone(stage, 1)
    stage.room.fault("lying_ok", REMOVING[stage.room.name])
    waits = []
    for _ in range(4):
        follow(stage, seconds=HOUR)
        check_at = place(stage).check_at
        assert check_at is not None
        waits.append(check_at - stage.clock())

    assert place(stage).came_back == 4
    assert waits == sorted(waits)
    assert waits[-1] >= 4 * waits[0]


def test_faces_that_come_back_before_the_second_look_open_it_again(everywhere: Stage) -> None:
    stage = everywhere
    gone(stage, 1, 2)
    follow(stage)
    assert erasure(stage).state == "verified"

    stage.room.bring_back()
    follow(stage, seconds=25 * HOUR)

    assert erasure(stage).state == "open"
    assert place(stage).verdict is UNREACHABLE
    follow(stage)
    follow(stage)
    assert stage.there() == []
    assert erasure(stage).state == "verified"
    follow(stage, seconds=25 * HOUR)
    assert erasure(stage).state == "confirmed"
    assert said(stage) == ["verified", "verified", "confirmed"]


def test_the_second_look_confirms(everywhere: Stage) -> None:
    stage = everywhere
    gone(stage, 1)
    follow(stage)
    before = place(stage)

    follow(stage, seconds=23 * HOUR)
    too_soon = erasure(stage)
    follow(stage, seconds=2 * HOUR)

    assert too_soon.state == "verified"
    done = erasure(stage)
    assert (done.state, done.finished_at) == ("confirmed", stage.clock())
    assert place(stage).looks == before.looks + 1
    assert said(stage) == ["verified", "confirmed"]


def test_a_face_whose_answer_was_lost_is_gone_as_well(everywhere: Stage) -> None:
    stage = everywhere
    stage.hire(ALICE, 1)
    stage.quiet()
    stage.clock.advance(HOUR)
    stage.crash_at_settling(lambda: (stage.leave(ALICE), stage.deliver()))

    follow(stage)

    assert place(stage).verdict is ABSENT
    assert stage.there() == []


def test_nothing_enrols_whoever_has_left(everywhere: Stage) -> None:
    """A lost face may be searched for by its picture, where a library finds it by nothing else; never added again."""
    stage = everywhere
    stage.hire(ALICE, 1)
    stage.room.fault("lost_answer", ADDING[stage.room.name], times=1)
    stage.deliver()
    stage.leave(ALICE)
    asked: list[str] = []
    stage.gatekeeper.before = asked.append

    follow(stage)

    assert asked
    assert set(asked).isdisjoint({ADDING[stage.room.name], "addface", "replaceface"})
    assert stage.there() == []
    assert stage.stored_pictures() == set()
    assert place(stage).verdict is ABSENT


# --- libraries that cannot be read, or not emptied ----------------------------------------------------------------


def test_a_paused_library_is_unreachable_until_it_works_again(pair: Stage) -> None:
    stage = pair
    gone(stage, 1)
    stage.set_state("paused", YARD)
    follow(stage)

    assert place(stage).verdict is ABSENT
    waits = place(stage, library=YARD)
    assert (waits.verdict, waits.reason) == (UNREACHABLE, "the library is paused")
    assert erasure(stage).state == "open"
    assert said(stage) == []

    stage.resume(YARD)
    follow(stage, seconds=HOUR)
    follow(stage, seconds=HOUR)
    assert place(stage, library=YARD).verdict is ABSENT
    assert erasure(stage).state == "verified"


def test_a_library_where_nothing_is_removed_is_said_to_be_so(stage: Stage) -> None:
    stage.hire(ALICE, 1)
    stage.quiet()
    stage.reshelve(policy="upsert-only")
    stage.leave(ALICE)

    follow(stage)

    found = place(stage)
    assert found.verdict is UNVERIFIABLE
    assert found.reason is not None
    assert "upsert-only" in found.reason
    assert "1 faces of the person remain" in found.reason
    assert erasure(stage).state == "verified"
    assert len(stage.there()) == 1


def test_a_library_that_is_no_longer_configured_is_not_forgotten(pair: Stage) -> None:
    stage = pair
    stage.hire(ALICE, 1)
    stage.quiet()
    stage.house = changed(stage.house, shelves={GATE: stage.house.shelf(GATE)})
    with stage.house.store.transaction() as tx:
        tx.libraries.declare({GATE: ("finauth", "sync")}, stage.clock())
    stage.leave(ALICE)

    follow(stage)

    assert place(stage).verdict is ABSENT
    found = place(stage, library=YARD)
    assert found.verdict is UNVERIFIABLE
    assert found.reason is not None
    assert "not in the configuration" in found.reason
    assert found.faces == 1


def test_a_library_that_cannot_be_read_is_tried_again(everywhere: Stage) -> None:
    stage = everywhere
    gone(stage, 1)
    stage.quiet()
    stage.room.fault("outage")
    stage.clock.advance(60)
    pursue(stage.house)

    found = place(stage)
    assert found.verdict is ACCEPTED
    assert found.reason is not None
    assert "could not be read back so far" in found.reason
    assert found.check_at is not None
    assert found.check_at > stage.clock()

    stage.room.clear_faults()
    follow(stage)
    assert place(stage).verdict is ABSENT


def test_a_deletion_that_is_still_tried_says_why(stage: Stage) -> None:
    gone(stage, 1)
    stage.clock.advance(60)
    pursue(stage.house)
    queued = place(stage)
    stage.room.fault("outage", times=1)
    stage.deliver()
    stage.clock.advance(60)
    pursue(stage.house)

    assert (queued.verdict, queued.reason) == (UNREACHABLE, "still trying: the deletion is queued")
    tried = place(stage).reason
    assert tried is not None
    assert tried.startswith("still trying, after 1 attempts: ")


def test_somebody_who_was_never_anywhere_is_verified_at_once(stage: Stage) -> None:
    stage.leave(ALICE)

    pursue(stage.house)

    assert erasure(stage).state == "verified"
    stage.clock.advance(25 * HOUR)
    pursue(stage.house)
    assert erasure(stage).state == "confirmed"
    assert said(stage) == ["verified", "confirmed"]


def test_a_face_that_was_never_ours_is_left_alone_and_told_of(everywhere: Stage) -> None:
    stage = everywhere
    stage.hire(ALICE, 1)
    stage.quiet()
    stranger = stage.plant()
    stage.clock.advance(HOUR)
    stage.leave(ALICE)

    follow(stage)

    found = place(stage)
    assert found.verdict is ABSENT
    assert stranger in stage.room.world.faces


# --- people who come back, and two at once ------------------------------------------------------------------------


def test_a_departure_told_twice_is_one_erasure(stage: Stage) -> None:
    gone(stage, 1)
    stage.leave(ALICE)

    assert len(erasures(stage)) == 1


def test_who_comes_back_is_not_touched_and_what_they_had_is_pursued(everywhere: Stage) -> None:
    stage = everywhere
    gone(stage, 1)
    stage.room.fault("lying_ok", REMOVING[stage.room.name])
    stage.quiet()
    old = {one.vendor_face_id for one in stage.there()}
    stage.room.clear_faults()
    stage.clock.advance(HOUR)
    stage.hire(ALICE, 2)
    stage.quiet()

    follow(stage)
    follow(stage)

    assert len(old) == 1
    assert {one.vendor_face_id for one in stage.there()}.isdisjoint(old)
    stage.assert_in_sync()
    assert place(stage).verdict is ABSENT
    assert erasure(stage).state == "verified"


def test_a_face_that_was_being_added_when_they_left_is_asked_for_although_they_are_back(everywhere: Stage) -> None:
    stage = everywhere
    stage.hire(ALICE, 1)
    taken = stage.take(stage.row().id)
    done = stage.run(taken)
    stage.clock.advance(1)
    stage.leave(ALICE)
    stage.clock.advance(1)
    settle(stage.house, taken.round, done)
    (old,) = stage.there()
    stage.quiet()
    assert stage.there() == []
    stage.clock.advance(HOUR)
    stage.hire(ALICE, 2)
    stage.quiet()
    with stage.room.lock:
        stage.room.world.add(old)  # although the library had said that it was deleted

    stage.clock.advance(60)
    pursue(stage.house)

    assert place(stage).verdict is UNREACHABLE
    assert place(stage).came_back == 1

    follow(stage)
    follow(stage)

    assert place(stage).verdict is ABSENT
    assert old.vendor_face_id not in {one.vendor_face_id for one in stage.there()}
    stage.assert_in_sync()


def test_who_comes_back_with_the_same_photo_before_it_was_deleted_is_said_to_be(stage: Stage) -> None:
    gone(stage, 1)
    stage.clock.advance(HOUR)
    stage.hire(ALICE, 1)

    follow(stage)

    found = place(stage)
    assert found.verdict is UNVERIFIABLE
    assert found.reason is not None
    assert "in use again" in found.reason
    stage.assert_in_sync()


def test_who_departs_again_after_coming_back_is_erased_again(stage: Stage) -> None:
    gone(stage, 1)
    follow(stage)
    stage.hire(ALICE, 2)
    stage.quiet()
    stage.clock.advance(HOUR)
    stage.leave(ALICE)
    follow(stage)

    assert [one.state for one in erasures(stage)] == ["verified", "verified"]
    assert place(stage).faces == 2
    assert erasures(stage)[0].pseudonym == erasures(stage)[1].pseudonym


def test_two_pursuers_at_once_do_it_once(stage: Stage) -> None:
    gone(stage, 1)
    stage.quiet()
    stage.clock.advance(60)
    before = stage.gatekeeper.permits
    nested: list[int] = []

    def another(_operation: str) -> None:
        if not nested:
            nested.append(1)
            pursue(stage.house)

    stage.gatekeeper.before = another
    pursue(stage.house)

    assert nested
    assert said(stage) == ["verified"]
    assert place(stage).looks == 1
    assert stage.gatekeeper.permits - before <= 2


class _Death(BaseException):
    """What a killed worker cannot catch."""


def test_a_pursuer_that_dies_between_reading_and_writing_is_followed_by_another(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone(stage, 1)
    stage.quiet()
    stage.clock.advance(60)

    def die(*_: Any) -> None:
        raise _Death

    with monkeypatch.context() as patched:
        patched.setattr("syncsvc.flow.erase._conclude", die)
        with pytest.raises(_Death):
            pursue(stage.house)
    pursue(stage.house)
    held = place(stage).verdict
    stage.clock.advance(301)
    pursue(stage.house)

    assert held is None
    assert place(stage).verdict is ABSENT
    assert said(stage) == ["verified"]


def test_many_departures_cost_few_statements(stage: Stage) -> None:
    for number in range(40):
        stage.hire(PersonId(f"p{number}"))
    people = [PersonId(f"p{number}") for number in range(40)]
    with stage.house.store.transaction() as tx:
        known = tx.people.lock_all(people, stage.clock())
        statements = count(tx)
        tx.erasures.open({one: known[one].revision for one in people}, stage.clock())
    assert len(statements) <= 5


def count(tx: Any) -> list[str]:
    """What the connection executes from now on."""
    from sqlalchemy import event  # noqa: PLC0415

    seen: list[str] = []
    event.listen(tx._connection, "before_cursor_execute", lambda *args: seen.append(args[2]))
    return seen


# --- deadlines ----------------------------------------------------------------------------------------------------


@pytest.fixture
def late(stage: Stage) -> Stage:
    """A paused library, and somebody who should be gone from it within 72 hours; callbacks are told."""
    stage.house = changed(stage.house, callbacks=frozenset({"hr"}), erasing=Erasing())
    gone(stage, 1)
    stage.set_state("paused")
    return stage


def test_what_may_come_too_late_is_said_once_before_it_does(late: Stage) -> None:
    stage = late
    stage.clock.advance(47 * HOUR)
    pursue(stage.house)
    before = erasure(stage).warned_at
    stage.clock.advance(2 * HOUR)
    pursue(stage.house)
    stage.clock.advance(2 * HOUR)
    pursue(stage.house)

    assert before is None
    assert erasure(stage).warned_at is not None
    assert told(stage).count("erasure.late") == 1
    assert said(stage) == []


def test_what_came_too_late_is_attested_once(late: Stage) -> None:
    stage = late
    for _ in range(3):
        stage.clock.advance(40 * HOUR)
        pursue(stage.house)

    assert said(stage) == ["overdue"]
    with stage.house.store.reading() as tx:
        assert tx.erasures.unfinished(stage.clock()) == ({"open": 1, "verified": 0}, 1)
    stage.resume()
    follow(stage, seconds=HOUR)
    follow(stage, seconds=HOUR)
    assert said(stage) == ["overdue", "verified"]
    assert told(stage).count("erasure.verified") == 1
    with stage.house.store.reading() as tx:
        assert tx.erasures.unfinished(stage.clock()) == ({"open": 0, "verified": 1}, 0)
