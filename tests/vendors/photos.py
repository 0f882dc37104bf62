"""Drawn photos that every vendor takes, and a loopback server for those that fetch them."""

import io
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from PIL import Image, ImageDraw

from syncsvc.library.fitting import PhotoRule
from syncsvc.model.people import Digest, Photo

SIDE = 300
_DRAWN: dict[str, bytes] = {}


@lru_cache(maxsize=512)
def draw(number: int, *, faces: int | None = None, side: int = SIDE) -> Photo:
    """A photo of nobody, another one for every number; `faces` tells the detector stand-in how many it shows."""
    image = Image.new("RGB", (SIDE, SIDE), (number * 37 % 256, number * 91 % 256, 128))
    pen = ImageDraw.Draw(image)
    pen.ellipse((60, 40, 240, 270), fill=(230, 190, number % 256))
    pen.text((100, 140), str(number), fill=(0, 0, 0))
    return _photo(image.resize((side, side)), b"" if faces is None else f"faces={faces}".encode())


@lru_cache(maxsize=1)
def blank() -> Photo:
    """A photo with no face on it."""
    return _photo(Image.new("RGB", (SIDE, SIDE), (90, 90, 90)), b"")


@lru_cache(maxsize=4)
def too_large_for(rule: PhotoRule) -> Photo:
    """A PNG of noise, which has more bytes than the rule allows."""
    side = math.isqrt(rule.max_bytes // 3) + 1
    image = Image.merge("RGB", [Image.effect_noise((side, side), 120) for _ in range(3)])
    encoded = io.BytesIO()
    image.save(encoded, "PNG", compress_level=0)
    return Photo(encoded.getvalue(), "image/png", side, side)


class PhotoShelf:
    """Serves what was drawn."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url

    def url(self, digest: Digest) -> str:
        """Where the photo can be fetched."""
        return f"{self._base_url}/photos/{digest}.jpg"


@contextmanager
def photo_shelf() -> Iterator[PhotoShelf]:
    """Serve on a free loopback port while the block lasts."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield PhotoShelf(f"http://127.0.0.1:{server.server_address[1]}")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        content = _DRAWN.get(self.path.removeprefix("/photos/").removesuffix(".jpg"))
        self.send_response(200 if content is not None else 404)
        self.send_header("Content-Type", "image/jpeg")
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        self.wfile.write(content or b"")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


def _photo(image: Image.Image, comment: bytes) -> Photo:
    encoded = io.BytesIO()
    image.save(encoded, "JPEG", quality=60, comment=comment)
    photo = Photo(encoded.getvalue(), "image/jpeg", image.width, image.height)
    _DRAWN[photo.digest] = photo.content
    return photo
