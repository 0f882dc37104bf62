"""Gives a photo as one vendor takes it: kind, bytes and sides are mended where they can be."""

import io
import math
from dataclasses import dataclass

from PIL import Image

from syncsvc.library.drawing import FINE, JPEG, PNG, encoded, plain, room_for
from syncsvc.model.errors import RejectedError
from syncsvc.model.people import Photo

LEAST_SIDE = 256  # pixels; what is smaller only to have few bytes shows no face worth sending
_GOOD, _FAIR = 85, 70  # of JPEG's quality
# As it is, then coarser, then smaller with a better guess each time, at last as small as may be.
_QUALITIES = (FINE, _GOOD, _GOOD, _GOOD, _GOOD, _FAIR)
_MB = 1024 * 1024

Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class PhotoRule:
    """What photos a vendor documents to take: media types, bytes of the encoded file, pixels of a side.

    A photo that does not hold to it is drawn anew, as JPEG or else as PNG, where the vendor takes one of them.
    """

    media_types: frozenset[str]
    max_bytes: int
    min_side: int = 0
    max_side: int | None = None


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why a photo cannot be made to fit: what it is like, and what the library needs or takes instead."""

    code: str
    photo: str
    need: str

    def error(self) -> RejectedError:
        return RejectedError(f"the photo {self.photo}; this library {self.need}", code=self.code)


def fit(photo: Photo, rule: PhotoRule) -> Photo:
    """The photo within the rule: the very same where it is, else drawn anew as fine as the rule allows.

    The same photo and rule make the same bytes every time, in at most six encodings; it is never enlarged. Raises
    RejectedError with numbers where it is too small, or cannot be made small enough and still show a face.
    """
    if _holds(photo, rule):
        return photo
    made = _mended(photo, rule)
    if isinstance(made, Misfit):
        raise made.error()
    return made


def misfit(photo: Photo, rule: PhotoRule) -> Misfit | None:
    """Why `fit` would refuse, None where it would not; nothing is drawn where the numbers alone tell."""
    if _holds(photo, rule):
        return None
    wrong = _hopeless(photo, rule)
    if wrong is not None or _surely(photo, rule):
        return wrong
    made = _mended(photo, rule)
    return made if isinstance(made, Misfit) else None


def _holds(photo: Photo, rule: PhotoRule) -> bool:
    sides = (photo.width, photo.height)
    return (
        photo.media_type in rule.media_types
        and len(photo.content) <= rule.max_bytes
        and min(sides) >= rule.min_side
        and (rule.max_side is None or max(sides) <= rule.max_side)
    )


def _hopeless(photo: Photo, rule: PhotoRule) -> Misfit | None:
    """What no drawing mends."""
    sides = f"is {photo.width} x {photo.height} pixels"
    if _kind(rule) is None:
        kinds = ", ".join(sorted(kind.removeprefix("image/") for kind in rule.media_types))
        return Misfit("photo_format", f"is {photo.media_type}", f"takes {kinds}")
    if min(photo.width, photo.height) < rule.min_side:
        return Misfit("photo_small", sides, f"needs at least {rule.min_side} pixels a side")
    if min(_largest(photo, rule)) < rule.min_side:
        return Misfit("photo_shape", sides, f"needs {rule.min_side} to {rule.max_side} pixels a side")
    return None


def _surely(photo: Photo, rule: PhotoRule) -> bool:
    """Whether even noise would fit at the smallest size: no JPEG of ours has more than three bytes a pixel."""
    width, height = _smallest(_largest(photo, rule), rule)
    return _kind(rule) == JPEG and 3 * width * height + 4096 <= rule.max_bytes


def _mended(photo: Photo, rule: PhotoRule) -> Photo | Misfit:
    wrong, kind = _hopeless(photo, rule), _kind(rule)
    if wrong is not None or kind is None:
        return wrong or _too_many_bytes(photo, rule)
    with room_for(photo.width, photo.height):
        try:
            picture = _decoded(photo, _largest(photo, rule))
        except Exception:  # noqa: BLE001 - decoders raise whatever a damaged file leads them to
            return Misfit("photo_damaged", "cannot be decoded", "needs a JPEG or PNG; send it again")
        return _drawn(picture, kind, rule) or _too_many_bytes(photo, rule)


def _drawn(picture: Image.Image, kind: str, rule: PhotoRule) -> Photo | None:
    """The finest that has few enough bytes, None where even the smallest has too many."""
    size, least = picture.size, _smallest(picture.size, rule)
    for quality in _QUALITIES if rule.max_bytes >= math.prod(size) else _QUALITIES[1:]:
        size = least if quality == _FAIR else size
        content = encoded(_resized(picture, size), kind, quality=quality)
        if len(content) <= rule.max_bytes:
            return Photo(content, kind, *size)
        if quality == _GOOD or kind == PNG:
            size = _shrunk(size, rule.max_bytes / len(content), least)
    return None


def _too_many_bytes(photo: Photo, rule: PhotoRule) -> Misfit:
    return Misfit("photo_bytes", f"has {len(photo.content):,} bytes", f"needs at most {_told(rule.max_bytes)}")


def _told(size: int) -> str:
    return f"{size:,} bytes" if size < _MB else f"{size / _MB:.3g} MB"


def _kind(rule: PhotoRule) -> str | None:
    return next((kind for kind in (JPEG, PNG) if kind in rule.media_types), None)


def _largest(photo: Photo, rule: PhotoRule) -> Size:
    """The photo's own sides, or what is left of them where the longer one may be `max_side`."""
    long = max(photo.width, photo.height)
    if rule.max_side is None or long <= rule.max_side:
        return photo.width, photo.height
    return max(1, photo.width * rule.max_side // long), max(1, photo.height * rule.max_side // long)


def _smallest(size: Size, rule: PhotoRule) -> Size:
    """What may be left of it to save bytes: the same picture with its shorter side at the least."""
    short = min(size)
    least = min(short, max(rule.min_side, LEAST_SIDE))
    return math.ceil(size[0] * least / short), math.ceil(size[1] * least / short)


def _shrunk(size: Size, share: float, least: Size) -> Size:
    """The sides at which about so large a share of the bytes is left, and a little less."""
    factor = 0.95 * math.sqrt(share)
    return max(least[0], int(size[0] * factor)), max(least[1], int(size[1] * factor))


def _decoded(photo: Photo, size: Size) -> Image.Image:
    """The picture at `size`; of a much larger JPEG only a part of the detail is unpacked."""
    with Image.open(io.BytesIO(photo.content)) as picture:
        picture.draft(None, size)
        return _resized(plain(picture), size)


def _resized(picture: Image.Image, size: Size) -> Image.Image:
    return picture.resize(size, Image.Resampling.LANCZOS)
