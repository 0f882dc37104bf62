"""Photos of a resource are faces of a person, each under a name that stays."""

from typing import Any

import pytest

from syncsvc.intake.dialects.words import MOST_FACES
from syncsvc.intake.scim.faces import asked, pictures_wanted, settle, show
from syncsvc.intake.scim.models import User
from syncsvc.model.errors import InputError
from syncsvc.model.people import Digest, FaceId, Photo
from tests.vendors.photos import draw

X, Y, Z = "https://photos.example.com/x", "https://photos.example.com/y", "data:image/jpeg;base64,Wg=="
PICTURES: dict[str, Photo] = {X: draw(1), Y: draw(2), Z: draw(3)}


def user(*photos: Any, active: bool = True) -> User:
    told = {"userName": "alice", "name": {"familyName": "Ahn"}, "active": active, "photos": list(photos)}
    return User.model_validate(told)


def known(*faces: str) -> dict[FaceId, Digest]:
    return {FaceId(face): draw(100 + place).digest for place, face in enumerate(faces)}


def loaded(*faces: str, **more: Any) -> User:
    """A user who has these faces, of which the resource remembers what `more` says."""
    told = [{"value": f"urn:syncsvc:face:{face}", **more.get(face, {})} for face in faces]
    loaded = user(*told)
    show(loaded, [FaceId(face) for face in faces])
    return loaded


def named(one: User) -> dict[str, str | None]:
    return {str(each.face): each.picture for each in asked(one)}


@pytest.mark.parametrize(
    ("photos", "names"),
    [
        ([{"value": X}], ["photo"]),
        ([{"value": X, "type": "thumbnail"}], ["thumbnail"]),
        ([{"value": X, "type": "photo", "display": "Front"}], ["Front"]),
        ([{"value": X}, {"value": Y}, {"value": Z}], ["photo", "photo-2", "photo-3"]),
        ([{"value": X, "display": "photo-2"}, {"value": Y}, {"value": Z}], ["photo-2", "photo", "photo-3"]),
        ([{"value": X, "display": " spaced ", "type": "photo"}], ["photo"]),
        ([{"value": X, "display": "a\nb", "type": "a\x00b"}], ["photo"]),
        ([{"value": X, "display": "d" * 256}], ["photo"]),
        ([{"value": X, "display": ""}], ["photo"]),
        ([{"value": X, "display": "x" * 65}], ["photo"]),
        ([{"value": X, "display": "Alice Ahn", "type": "badge"}], ["badge"]),
        ([{"value": X, "display": "ALICE"}], ["photo"]),
        ([{"value": X, "display": "ahn", "type": "Ahn"}], ["photo"]),
        ([{"value": X, "display": "张"}], ["photo"]),
    ],
)
def test_a_face_is_called_by_display_or_type_or_photo_and_never_by_a_name(photos: list[Any], names: list[str]) -> None:
    assert list(named(user(*photos))) == names


def test_a_photo_that_is_there_already_is_kept_by_its_name() -> None:
    assert named(loaded("left", "right")) == {"left": None, "right": None}


def test_a_new_picture_in_an_entry_is_a_new_picture_of_the_same_face() -> None:
    someone = loaded("left", "right", left={"display": "Portrait", "type": "photo"})
    assert someone.photos is not None
    someone.photos[0].value = X  # type: ignore[assignment]

    assert named(someone) == {"left": X, "right": None}


def test_an_entry_whose_picture_was_taken_out_is_a_face_no_more() -> None:
    someone = loaded("left", "right")
    assert someone.photos is not None
    someone.photos[0].value = None

    assert named(someone) == {"right": None}


def test_an_entry_that_never_had_a_picture_is_refused() -> None:
    with pytest.raises(InputError, match=r"photos\[1\] has no value"):
        asked(user({"value": X}, {"type": "photo"}))


def test_a_name_of_ours_in_a_strangers_mouth_is_no_stored_picture() -> None:
    assert named(user({"value": "urn:syncsvc:face:left"})) == {"photo": "urn:syncsvc:face:left"}


def test_more_faces_than_anybody_has_are_refused() -> None:
    with pytest.raises(InputError, match=f"at most {MOST_FACES}"):
        asked(user(*({"value": f"{X}/{number}"} for number in range(10_000))))


def test_somebody_who_is_not_there_has_no_faces_to_fetch() -> None:
    assert pictures_wanted(user({"value": X}, active=False)) == []


def test_the_same_url_is_fetched_once() -> None:
    assert pictures_wanted(user({"value": X}, {"value": Y}, {"value": X, "type": "thumbnail"})) == [X, Y]


def test_what_is_there_already_changes_nothing() -> None:
    assert settle(loaded("left", "right"), known("left", "right"), {}) is None
    assert settle(user(), {}, {}) is None


def test_a_picture_more_leaves_the_others_as_they_are() -> None:
    someone = loaded("left")
    someone.photos = [*(someone.photos or ()), *(user({"value": X}).photos or ())]

    assert settle(someone, known("left"), PICTURES) == (("left", None), ("photo", PICTURES[X]))


def test_no_photos_are_no_faces() -> None:
    assert settle(user(), known("left"), {}) == ()


def test_a_picture_that_is_there_already_is_not_added_a_second_time() -> None:
    someone = loaded("left")
    someone.photos = [*(someone.photos or ()), *(user({"value": X}, {"value": Y}).photos or ())]

    settled = settle(someone, {FaceId("left"): PICTURES[X].digest}, PICTURES)

    assert settled == (("left", None), ("photo-2", PICTURES[Y]))


def test_two_faces_may_be_given_one_picture_on_purpose() -> None:
    someone = loaded("left", "right")
    assert someone.photos is not None
    someone.photos[0].value = X  # type: ignore[assignment]

    settled = settle(someone, {FaceId("left"): draw(7).digest, FaceId("right"): PICTURES[X].digest}, PICTURES)

    assert dict(settled or ()) == {"left": PICTURES[X], "right": None}


def test_the_resource_remembers_its_photos_by_our_names_and_never_by_their_addresses() -> None:
    someone = user({"value": X, "display": "Front", "primary": True}, {"value": Y})

    settle(someone, {}, PICTURES)

    told = someone.model_dump()["photos"]
    assert told == [
        {"value": "urn:syncsvc:face:Front", "display": "Front", "primary": True},
        {"value": "urn:syncsvc:face:photo", "type": "photo"},
    ]


def test_faces_are_shown_in_the_words_that_are_remembered_and_only_those_that_are_there() -> None:
    someone = user({"value": "urn:syncsvc:face:left", "type": "photo"}, {"value": "urn:syncsvc:face:gone"})

    show(someone, [FaceId("left"), FaceId("from-a-roster")])

    assert [(one.face, one.display, one.type) for one in someone.photos or ()] == [
        ("left", None, "photo"),
        ("from-a-roster", "from-a-roster", None),
    ]
