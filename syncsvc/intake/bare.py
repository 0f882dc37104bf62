"""What a picture's file holds besides the picture: found and left out byte by byte, so that no quality is lost."""

import re
from collections.abc import Iterator

_JPEG = b"\xff\xd8"
_JPEG_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # inside a scan: stuffed bytes, restarts and fill are none
_JPEG_TABLES = range(0xC0, 0xE0)  # frames, scans and their tables; from 0xE0 on stand the applications' own segments
_RESTARTS = range(0xD0, 0xD9)  # markers without a length, of no use outside a scan
_END, _START_OF_SCAN = 0xD9, 0xDA
_PNG = b"\x89PNG\r\n\x1a\n"
# Of a fixed small size, and needed to show the picture right. The rest is text, time, EXIF, profiles or animation.
_PNG_KEPT = {b"IHDR": 13, b"sRGB": 1, b"gAMA": 4, b"cHRM": 32, b"sBIT": 4, b"tRNS": 256, b"PLTE": 768}


def bare(content: bytes) -> bytes | None:
    """The same JPEG or PNG without EXIF, XMP, IPTC, comments, profiles, thumbnails and whatever follows its end.

    The pixels are the same to the last bit, and a file that holds nothing else comes back as it is. None for other
    kinds, and where the file is not built as its standard has it: then the picture must be drawn anew.
    """
    try:
        if content.startswith(_JPEG):
            return b"".join([_JPEG, *_jpeg_parts(content)])
        if content.startswith(_PNG):
            return b"".join([_PNG, *_png_parts(content)])
    except (IndexError, ValueError):
        return None
    return None


def _jpeg_parts(content: bytes) -> Iterator[bytes]:
    """Segments and scans from the second marker to the end of the picture (ITU-T T.81, annex B)."""
    at = len(_JPEG)
    while True:
        start, kind = content[at], content[at + 1]
        if kind == _END:
            yield content[at : at + 2]
            return
        end = at + 2 + int.from_bytes(content[at + 2 : at + 4])
        if start != 0xFF or kind < _JPEG_TABLES.start or kind in _RESTARTS or end < at + 4:  # noqa: PLR2004
            raise ValueError("no segment")
        if _jpeg_kept(kind, content[at:end]):
            yield content[at:end]
        at = end
        if kind == _START_OF_SCAN:
            marker = _JPEG_MARKER.search(content, end)
            if marker is None:
                raise ValueError("no end")
            at = marker.start()
            yield content[end:at]


def _jpeg_kept(kind: int, segment: bytes) -> bool:
    """Of the applications' segments JFIF's without a thumbnail, and Adobe's, which says how to read the colours."""
    match kind:
        case 0xE0:
            return segment[4:9] == b"JFIF\0" and len(segment) == 18  # noqa: PLR2004
        case 0xEE:
            return segment[4:9] == b"Adobe" and len(segment) == 16  # noqa: PLR2004
        case _:
            return kind in _JPEG_TABLES and kind != 0xDC  # noqa: PLR2004 - DNL, over which decoders skip at any length


def _png_parts(content: bytes) -> Iterator[bytes]:
    """Chunks up to and with the last (PNG, section 5.3)."""
    at = len(_PNG)
    while True:
        length, kind = int.from_bytes(content[at : at + 4]), content[at + 4 : at + 8]
        end = at + 12 + length
        if end > len(content):
            raise ValueError("no end")
        if kind in {b"IDAT", b"IEND"} or length <= _PNG_KEPT.get(kind, -1):
            yield content[at:end]
        if kind == b"IEND":
            return
        at = end
