"""Encryption at rest: what is sealed opens with the right keys, in its own place, and nowhere else."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncsvc.store.vault import Vault, VaultError

OLD, NEW = bytes(32), bytes([7]) * 32


@given(st.binary(max_size=2000))
def test_what_was_sealed_opens(plain: bytes) -> None:
    vault = Vault([NEW])

    sealed = vault.seal(plain, purpose="photo", about="a")

    assert vault.open(sealed, purpose="photo", about="a") == plain
    assert len(plain) < 8 or plain not in sealed


def test_the_same_content_is_sealed_differently_every_time() -> None:
    vault = Vault([NEW])

    first, second = (vault.seal(b"the same", purpose="photo", about="a") for _ in range(2))

    assert first != second


def test_a_rotated_list_seals_with_its_first_key_and_opens_with_all() -> None:
    sealed_before = Vault([OLD]).seal(b"picture", purpose="photo", about="a")
    rotated = Vault([NEW, OLD])

    sealed_now = rotated.seal(b"picture", purpose="photo", about="a")

    assert rotated.open(sealed_before, purpose="photo", about="a") == b"picture"
    assert Vault([NEW]).open(sealed_now, purpose="photo", about="a") == b"picture"


def test_a_key_that_was_taken_away_is_named_as_the_reason() -> None:
    sealed = Vault([OLD]).seal(b"picture", purpose="photo", about="a")

    with pytest.raises(VaultError, match="add that key back"):
        Vault([NEW]).open(sealed, purpose="photo", about="a")


@pytest.mark.parametrize(("purpose", "about"), [("name", "a"), ("photo", "b"), ("link", "")])
def test_a_value_moved_to_another_place_does_not_open(purpose: str, about: str) -> None:
    vault = Vault([NEW])
    sealed = vault.seal(b"picture", purpose="photo", about="a")

    with pytest.raises(VaultError, match="damaged or belongs elsewhere"):
        vault.open(sealed, purpose=purpose, about=about)


@given(place=st.integers(0, 47), flip=st.integers(1, 255))
def test_no_byte_can_be_changed_unnoticed(place: int, flip: int) -> None:
    vault = Vault([NEW])
    sealed = bytearray(vault.seal(b"sixteen bytes...", purpose="photo", about="a"))
    sealed[place] ^= flip

    with pytest.raises(VaultError):
        vault.open(bytes(sealed), purpose="photo", about="a")


@given(length=st.integers(0, 47))
def test_a_value_that_was_cut_short_is_damaged_and_nothing_worse(length: int) -> None:
    vault = Vault([NEW])
    sealed = vault.seal(b"sixteen bytes...", purpose="photo", about="a")

    with pytest.raises(VaultError):
        vault.open(sealed[:length], purpose="photo", about="a")


@pytest.mark.parametrize("keys", [[], [b"short"], [NEW, b""], [NEW * 2]])
def test_keys_of_the_wrong_length_are_refused_with_the_mend(keys: list[bytes]) -> None:
    with pytest.raises(VaultError, match="syncsvc keygen"):
        Vault(keys)


def test_a_vault_shows_no_key() -> None:
    key = os.urandom(32)

    shown = repr(Vault([key])) + repr(vars(Vault([key])))

    assert key.hex() not in shown
    assert repr(key) not in shown
