"""Pictures as cameras, phones and editors make them, with everything in their files that should not be stored."""

import io
import struct
import zlib
from typing import Any

from PIL import Image, ImageDraw
from PIL.ExifTags import GPS, IFD, Base
from PIL.PngImagePlugin import PngInfo

SECRETS = (b"CANARY-MAKER", b"CANARY-ARTIST", b"CANARY-XMP", b"CANARY-COMMENT", b"CANARY-PROFILE", b"CANARY-TAIL")
XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>CANARY-XMP</x:xmpmeta>"


def scene(size: tuple[int, int] = (160, 120), mode: str = "RGB") -> Image.Image:
    """A picture with another colour in each corner, so that one sees which way up it is."""
    width, height = size
    picture = Image.linear_gradient("L").resize(size).convert("RGB")
    pen = ImageDraw.Draw(picture)
    pen.rectangle((0, 0, width // 2, height // 2), fill=(200, 30, 30))
    pen.rectangle((width // 2, 0, width, height // 2), fill=(30, 200, 30))
    pen.rectangle((0, height // 2, width // 2, height), fill=(30, 30, 200))
    return picture.convert(mode)


def saved(picture: Image.Image, kind: str = "JPEG", **how: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **how)
    return file.getvalue()


def opened(content: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(content))
    picture.load()
    return picture


def exif(orientation: int = 1) -> Image.Exif:
    told = Image.Exif()
    told[Base.Orientation] = orientation
    told[Base.Make] = "CANARY-MAKER"
    told[Base.Artist] = "CANARY-ARTIST"
    told.get_ifd(IFD.GPSInfo)[GPS.GPSLatitude] = (31.0, 14.0, 0.0)
    return told


def from_a_camera(orientation: int = 1, **how: Any) -> bytes:
    """A JPEG with EXIF, GPS, XMP, a profile, a comment, and a film after its end."""
    content = saved(
        scene(),
        exif=exif(orientation),
        xmp=XMP,
        icc_profile=b"CANARY-PROFILE" * 20,
        comment=b"CANARY-COMMENT",
        quality=88,
        **how,
    )
    return content + b"\0\0\0\x18ftypmp42 CANARY-TAIL" + content


def segment(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, kind, len(body) + 2) + body


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_from_an_editor(picture: Image.Image | None = None, orientation: int = 1) -> bytes:
    """A PNG with text, a time, EXIF, XMP, a profile, a chunk of its own and something after its end."""
    notes = PngInfo()
    notes.add_text("Author", "CANARY-ARTIST")
    notes.add_text("Comment", "CANARY-COMMENT", zip=True)
    notes.add_itxt("XML:com.adobe.xmp", XMP.decode())
    notes.add(b"prVt", b"CANARY-MAKER")
    content = saved(
        picture or scene(), "PNG", pnginfo=notes, exif=exif(orientation), icc_profile=b"CANARY-PROFILE" * 20
    )
    return content + b"CANARY-TAIL"
