"""Keys and labels: nobody shares one, everybody fits, and what is ours is recognised."""

import re

from hypothesis import assume, example, given
from hypothesis import strategies as st

from syncsvc.model.keys import face_label, is_our_label, person_hash, person_key
from syncsvc.model.people import Digest, FaceId, PersonId

TRICKY = st.one_of(
    st.text(max_size=40),
    st.text("abAB01_-", max_size=34),
    st.text("abAB01_-", max_size=30).map("x-{}".format),
    st.text("王é\0 \n@./", max_size=6),
    st.sampled_from(["", "x-", "X-a", "a", "A", "a ", " a", "a\n", "é", "e\u0301", "-", "_", "a" * 32, "a" * 33]),
)
IDS = TRICKY.map(PersonId)
FACES = TRICKY.map(FaceId)
DIGESTS = st.text("0123456789abcdef", min_size=64, max_size=64).map(Digest)
KEY = re.compile(r"[A-Za-z0-9_-]{1,32}")
HASH = re.compile(r"[0-9a-f]{32}")


@given(IDS)
def test_every_key_fits_the_narrowest_vendor(person: PersonId) -> None:
    assert KEY.fullmatch(person_key(person))
    assert HASH.fullmatch(person_hash(person))


@given(IDS, IDS)
@example(PersonId("a"), PersonId("a\n"))
@example(PersonId("é"), PersonId("e\u0301"))
def test_two_people_never_share_a_key(one: PersonId, other: PersonId) -> None:
    assume(one != other)

    assert person_key(one) != person_key(other)
    assert person_hash(one) != person_hash(other)


@given(IDS)
def test_an_id_that_looks_like_a_derived_key_does_not_meet_its_owner(person: PersonId) -> None:
    key = person_key(person)

    assume(key != person)
    assert person_key(PersonId(key)) != key


@given(st.text("abcXYZ019_-", min_size=1, max_size=32).filter(lambda one: not one.startswith("x-")))
def test_an_id_that_fits_is_its_own_key(person: str) -> None:
    assert person_key(PersonId(person)) == person


@given(IDS, FACES, DIGESTS)
def test_a_label_is_recognised_as_its_persons(person: PersonId, face: FaceId, digest: Digest) -> None:
    label = face_label(person, face, digest)

    assert HASH.fullmatch(label)
    assert is_our_label(person, label)


@given(IDS, IDS, FACES, DIGESTS)
@example(PersonId("a\0b"), PersonId("a"), FaceId("c"), Digest("0" * 64))
def test_a_label_is_nobody_elses(one: PersonId, other: PersonId, face: FaceId, digest: Digest) -> None:
    assume(one != other)

    assert not is_our_label(other, face_label(one, face, digest))


@given(IDS, st.lists(st.tuples(FACES, DIGESTS), unique=True, min_size=2, max_size=4))
def test_each_face_and_picture_has_its_own_label(person: PersonId, made: list[tuple[FaceId, Digest]]) -> None:
    labels = {face_label(person, face, digest) for face, digest in made}

    assert len(labels) == len(made)


def test_the_parts_of_a_label_cannot_flow_into_each_other() -> None:
    digest = Digest("0" * 64)

    labels = {
        face_label(PersonId("a\0b"), FaceId("c"), digest),
        face_label(PersonId("a"), FaceId("b\0c"), digest),
        face_label(PersonId("ab"), FaceId("c"), digest),
    }

    assert len(labels) == 3


@given(IDS, st.one_of(st.none(), st.text(max_size=40), st.text("0123456789abcdef", min_size=32, max_size=32)))
@example(PersonId("a"), None)
@example(PersonId("a"), "")
@example(PersonId("a"), "ｆ" * 32)
def test_what_we_never_wrote_is_not_our_label(person: PersonId, label: str | None) -> None:
    assert not is_our_label(person, label)
