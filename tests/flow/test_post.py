"""Messages on their way: at least once, for days if need be, and one dead address is nobody else's trouble."""

import json
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from syncsvc.flow.callbacks import CallbackView, callback_views, enable
from syncsvc.flow.house import House
from syncsvc.flow.post import AT_ONCE, HOPELESS, HOPELESS_FAILURES, SERVED, TRIES, Sent, post_due
from syncsvc.flow.purge import purge
from syncsvc.intake.callbacks import Address, Courier
from syncsvc.model.callbacks import Accepted, Answer, Letter, Notice, NotNow, Unwanted
from syncsvc.model.errors import NotFoundError
from syncsvc.model.permits import Unlimited
from syncsvc.store import Store
from syncsvc.store.callbacks import Posted
from syncsvc.store.tables import callbacks
from tests.conftest import MovableClock
from tests.intake.receiver import SECRET, receiver

DOWN = NotNow("the address cannot be reached (ConnectError)")


@dataclass
class Mail:
    """Addresses that take everything, unless they are told how to answer; remembers what was brought to them."""

    answers: dict[str, Callable[[Letter], Answer]] = field(default_factory=dict)
    brought: list[tuple[str, str]] = field(default_factory=list)
    before: Callable[[str], object] = str

    def __call__(self, name: str, letters: Sequence[Letter]) -> list[Answer]:
        self.before(name)
        self.brought += [(name, one.id) for one in letters]
        answer = self.answers.get(name)
        return [Accepted() if answer is None else answer(one) for one in letters]

    def of(self, name: str) -> list[str]:
        return [message for whose, message in self.brought if whose == name]


@pytest.fixture
def house(store: Store, clock: MovableClock) -> House:
    return House(store, {}, Unlimited(), clock, frozenset({"hr"}))


@pytest.fixture
def two(house: House) -> House:
    """The same with a second callback."""
    return replace(house, callbacks=frozenset({"hr", "payroll"}))


@pytest.fixture
def mail() -> Mail:
    return Mail()


def owe(house: House, count: int = 1, what: str = "change.converged") -> None:
    with house.store.transaction() as tx:
        tx.callbacks.owe(house.callbacks, [Notice(what, {"number": number}) for number in range(count)], house.clock())


def rows(house: House) -> list[Any]:
    with house.store.reading() as tx:
        return list(tx._connection.execute(select(callbacks).order_by(callbacks.c.created_at, callbacks.c.body)))


def view(house: House, name: str = "hr") -> CallbackView:
    return next(one for one in callback_views(house) if one.name == name)


def go_on(house: House, mail: Mail, clock: MovableClock, *, until: Callable[[], bool], rounds: int = 2000) -> None:
    """Send every half hour."""
    for _ in range(rounds):
        if until():
            return
        post_due(house, mail)
        clock.advance(1800)
    raise AssertionError("it does not come to an end")


def test_what_is_owed_is_sent_and_then_over(house: House, mail: Mail) -> None:
    owe(house, 3)

    sent = post_due(house, mail)

    assert sent == [Sent("hr", "accepted")] * 3
    assert sorted(mail.of("hr")) == sorted(row.id for row in rows(house))
    assert {row.state for row in rows(house)} == {"delivered"}
    assert post_due(house, mail) == []


def test_one_call_sends_all_that_waits_a_few_at_once(house: House, mail: Mail) -> None:
    owe(house, 3 * AT_ONCE + 1)
    together: list[int] = []

    def post(name: str, letters: Sequence[Letter]) -> list[Answer]:
        together.append(len(letters))
        return mail(name, letters)

    post_due(house, post)

    assert together == [AT_ONCE, AT_ONCE, AT_ONCE, 1]
    assert len(set(mail.of("hr"))) == 3 * AT_ONCE + 1


def test_a_body_is_what_standard_webhooks_asks_for(house: House, clock: MovableClock) -> None:
    owe(house, what="erasure.verified")

    (row,) = rows(house)

    said = json.loads(row.body)
    assert said == {"type": "erasure.verified", "timestamp": "2026-03-02T08:00:00Z", "data": {"number": 0}}


def test_an_address_that_was_down_for_hours_gets_everything_when_it_is_back(
    house: House, mail: Mail, clock: MovableClock
) -> None:
    owe(house, 5)
    mail.answers["hr"] = lambda _: DOWN
    down_until = clock() + timedelta(hours=9)
    go_on(house, mail, clock, until=lambda: clock() >= down_until)
    assert view(house).state == "failing"
    assert view(house).last_error == DOWN.detail
    del mail.answers["hr"]

    go_on(house, mail, clock, until=lambda: view(house).waiting == 0)

    assert {row.state for row in rows(house)} == {"delivered"}
    assert (view(house).state, view(house).failures, view(house).last_error) == ("working", 0, None)


def test_an_address_that_fails_is_tried_with_one_message_and_the_others_lose_no_try(
    house: House, mail: Mail, clock: MovableClock
) -> None:
    owe(house, 100)
    mail.answers["hr"] = lambda _: DOWN

    for _ in range(10):
        post_due(house, mail)
        clock.advance(600)

    assert len(mail.brought) <= AT_ONCE + 9
    assert sum(row.attempts for row in rows(house)) == len(mail.brought)


