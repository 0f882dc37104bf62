"""What must never be found in a message, a log or a page."""

import base64

from tests.queue.bell import FEATURE, NAME, PHOTO


def found_in(text: bytes) -> list[str]:
    """Which secrets are in there, in whatever usual spelling."""
    content = PHOTO.content
    spellings = {
        "the name": [NAME.encode(), b"CANARY", NAME.encode("unicode_escape"), NAME.encode("utf-16-le")],
        "the photo": [content[20:60], content[20:60].hex().encode(), *_base64(content)],
        "the feature": [repr(value).encode() for value in FEATURE.values[:3]],
    }
    return [what for what, ways in spellings.items() if any(way in text for way in ways)]


def _base64(content: bytes) -> list[bytes]:
    """A stretch from the middle, at each of the three alignments."""
    return [base64.b64encode(content[start : start + 45])[4:-4] for start in (60, 61, 62)]
