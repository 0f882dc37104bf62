"""Links under which a vendor may fetch one photo for a short while."""

import base64
import struct
from collections.abc import Callable
from datetime import datetime, timedelta

from syncsvc.model.people import Digest
from syncsvc.store.vault import Vault, VaultError

LIFETIME = timedelta(minutes=10)  # a vendor fetches within seconds of our call, and every try gets a fresh link


class Links:
    """Signed, expiring, single-photo links under `public_url`; the token is sealed, so it says nothing by itself."""

    def __init__(self, vault: Vault, public_url: str, clock: Callable[[], datetime]) -> None:
        self._vault = vault
        self._base = public_url.rstrip("/")
        self._clock = clock

    def url(self, digest: Digest) -> str:
        expires = int((self._clock() + LIFETIME).timestamp())
        sealed = self._vault.seal(struct.pack(">Q", expires) + bytes.fromhex(digest), purpose="link", about="")
        return f"{self._base}/photos/{base64.urlsafe_b64encode(sealed).decode().rstrip('=')}"

    def open(self, token: str) -> Digest | None:
        """The photo that a token is for; None where it is forged, damaged or expired."""
        try:
            sealed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
            plain = self._vault.open(sealed, purpose="link", about="")
        except (VaultError, ValueError):
            return None
        (expires,) = struct.unpack(">Q", plain[:8])
        return Digest(plain[8:].hex()) if self._clock().timestamp() < expires else None
