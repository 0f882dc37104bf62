"""Answers compared with expectations: nothing foreign becomes ours, nothing of ours is lost without proof."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncsvc.model.keys import face_label
from syncsvc.model.people import (
    Digest,
    Face,
    FaceId,
    Held,
    HeldFace,
    Listed,
    Person,
    PersonId,
    Revision,
    VendorFaceId,
    vendor_ids,
)
from syncsvc.model.report import Doubt, Report, Seen, after_add, after_look, after_remove
from syncsvc.model.situations import Situation

IDS = [VendorFaceId(f"v{number}") for number in range(7)]
ALICE, BOB = PersonId("alice"), PersonId("bob")
FACE_IDS = [FaceId(one) for one in "abc"]
DIGESTS = [Digest(one) for one in ("old", "new")]
VENDOR_IDS = st.sampled_from(IDS)
SOME_IDS = st.frozensets(VENDOR_IDS)
OURS = {face_label(ALICE, face, digest) for face in FACE_IDS for digest in DIGESTS}
NEW = Face(FaceId("a"), Digest("new"))


@st.composite
def holds(draw: st.DrawFn) -> Held:
    ids = draw(st.lists(VENDOR_IDS, unique=True, max_size=4))
    known = st.tuples(st.sampled_from(FACE_IDS), st.sampled_from(DIGESTS))
    made = [draw(st.one_of(known, st.just((None, None)))) for _ in ids]
    return tuple(HeldFace(one, None, face, digest) for one, (face, digest) in zip(ids, made, strict=True))


def plain(*, repeated: bool = False) -> st.SearchStrategy[tuple[Listed, ...]]:
    """Faces as a vendor without labels lists them."""
    ids = st.lists(VENDOR_IDS, unique=not repeated, max_size=5)
    return ids.map(lambda some: tuple(Listed(one) for one in some))


def labels() -> st.SearchStrategy[str | None]:
    """No label, somebody else's word, Bob's label, or one of Alice's."""
    return st.sampled_from([None, "", "a visitor", face_label(BOB, FACE_IDS[0], DIGESTS[0]), *sorted(OURS)])


@st.composite
def labelled(draw: st.DrawFn) -> tuple[Listed, ...]:
    """Faces as a look shows them; a sloppy listing may show one twice."""
    said = {one: draw(labels()) for one in draw(st.lists(VENDOR_IDS, unique=True, max_size=5))}
    order = draw(st.lists(st.sampled_from(sorted(said)), max_size=7)) if said else []
    return tuple(Listed(one, label=said[one]) for one in order)


@st.composite
def alices(draw: st.DrawFn) -> Person:
    ids = draw(st.lists(st.sampled_from(FACE_IDS), unique=True, max_size=3))
    return Person(ALICE, Revision(2), tuple(Face(one, draw(st.sampled_from(DIGESTS))) for one in ids))


doubts = st.one_of(st.none(), st.builds(Doubt, st.integers(0, 3), st.integers(1, 2).map(Revision)))


# --- after an add or a swap ---------------------------------------------------------------------------------------

reports_of_adds = st.builds(
    Report, added=st.one_of(st.none(), plain(repeated=True)), remaining=st.one_of(st.none(), plain())
)


@st.composite
def adds(draw: st.DrawFn) -> tuple[Held, HeldFace | None, Report]:
    held = draw(holds())
    stale = [one for one in held if (one.face_id, one.digest) != (NEW.id, NEW.digest)]
    superseded = draw(st.sampled_from([None, *stale]))
    return held, superseded, draw(reports_of_adds)


@given(adds())
def test_what_an_add_lists_without_having_made_it_never_becomes_ours(
    case: tuple[Held, HeldFace | None, Report],
) -> None:
    held, superseded, report = case

    reading = after_add(held, NEW, report, superseded=superseded)

    ours = vendor_ids(reading.held) - vendor_ids(held)
    if report.added is not None:
        assert ours <= vendor_ids(report.added)
    else:
        assert len(ours) <= 1  # told by the list alone: the newest, and no other
        assert ours <= vendor_ids(report.remaining or ())


@given(adds())
def test_an_add_loses_nothing_that_the_list_does_not_miss(case: tuple[Held, HeldFace | None, Report]) -> None:
    held, superseded, report = case

    reading = after_add(held, NEW, report, superseded=superseded)

    for one in held:
        if one not in reading.held:
            told = report.remaining is not None and one.vendor_face_id not in vendor_ids(report.remaining)
            assert told or one == superseded