def test_after_a_failure_the_address_is_left_alone_for_a_while(
    house: House, mail: Mail, monkeypatch: pytest.MonkeyPatch, clock: MovableClock
) -> None:
    monkeypatch.setattr("syncsvc.flow.post.backoff", lambda *_, **more: more["cap"])
    owe(house, 50)
    mail.answers["hr"] = lambda _: DOWN
    post_due(house, mail)
    brought = len(mail.brought)

    clock.advance(299)
    early = post_due(house, mail)
    clock.advance(1)
    due = post_due(house, mail)

    assert (early, due, len(mail.brought)) == ([], [Sent("hr", "failed")], brought + 1)


def test_the_time_that_an_address_asks_for_is_granted(house: House, mail: Mail, clock: MovableClock) -> None:
    owe(house)
    mail.answers["hr"] = lambda _: NotNow("the address answered HTTP 429", 120.0)
    post_due(house, mail)
    del mail.answers["hr"]

    clock.advance(119)
    early = post_due(house, mail)
    clock.advance(200)
    late = post_due(house, mail)

    assert (early, late) == ([], [Sent("hr", "accepted")])


def test_a_message_that_is_not_taken_is_given_up_at_last_and_nothing_else_with_it(
    house: House, mail: Mail, clock: MovableClock
) -> None:
    owe(house, 2)
    poison = rows(house)[0].id
    mail.answers["hr"] = lambda one: NotNow("the address answered HTTP 400") if one.id == poison else Accepted()
    with house.store.transaction() as tx:
        tx.callbacks.settle([Posted(poison, "due", clock(), TRIES - 1)])

    with capture_logs() as logged:
        post_due(house, mail)

    states = {row.id: (row.state, row.attempts) for row in rows(house)}
    assert states.pop(poison) == ("given_up", TRIES)
    assert set(states.values()) == {("delivered", 1)}
    assert (view(house).state, view(house).given_up) == ("working", 1)
    assert [one["log_level"] for one in logged if one.get("state") == "given_up"] == ["warning"]


