"""Writes down how errands went: bindings, the delivery, the library's breaker, the attempt log."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from syncsvc.flow.attempt import INTERNAL, Ended
from syncsvc.flow.endings import ending
from syncsvc.flow.house import House
from syncsvc.flow.look_back import READ_AFTER
from syncsvc.library.http import Call
from syncsvc.model.outcomes import Applied, Deferred, Doubtful, Halted, Outcome, Refused
from syncsvc.model.people import LibraryName, PersonId, vendor_ids
from syncsvc.model.situations import Finding, Situation
from syncsvc.model.urgency import BREAKER_BASE, BREAKER_CAP, BREAKER_THRESHOLD
from syncsvc.store import Transaction
from syncsvc.store.attempts import Attempt
from syncsvc.store.bindings import Became
from syncsvc.store.rows import ENDED, Claimed, Ending, Settlement


@dataclass(frozen=True, slots=True)
class Round:
    """One task's claimed deliveries in one library; `probe`: the breaker let it through to see whether it works."""

    library: LibraryName
    lease: str
    started_at: datetime
    probe: bool


@dataclass(frozen=True, slots=True)
class Done:
    """A claimed delivery, how it ended, and the calls it took."""

    claimed: Claimed
    ended: Ended
    calls: tuple[Call, ...]

    @property
    def changed(self) -> bool:
        return self.ended.held != self.ended.errand.held


@dataclass(frozen=True, slots=True)
class Settled:
    """What was written: one row each, in the order given; `halted`: this settling stopped the library."""

    deliveries: tuple[tuple[Done, Settlement], ...]
    halted: bool
    at: datetime

    @property
    def calls(self) -> list[Call]:
        """Every call once, though a bundle's deliveries share theirs."""
        return list({id(call): call for done, _ in self.deliveries for call in done.calls}.values())

    @property
    def converged(self) -> list[float]:
        """Seconds from the committed change to agreement, for each delivery that got there."""
        return [
            (self.at - done.claimed.wanted_at).total_seconds()
            for done, settlement in self.deliveries
            if settlement.state == "synced"
        ]


def settle(house: House, round_: Round, done: Sequence[Done]) -> Settled:
    """One transaction for all of them, repeated while the database is away: the vendor has been asked already.

    Raises DatabaseUnavailableError at last; the leases then run out, and the libraries are read before
    anything is tried again.
    """
    settled: Settled = house.settling(_Finished(round_, done), partial(_settle_all, house))
    return settled


@dataclass(frozen=True, slots=True)
class _Finished:
    round: Round
    done: Sequence[Done]


def _settle_all(house: House, finished: Sequence[_Finished]) -> list[Settled]:
    now = house.clock()
    rows = [
        (one, each, ending(each.claimed, each.ended, probe=one.round.probe, now=now))
        for one in finished
        for each in one.done
    ]
    rows.sort(key=lambda row: row[1].claimed.id)  # everybody locks in this order

    def write(tx: Transaction) -> set[int]:
        tx.bindings.settle([_became(one.round, each) for one, each, _ in rows if each.changed], now)
        for one, each, settlement in rows:
            _note(tx, one.round, each, settlement, now)
        ends = [
            Ending(each.claimed.id, one.round.lease, each.claimed.wanted, settlement) for one, each, settlement in rows
        ]
        for lost in tx.deliveries.settle(ends, now):
            tx.deliveries.look_again(lost, now)
        for library, people in _let_go(rows).items():
            tx.erasures.answered(library, people, now + READ_AFTER)
        tx.watches.look_at({each.claimed.person for _, each, ends in rows if ends.state in ENDED}, now)
        tx.attempts.log([_attempt(one.round, each, now) for one, each, _ in rows])
        judged = sorted(enumerate(finished), key=lambda pair: pair[1].round.library)
        return {place for place, one in judged if _judge_library(tx, one.round, one.done, now)}

    halted = house.store.patiently(write)
    for person in sorted({each.claimed.person for _, each, ends in rows if each.claimed.lost and not ends.doubt}):
        house.store.patiently(partial(_forget_lost, person=person, now=now))
    return [
        Settled(
            tuple((each, settlement) for other, each, settlement in rows if other is one),
            place in halted,
            now,
        )
        for place, one in enumerate(finished)
    ]


