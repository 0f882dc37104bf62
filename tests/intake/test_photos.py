"""What is taken for a photo, and in which words the rest is refused."""

import io
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from syncsvc.intake import photos
from syncsvc.intake.photos import read_photo, read_photo_file
from syncsvc.model.errors import InputError


def drawn(kind: str = "JPEG", size: tuple[int, int] = (120, 160)) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", size, "olive").save(content, kind)
    return content.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims to be enormous."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b"")]
    body = b"".join(struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "WEBP"])
def test_a_picture_is_kept_byte_for_byte_with_its_kind_and_sides(kind: str) -> None:
    content = drawn(kind)

    photo = read_photo(content)

    assert (photo.content, photo.media_type) == (content, f"image/{kind.lower()}")
    assert (photo.width, photo.height) == (120, 160)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"%PDF-1.7 no picture", "cannot be read as a picture"),
        (drawn()[:400], "damaged"),
        (drawn("PNG")[:-30], "damaged"),
        (bomb(60_000, 60_000), "60000 x 60000 pixels"),
        (bomb(30_000, 2), "30000 x 2 pixels"),
        (bomb(7_100, 7_100), "at most 50,000,000"),
    ],
)
def test_what_is_no_usable_picture_is_refused_in_plain_words(content: bytes, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        read_photo(content)

    assert caught.value.field == "photo"
    assert len(str(caught.value)) < 200


def test_an_oversized_file_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photos, "MAX_BYTES", 100)
    file = tmp_path / "huge.jpg"
    file.write_bytes(drawn())

    with pytest.raises(InputError, match="at most 100 are taken"):
        read_photo_file(file)
    with pytest.raises(InputError, match="at most 100 are taken"):
        read_photo(drawn())


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nobody\.jpg cannot be read \(No such file or directory\)"):
        read_photo_file(tmp_path / "nobody.jpg")
