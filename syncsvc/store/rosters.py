"""How far the newest roster of each source has come, so that an import goes on where it stopped."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Update, select, update

from syncsvc.model.rosters import BEGINNING, Place
from syncsvc.store.dialect import insert
from syncsvc.store.tables import rosters

_r = rosters.c


@dataclass(frozen=True, slots=True)
class Import:
    """The newest import of a source. `place`: everything before is recorded; `holder` is the process that is at it.

    `departing` is how many absent people go, once that was decided.
    """

    source: str
    run: int
    fingerprint: str
    place: Place
    counts: Mapping[str, int]
    holder: str | None
    departing: int | None
    started_at: datetime
    reached_at: datetime
    finished_at: datetime | None


class Rosters:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def lock(self, source: str, now: datetime) -> Import:
        """The source's newest import, held against every other; run 0 where there was none."""
        fresh = {"source": source, "run": 0, "fingerprint": "", "bytes_read": 0, "lines_read": 0, "counts": "{}"}
        fresh |= {"started_at": now, "reached_at": now, "finished_at": now}
        taken = insert(self._connection.dialect.name, rosters).values(fresh)
        taken = taken.on_conflict_do_update(index_elements=["source"], set_={"source": taken.excluded.source})
        return _import(self._connection.execute(taken.returning(rosters)).one())

    def get(self, source: str) -> Import | None:
        row = self._connection.execute(select(rosters).where(_r.source == source)).one_or_none()
        return None if row is None else _import(row)

    def begin(self, source: str, fingerprint: str, *, holder: str, now: datetime) -> Import:
        """A new import, from the file's beginning; who was named before is still known to have been."""
        values = {"run": _r.run + 1, "fingerprint": fingerprint, "counts": "{}", "holder": holder, "departing": None}
        values |= {"started_at": now, "reached_at": now, "finished_at": None}
        return self._change(source, _placed(BEGINNING) | values)

    def go_on(self, source: str, *, holder: str, now: datetime) -> Import:
        return self._change(source, {"holder": holder, "reached_at": now})

    def reach(self, held: Import, place: Place, counts: Mapping[str, int], now: datetime) -> bool:
        """Everything up to `place` is recorded. False: somebody else has taken the import over."""
        reached = _mine(held).values(**_placed(place), counts=json.dumps(counts), reached_at=now)
        return self._connection.execute(reached).rowcount > 0

    def decide(self, held: Import, departing: int) -> None:
        """So many absent people go; whoever goes on with the import lets them go."""
        self._connection.execute(_mine(held).values(departing=departing))

    def hold_all(self) -> None:
        """Nobody else decides anything until the transaction ends."""
        self._connection.execute(select(_r.source).order_by(_r.source).with_for_update())

    def promised(self, *, since: datetime) -> int:
        """How many people all sources together decided to let go since then who have not gone yet."""
        decided = select(rosters).where(_r.finished_at.is_(None), _r.departing.is_not(None), _r.reached_at >= since)
        imports = [_import(row) for row in self._connection.execute(decided)]
        return sum(max(0, (one.departing or 0) - one.counts.get("departed", 0)) for one in imports)

    def let_go_of(self, held: Import) -> None:
        """The import is nobody's any more, and whoever comes goes on with it."""
        self._connection.execute(_mine(held).values(holder=None))

    def finish(self, held: Import, now: datetime, *, whole: bool) -> None:
        """The import is over. `whole`: whoever it does not name does not stand in this source's rosters any more."""
        values: dict[str, Any] = {"holder": None, "reached_at": now, "finished_at": now}
        if whole:
            values["whole_run"] = held.run
        self._connection.execute(_mine(held).values(**values))

    def _change(self, source: str, values: Mapping[str, Any]) -> Import:
        changed = update(rosters).where(_r.source == source).values(**values).returning(rosters)
        return _import(self._connection.execute(changed).one())


def _mine(held: Import) -> Update:
    """Of nobody's import but the one that is held."""
    return update(rosters).where(_r.source == held.source, _r.run == held.run, _r.holder == held.holder)


def _placed(place: Place) -> dict[str, int]:
    return {"bytes_read": place.offset, "lines_read": place.line}


def _import(row: Row[Any]) -> Import:
    return Import(
        source=row.source,
        run=row.run,
        fingerprint=row.fingerprint,
        place=Place(row.bytes_read, row.lines_read),
        counts=json.loads(row.counts),
        holder=row.holder,
        departing=row.departing,
        started_at=row.started_at,
        reached_at=row.reached_at,
        finished_at=row.finished_at,
    )
