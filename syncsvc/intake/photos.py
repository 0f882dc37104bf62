"""Reads a photo as it arrives: is it a picture at all, how large, which way up; and leaves out all else in its file."""

import hashlib
import io
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from syncsvc.intake.bare import bare
from syncsvc.library.drawing import JPEG, PNG, encoded, plain, room_for
from syncsvc.model.errors import InputError
from syncsvc.model.people import Digest, Photo

MAX_BYTES = 20 * 1024 * 1024  # more than any vendor takes; a camera's original fits
MAX_PIXELS = 50_000_000
MAX_SIDE = 20_000
_MAX_PIXELS = {"WEBP": MAX_PIXELS // 2}  # its decoder holds three pictures beside Pillow's own
Image.MAX_IMAGE_PIXELS = None  # Pillow would warn of large pictures; `_check_size` refuses them
_FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "GIF", "TIFF")
_LOSSLESS = ("PNG", "BMP", "GIF")
_ORIENTATION = 0x0112  # EXIF 2.32, 4.6.4
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_photo(content: bytes) -> Photo:
    """The picture, upright and without metadata, with its kind and sides, after decoding it whole once.

    A JPEG or PNG that is upright keeps its pixels to the last bit, and its very bytes where nothing had to be left
    out. Everything else is drawn anew, as PNG where its kind loses nothing, else as JPEG; of an animation the first
    picture. Colours are taken as sRGB. `origin` is the SHA-256 of `content`.

    Raises InputError in words fit for whoever sent it; they quote nothing of it.
    """
    if not content:
        raise InputError("the photo is empty; send a JPEG or PNG", field="photo")
    _check_bytes(len(content))
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as picture:
            _check_size(*picture.size, _MAX_PIXELS.get(picture.format or "", MAX_PIXELS))
            with room_for(*picture.size):
                picture.load()
                clean, media_type, width, height = _normal(content, picture)
    except InputError:
        raise
    except UnidentifiedImageError:
        raise InputError("the photo cannot be read as a picture; send a JPEG or PNG", field="photo") from None
    except Exception as error:  # noqa: BLE001 - decoders raise whatever a damaged file leads them to
        words = f"the photo is damaged ({type(error).__name__}); save it again as JPEG or PNG"
        raise InputError(words, field="photo") from None
    _check_bytes(len(clean))
    return Photo(clean, media_type, width, height, Digest(hashlib.sha256(content).hexdigest()))


def _check_bytes(size: int) -> None:
    if size > MAX_BYTES:
        raise InputError(f"the photo has {size:,} bytes; at most {MAX_BYTES:,} are taken", field="photo")


def _check_size(width: int, height: int, most: int) -> None:
    """Before anything is unpacked: a small file may hold a picture that fills the memory."""
    if width * height > most or max(width, height) > MAX_SIDE:
        words = f"the photo is {width} x {height} pixels; at most {most:,} in all are taken"
        raise InputError(words, field="photo")


def _normal(content: bytes, picture: Image.Image) -> tuple[bytes, str, int, int]:
    """The file to be kept, with its media type and sides."""
    turn = _UPRIGHT.get(_orientation(picture))
    media_type = PNG if picture.format in _LOSSLESS else JPEG
    if turn is None and picture.mode != "CMYK" and (kept := bare(content)) is not None:
        return kept, media_type, *picture.size
    drawn = plain(picture)
    drawn = drawn if turn is None else drawn.transpose(turn)
    return encoded(drawn, media_type, as_fine_as=picture), media_type, *drawn.size


def _orientation(picture: Image.Image) -> int:
    """Which way up the camera was held; a picture whose EXIF nobody can read is shown as it is."""
    try:
        return int(picture.getexif().get(_ORIENTATION, 1))
    except Exception:  # noqa: BLE001 - the same, and no reason to refuse a picture
        return 1


def read_photo_file(path: Path) -> Photo:
    """The same from a file; a file that is too large is not read."""
    try:
        size = path.stat().st_size
        content = path.read_bytes() if size <= MAX_BYTES else b""
    except OSError as error:
        raise InputError(f"the photo file {path} cannot be read ({error.strerror})", field="photo") from None
    if size > MAX_BYTES:
        raise InputError(f"the photo file has {size:,} bytes; at most {MAX_BYTES:,} are taken", field="photo")
    return read_photo(content)
