"""What one caller may rely on: patience, several limits at once, closing and recovering, failing closed."""

import threading
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis
from redis.exceptions import OutOfMemoryError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from syncsvc.limits import RedisLimiter, connect
from syncsvc.model.errors import NoPermitError
from syncsvc.model.permits import Account, Limiter, Rate
from tests.limits.world import World

TWENTY = Account("twenty", rates=(Rate(20),))
TWO = Account("two", rates=(Rate(2),))


def call(limiter: Limiter, account: Account, operation: str = "delete", *, patience: float = 0.0) -> None:
    with limiter.permit(account, operation, patience=patience):
        pass


def refusal(limiter: Limiter, account: Account, operation: str = "delete", *, patience: float = 0.0) -> NoPermitError:
    with pytest.raises(NoPermitError) as refused:
        call(limiter, account, operation, patience=patience)
    return refused.value


def spend(limiter: Limiter, account: Account, calls: int, operation: str = "delete") -> None:
    for _ in range(calls):
        call(limiter, account, operation, patience=5.0)


def test_a_first_call_enters_at_once(limiter: RedisLimiter, world: World) -> None:
    before = world.now

    call(limiter, TWENTY)

    assert world.now == before


def test_a_spent_window_opens_a_period_after_the_oldest_answer(limiter: RedisLimiter, world: World) -> None:
    spend(limiter, TWO, 2)
    oldest = world.now - 0.25

    call(limiter, TWO, patience=2.0)

    assert 1.0 <= world.now - oldest < 1.002


def test_a_refused_call_names_the_wait_and_does_not_sleep(limiter: RedisLimiter, world: World) -> None:
    spend(limiter, TWO, 2)
    before = world.now

    refused = refusal(limiter, TWO, patience=0.1)

    assert world.now == before
    assert 0.7 < refused.wait < 0.8
    assert refused.reason == "our own rate limit"


def test_refused_calls_consume_nothing(limiter: RedisLimiter, world: World) -> None:
    spend(limiter, TWO, 2)
    wait = refusal(limiter, TWO).wait

    for _ in range(50):
        assert refusal(limiter, TWO, patience=0.1).wait == wait
    world.sleep(wait)

    call(limiter, TWO)


def test_nobody_sleeps_longer_than_the_patience_when_the_slot_is_corrected(limiter: RedisLimiter, world: World) -> None:
    one = Account("one", concurrency=1)
    call(limiter, one)
    with limiter.permit(one, "delete", patience=0.0):
        before = world.now

        refusal(limiter, one, patience=0.5)

        assert world.now - before <= 0.5
    call(limiter, one)


def test_rates_of_an_operation_and_of_the_account_hold_together(limiter: RedisLimiter, world: World) -> None:
    account = Account("both", rates=(Rate(20), Rate(30, 86400)), operation_rates={"list": (Rate(1),)})

    call(limiter, account, "list")
    assert refusal(limiter, account, "list").wait > 0.9
    spend(limiter, account, 29)

    assert refusal(limiter, account, patience=60.0).wait > 86000


def test_the_calls_of_an_operation_count_for_the_account(limiter: RedisLimiter) -> None:
    account = Account("both", rates=(Rate(4, 100.0),), operation_rates={"list": (Rate(100),)})

    spend(limiter, account, 4, "list")

    assert refusal(limiter, account, "delete").wait > 90


def test_a_day_of_permits_may_be_spent_in_an_hour(limiter: RedisLimiter, world: World) -> None:
    day = Account("day", rates=(Rate(300, 86400),))
    before = world.now

    spend(limiter, day, 300)

    assert world.now == before


def test_calls_under_way_are_capped(limiter: RedisLimiter) -> None:
    capped = Account("capped", concurrency=2)
    with ExitStack() as under_way:
        under_way.enter_context(limiter.permit(capped, "delete", patience=0.0))
        under_way.enter_context(limiter.permit(capped, "replace", patience=0.0))
        assert limiter.usage(capped).in_flight == 2

        refusal(limiter, capped)

    call(limiter, capped)


def test_a_failed_call_gives_its_place_back(limiter: RedisLimiter) -> None:
    one = Account("one", concurrency=1)

    with pytest.raises(ZeroDivisionError), limiter.permit(one, "delete", patience=0.0):
        raise ZeroDivisionError

    call(limiter, one)


