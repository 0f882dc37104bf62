"""The rules of reconciliation by themselves: what a face is, and what may be done about it."""

import pytest

from syncsvc.model.compare import IN_SYNC, Party, Shown, Terms, Verdict, adoptable_as, judge_bound, judge_unbound
from syncsvc.model.keys import face_label, person_hash
from syncsvc.model.people import Digest, Face, FaceId, HeldFace, PersonId, Revision, VendorFaceId
from syncsvc.model.situations import OWNED, SAFE, Reaction, Situation

ALICE, LEFT = PersonId("alice"), FaceId("left")
OLD, NEW = Digest("0" * 64), Digest("1" * 64)
ONE, TWO = VendorFaceId("1"), VendorFaceId("2")


def alice(*held: HeldFace, doubted: bool = False) -> Party:
    return Party(ALICE, "alice", Revision(1), (Face(LEFT, NEW),), held, doubted=doubted)


def held(face: VendorFaceId, face_id: FaceId | None = LEFT, digest: Digest | None = NEW) -> HeldFace:
    return HeldFace(face, None, face_id, digest)


def test_only_a_complete_listing_proves_absence() -> None:
    assert judge_bound(alice(held(ONE)), ONE, None, complete=False) is None
    missing = judge_bound(alice(held(ONE)), ONE, None, complete=True)
    assert missing is not None
    assert (missing.situation, missing.removes) == (Situation.MISSING, False)


@pytest.mark.parametrize("key", [None, "", "alice", person_hash(ALICE)])
def test_a_face_under_its_persons_key_or_none_is_in_sync(key: str | None) -> None:
    assert judge_bound(alice(held(ONE)), ONE, Shown(key), complete=True) == IN_SYNC


def test_the_first_of_two_from_one_picture_stays() -> None:
    party = alice(held(ONE), held(TWO))
    second = judge_bound(party, TWO, Shown(), complete=True)
    assert judge_bound(party, ONE, Shown(), complete=True) == IN_SYNC
    assert second is not None
    assert (second.situation, second.removes) == (Situation.DUPLICATE, True)


def test_a_stale_face_only_removes_where_its_successor_is_in_place() -> None:
    alone = judge_bound(alice(held(ONE, LEFT, OLD)), ONE, Shown(), complete=True)
    beside = judge_bound(alice(held(ONE, LEFT, OLD), held(TWO)), ONE, Shown(), complete=True)
    assert alone is not None
    assert beside is not None
    assert (alone.situation, alone.removes) == (Situation.STALE, False)
    assert (beside.situation, beside.removes) == (Situation.STALE, True)


def test_a_label_of_ours_tells_a_lost_add_from_a_twin_and_from_a_stranger() -> None:
    mine, old = Shown("alice", face_label(ALICE, LEFT, NEW)), Shown("alice", face_label(ALICE, LEFT, OLD))
    assert judge_unbound(mine, alice(), None, labels=True).claims == LEFT
    assert judge_unbound(mine, alice(held(ONE)), None, labels=True).situation is Situation.DUPLICATE
    assert judge_unbound(old, alice(), None, labels=True).situation is Situation.STRAY
    assert judge_unbound(Shown("alice", "by hand"), alice(), None, labels=True).situation is Situation.FOREIGN
    assert judge_unbound(Shown("bob"), None, None, labels=False).situation is Situation.FOREIGN


def test_where_no_label_tells_an_unknown_face_of_somebody_in_doubt_waits() -> None:
    terms = Terms(OWNED, "sync", owned=True)
    verdict = judge_unbound(Shown("alice"), alice(doubted=True), None, labels=False)
    assert terms.react(verdict)[0] is Reaction.WAIT


@pytest.mark.parametrize(
    ("terms", "reaction"),
    [
        (Terms(SAFE, "sync", owned=False), Reaction.REPAIR),
        (Terms(SAFE, "upsert-only", owned=False), Reaction.REPORT),
        (Terms(SAFE, "observe", owned=False), Reaction.REPORT),
        (Terms(SAFE, "sync", owned=False, reports=True), Reaction.REPORT),
        (Terms(SAFE, "sync", owned=False, harmless="the listing is suspect"), Reaction.REPORT),
    ],
)
def test_what_is_removed_depends_on_the_terms(terms: Terms, reaction: Reaction) -> None:
    assert terms.react(Verdict(Situation.STRAY, removes=True))[0] is reaction


def test_foreign_faces_go_only_from_a_library_of_ours() -> None:
    foreign = Verdict(Situation.FOREIGN, removes=True)
    assert Terms(OWNED, "sync", owned=False).react(foreign)[0] is Reaction.REPORT
    assert Terms(OWNED, "sync", owned=True).react(foreign)[0] is Reaction.REPAIR


def test_a_face_is_adopted_as_one_that_is_wanted_and_not_there() -> None:
    assert adoptable_as(alice()) == LEFT
    assert adoptable_as(alice(), [LEFT]) is None
    assert adoptable_as(alice(held(ONE))) is None
