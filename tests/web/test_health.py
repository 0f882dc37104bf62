"""Alive, ready, and counted."""

from pathlib import Path

import pytest

from syncsvc.web.problems import MEDIA_TYPE
from syncsvc.wiring import Service
from tests.web.asking import Client


def test_a_process_that_answers_is_alive(client: Client) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}


@pytest.mark.usefixtures("redis")
def test_it_is_ready_when_database_and_redis_answer(client: Client) -> None:
    answer = client.get("/readyz")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "database": "ok", "redis": "ok"})


def test_it_is_not_ready_without_redis_and_says_so(client: Client) -> None:
    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert answer.headers["Content-Type"] == MEDIA_TYPE
    assert answer.json()["checks"]["database"] == "ok"
    assert "Redis cannot be reached" in answer.json()["detail"]


@pytest.mark.usefixtures("redis")
def test_it_is_not_ready_without_its_database(client: Client, service: Service, tmp_path: Path) -> None:
    service.house.store.close()
    for file in (tmp_path / "var").glob("syncsvc.db*"):
        file.unlink()
    (tmp_path / "var" / "syncsvc.db").mkdir()

    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert "database cannot be used" in answer.json()["checks"]["database"]
    assert client.get("/metrics").status_code == 200


def test_metrics_name_every_library_and_its_state(client: Client, service: Service) -> None:
    service.metrics.called("north-gate", "deleteface", "ok", 0.1)

    shown = client.get("/metrics").text

    assert 'syncsvc_library_state{library="north-gate",state="active"} 1.0' in shown
    assert 'syncsvc_deliveries{library="north-gate",state="refused"} 0.0' in shown
    assert 'syncsvc_vendor_requests_total{library="north-gate",op="deleteface",outcome="ok"} 1.0' in shown


def test_an_unknown_address_is_a_problem_too(client: Client) -> None:
    answer = client.get("/nowhere")

    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == MEDIA_TYPE
    words = "there is nothing at this address"
    assert answer.json() == {"type": "about:blank", "title": "Not Found", "status": 404, "detail": words}
