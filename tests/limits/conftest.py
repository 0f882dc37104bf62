"""The same tests on a pretended Redis and on a real one."""

import os
import uuid
from collections.abc import Iterator

import fakeredis
import pytest
from redis import Redis
from redis.exceptions import RedisError

from syncsvc.limits import RedisLimiter, connect
from tests.limits.world import World

REAL = "redis://127.0.0.1:6379"


@pytest.fixture(params=["fakeredis", pytest.param("redis", marks=pytest.mark.servers)])
def client(request: pytest.FixtureRequest) -> Iterator["Redis"]:
    if request.param == "fakeredis":
        yield fakeredis.FakeRedis()
        return
    real = connect(REAL)
    try:
        real.ping()
    except RedisError:
        if os.environ.get("CI"):
            pytest.fail(f"CI must have a Redis at {REAL}")
        pytest.skip(f"needs a Redis at {REAL}")
    yield real
    real.close()


@pytest.fixture
def prefix(client: "Redis") -> Iterator[str]:
    ours = f"syncsvc-test:{uuid.uuid4().hex}:"
    yield ours
    for key in client.scan_iter(f"{ours}*", count=1000):
        client.delete(key)


@pytest.fixture
def world() -> World:
    return World(seed=7)


@pytest.fixture
def limiter(client: "Redis", prefix: str, world: World) -> RedisLimiter:
    return RedisLimiter(client, prefix=prefix, clock=world.clock, sleep=world.sleep)
