"""Canonical people and faces, and what a library is known to hold of them."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NewType

PersonId = NewType("PersonId", str)
FaceId = NewType("FaceId", str)
LibraryName = NewType("LibraryName", str)
VendorFaceId = NewType("VendorFaceId", str)
VendorImageId = NewType("VendorImageId", str)
Digest = NewType("Digest", str)
Revision = NewType("Revision", int)

FEATURE_LENGTH = 512


@dataclass(frozen=True, slots=True)
class Photo:
    """An encoded picture, upright and without metadata; sides in pixels.

    `origin` is the SHA-256 of the bytes as they came to us, None where that is not known: the same bytes sent
    again need not be read again.
    """

    content: bytes = field(repr=False)
    media_type: str
    width: int
    height: int
    origin: Digest | None = field(default=None, compare=False)

    @property
    def digest(self) -> Digest:
        """SHA-256 of the encoded bytes, in hexadecimal."""
        return Digest(hashlib.sha256(self.content).hexdigest())


@dataclass(frozen=True, slots=True)
class Feature:
    """A face as the 512 numbers of one vendor's model, for libraries that take features."""

    values: tuple[float, ...] = field(repr=False)

    @property
    def digest(self) -> Digest:
        """SHA-256 of the numbers' shortest decimal form, in hexadecimal."""
        return Digest(hashlib.sha256(json.dumps(self.values).encode()).hexdigest())


Source = Photo | Feature


@dataclass(frozen=True, slots=True)
class Face:
    """One face that a person should have; `source` is None where the library already holds it."""

    id: FaceId
    digest: Digest
    source: Source | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """A person as we want every library to know them; no faces means: absent from every library."""

    id: PersonId
    revision: Revision
    faces: tuple[Face, ...] = ()


@dataclass(frozen=True, slots=True)
class HeldFace:
    """A vendor's face that is bound to a person of ours.

    `face_id` and `digest` say which of our faces it was made from; both None is a *stray*: ours, but
    of an unknown or unwanted picture, so the next errand removes it.
    """

    vendor_face_id: VendorFaceId
    vendor_image_id: VendorImageId | None = None
    face_id: FaceId | None = None
    digest: Digest | None = None


Held = tuple[HeldFace, ...]


@dataclass(frozen=True, slots=True)
class Listed:
    """A face as a library lists it. Which fields a vendor can fill differs: None is "it does not say"."""

    vendor_face_id: VendorFaceId
    vendor_image_id: VendorImageId | None = None
    person_key: str | None = None
    label: str | None = None


def vendor_ids(faces: Sequence[HeldFace] | Sequence[Listed]) -> frozenset[VendorFaceId]:
    return frozenset(face.vendor_face_id for face in faces)
