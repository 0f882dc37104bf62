"""The contract's first part: enrolling, replacing and deleting, when all goes well."""

from typing import Any

import pytest

from syncsvc.library.base import FaceLibrary
from syncsvc.library.fitting import fit
from syncsvc.model.errors import RejectedError, UncertainError
from syncsvc.model.people import Face, FaceId, Feature, HeldFace, Photo, VendorFaceId, VendorImageId, vendor_ids
from syncsvc.model.report import Reading, after_look
from syncsvc.model.situations import Situation
from syncsvc.sandbox.base import Sandbox
from tests.vendors.contract_ground import ALICE, BOB, CAROL, DAVE, Ground, departed, face, person, somebody
from tests.vendors.photos import SIDE, blank, draw, too_large_for


class Enrolling(Ground):
    def test_enrolling_puts_exactly_that_picture_there(self, library: FaceLibrary[Any], sandbox: Sandbox) -> None:
        alice = somebody(ALICE, 1)

        reading = library.replace(alice, ())

        self.assert_holds(sandbox, alice, reading.held)
        assert (reading.findings, reading.doubtful) == ((), False)

    def test_enrolling_several_faces_puts_every_one_there(self, library: FaceLibrary[Any], sandbox: Sandbox) -> None:
        alice = somebody(ALICE, 1, 2, 3)

        reading = library.replace(alice, ())

        self.assert_holds(sandbox, alice, reading.held)
        assert reading.findings == ()

    def test_people_with_odd_ids_do_not_meet(self, library: FaceLibrary[Any], sandbox: Sandbox) -> None:
        everybody = [
            somebody(ALICE, 1),
            somebody(CAROL, 2),
            somebody(CAROL + " ", 3),
            somebody("-starts-with-a-dash", 4),
        ]

        held = self.enrol(library, *everybody)

        for who, faces in zip(everybody, held, strict=True):
            self.assert_holds(sandbox, who, faces)

    def test_vendor_ids_are_the_vendors_to_the_last_digit(self, library: FaceLibrary[Any], sandbox: Sandbox) -> None:
        (held,) = self.enrol(library, somebody(ALICE, 1, 2))

        assert all(type(one.vendor_face_id) is str for one in held)
        assert vendor_ids(held) == set(sandbox.world.faces)
        images = {one.vendor_image_id for one in sandbox.world.faces.values()}
        assert {one.vendor_image_id for one in held} in ({None}, images)

    def test_a_photo_of_several_people_never_makes_several_faces(
        self, library: FaceLibrary[Any], sandbox: Sandbox
    ) -> None:
        group = person(ALICE, face("f0", draw(1, faces=3)))

        try:
            held = library.replace(group, ()).held
        except RejectedError as error:
            held = error.held or ()

        assert len(sandbox.world.faces) <= 1
        self.assert_believes(sandbox, group, held)


