"""Erasures as people look at them, a page at a time; how they come about is written elsewhere."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from sqlalchemy import ColumnElement, Connection, Row, and_, literal_column, or_, select

from syncsvc.model.people import PersonId
from syncsvc.model.receipts import ErasureFacts, LibraryFacts, Request
from syncsvc.store.tables import erasure_libraries, erasures, libraries

State = Literal["open", "verified", "confirmed", "overdue"]
STATES: tuple[State, ...] = get_args(State)

_e, _l = erasures.c, erasure_libraries.c
_UNFINISHED: ColumnElement[bool] = literal_column("erasures.state <> 'confirmed'")  # as the index has it


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ended: the newest come first."""

    opened_at: datetime
    id: str


@dataclass(frozen=True, slots=True)
class Erasure:
    """`state` is as it was written down: open, verified or confirmed."""

    id: str
    person: PersonId
    subject: str
    state: str
    opened_at: datetime
    due_at: datetime
    second_look_at: datetime | None
    verified_at: datetime | None
    finished_at: datetime | None


class Erased:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, erasure: str) -> Erasure | None:
        row = self._connection.execute(select(erasures).where(_e.id == erasure)).first()
        return None if row is None else _erasure(row)

    def page(
        self, *, state: State | None, who: Collection[str] | None, after: Place | None, limit: int, now: datetime
    ) -> list[Erasure]:
        """Up to `limit`, those opened last at the front; `who`: only of these persons or pseudonyms."""
        found = select(erasures).order_by(_e.opened_at.desc(), _e.id.desc()).limit(limit)
        if state is not None:
            found = found.where(_in_state(state, now))
        if who is not None:
            found = found.where(or_(_e.person_id.in_(who), _e.pseudonym.in_(who)))
        if after is not None:
            earlier = and_(_e.opened_at == after.opened_at, _e.id < after.id)
            found = found.where(_e.opened_at <= after.opened_at, or_(_e.opened_at < after.opened_at, earlier))
        return [_erasure(row) for row in self._connection.execute(found)]

    def libraries(self, of: Collection[str]) -> dict[str, list[LibraryFacts]]:
        """Erasure -> what is known of each library, by name."""
        found: dict[str, list[LibraryFacts]] = {one: [] for one in of}
        joined = erasure_libraries.outerjoin(libraries, libraries.c.name == _l.library)
        rows = select(erasure_libraries, libraries.c.vendor).select_from(joined)
        for row in self._connection.execute(rows.where(_l.erasure_id.in_(of)).order_by(_l.erasure_id, _l.library)):
            found[row.erasure_id].append(_library(row))
        return found

    def facts(self, erasure: str) -> ErasureFacts | None:
        """All that is known of it just now; None for an erasure that nobody opened."""
        one = self.get(erasure)
        if one is None:
            return None
        return ErasureFacts(
            id=one.id,
            person=one.person,
            subject=one.subject,
            opened_at=one.opened_at,
            due_at=one.due_at,
            verified_at=one.verified_at,
            second_look_at=one.second_look_at,
            finished_at=one.finished_at,
            libraries=self.libraries([erasure])[erasure],
        )


def _in_state(state: State, now: datetime) -> ColumnElement[bool]:
    match state:
        case "overdue":
            return and_(_UNFINISHED, _e.state == "open", _e.due_at <= now)
        case "confirmed":
            return _e.state == "confirmed"
        case _:
            return and_(_UNFINISHED, _e.state == state)


def _erasure(row: Row[Any]) -> Erasure:
    return Erasure(
        id=row.id,
        person=PersonId(row.person_id),
        subject=row.pseudonym,
        state=row.state,
        opened_at=row.opened_at,
        due_at=row.due_at,
        second_look_at=row.second_look_at,
        verified_at=row.verified_at,
        finished_at=row.finished_at,
    )


def _library(row: Row[Any]) -> LibraryFacts:
    return LibraryFacts(
        name=row.library,
        vendor=row.vendor or "unknown",
        verdict=row.verdict,
        method=row.method,
        reason=row.reason,
        faces=row.faces,
        accepted_at=row.accepted_at,
        checked_at=row.checked_at,
        looks=row.looks,
        came_back=row.came_back,
        requests=[_request(one) for one in json.loads(row.request_ids)],
    )


def _request(told: Any) -> Request:
    operation, request_id, at = told["operation"], told["request_id"], told.get("at")
    moment = None if at is None else datetime.fromisoformat(at)
    if moment is not None and moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return Request(str(operation), str(request_id), moment)
