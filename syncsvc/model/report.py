"""What a vendor's answer means for what is held: every answer is compared with what we expected."""

from dataclasses import dataclass, field, replace

from syncsvc.model.keys import face_label, is_our_label
from syncsvc.model.people import Face, Held, HeldFace, Listed, Person, Revision, VendorFaceId, vendor_ids
from syncsvc.model.situations import Finding, Situation


@dataclass(frozen=True, slots=True)
class Report:
    """A vendor's answer to one change, in our words. None means: this vendor does not say.

    added       the faces it says it made, the wanted one first
    remaining   every face the person has after the call, in the vendor's order
    removed     the ids it says it removed;  removed_count  how many it says it removed
    absent      ids that it says were not there to begin with
    kept        ids that it says it could not remove
    """

    added: tuple[Listed, ...] | None = None
    remaining: tuple[Listed, ...] | None = None
    removed: frozenset[VendorFaceId] | None = None
    removed_count: int | None = None
    absent: frozenset[VendorFaceId] = field(default=frozenset())
    kept: frozenset[VendorFaceId] = field(default=frozenset())


@dataclass(frozen=True, slots=True)
class Seen:
    """What a library was seen to hold for one person.

    faces      found there      absent     ids that were asked for one by one and are not there
    complete   whether `faces` is everything: only then does not being in it prove absence
    """

    faces: tuple[Listed, ...]
    absent: frozenset[VendorFaceId] = field(default=frozenset())
    complete: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """What is held after an answer, what was odd about it, and whether it leaves us in doubt.

    `adding`: the doubt is about an add, so a face may be there that nobody told us of.
    """

    held: Held
    findings: tuple[Finding, ...] = ()
    doubtful: bool = False
    adding: bool = False


def after_add(held: Held, face: Face, report: Report, *, superseded: HeldFace | None = None) -> Reading:
    """Bind what an add (or, with `superseded`, a swap) made.

    An answer that shows no new face is doubtful: it may be there under an id we were not told. So is one whose
    list does not show what it says it made.
    """
    before = vendor_ids(held)
    told = report.added is not None
    if told and superseded is not None:
        before -= {superseded.vendor_face_id}  # a vendor may exchange the picture under the same id
    shown = {one.vendor_face_id: one for one in (report.added if told else report.remaining) or ()}
    new = [one for one in shown.values() if one.vendor_face_id not in before]
    if not new:
        note = "the library accepted a face and shows no new one"
        return Reading(held, (Finding(Situation.DISPUTED, None, note),), doubtful=True, adding=True)
    chosen = new[0] if told else new[-1]  # Sophon lists the newest last (6-add-face); others name it
    made = HeldFace(chosen.vendor_face_id, chosen.vendor_image_id, face.id, face.digest)
    findings = []
    extra: list[HeldFace] = []
    for one in new:
        if one is chosen:
            continue
        if told:
            extra.append(HeldFace(one.vendor_face_id, one.vendor_image_id))
            findings.append(Finding(Situation.STRAY, one.vendor_face_id, "made from the same photo"))
        else:
            findings.append(Finding(Situation.FOREIGN, one.vendor_face_id, "appeared beside ours"))
    kept = tuple(one for one in held if one != superseded)
    listed = vendor_ids(report.remaining or ()) - vendor_ids(new)
    if superseded is not None and superseded.vendor_face_id in listed:
        kept = held
        findings.append(Finding(Situation.STALE, superseded.vendor_face_id, "still listed after its replacement"))
    doubtful = False
    if report.remaining is not None:
        _, unlisted = _only_listed((made, *extra), report.remaining)
        kept, lost = _only_listed(kept, report.remaining)
        findings += (*lost, *unlisted)
        doubtful = bool(unlisted)
    return Reading((*kept, made, *extra), tuple(findings), doubtful=doubtful, adding=doubtful)


def after_remove(held: Held, asked: Held, report: Report) -> Reading:
    """Unbind what a removal took away; what the answer leaves open stays held and in doubt."""
    ids = vendor_ids(asked)
    if report.remaining is not None:
        return _after_remove_with_list(held, ids, report.remaining)
    open_ids = ids - report.absent - report.kept
    findings = [Finding(Situation.STRAY, one, "the library could not remove it") for one in sorted(ids & report.kept)]
    doubtful = False
    if report.removed is not None and open_ids - report.removed:
        unsaid = open_ids - report.removed
        findings += [Finding(Situation.DISPUTED, one, "asked to go, not among the removed") for one in sorted(unsaid)]
        open_ids -= unsaid
        doubtful = True
    elif report.removed is None and report.removed_count is not None and report.removed_count != len(open_ids):
        note = f"{len(open_ids)} asked to go, {report.removed_count} reported as removed"
        findings.append(Finding(Situation.DISPUTED, None, note))
        open_ids = frozenset()
        doubtful = True
    unasked = (report.removed or frozenset()) & (vendor_ids(held) - ids)
    findings += [Finding(Situation.DISPUTED, one, "removed without having been asked to go") for one in sorted(unasked)]
    doubtful = doubtful or bool(unasked)
    gone = open_ids | (ids & report.absent)
    left = tuple(one for one in held if one.vendor_face_id not in gone)
    return Reading(left, tuple(findings), doubtful=doubtful)


