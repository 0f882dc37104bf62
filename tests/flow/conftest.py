"""The stage, with one library of whatever vendor a test asks for."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from syncsvc.store import Store
from syncsvc.store.vault import Vault
from tests.conftest import MovableClock, new_database
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


# Every vendor on one kind of database and every kind with one vendor: they do not know of each other.
_PAIRS = [
    *(pytest.param(vendor, id=vendor) for vendor in VENDORS),
    pytest.param(("postgresql", VENDORS[1]), id=f"{VENDORS[1]}-postgres", marks=pytest.mark.servers),
]


@pytest.fixture(params=_PAIRS)
def everywhere(
    clock: MovableClock, vault: Vault, shelf: PhotoShelf, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Stage]:
    """The same for every vendor in turn; a test may name some of them."""
    database, vendor = request.param if isinstance(request.param, tuple) else ("sqlite", request.param)
    store = Store(new_database(request, database, tmp_path), vault)
    with staged(store, clock, shelf, [vendor]) as ready:
        yield ready
    store.close()


@pytest.fixture
def pair(store: Store, clock: MovableClock, shelf: PhotoShelf) -> Iterator[Stage]:
    """Two libraries, gate and yard."""
    with staged(store, clock, shelf, ["finauth", "sophon"]) as ready:
        yield ready
