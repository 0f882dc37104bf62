"""What a sandbox holds: faces of people, in the order they came, and how each person's count changed."""

import hashlib
import io
import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any

from PIL import Image, UnidentifiedImageError


@dataclass(frozen=True, slots=True)
class StoredFace:
    """One face. `digest`: of what was sent; `label`: what it was told of ours; `planted`: no client put it there."""

    vendor_face_id: str
    person_key: str
    digest: str
    vendor_image_id: str | None = None
    label: str | None = None
    planted: bool = False
    extra: dict[str, Any] = field(default_factory=dict)


_TOLD = StoredFace("", "", "")


@dataclass(frozen=True, slots=True)
class Change:
    """One step of a person's history: how many faces they had after it."""

    at: float
    person_key: str
    what: str
    vendor_face_id: str | None
    count: int


@dataclass(frozen=True, slots=True)
class Picture:
    """A photo as the detector stand-in sees it."""

    faces: int
    width: int
    height: int
    format: str


class World:
    """Faces by vendor id, and people's own records where the vendor has people. The sandbox locks; this does not."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.faces: dict[str, StoredFace] = {}
        self.records: dict[str, dict[str, Any]] = {}
        self.history: list[Change] = []
        self._order: dict[str, list[str]] = {}
        self._gone: dict[str, tuple[float, StoredFace]] = {}

    def of(self, person_key: str) -> list[StoredFace]:
        """One person's faces in the vendor's order; empty for an unknown person."""
        return [self.faces[one] for one in self._order.get(person_key, ())]

    def knows(self, person_key: str) -> bool:
        """Whether the person has a record or a face."""
        return person_key in self.records or bool(self._order.get(person_key))

    def people(self) -> dict[str, list[StoredFace]]:
        """Every person with a record or a face, in the order they came."""
        keys = dict.fromkeys((*self.records, *(key for key, order in self._order.items() if order)))
        return {key: self.of(key) for key in keys}

    def add(self, face: StoredFace) -> None:
        """Append a face to its person's."""
        self.faces[face.vendor_face_id] = face
        self._order.setdefault(face.person_key, []).append(face.vendor_face_id)
        self._note("add", face)

    def remove(self, vendor_face_id: str) -> StoredFace | None:
        """Take a face out; None where it is not there. The person's record stays."""
        face = self.faces.pop(vendor_face_id, None)
        if face is not None:
            self._order[face.person_key].remove(vendor_face_id)
            self._gone.setdefault(vendor_face_id, (self._clock(), face))
            self._note("remove", face)
        return face

    def swap(self, old_id: str, new: StoredFace, *, keep_place: bool = True) -> None:
        """Exchange a face for another in one step."""
        order = self._order[self.faces.pop(old_id).person_key]
        place = order.index(old_id)
        order.remove(old_id)
        order.insert(place if keep_place else len(order), new.vendor_face_id)
        self.faces[new.vendor_face_id] = new
        self._note("swap", new)

    def forget(self, person_key: str) -> list[StoredFace]:
        """Remove a person with record and faces."""
        gone = [face for one in list(self._order.get(person_key, ())) if (face := self.remove(one))]
        self.records.pop(person_key, None)
        self._order.pop(person_key, None)
        return gone

    def take_gone(self, until: float) -> list[StoredFace]:
        """Faces removed up to then; each is told of once, and not if it is there again."""
        found = [one for at, one in self._gone.values() if at <= until and one is not _TOLD]
        self._gone |= {one.vendor_face_id: (until, _TOLD) for one in found}
        return [one for one in found if one.vendor_face_id not in self.faces]

    def copy(self) -> "World":
        """The same faces, which stay as they are now."""
        same = World(self._clock)
        same.restore(self.snapshot())
        return same

    def counts(self, person_key: str) -> list[int]:
        """The person's number of faces after every change, in order."""
        return [one.count for one in self.history if one.person_key == person_key]

    def snapshot(self) -> tuple[Any, ...]:
        """All of it, for `restore`."""
        order = {key: list(value) for key, value in self._order.items()}
        return dict(self.faces), {key: dict(value) for key, value in self.records.items()}, order, len(self.history)

    def restore(self, snapshot: tuple[Any, ...]) -> None:
        """Back to what it was, history included."""
        self.faces, self.records, self._order, length = snapshot
        del self.history[length:]

    def as_json(self) -> dict[str, Any]:
        """People with their faces, for the control API."""
        people = {key: [asdict(face) for face in faces] for key, faces in self.people().items()}
        return {"people": people, "total": len(self.faces)}

    def _note(self, what: str, face: StoredFace) -> None:
        count = len(self._order[face.person_key])
        self.history.append(Change(self._clock(), face.person_key, what, face.vendor_face_id, count))


def digest_of(photo: bytes) -> str:
    """SHA-256 of the photo's exact bytes."""
    return hashlib.sha256(photo).hexdigest()


def feature_digest(values: Sequence[float]) -> str:
    """SHA-256 of a feature's numbers in their shortest decimal form."""
    return hashlib.sha256(json.dumps([float(one) for one in values]).encode()).hexdigest()


def picture(photo: bytes) -> Picture | None:
    """What the detector stand-in sees, None where the photo cannot be decoded.

    A uniform picture holds no face; a JPEG or PNG comment `faces=N` says that there are N; all others hold one.
    """
    return _picture(hashlib.sha256(photo).digest(), _Bytes(photo))


def faces_in(photo: bytes) -> int:
    """How many faces the photo holds; 0 where it cannot be decoded."""
    seen = picture(photo)
    return seen.faces if seen is not None else 0


class _Bytes:
    """Lets the cache below compare by digest alone and keep no photo alive."""

    __slots__ = ("content",)

    def __init__(self, content: bytes) -> None:
        self.content = content

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Bytes)

    def __hash__(self) -> int:
        return 0


@lru_cache(maxsize=4096)
def _picture(digest: bytes, photo: _Bytes) -> Picture | None:  # noqa: ARG001
    content, photo.content = photo.content, b""
    try:
        with Image.open(io.BytesIO(content)) as image:
            image.load()
            low, high = image.convert("L").getextrema()
            told = _told(image.info.values())
            faces = told if told is not None else int(low != high)
            return Picture(faces, image.width, image.height, str(image.format))
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def _told(comments: Iterable[object]) -> int | None:
    for comment in comments:
        text = comment.decode("latin-1") if isinstance(comment, bytes) else comment
        if isinstance(text, str) and text.startswith("faces="):
            with suppress(ValueError):
                return int(text.removeprefix("faces="))
    return None