def _let_go(rows: Sequence[tuple[_Finished, Done, Settlement]]) -> dict[LibraryName, list[PersonId]]:
    """Library -> of whom it has said that it has no face any more, and to whom nothing is owed there."""
    found: dict[LibraryName, list[PersonId]] = {}
    for one, each, ends in sorted(rows, key=lambda row: row[0].round.library):
        if ends.state == "synced" and not each.ended.errand.person.faces:
            found.setdefault(one.round.library, []).append(each.claimed.person)
    return found


def _became(round_: Round, one: Done) -> Became:
    return Became(round_.library, one.claimed.person, one.ended.errand.held, one.ended.held)


def _note(tx: Transaction, round_: Round, one: Done, settlement: Settlement, now: datetime) -> None:
    claimed, ended = one.claimed, one.ended
    if ended.looked and ended.seen is not None:
        there = tuple(face for face in ended.held if face.vendor_face_id in vendor_ids(ended.seen.read))
        tx.bindings.verify(round_.library, claimed.person, there, now)
        tx.situations.forget(round_.library, claimed.person, ended.seen.vanished)
    if claimed.noted and settlement.state == "synced":
        tx.situations.clear(round_.library, claimed.person)
    if odd := [finding for finding in ended.findings if not _mended(finding, ended, settlement)]:
        tx.situations.note(round_.library, claimed.person, odd, now)


def _mended(finding: Finding, ended: Ended, settlement: Settlement) -> bool:
    """Whether the errand that found something odd has also put it right."""
    match finding.situation:
        case Situation.STRAY | Situation.STALE | Situation.DUPLICATE:
            return finding.vendor_face_id not in vendor_ids(ended.held)
        case Situation.MISSING:
            return settlement.state == "synced"
        case _:
            return False


def _forget_lost(tx: Transaction, person: PersonId, now: datetime) -> None:
    """Let go of pictures that were kept for an add in doubt, once no library is in doubt any more.

    A transaction of its own, under the person's lock: of two libraries that settle at once the second sees both.
    """
    tx.people.lock(person, now)
    if not tx.deliveries.in_doubt([person]):
        tx.photos.forget_unused(tx.people.forget_lost(person))


def _judge_library(tx: Transaction, round_: Round, done: Sequence[Done], now: datetime) -> bool:
    """The breaker: failures of the library in a row open it, any answer closes it. True if it halted just now."""
    outcomes = [one.ended.outcome for one in done]
    for outcome in outcomes:
        if isinstance(outcome, Halted):
            return tx.libraries.set_state(round_.library, "halted", now, reason=outcome.reason, detail=outcome.detail)
    if any(_answered(outcome) for outcome in outcomes):
        tx.libraries.note_answer(round_.library)
    elif any(_library_failed(outcome) for outcome in outcomes):
        failures = tx.libraries.note_failure(round_.library, now, probe=round_.probe)
        if failures is not None and failures >= BREAKER_THRESHOLD:
            wait = min(BREAKER_CAP, BREAKER_BASE * 2.0 ** min(failures - BREAKER_THRESHOLD, 30))
            tx.libraries.open_breaker(round_.library, now + timedelta(seconds=wait))
    elif round_.probe:
        tx.libraries.return_probe(round_.library, now)  # it was never sent: the next one may try at once
    return False


def _answered(outcome: Outcome) -> bool:
    match outcome:
        case Applied() | Refused():
            return True
        case Deferred(reason="throttled"):
            return True
        case Doubtful(reason=reason, library_fails=fails):
            return not fails and reason != INTERNAL
        case _:
            return False


def _library_failed(outcome: Outcome) -> bool:
    return isinstance(outcome, Deferred | Doubtful) and outcome.library_fails


def _attempt(round_: Round, one: Done, now: datetime) -> Attempt:
    outcome = one.ended.outcome
    return Attempt(
        library=round_.library,
        person=one.claimed.person,
        verb=one.claimed.verb,
        revision=one.claimed.wanted,
        number=one.claimed.attempts,
        started_at=round_.started_at,
        seconds=(now - round_.started_at).total_seconds(),
        outcome=type(outcome).__name__.lower(),
        reason=None if isinstance(outcome, Applied) else outcome.reason,
        detail=None if isinstance(outcome, Applied) else outcome.detail,
        calls=[
            {
                "operation": call.operation,
                "outcome": call.outcome,
                "seconds": round(call.seconds, 4),
                "request_id": call.request_id,
            }
            for call in one.calls
        ],
    )
