"""What is taken for a photo, what is left of its file, and in which words the rest is refused."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageOps

from syncsvc.intake import photos
from syncsvc.intake.photos import read_photo, read_photo_file
from syncsvc.model.errors import InputError
from tests.intake.pictures import (
    SECRETS,
    chunk,
    exif,
    from_a_camera,
    opened,
    png_from_an_editor,
    saved,
    scene,
    segment,
)

PNG = b"\x89PNG\r\n\x1a\n"


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims to be enormous."""
    header = width.to_bytes(4) + height.to_bytes(4) + bytes([8, 2, 0, 0, 0])
    return PNG + chunk(b"IHDR", header) + chunk(b"IDAT", b"x\x9c\x03\0\0\0\0\x01") + chunk(b"IEND", b"")


def differ(one: Image.Image, other: Image.Image) -> int:
    """The largest difference of any pixel in any colour."""
    assert one.size == other.size
    extrema = ImageChops.difference(one.convert("RGB"), other.convert("RGB")).getextrema()
    return max(int(high) for _, high in extrema)  # type: ignore[misc]  # three bands, so three pairs


# --- what is already clean keeps its bytes ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "how"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True, "quality": 95, "subsampling": "4:4:4"}),
        ("JPEG", {"restart_marker_blocks": 3}),
        ("PNG", {}),
    ],
)
def test_a_clean_picture_is_kept_byte_for_byte_with_its_kind_and_sides(kind: str, how: dict[str, object]) -> None:
    content = saved(scene(), kind, **how)

    photo = read_photo(content)

    assert (photo.content, photo.media_type) == (content, f"image/{kind.lower()}")
    assert (photo.width, photo.height) == (160, 120)
    assert photo.origin == photo.digest


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "1", "I;16"])
def test_a_clean_png_of_any_colours_is_kept_byte_for_byte(mode: str) -> None:
    picture = Image.new("I;16", (20, 30), 999) if mode == "I;16" else scene().convert(mode)
    content = saved(picture, "PNG")

    assert read_photo(content).content == content


def test_a_grey_jpeg_is_kept_byte_for_byte() -> None:
    content = saved(scene(mode="L"))

    assert read_photo(content).content == content


# --- what stands beside the picture goes, and the pixels stay -------------------------------------------------------


@pytest.mark.parametrize("content", [from_a_camera(), from_a_camera(progressive=True), png_from_an_editor()])
def test_metadata_goes_and_every_pixel_stays(content: bytes) -> None:
    assert all(secret in content for secret in SECRETS if secret not in {b"CANARY-COMMENT", b"CANARY-PROFILE"})

    photo = read_photo(content)

    assert not [secret for secret in SECRETS if secret in photo.content]
    left = opened(photo.content)
    assert not set(left.info) - {"jfif", "jfif_version", "jfif_unit", "jfif_density", "progressive", "progression"}
    assert not dict(left.getexif())
    assert differ(left, opened(content)) == 0
    assert photo.origin == hashlib.sha256(content).hexdigest() != photo.digest


def test_what_is_read_again_stays_as_it_is() -> None:
    for content in (from_a_camera(), from_a_camera(orientation=6), png_from_an_editor(), saved(scene(), "WEBP")):
        photo = read_photo(content)

        assert read_photo(photo.content).content == photo.content


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (0xE0, b"JFXX\0\x10CANARY-THUMBNAIL"),
        (0xE0, b"JFIF\0\1\1\0\0\1\0\1\1\1CANARY"),
        (0xE1, b"http://ns.adobe.com/xap/1.0/\0CANARY"),
        (0xED, b"Photoshop 3.0\x008BIM CANARY-IPTC"),
        (0xEE, b"Adobe, and more: CANARY"),
        (0xEF, b"CANARY"),
        (0xFE, b"CANARY"),
        (0xDC, b"CANARY"),
    ],
)
def test_a_segment_that_is_not_the_picture_goes_wherever_it_stands(kind: int, body: bytes) -> None:
    content = saved(scene(), progressive=True)
    scans = [at for at in range(len(content) - 1) if content[at : at + 2] == b"\xff\xda"]
    assert len(scans) > 2

    for place in (2, scans[0], scans[2]):
        photo = read_photo(content[:place] + segment(kind, body) + content[place:])

        assert photo.content == content


def test_the_pictures_behind_the_first_go_and_so_does_the_kind_that_only_cameras_know() -> None:
    content = saved(scene(), "MPO", save_all=True, append_images=[scene((32, 32)), scene((16, 16))])
    assert opened(content).format == "MPO"

    photo = read_photo(content)

    assert photo.media_type == "image/jpeg"
    assert opened(photo.content).format == "JPEG"
    assert differ(opened(photo.content), opened(content)) == 0


def test_colours_that_adobe_marks_are_read_the_same_afterwards() -> None:
    adobe = segment(0xEE, b"Adobe\0\x64\0\0\0\0\0")  # no transform: these three are red, green and blue
    plain = saved(scene(), keep_rgb=True, quality=95)
    content = plain[:2] + adobe + plain[plain.index(b"\xff\xdb") :]

    photo = read_photo(content)

    assert photo.content == content
    assert differ(opened(photo.content), scene()) < 20