@dataclass(frozen=True, slots=True)
class Doubt:
    """Adds whose answers were lost: at most `adds` faces may be there, made from pictures of `revision`."""

    adds: int
    revision: Revision


def after_look(
    person: Person,
    held: Held,
    seen: Seen,
    *,
    doubt: Doubt | None = None,
    owned: bool = False,
    foreign: frozenset[VendorFaceId] = frozenset(),
) -> Reading:
    """What is held, now that the library was asked.

    A face we did not know is ours where its label says so. Where a library keeps no labels it is ours only
    if an add is in doubt and no more faces are unknown than adds: bound to the one wanted face that is
    unaccounted for if the doubt is about this very revision, else as a stray. More unknown faces than adds
    in doubt are disputed and left alone. `foreign` are ids already known not to be ours. Everything else is
    foreign, unless the library is `owned`: then it is a stray.
    """
    listed = {one.vendor_face_id: one for one in seen.faces}
    kept: list[HeldFace] = []
    for face in held:
        if face.vendor_face_id in listed:
            image = listed[face.vendor_face_id].vendor_image_id
            kept.append(replace(face, vendor_image_id=image or face.vendor_image_id))
        elif not (seen.complete or face.vendor_face_id in seen.absent):
            kept.append(face)
    accounted = {(one.face_id, one.digest) for one in kept}
    missing = {face_label(person.id, f.id, f.digest): f for f in person.faces if (f.id, f.digest) not in accounted}
    unknown = [one for one in listed.values() if one.vendor_face_id not in vendor_ids(held) | foreign]
    nameless = [one for one in unknown if one.label is None]
    findings: list[Finding] = []
    for one in unknown:
        match: Face | None = None
        if one.label is not None:
            match = missing.pop(one.label, None)
            situation = Situation.STRAY if owned or is_our_label(person.id, one.label) else Situation.FOREIGN
        else:
            lost = doubt is not None and doubt.adds > 0 and doubt.revision == person.revision
            if lost and nameless == [one] and len(missing) == 1:
                match = next(iter(missing.values()))
            situation = _nameless(len(nameless), doubt, owned=owned)
        if match is not None:
            kept.append(HeldFace(one.vendor_face_id, one.vendor_image_id, match.id, match.digest))
            continue
        findings.append(Finding(situation, one.vendor_face_id, _NOTES[situation]))
        if situation is Situation.STRAY:
            kept.append(HeldFace(one.vendor_face_id, one.vendor_image_id))
    return Reading(tuple(kept), tuple(findings))


_NOTES = {
    Situation.STRAY: "ours, from a picture that is not wanted",
    Situation.FOREIGN: "listed under this person, never put there by us",
    Situation.DISPUTED: "more unknown faces than lost answers could have made",
}


def _nameless(count: int, doubt: Doubt | None, *, owned: bool) -> Situation:
    if owned or (doubt and 0 < count <= doubt.adds):
        return Situation.STRAY
    return Situation.DISPUTED if doubt and doubt.adds else Situation.FOREIGN


def _after_remove_with_list(held: Held, asked: frozenset[VendorFaceId], remaining: tuple[Listed, ...]) -> Reading:
    expected = tuple(one for one in held if one.vendor_face_id not in asked)
    still = tuple(one for one in held if one.vendor_face_id in asked & vendor_ids(remaining))
    findings = [Finding(Situation.STRAY, one.vendor_face_id, "still listed after its removal") for one in still]
    findings += [
        Finding(Situation.FOREIGN, one.vendor_face_id, "listed under this person, never put there by us")
        for one in remaining
        if one.vendor_face_id not in vendor_ids(held)
    ]
    left, lost = _only_listed(expected, remaining)
    return Reading((*left, *still), (*findings, *lost))


def _only_listed(held: Held, remaining: tuple[Listed, ...]) -> tuple[Held, tuple[Finding, ...]]:
    there = vendor_ids(remaining)
    lost = tuple(
        Finding(Situation.MISSING, one.vendor_face_id, "no longer listed, and not removed by us")
        for one in held
        if one.vendor_face_id not in there
    )
    return tuple(one for one in held if one.vendor_face_id in there), lost
