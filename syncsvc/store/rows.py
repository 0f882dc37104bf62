"""Deliveries as values: claimed, settled, or looked at."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from syncsvc.model.people import FaceId, LibraryName, PersonId, Revision
from syncsvc.model.report import Doubt

ENDED = ("synced", "refused", "exhausted")  # the states in which nobody is at work any more


@dataclass(frozen=True, slots=True)
class Owed:
    """A delivery that has just been written down; `rung`: the bell is to be rung for it."""

    library: LibraryName
    person: PersonId
    id: int
    rung: bool


@dataclass(frozen=True, slots=True)
class Want:
    """What a library is to be owed. `rung_until`: its bell is about to be rung, and trusted until then."""

    library: LibraryName
    person: PersonId
    verb: str
    revision: Revision
    faces: int
    rank: datetime
    rung_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that is ours until its lease ends; its attempt is already counted.

    `doubt` is what an earlier, unanswered attempt may have put there; `doubtful` says to look first.
    `failures` are the library's own, in a row, before this; `noted` counts the person's odd faces there, `lost`
    the pictures that the person no longer has and of which an add may have been under way.
    """

    id: int
    person: PersonId
    wanted: Revision
    wanted_at: datetime
    verb: str
    attempts: int
    doubtful: bool
    doubt: Doubt | None
    failures: int
    noted: int
    lost: int
    retiring: bool = False  # the library: nobody is wanted there any more


@dataclass(frozen=True, slots=True)
class Settlement:
    """How a claimed delivery ends, unless a newer change came in the meantime: then it stays due, as it is."""

    state: str
    due_at: datetime
    attempts: int
    verb: str
    rank: datetime | None = None
    reason: str | None = None
    detail: str | None = None
    face: FaceId | None = None
    doubt: Doubt | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """A settlement for one delivery; `seen` is the revision that was wanted when it was claimed."""

    delivery: int
    lease: str
    seen: Revision
    settlement: Settlement


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery as people look at it."""

    id: int
    library: LibraryName
    person: PersonId
    wanted: Revision
    wanted_at: datetime
    held: Revision | None
    verb: str
    state: str
    due_at: datetime
    attempts: int
    reason: str | None
    detail: str | None
    face: FaceId | None
    leased_until: datetime | None
    settled_at: datetime | None


def claimed(row: Row[Any]) -> Claimed:
    doubt = Doubt(row.doubted_adds, Revision(row.doubted_revision)) if row.doubted_revision is not None else None
    return Claimed(
        id=row.id,
        person=PersonId(row.person_id),
        wanted=Revision(row.wanted),
        wanted_at=row.wanted_at,
        verb=row.verb,
        attempts=row.attempts,
        doubtful=row.state == "doubtful",
        doubt=doubt,
        failures=row.failures,
        noted=row.noted,
        lost=row.lost,
        retiring=row.retiring_at is not None,
    )


def delivery(row: Row[Any]) -> Delivery:
    return Delivery(
        id=row.id,
        library=LibraryName(row.library),
        person=PersonId(row.person_id),
        wanted=Revision(row.wanted),
        wanted_at=row.wanted_at,
        held=None if row.held is None else Revision(row.held),
        verb=row.verb,
        state=row.state,
        due_at=row.due_at,
        attempts=row.attempts,
        reason=row.reason,
        detail=row.detail,
        face=FaceId(row.face_id) if row.face_id else None,
        leased_until=row.leased_until,
        settled_at=row.settled_at,
    )