@given(adds())
def test_after_an_add_the_new_face_is_held_or_the_answer_is_doubtful(
    case: tuple[Held, HeldFace | None, Report],
) -> None:
    held, superseded, report = case

    reading = after_add(held, NEW, report, superseded=superseded)

    made = [one for one in reading.held if one not in held]
    bound = [one for one in made if (one.face_id, one.digest) == (NEW.id, NEW.digest)]
    assert len(bound) == 1 or reading.doubtful
    assert all((one.face_id, one.digest) == (None, None) for one in made if one not in bound)


@given(adds())
def test_a_swapped_face_that_is_still_listed_is_still_held(case: tuple[Held, HeldFace | None, Report]) -> None:
    held, superseded, report = case

    reading = after_add(held, NEW, report, superseded=superseded)

    exchanged_in_place = superseded is not None and superseded.vendor_face_id in vendor_ids(report.added or ())
    if superseded is not None and superseded.vendor_face_id in vendor_ids(report.remaining or ()):
        assert superseded in reading.held or exchanged_in_place


@given(adds())
def test_no_id_is_ever_held_twice_after_an_add(case: tuple[Held, HeldFace | None, Report]) -> None:
    held, superseded, report = case

    reading = after_add(held, NEW, report, superseded=superseded)

    assert len(vendor_ids(reading.held)) == len(reading.held)


# --- after a removal ----------------------------------------------------------------------------------------------

reports_of_removals = st.builds(
    Report,
    remaining=st.one_of(st.none(), plain()),
    removed=st.one_of(st.none(), SOME_IDS),
    removed_count=st.one_of(st.none(), st.integers(0, 5)),
    absent=SOME_IDS,
    kept=SOME_IDS,
)


@st.composite
def removals(draw: st.DrawFn) -> tuple[Held, Held, Report]:
    held = draw(holds())
    asked = tuple(one for one in held if draw(st.booleans()))
    return held, asked, draw(reports_of_removals)


@given(removals())
def test_a_removal_makes_nothing_ours(case: tuple[Held, Held, Report]) -> None:
    held, asked, report = case

    reading = after_remove(held, asked, report)

    assert set(reading.held) <= set(held)


@given(removals())
def test_what_was_not_asked_to_go_stays_unless_the_whole_list_misses_it(case: tuple[Held, Held, Report]) -> None:
    held, asked, report = case

    reading = after_remove(held, asked, report)

    for one in set(held) - set(asked) - set(reading.held):
        assert report.remaining is not None
        assert one.vendor_face_id not in vendor_ids(report.remaining)
        assert Situation.MISSING in {found.situation for found in reading.findings}


@given(removals())
def test_what_was_asked_to_go_stays_held_until_the_answer_lets_it_go(case: tuple[Held, Held, Report]) -> None:
    held, asked, report = case

    reading = after_remove(held, asked, report)

    for one in asked:
        gone = one not in reading.held
        if report.remaining is not None:
            assert gone == (one.vendor_face_id not in vendor_ids(report.remaining))
        elif one.vendor_face_id in report.kept - report.absent:
            assert not gone
        elif report.removed is not None:
            assert gone == (one.vendor_face_id in report.removed | report.absent)


@given(removals())
def test_a_count_that_does_not_fit_lets_nothing_go_and_is_doubtful(case: tuple[Held, Held, Report]) -> None:
    held, asked, report = case
    open_ids = vendor_ids(asked) - report.absent - report.kept

    reading = after_remove(held, asked, report)

    if report.remaining is None and report.removed is None and report.removed_count not in {None, len(open_ids)}:
        assert reading.doubtful
        assert open_ids <= vendor_ids(reading.held)


@given(removals())
def test_a_face_that_went_without_being_asked_to_is_doubtful(case: tuple[Held, Held, Report]) -> None:
    held, asked, report = case

    reading = after_remove(held, asked, report)

    if report.remaining is None and (report.removed or frozenset()) & (vendor_ids(held) - vendor_ids(asked)):
        assert reading.doubtful


@given(removals())
def test_what_is_asked_to_go_and_still_held_is_noted(case: tuple[Held, Held, Report]) -> None:
    held, asked, report = case

    reading = after_remove(held, asked, report)

    if set(asked) & set(reading.held):
        assert {found.situation for found in reading.findings} & {Situation.STRAY, Situation.DISPUTED}


# --- after a look -------------------------------------------------------------------------------------------------


@st.composite
def looks(draw: st.DrawFn) -> tuple[Person, Held, Seen, Doubt | None, frozenset[VendorFaceId]]:
    seen = Seen(draw(labelled()), draw(SOME_IDS), complete=draw(st.booleans()))
    return draw(alices()), draw(holds()), seen, draw(doubts), draw(SOME_IDS)


Look = tuple[Person, Held, Seen, Doubt | None, frozenset[VendorFaceId]]