def test_the_place_of_a_process_that_died_comes_back_after_its_lease(limiter: RedisLimiter, world: World) -> None:
    one = Account("one", rates=(Rate(100, 3600),), concurrency=1)
    dead = limiter.permit(one, "delete", patience=0.0)
    dead.__enter__()  # and is never heard of again
    world.sleep(59.0)
    refusal(limiter, one)

    world.sleep(1.1)

    call(limiter, one)
    assert limiter.usage(one).used == 2, "the vendor may have counted the dead one's call, so the hour's window does"
    dead.__exit__(None, None, None)


def test_a_reservation_of_a_process_that_died_is_dropped(
    client: "Redis", prefix: str, limiter: RedisLimiter, world: World
) -> None:
    def die(_seconds: float) -> None:
        raise KeyboardInterrupt

    doomed = RedisLimiter(client, prefix=prefix, clock=world.clock, sleep=die)
    one = Account("one", rates=(Rate(1, 100.0),))
    call(limiter, one)
    with pytest.raises(KeyboardInterrupt):
        call(doomed, one, patience=200.0)
    world.sleep(101.0)
    assert refusal(limiter, one).wait > 90.0

    world.sleep(1.2)

    call(limiter, one)


def test_a_throttle_closes_the_account_and_lowers_its_pace(limiter: RedisLimiter, world: World) -> None:
    limiter.close(TWENTY, "delete", 3.0)

    assert refusal(limiter, TWENTY, "replace").wait == pytest.approx(3.0, abs=0.01)
    usage = limiter.usage(TWENTY)
    assert usage.closed_for == pytest.approx(3.0, abs=0.01)
    assert usage.pace == pytest.approx(0.7)
    world.sleep(3.001)
    call(limiter, TWENTY)
    assert refusal(limiter, TWENTY).wait == pytest.approx(0.05 / 0.7, abs=0.001), "no bursts after a complaint"


def test_a_throttled_operation_with_its_own_rates_closes_alone(limiter: RedisLimiter) -> None:
    account = Account("both", rates=(Rate(20),), operation_rates={"list": (Rate(1),)})

    limiter.close(account, "list", 3.0)

    refusal(limiter, account, "list")
    call(limiter, account, "delete")


def test_one_burst_of_throttles_counts_once(limiter: RedisLimiter, world: World) -> None:
    for _ in range(20):
        limiter.close(TWENTY, "delete", 2.0)
        world.sleep(0.05)

    assert limiter.usage(TWENTY).pace == pytest.approx(0.7)


def test_the_pace_never_falls_below_a_twentieth(limiter: RedisLimiter, world: World) -> None:
    for _ in range(40):
        limiter.close(TWENTY, "delete", 1.0)
        world.sleep(1.01)

    assert limiter.usage(TWENTY).pace == pytest.approx(0.05, abs=0.001)


def test_the_pace_recovers_by_itself(limiter: RedisLimiter, world: World) -> None:
    limiter.close(TWENTY, "delete", 1.0)
    world.sleep(11.0)
    assert limiter.usage(TWENTY).pace == pytest.approx(0.8, abs=0.001)

    world.sleep(20.0)

    assert limiter.usage(TWENTY).pace == 1.0


@pytest.mark.parametrize("retry_after", [0.0, -1.0])
def test_a_throttle_that_names_no_time_closes_for_a_second(limiter: RedisLimiter, retry_after: float) -> None:
    limiter.close(TWENTY, "delete", retry_after)

    assert limiter.usage(TWENTY).closed_for == pytest.approx(1.0, abs=0.01)


def test_an_account_without_limits_still_closes_and_slows_down(limiter: RedisLimiter, world: World) -> None:
    free = Account("free")
    spend(limiter, free, 100)
    assert limiter.usage(free).allowed is None
    limiter.close(free, "delete", 2.0)
    assert refusal(limiter, free).wait == pytest.approx(2.0, abs=0.01)

    world.sleep(2.001)
    before = world.now
    spend(limiter, free, 11)

    assert world.now - before > 10 * 0.05


def test_accounts_do_not_share_permits(limiter: RedisLimiter) -> None:
    spend(limiter, TWO, 2)

    call(limiter, Account("another", rates=(Rate(2),)))


def test_usage_shows_the_tightest_window(limiter: RedisLimiter) -> None:
    account = Account("both", rates=(Rate(20), Rate(10_000, 86400)), operation_rates={"list": (Rate(4, 60.0),)})
    spend(limiter, account, 3, "list")

    usage = limiter.usage(account)

    assert (usage.used, usage.allowed) == (3, 4)


