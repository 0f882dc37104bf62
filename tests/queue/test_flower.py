"""Flower, started from our own command line, reads like the traffic at each vendor's door."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.queue.canaries import found_in
from tests.queue.engine import Engine, engine
from tests.queue.servers import free_port, own_redis

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Engine]:
    database = f"sqlite:///{tmp_path}/syncsvc.db"
    with own_redis(tmp_path) as redis, engine(tmp_path, database=database, redis=redis.url, people=6) as built:
        yield built


def test_flower_shows_every_errand_by_name_and_library_with_numbers_only(running: Engine) -> None:
    port = free_port()
    running.environ["FLOWER_UNAUTHENTICATED_API"] = "true"
    running.child("flower", "-m", "syncsvc", "flower", "--port", str(port))
    running.wait("Flower answers", lambda: _tasks(port) is not None)
    running.child("worker", "-m", "syncsvc", "worker")
    running.beat()

    running.tell(running.books.hires())
    running.tell(running.books.changes(6))
    running.until_settled()
    running.wait("Flower has seen both libraries", lambda: {"north-gate", "cloud"} <= _libraries(port))

    assert _columns(port) == ["name", "args", "state", "received", "started", "runtime", "worker"]
    shown = _tasks(port) or {}
    errands = [one for one in shown.values() if one["name"] in {"syncsvc.replace", "syncsvc.delete"}]
    assert errands
    for errand in errands:
        library, numbers = json.loads(_as_json(errand["args"]))
        assert library in {"north-gate", "cloud"}
        assert all(isinstance(one, int) for one in numbers)
        assert str(errand["kwargs"]) == "{}"
    assert found_in(json.dumps(shown).encode()) == []
    assert found_in(running.children[0].log.read_bytes() + running.children[1].log.read_bytes()) == []


def _tasks(port: int) -> dict[str, Any] | None:
    try:
        answer = httpx.get(f"http://127.0.0.1:{port}/api/tasks", trust_env=False, timeout=5.0)
    except httpx.TransportError:
        return None
    answer.raise_for_status()
    told: dict[str, Any] = answer.json()
    return told


def _columns(port: int) -> list[str]:
    """The titles over the page's table."""
    page = httpx.get(f"http://127.0.0.1:{port}/tasks", trust_env=False, timeout=5.0).raise_for_status().text
    return [title.strip().lower() for title in re.findall(r"<th[^>]*>([^<]*)</th>", page)]


def _libraries(port: int) -> set[str]:
    shown = (_tasks(port) or {}).values()
    return {name for name in ("north-gate", "cloud") if any(name in str(one["args"]) for one in shown)}


def _as_json(shown: str | list[Any]) -> str:
    """Celery's events carry the arguments as Python writes them."""
    text = shown if isinstance(shown, str) else json.dumps(shown)
    return text.replace("(", "[").replace(")", "]").replace("'", '"').replace(",]", "]")
