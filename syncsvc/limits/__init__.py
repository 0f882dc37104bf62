"""The gatekeeper: permits shared by every worker on every machine, in Redis."""

from syncsvc.limits.redis_limiter import RedisLimiter, connect

__all__ = ["RedisLimiter", "connect"]
