"""Takes the notes that a bell named, runs the errands, and has them settled."""

import time
from collections.abc import Sequence

import structlog

from syncsvc.flow.attempt import INTERNAL, Ended, Errand, delete_some, replace_one
from syncsvc.flow.baseline import Baseline
from syncsvc.flow.claim import LEASE, Claim, claim
from syncsvc.flow.house import House, Shelf
from syncsvc.flow.settle import Done, Round, Settled, settle
from syncsvc.library.http import Call
from syncsvc.model.outcomes import Deferred, Doubtful, Halted
from syncsvc.model.people import LibraryName

SETTLING = 5.0  # seconds of the lease that are kept for writing down how it went

log = structlog.get_logger(__name__)


def deliver(house: House, name: LibraryName, deliveries: Sequence[int]) -> Settled:
    """Run those of `deliveries` that are due; ids that are not, or are somebody else's, are passed over.

    Safe to run twice and safe never to run. Raises only what the database raises; then nothing was sent, or
    the leases run out and the library is read before the next try.
    """
    shelf = house.shelf(name)
    deadline = time.monotonic() + LEASE.total_seconds() - SETTLING
    taken = claim(house, shelf, deliveries)
    if not taken.taken:
        return Settled((), halted=False, at=taken.round.started_at)
    settled = settle(house, taken.round, _run(house, shelf, taken, deadline))
    _tell(taken.round, settled)
    return settled


def _run(house: House, shelf: Shelf, taken: Claim, deadline: float) -> list[Done]:
    done: list[Done] = []
    deletes = [(one, errand) for one, errand in taken.taken if one.verb == "delete"]
    if deletes:
        ended, calls = _visit(shelf, deadline, [errand for _, errand in deletes])
        by_delivery = {one.errand.delivery: one for one in ended}
        done += [Done(claimed, by_delivery[claimed.id], calls) for claimed, _ in deletes]
    for claimed, errand in taken.taken:
        if claimed.verb == "delete":
            continue
        if errand.sealed:
            outcome = Deferred(None, "photo_sealed", errand.sealed, costs_attempt=True)
            done.append(Done(claimed, Ended(errand, outcome, looked=False, held=errand.held, findings=()), ()))
        else:
            baseline = Baseline(house, taken.round, claimed.id)
            (ended_one,), calls = _visit(shelf, deadline, [errand], baseline)
            done.append(Done(claimed, ended_one, calls))
    return done


def _visit(
    shelf: Shelf, deadline: float, errands: list[Errand], baseline: Baseline | None = None
) -> tuple[list[Ended], tuple[Call, ...]]:
    """Go to the library once, with a baseline to replace and without to delete; whatever happens there, every
    errand comes back with an outcome."""
    door = shelf.library.door.for_errand(deadline)
    library = shelf.library.at(door)
    try:
        if baseline is None:
            ended = delete_some(shelf, library, errands)
        else:
            ended = [replace_one(shelf, library, errands[0], baseline)]
    except Exception as error:  # noqa: BLE001 - the task boundary: a fault of ours must not lose the errand
        log.error(  # noqa: TRY400 - a traceback could show what the errand carried
            "errand failed", library=shelf.name, error=type(error).__name__, where=_where(error)
        )
        words = f"a fault in syncsvc itself ({type(error).__name__}); see the worker's log"
        ended = [_broken(shelf, errand, Doubtful(INTERNAL, words), baseline) for errand in errands]
    return ended, tuple(door.journal)


def _broken(shelf: Shelf, errand: Errand, outcome: Doubtful, baseline: Baseline | None) -> Ended:
    """Nobody knows how far it came: each of the person's faces may have been added, and we were told of none."""
    adds = 0
    if baseline is not None:
        adds = len(errand.person.faces) if shelf.library.capabilities.labels else baseline.adds
    return Ended(errand, outcome, looked=False, held=errand.held, findings=(), lost_adds=adds)


def _tell(round_: Round, settled: Settled) -> None:
    for done, settlement in settled.deliveries:
        outcome = type(done.ended.outcome).__name__.lower()
        log.info(
            "delivery settled",
            library=round_.library,
            person=done.claimed.person,
            verb=done.claimed.verb,
            outcome=outcome,
            state=settlement.state,
            reason=settlement.reason,
            attempts=settlement.attempts,
        )
    if settled.halted:
        detail = next(ends.detail for done, ends in settled.deliveries if isinstance(done.ended.outcome, Halted))
        log.error(
            "library halted", library=round_.library, detail=detail, mend=f"syncsvc library resume {round_.library}"
        )


def _where(error: BaseException) -> str:
    """File and line of the innermost frame: enough to find it, and no values."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno}" if trace else "unknown"
