"""Employees of whom an HR system said only that something changed: asked about, until the answer is written down."""

import json
import threading
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from syncsvc.flow.fulfil import fulfil
from syncsvc.flow.record import Message, record_message
from syncsvc.flow.refresh import LEASE, refresh
from syncsvc.flow.rounds import SIDE_BY_SIDE, Rounds
from syncsvc.intake.dialects import Message as Received
from syncsvc.intake.dialects import dialect_class
from syncsvc.library.http import Door, make_client
from syncsvc.model.changes import Departed, Fetched, Told
from syncsvc.model.people import PersonId
from syncsvc.model.permits import Account, Unlimited
from syncsvc.model.urgency import MAX_ATTEMPTS
from tests.flow.hr_system import MAIN, PEOPLE, HrSystem, faces, gone, left, there
from tests.flow.stage import Stage
from tests.intake.dialects.contract import Album
from tests.intake.dialects.hr_rooms import Personio, open_room
from tests.vendors.photos import draw


@pytest.fixture
def hr(stage: Stage) -> HrSystem:
    return HrSystem(stage)


# --- the answer decides -------------------------------------------------------------------------------------------


def test_an_event_says_nothing_until_the_employee_was_fetched(hr: HrSystem, stage: Stage) -> None:
    hr.says["7"] = there("7")
    (change,) = hr.tell("7")
    assert hr.change(change).effect == "fetching"
    assert faces(stage, "7") is None

    assert hr.round() == 1

    entry = hr.change(change)
    assert (entry.effect, entry.person, entry.revision) == ("applied", "7", 2)
    assert faces(stage, "7") == {MAIN: draw(1).digest}
    assert hr.rows() == 0
    assert hr.round() == 0


def test_faces_that_came_from_elsewhere_stay(hr: HrSystem, stage: Stage) -> None:
    hr.says["7"] = there("7")
    stage.hire(PersonId("7"), 5)

    hr.tell("7")
    hr.round()

    assert faces(stage, "7") == {"left": draw(5).digest, MAIN: draw(1).digest}


def test_what_is_owed_by_an_answer_is_rung_for(hr: HrSystem, stage: Stage) -> None:
    hr.says["7"] = there("7")
    hr.tell("7")
    stage.clock.advance(1)

    (rings,) = refresh(stage.house, {PEOPLE: hr.fetch}, hr.rounds)

    assert [ring.verb for ring in rings] == ["replace"]


def test_an_event_about_somebody_who_left_departs_them_by_the_answer(hr: HrSystem, stage: Stage) -> None:
    hr.says["7"] = there("7")
    hr.tell("7")
    hr.round()

    hr.says["7"] = left("7")
    (change,) = hr.tell("7")
    hr.round()

    assert faces(stage, "7") is None
    assert hr.change(change).effect == "applied"


def test_an_event_that_sounds_like_a_departure_departs_nobody_who_is_there(hr: HrSystem, stage: Stage) -> None:
    """It was late: they have been hired again since."""
    hr.says["7"] = there("7")
    hr.tell("7")
    hr.round()

    hr.tell("7")
    hr.round()

    assert faces(stage, "7") == {MAIN: draw(1).digest}


def test_a_departure_that_is_planned_waits_for_its_moment(hr: HrSystem, stage: Stage) -> None:
    moment = stage.clock() + timedelta(days=3)
    answer = there("7")
    told = (*answer.told, Told(PEOPLE, "planned", Departed(PersonId("7")), effective_at=moment))
    hr.says["7"] = Fetched(PersonId("7"), told)
    (change,) = hr.tell("7")

    hr.round()

    assert faces(stage, "7") == {MAIN: draw(1).digest}
    assert hr.change(change).effect == "applied"
    with stage.house.store.reading() as tx:
        waiting = tx.changes.pending_of([PersonId("7")])
    assert [one.effect for one in waiting[PersonId("7")]] == ["waiting"]