class Replacing(Ground):
    def test_replacing_changes_exactly_that_face(self, library: FaceLibrary[Any], sandbox: Sandbox) -> None:
        bob = somebody(BOB, 8)
        held, of_bob = self.enrol(library, somebody(ALICE, 1, 2), bob)
        alice = somebody(ALICE, 1, 3, revision=2)

        reading = library.replace(alice, held)

        self.assert_holds(sandbox, alice, reading.held)
        self.assert_holds(sandbox, bob, of_bob)
        assert held[0] in reading.held
        assert reading.findings == ()

    def test_a_person_is_never_absent_while_replaced(self, library: FaceLibrary[Any], sandbox: Sandbox) -> None:
        (held,) = self.enrol(library, somebody(ALICE, 1))
        alice = somebody(ALICE, 2, revision=2)

        reading = library.replace(alice, held)

        self.assert_holds(sandbox, alice, reading.held)
        assert min(sandbox.world.counts(self.world_key(alice))) >= 1

    def test_every_face_replaced_at_once_leaves_no_gap(self, library: FaceLibrary[Any], sandbox: Sandbox) -> None:
        (held,) = self.enrol(library, somebody(ALICE, 1, 2, 3))
        enrolled = len(sandbox.world.counts(self.world_key(somebody(ALICE))))
        alice = somebody(ALICE, 4, 5, 6, revision=2)

        reading = library.replace(alice, held)

        self.assert_holds(sandbox, alice, reading.held)
        assert min(sandbox.world.counts(self.world_key(alice))[enrolled:]) >= 3

    def test_at_the_vendors_face_limit_one_goes_before_one_comes(
        self, library: FaceLibrary[Any], sandbox: Sandbox
    ) -> None:
        limit = library.capabilities.max_faces
        if limit is None:
            pytest.skip("this vendor documents no limit of faces per person")
        (held,) = self.enrol(library, somebody(ALICE, *range(limit)))
        full = len(sandbox.world.counts(self.world_key(somebody(ALICE))))
        alice = somebody(ALICE, 99, *range(1, limit), revision=2)

        reading = library.replace(alice, held)

        self.assert_holds(sandbox, alice, reading.held)
        assert min(sandbox.world.counts(self.world_key(alice))[full:]) >= limit - 1
        assert set(held[1:]) < set(reading.held)

    def test_replacing_again_touches_nothing(self, library: FaceLibrary[Any], sandbox: Sandbox) -> None:
        alice = somebody(ALICE, 1, 2)
        (held,) = self.enrol(library, alice)
        before = list(sandbox.world.history)

        reading = library.replace(alice, held)

        assert sandbox.world.history == before
        assert reading == Reading(held)

    def test_a_face_that_vanished_is_put_back_by_its_replacement(
        self, library: FaceLibrary[Any], sandbox: Sandbox
    ) -> None:
        (held,) = self.enrol(library, somebody(ALICE, 1, 2))
        sandbox.remove(held[0].vendor_face_id)
        alice = somebody(ALICE, 3, 2, revision=2)

        reading = library.replace(alice, held)

        self.assert_holds(sandbox, alice, reading.held)

    def test_a_person_who_vanished_is_put_back_by_a_replacement(
        self, library: FaceLibrary[Any], sandbox: Sandbox
    ) -> None:
        (held,) = self.enrol(library, somebody(ALICE, 1))
        with sandbox.lock:
            sandbox.world.forget(self.world_key(somebody(ALICE)))
        alice = somebody(ALICE, 3, revision=2)

        reading = library.replace(alice, held)

        self.assert_holds(sandbox, alice, reading.held)

    def test_a_stray_goes_and_a_foreign_face_stays(self, library: FaceLibrary[Any], sandbox: Sandbox) -> None:
        (held,) = self.enrol(library, somebody(ALICE, 1, 2))
        foreign = sandbox.plant(self.world_key(somebody(ALICE)))
        stray = HeldFace(held[1].vendor_face_id, held[1].vendor_image_id)
        alice = somebody(ALICE, 3, revision=2)

        reading = library.replace(alice, (held[0], stray))

        self.assert_believes(sandbox, alice, reading.held)
        assert self.digests(sandbox, alice) == sorted([draw(3).digest, foreign.digest])


