"""What the intake's tests share: somebody's web server, and who fetches photos from it."""

from collections.abc import Iterator

import pytest

from syncsvc.intake.fetching import PhotoFetcher
from tests.intake.outside import Outside, at_home, serving


@pytest.fixture
def outside() -> Iterator[Outside]:
    with serving() as server:
        yield server


@pytest.fixture
def fetcher() -> PhotoFetcher:
    return PhotoFetcher(["photos.corp.internal"], at_home)
