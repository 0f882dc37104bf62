"""Asks HR systems about employees of whom they said only that something changed, and writes down what they answer."""

import random
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import structlog

from syncsvc.flow.apply import Ring
from syncsvc.flow.house import House
from syncsvc.flow.rounds import Rounds
from syncsvc.flow.write import Recorded, write_all
from syncsvc.model.changes import Departed, Fetched, Told
from syncsvc.model.errors import (
    FetchError,
    InputError,
    LibraryError,
    MisconfiguredError,
    NoPermitError,
    SyncsvcError,
    ThrottledError,
    UnavailableError,
)
from syncsvc.model.people import PersonId
from syncsvc.model.urgency import MAX_ATTEMPTS, backoff
from syncsvc.store import Transaction
from syncsvc.store.invalidations import Invalidated

LEASE = timedelta(seconds=120)
FOR_CALLS = 80.0  # seconds of it for calls to the API; the rest is for a photo behind an address of its own
AT_ONCE = 50  # employees of one round
BUDGET = 5.0  # seconds after which a round takes nobody more
BACKOFF_BASE, BACKOFF_CAP = 30.0, 3600.0  # seconds; HR systems mend more slowly than libraries
NOT_NOW_LEAST, NOT_NOW_MOST = 5.0, 900.0  # seconds between two tries for whom the HR system failed, not they it
THROTTLED_FOR = 2.0  # seconds, where an HR system does not say how long

log = structlog.get_logger(__name__)

Fetch = Callable[[str, float], Fetched]  # the employee; no call may outlast that instant of `time.monotonic()`


def refresh(house: House, fetches: Mapping[str, Fetch], rounds: Rounds) -> Iterator[tuple[Ring, ...]]:
    """Fetch whoever is due, one after the other and for a few seconds; yields what to ring for after each.

    Several processes and threads may do this at once: nobody is fetched by two. No transaction is open while an HR
    system thinks. Costs one look at an index for each webhook where nothing is due.
    """
    if not fetches or not rounds.begin():
        return
    try:
        over = time.monotonic() + BUDGET
        for webhook, fetch in random.sample(list(fetches.items()), len(fetches)):  # so that none waits for another
            for _ in range(AT_ONCE):
                if time.monotonic() > over or not rounds.may_ask(webhook, house.clock()):
                    break
                taken = _take(house, webhook)
                if taken is None:
                    break
                yield _refresh(house, taken, fetch, rounds)
    finally:
        rounds.end()


def _take(house: House, webhook: str) -> Invalidated | None:
    with house.store.reading() as tx:  # SQLite has one writer, who need not wait for nothing
        if not tx.invalidations.any_due(webhook, house.clock()):
            return None
    with house.store.transaction() as tx:
        now = house.clock()
        return tx.invalidations.claim(webhook, now, now + LEASE)


