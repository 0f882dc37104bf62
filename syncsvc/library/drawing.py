"""Draws a picture anew where its bytes cannot stay: in plain colours, without anything else, the same every time."""

import io
import threading
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from PIL import Image, JpegImagePlugin

JPEG, PNG = "image/jpeg", "image/png"
FINE = 95  # of JPEG's quality: nobody sees a difference

_LARGE = 6_000_000  # pixels; four bytes each while they are unpacked, and as much again where they are turned
_few = threading.BoundedSemaphore(2)


def room_for(width: int, height: int) -> AbstractContextManager[object]:
    """To be held while a picture is unpacked: large ones wait for each other, or a few threads fill the memory."""
    return _few if width * height > _LARGE else nullcontext()


def plain(picture: Image.Image) -> Image.Image:
    """The picture in grey or in RGB: palettes and inks resolved, and what was transparent on white."""
    if picture.mode in {"L", "RGB"}:
        return picture
    if picture.mode.startswith("I"):  # 16 bits of grey, of which Pillow would show everything above 255 as white
        return picture.point(lambda value: value * (1 / 256)).convert("L")
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    layer = picture if picture.mode == "RGBA" else picture.convert("RGBA")
    drawn = Image.new("RGB", layer.size, "white")
    drawn.paste(layer, mask=layer)
    return drawn


def encoded(
    picture: Image.Image, media_type: str, *, quality: int = FINE, as_fine_as: Image.Image | None = None
) -> bytes:
    """A JPEG or PNG of a plain picture.

    `quality` is JPEG's; `as_fine_as`, where it is a JPEG, says it instead: as fine as that one, and about as large.
    """
    picture.info.clear()  # or Pillow writes its comment, profile or transparency along
    file = io.BytesIO()
    if media_type == PNG:
        picture.save(file, "PNG")
        return file.getvalue()
    how: dict[str, Any] = {"quality": quality, "subsampling": "4:4:4" if quality >= FINE else "4:2:0"}
    if isinstance(as_fine_as, JpegImagePlugin.JpegImageFile) and as_fine_as.mode == picture.mode:
        tables = [table for _, table in sorted(as_fine_as.quantization.items())]
        how = {"qtables": tables, "subsampling": JpegImagePlugin.get_sampling(as_fine_as)}
    picture.save(file, "JPEG", **how)
    return file.getvalue()
