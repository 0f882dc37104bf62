"""Permits in Redis: the vendor's limit holds over all processes and machines, in every sliding window."""

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.resources import files
from typing import Literal, cast

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from syncsvc.model.errors import NoPermitError
from syncsvc.model.permits import Account, Rate, Usage

Verb = Literal["ask", "leave", "close", "usage"]

REFUSED, ENTERED = 0, 2
AWAY_WAIT = 1.5
DEFAULT_RETRY_AFTER = 1.0
UNCAPPED = 10**9
# Only these windows tell how fast calls may follow each other: a day's quota may be spent in an hour.
SPREAD_WITHIN = 60.0
# An account without such a window still needs a distance between calls while it recovers from a complaint.
RECOVERY_SPACING = 0.05


def connect(url: str) -> "Redis":
    """A client fit for the limiter: an unreachable Redis is noticed within about two seconds."""
    return Redis.from_url(
        url, socket_timeout=1.0, socket_connect_timeout=1.0, retry=Retry(NoBackoff(), 1), health_check_interval=30
    )


class RedisLimiter:
    """The `Limiter` over one Redis.

    How the limit holds in every sliding window, at any network jitter: a call occupies its place from entering
    until it was answered, and for one period more. Wherever in between the vendor counted it, the call that takes
    the place over is counted at least a period later. From that period we take back the least time a round trip is
    known to take, because the predecessor's way home and the successor's way out cannot be shorter together.
    The price is the time by which an answer is slower than the fastest; nothing is given away for jitter in advance.

    One clock rules, Redis' own; `clock` (seconds) and `sleep` replace time in tests. `client` should have short socket
    timeouts (see `connect`); it may be shared by threads. Keys begin with `prefix`, carry the account's key as cluster
    hash tag and expire by themselves. A process that dies in a call gives its place back after the account's
    `longest_call`.
    """

    def __init__(
        self,
        client: "Redis",
        *,
        prefix: str = "syncsvc:limits:",
        clock: Callable[[], float] | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._prefix = prefix
        self._clock = clock
        self._now = clock or time.monotonic
        self._sleep = sleep
        self._script = client.register_script(files(__package__).joinpath("permits.lua").read_text("utf-8"))
        self._last_used: dict[str, float] = {}

    @contextmanager
    def permit(self, account: Account, operation: str, *, patience: float) -> Iterator[None]:
        """Leave to make one call now, after sleeping at most `patience` seconds for it.

        Raises NoPermitError with the seconds to wait, having consumed nothing, when it would take longer,
        and when Redis cannot be asked.
        """
        call = uuid.uuid4().hex
        self._enter(account, operation, call, self._now() + patience)
        try:
            yield
        finally:
            self._last_used[account.key] = self._now()
            # Unreachable just now: the lease gives the place back.
            with suppress(RedisError):
                self._run("leave", account, _scopes(account, operation), call)

    def close(self, account: Account, operation: str, retry_after: float) -> None:
        """The vendor throttled us: no permit for `retry_after` seconds (1 if it is not positive), then a slower pace.

        An operation class with rates of its own is closed alone, otherwise the whole account. The pace drops by 30 %
        once however many calls of one burst were throttled, never below 5 %, and recovers by 5 points every 5 s.
        Redis being away is no error: there are no permits then.
        """
        span = retry_after if retry_after > 0 else DEFAULT_RETRY_AFTER
        with suppress(RedisError):
            self._run("close", account, _scopes(account, operation), span=span)

    def usage(self, account: Account) -> Usage:
        """What is in flight, and the tightest window. Raises NoPermitError when Redis cannot be asked."""
        try:
            answer = self._run("usage", account, ["", *account.operation_rates])
        except RedisError:
            raise _away() from None
        in_flight, used, allowed, closed_for, pace = answer
        return Usage(
            in_flight=in_flight,
            used=used,
            allowed=allowed if allowed >= 0 else None,
            closed_for=closed_for / 1e6,
            pace=pace / 1e6,
        )

    def _enter(self, account: Account, operation: str, call: str, deadline: float) -> None:
        scopes = _scopes(account, operation)
        while True:
            span = max(0.0, deadline - self._now())
            try:
                found, wait = self._run("ask", account, scopes, call, span=span)
            except RedisError:
                raise _away() from None
            if found == ENTERED:
                self._last_used[account.key] = self._now()
                return
            if found == REFUSED:
                raise NoPermitError(wait / 1e6)
            self._sleep(wait / 1e6)

    def _run(self, verb: Verb, account: Account, scopes: list[str], call: str = "", *, span: float = 0.0) -> list[int]:
        """Runs the script. `scopes` are operation classes, '' standing for the whole account."""
        now = "" if self._clock is None else _micros(self._clock())
        last_used = self._last_used.get(account.key)
        since = -1 if last_used is None else _micros(self._now() - last_used)
        keys: list[str] = []
        arguments: list[str | int] = [verb, now, call, _micros(span), since, _micros(account.longest_call)]
        for scope in scopes:
            base = f"{self._prefix}{{{account.key}}}:{scope}"
            windows = _windows(account, scope)
            keys += [f"{base}:state", f"{base}:flying", f"{base}:promised"]
            keys += [f"{base}:answered:{period}" for _, period, _ in windows if period]
            arguments.append(len(windows))
            for window in windows:
                arguments.extend(window)
        return cast("list[int]", self._script(keys=keys, args=arguments))


def _scopes(account: Account, operation: str) -> list[str]:
    return ["", operation] if operation in account.operation_rates else [""]


def _windows(account: Account, scope: str) -> list[tuple[int, int, int]]:
    """Permits, period and spacing of a scope's windows in microseconds; a cap on calls under way has no period."""
    rates = account.operation_rates[scope] if scope else account.rates
    spread = any(rate.period <= SPREAD_WITHIN for rate in rates)
    cap = UNCAPPED if scope or account.concurrency is None else account.concurrency
    windows = [(cap, 0, 0 if spread else _micros(RECOVERY_SPACING))]
    return windows + [(rate.permits, _micros(rate.period), _spacing(rate)) for rate in rates]


def _spacing(rate: Rate) -> int:
    return _micros(rate.period / rate.permits) if rate.period <= SPREAD_WITHIN else 0


def _micros(seconds: float) -> int:
    return round(seconds * 1e6)


def _away() -> NoPermitError:
    return NoPermitError(AWAY_WAIT, "the limiter cannot be reached")
