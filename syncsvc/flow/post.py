"""Sends what callbacks are owed, one sender at a time to each address, and gives an address up that never answers."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import assert_never

import structlog

from syncsvc.flow.house import House
from syncsvc.model.callbacks import Accepted, Answer, Letter, NotNow, Unwanted
from syncsvc.model.urgency import backoff
from syncsvc.store.callbacks import Posted, Target

Post = Callable[[str, Sequence[Letter]], Sequence[Answer]]

AT_ONCE = 8  # messages under way to one address; one while it fails
SERVED = timedelta(seconds=30)  # longer than sending these takes; a sender that was killed is replaced after it
BUDGET = timedelta(seconds=10)  # no more is taken after this: the next call comes a second later

# Standard Webhooks ("Deliverability and reliability"): a schedule over several days, exponential, with jitter.
TRIES = 19
RETRY_BASE, RETRY_CAP = 10.0, 86400.0  # seconds; with full jitter 19 tries take three days in the mean
REST_BASE, REST_CAP = 1.0, 300.0  # seconds that a failing address is left alone, whatever waits for it
HOPELESS = timedelta(days=5)  # and at least so many failures in a row: then it is disabled
HOPELESS_FAILURES = 20

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Sent:
    """One try. `outcome`: accepted, failed, unwanted, given_up."""

    callback: str
    outcome: str


def post_due(house: House, post: Post) -> list[Sent]:
    """Send whatever is due to whoever may be sent to, each address in a thread of its own; returns the tries.

    A message arrives at least once: whoever sends and is killed before writing that down is followed by another who
    sends it again, under the same id. No transaction is open while an address thinks.
    """
    if not house.callbacks:
        return []
    with house.store.reading() as tx:
        ready = tx.callbacks.ready(house.callbacks, house.clock())
    if not ready:
        return []
    with ThreadPoolExecutor(len(ready), "callback") as pool:
        served = list(pool.map(partial(_serve, house, post), ready))
    return [one for sent in served for one in sent]


def _serve(house: House, post: Post, name: str) -> list[Sent]:
    """Send to one address until nothing is due, it fails, or the time is over."""
    now = house.clock()
    until, stop = now + SERVED, now + BUDGET
    sent: list[Sent] = []
    with house.store.transaction() as tx:
        target = tx.callbacks.serve(name, now, until)
    while target is not None:
        with house.store.reading() as tx:
            letters = tx.callbacks.due(name, now, 1 if target.failures else AT_ONCE)
        answers = post(name, letters) if letters else ()
        now = house.clock()
        pairs = list(zip(letters, answers, strict=True))
        posted = [_posted(letter, answer, now, works=not target.failures) for letter, answer in pairs]
        after = _after(target, answers, now)
        goes_on = bool(letters) and after.not_before is None and after.disabled_at is None and now < stop
        after = replace(after, not_before=now + SERVED) if goes_on else after
        with house.store.transaction() as tx:
            tx.callbacks.settle(posted)
            ours = tx.callbacks.note(after, served_until=until)
        _tell(after, posted, letters)
        sent += [Sent(name, _word(answer, one)) for answer, one in zip(answers, posted, strict=True)]
        target, until = (after, now + SERVED) if ours and goes_on else (None, until)
    return sent


def _posted(letter: Letter, answer: Answer, now: datetime, *, works: bool) -> Posted:
    """A message is given up where its address `works` for others; else the address is, and its messages wait."""
    tried = letter.attempts + 1
    match answer:
        case Accepted():
            return Posted(letter.id, "delivered", now, tried)
        case Unwanted(detail=detail):
            return Posted(letter.id, "due", now, letter.attempts, detail)
        case NotNow(detail=detail) if works and tried >= TRIES:
            return Posted(letter.id, "given_up", now, tried, detail)
        case NotNow(detail=detail, wait=wait):
            delay = max(wait or 0.0, backoff(tried, base=RETRY_BASE, cap=RETRY_CAP))
            return Posted(letter.id, "due", now + timedelta(seconds=delay), tried, detail)
        case _:
            assert_never(answer)


def _after(target: Target, answers: Sequence[Answer], now: datetime) -> Target:
    """What the answers say of the address: it works, fails and is left alone for a while, or is disabled."""
    free = replace(target, not_before=None)
    unwanted = next((one for one in answers if isinstance(one, Unwanted)), None)
    if unwanted is not None:
        return replace(free, disabled_at=now, reason=unwanted.detail)
    failed = [one for one in answers if isinstance(one, NotNow)]
    if not failed:
        return Target(target.name) if answers else free
    asked = max(one.wait or 0.0 for one in failed)
    if len(failed) < len(answers):  # it works, though not for every message
        return Target(target.name, not_before=now + timedelta(seconds=asked) if asked else None)
    failures, since = target.failures + 1, target.failing_since or now
    if failures >= HOPELESS_FAILURES and now - since >= HOPELESS:
        words = f"nothing was accepted since {since:%Y-%m-%d %H:%M} UTC; the last time: {failed[-1].detail}"
        return replace(free, failures=failures, failing_since=since, disabled_at=now, reason=words)
    rest = max(asked, backoff(failures, base=REST_BASE, cap=REST_CAP))
    not_before = now + timedelta(seconds=rest)
    return Target(target.name, not_before, failures, since, reason=failed[-1].detail)


def _word(answer: Answer, posted: Posted) -> str:
    match answer:
        case Accepted():
            return "accepted"
        case Unwanted():
            return "unwanted"
        case NotNow():
            return "given_up" if posted.state == "given_up" else "failed"
        case _:
            assert_never(answer)


def _tell(target: Target, posted: Sequence[Posted], letters: Sequence[Letter]) -> None:
    for one, letter in zip(posted, letters, strict=True):
        tell = log.warning if one.state == "given_up" else log.info
        tell(
            "message posted",
            callback=target.name,
            message_id=one.id,
            type=letter.type,
            state=one.state,
            attempts=one.attempts,
            detail=one.detail,
        )
    if target.disabled_at is not None:
        mend = f"syncsvc callback enable {target.name}"
        log.error("callback disabled", callback=target.name, reason=target.reason, mend=mend)
