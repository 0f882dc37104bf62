"""The plan, applied step by step to a simulated library, from whatever is held to whatever is wanted."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncsvc.model.people import Digest, Face, FaceId, Held, HeldFace, VendorFaceId, vendor_ids
from syncsvc.model.plan import Add, Remove, Step, Swap, agrees, steps, unwanted

FACES = st.sampled_from([FaceId(one) for one in "abcd"])
DIGESTS = st.sampled_from([Digest(one) for one in ("old", "new", "other")])


@st.composite
def wants(draw: st.DrawFn, *, most: int = 4) -> tuple[Face, ...]:
    ids = draw(st.lists(FACES, unique=True, max_size=most))
    return tuple(Face(one, draw(DIGESTS)) for one in ids)


@st.composite
def holds(draw: st.DrawFn, *, most: int = 6) -> Held:
    """Faces of wanted and unwanted pictures, several from one picture, strays, and one whose picture is forgotten."""
    made = st.tuples(st.one_of(st.none(), FACES), st.one_of(st.none(), DIGESTS))
    return tuple(
        HeldFace(VendorFaceId(f"v{place}"), None, face_id, digest if face_id else None)
        for place, (face_id, digest) in enumerate(draw(st.lists(made, max_size=most)))
    )


@dataclass
class SimulatedLibrary:
    """Does what it is told, refuses what a vendor would refuse, and remembers every state it was in."""

    held: Held
    states: list[Held] = field(default_factory=list)
    fresh: Iterator[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        self.states.append(self.held)

    def take(self, plan: tuple[Step, ...]) -> None:
        for step in plan:
            match step:
                case Add(face):
                    self.held = (*self.held, self.made(face))
                case Swap(old, face):
                    assert old in self.held
                    self.held = tuple(self.made(face) if one == old else one for one in self.held)
                case Remove(faces):
                    assert faces
                    assert set(faces) <= set(self.held)
                    self.held = tuple(one for one in self.held if one not in faces)
            self.states.append(self.held)

    def made(self, face: Face) -> HeldFace:
        return HeldFace(VendorFaceId(f"made{next(self.fresh)}"), None, face.id, face.digest)


def walked(wanted: tuple[Face, ...], held: Held, *, native: bool, most: int | None) -> SimulatedLibrary:
    library = SimulatedLibrary(held)
    library.take(steps(wanted, held, native_replace=native, max_faces=most))
    return library


def in_place(wanted: tuple[Face, ...], held: Held) -> set[VendorFaceId]:
    """The first held face of each wanted picture."""
    first: dict[tuple[FaceId, Digest], VendorFaceId] = {}
    for one in held:
        if one.face_id is not None and one.digest is not None:
            first.setdefault((one.face_id, one.digest), one.vendor_face_id)
    return {first[face.id, face.digest] for face in wanted if (face.id, face.digest) in first}


@given(wanted=wants(), held=holds(), native=st.booleans(), most=st.one_of(st.none(), st.integers(4, 8)))
def test_the_library_agrees_when_every_step_is_taken(
    wanted: tuple[Face, ...], held: Held, *, native: bool, most: int | None
) -> None:
    library = walked(wanted, held, native=native, most=most)

    assert agrees(wanted, library.held)
    assert sorted((one.face_id or "", one.digest or "") for one in library.held) == sorted(
        (face.id, face.digest) for face in wanted
    )


@given(wanted=wants(), held=holds(), native=st.booleans())
def test_a_wanted_face_that_was_there_is_there_at_every_moment(
    wanted: tuple[Face, ...], held: Held, *, native: bool
) -> None:
    library = walked(wanted, held, native=native, most=None)

    guarded = {face.id for face in wanted} & {one.face_id for one in held}
    for state in library.states:
        assert guarded <= {one.face_id for one in state}


@given(wanted=wants(), held=holds(), native=st.booleans(), most=st.integers(4, 8))
def test_the_vendors_face_limit_is_never_exceeded(
    wanted: tuple[Face, ...], held: Held, *, native: bool, most: int
) -> None:
    library = walked(wanted, held, native=native, most=most)

    sizes = [len(state) for state in library.states]
    assert all(after <= max(most, before) for before, after in pairwise(sizes))


@given(wanted=wants(), held=holds(most=4), native=st.booleans(), most=st.integers(4, 8))
def test_at_the_face_limit_no_more_than_one_face_is_missing(
    wanted: tuple[Face, ...], held: Held, *, native: bool, most: int
) -> None:
    library = walked(wanted, held, native=native, most=most)

    floor = min(len(held), len(wanted), most - 1)
    assert all(len(state) >= floor for state in library.states)


@given(wanted=wants(), held=holds(), native=st.booleans(), most=st.one_of(st.none(), st.integers(1, 8)))
def test_a_face_in_place_is_never_touched_and_nothing_is_touched_that_is_not_held(
    wanted: tuple[Face, ...], held: Held, *, native: bool, most: int | None
) -> None:
    plan = steps(wanted, held, native_replace=native, max_faces=most)

    gone = [one for step in plan if isinstance(step, Remove) for one in step.faces]
    swapped = [step.old for step in plan if isinstance(step, Swap)]
    assert {*gone, *swapped} <= set(held)
    assert len({*gone, *swapped}) == len(gone) + len(swapped)
    assert not vendor_ids([*gone, *swapped]) & in_place(wanted, held)


@given(wanted=wants(), held=holds(), native=st.booleans(), most=st.one_of(st.none(), st.integers(1, 8)))
def test_every_wanted_face_that_is_not_in_place_is_made_exactly_once(
    wanted: tuple[Face, ...], held: Held, *, native: bool, most: int | None
) -> None:
    plan = steps(wanted, held, native_replace=native, max_faces=most)

    made = [step.face for step in plan if isinstance(step, Add | Swap)]
    there = {(one.face_id, one.digest) for one in held}
    assert made == [face for face in wanted if (face.id, face.digest) not in there]


@given(wanted=wants(), held=holds(), native=st.booleans(), most=st.one_of(st.none(), st.integers(4, 8)))
def test_a_plan_for_what_agrees_is_empty(
    wanted: tuple[Face, ...], held: Held, *, native: bool, most: int | None
) -> None:
    agreed = walked(wanted, held, native=native, most=most).held

    assert steps(wanted, agreed, native_replace=native, max_faces=most) == ()
    assert unwanted(wanted, agreed) == ()


@given(wanted=wants(), held=holds(), most=st.one_of(st.none(), st.integers(4, 8)))
def test_swaps_are_only_asked_of_those_who_can(wanted: tuple[Face, ...], held: Held, most: int | None) -> None:
    plan = steps(wanted, held, native_replace=False, max_faces=most)

    assert not any(isinstance(step, Swap) for step in plan)


@given(wanted=wants(), held=holds())
def test_what_may_go_at_once_leaves_every_wanted_face_something(wanted: tuple[Face, ...], held: Held) -> None:
    going = unwanted(wanted, held)

    left = [one for one in held if one not in going]
    guarded = {face.id for face in wanted} & {one.face_id for one in held}
    assert {one.face_id for one in left} == guarded
    assert in_place(wanted, held) <= vendor_ids(left)


@given(held=holds())
def test_of_a_departed_person_everything_held_may_go(held: Held) -> None:
    assert unwanted((), held) == held


@pytest.mark.parametrize("native", [True, False])
def test_one_face_is_replaced_before_the_old_one_goes(*, native: bool) -> None:
    old = HeldFace(VendorFaceId("v"), None, FaceId("a"), Digest("old"))
    face = Face(FaceId("a"), Digest("new"))

    plan = steps((face,), (old,), native_replace=native, max_faces=None)

    assert plan == ((Swap(old, face),) if native else (Add(face), Remove((old,))))


def test_at_the_limit_the_old_face_makes_room() -> None:
    old = HeldFace(VendorFaceId("v"), None, FaceId("a"), Digest("old"))
    face = Face(FaceId("a"), Digest("new"))

    plan = steps((face,), (old,), native_replace=False, max_faces=1)

    assert plan == (Remove((old,), making_room=True), Add(face))


def test_a_stray_makes_room_rather_than_a_face_that_still_stands_for_a_wanted_one() -> None:
    old = HeldFace(VendorFaceId("v"), None, FaceId("a"), Digest("old"))
    stray = HeldFace(VendorFaceId("w"))
    face = Face(FaceId("a"), Digest("new"))

    plan = steps((face,), (old, stray), native_replace=False, max_faces=2)

    assert plan == (Remove((stray,), making_room=True), Add(face), Remove((old,)))
