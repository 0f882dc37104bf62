"""The tasks: one statement each, arguments are a library's name and numbers."""

import threading
import time

from syncsvc.flow import retire
from syncsvc.flow.caretaker import begin_night, go_on, under_way
from syncsvc.flow.checks import check_oldest
from syncsvc.flow.deliver import deliver
from syncsvc.flow.dispatch import refill, sweep
from syncsvc.flow.erase import pursue
from syncsvc.flow.fulfil import fulfil
from syncsvc.flow.notify import notify
from syncsvc.flow.post import post_due
from syncsvc.flow.purge import purge
from syncsvc.flow.receipts import issue_pending
from syncsvc.flow.refresh import refresh
from syncsvc.flow.retention import expire
from syncsvc.flow.rounds import Rounds
from syncsvc.flow.settle import Settled
from syncsvc.model.people import LibraryName
from syncsvc.queue.app import app, service
from syncsvc.queue.send import send, send_rounds
from syncsvc.wiring import fetches

REFILL_EVERY = 0.1  # seconds between two looks of one process for more work in one library
SLICE = 10.0  # seconds of reading in one message; the next one goes on

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


@app.task(name="syncsvc.reconcile")
def reconcile(library: str, begin: bool = True) -> None:  # noqa: FBT001, FBT002 - a message has no keywords to spare
    """Compare a library with what it should hold: begin tonight's round, or only go on where it stopped."""
    act = begin_night if begin else go_on
    act(service().house, LibraryName(library), seconds=SLICE)


@app.task(name="syncsvc.verify")
def verify(library: str | None = None) -> None:
    """Look for the departed, and go on with what is under way; with a library, verify single faces of it."""
    house = service().house
    if library is not None:
        check_oldest(house, LibraryName(library), seconds=SLICE)
        return
    send(expire(house))
    pursue(house)
    issue_pending(house)
    retire.go_on(house)
    send_rounds(under_way(house))


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
