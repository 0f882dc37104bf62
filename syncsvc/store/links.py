"""Links under which a library may fetch one photo for a short while."""

import base64
import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from syncsvc.model.people import Digest, LibraryName
from syncsvc.store.vault import Vault, VaultError

LIFETIME = timedelta(minutes=10)  # a vendor fetches within seconds of our call, and every try gets a fresh link
_FIXED = 8 + 32  # bytes of the instant and of the digest; the library's name follows


@dataclass(frozen=True, slots=True)
class Link:
    """What a token is for: one photo, as one library takes it."""

    digest: Digest
    library: LibraryName


class Links:
    """Signed, expiring, single-photo links under `public_url`; the token is sealed, so it says nothing by itself."""

    def __init__(self, vault: Vault, public_url: str, clock: Callable[[], datetime]) -> None:
        self._vault = vault
        self._base = public_url.rstrip("/")
        self._clock = clock

    def url(self, digest: Digest, library: LibraryName) -> str:
        expires = int((self._clock() + LIFETIME).timestamp())
        plain = struct.pack(">Q", expires) + bytes.fromhex(digest) + library.encode()
        sealed = self._vault.seal(plain, purpose="link", about="")
        return f"{self._base}/photos/{base64.urlsafe_b64encode(sealed).decode().rstrip('=')}"

    def open(self, token: str) -> Link | None:
        """None where the token is forged, damaged or expired."""
        try:
            sealed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
            plain = self._vault.open(sealed, purpose="link", about="")
        except (VaultError, ValueError):
            return None
        (expires,) = struct.unpack(">Q", plain[:8])
        if self._clock().timestamp() >= expires:
            return None
        return Link(Digest(plain[8:_FIXED].hex()), LibraryName(plain[_FIXED:].decode()))
