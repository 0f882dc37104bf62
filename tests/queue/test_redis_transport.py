"""A worker outlives a Redis that goes away in the middle of its errands."""

from pathlib import Path
from typing import Any

import pytest
from kombu import Connection

from syncsvc.queue.redis_transport import Transport
from tests.queue.servers import own_redis


def test_a_channel_whose_connection_was_closed_says_so_in_words_that_celery_expects(tmp_path: Path) -> None:
    with own_redis(tmp_path) as redis:
        connection = Connection(redis.url, transport=Transport)
        channel: Any = connection.default_channel
        expected = connection.connection_errors
        connection.release()

        with pytest.raises(ConnectionResetError) as raised, channel.conn_or_acquire():
            pass

    assert isinstance(raised.value, expected)
