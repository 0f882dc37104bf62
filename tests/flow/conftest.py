"""The stage, with one library of whatever vendor a test asks for."""

from collections.abc import Iterator

import pytest

from syncsvc.store import Store
from tests.conftest import MovableClock
from tests.flow.stage import VENDORS, Stage, staged
from tests.vendors.photos import PhotoShelf, photo_shelf


@pytest.fixture(scope="session")
def shelf() -> Iterator[PhotoShelf]:
    """A loopback server of every drawn photo, for vendors that fetch."""
    with photo_shelf() as open_shelf:
        yield open_shelf


@pytest.fixture
def stage(store: Store, clock: MovableClock, shelf: PhotoShelf, request: pytest.FixtureRequest) -> Iterator[Stage]:
    """One library, of the vendor that a test names (`@on("sophon")`), else the plainest."""
    vendor = getattr(request, "param", "finauth")
    with staged(store, clock, shelf, [vendor]) as ready:
        yield ready


@pytest.fixture(params=VENDORS)
def everywhere(store: Store, clock: MovableClock, shelf: PhotoShelf, request: pytest.FixtureRequest) -> Iterator[Stage]:
    """The same for every vendor in turn."""
    with staged(store, clock, shelf, [request.param]) as ready:
        yield ready
