"""What operators see of callbacks, and how one that was disabled is used again."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from syncsvc.flow.house import House
from syncsvc.model.errors import NotFoundError
from syncsvc.store.callbacks import Target, Waiting


@dataclass(frozen=True, slots=True)
class CallbackView:
    """One callback at a glance. `waiting` messages are to be sent, `given_up` ones were tried for days.

    `failures` are rounds in a row in which nothing was accepted, since `failing_since`; `last_error` is what the
    address answered in the last of them, in words. `oldest_wait` is in seconds.
    """

    name: str
    state: Literal["working", "failing", "disabled"]
    waiting: int
    oldest_wait: float | None
    given_up: int
    failures: int
    failing_since: datetime | None
    disabled_at: datetime | None
    last_error: str | None


def callback_views(house: House) -> list[CallbackView]:
    """Every configured callback, in the order of their names."""
    now = house.clock()
    with house.store.reading() as tx:
        targets: Mapping[str, Target] = tx.callbacks.targets(house.callbacks)
        waiting = tx.callbacks.waiting(house.callbacks)
    return [_view(target, waiting[name], now) for name, target in targets.items()]


def enable(house: House, name: str) -> int:
    """Send to a callback again, all that waits for it, with a fresh schedule; returns how many messages wait.

    Raises NotFoundError for a name that is not configured.
    """
    known(house, name)
    with house.store.transaction() as tx:
        return tx.callbacks.enable(name, house.clock())


def known(house: House, name: str) -> None:
    """Raises NotFoundError for a callback that is not configured."""
    if name not in house.callbacks:
        configured = ", ".join(sorted(house.callbacks)) or "none"
        raise NotFoundError(f"no callback is called {name!r}; configured are: {configured}")


def _view(target: Target, waiting: Waiting, now: datetime) -> CallbackView:
    state: Literal["working", "failing", "disabled"] = "failing" if target.failures else "working"
    return CallbackView(
        name=target.name,
        state="disabled" if target.disabled_at is not None else state,
        waiting=waiting.due,
        oldest_wait=None if waiting.oldest is None else max(0.0, (now - waiting.oldest).total_seconds()),
        given_up=waiting.given_up,
        failures=target.failures,
        failing_since=target.failing_since,
        disabled_at=target.disabled_at,
        last_error=target.reason,
    )
