"""Celery's way to Redis, made to survive what it has no word for: a connection that is lost and closed."""

from typing import Any

from kombu.transport import TRANSPORT_ALIASES, redis

_Channel: Any = redis.Channel
_Transport: Any = redis.Transport


class Channel(_Channel):  # type: ignore[misc]
    def _connparams(self, *args: Any, **more: Any) -> Any:
        """As the library's, but a channel whose connection was closed under it says so.

        Whoever acknowledges or gives back a message after that is prepared for a connection's error. The library's
        AttributeError (kombu 5.7.0; known since issue 582) ended the whole worker, one time in seven that Redis died.
        """
        if self.connection is None or self.connection.client is None:
            raise ConnectionResetError("the connection to Redis was closed")
        return super()._connparams(*args, **more)


class Transport(_Transport):  # type: ignore[misc]
    Channel = Channel


def install() -> None:
    """Let `redis://` and its kin go this way, in this process."""
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:{Transport.__name__}"
