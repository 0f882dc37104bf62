"""Many workers against a vendor that counts strictly: nothing is refused and hardly anything is left unused."""

from contextlib import AbstractContextManager

import pytest
from redis import Redis

from syncsvc.limits import RedisLimiter
from syncsvc.model.errors import NoPermitError
from syncsvc.model.permits import Account, Rate
from tests.limits.world import StrictVendor, Worker, World, call_until

TWENTY = Account("twenty", rates=(Rate(20),))
MINUTE = 60.0


def workers(
    client: "Redis", prefix: str, vendor: StrictVendor, end: float, *, account: Account = TWENTY, processes: int = 2
) -> list[Worker]:
    """Eight threads in each of several processes, which know nothing of each other."""
    world = vendor.world

    def process() -> list[Worker]:
        limiter = RedisLimiter(client, prefix=prefix, clock=world.clock, sleep=world.sleep)

        def permit() -> AbstractContextManager[None]:
            return limiter.permit(account, "delete", patience=120.0)

        return [call_until(end, world, vendor, permit) for _ in range(8)]

    return [worker for _ in range(processes) for worker in process()]


@pytest.mark.parametrize(("jitter", "least"), [(0.002, 0.97), (0.005, 0.95), (0.020, 0.95)])
def test_the_limit_is_used_and_never_exceeded(
    client: "Redis", prefix: str, world: World, jitter: float, least: float
) -> None:
    vendor = StrictVendor(world, 20, jitter=jitter)
    start, end = world.now, world.now + (MINUTE if type(client) is Redis else MINUTE / 3)  # pretending is slow

    world.run(*workers(client, prefix, vendor, end))

    assert vendor.refused == []
    assert vendor.use(start + 1, end) >= least


@pytest.mark.parametrize(("permits", "period"), [(1, 1.0), (3, 0.5), (10, 10.0)])
def test_other_limits_hold_as_well(client: "Redis", prefix: str, world: World, permits: int, period: float) -> None:
    vendor = StrictVendor(world, permits, period, jitter=0.005)
    account = Account("other", rates=(Rate(permits, period),))
    start, end = world.now, world.now + 3 * MINUTE / (permits / period)

    world.run(*workers(client, prefix, vendor, end, account=account, processes=1))

    assert vendor.refused == []
    assert vendor.use(start + period, end) >= 0.9


def test_two_windows_and_a_cap_hold_at_once(client: "Redis", prefix: str, world: World) -> None:
    vendor = StrictVendor(world, 20, jitter=0.020)
    account = Account("several", rates=(Rate(20), Rate(60, 10.0)), concurrency=2)
    end = world.now + 20.0

    world.run(*workers(client, prefix, vendor, end, account=account, processes=1))

    assert vendor.refused == []
    assert vendor.busiest <= 2
    assert 100 <= sum(at < end for at in vendor.accepted) <= 120


def test_a_place_under_a_cap_is_taken_soon_after_it_is_free(client: "Redis", prefix: str, world: World) -> None:
    """Answers take between 20 and 200 ms, so nobody can know when the next place comes free."""
    vendor = StrictVendor(world, 1000)
    account = Account("capped", concurrency=2)
    limiter = RedisLimiter(client, prefix=prefix, clock=world.clock, sleep=world.sleep)
    end, busy = world.now + 5.0, [0.0]
    turns: list[int] = []

    def work() -> None:
        turns.append(0)
        mine = len(turns) - 1
        while world.now < end:
            thinking = world.random.uniform(0.02, 0.2)
            with limiter.permit(account, "delete", patience=60.0):
                vendor.call(thinking=thinking)
            busy[0] += thinking
            turns[mine] += 1

    world.run(*[work] * 6)

    assert vendor.busiest == 2
    assert min(turns) >= max(turns) / 3, "whoever just left does not go before those who wait"
    assert busy[0] / 2 >= 0.93 * (world.now - end + 5.0)


def test_an_operation_with_its_own_rate_leaves_the_rest_to_the_others(
    client: "Redis", prefix: str, world: World
) -> None:
    vendor = StrictVendor(world, 20, jitter=0.005)
    lists = StrictVendor(world, 2)
    account = Account("mixed", rates=(Rate(20),), operation_rates={"list": (Rate(2),)})
    limiter = RedisLimiter(client, prefix=prefix, clock=world.clock, sleep=world.sleep)
    start, end = world.now, world.now + 20.0

    def list_faces() -> None:
        while world.now < end:
            try:
                with limiter.permit(account, "list", patience=1.0):
                    lists._count()
                    vendor.call()
            except NoPermitError as no:
                world.sleep(no.wait)

    world.run(*workers(client, prefix, vendor, end, account=account, processes=1), *[list_faces] * 4)

    assert (vendor.refused, lists.refused) == ([], [])
    assert vendor.use(start + 1, end) >= 0.95
    assert lists.use(start + 1, end) >= 0.4


def test_a_vendor_stricter_than_its_word_is_obeyed(client: "Redis", prefix: str, world: World) -> None:
    """It says 20 a second and takes 10: closing and the lowered pace keep the refused calls rare."""
    vendor = StrictVendor(world, 10, jitter=0.002)
    limiter = RedisLimiter(client, prefix=prefix, clock=world.clock, sleep=world.sleep)
    end = world.now + MINUTE

    def work() -> None:
        while world.now < end:
            with limiter.permit(TWENTY, "delete", patience=120.0):
                accepted = vendor.call()
            if not accepted:
                limiter.close(TWENTY, "delete", 1.0)

    world.run(*[work] * 8)

    assert len(vendor.refused) < 0.1 * len(vendor.accepted)
    assert len(vendor.accepted) > 0.6 * 10 * MINUTE


def test_after_a_complaint_calls_keep_their_distance(client: "Redis", prefix: str, world: World) -> None:
    """A vendor without any burst: 20 a second, and never two within 45 ms."""
    vendor = StrictVendor(world, 20)
    vendor.distance = 0.045
    limiter = RedisLimiter(client, prefix=prefix, clock=world.clock, sleep=world.sleep)
    limiter.close(TWENTY, "delete", 1.0)
    end = world.now + 20.0

    world.run(*[call_until(end, world, vendor, lambda: limiter.permit(TWENTY, "delete", patience=60.0))] * 8)

    assert vendor.refused == []
