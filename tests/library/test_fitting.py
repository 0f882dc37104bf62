"""A photo as a vendor takes it: unchanged where it fits, mended where it can be, refused in plain words where not."""

import io
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from syncsvc.library import drawing, fitting
from syncsvc.library.fitting import LEAST_SIDE, PhotoRule, fit, misfit
from syncsvc.model.errors import RejectedError
from syncsvc.model.people import Photo

JPEG, PNG = frozenset({"image/jpeg"}), frozenset({"image/png"})
BOTH = JPEG | PNG


def noise(size: tuple[int, int]) -> Image.Image:
    """What has the most bytes a pixel."""
    return Image.merge("RGB", [Image.effect_noise(size, 120) for _ in range(3)])


def photo_of(picture: Image.Image, kind: str = "JPEG", **how: Any) -> Photo:
    file = io.BytesIO()
    picture.save(file, kind, **how)
    return Photo(file.getvalue(), f"image/{kind.lower()}", *picture.size)


def holds(photo: Photo, rule: PhotoRule) -> bool:
    """What the file itself says, and not what we say of it."""
    with Image.open(io.BytesIO(photo.content)) as picture:
        picture.load()
        assert picture.size == (photo.width, photo.height)
        assert Image.MIME[str(picture.format)] == photo.media_type
        few = len(photo.content) <= rule.max_bytes and min(picture.size) >= rule.min_side
        return photo.media_type in rule.media_types and few and max(picture.size) <= (rule.max_side or math.inf)