def test_tries_take_about_three_days_in_the_mean(
    house: House, mail: Mail, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("syncsvc.model.urgency.random.uniform", lambda low, high: (low + high) / 2)
    owe(house)
    poison = rows(house)[0].id
    mail.answers["hr"] = lambda one: NotNow("the address answered HTTP 400") if one.id == poison else Accepted()
    began = clock()

    def given_up() -> bool:
        owe(house)  # others are accepted all the time
        return view(house).given_up == 1

    go_on(house, mail, clock, until=given_up)

    assert mail.of("hr").count(poison) == TRIES
    assert timedelta(days=2.5) < clock() - began < timedelta(days=3.5)


def test_an_address_that_is_gone_is_disabled_at_once_and_said_so_once(
    house: House, mail: Mail, clock: MovableClock
) -> None:
    owe(house)
    mail.answers["hr"] = lambda _: Unwanted("gone (HTTP 410)")

    with capture_logs() as logged:
        first = post_due(house, mail)
        clock.advance(3600)
        owe(house)
        second = post_due(house, mail)

    assert (first, second) == ([Sent("hr", "unwanted")], [])
    errors = [one for one in logged if one["log_level"] == "error"]
    assert [(one["callback"], one["mend"]) for one in errors] == [("hr", "syncsvc callback enable hr")]
    shown = view(house)
    assert (shown.state, shown.waiting, shown.last_error) == ("disabled", 2, "gone (HTTP 410)")
    assert shown.disabled_at == clock() - timedelta(hours=1)


def test_an_address_that_accepts_nothing_for_days_is_disabled_and_says_since_when(
    house: House, mail: Mail, clock: MovableClock
) -> None:
    began = clock()
    mail.answers["hr"] = lambda _: DOWN
    owe(house, 10)

    go_on(house, mail, clock, until=lambda: view(house).state == "disabled")

    assert clock() - began > HOPELESS
    assert view(house).failures >= HOPELESS_FAILURES
    assert (view(house).waiting, view(house).given_up) == (10, 0)
    assert "since 2026-03-02 08:00 UTC" in str(view(house).last_error)
    assert DOWN.detail in str(view(house).last_error)


def test_two_failures_with_a_quiet_week_between_disable_nobody(house: House, mail: Mail, clock: MovableClock) -> None:
    mail.answers["hr"] = lambda _: DOWN
    owe(house)
    post_due(house, mail)

    clock.advance(timedelta(days=7).total_seconds())
    post_due(house, mail)

    assert view(house).state == "failing"


def test_what_was_owed_meanwhile_goes_out_when_an_operator_enables_it(
    house: House, mail: Mail, clock: MovableClock
) -> None:
    owe(house, 2)
    mail.answers["hr"] = lambda _: Unwanted("gone (HTTP 410)")
    post_due(house, mail)
    clock.advance(86400)
    owe(house, 3)
    mail.answers.clear()

    waiting = enable(house, "hr")
    sent = post_due(house, mail)

    assert (waiting, sent) == (5, [Sent("hr", "accepted")] * 5)
    assert view(house).state == "working"


def test_nobody_can_enable_what_is_not_configured(house: House) -> None:
    with pytest.raises(NotFoundError, match="no callback is called 'payroll'; configured are: hr"):
        enable(house, "payroll")


def test_one_dead_address_does_not_hold_up_another(two: House, mail: Mail) -> None:
    owe(two, 20)
    done = threading.Event()

    def wait(name: str) -> None:
        if name == "hr":  # it thinks until the other one has everything
            assert done.wait(10)
        elif len(mail.of("payroll")) >= 16:
            done.set()

    mail.before = wait
    mail.answers["hr"] = lambda _: DOWN

    sent = post_due(two, mail)

    assert sent.count(Sent("payroll", "accepted")) == 20
    assert sent.count(Sent("hr", "failed")) == AT_ONCE
    assert (view(two, "hr").state, view(two, "payroll").state) == ("failing", "working")


def test_two_senders_at_once_send_nothing_twice(house: House, mail: Mail) -> None:
    owe(house, 40)
    start = threading.Barrier(4)

    def send(_: int) -> list[Sent]:
        start.wait(10)
        return post_due(house, mail)

    with ThreadPoolExecutor(4) as pool:
        sent = [one for each in pool.map(send, range(4)) for one in each]

    assert len(mail.brought) == len(set(mail.brought)) == len(sent) == 40


def test_who_sends_to_an_address_is_alone_at_it(house: House, mail: Mail) -> None:
    owe(house)
    others: list[list[Sent]] = []
    mail.before = lambda _: others.append(post_due(house, Mail()))

    sent = post_due(house, mail)

    assert (sent, others) == ([Sent("hr", "accepted")], [[]])


def test_a_sender_that_was_killed_after_the_post_is_followed_by_one_who_sends_the_same_message_again(
    house: House, mail: Mail, clock: MovableClock
) -> None:
    owe(house)
    with pytest.raises(KeyboardInterrupt):
        post_due(house, _killed_after(mail))
    at_once = post_due(house, mail)

    clock.advance(SERVED.total_seconds())
    again = post_due(house, mail)

    assert (at_once, again) == ([], [Sent("hr", "accepted")])
    assert mail.of("hr") == [rows(house)[0].id] * 2


def test_a_sender_that_comes_back_too_late_undoes_nothing(house: House, mail: Mail, clock: MovableClock) -> None:
    owe(house)
    mail.answers["hr"] = lambda _: DOWN

    def overtaken(_: str) -> None:
        clock.advance(SERVED.total_seconds() + 1)
        assert post_due(house, Mail()) == [Sent("hr", "accepted")]

    mail.before = overtaken
    post_due(house, mail)

    assert [row.state for row in rows(house)] == ["delivered"]
    assert view(house).state == "working"


def test_nothing_is_sent_to_who_is_not_configured_any_more_and_it_is_forgotten(two: House, mail: Mail) -> None:
    owe(two, 2)
    left = replace(two, callbacks=frozenset({"hr"}))

    sent = post_due(left, mail)
    purged = purge(left)

    assert sent == [Sent("hr", "accepted")] * 2
    assert (purged.messages, [row.callback for row in rows(two)]) == (2, ["hr", "hr"])


def test_messages_are_forgotten_after_a_month_sent_or_not(house: House, mail: Mail, clock: MovableClock) -> None:
    owe(house, 2)
    post_due(house, mail)
    mail.answers["hr"] = lambda _: Unwanted("gone (HTTP 410)")
    owe(house)
    post_due(house, mail)

    clock.advance(timedelta(days=29).total_seconds())
    early = purge(house)
    clock.advance(timedelta(days=2).total_seconds())
    late = purge(house)

    assert (early.messages, late.messages, rows(house)) == (0, 3, [])


def test_nobody_is_asked_where_there_is_no_callback(store: Store, clock: MovableClock, mail: Mail) -> None:
    assert post_due(House(store, {}, Unlimited(), clock), mail) == []
    assert mail.brought == []


def test_the_whole_way_to_a_receiver_that_verifies(house: House, store: Store) -> None:
    with receiver() as there:
        there.answers += [500]
        courier = Courier([Address("hr", there.url, SECRET)], lambda: datetime.now(UTC))
        real = House(store, {}, Unlimited(), MovableClock(), frozenset({"hr"}))
        owe(real, 1)

        first = post_due(real, courier.post)
        real.clock.now += timedelta(minutes=10)  # type: ignore[attr-defined]
        second = post_due(real, courier.post)

    assert (first, second) == ([Sent("hr", "failed")], [Sent("hr", "accepted")])
    assert there.types == ["change.converged"] * 2
    assert there.taken[0].id == there.taken[1].id == rows(real)[0].id


def _killed_after(mail: Mail) -> Callable[[str, Sequence[Letter]], list[Answer]]:
    """A sender whose process ends when the address has taken what it brought."""

    def post(name: str, letters: Sequence[Letter]) -> list[Answer]:
        mail(name, letters)
        raise KeyboardInterrupt

    return post
