"""Biometrics and names stay inside: not in what is shown of a value, logged, rung or written down about an errand."""

import base64
import io
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from sqlalchemy import Table, select

from syncsvc.flow.dispatch import sweep
from syncsvc.model.changes import FaceReplaced, Told, Upserted
from syncsvc.model.people import Face, FaceId, Feature, Held, HeldFace, Person, PersonId, Photo, Revision, VendorFaceId
from syncsvc.model.plan import Add, Swap
from syncsvc.observe import logs
from syncsvc.store import Store
from syncsvc.store.tables import attempts, changes, deliveries, libraries, situations
from tests.conftest import MovableClock
from tests.flow.stage import ALICE, BOB, GATE, LEFT, OPTIONS, RIGHT, SECRETS, Stage, open_library, staged
from tests.vendors.photos import PhotoShelf, blank, draw, photo_shelf

NAME = "Canary-Name 金丝雀"
CANARY = Photo(b"CANARY-PICTURE" + bytes(range(256)), "image/jpeg", 300, 300)
FEATURE = Feature((0.987654321,) * 512)
HELD: Held = (HeldFace(VendorFaceId("v1"), None, LEFT, CANARY.digest),)


@pytest.mark.parametrize(
    "value",
    [
        CANARY,
        FEATURE,
        Face(LEFT, CANARY.digest, CANARY),
        Person(ALICE, Revision(1), (Face(LEFT, CANARY.digest, CANARY), Face(RIGHT, FEATURE.digest, FEATURE))),
        Upserted(ALICE, ((LEFT, CANARY), (RIGHT, FEATURE)), name=NAME),
        FaceReplaced(ALICE, LEFT, CANARY),
        Told("hr", "1", Upserted(ALICE, ((LEFT, CANARY),), name=NAME), 3),
        Add(Face(LEFT, CANARY.digest, CANARY)),
        Swap(HELD[0], Face(LEFT, CANARY.digest, CANARY)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_shows_no_picture_and_no_name(value: object) -> None:
    shown = repr(value) + str(value)

    assert "CANARY" not in shown
    assert "987654321" not in shown
    assert "Canary" not in shown


@pytest.fixture(scope="module")
def shelf() -> Iterator[PhotoShelf]:
    with photo_shelf() as open_shelf:
        yield open_shelf


@pytest.fixture
def everything_logged() -> Iterator[io.StringIO]:
    """All that anybody logs, as it would leave a worker, and from every level up."""
    stream, root = io.StringIO(), logging.getLogger()
    before, level = root.handlers[:], root.level
    logs.configure(level="DEBUG", stream=stream)
    for name in ("sqlalchemy.engine", "sqlalchemy.pool", "httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    yield stream
    for name in ("sqlalchemy.engine", "sqlalchemy.pool", "httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.NOTSET)
    logging.captureWarnings(capture=False)
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize("vendor", sorted(OPTIONS))
def test_a_whole_run_with_every_trouble_tells_nobody_a_name_a_picture_or_a_secret(
    store: Store, clock: MovableClock, shelf: PhotoShelf, everything_logged: io.StringIO, vendor: str
) -> None:
    with staged(store, clock, shelf, [vendor]) as stage:
        rung = a_whole_run(stage, shelf)

        written = "\n".join(
            str(tuple(row))
            for table in (attempts, changes, deliveries, libraries, situations)
            for row in rows_of(stage, table)
        )
    shown = everything_logged.getvalue() + written + rung
    assert "delivery settled" in shown
    assert "errand failed" in shown
    for secret in forbidden():
        assert secret not in shown, f"{secret[:24]!r} got out"


def a_whole_run(stage: Stage, shelf: PhotoShelf) -> str:
    """Hires, replacements, refusals, silence, garbage, a fault of ours, wrong keys, a departure; the bells as text."""
    rung: list[object] = []
    stage.tell(Upserted(ALICE, ((LEFT, draw(1)), (RIGHT, draw(2))), name=NAME))
    for kind in ("lost_answer", "garbage", "outage", "unknown_code", "throttle"):
        stage.room.fault(kind, times=1)
        rung += sweep(stage.house)
        stage.clock.advance(6)
        stage.quiet()
        stage.swap(ALICE, 0, 3)
        stage.swap(ALICE, 0, 1)
    stage.quiet()
    stage.tell_photo(ALICE, LEFT, blank())
    stage.quiet()
    library = stage.house.shelf(GATE).library
    stage.reshelve(library_=_Broken(library))  # type: ignore[arg-type]
    stage.swap(BOB, 0, 4)
    stage.deliver(BOB)
    if vendor_secret := SECRETS.get(stage.room.name):
        stage.reshelve(library_=open_library(stage.room.name, library.door, shelf, **{vendor_secret: "CANARY-KEY"}))
        stage.deliver(BOB)
        stage.resume()
    stage.reshelve(library_=library)
    stage.leave(ALICE)
    stage.quiet()
    return repr(rung)


class _Broken:
    """An adapter with a mistake in it, whose words hold what they should not."""

    def __init__(self, library: object) -> None:
        self._library = library

    def __getattr__(self, name: str) -> object:
        return getattr(self._library, name)

    def at(self, _door: object) -> "_Broken":
        return self

    def replace(self, person: Person, _held: Held) -> None:
        raise KeyError(NAME, person, "CANARY-KEY")


def rows_of(stage: Stage, table: Table) -> list[Any]:
    with stage.house.store.reading() as tx:
        return list(tx._connection.execute(select(table)))


def forbidden() -> Iterator[str]:
    yield from (NAME, "Canary-Name", "CANARY", "sandbox-secret")
    for number in (1, 2, 3, 4):
        content = draw(number).content
        yield base64.b64encode(content).decode()[100:140]
        yield content.hex()[200:240]
        yield repr(content)[200:240]


def test_a_person_may_have_any_id_and_face_ids_are_no_secret() -> None:
    """What may be shown: ids. This is here so that nobody reads more into the rule than it says."""
    shown = repr(Person(PersonId("p-1"), Revision(1), (Face(FaceId("left"), CANARY.digest),)))

    assert "p-1" in shown
