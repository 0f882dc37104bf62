"""Deliveries that somebody must look at: refused or exhausted, found by what is unsettled and not by all there is."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from sqlalchemy import Connection, Select, case, literal, literal_column, or_, select, update

from syncsvc.model.people import LibraryName
from syncsvc.model.urgency import Urgency, rank
from syncsvc.store.deliveries import IN_DOUBT
from syncsvc.store.rows import Delivery, delivery
from syncsvc.store.tables import deliveries

Stuck = Literal["exhausted", "refused"]
STUCK: tuple[Stuck, ...] = get_args(Stuck)

_d = deliveries.c


@dataclass(frozen=True, slots=True)
class Place:
    """Where a reading of one library's deliveries in one state has come to: they are sorted by when they ended."""

    since: datetime
    id: int


@dataclass(frozen=True, slots=True)
class Part:
    """Some of one library's stuck deliveries: with this reason, and that ended at `since` or later."""

    library: LibraryName
    state: Stuck
    reason: str | None = None
    since: datetime | None = None


class Attention:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def read(self, part: Part, *, after: Place | None, limit: int) -> list[Delivery]:
        """Up to `limit` of them after that place, those that ended first at the front."""
        rows = self._connection.execute(_those(select(deliveries), part, after).limit(limit))
        return [delivery(row) for row in rows]

    def reopen(self, part: Part, *, after: Place | None, limit: int, now: datetime) -> tuple[int, Place | None]:
        """Owe up to `limit` of them anew, among those that ended by `now`, as `Deliveries.want` does.

        Returns how many, and the place to go on from; None: that was all. No person is locked, since nothing here
        depends on one; what somebody else is writing at this moment is passed over, for that reopens it, so this
        waits for nobody.
        """
        mine = _those(select(_d.id, _d.due_at), part, after).where(_d.due_at <= now).limit(limit)
        rows = self._connection.execute(mine.with_for_update(skip_locked=True)).all()
        if not rows:
            return 0, None
        urgency = case(
            (_d.wanted_faces == 0, literal(rank(Urgency.DEPARTURE, now), _d.rank.type)),
            else_=literal(rank(Urgency.REPAIR, now), _d.rank.type),
        )
        doubted = or_(_d.state.in_(IN_DOUBT), _d.doubted_revision.is_not(None))
        self._connection.execute(
            update(deliveries)
            .where(_d.id.in_([row.id for row in rows]))
            .values(
                state=case((doubted, "doubtful"), else_="due"),
                wanted_at=now,
                due_at=now,
                rank=urgency,
                attempts=0,
                reason=None,
                detail=None,
                face_id=None,
            )
        )
        return len(rows), Place(rows[-1].due_at, rows[-1].id) if len(rows) == limit else None


def _those(found: Select[Any], part: Part, after: Place | None) -> Select[Any]:
    """In the order of the index of what is unsettled; its condition is spelled out, to be seen as the same."""
    found = found.where(
        literal_column("state <> 'synced'"),
        _d.library == part.library,
        _d.state == literal_column(f"'{part.state}'"),
    )
    if part.reason is not None:
        found = found.where(_d.reason == part.reason)
    if part.since is not None:
        found = found.where(_d.due_at >= part.since)
    if after is not None:
        found = found.where(_d.due_at >= after.since, or_(_d.due_at > after.since, _d.id > after.id))
    return found.order_by(_d.due_at, _d.id)
