"""Takes the notes that a bell named, runs the errands, and has them settled."""

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog

from syncsvc.flow.attempt import INTERNAL, Ended, Errand, delete_some, replace_one
from syncsvc.flow.house import House, Shelf
from syncsvc.flow.settle import Done, Round, Settled, settle
from syncsvc.library.http import Call
from syncsvc.model.outcomes import Doubtful
from syncsvc.model.people import LibraryName
from syncsvc.model.urgency import BREAKER_THRESHOLD
from syncsvc.store.rows import Claimed

LEASE = timedelta(seconds=45)  # longer than an errand may take: no call starts that could outlast it
SETTLING = 5.0  # seconds of the lease that are kept for writing down how it went
PROBE_FOR = timedelta(seconds=30)  # how long a probe may take before the next one may try

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Claim:
    """What one task took: the round, and each delivery with its errand."""

    round: Round
    taken: tuple[tuple[Claimed, Errand], ...]


def deliver(house: House, name: LibraryName, deliveries: Sequence[int]) -> Settled:
    """Run those of `deliveries` that are due; ids that are not, or are somebody else's, are passed over.

    Safe to run twice and safe never to run. Raises only what the database raises; then nothing was sent, or
    the leases run out and the library is read before the next try.
    """
    shelf = house.shelf(name)
    deadline = time.monotonic() + LEASE.total_seconds() - SETTLING
    claim = _claim(house, shelf, deliveries)
    if not claim.taken:
        return Settled((), halted=False, at=claim.round.started_at)
    settled = settle(house, claim.round, _run(shelf, claim, deadline))
    _tell(claim.round, settled)
    return settled


def _claim(house: House, shelf: Shelf, deliveries: Sequence[int]) -> Claim:
    now = house.clock()
    lease, until = uuid.uuid4().hex, now + LEASE
    with house.store.transaction() as tx:
        taken = tx.deliveries.claim(shelf.name, deliveries, lease=lease, now=now, until=until)
        probe = bool(taken) and taken[0].failures >= BREAKER_THRESHOLD
        if probe and not tx.libraries.take_probe(shelf.name, now, now + PROBE_FOR):
            tx.deliveries.release([one.id for one in taken], lease=lease, due_at=now)
            taken = []
        bundle = shelf.library.capabilities.bundle
        room = bundle - len(taken)
        if taken and room > 0 and not probe and all(one.verb == "delete" for one in taken):
            taken += tx.deliveries.claim_more(shelf.name, "delete", room, lease=lease, now=now, until=until)
        round_ = Round(shelf.name, lease, now, probe)
        if not taken:
            return Claim(round_, ())
        pictures = any(one.verb == "replace" for one in taken)
        wanted = {one.person: one.wanted for one in taken}
        people = tx.people.wanted(wanted, pictures=pictures)
        held = tx.bindings.held(shelf.name, wanted.keys())
        odd = [one.person for one in taken if one.noted]
        foreign = tx.situations.foreign(shelf.name, odd) if odd else {}
    return Claim(
        round_,
        tuple(
            (
                one,
                Errand(
                    delivery=one.id,
                    person=people[one.person],
                    held=held[one.person],
                    doubtful=one.doubtful,
                    doubt=one.doubt,
                    foreign=foreign.get(one.person, frozenset()),
                ),
            )
            for one in taken
        ),
    )


def _run(shelf: Shelf, claim: Claim, deadline: float) -> list[Done]:
    done: list[Done] = []
    deletes = [(one, errand) for one, errand in claim.taken if one.verb == "delete"]
    if deletes:
        ended, calls = _visit(shelf, deadline, [errand for _, errand in deletes])
        by_delivery = {one.errand.delivery: one for one in ended}
        done += [Done(claimed, by_delivery[claimed.id], calls) for claimed, _ in deletes]
    for claimed, errand in claim.taken:
        if claimed.verb != "delete":
            (ended_one,), calls = _visit(shelf, deadline, [errand], replacing=True)
            done.append(Done(claimed, ended_one, calls))
    return done


def _visit(
    shelf: Shelf, deadline: float, errands: list[Errand], *, replacing: bool = False
) -> tuple[list[Ended], tuple[Call, ...]]:
    """Go to the library once; whatever happens there, every errand comes back with an outcome."""
    door = shelf.library.door.for_errand(deadline)
    library = shelf.library.at(door)
    try:
        ended = [replace_one(shelf, library, errands[0])] if replacing else delete_some(shelf, library, errands)
    except Exception as error:  # noqa: BLE001 - the task boundary: a fault of ours must not lose the errand
        log.error(  # noqa: TRY400 - a traceback could show what the errand carried
            "errand failed", library=shelf.name, error=type(error).__name__, where=_where(error)
        )
        words = f"a fault in syncsvc itself ({type(error).__name__}); see the worker's log"
        ended = [_broken(errand, Doubtful(INTERNAL, words), replacing=replacing) for errand in errands]
    return ended, tuple(door.journal)


def _broken(errand: Errand, outcome: Doubtful, *, replacing: bool) -> Ended:
    """Nobody knows how far it came: each of the person's faces may have been added, and we were told of none."""
    adds = len(errand.person.faces) if replacing else 0
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
        detail = settled.deliveries[0][1].detail
        log.error(
            "library halted", library=round_.library, detail=detail, mend=f"syncsvc library resume {round_.library}"
        )


def _where(error: BaseException) -> str:
    """File and line of the innermost frame: enough to find it, and no values."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno}" if trace else "unknown"