class Deleting(Ground):
    def test_deleting_one_face_keeps_the_others(self, library: FaceLibrary[Any], sandbox: Sandbox) -> None:
        (held,) = self.enrol(library, somebody(ALICE, 1, 2, 3))
        whole = somebody(ALICE, 1, 2, 3, revision=2)
        alice = person(ALICE, whole.faces[0], whole.faces[2], revision=2)

        answers = library.delete([(alice, held)])

        reading = answers[alice.id]
        assert isinstance(reading, Reading)
        self.assert_holds(sandbox, alice, reading.held)
        assert (set(reading.held), reading.findings) == ({held[0], held[2]}, ())

    def test_a_departure_takes_everything_of_that_person_and_nothing_of_others(
        self, library: FaceLibrary[Any], sandbox: Sandbox
    ) -> None:
        alice, bob = somebody(ALICE, 1, 2), somebody(BOB, 3)
        held, of_bob = self.enrol(library, alice, bob)
        stranger = sandbox.plant("stranger-9")

        answers = library.delete([(departed(alice), held)])

        assert answers == {alice.id: Reading(())}
        assert self.digests(sandbox, alice) == []
        self.assert_holds(sandbox, bob, of_bob)
        assert stranger.vendor_face_id in sandbox.world.faces

    def test_a_foreign_face_of_a_departed_person_stays_and_is_reported(
        self, library: FaceLibrary[Any], sandbox: Sandbox
    ) -> None:
        alice = somebody(ALICE, 1, 2)
        (held,) = self.enrol(library, alice)
        foreign = sandbox.plant(self.world_key(alice))

        reading = library.delete([(departed(alice), held)])[alice.id]

        assert isinstance(reading, Reading)
        assert [one.vendor_face_id for one in sandbox.faces_of(self.world_key(alice))] == [foreign.vendor_face_id]
        assert reading.held == ()
        if self.sees_foreign:
            looked = after_look(departed(alice), (), library.look(departed(alice), ()))
            reported = {(one.situation, one.vendor_face_id) for one in (*reading.findings, *looked.findings)}
            assert (Situation.FOREIGN, foreign.vendor_face_id) in reported

    def test_deleting_again_is_harmless(self, library: FaceLibrary[Any], sandbox: Sandbox) -> None:
        alice, bob = somebody(ALICE, 1, 2), somebody(BOB, 3)
        held, of_bob = self.enrol(library, alice, bob)
        library.delete([(departed(alice), held)])

        reading = library.delete([(departed(alice), held)])[alice.id]

        assert isinstance(reading, Reading)
        assert (reading.held, reading.doubtful) == ((), False)
        self.assert_holds(sandbox, bob, of_bob)

    def test_a_face_that_is_already_gone_does_not_keep_the_others_in(
        self, library: FaceLibrary[Any], sandbox: Sandbox
    ) -> None:
        alice = somebody(ALICE, 1, 2, 3)
        (held,) = self.enrol(library, alice)
        sandbox.remove(held[1].vendor_face_id)

        reading = self.converge(library, departed(alice), held)

        assert reading == ()
        assert self.digests(sandbox, alice) == []

    def test_one_face_already_gone_of_one_wanted_gone_is_done(
        self, library: FaceLibrary[Any], sandbox: Sandbox
    ) -> None:
        (held,) = self.enrol(library, somebody(ALICE, 1, 2))
        sandbox.remove(held[1].vendor_face_id)
        alice = somebody(ALICE, 1, revision=2)

        reading = library.delete([(alice, held)])[alice.id]

        assert isinstance(reading, Reading)
        assert (reading.held, reading.doubtful) == ((held[0],), False)
        self.assert_holds(sandbox, alice, reading.held)

    def test_deleting_a_person_the_library_never_knew_is_harmless(
        self, library: FaceLibrary[Any], sandbox: Sandbox
    ) -> None:
        bob, nobody = somebody(BOB, 3), somebody(DAVE)
        (of_bob,) = self.enrol(library, bob)
        face_id, image_id = sandbox.new_ids()
        held = (
            HeldFace(
                VendorFaceId(face_id), VendorImageId(image_id) if image_id else None, FaceId("f0"), draw(1).digest
            ),
        )

        reading = library.delete([(nobody, held)])[nobody.id]

        assert isinstance(reading, Reading)
        assert (reading.held, reading.doubtful) == ((), False)
        self.assert_holds(sandbox, bob, of_bob)

    def test_a_bundle_settles_each_person_also_one_who_is_already_gone(
        self, library: FaceLibrary[Any], sandbox: Sandbox
    ) -> None:
        leaving = [somebody(ALICE, 1, 2), somebody(CAROL, 4), somebody(DAVE, 5, 6)]
        bob = somebody(BOB, 3)
        *held, of_bob = self.enrol(library, *leaving, bob)
        with sandbox.lock:
            sandbox.world.forget(self.world_key(leaving[1]))

        answers = library.delete([(departed(who), faces) for who, faces in zip(leaving, held, strict=True)])

        for who in leaving:
            reading = answers[who.id]
            assert isinstance(reading, Reading)
            assert (reading.held, reading.doubtful) == ((), False)
            assert self.digests(sandbox, who) == []
        self.assert_holds(sandbox, bob, of_bob)

    def test_a_bundle_may_hold_departures_and_single_faces(self, library: FaceLibrary[Any], sandbox: Sandbox) -> None:
        of_alice, of_dave = self.enrol(library, somebody(ALICE, 1, 2), somebody(DAVE, 5, 6))
        alice, dave = somebody(ALICE, 1, revision=2), somebody(DAVE, revision=2)

        answers = library.delete([(alice, of_alice), (dave, of_dave)])

        for who in (alice, dave):
            reading = answers[who.id]
            assert isinstance(reading, Reading)
            self.assert_holds(sandbox, who, reading.held)