@pytest.fixture
def encodings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of every encoding that is made."""
    made: list[int] = []
    encode = drawing.encoded

    def counted(*args: Any, **how: Any) -> bytes:
        content = encode(*args, **how)
        made.append(len(content))
        return content

    monkeypatch.setattr(fitting, "encoded", counted)
    return made


def test_a_photo_that_fits_is_the_very_same(encodings: list[int]) -> None:
    photo = photo_of(noise((300, 400)))

    assert fit(photo, PhotoRule(BOTH, len(photo.content), min_side=300, max_side=400)) is photo
    assert encodings == []


def test_a_kind_that_is_not_taken_becomes_one_that_is() -> None:
    photo = photo_of(Image.new("RGBA", (300, 400), (10, 200, 30, 255)), "PNG")

    fitted = fit(photo, PhotoRule(JPEG, 10**6))

    assert holds(fitted, PhotoRule(JPEG, 10**6))
    assert fitted.media_type == "image/jpeg"
    assert (fitted.width, fitted.height) == (300, 400)


def test_where_only_png_is_taken_nothing_of_the_picture_is_lost() -> None:
    photo = photo_of(noise((300, 400)))

    fitted = fit(photo, PhotoRule(PNG, 10**7))

    with Image.open(io.BytesIO(fitted.content)) as made, Image.open(io.BytesIO(photo.content)) as given_:
        assert made.tobytes() == given_.tobytes()


def test_a_side_that_is_too_long_is_scaled_with_the_other() -> None:
    photo = photo_of(noise((900, 600)))

    fitted = fit(photo, PhotoRule(BOTH, 10**7, min_side=200, max_side=450))

    assert (fitted.width, fitted.height) == (450, 300)


def test_too_many_bytes_are_saved_by_quality_before_sides(encodings: list[int]) -> None:
    photo = photo_of(noise((800, 600)), quality=98)

    fitted = fit(photo, PhotoRule(BOTH, 400_000))

    assert (fitted.width, fitted.height) == (800, 600)
    assert len(fitted.content) <= 400_000
    assert len(encodings) <= 2


def test_where_quality_does_not_save_enough_the_sides_do() -> None:
    photo = photo_of(noise((1600, 1200)), quality=95)

    fitted = fit(photo, PhotoRule(BOTH, 200_000))

    assert 80_000 <= len(fitted.content) <= 200_000
    assert 1.3 < fitted.width / fitted.height < 1.36
    assert min(fitted.width, fitted.height) >= LEAST_SIDE


def test_the_same_photo_becomes_the_same_bytes_every_time() -> None:
    photo, rule = photo_of(noise((1600, 1200)), quality=95), PhotoRule(BOTH, 300_000, max_side=1000)

    assert {fit(photo, rule).digest for _ in range(3)} == {fit(photo, rule).digest}


@pytest.mark.parametrize(
    ("photo", "rule", "words", "code"),
    [
        (
            photo_of(noise((100, 80))),
            PhotoRule(BOTH, 10**6, min_side=90),
            "the photo is 100 x 80 pixels; this library needs at least 90 pixels a side",
            "photo_small",
        ),
        (
            photo_of(noise((2000, 100))),
            PhotoRule(BOTH, 10**6, min_side=90, max_side=1000),
            "the photo is 2000 x 100 pixels; this library needs 90 to 1000 pixels a side",
            "photo_shape",
        ),
        (
            photo_of(noise((30, 30))),
            PhotoRule(frozenset({"image/heic"}), 10**6),
            "the photo is image/jpeg; this library takes heic",
            "photo_format",
        ),
        (
            photo_of(noise((300, 300)), "PNG"),
            PhotoRule(BOTH, 900),
            r"the photo has \d+,\d+ bytes; this library needs at most 900 bytes",
            "photo_bytes",
        ),
        (
            Photo(b"\xff\xd8 no picture", "image/webp", 300, 300),
            PhotoRule(BOTH, 8 * 1024 * 1024),
            "the photo cannot be decoded; this library needs a JPEG or PNG; send it again",
            "photo_damaged",
        ),
    ],
)
def test_what_cannot_be_mended_is_refused_with_numbers(photo: Photo, rule: PhotoRule, words: str, code: str) -> None:
    with pytest.raises(RejectedError, match=words) as caught:
        fit(photo, rule)

    assert caught.value.code == code


def test_a_limit_is_told_as_people_write_it() -> None:
    photo = photo_of(noise((5000, 300)), "PNG")

    wrong = misfit(photo, PhotoRule(BOTH, 2 * 1024 * 1024, min_side=299, max_side=4900))

    assert wrong is not None
    assert wrong.need == "needs 299 to 4900 pixels a side"


def test_whether_it_will_fit_is_known_without_drawing_where_numbers_tell(encodings: list[int]) -> None:
    large = photo_of(noise((1200, 900)), "PNG")

    assert misfit(large, PhotoRule(JPEG, 500_000, max_side=700)) is None
    assert misfit(large, PhotoRule(JPEG, 500_000, min_side=1000)) is not None
    assert encodings == []


_PICTURES = st.builds(
    lambda kind, width, height, loud: photo_of(
        noise((width, height)) if loud else Image.new("RGB", (width, height), "olive"), kind
    ),
    st.sampled_from(["JPEG", "PNG"]),
    st.integers(1, 700),
    st.integers(1, 700),
    st.booleans(),
)
_RULES = st.builds(
    lambda kinds, most, least, above: PhotoRule(kinds, most, least, None if above is None else least + above),
    st.sampled_from([JPEG, PNG, BOTH, frozenset({"image/bmp"})]),
    st.integers(100, 400_000),
    st.integers(0, 300),
    st.none() | st.integers(1, 600),
)


@settings(deadline=None)
@given(_PICTURES, _RULES)
def test_whatever_comes_out_holds_to_the_rule_or_is_refused_as_was_foretold(photo: Photo, rule: PhotoRule) -> None:
    foretold = misfit(photo, rule)

    fitted, words = None, None
    try:
        fitted = fit(photo, rule)
    except RejectedError as error:
        words = str(error)

    assert words == (None if foretold is None else str(foretold.error()))
    if fitted is not None:
        assert holds(fitted, rule)
        assert fitted.width <= photo.width
        assert fitted.height <= photo.height
