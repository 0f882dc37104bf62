"""Permits that nobody else wants: with them the caretaker calls libraries, and a departure never waits behind it."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from syncsvc.flow.house import House, Shelf
from syncsvc.library.base import FaceLibrary
from syncsvc.model.errors import NoPermitError
from syncsvc.model.people import LibraryName
from syncsvc.model.permits import Account, Usage

GLANCE = 0.2  # seconds for which it is believed that nothing is due
WAIT = 0.25  # seconds until the share of a window may have room again
LATER = 2.0  # seconds that whoever owes something is left alone for


class DueFirstError(NoPermitError):
    """Something is owed to a library of this account, and goes first."""

    def __init__(self) -> None:
        super().__init__(LATER, "something is owed to this account and goes first")


def spare(house: House, shelf: Shelf, deadline: float | None) -> FaceLibrary[Any]:
    """The library behind a door that gives only spare permits, and starts no call that might outlast `deadline`.

    Raises NoPermitError with a short wait while a library of the same account is owed something, or while the
    caretaker's share of the pace is used up: at most the one call that is under way is ever ahead of a departure.
    """
    door = shelf.library.door
    account = door.account.key
    sharing = tuple(sorted(one.name for one in house.shelves.values() if one.library.door.account.key == account))
    return shelf.library.at(replace(door.for_errand(deadline), limiter=SpareLimiter(house, sharing)))


@dataclass(eq=False)
class SpareLimiter:
    """The house's limiter for whoever has time. `sharing` are the libraries of the account.

    It takes no place in the limiter's queue: it asks, and asks again, and each time lets everybody else go first.
    """

    house: House
    sharing: tuple[LibraryName, ...]
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _quiet_until: float = field(default=float("-inf"), init=False)

    @contextmanager
    def permit(self, account: Account, operation: str, *, patience: float) -> Iterator[None]:
        """See `Limiter`: leave for one call, if nobody else has a use for it."""
        until = self.monotonic() + patience
        with ExitStack() as held:
            while True:
                try:
                    self._give_way(account)
                    held.enter_context(self.house.limiter.permit(account, operation, patience=0.0))
                    break
                except DueFirstError:
                    raise
                except NoPermitError as error:
                    wait = max(error.wait, 0.01)
                    if self.monotonic() + wait > until:
                        raise
                self.sleep(wait)
            yield

    def close(self, account: Account, operation: str, retry_after: float) -> None:
        """See `Limiter`."""
        self.house.limiter.close(account, operation, retry_after)

    def usage(self, account: Account) -> Usage:
        """See `Limiter`."""
        return self.house.limiter.usage(account)

    def _give_way(self, account: Account) -> None:
        now = self.monotonic()
        if now >= self._quiet_until:
            with self.house.store.reading() as tx:
                due = tx.listings.anything_due(self.sharing, self.house.clock())
            if due:
                raise DueFirstError
            self._quiet_until = self.monotonic() + GLANCE
        usage = self.house.limiter.usage(account)
        if usage.closed_for > 0:
            raise NoPermitError(usage.closed_for, "the library asked us to slow down")
        if usage.allowed is not None and usage.used >= share(usage.allowed, self.house.caretaking.spare_share):
            raise NoPermitError(WAIT, "the caretaker's share of the pace is used up")


def share(allowed: int, spare_share: float) -> int:
    """How many calls of a window may be under way or counted before the caretaker holds back; one at least."""
    return max(1, int(allowed * spare_share))
