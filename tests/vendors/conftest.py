"""What every vendor's tests share: the photo shelf that vendors fetch from."""

from collections.abc import Iterator

import pytest

pytest.register_assert_rewrite(
    "tests.vendors.contract",
    "tests.vendors.contract_faces",
    "tests.vendors.contract_trouble",
    "tests.vendors.contract_listing",
)

from tests.vendors.photos import PhotoShelf, photo_shelf  # noqa: E402


@pytest.fixture(scope="session")
def shelf() -> Iterator[PhotoShelf]:
    """A loopback server of every drawn photo, by digest."""
    with photo_shelf() as open_shelf:
        yield open_shelf
