"""Numbers for Prometheus: counted by every process of a machine into one folder, read by whoever answers /metrics."""

import os
import shutil
import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest, values
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# What `library.http` calls the ways a call ends; a vendor's own codes are many, and counted as one.
_ENDINGS = frozenset({"ok", "unreachable", "silence", "throttled", "garbage"})
_CALL_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_WAIT_SECONDS = (0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0)
_CONVERGENCE_SECONDS = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0)


@dataclass(frozen=True, slots=True)
class Gauges:
    """What the database says just now, handed in by the caller of `Metrics.render`."""

    deliveries: Mapping[tuple[str, str], int] = field(default_factory=dict)  # (library, state)
    oldest_due_seconds: Mapping[str, float] = field(default_factory=dict)
    oldest_verification_seconds: Mapping[str, float] = field(default_factory=dict)
    library_states: Mapping[str, str] = field(default_factory=dict)
    situations: Mapping[tuple[str, str], int] = field(default_factory=dict)  # (library, situation)
    callbacks_waiting: Mapping[str, int] = field(default_factory=dict)
    callback_states: Mapping[str, str] = field(default_factory=dict)
    employees_unfetched: Mapping[tuple[str, str], int] = field(default_factory=dict)  # (webhook, state)
    removals_held: int | None = None  # people whose departures wait for an operator
    erasures: Mapping[str, int] = field(default_factory=dict)  # those that are not confirmed, by state
    erasures_overdue: int | None = None  # open past their due date
    receipts: tuple[int, str] | None = None  # how long their chain is, and the hash of its newest
    receipts_unsigned: int | None = None


class Metrics:
    """Counts into `folder`. Open one in a process; a second one in the same process takes over new labels."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        # prometheus_client looks at this variable when it is first imported, and again for every file: set here
        # together with the value class, the order of imports does not matter.
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
        values.ValueClass = values.MultiProcessValue(_identity)  # type: ignore[no-untyped-call]
        self._calls = _counter("vendor_requests", "Calls to a vendor.", "library", "op", "outcome")
        self._call_seconds = _histogram("vendor_request_seconds", "One call.", _CALL_SECONDS, "library", "op")
        self._permit_waits = _histogram("permits_wait_seconds", "Waited for a permit.", _WAIT_SECONDS, "library")
        self._converged = _histogram(
            "convergence_seconds",
            "From the committed change to the library that agrees.",
            _CONVERGENCE_SECONDS,
            "library",
        )
        self._webhooks = _counter("webhooks", "Webhooks received.", "name", "outcome")
        self._posted = _counter("callbacks", "Tries to send a message to a callback.", "name", "outcome")

    def called(self, library: str, operation: str, outcome: str, seconds: float) -> None:
        """One call to a vendor; `outcome` as `library.http.Call` has it."""
        self._calls.labels(library, operation, outcome if outcome in _ENDINGS else "fault").inc()
        self._call_seconds.labels(library, operation).observe(seconds)

    def waited(self, library: str, seconds: float) -> None:
        self._permit_waits.labels(library).observe(seconds)

    def converged(self, library: str, seconds: float) -> None:
        self._converged.labels(library).observe(seconds)

    def webhook(self, name: str, outcome: str) -> None:
        self._webhooks.labels(name, outcome).inc()

    def posted(self, name: str, outcome: str) -> None:
        """One try to send a message to a callback; `outcome` as `flow.post.Sent` has it."""
        self._posted.labels(name, outcome).inc()

    def render(self, gauges: Gauges) -> bytes:
        """Everything counted on this machine, and `gauges`, in Prometheus' text format (CONTENT_TYPE)."""
        registry = CollectorRegistry()
        MultiProcessCollector(registry, str(self._folder))  # type: ignore[no-untyped-call]
        registry.register(_Handed(gauges))
        return generate_latest(registry)


def clear(folder: Path) -> None:
    """Forget what earlier processes counted; only while none is running: their files would be pulled away."""
    shutil.rmtree(folder, ignore_errors=True)


class _Handed:
    def __init__(self, gauges: Gauges) -> None:
        self._gauges = gauges

    def collect(self) -> Iterator[Metric]:
        gauges = self._gauges
        yield _family("deliveries", "Deliveries by state.", ("library", "state"), gauges.deliveries.items())
        oldest = [((library,), seconds) for library, seconds in gauges.oldest_due_seconds.items()]
        yield _family("oldest_due_seconds", "How long the oldest due delivery has waited.", ("library",), oldest)
        unseen = [((library,), seconds) for library, seconds in gauges.oldest_verification_seconds.items()]
        words = "For how long the longest unseen face of ours went unseen."
        yield _family("oldest_verification_seconds", words, ("library",), unseen)
        states = [(pair, 1) for pair in gauges.library_states.items()]
        yield _family("library_state", "1 for the state a library is in.", ("library", "state"), states)
        waiting = [((name,), count) for name, count in gauges.callbacks_waiting.items()]
        yield _family("callbacks_waiting", "Messages that a callback has not taken yet.", ("name",), waiting)
        working = [(pair, 1) for pair in gauges.callback_states.items()]
        yield _family("callback_state", "1 for the state a callback is in.", ("name", "state"), working)
        words = "Employees whom an HR system told of, and who could not be fetched so far."
        yield _family("employees_unfetched", words, ("name", "state"), gauges.employees_unfetched.items())
        held = [] if gauges.removals_held is None else [((), gauges.removals_held)]
        yield _family("removals_held", "People whose departures wait for an operator.", (), held)
        erasures = [((state,), count) for state, count in gauges.erasures.items()]
        yield _family(
            "erasures", "Erasures that are open, or verified and to be looked at again.", ("state",), erasures
        )
        overdue = [] if gauges.erasures_overdue is None else [((), gauges.erasures_overdue)]
        yield _family("erasures_overdue", "Erasures that are open past their due date.", (), overdue)
        yield from _receipts(gauges)
        situations = gauges.situations.items()
        yield _family("reconcile_situations", "Faces that are not in sync.", ("library", "situation"), situations)


def _receipts(gauges: Gauges) -> Iterator[Metric]:
    """The end of the chain stands outside the database too, so that nobody can cut receipts off unseen."""
    length, head = gauges.receipts or (0, "")
    known = [()] if gauges.receipts else []
    yield _family("receipts", "How many erasure receipts the chain has.", (), [(one, length) for one in known])
    words = "1 for the hash of the newest erasure receipt."
    yield _family("receipt_chain_head_info", words, ("hash",), [((head,), 1) for _ in known])
    waiting = gauges.receipts_unsigned
    words = "Receipts that wait for a key to be signed with."
    yield _family("receipts_unsigned", words, (), [] if waiting is None else [((), waiting)])


def _family(
    name: str, words: str, labels: tuple[str, ...], samples: Iterable[tuple[tuple[str, ...], float]]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"syncsvc_{name}", words, labels=labels)
    for labelled, value in samples:
        family.add_metric(labelled, value)
    return family


def _counter(name: str, words: str, *labels: str) -> Counter:
    return Counter(f"syncsvc_{name}", words, labels, registry=None)


def _histogram(name: str, words: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
    return Histogram(f"syncsvc_{name}", words, labels, registry=None, buckets=buckets)


def _identity() -> str:
    """Names this process' files: containers that share the folder may share process ids too."""
    return f"{socket.gethostname()}-{os.getpid()}"