@given(looks())
def test_a_look_takes_in_only_what_is_labelled_ours_or_what_a_lost_add_could_have_made(case: Look) -> None:
    person, held, seen, doubt, foreign = case

    reading = after_look(person, held, seen, doubt=doubt, foreign=foreign)

    taken = [one for one in reading.held if one.vendor_face_id not in vendor_ids(held)]
    said = {one.vendor_face_id: one.label for one in seen.faces}
    assert not vendor_ids(taken) & foreign
    assert all(said[one.vendor_face_id] in {None, *OURS} for one in taken)
    nameless = [one for one in taken if said[one.vendor_face_id] is None]
    assert len(nameless) <= (doubt.adds if doubt else 0)


@given(looks())
def test_a_look_loses_nothing_without_proof_of_absence(case: Look) -> None:
    person, held, seen, doubt, foreign = case

    reading = after_look(person, held, seen, doubt=doubt, foreign=foreign)

    there = vendor_ids(seen.faces)
    for one in held:
        proven = one.vendor_face_id not in there and (seen.complete or one.vendor_face_id in seen.absent)
        assert (one.vendor_face_id in vendor_ids(reading.held)) != proven


@given(looks(), st.booleans())
def test_a_look_holds_no_id_twice_and_binds_no_wanted_face_twice(case: Look, owned: bool) -> None:  # noqa: FBT001
    person, held, seen, doubt, foreign = case

    reading = after_look(person, held, seen, doubt=doubt, foreign=foreign, owned=owned)

    assert len(vendor_ids(reading.held)) == len(reading.held)
    bound = [one.face_id for one in reading.held if one not in held and one.face_id is not None]
    assert len(set(bound)) == len(bound)


@given(looks())
def test_a_label_binds_the_face_it_names(case: Look) -> None:
    person, held, seen, doubt, foreign = case

    reading = after_look(person, held, seen, doubt=doubt, foreign=foreign)

    said = {one.vendor_face_id: one.label for one in seen.faces}
    for one in reading.held:
        label = said.get(one.vendor_face_id)
        if one in held or label is None or one.face_id is None or one.digest is None:
            continue
        assert label == face_label(ALICE, one.face_id, one.digest)
        assert one.digest == {face.id: face.digest for face in person.faces}[one.face_id]


@given(looks())
def test_every_face_that_is_neither_held_nor_known_as_foreign_is_taken_in_or_noted(case: Look) -> None:
    person, held, seen, doubt, foreign = case

    reading = after_look(person, held, seen, doubt=doubt, foreign=foreign)

    noted = {found.vendor_face_id for found in reading.findings}
    assert vendor_ids(seen.faces) - foreign <= vendor_ids(reading.held) | noted


@given(looks())
def test_in_a_library_of_our_own_what_is_unknown_is_ours_to_remove(case: Look) -> None:
    person, held, seen, doubt, foreign = case

    reading = after_look(person, held, seen, doubt=doubt, foreign=foreign, owned=True)

    assert vendor_ids(seen.faces) - foreign <= vendor_ids(reading.held)


def test_a_lost_add_of_this_revision_is_bound_to_the_one_face_that_is_missing() -> None:
    alice = Person(ALICE, Revision(2), (NEW,))

    reading = after_look(alice, (), Seen((Listed(IDS[0]),), complete=True), doubt=Doubt(1, Revision(2)))

    assert reading.held == (HeldFace(IDS[0], None, NEW.id, NEW.digest),)


def test_a_lost_add_of_an_older_revision_is_a_stray() -> None:
    alice = Person(ALICE, Revision(2), (NEW,))

    reading = after_look(alice, (), Seen((Listed(IDS[0]),), complete=True), doubt=Doubt(1, Revision(1)))

    assert reading.held == (HeldFace(IDS[0]),)


def test_without_a_lost_add_a_face_without_a_label_is_foreign() -> None:
    alice = Person(ALICE, Revision(2), (NEW,))

    reading = after_look(alice, (), Seen((Listed(IDS[0]),), complete=True), doubt=Doubt(0, Revision(2)))

    assert reading.held == ()
    assert [found.situation for found in reading.findings] == [Situation.FOREIGN]


@pytest.mark.parametrize(
    ("doubt", "situation"), [(None, Situation.FOREIGN), (Doubt(1, Revision(2)), Situation.DISPUTED)]
)
def test_more_unknown_faces_than_lost_adds_are_left_alone(doubt: Doubt | None, situation: Situation) -> None:
    alice = Person(ALICE, Revision(2), (NEW,))
    seen = Seen((Listed(IDS[0]), Listed(IDS[1])), complete=True)

    reading = after_look(alice, (), seen, doubt=doubt)

    assert reading.held == ()
    assert [found.situation for found in reading.findings] == [situation] * 2
