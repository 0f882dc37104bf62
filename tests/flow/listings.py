"""Readings of sandboxes for tests of what is made of them: written down at once, as complete as a test says."""

from sqlalchemy import delete, insert, select, update

from syncsvc.flow.compare import compare
from syncsvc.model.listings import Completeness
from syncsvc.model.people import LibraryName, Listed
from syncsvc.model.situations import Reaction, Situation
from syncsvc.store.tables import listed, listings, removals, situations
from tests.flow.stage import GATE, Stage


def read(
    stage: Stage,
    library: LibraryName = GATE,
    *,
    completeness: Completeness = Completeness.COMPLETE,
    faces: list[Listed] | None = None,
    later: float = 60.0,
) -> int:
    """The library as it is now (or as a test says it was shown) becomes its newest finished listing."""
    stage.clock.advance(later)
    shown = _pages(stage, library) if faces is None else faces
    with stage.house.store.transaction() as tx:
        before = tx.comparing.listing(library)
        run = before.run + 1 if before else 1
        tx._connection.execute(delete(listings).where(listings.c.library == library))
        tx._connection.execute(
            insert(listings).values(
                library=library,
                run=run,
                cause="command",
                state="read",
                faces=len(shown),
                completeness=completeness.value,
                started_at=stage.clock(),
                reached_at=stage.clock(),
                finished_at=stage.clock(),
            )
        )
        rows = [
            {
                "library": library,
                "run": run,
                "vendor_face_id": one.vendor_face_id,
                "vendor_image_id": one.vendor_image_id,
                "person_key": one.person_key,
                "label": one.label,
            }
            for one in shown
        ]
        if rows:
            tx._connection.execute(insert(listed), rows)
    stage.clock.advance(60.0)
    return run


def _pages(stage: Stage, library: LibraryName) -> list[Listed]:
    adapter = stage.house.shelf(library).library
    found: list[Listed] = []
    page = adapter.page(None)
    found += page.faces
    while page.cursor is not None:
        page = adapter.page(page.cursor)
        found += page.faces
    return found


def compared(stage: Stage, library: LibraryName = GATE, **reading: object) -> dict[Situation, int]:
    """Read and compare; the situations that some face is in."""
    read(stage, library, **reading)  # type: ignore[arg-type]
    return {situation: count for situation, count in compare(stage.house, library).items() if count}


def odd(stage: Stage, library: LibraryName = GATE) -> dict[str, tuple[Situation, Reaction | None]]:
    """The vendor's id of each face that is noted as odd -> what it is, and what is to be done."""
    with stage.house.store.reading() as tx:
        rows = tx._connection.execute(select(situations).where(situations.c.library == library)).all()
    return {
        row.vendor_face_id: (Situation(row.situation), Reaction(row.reaction) if row.reaction else None) for row in rows
    }


def state(stage: Stage, library: LibraryName = GATE) -> str:
    with stage.house.store.reading() as tx:
        listing = tx.comparing.listing(library)
    assert listing is not None
    return listing.state


def taken_out(stage: Stage) -> list[tuple[str, int]]:
    """Libraries and how many people plans took out of them."""
    with stage.house.store.reading() as tx:
        return [(row.library, row.people) for row in tx._connection.execute(select(removals).order_by(removals.c.id))]


def forget_bindings(stage: Stage, *vendor_face_ids: str) -> None:
    """As if we had never been told of these faces."""
    from syncsvc.store.tables import bindings  # noqa: PLC0415

    with stage.house.store.transaction() as tx:
        tx._connection.execute(delete(bindings).where(bindings.c.vendor_face_id.in_(vendor_face_ids)))


def unbind(stage: Stage, *vendor_face_ids: str) -> None:
    """As if these faces had been taken out, and were still there."""
    from syncsvc.store.tables import bindings  # noqa: PLC0415

    with stage.house.store.transaction() as tx:
        mine = bindings.c.vendor_face_id.in_(vendor_face_ids)
        tx._connection.execute(update(bindings).where(mine).values(removed_at=stage.clock()))
