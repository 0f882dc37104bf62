"""What Prometheus reads."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import values
from prometheus_client.parser import text_string_to_metric_families

from syncsvc.observe.metrics import Gauges, Metrics, clear

ELSEWHERE = """
import sys
from pathlib import Path
from syncsvc.observe.metrics import Metrics
metrics = Metrics(Path(sys.argv[1]))
metrics.called("north-gate", "delete", "ok", 0.2)
metrics.converged("north-gate", 3.0)
"""


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(values, "ValueClass", values.ValueClass)
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")
    yield
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)


def samples(content: bytes) -> dict[tuple[str, ...], float]:
    families = text_string_to_metric_families(content.decode())
    return {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}


def test_processes_of_one_machine_are_counted_together(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path)
    metrics.called("north-gate", "delete", "ok", 0.1)

    subprocess.run([sys.executable, "-c", ELSEWHERE, str(tmp_path)], check=True)

    found = samples(metrics.render(Gauges()))
    assert found["syncsvc_vendor_requests_total", "north-gate", "delete", "ok"] == 2
    assert found["syncsvc_vendor_request_seconds_count", "north-gate", "delete"] == 2
    assert found["syncsvc_convergence_seconds_count", "north-gate"] == 1


def test_what_the_database_says_is_shown_beside_it(tmp_path: Path) -> None:
    gauges = Gauges(
        deliveries={("north-gate", "due"): 7},
        oldest_due_seconds={"north-gate": 1.5},
        library_states={"north-gate": "halted"},
        situations={("north-gate", "stray"): 2},
        callbacks_waiting={"hr": 3},
        callback_states={"hr": "disabled"},
    )

    found = samples(Metrics(tmp_path).render(gauges))

    assert found["syncsvc_deliveries", "north-gate", "due"] == 7
    assert found["syncsvc_oldest_due_seconds", "north-gate"] == 1.5
    assert found["syncsvc_library_state", "north-gate", "halted"] == 1
    assert found["syncsvc_reconcile_situations", "north-gate", "stray"] == 2
    assert found["syncsvc_callbacks_waiting", "hr"] == 3
    assert found["syncsvc_callback_state", "hr", "disabled"] == 1


def test_every_try_to_send_a_message_is_counted_by_how_it_ended(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path)
    for outcome in ("failed", "accepted", "accepted"):
        metrics.posted("hr", outcome)

    found = samples(metrics.render(Gauges()))

    assert found["syncsvc_callbacks_total", "hr", "accepted"] == 2
    assert found["syncsvc_callbacks_total", "hr", "failed"] == 1


def test_a_vendors_many_codes_are_one_label(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path)
    for code in ("FRS.0501", "FRS.0404", "throttled"):
        metrics.called("north-gate", "delete", code, 0.1)

    found = samples(metrics.render(Gauges()))

    assert found["syncsvc_vendor_requests_total", "north-gate", "delete", "fault"] == 2
    assert found["syncsvc_vendor_requests_total", "north-gate", "delete", "throttled"] == 1


def test_a_fresh_start_forgets_what_was_counted(tmp_path: Path) -> None:
    Metrics(tmp_path).converged("north-gate", 1.0)

    clear(tmp_path)

    assert ("syncsvc_convergence_seconds_count", "north-gate") not in samples(Metrics(tmp_path).render(Gauges()))
