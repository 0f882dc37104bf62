"""HR systems that are away, throttle or make no sense: nobody departs by it, and nothing is lost."""

import io
import logging
from collections.abc import Iterator, Mapping

import pytest
import structlog

from syncsvc.flow.record import Message, record_message
from syncsvc.flow.refresh import refresh
from syncsvc.flow.rounds import Rounds
from syncsvc.flow.unfetched import troubles
from syncsvc.model.changes import Fetched, Upserted
from syncsvc.model.errors import (
    CredentialsError,
    FetchError,
    GoneError,
    InputError,
    NoPermitError,
    RejectedError,
    SyncsvcError,
    ThrottledError,
)
from syncsvc.model.people import PersonId
from syncsvc.model.urgency import MAX_ATTEMPTS
from syncsvc.observe import logs
from tests.flow.hr_system import GARBAGE, MAIN, OUTAGE, PEOPLE, HrSystem, faces, fetched, left, there
from tests.flow.stage import Stage
from tests.vendors.photos import draw


@pytest.fixture
def hr(stage: Stage) -> HrSystem:
    return HrSystem(stage)


# --- trouble ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [OUTAGE, CredentialsError("the HR system does not accept our credentials")])
def test_trouble_of_everybody_burns_nobodys_attempts_and_ends_by_itself(
    hr: HrSystem, stage: Stage, error: SyncsvcError
) -> None:
    employees = [f"e{number}" for number in range(5)]
    hr.says.update(dict.fromkeys(employees, error))
    hr.tell(*employees)

    hr.rounds_for(6 * 3600)

    assert {one.state for one in hr.overdue()} == {"due"}
    assert all(one.attempts == 0 and one.reason and one.detail for one in hr.overdue())
    assert [faces(stage, one) for one in employees] == [None] * 5
    hr.says.update({one: there(one) for one in employees})
    hr.rounds_for(1800)
    assert hr.overdue() == []
    assert all(faces(stage, one) for one in employees)


def test_while_it_fails_for_everybody_an_hr_system_is_asked_ever_more_rarely(hr: HrSystem, stage: Stage) -> None:
    employees = [f"e{number}" for number in range(50)]
    hr.says.update(dict.fromkeys(employees, OUTAGE))
    hr.tell(*employees)

    hr.rounds_for(3600, step=1.0)

    assert 10 < len(hr.asked) < 60  # and not fifty employees a minute


def test_a_departure_told_in_an_outage_is_carried_out_after_it(hr: HrSystem, stage: Stage) -> None:
    hr.says["7"] = there("7")
    hr.tell("7")
    hr.round()

    hr.says["7"] = OUTAGE
    hr.tell("7")
    hr.rounds_for(3 * 3600)
    assert faces(stage, "7") == {MAIN: draw(1).digest}
    hr.says["7"] = left("7")
    hr.rounds_for(1800)

    assert faces(stage, "7") is None


