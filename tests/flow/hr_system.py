"""An HR system of a test: it tells of employees, and says what it is told to when it is asked about them."""

import uuid
from collections.abc import Callable
from typing import Any

from sqlalchemy import text

from syncsvc.flow.record import Message, record_message
from syncsvc.flow.refresh import refresh
from syncsvc.flow.rounds import Rounds
from syncsvc.flow.unfetched import overdue
from syncsvc.model.changes import Change, Departed, FaceReplaced, Fetched, Told, Upserted
from syncsvc.model.errors import (
    UnavailableError,
)
from syncsvc.model.people import FaceId, PersonId
from syncsvc.store.changes import Entry
from syncsvc.store.invalidations import GATHERED, Overdue
from tests.flow.stage import Stage
from tests.vendors.photos import draw

PEOPLE = "people"  # the webhook
MAIN = FaceId("main")
OUTAGE = UnavailableError("the HR system cannot be reached", code="ConnectError")
GARBAGE = UnavailableError("the HR system's answer cannot be read", code="garbage", about_person=True)


def there(person: str, number: int = 1) -> Fetched:
    who = PersonId(person)
    return fetched(person, Upserted(who, None, "Ada Canary"), FaceReplaced(who, MAIN, draw(number)))


def left(person: str) -> Fetched:
    return fetched(person, Departed(PersonId(person)))


def gone(employee: str | None) -> Fetched:
    told = fetched("", Departed(PersonId(employee))).told if employee is not None else ()
    return Fetched(None, told)


def fetched(person: str, *changes: Change, **more: Any) -> Fetched:
    told = tuple(Told(PEOPLE, uuid.uuid4().hex, change) for change in changes)
    return Fetched(PersonId(person), told, **more)


class HrSystem:
    """Says what it is told to of each employee; an exception is raised, a function is called."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.says: dict[str, Fetched | Exception | Callable[[], Fetched]] = {}
        self.asked: list[str] = []
        self.rounds = Rounds()
        self.messages = 0

    def tell(self, *employees: str) -> list[str]:
        """A thin event about each; returns the changes' ids."""
        ids = []
        for employee in employees:
            self.messages += 1
            message = Message(PEOPLE, f"event-{self.messages}", employees=(employee,))
            (recorded,) = record_message(self.stage.house, message)
            assert recorded.effect == "fetching"
            ids.append(recorded.change)
        return ids

    def fetch(self, employee: str, _deadline: float) -> Fetched:
        self.asked.append(employee)
        says = self.says[employee]
        if isinstance(says, Exception):
            raise says
        return says if isinstance(says, Fetched) else says()

    def round(self, rounds: Rounds | None = None) -> int:
        """One round, as soon as something may be due; returns how many were asked about."""
        before = len(self.asked)
        self.stage.clock.advance(GATHERED.total_seconds())
        for _ in refresh(self.stage.house, {PEOPLE: self.fetch}, rounds or self.rounds):
            pass
        return len(self.asked) - before

    def rounds_for(self, seconds: float, *, step: float = 60.0) -> None:
        for _ in range(int(seconds / step)):
            self.stage.clock.advance(step)
            self.round()

    def overdue(self) -> list[Overdue]:
        with self.stage.house.store.reading() as tx:
            return overdue(tx)

    def rows(self) -> int:
        with self.stage.house.store.reading() as tx:
            return int(tx._connection.scalar(text("SELECT count(*) FROM invalidations")) or 0)

    def change(self, change: str) -> Entry:
        with self.stage.house.store.reading() as tx:
            found = tx.changes.get(change)
        assert found is not None
        return found


def faces(stage: Stage, person: str) -> dict[str, str] | None:
    """Of somebody who is there; None for whoever departed or was never heard of."""
    with stage.house.store.reading() as tx:
        found = tx.people.get(PersonId(person))
    if found is None or found.departed_at is not None:
        return None
    return {one.id: one.digest for one in found.faces}
