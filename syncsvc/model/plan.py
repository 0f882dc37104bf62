"""What is to be done in one library for one person: wanted and held in, steps out."""

from dataclasses import dataclass

from syncsvc.model.people import Face, FaceId, Held, HeldFace


@dataclass(frozen=True, slots=True)
class Add:
    face: Face


@dataclass(frozen=True, slots=True)
class Swap:
    """Replace `old` by `face` in one call of the vendor's."""

    old: HeldFace
    face: Face


@dataclass(frozen=True, slots=True)
class Remove:
    """Take these faces out. `making_room`: before the add, because the person is at the vendor's face limit."""

    faces: Held
    making_room: bool = False


Step = Add | Swap | Remove


def steps(wanted: tuple[Face, ...], held: Held, *, native_replace: bool, max_faces: int | None) -> tuple[Step, ...]:
    """The calls that make `held` equal to `wanted`, in an order that never leaves the person absent.

    Adds and swaps come before removals; only at `max_faces` is one superseded face removed first. Faces
    that are in place are not touched. Of several held faces from one picture the first stays.
    """
    settled, stale, surplus = _sort(wanted, held)
    todo = [face for face in wanted if face.id not in settled]
    plan: list[Step] = []
    leftover = list(surplus)
    count = len(held)
    for face in todo:
        old = stale.get(face.id)
        if old is not None and native_replace:
            plan.append(Swap(old, face))
            continue
        while max_faces is not None and count >= max_faces and (leftover or old is not None):
            making_room = leftover.pop() if leftover else old
            assert making_room is not None
            plan.append(Remove((making_room,), making_room=True))
            count -= 1
            old = None if making_room is old else old
        plan.append(Add(face))
        count += 1
        if old is not None:
            leftover.append(old)
    if leftover:
        plan.append(Remove(tuple(leftover)))
    return tuple(plan)


def unwanted(wanted: tuple[Face, ...], held: Held) -> Held:
    """The held faces that may go at once without waiting for an add: they belong to no wanted face.

    A face whose picture is superseded is not among them: its successor must be there first.
    """
    _settled, _stale, surplus = _sort(wanted, held)
    return surplus


def agrees(wanted: tuple[Face, ...], held: Held) -> bool:
    """Whether the library holds exactly what is wanted."""
    settled, stale, surplus = _sort(wanted, held)
    return len(settled) == len(wanted) and not stale and not surplus


def _sort(wanted: tuple[Face, ...], held: Held) -> tuple[dict[FaceId, HeldFace], dict[FaceId, HeldFace], Held]:
    """Held faces as (in place, superseded by a wanted face that is not in place, belonging to nothing wanted)."""
    want = {face.id: face.digest for face in wanted}
    settled: dict[FaceId, HeldFace] = {}
    for face in held:
        if face.face_id in want and want[face.face_id] == face.digest:
            settled.setdefault(face.face_id, face)
    stale: dict[FaceId, HeldFace] = {}
    surplus: list[HeldFace] = []
    for face in held:
        if face.face_id is not None and settled.get(face.face_id) == face:
            continue
        if face.face_id in want and face.face_id not in settled and face.face_id not in stale:
            stale[face.face_id] = face
        else:
            surplus.append(face)
    return settled, stale, tuple(surplus)
