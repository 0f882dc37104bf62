"""Which of a person's wanted faces a library's faces are: what is certain, and what somebody must decide."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from syncsvc.flow.review_file import Proposal
from syncsvc.model.keys import face_label, is_our_label
from syncsvc.model.people import Held, HeldFace, Listed, Person, PersonId, vendor_ids
from syncsvc.store.adoption import Shown
from syncsvc.store.people import Known


@dataclass(frozen=True, slots=True)
class Matched:
    """Faces to be bound to a person: by their label, by their person alone, and ours that nobody wants any more."""

    exact: Held = ()
    trusted: Held = ()
    unwanted: Held = ()

    @property
    def bound(self) -> Held:
        return (*self.exact, *self.trusted, *self.unwanted)


def match(known: Known, held: Held, listed: Sequence[Shown], *, replace_pictures: bool) -> Matched:
    """What is certain of these faces, which are all that the library lists for the person.

    A face is trusted to be the one wanted face where it is the one listed: under `replace_pictures` as made from an
    unknown picture, so that ours takes its place.
    """
    new = [one.face for one in listed if one.person is None and one.face.vendor_face_id not in vendor_ids(held)]
    there = {(one.face_id, one.digest) for one in held}
    lacking = {
        face_label(known.id, face.id, face.digest): face for face in known.faces if (face.id, face.digest) not in there
    }
    exact: list[HeldFace] = []
    unwanted: list[HeldFace] = []
    for one in new:
        face = lacking.pop(one.label or "", None)
        if face is not None:
            exact.append(HeldFace(one.vendor_face_id, one.vendor_image_id, face.id, face.digest))
        elif is_our_label(known.id, one.label):
            unwanted.append(HeldFace(one.vendor_face_id, one.vendor_image_id))
    if exact or unwanted or held or len(listed) != 1 or len(new) != 1 or len(known.faces) != 1:
        return Matched(tuple(exact), (), tuple(unwanted))
    (one,), (face,) = new, known.faces
    digest = None if replace_pictures else face.digest
    return Matched(trusted=(HeldFace(one.vendor_face_id, one.vendor_image_id, face.id, digest),))


def propose(face: Listed, owner: Person | None, beside: Mapping[PersonId, Sequence[Shown]]) -> Proposal:
    """What might be done about a face that is not certain. `beside`: what is listed for each person."""
    if owner is None:
        why = "filed under nobody whom we know" if face.person_key else "filed under nobody"
        return Proposal(face, "leave", why)
    if not owner.faces:
        return Proposal(face, "remove", "the person has no face, or has departed", owner.id)
    others = beside.get(owner.id, ())
    free = sum(one.person is None for one in others)
    if len(others) == 1 and len(owner.faces) == 1:
        return Proposal(face, "bind", "the person's one face", owner.id, owner.faces[0].id)
    why = f"one of {len(others)} faces of the person ({free} of them unknown); wanted: "
    wanted = ", ".join(one.id for one in owner.faces)
    suggestion = "bind" if len(others) <= len(owner.faces) else "leave"
    return Proposal(face, suggestion, why + wanted, owner.id)