@pytest.mark.parametrize("fault", [RedisTimeoutError("slow"), OutOfMemoryError("full")])
def test_an_unreachable_redis_means_no_permit(
    limiter: RedisLimiter, monkeypatch: pytest.MonkeyPatch, fault: RedisError
) -> None:
    def away(*_arguments: object, **_named: object) -> None:
        raise fault

    monkeypatch.setattr(limiter, "_script", away)

    refused = refusal(limiter, TWENTY, patience=5.0)

    assert refused.reason == "the limiter cannot be reached"
    assert 1.0 <= refused.wait <= 2.0
    limiter.close(TWENTY, "delete", 1.0)


def test_nobody_answers_on_that_port_means_no_permit() -> None:
    assert refusal(RedisLimiter(connect("redis://127.0.0.1:1")), TWENTY).reason == "the limiter cannot be reached"


def test_a_redis_that_goes_away_during_a_call_does_not_disturb_it(
    limiter: RedisLimiter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_arguments: object, **_named: object) -> None:
        raise RedisTimeoutError

    with limiter.permit(TWENTY, "delete", patience=0.0):
        monkeypatch.setattr(limiter, "_script", away)


def test_asking_again_for_a_lost_answer_takes_one_place_only(limiter: RedisLimiter) -> None:
    capped = Account("capped", concurrency=1)

    answers = [limiter._run("ask", capped, [""], "the same call") for _ in range(2)]

    assert answers == [[2, 0], [2, 0]]
    assert limiter.usage(capped).in_flight == 1


def test_a_flushed_redis_does_not_make_the_vendor_forget(
    client: "Redis", prefix: str, limiter: RedisLimiter, world: World
) -> None:
    spend(limiter, TWENTY, 20)
    world.sleep(0.05)
    for key in client.scan_iter(f"{prefix}*"):
        client.delete(key)

    assert refusal(limiter, TWENTY).wait == pytest.approx(1.0, abs=0.02)


def test_keys_share_a_cluster_slot_and_expire(client: "Redis", prefix: str, limiter: RedisLimiter) -> None:
    account = Account("both", rates=(Rate(1),), operation_rates={"list": (Rate(1),)})
    call(limiter, account, "list")
    with limiter.permit(TWENTY, "delete", patience=0.0):
        keys = list(client.scan_iter(f"{prefix}*"))

    assert len(keys) > 3
    assert all(b"{both}" in key or b"{twenty}" in key for key in keys)
    assert all(0 < client.ttl(key) <= 300 for key in client.scan_iter(f"{prefix}*"))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    permits=st.integers(1, 5),
    period=st.sampled_from([0.1, 1.0, 7.0]),
    concurrency=st.none() | st.integers(1, 3),
    pauses=st.lists(st.floats(0.0, 0.6), min_size=1, max_size=25),
)
def test_no_sliding_window_ever_holds_more_than_its_permits(
    *, client: "Redis", prefix: str, permits: int, period: float, concurrency: int | None, pauses: list[float]
) -> None:
    world = World()
    limiter = RedisLimiter(client, prefix=f"{prefix}{id(world)}:", clock=world.clock, sleep=world.sleep)
    account = Account("any", rates=(Rate(permits, period),), concurrency=concurrency)
    entered: list[float] = []

    for pause in pauses:
        with limiter.permit(account, "delete", patience=1000.0):
            entered.append(world.now)
            world.sleep(pause / 3)
        world.sleep(pause)

    assert all(later - earlier >= period for earlier, later in zip(entered, entered[permits:], strict=False)), (
        "sent further apart than the period"
    )


def test_real_threads_on_a_real_clock_hold_the_cap(client: "Redis", prefix: str) -> None:
    limiter = RedisLimiter(client, prefix=prefix)
    capped = Account("capped", concurrency=2)
    lock = threading.Lock()
    inside: list[int] = [0]
    busiest: list[int] = [0]

    def work() -> None:
        for _ in range(3):
            with limiter.permit(capped, "delete", patience=30.0):
                with lock:
                    inside[0] += 1
                    busiest[0] = max(busiest[0], inside[0])
                with lock:
                    inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 1 <= busiest[0] <= 2
    assert limiter.usage(capped).in_flight == 0
