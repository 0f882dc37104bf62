"""Which situation a listed or bound face is in, and what is to be done about it: rules only, no database."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from syncsvc.model.keys import face_label, is_our_label, person_hash
from syncsvc.model.people import Digest, Face, FaceId, Held, PersonId, Revision, VendorFaceId
from syncsvc.model.situations import Reaction, Reactions, Situation


@dataclass(frozen=True, slots=True)
class Party:
    """Somebody of ours as far as one library is concerned.

    `wanted` are the faces they should have there, `held` those bound to them, the oldest first. `moving`: something
    is owed or under way, or was settled since the listing began. `doubted`: a face may be there that no answer told
    us of.
    """

    id: PersonId
    key: str
    revision: Revision
    wanted: tuple[Face, ...]
    held: Held
    moving: bool = False
    doubted: bool = False

    def goes_by(self, key: str) -> bool:
        """Whether a library that files a face under this key files it under this person."""
        return key in {self.key, person_hash(self.id)}

    @property
    def accounted(self) -> set[tuple[FaceId | None, Digest | None]]:
        return {(one.face_id, one.digest) for one in self.held}


@dataclass(frozen=True, slots=True)
class Shown:
    """A face as the listing shows it; "" and None alike: the library does not say."""

    key: str | None = None
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Past:
    """A face was bound to this person, until that instant."""

    person: PersonId
    removed_at: datetime


@dataclass(frozen=True, slots=True)
class Verdict:
    """`removes`: to repair it takes a face out that nothing replaces. `claims`: it is ours, and only to be bound."""

    situation: Situation
    note: str = ""
    removes: bool = False
    claims: FaceId | None = None
    waits: bool = False


IN_SYNC = Verdict(Situation.IN_SYNC)


def judge_bound(party: Party, face: VendorFaceId, shown: Shown | None, *, complete: bool) -> Verdict | None:
    """What a face that is bound to `party` is. None: it is not listed, and the listing proves nothing by that."""
    (held,) = (one for one in party.held if one.vendor_face_id == face)
    if shown is None and not complete:
        return None
    if shown is not None and shown.key and not party.goes_by(shown.key):
        return Verdict(Situation.DISPUTED, "bound to this person, and the library files it under another")
    wanted = {one.id: one.digest for one in party.wanted}
    digest = wanted.get(held.face_id) if held.face_id is not None else None
    if shown is None:
        if digest is None:
            return Verdict(Situation.STRAY, "not wanted, and the library does not list it any more")
        return Verdict(Situation.MISSING, "the library does not list it any more")
    if digest is None:
        return Verdict(Situation.STRAY, "ours, and not wanted there", removes=True)
    twins = [one for one in party.held if (one.face_id, one.digest) == (held.face_id, digest)]
    if held.digest != digest:
        in_place = bool(twins)
        note = "made from a picture that has been replaced" if held.digest else "it is not known from which picture"
        return Verdict(Situation.STALE, note, removes=in_place)
    if twins[0].vendor_face_id != face:
        return Verdict(Situation.DUPLICATE, "another face there is from the same picture", removes=True)
    return IN_SYNC


def judge_unbound(shown: Shown, party: Party | None, past: Past | None, *, labels: bool) -> Verdict:
    """What a listed face that is bound to nobody is. `party` is whose key or label it carries, as far as we know.

    `labels`: the library keeps a label of ours with every face; elsewhere an unknown face of somebody in doubt may
    be ours.
    """
    if past is not None:
        if party is not None and shown.key and not party.goes_by(shown.key):
            return Verdict(Situation.DISPUTED, "once bound to this person, and the library files it under another")
        return Verdict(Situation.STRAY, "it was taken out, and the library lists it again", removes=True)
    if party is None:
        return Verdict(Situation.FOREIGN, "never ours", removes=True)
    if shown.label and is_our_label(party.id, shown.label):
        wanted = next((one for one in party.wanted if face_label(party.id, one.id, one.digest) == shown.label), None)
        if wanted is None:
            return Verdict(Situation.STRAY, "ours by its label, from a picture that is not wanted", removes=True)
        if (wanted.id, wanted.digest) in party.accounted:
            return Verdict(Situation.DUPLICATE, "ours by its label, and another is from the same picture", removes=True)
        return Verdict(Situation.STRAY, "ours by its label: the answer to its add was lost", claims=wanted.id)
    if party.doubted and not labels:
        return Verdict(Situation.FOREIGN, "perhaps ours: the answer to an add was lost", waits=True)
    return Verdict(Situation.FOREIGN, "listed under this person, never put there by us", removes=True)


@dataclass(frozen=True, slots=True)
class Terms:
    """What may be done in a library. `harmless` says in words why nobody may be removed, None where they may.

    `reports`: nothing at all is done there, only told.
    """

    reactions: Reactions
    policy: str
    owned: bool
    reports: bool = False
    harmless: str | None = None

    def react(self, verdict: Verdict, *, adoptable: bool = False) -> tuple[Reaction, str]:
        """What is to be done, and the note, which also says what stands in the way.

        `adoptable`: a foreign face is under a person of ours who lacks a wanted face there.
        """
        if verdict.waits:
            return Reaction.WAIT, verdict.note
        wished = self.reactions[verdict.situation]
        if self.reports or self.policy == "observe" or wished is Reaction.REPORT:
            return Reaction.REPORT, verdict.note
        if verdict.claims is not None:
            return Reaction.ADOPT, verdict.note
        if wished is Reaction.ADOPT:
            return (Reaction.ADOPT if adoptable else Reaction.REPORT), verdict.note
        if verdict.situation is Situation.FOREIGN and not self.owned:
            return Reaction.REPORT, verdict.note
        if verdict.removes and self.policy == "upsert-only":
            return Reaction.REPORT, verdict.note
        if verdict.removes and self.harmless is not None:
            return Reaction.REPORT, f"{verdict.note}; not removed: {self.harmless}"
        return Reaction.REPAIR, verdict.note


def adoptable_as(party: Party, taken: Collection[FaceId] = ()) -> FaceId | None:
    """The first wanted face of the person that the library does not hold, and that no other is adopted as."""
    there = {one.face_id for one in party.held} | set(taken)
    return next((one.id for one in party.wanted if one.id not in there), None)
