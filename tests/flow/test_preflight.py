"""What the libraries will say to a picture is told beforehand, in words that name each one."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from syncsvc.flow.house import Shelf
from syncsvc.flow.preflight import preflight
from syncsvc.library.base import Capabilities
from syncsvc.library.fitting import PhotoRule
from syncsvc.model.people import Feature
from syncsvc.store import Store
from tests.conftest import MovableClock
from tests.flow.stage import ALICE, VENDORS, Stage, staged
from tests.vendors.photos import PhotoShelf, draw, too_large_for

FEATURE = Feature((0.5,) * 512)


@pytest.fixture
def stage(store: Store, clock: MovableClock, shelf: PhotoShelf) -> Iterator[Stage]:
    """A library of every vendor."""
    with staged(store, clock, shelf, VENDORS) as ready:
        yield ready


def shelf_of(stage: Stage, vendor: str) -> Shelf:
    return next(one for one in stage.house.shelves.values() if type(one.library).__module__.endswith(vendor))


def demand(monkeypatch: pytest.MonkeyPatch, shelf: Shelf, rule: PhotoRule) -> None:
    caps: Capabilities = type(shelf.library).capabilities
    monkeypatch.setattr(type(shelf.library), "capabilities", replace(caps, photo=rule))


def test_a_usual_photo_passes_everywhere(stage: Stage) -> None:
    found = preflight(stage.house, draw(1))

    assert found.passes == tuple(stage.house.shelves)
    assert found.words == "passes 4 of 4"


def test_a_photo_that_sending_mends_passes(stage: Stage) -> None:
    for shelf in stage.house.shelves.values():
        photo = too_large_for(shelf.library.capabilities.photo)

        assert shelf.name in preflight(stage.house, photo).passes


def test_what_a_library_needs_is_told_with_its_name_and_number(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    small, short = shelf_of(stage, "huawei"), shelf_of(stage, "finauth")
    demand(monkeypatch, small, PhotoRule(frozenset({"image/jpeg"}), 10**6, min_side=301))
    demand(monkeypatch, short, PhotoRule(frozenset({"image/jpeg"}), 500))

    found = preflight(stage.house, draw(1))

    assert len(found.passes) == 2
    assert dict(found.fails) == {
        small.name: "needs at least 301 pixels a side",
        short.name: "needs at most 500 bytes",
    }
    assert found.words.startswith("passes 2 of 4: ")
    assert f"{small.name} needs at least 301 pixels a side" in found.words
    assert "; " in found.words


def test_a_feature_passes_where_features_are_taken(stage: Stage) -> None:
    found = preflight(stage.house, FEATURE)

    assert found.passes == (shelf_of(stage, "sophon").name,)
    assert {need for _, need in found.fails} == {"takes photos, not features"}


def test_what_is_foretold_is_what_happens(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    picky = shelf_of(stage, "finauth")
    demand(monkeypatch, picky, PhotoRule(frozenset({"image/png"}), 10**6, min_side=301))

    found = preflight(stage.house, draw(1))

    assert [library for library, _ in found.fails] == [picky.name]
    stage.hire(ALICE, 1)
    stage.quiet()
    states = {row.library: (row.state, row.reason) for row in stage.rows()}
    assert states.pop(picky.name) == ("refused", "photo_small")
    assert set(states.values()) == {("synced", None)}


def test_a_library_that_is_only_observed_is_not_asked(stage: Stage) -> None:
    shelves = {name: replace(shelf, policy="observe") for name, shelf in stage.house.shelves.items()}
    first = next(iter(shelves))
    shelves[first] = replace(shelves[first], policy="upsert-only")

    some = preflight(replace(stage.house, shelves=shelves), draw(1))
    none = preflight(replace(stage.house, shelves={}), draw(1))

    assert some.words == "passes 1 of 1"
    assert none.words == "passes 0 of 0"
