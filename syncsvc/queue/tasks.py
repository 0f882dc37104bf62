"""The tasks: one statement each, arguments are a library's name and numbers."""

import threading
import time

from syncsvc.flow.deliver import deliver
from syncsvc.flow.dispatch import refill, sweep
from syncsvc.flow.fulfil import fulfil
from syncsvc.flow.notify import notify
from syncsvc.flow.post import post_due
from syncsvc.flow.purge import purge
from syncsvc.flow.refresh import refresh
from syncsvc.flow.rounds import Rounds
from syncsvc.flow.settle import Settled
from syncsvc.model.people import LibraryName
from syncsvc.queue.app import app, service
from syncsvc.queue.send import send
from syncsvc.wiring import fetches

REFILL_EVERY = 0.1  # seconds between two looks of one process for more work in one library

_last_refill: dict[str, float] = {}
_refill_lock = threading.Lock()
_rounds = Rounds()


@app.task(name="syncsvc.delete")
def delete(library: str, deliveries: list[int]) -> None:
    """Run these deliveries of one library; removals, in as few calls as its vendor allows."""
    _errand(LibraryName(library), deliveries)


@app.task(name="syncsvc.replace")
def replace(library: str, deliveries: list[int]) -> None:
    """Run these deliveries of one library; enrolments and replacements."""
    _errand(LibraryName(library), deliveries)


@app.task(name="syncsvc.sweep")
def sweep_all() -> None:
    """Ring for whatever is due, and for departures whose moment has come."""
    house = service().house
    send(sweep(house))
    send(fulfil(house))  # last: were one departure stuck, what is due would be rung for all the same


@app.task(name="syncsvc.fetch")
def fetch_all() -> None:
    """Ask HR systems about employees of whom they said only that something changed."""
    for rings in refresh(service().house, fetches(service()), _rounds):
        send(rings)


@app.task(name="syncsvc.notify")
def notify_all() -> None:
    """Tell callbacks what became of changes."""
    notify(service().house)
    for sent in post_due(service().house, service().courier.post):
        service().metrics.posted(sent.callback, sent.outcome)


@app.task(name="syncsvc.purge")
def purge_all() -> None:
    """Forget what nothing needs any more."""
    purge(service().house)


def _errand(library: LibraryName, deliveries: list[int]) -> None:
    house = service().house
    _count(library, deliver(house, library, deliveries))
    if _may_refill(library):
        send(refill(house, library))


def _may_refill(library: LibraryName) -> bool:
    now = time.monotonic()
    with _refill_lock:
        if now - _last_refill.get(library, 0.0) < REFILL_EVERY:
            return False
        _last_refill[library] = now
        return True


def _count(library: LibraryName, settled: Settled) -> None:
    metrics = service().metrics
    for call in settled.calls:
        metrics.called(library, call.operation, call.outcome, call.seconds)
        metrics.waited(library, call.waited)
    for seconds in settled.converged:
        metrics.converged(library, seconds)
