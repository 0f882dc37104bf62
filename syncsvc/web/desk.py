"""What a route asks for: the service, who calls, and a way to write a change down."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request

from syncsvc.flow.record import Recorded, Ring, record
from syncsvc.model.changes import Told
from syncsvc.wiring import Service

RingBell = Callable[[Iterable[Ring]], object]


def silence(_rings: Iterable[Ring]) -> None:
    """The bell of a desk without one: the sweep finds what is due all the same."""


@dataclass(frozen=True, slots=True)
class Desk:
    """One process' front desk. `ring` is called after a commit; a ring may be lost, and never fails."""

    service: Service
    ring: RingBell

    def record(self, told: Told) -> Recorded:
        """Write a change down, and ring for what is owed by it."""
        recorded = record(self.service.house, told)
        self.ring(recorded.rings)
        return recorded


async def _desk(request: Request) -> Desk:  # async, and so not run in a thread of its own
    return cast("Desk", request.app.state.desk)


async def _service(request: Request) -> Service:
    return (await _desk(request)).service


TheDesk = Annotated[Desk, Depends(_desk)]
TheService = Annotated[Service, Depends(_service)]