@pytest.mark.parametrize(
    "error",
    [
        GARBAGE,
        InputError("status: must be active or inactive", field="status"),
        RejectedError("the HR system does not accept how we asked", code="http-400"),
        GoneError("there is nothing by that id", code="http-404"),
        FetchError("the photo is away"),
        KeyError("CANARY a fault of ours"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_employee_who_cannot_be_read_is_given_up_in_the_end_and_shown(
    hr: HrSystem, stage: Stage, error: Exception
) -> None:
    hr.says["bad"], hr.says["good"] = error, there("good")
    hr.tell("bad", "good")

    hr.rounds_for(12 * 3600)

    assert faces(stage, "good") == {MAIN: draw(1).digest}
    (shown,) = hr.overdue()
    assert (shown.employee, shown.state, shown.attempts) == ("bad", "exhausted", MAX_ATTEMPTS)
    assert hr.asked.count("bad") == MAX_ATTEMPTS
    assert shown.detail
    assert "CANARY" not in shown.detail
    hr.says["bad"] = there("bad")
    hr.tell("bad")
    hr.round()
    assert hr.overdue() == []


@pytest.mark.parametrize("error", [ThrottledError("slow down", retry_after=40.0), NoPermitError(40.0)])
def test_slow_down_is_nobodys_attempt_and_nobody_else_asks_before_it_is_over(
    hr: HrSystem, stage: Stage, error: SyncsvcError
) -> None:
    hr.says.update({"a": error, "b": error})
    hr.tell("a", "b")
    assert hr.round() == 1

    stage.clock.advance(38)
    assert hr.round() == 0
    hr.says.update({"a": there("a"), "b": there("b")})
    stage.clock.advance(2)

    assert hr.round() == 2
    assert hr.overdue() == []


def test_a_photo_that_cannot_be_had_just_now_keeps_nobody_out_and_is_asked_for_again(
    hr: HrSystem, stage: Stage
) -> None:
    hr.says["7"] = fetched("7", Upserted(PersonId("7")), lacking="the photo cannot be had just now", again=True)
    (change,) = hr.tell("7")
    hr.round()
    assert faces(stage, "7") == {}
    assert hr.change(change).effect == "applied"
    assert [(one.state, one.reason) for one in hr.overdue()] == [("due", "photo")]

    hr.says["7"] = there("7")
    hr.rounds_for(3600)

    assert faces(stage, "7") == {MAIN: draw(1).digest}
    assert hr.overdue() == []


def test_a_photo_that_nobody_can_use_is_shown_until_the_employee_changes(hr: HrSystem, stage: Stage) -> None:
    hr.says["7"] = fetched("7", Upserted(PersonId("7")), lacking="the photo cannot be used: it is damaged")
    hr.tell("7")

    hr.rounds_for(3600)

    assert hr.asked == ["7"]
    assert [(one.state, one.reason) for one in hr.overdue()] == [("exhausted", "photo")]
    hr.says["7"] = there("7")
    hr.tell("7")
    hr.round()
    assert hr.overdue() == []


def test_one_hr_systems_trouble_is_not_anothers(hr: HrSystem, stage: Stage) -> None:
    other = HrSystem(stage)
    other.says["7"] = there("7")
    hr.says["7"] = OUTAGE
    for webhook in ("people", "offices"):
        record_message(stage.house, Message(webhook, "event", employees=("7",)))
    stage.clock.advance(1)

    list(refresh(stage.house, {"people": hr.fetch, "offices": other.fetch}, Rounds()))

    assert (hr.asked, other.asked) == (["7"], ["7"])
    assert [one.webhook for one in hr.overdue()] == ["people"]


def test_without_an_hr_system_to_ask_nothing_is_looked_at(stage: Stage) -> None:
    stage.house.store.close()

    assert list(refresh(stage.house, {}, Rounds())) == []


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    stream, root = io.StringIO(), logging.getLogger()
    before, level = root.handlers[:], root.level
    logs.configure(level="DEBUG", stream=stream)
    yield stream
    logging.captureWarnings(capture=False)
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


def test_a_failure_is_logged_with_its_reason_and_without_a_name(hr: HrSystem, logged: io.StringIO) -> None:
    said: Mapping[str, Exception | Fetched] = {"a": GARBAGE, "b": KeyError("Canary"), "c": there("c")}
    hr.says.update(said)
    hr.tell(*said)

    hr.round()

    lines = logged.getvalue()
    assert '"event": "employee fetch failed"' in lines
    assert '"reason": "garbage"' in lines
    assert '"employee": "a"' in lines
    assert "Canary" not in lines


def test_trouble_is_seen_at_a_glance(hr: HrSystem, stage: Stage) -> None:
    hr.says.update({"a": OUTAGE, "b": GARBAGE, "c": there("c"), "d": ThrottledError("slow down", retry_after=9.0)})
    hr.tell("b")
    hr.rounds_for(12 * 3600)
    hr.tell("c")
    hr.round()
    hr.tell("a")
    hr.round()
    hr.tell("d")
    hr.rounds_for(300)

    with stage.house.store.reading() as tx:
        (seen,) = troubles(tx)

    assert (seen.webhook, seen.waiting, seen.given_up) == (PEOPLE, 1, 1)
    assert "cannot be read" in seen.words