def test_what_was_told_of_somebody_who_waits_to_leave_ends_when_they_do(hr: HrSystem, stage: Stage) -> None:
    hr.says["7"] = there("7")
    hr.tell("7")
    hr.round()
    moment = stage.clock() + timedelta(days=3)
    hr.says["7"] = Fetched(PersonId("7"), (Told(PEOPLE, "planned", Departed(PersonId("7")), effective_at=moment),))
    (change,) = hr.tell("7")
    hr.round()
    before = hr.change(change).effect

    stage.clock.advance(timedelta(days=3).total_seconds())
    fulfil(stage.house)

    assert (before, faces(stage, "7")) == ("waiting", None)  # nobody is there any more
    assert hr.change(change).effect in {"applied", "unchanged"}


def test_nobody_by_that_id_any_more_is_a_departure(hr: HrSystem, stage: Stage) -> None:
    hr.says["7"] = there("7")
    hr.tell("7")
    hr.round()

    hr.says["7"] = gone("7")
    hr.tell("7")
    hr.round()

    assert faces(stage, "7") is None


# --- who an employee is to us -------------------------------------------------------------------------------------


def test_an_employee_known_by_a_number_is_remembered_and_gone_by_it(hr: HrSystem, stage: Stage) -> None:
    hr.says["7"] = there("E-7")
    (change,) = hr.tell("7")
    hr.round()
    assert hr.change(change).person == "E-7"

    hr.says["7"] = gone(None)  # the HR system knows the number no more
    (change,) = hr.tell("7")
    hr.round()

    assert faces(stage, "E-7") is None
    assert (hr.change(change).person, hr.change(change).effect) == ("E-7", "applied")


def test_with_another_number_an_employee_is_somebody_else_and_the_former_departs(hr: HrSystem, stage: Stage) -> None:
    hr.says["7"] = there("E-7")
    hr.tell("7")
    hr.round()

    for number in ("E-8", "E-7", "E-8"):
        hr.says["7"] = there(number)
        hr.tell("7")
        hr.round()

        assert faces(stage, number) == {MAIN: draw(1).digest}
        assert faces(stage, "E-7" if number == "E-8" else "E-8") is None


def test_somebody_gone_of_whom_we_never_knew_changes_nothing(hr: HrSystem, stage: Stage) -> None:
    hr.says["7"] = gone(None)
    (change,) = hr.tell("7")

    hr.round()

    assert hr.change(change).effect == "unchanged"
    assert faces(stage, "7") is None


# --- told again, taken twice --------------------------------------------------------------------------------------


def test_an_event_in_mid_fetch_is_answered_by_a_fetch_of_its_own(hr: HrSystem, stage: Stage) -> None:
    later: list[str] = []

    def meanwhile() -> Fetched:
        later.extend(hr.tell("7"))
        hr.says["7"] = left("7")
        return there("7")

    hr.says["7"] = meanwhile
    (first,) = hr.tell("7")
    hr.round()

    assert faces(stage, "7") == {MAIN: draw(1).digest}  # true when it was asked
    assert {hr.change(one).effect for one in (first, *later)} == {"fetching"}
    hr.round()
    assert faces(stage, "7") is None
    assert {hr.change(one).effect for one in (first, *later)} == {"applied"}
    assert hr.asked == ["7", "7"]


def test_a_worker_that_dies_in_mid_fetch_leaves_the_employee_to_another(hr: HrSystem, stage: Stage) -> None:
    class Killed(BaseException):
        """What a dead worker cannot catch."""

    hr.says["7"] = lambda: (_ for _ in ()).throw(Killed())
    hr.tell("7")
    with pytest.raises(Killed):
        hr.round()
    hr.says["7"] = left("7")

    assert hr.round(Rounds()) == 0  # the lease is still theirs
    stage.clock.advance(LEASE.total_seconds())
    assert hr.round(Rounds()) == 1

    assert hr.rows() == 0


def test_who_comes_back_after_the_lease_ran_out_writes_nothing(hr: HrSystem, stage: Stage) -> None:
    def slow() -> Fetched:
        stage.clock.advance(LEASE.total_seconds())
        hr.says["7"] = left("7")
        hr.round(Rounds())  # somebody else, meanwhile
        return there("7")  # what was true before

    hr.says["7"] = slow
    hr.tell("7")

    hr.round()

    assert hr.asked == ["7", "7"]
    assert faces(stage, "7") is None


