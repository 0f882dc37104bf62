"""The attempt log: one row for every time a library was asked."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select

from syncsvc.model.people import LibraryName, PersonId, Revision
from syncsvc.store.tables import attempts


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try. `calls` are (operation, outcome, seconds, request id) as JSON-ready dicts; `outcome` is one word."""

    library: LibraryName
    person: PersonId
    verb: str
    revision: Revision
    number: int
    started_at: datetime
    seconds: float
    outcome: str
    reason: str | None
    detail: str | None
    calls: list[dict[str, object]]


class Attempts:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def log(self, rows: Sequence[Attempt]) -> None:
        if rows:
            self._connection.execute(insert(attempts), [_row(attempt) for attempt in rows])

    def of_person(self, person: PersonId, *, library: LibraryName | None = None, limit: int = 50) -> list[Attempt]:
        """The latest attempts for a person, newest first."""
        mine = attempts.c.person_id == person
        if library is not None:
            mine &= attempts.c.library == library
        rows = self._connection.execute(select(attempts).where(mine).order_by(attempts.c.id.desc()).limit(limit))
        return [
            Attempt(
                library=LibraryName(row.library),
                person=person,
                verb=row.verb,
                revision=row.revision,
                number=row.number,
                started_at=row.started_at,
                seconds=row.seconds,
                outcome=row.outcome,
                reason=row.reason,
                detail=row.detail,
                calls=json.loads(row.calls),
            )
            for row in rows
        ]


def _row(attempt: Attempt) -> dict[str, object]:
    return {  # by hand: `asdict` copies deeply, and this runs for every delivery
        "library": attempt.library,
        "person_id": attempt.person,
        "verb": attempt.verb,
        "revision": attempt.revision,
        "number": attempt.number,
        "started_at": attempt.started_at,
        "seconds": attempt.seconds,
        "outcome": attempt.outcome,
        "reason": attempt.reason,
        "detail": attempt.detail,
        "calls": json.dumps(attempt.calls),
    }
