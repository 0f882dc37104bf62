"""What a vendor account allows, and the protocol of whoever holds us to it."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

NO_RATES: Mapping[str, tuple["Rate", ...]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `permits` calls in every sliding `period` seconds."""

    permits: int
    period: float = 1.0


@dataclass(frozen=True, slots=True)
class Account:
    """One credential at one vendor's host: what shares one limit.

    `rates` count all calls together, `operation_rates` those of one operation class; `concurrency` caps
    calls that are under way, None where the vendor has no such limit. A call that is not heard of for
    `longest_call` seconds belonged to a process that died.
    """

    key: str
    rates: tuple[Rate, ...] = ()
    operation_rates: Mapping[str, tuple[Rate, ...]] = field(default_factory=lambda: NO_RATES)
    concurrency: int | None = None
    longest_call: float = 60.0


@dataclass(frozen=True, slots=True)
class Usage:
    """What the limiter knows of an account: for people to look at, never to decide by."""

    in_flight: int
    used: int
    allowed: int | None
    closed_for: float
    pace: float


class Limiter(Protocol):
    """Permits shared by every process that calls the same account."""

    def permit(self, account: Account, operation: str, *, patience: float) -> AbstractContextManager[None]:
        """Leave to make one call of this operation class now; sleeps up to `patience` seconds for it.

        The call counts from entering the context until it leaves. Raises NoPermitError (with the wait)
        instead of sleeping longer, and when the limiter itself cannot be asked: it fails closed.
        """
        ...

    def close(self, account: Account, operation: str, retry_after: float) -> None:
        """The vendor throttled us: no permit for `retry_after` seconds, and a lower pace after it."""
        ...

    def usage(self, account: Account) -> Usage:
        """The account's present state."""
        ...


class Unlimited:
    """The limiter that always says yes: for tools that touch nobody else's service."""

    def permit(self, account: Account, operation: str, *, patience: float) -> AbstractContextManager[None]:  # noqa: ARG002
        return nullcontext()

    def close(self, account: Account, operation: str, retry_after: float) -> None:
        """Nothing to close."""

    def usage(self, account: Account) -> Usage:  # noqa: ARG002
        return Usage(in_flight=0, used=0, allowed=None, closed_for=0.0, pace=1.0)
