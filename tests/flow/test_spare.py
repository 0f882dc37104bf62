"""Spare permits: what the caretaker may have, and that everybody else goes first."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from redis import Redis

from syncsvc.flow import spare as spares
from syncsvc.flow.dispatch import sweep
from syncsvc.flow.listing import begin, read_on
from syncsvc.flow.spare import DueFirstError, SpareLimiter, share, spare
from syncsvc.limits import RedisLimiter
from syncsvc.model.errors import NoPermitError
from syncsvc.model.listings import Caretaking
from syncsvc.model.people import PersonId
from syncsvc.model.permits import Account, Rate, Usage
from tests.flow.stage import ALICE, GATE, YARD, Gatekeeper, Stage, on
from tests.limits.conftest import client, prefix

__all__ = ["client", "prefix"]

IDLE = Usage(in_flight=0, used=0, allowed=10, closed_for=0.0, pace=1.0)


@dataclass
class Busy(Gatekeeper):
    """A gatekeeper who knows how much of the pace is used."""

    now: Usage = IDLE
    patience: list[float] = field(default_factory=list)

    def permit(self, account: Account, operation: str, *, patience: float) -> Any:
        self.patience.append(patience)
        return super().permit(account, operation, patience=patience)

    def usage(self, account: Account) -> Usage:
        return self.now


@pytest.fixture(autouse=True)
def no_glance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask every time whether something is due."""
    monkeypatch.setattr(spares, "GLANCE", 0.0)


def count(stage: Stage, library: Any = GATE) -> int | None:
    found: int | None = spare(stage.house, stage.house.shelf(library), None).count()
    return found


def pace(stage: Stage, usage: Usage, **caretaking: Any) -> Busy:
    keeper = Busy(now=usage)
    stage.house = replace(stage.house, limiter=keeper, caretaking=Caretaking(**caretaking))
    return keeper


def asked(stage: Stage, library: Any = GATE) -> int:
    total: int = stage.rooms[library].calls()["total"]
    return total


def test_where_nothing_is_due_the_library_is_asked(stage: Stage) -> None:
    assert count(stage) == 0


def test_where_something_is_due_nothing_is_asked(stage: Stage) -> None:
    stage.hire(ALICE, 1)

    with pytest.raises(DueFirstError) as refused:
        count(stage)

    assert refused.value.wait <= 5
    assert asked(stage) == 0


def test_what_is_under_way_goes_first_too(stage: Stage) -> None:
    stage.hire(ALICE, 1)
    taken = stage.take(stage.row().id)
    assert taken.taken

    with pytest.raises(DueFirstError):
        count(stage)

    stage.finish(taken)
    assert count(stage) == 1


def test_what_is_due_later_or_cannot_be_sent_keeps_nobody_waiting(pair: Stage) -> None:
    pair.hire(ALICE, 1)
    pair.amend(ALICE, due_at=pair.clock() + timedelta(seconds=10))
    assert count(pair) == 0

    pair.clock.advance(10)
    with pytest.raises(DueFirstError):
        count(pair)

    pair.reshelve(GATE, policy="observe")
    assert count(pair) == 0


@pytest.mark.parametrize("state", ["paused", "halted"])
def test_what_a_library_that_is_not_at_work_is_owed_keeps_nobody_waiting(stage: Stage, state: str) -> None:
    stage.hire(ALICE, 1)
    stage.set_state(state)

    assert count(stage) == 0


def test_libraries_of_one_account_give_way_to_each_other_and_to_nobody_else(pair: Stage) -> None:
    pair.hire(ALICE, 1)
    pair.deliver(ALICE, GATE)
    assert count(pair) == 1  # the yard's account is another

    shared = pair.house.shelf(YARD).library
    door = replace(shared.door, account=pair.house.shelf(GATE).library.door.account)
    pair.reshelve(YARD, library_=shared.at(door))

    with pytest.raises(DueFirstError):
        count(pair)


@pytest.mark.parametrize(
    ("usage", "goes"),
    [
        (replace(IDLE, used=4), True),
        (replace(IDLE, used=5), False),
        (replace(IDLE, used=0, allowed=1), True),
        (replace(IDLE, used=1, allowed=1), False),
        (replace(IDLE, used=1000, allowed=None), True),
        (replace(IDLE, closed_for=3.0), False),
    ],
)
def test_no_more_than_the_caretakers_share_of_the_pace_is_used(stage: Stage, usage: Usage, *, goes: bool) -> None:
    keeper = pace(stage, usage)

    if goes:
        assert count(stage) == 0
        assert keeper.patience == [0.0]  # it never takes a place in the queue
    else:
        with pytest.raises(NoPermitError):
            count(stage)
        assert asked(stage) == 0


@pytest.mark.parametrize(("allowed", "part", "most"), [(10, 0.5, 5), (10, 0.25, 2), (10, 0.01, 1), (1, 1.0, 1)])
def test_the_share_is_one_call_at_least(allowed: int, part: float, most: int) -> None:
    assert share(allowed, part) == most


def test_who_waits_for_room_sees_at_once_that_something_is_due(stage: Stage) -> None:
    pace(stage, replace(IDLE, used=9))
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        stage.hire(ALICE, 1)

    limiter = SpareLimiter(stage.house, (GATE,), sleep=sleep)

    with pytest.raises(DueFirstError), limiter.permit(Account("a"), "list", patience=10.0):
        pass

    assert len(slept) == 1


class Times:
    """A clock that moves while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1_750_000_000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_at_the_real_limiter_half_of_every_window_is_left_to_others(
    stage: Stage,
    client: "Redis",
    prefix: str,
) -> None:
    times = Times()
    real = RedisLimiter(client, prefix=prefix, clock=times, sleep=times.sleep)
    account = Account("finauth|gate", rates=(Rate(10),))
    limiter = SpareLimiter(replace(stage.house, limiter=real), (GATE,), monotonic=times, sleep=times.sleep)
    began: list[float] = []

    while times.now < 1_750_000_005.0:
        try:
            with limiter.permit(account, "list", patience=1.0):
                began.append(times.now)
                times.sleep(0.02)
        except NoPermitError:
            times.sleep(0.1)

    fullest = max(sum(first <= one < first + 1 for one in began) for first in began)
    assert fullest <= 5
    assert len(began) >= 15  # and it is not starved either
    before = times.now
    with real.permit(account, "delete", patience=1.0):
        assert times.now - before <= 0.1


@on("finauth")
def test_while_a_library_is_read_a_departure_waits_for_one_call_at_most(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("syncsvc.vendors.finauth.PAGE", 2)
    for number in range(10):
        stage.room.plant(f"p{number}")
    stage.hire(ALICE, 1)
    stage.quiet()
    begin(stage.house, GATE, "command")
    told: list[int] = []

    def leaves(_: object) -> None:
        if not told:
            told.append(asked(stage))
            stage.leave(PersonId(ALICE))

    read_on(stage.house, GATE, watch=leaves)

    assert asked(stage) == told[0]
    for ring in sweep(stage.house):
        assert ring.library == GATE
    stage.quiet()
    assert stage.there() == []