def test_of_an_animation_the_first_picture_is_taken() -> None:
    more = [scene(mode="L").convert("RGB")]
    for kind in ("GIF", "PNG", "WEBP"):
        lossless = {"lossless": True} if kind == "WEBP" else {}
        content = saved(scene(), kind, save_all=True, append_images=more, duration=100, **lossless)

        photo = read_photo(content)

        left = opened(photo.content)
        assert getattr(left, "n_frames", 1) == 1
        assert differ(left, opened(content)) < 20


# --- upright --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_picture_is_stored_the_way_up_that_its_exif_says(kind: str, orientation: int) -> None:
    content = saved(scene(), kind, exif=exif(orientation))

    photo = read_photo(content)

    upright = opened(content) if kind == "TIFF" else ImageOps.exif_transpose(opened(content))
    assert (photo.width, photo.height) == ((120, 160) if orientation > 4 else (160, 120))
    assert opened(photo.content).size == (photo.width, photo.height)
    assert b"CANARY" not in photo.content
    corners = [(5, 5), (photo.width - 6, 5), (5, photo.height - 6)]
    for place in corners:
        seen, right = (one.convert("RGB").getpixel(place) for one in (opened(photo.content), upright))
        assert isinstance(seen, tuple)
        assert isinstance(right, tuple)
        assert max(abs(a - b) for a, b in zip(seen, right, strict=True)) < 12


def test_a_turned_jpeg_stays_about_as_large_and_as_fine_as_it_was() -> None:
    content = saved(Image.effect_noise((640, 480), 40).convert("RGB"), exif=exif(6), quality=60)

    photo = read_photo(content)

    assert 0.8 < len(photo.content) / len(content) < 1.1


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_an_orientation_that_nobody_can_read_is_no_reason_to_refuse_the_picture() -> None:
    content = saved(scene())
    for body in (b"Exif\0\0garbage", b"Exif\0\0MM\0*\xff\xff\xff\xff", b"Exif\0\0II*\0\x08\0\0\0\xff\xff"):
        photo = read_photo(content[:2] + segment(0xE1, body) + content[2:])

        assert photo.content == content


# --- other kinds and colours ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "media_type", "most"),
    [("BMP", "image/png", 0), ("GIF", "image/png", 0), ("WEBP", "image/jpeg", 20), ("TIFF", "image/jpeg", 20)],
)
def test_other_kinds_are_drawn_anew_as_png_where_they_lose_nothing(kind: str, media_type: str, most: int) -> None:
    content = saved(scene(mode="P" if kind == "GIF" else "RGB"), kind)

    photo = read_photo(content)

    assert photo.media_type == media_type
    assert differ(opened(photo.content), opened(content)) <= most


def test_inks_become_light() -> None:
    photo = read_photo(saved(scene(mode="CMYK"), quality=95))

    assert opened(photo.content).mode == "RGB"
    assert differ(opened(photo.content), scene()) < 60


def test_what_is_transparent_is_shown_on_white_where_it_must_be_drawn_anew() -> None:
    glass = Image.new("RGBA", (20, 20), (255, 0, 0, 0))

    photo = read_photo(saved(glass, "WEBP", lossless=True))

    assert opened(photo.content).getpixel((5, 5)) == (255, 255, 255)


def test_sixteen_bits_of_grey_do_not_become_white() -> None:
    photo = read_photo(saved(Image.new("I;16", (20, 20), 128 * 256), "TIFF"))

    assert opened(photo.content).getpixel((5, 5)) == 128


# --- refused --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"%PDF-1.7 no picture", "cannot be read as a picture"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "cannot be read as a picture"),
        (saved(scene())[:900], "damaged"),
        (saved(scene(), "PNG")[:-30], "damaged"),
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


def test_of_a_webp_half_as_many_pixels_are_taken_because_it_takes_more_memory() -> None:
    large = saved(Image.new("L", (5_001, 5_000)), "WEBP", method=0)

    with pytest.raises(InputError, match="the photo is 5001 x 5000 pixels; at most 25,000,000 in all"):
        read_photo(large)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@settings(deadline=None)
@given(st.data())
def test_a_damaged_file_is_a_picture_without_metadata_or_refused(draw: st.DataObject) -> None:
    content = bytearray(draw.draw(st.sampled_from([from_a_camera(), png_from_an_editor(), from_a_camera(6)])))
    for _ in range(draw.draw(st.integers(1, 4))):
        content[draw.draw(st.integers(0, len(content) - 1))] = draw.draw(st.integers(0, 255))
    del content[draw.draw(st.integers(0, 2 * len(content))) :]

    try:
        photo = read_photo(bytes(content))
    except InputError:
        return

    assert not [secret for secret in SECRETS if secret in photo.content]
    assert read_photo(photo.content).content == photo.content


def test_an_oversized_file_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photos, "MAX_BYTES", 100)
    file = tmp_path / "huge.jpg"
    file.write_bytes(saved(scene()))

    with pytest.raises(InputError, match="at most 100 are taken"):
        read_photo_file(file)
    with pytest.raises(InputError, match="at most 100 are taken"):
        read_photo(saved(scene()))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nobody\.jpg cannot be read \(No such file or directory\)"):
        read_photo_file(tmp_path / "nobody.jpg")
