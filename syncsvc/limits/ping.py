"""Whether Redis answers, and what time it has: for health checks and for people."""

from datetime import UTC, datetime

from redis.exceptions import RedisError

from syncsvc.limits.redis_limiter import connect
from syncsvc.model.errors import SyncsvcError


class RedisUnavailableError(SyncsvcError):
    """Redis cannot be reached; no call to a vendor may be made meanwhile."""


def redis_clock(url: str) -> datetime:
    """The time on Redis' own clock. Raises RedisUnavailableError, whose words hold no address and no password."""
    client = connect(url)
    try:
        seconds, micros = client.time()
    except (RedisError, OSError) as error:
        words = f"Redis cannot be reached ({type(error).__name__}); check that it runs and [redis] url"
        raise RedisUnavailableError(words) from error
    finally:
        client.close()
    return datetime.fromtimestamp(seconds + micros / 1e6, UTC)