def _refresh(house: House, taken: Invalidated, fetch: Fetch, rounds: Rounds) -> tuple[Ring, ...]:
    if taken.attempts > MAX_ATTEMPTS:
        lost = _Failure("worker_lost", "the worker stopped in the middle of every attempt; look into its log")
        _give_up(house, taken, lost)
        return ()
    try:
        answer = fetch(taken.employee, time.monotonic() + FOR_CALLS)
    except SyncsvcError as error:
        failure = _failure(error)
    except Exception as error:  # noqa: BLE001 - the task boundary: a fault of ours must not lose the employee
        log.error("employee fetch broke", webhook=taken.webhook, error=type(error).__name__)  # noqa: TRY400 - as there
        words = f"a fault in syncsvc itself ({type(error).__name__}); see the worker's log"
        failure = _Failure("internal", words)
    else:
        rounds.answered(taken.webhook)
        return house.store.patiently(partial(_record, house, taken, answer))
    _remember(house, taken, failure, rounds)
    _give_up(house, taken, failure)
    return ()


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why somebody was not fetched. `everybody`: the HR system failed, so it is no attempt of theirs.

    `wait` is in seconds, where it is known; `again` False: trying again would not help.
    """

    reason: str
    words: str
    everybody: bool = False
    wait: float | None = None
    again: bool = True


def _failure(error: SyncsvcError) -> _Failure:
    match error:
        case NoPermitError(wait=wait):
            return _Failure("our_own_pace", str(error), everybody=True, wait=max(wait, 0.1))
        case ThrottledError(retry_after=wait):
            return _Failure("throttled", str(error), everybody=True, wait=wait or THROTTLED_FOR)
        case MisconfiguredError() | UnavailableError(about_person=False):
            return _Failure(_reason(error), str(error), everybody=True)
        case LibraryError():
            return _Failure(_reason(error), str(error))
        case InputError():
            return _Failure("answer", str(error))
        case FetchError():
            return _Failure("photo", str(error))
        case _:
            return _Failure(type(error).__name__, str(error))


def _reason(error: LibraryError) -> str:
    return error.code or type(error).__name__


def _remember(house: House, taken: Invalidated, failure: _Failure, rounds: Rounds) -> None:
    now = house.clock()
    if failure.wait is not None:
        rounds.paused(taken.webhook, now + timedelta(seconds=failure.wait))
    elif failure.everybody:
        rounds.failed(taken.webhook, now)
    else:
        rounds.answered(taken.webhook)


def _give_up(house: House, taken: Invalidated, failure: _Failure) -> None:
    """Until later, or until somebody tells of the employee again."""
    house.store.patiently(partial(_write_failure, house, taken, failure))


def _write_failure(house: House, taken: Invalidated, failure: _Failure, tx: Transaction) -> None:
    now = house.clock()
    attempts = taken.attempts - 1 if failure.everybody else taken.attempts
    exhausted = not failure.everybody and (not failure.again or attempts >= MAX_ATTEMPTS)
    if failure.wait is not None:
        wait = failure.wait
    elif failure.everybody:
        # About as long as they have waited already, so that the tries become rarer while it lasts.
        waited = (now - taken.noted_at).total_seconds()
        wait = min(NOT_NOW_MOST, max(NOT_NOW_LEAST, waited)) * random.uniform(0.5, 1)  # noqa: S311 - spreads load
    else:
        wait = backoff(attempts, base=BACKOFF_BASE, cap=BACKOFF_CAP)
    tx.invalidations.fail(
        taken,
        due_at=now + timedelta(seconds=wait),
        attempts=attempts,
        reason=failure.reason if failure.wait is None else None,  # our own pace and theirs are no trouble
        detail=failure.words if failure.wait is None else None,
        exhausted=exhausted,
    )
    note = log.info if failure.wait is not None else log.warning
    note(
        "employee fetch failed",
        webhook=taken.webhook,
        employee=taken.employee,
        reason=failure.reason,
        detail=failure.words,
        attempts=attempts,
        exhausted=exhausted,
    )


def _record(house: House, taken: Invalidated, answer: Fetched, tx: Transaction) -> tuple[Ring, ...]:
    """Write down what was fetched, unless the lease ran out and somebody else has fetched it since."""
    generation = tx.invalidations.held(taken)
    if generation is None:
        return ()
    now = house.clock()
    before = tx.invalidations.person(taken.webhook, taken.employee)
    told = [*_former(taken, answer, before), *answer.told]
    recorded = write_all(tx, told, now, room=house.room(), terms=house.terms)
    tx.invalidations.set_person(taken.webhook, taken.employee, answer.person)
    person = answer.person or before or PersonId(taken.employee)
    if answer.lacking is None:
        tx.invalidations.done(taken)
    else:
        _write_failure(house, taken, _Failure("photo", answer.lacking, again=answer.again), tx)
    if generation == taken.generation:  # otherwise some of it was told in mid-fetch, and the next fetch answers it
        _close(tx, taken, person, recorded, now)
    log.info("employee fetched", webhook=taken.webhook, employee=taken.employee, effect=_effect(recorded)[0])
    return tuple(ring for one in recorded for ring in one.rings)


def _former(taken: Invalidated, answer: Fetched, before: PersonId | None) -> list[Told]:
    """Whoever the employee was to us until now departs: the HR system knows them no more, or as somebody else."""
    if before is None or before == answer.person:
        return []
    return [Told(taken.webhook, uuid.uuid4().hex, Departed(before))]


def _close(tx: Transaction, taken: Invalidated, person: PersonId, recorded: list[Recorded], now: datetime) -> None:
    effect, latest = _effect(recorded)
    revision = latest.revision if latest is not None else None
    waiting = tx.changes.get(latest.change) if latest is not None and effect == "waiting" else None
    moment = waiting.effective_at if waiting is not None else None
    answered = tx.changes.fetched(taken.webhook, taken.employee, person, effect, revision, effective_at=moment)
    if answered:  # what was told from outside is what somebody waits to hear of, not the reading that answers it
        tx.watches.end([one.change for one in recorded])
        tx.watches.watch(answered, now)


def _effect(recorded: list[Recorded]) -> tuple[str, Recorded | None]:
    """What a reading came to: the most that any part of it did."""
    for effect in ("applied", "waiting", "held"):
        for one in reversed(recorded):
            if one.effect == effect:
                return effect, one
    return ("unchanged", recorded[-1] if recorded else None)
