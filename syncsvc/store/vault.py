"""Encryption at rest: AES-256-GCM under keys that can be rotated."""

import hashlib
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from syncsvc.model.errors import SyncsvcError

KEY_LENGTH = 32
KEY_ID_LENGTH = 4
_NONCE = 12


class VaultError(SyncsvcError):
    """What was sealed cannot be opened with the configured keys."""


class Vault:
    """Seals with the first key and opens with any of them.

    A sealed value is: 4 bytes that name the key, 12 bytes nonce, ciphertext and tag. `purpose` and
    `about` are authenticated, so that a value moved to another row or another use does not open.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys or any(len(key) != KEY_LENGTH for key in keys):
            raise VaultError("photo_key must be one or more keys of 32 bytes; `syncsvc keygen` prints one")
        self._keys = {hashlib.sha256(b"syncsvc key id" + key).digest()[:KEY_ID_LENGTH]: AESGCM(key) for key in keys}
        self.known = tuple(self._keys)
        self.current = hashlib.sha256(b"syncsvc key id" + keys[0]).digest()[:KEY_ID_LENGTH]

    def seal(self, plain: bytes, *, purpose: str, about: str) -> bytes:
        nonce = os.urandom(_NONCE)
        return self.current + nonce + self._keys[self.current].encrypt(nonce, plain, _context(purpose, about))

    def open(self, sealed: bytes, *, purpose: str, about: str) -> bytes:
        """The plain bytes. Raises VaultError for an unknown key, a damaged value, or another purpose."""
        key = self._keys.get(sealed[:KEY_ID_LENGTH])
        if key is None:
            raise VaultError(
                "a stored photo was sealed with a key that is not in photo_key; add that key back to the list"
            )
        nonce, body = sealed[KEY_ID_LENGTH : KEY_ID_LENGTH + _NONCE], sealed[KEY_ID_LENGTH + _NONCE :]
        try:
            return key.decrypt(nonce, body, _context(purpose, about))
        except (InvalidTag, ValueError) as error:  # ValueError: cut so short that no nonce is left
            raise VaultError("a sealed value is damaged or belongs elsewhere") from error


def _context(purpose: str, about: str) -> bytes:
    return f"syncsvc/{purpose}/{about}".encode()
