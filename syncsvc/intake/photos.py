"""Reads a photo as it arrives: is it a picture at all, of what kind, and how large."""

import io
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from syncsvc.model.errors import InputError
from syncsvc.model.people import Photo

MAX_BYTES = 20 * 1024 * 1024  # more than any vendor takes; a camera's original fits
MAX_PIXELS = 50_000_000
MAX_SIDE = 20_000
Image.MAX_IMAGE_PIXELS = None  # Pillow would warn of large pictures; `_check_size` refuses them
_FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "GIF", "TIFF")


def read_photo(content: bytes) -> Photo:
    """The picture, with its kind and sides, after decoding it whole once.

    The bytes stay as they are. Raises InputError in words fit for whoever sent it; they quote nothing of it.
    """
    if not content:
        raise InputError("the photo is empty; send a JPEG or PNG", field="photo")
    if len(content) > MAX_BYTES:
        raise InputError(f"the photo has {len(content):,} bytes; at most {MAX_BYTES:,} are taken", field="photo")
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as picture:
            _check_size(*picture.size)
            media_type = Image.MIME[picture.format or ""]
            picture.load()
            width, height = picture.size
    except InputError:
        raise
    except UnidentifiedImageError:
        raise InputError("the photo cannot be read as a picture; send a JPEG or PNG", field="photo") from None
    except Exception as error:  # noqa: BLE001 - decoders raise whatever a damaged file leads them to
        words = f"the photo is damaged ({type(error).__name__}); save it again as JPEG or PNG"
        raise InputError(words, field="photo") from None
    return Photo(content, media_type, width, height)


def _check_size(width: int, height: int) -> None:
    """Before anything is unpacked: a small file may hold a picture that fills the memory."""
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        words = f"the photo is {width} x {height} pixels; at most {MAX_PIXELS:,} in all are taken"
        raise InputError(words, field="photo")


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
