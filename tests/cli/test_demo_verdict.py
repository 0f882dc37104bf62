"""Whether a library agrees is decided face by face."""

from typing import Any

import pytest

from syncsvc.cli.demo.verdict import Disagreement, differences, disagreements
from syncsvc.model.keys import person_hash, person_key
from syncsvc.model.people import Digest, FaceId, PersonId

E1, SMITH = PersonId("E1"), PersonId("smith@example.com")
BADGE, DOOR = FaceId("badge"), FaceId("door")
WANTED = {E1: {BADGE: Digest("a"), DOOR: Digest("b")}, SMITH: {BADGE: Digest("c")}}


def world(**people: list[str]) -> dict[str, Any]:
    return {"people": {key: [{"digest": one} for one in faces] for key, faces in people.items()}}


def told(world: dict[str, Any], **more: Any) -> list[Disagreement]:
    return disagreements(WANTED, world, everybody=[E1, SMITH, PersonId("E9")], **more)


def test_the_same_faces_in_any_order_agree() -> None:
    assert told(world(E1=["b", "a"], **{person_key(SMITH): ["c"]})) == []


def test_a_person_is_known_by_either_name_that_a_vendor_may_have_for_them() -> None:
    assert told(world(**{person_hash(E1): ["a", "b"], person_key(SMITH): ["c"]})) == []


@pytest.mark.parametrize(
    ("faces", "what"),
    [
        (["a"], "faces: 1 missing"),
        (["a", "b", "z"], "faces: 1 too many"),
        (["a", "b", "b"], "faces: 1 too many"),
        (["a", "z"], "faces: 1 missing, 1 too many"),
        ([], "faces: 2 missing"),
    ],
)
def test_every_face_counts(faces: list[str], what: str) -> None:
    assert told(world(E1=faces, **{person_key(SMITH): ["c"]})) == [Disagreement("E1", what)]


def test_somebody_who_left_must_not_even_be_an_empty_record() -> None:
    here = {"E1": ["a", "b"], person_key(SMITH): ["c"]}

    assert told(world(E9=[], **here)) == [Disagreement("E9", "is still known there, without a face")]
    assert told(world(E9=["x"], **here)) == [Disagreement("E9", "faces: 1 too many")]


def test_somebody_of_whom_nobody_told_is_named_by_the_vendors_key() -> None:
    found = told(world(E1=["a", "b"], stranger=["x"], **{person_key(SMITH): ["c"]}))

    assert found == [Disagreement("unknown stranger", "faces: 1 too many")]


def test_a_refused_face_must_not_be_there_and_the_others_must() -> None:
    refused = [(E1, DOOR)]

    assert told(world(E1=["a"], **{person_key(SMITH): ["c"]}), refused=refused) == []
    assert told(world(E1=["a", "b"], **{person_key(SMITH): ["c"]}), refused=refused)
    assert told(world(E1=[], **{person_key(SMITH): ["c"]}), refused=refused)


def test_the_canonical_database_is_held_against_the_books_of_hr() -> None:
    swapped = {E1: {BADGE: Digest("b"), DOOR: Digest("a")}, SMITH: WANTED[SMITH]}

    assert differences(WANTED, WANTED) == []
    assert differences(WANTED, swapped) == [Disagreement("E1", "faces: 2 missing")]
    assert differences(WANTED, {E1: WANTED[E1]}) == [Disagreement(SMITH, "faces: 1 missing")]
    assert differences({E1: WANTED[E1]}, WANTED) == [Disagreement(SMITH, "faces: 1 too many")]
