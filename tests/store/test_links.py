"""Photo links: one photo each, for a short while, and nobody can make one."""

import base64
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncsvc.store.links import LIFETIME, Link, Links
from syncsvc.store.vault import Vault
from tests.conftest import PHOTO_KEY, MovableClock
from tests.store.ground import GATE, photo

DIGEST = photo(1).digest


@pytest.fixture
def links(vault: Vault, clock: MovableClock) -> Links:
    return Links(vault, "https://faces.example.com/", clock)


def token_of(url: str) -> str:
    return url.removeprefix("https://faces.example.com/photos/")


def test_a_link_leads_to_its_photo(links: Links) -> None:
    url = links.url(DIGEST, GATE)

    assert links.open(token_of(url)) == Link(DIGEST, GATE)
    assert set(token_of(url)) <= set(string.ascii_letters + string.digits + "-_")


def test_a_link_says_nothing_by_itself_and_is_another_every_time(links: Links) -> None:
    first, second = links.url(DIGEST, GATE), links.url(DIGEST, GATE)

    assert first != second
    assert DIGEST not in first
    assert bytes.fromhex(DIGEST) not in base64.urlsafe_b64decode(token_of(first) + "===")


def test_a_link_expires(links: Links, clock: MovableClock) -> None:
    token = token_of(links.url(DIGEST, GATE))

    clock.advance(LIFETIME.total_seconds() - 1)
    assert links.open(token) == Link(DIGEST, GATE)
    clock.advance(1)

    assert links.open(token) is None


def test_no_character_of_a_link_can_be_changed(links: Links) -> None:
    token = token_of(links.url(DIGEST, GATE))

    for place, character in enumerate(token[:-1]):  # the last one holds unused bits
        other = "A" if character != "A" else "B"
        assert links.open(token[:place] + other + token[place + 1 :]) is None


@given(st.text(max_size=120))
def test_whatever_else_is_asked_for_is_not_there(told: str) -> None:
    links = Links(Vault([PHOTO_KEY]), "https://faces.example.com", MovableClock())

    assert links.open(told) is None


def test_a_link_of_another_key_is_not_ours(links: Links, clock: MovableClock) -> None:
    foreign = Links(Vault([bytes(32)]), "https://faces.example.com", clock)

    assert links.open(token_of(foreign.url(DIGEST, GATE))) is None


def test_a_sealed_photo_is_no_link(links: Links, vault: Vault) -> None:
    sealed = vault.seal(bytes(8) + bytes.fromhex(DIGEST), purpose="photo", about=DIGEST)

    assert links.open(base64.urlsafe_b64encode(sealed).decode().rstrip("=")) is None


def test_links_survive_the_rotation_of_keys(links: Links, clock: MovableClock) -> None:
    token = token_of(links.url(DIGEST, GATE))

    rotated = Links(Vault([bytes(32), PHOTO_KEY]), "https://faces.example.com", clock)

    assert rotated.open(token) == Link(DIGEST, GATE)