class Refusing(Ground):
    def test_a_photo_that_the_vendor_takes_only_smaller_is_sent_smaller_and_stays_the_same_face(
        self, library: FaceLibrary[Any], sandbox: Sandbox
    ) -> None:
        if library.capabilities.fetches_photos:
            pytest.skip("what this vendor fetches is fitted where its link leads")
        rule = library.capabilities.photo
        photo = too_large_for(rule)
        alice = person(ALICE, face("f0", photo))
        sandbox.fault("lost_answer", self.adding[0], times=1)

        with pytest.raises(UncertainError) as caught:
            library.replace(alice, ())
        held = self.converge(library, alice, self.after_trouble(library, alice, (), caught.value))

        assert self.digests(sandbox, alice) == [fit(photo, rule).digest]
        assert [(one.face_id, one.digest) for one in held] == [("f0", photo.digest)]

    def test_a_photo_without_a_face_is_refused_and_keeps_nobody_else_out(
        self, library: FaceLibrary[Any], sandbox: Sandbox
    ) -> None:
        (held,) = self.enrol(library, somebody(ALICE, 1))
        alice = person(ALICE, face("f0", blank()), face("f1", draw(2)), revision=2)

        with pytest.raises(RejectedError) as caught:
            library.replace(alice, held)

        assert caught.value.face_id == "f0"
        assert len(str(caught.value)) > 10
        assert self.digests(sandbox, alice) == sorted([draw(1).digest, draw(2).digest])
        self.assert_believes(sandbox, alice, caught.value.held or ())

    def test_what_the_vendor_documents_to_refuse_is_refused_without_a_call(
        self, library: FaceLibrary[Any], sandbox: Sandbox
    ) -> None:
        rule = library.capabilities.photo
        unusable = [
            Photo(b"x" * (rule.max_bytes + 1), "image/jpeg", SIDE, SIDE),
            Photo(b"x", "image/x-icon", SIDE, SIDE),
        ]
        if rule.min_side:
            unusable.append(Photo(b"x", "image/jpeg", rule.min_side - 1, SIDE))
        if rule.max_side:
            unusable.append(Photo(b"x", "image/jpeg", SIDE, rule.max_side + 1))

        for photo in unusable:
            with pytest.raises(RejectedError, match="the photo"):
                library.replace(person(ALICE, face("f0", photo)), ())

        assert sandbox.calls()["total"] == 0

    def test_a_photo_that_is_no_longer_stored_is_asked_for_again(
        self, library: FaceLibrary[Any], sandbox: Sandbox
    ) -> None:
        alice = person(ALICE, Face(FaceId("f0"), draw(1).digest))

        with pytest.raises(RejectedError, match="send it again"):
            library.replace(alice, ())

        assert sandbox.calls()["total"] == 0

    def test_features_are_refused_in_plain_words_where_only_photos_are_taken(
        self, library: FaceLibrary[Any], sandbox: Sandbox
    ) -> None:
        if library.capabilities.takes_features:
            pytest.skip("this vendor takes features")
        feature = Feature((0.5,) * 512)

        with pytest.raises(RejectedError, match="send a photo"):
            library.replace(person(ALICE, Face(FaceId("f0"), feature.digest, feature)), ())

        assert sandbox.calls()["total"] == 0
