"""The names under which our people and faces are known inside vendor libraries."""

import base64
import hashlib
import re

from syncsvc.model.people import Digest, FaceId, PersonId

# The narrowest alphabet and length of the four vendors (32 of [A-Za-z0-9_-]); one key serves everywhere.
_PLAIN = re.compile(r"(?!x-)[A-Za-z0-9_-]{1,32}")
_LABEL = re.compile(r"[0-9a-f]{32}")


def person_key(person: PersonId) -> str:
    """The person's id where it fits every vendor, else `x-` and 150 bits of its SHA-256.

    Two people never share a key: an id that already looks like a derived key is itself derived.
    """
    if _PLAIN.fullmatch(person):
        return person
    digest = hashlib.sha256(person.encode()).digest()
    return "x-" + base64.b32encode(digest).decode().lower()[:30]


def person_hash(person: PersonId) -> str:
    """32 hexadecimal characters for vendor fields whose matching may split words at a hyphen."""
    return hashlib.sha256(person.encode()).hexdigest()[:32]


def face_label(person: PersonId, face: FaceId, digest: Digest) -> str:
    """32 hexadecimal characters that mark a vendor's face as this person's face made from this picture.

    The last eight depend on the person alone, so that `is_our_label` can recognise a label whose picture
    we no longer know.
    """
    body = hashlib.sha256(f"{person}\0{face}\0{digest}".encode()).hexdigest()[:24]
    return body + _label_seal(person, body)


def is_our_label(person: PersonId, label: str | None) -> bool:
    """Whether `face_label` made this label for this person, from whatever face and picture."""
    return bool(label and _LABEL.fullmatch(label)) and _label_seal(person, (label or "")[:24]) == (label or "")[24:]


def _label_seal(person: PersonId, body: str) -> str:
    return hashlib.sha256(f"label\0{person}\0{body}".encode()).hexdigest()[:8]
