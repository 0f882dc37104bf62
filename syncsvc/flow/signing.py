"""Ed25519: who signed a receipt. The public key alone is enough to check it."""

import base64
import binascii
from collections.abc import Collection
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from syncsvc.model.errors import InputError
from syncsvc.model.receipt_form import Envelope, ReceiptError, canonical

KEY_BYTES = 32
SIGNATURE_BYTES = 64


@dataclass(frozen=True, slots=True)
class PublicKey:
    """What an auditor is given: 32 bytes, as base64 or as a PEM file."""

    raw: bytes

    @property
    def base64(self) -> str:
        return base64.b64encode(self.raw).decode()

    @property
    def pem(self) -> str:
        """As openssl reads it."""
        key = Ed25519PublicKey.from_public_bytes(self.raw)
        return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def signed(self, body: bytes, signature: bytes) -> bool:
        """Whether the owner of this key signed exactly these bytes."""
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, body)
        except (InvalidSignature, ValueError):
            return False
        return True


class Signer:
    """Signs with the receipt key, and shows it to nobody."""

    __slots__ = ("_key", "public_key")

    def __init__(self, seed: bytes) -> None:
        """`seed`: the 32 bytes of `receipt_key`."""
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public_key = PublicKey(self._key.public_key().public_bytes_raw())

    def __repr__(self) -> str:
        return f"Signer({self.public_key.base64})"

    def sign(self, body: bytes) -> str:
        """The signature, in base64."""
        return base64.b64encode(self._key.sign(body)).decode()


def read_public_key(text: str) -> PublicKey:
    """A public key from base64 of its 32 bytes, or from PEM. Raises InputError."""
    text = text.strip()
    if text.startswith("-----BEGIN PUBLIC KEY-----"):
        return _from_pem(text)
    raw = _decoded(text, KEY_BYTES)
    if raw is None:
        raise InputError(
            "it is no public key: needed is base64 of 32 bytes, or PEM; `syncsvc erasure public-key` prints ours"
        )
    return PublicKey(raw)


def check_signature(envelope: Envelope, trusted: Collection[PublicKey]) -> PublicKey:
    """The key among `trusted` that signed it; the key that the envelope names is only compared, never believed.

    Raises ReceiptError where none did.
    """
    signature = _decoded(envelope.signature, SIGNATURE_BYTES)
    if signature is None:
        raise ReceiptError("its signature is not base64 of 64 bytes")
    key = next((one for one in trusted if one.base64 == envelope.public_key), None)
    if key is None:
        raise ReceiptError(
            "it names a public key that is not the one you trust, so it proves nothing; where the key was replaced,"
            " get the older one from whoever issued the receipt, not from the file, and give it with --public-key too"
        )
    if not key.signed(canonical(envelope.body), signature):
        raise ReceiptError("its signature is wrong: this key did not sign this content")
    return key


def _from_pem(text: str) -> PublicKey:
    try:
        key = load_pem_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise InputError("the PEM cannot be read as a public key") from None
    if not isinstance(key, Ed25519PublicKey):
        raise InputError("the PEM is the public key of another kind; receipts are signed with Ed25519")
    return PublicKey(key.public_bytes_raw())


def _decoded(text: str, length: int) -> bytes | None:
    """The bytes of base64 in its one right form; None for anything else."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if len(raw) == length and base64.b64encode(raw).decode() == text else None