def test_whose_worker_dies_every_time_is_given_up_and_shown(hr: HrSystem, stage: Stage) -> None:
    hr.tell("7")
    for _ in range(MAX_ATTEMPTS):
        stage.clock.advance(LEASE.total_seconds() + 1)
        with stage.house.store.transaction() as tx:
            now = stage.clock()
            assert tx.invalidations.claim(PEOPLE, now, now + LEASE) is not None
    stage.clock.advance(LEASE.total_seconds())

    assert hr.round() == 0

    (shown,) = hr.overdue()
    assert (shown.employee, shown.state, shown.reason) == ("7", "exhausted", "worker_lost")


def test_of_many_rounds_at_once_nobody_is_asked_about_twice(hr: HrSystem, stage: Stage) -> None:
    employees = [f"e{number}" for number in range(12)]
    hr.says.update({one: there(one) for one in employees})
    hr.tell(*employees)
    stage.clock.advance(1)
    rounds = Rounds()
    threads = [
        threading.Thread(target=lambda: list(refresh(stage.house, {PEOPLE: hr.fetch}, rounds))) for _ in range(4)
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(hr.asked) == sorted(employees)
    assert hr.rows() == 0


def test_a_process_has_only_so_many_rounds_under_way(hr: HrSystem) -> None:
    hr.says["7"] = there("7")
    hr.tell("7")
    for _ in range(SIDE_BY_SIDE):
        assert hr.rounds.begin()

    assert hr.round() == 0
    hr.rounds.end()

    assert hr.round() == 1


def test_no_transaction_is_open_while_the_hr_system_thinks(hr: HrSystem, stage: Stage) -> None:
    def writing() -> Fetched:
        with stage.house.store.transaction() as tx:  # SQLite has one writer: another would wait for ever
            tx.people.lock(PersonId("somebody"), stage.clock())
        return there("7")

    hr.says["7"] = writing
    hr.tell("7")

    assert hr.round() == 1


# --- with a real client -------------------------------------------------------------------------------------------


def test_a_thin_event_about_somebody_whom_personio_says_has_left(stage: Stage) -> None:
    with open_room(Personio()) as room:
        speaker = dialect_class("personio")(PEOPLE, personio_options(room.url))
        door = Door(make_client(1.0), room.url, Account("hr"), Unlimited(), timeout=1.0)
        worker, rounds = room.hire("4711", photo=draw(1).content), Rounds()

        def event(name: str) -> Rounds:
            body = {"company_id": "1", "event_name": name, "occurred_at": "x", "payload": {"person": {"id": "4711"}}}
            message = Received({"authorization": "token"}, json.dumps(body).encode())
            heard = speaker.hear(message, Album(), stage.clock())
            record_message(stage.house, Message(PEOPLE, f"{heard.id}/{name}", heard.told, heard.employees))
            return rounds

        def ask(after: float) -> None:
            stage.clock.advance(after)
            fetch = lambda employee, deadline: speaker.fetch(  # noqa: E731 - as the queue composes it
                employee, door.for_errand(deadline), Album(), stage.clock()
            )
            list(refresh(stage.house, {PEOPLE: fetch}, rounds))

        event("person.created")
        ask(1)
        assert faces(stage, "4711") == {MAIN: draw(1).digest}

        worker.there = False
        room.fault = "broken"
        event("employment.terminated")
        for _ in range(20):
            ask(60)
        assert faces(stage, "4711") == {MAIN: draw(1).digest}

        room.fault = None
        for _ in range(20):
            ask(60)
        assert faces(stage, "4711") is None
        door.client.close()


def personio_options(url: str) -> Any:
    return dialect_class("personio").Options.model_validate(
        {
            "tokens": (SecretStr("token"),),
            "client_id": "client",
            "client_secret": SecretStr(Personio.SECRET),
            "api_url": url,
        }
    )
