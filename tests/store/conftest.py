"""The table as the store's tests use it."""

import pytest

from syncsvc.store import Store
from tests.conftest import MovableClock
from tests.store.ground import Table


@pytest.fixture
def table(store: Store, clock: MovableClock) -> Table:
    return Table(store, clock)
