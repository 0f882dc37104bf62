"""The contract's third part: what an adapter reads, and what it never lets out."""

import base64
import logging
from collections import Counter
from typing import Any

import pytest

from syncsvc.library.base import FaceLibrary, Page
from syncsvc.library.http import Door
from syncsvc.library.loading import library_class
from syncsvc.model.errors import ErrandError
from syncsvc.model.keys import face_label
from syncsvc.model.listings import Completeness
from syncsvc.model.people import Listed
from syncsvc.model.report import after_look
from syncsvc.sandbox.base import Sandbox
from tests.vendors.contract_ground import ALICE, BOB, CAROL, DAVE, Ground, departed, face, person, somebody
from tests.vendors.photos import blank, draw


class Listing(Ground):
    def walk(self, library: FaceLibrary[Any]) -> tuple[list[Listed], list[Page]]:
        """The whole listing, with the pages it came in."""
        pages = [library.page(None)]
        while pages[-1].cursor is not None:
            pages.append(library.page(pages[-1].cursor))
        return [one for page in pages for one in page.faces], pages

    def test_a_listing_shows_every_face_exactly_once_over_several_pages(
        self, library: FaceLibrary[Any], sandbox: Sandbox
    ) -> None:
        for number in range(self.listing_size):
            sandbox.plant(f"person-{number // 2}")

        listed, pages = self.walk(library)

        assert len(pages) > 1
        assert pages[-1].completeness is self.listing
        assert bool(pages[-1].why) == (self.listing is not Completeness.COMPLETE)
        assert Counter(one.vendor_face_id for one in listed) == Counter(list(sandbox.world.faces))
        for one in listed:
            there = sandbox.world.faces[one.vendor_face_id]
            assert one.vendor_image_id in {None, there.vendor_image_id}
            assert one.person_key == (there.person_key if self.lists_person_keys else None)

    def test_an_empty_library_lists_nothing(self, library: FaceLibrary[Any]) -> None:
        listed, pages = self.walk(library)

        assert listed == []
        assert pages[-1].completeness is self.listing
        assert bool(pages[-1].why) == (self.listing is not Completeness.COMPLETE)

    def test_our_own_faces_are_recognised_in_a_listing(self, library: FaceLibrary[Any], sandbox: Sandbox) -> None:
        people = [somebody(ALICE, 1, 2), somebody(CAROL, 3)]
        held = self.enrol(library, *people)

        listed, _ = self.walk(library)

        by_id = {one.vendor_face_id: one for one in listed}
        for who, faces in zip(people, held, strict=True):
            for one in faces:
                assert one.face_id is not None
                assert one.digest is not None
                told = by_id[one.vendor_face_id]
                assert told.person_key == (self.world_key(who) if self.lists_person_keys else None)
                assert told.label == (face_label(who.id, one.face_id, one.digest) if self.lists_labels else None)

    def test_a_count_is_the_number_of_faces_where_the_vendor_tells_it(
        self, library: FaceLibrary[Any], sandbox: Sandbox
    ) -> None:
        self.enrol(library, somebody(ALICE, 1, 2), somebody(BOB, 3))

        assert library.count() in {None, 3}

    def test_a_ping_says_who_answered_and_changes_nothing(self, library: FaceLibrary[Any], sandbox: Sandbox) -> None:
        assert library.ping()
        assert sandbox.world.history == []


class Looking(Ground):
    def test_looking_at_a_person_confirms_what_is_held(self, library: FaceLibrary[Any]) -> None:
        alice = somebody(ALICE, 1, 2)
        held, _ = self.enrol(library, alice, somebody(BOB, 3))

        reading = after_look(alice, held, library.look(alice, held))

        assert (set(reading.held), reading.findings) == (set(held), ())

    def test_looking_at_a_person_shows_what_vanished(self, library: FaceLibrary[Any], sandbox: Sandbox) -> None:
        alice = somebody(ALICE, 1, 2)
        (held,) = self.enrol(library, alice)
        sandbox.remove(held[0].vendor_face_id)

        reading = after_look(alice, held, library.look(alice, held))

        assert reading.held == (held[1],)

    def test_looking_at_somebody_unknown_shows_nothing(self, library: FaceLibrary[Any]) -> None:
        seen = library.look(somebody(DAVE), ())

        assert seen.faces == ()

    def test_taking_back_what_never_arrived_is_harmless(self, library: FaceLibrary[Any], sandbox: Sandbox) -> None:
        alice = somebody(ALICE, 1)
        (held,) = self.enrol(library, alice)

        library.retract(somebody(DAVE, 5), somebody(DAVE, 5).faces[0])

        self.assert_holds(sandbox, alice, held)


class Discretion(Ground):
    def test_no_secret_and_no_photo_is_seen_in_any_repr_record_or_error(
        self, library: FaceLibrary[Any], sandbox: Sandbox, door: Door, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        said = [repr(library), repr(library.options), str(library.options), repr(door)]
        for kind in ("unavailable", "unknown_code", "garbage", "throttle", None):
            sandbox.clear_faults()
            if kind:
                sandbox.fault(kind)
            try:
                library.replace(person(ALICE, face("f0", blank()), face("f1", draw(1))), ())
            except ErrandError as error:
                said += [repr(error), str(error), repr(error.__cause__)]
        said += [repr(door.journal), *(f"{one.name} {one.getMessage()}" for one in caplog.records if _ours(one))]

        for text in said:
            for secret in (*self.secrets, base64.b64encode(draw(1).content).decode()[:24], "\\xff\\xd8"):
                assert secret not in text

    def test_two_accounts_are_told_apart_without_a_secret(self, library: FaceLibrary[Any]) -> None:
        told = library_class(self.vendor).credential_id(library.options)

        assert not any(secret in told for secret in self.secrets)

    def test_the_journal_has_one_line_for_every_request(
        self, library: FaceLibrary[Any], sandbox: Sandbox, door: Door
    ) -> None:
        alice = somebody(ALICE, 1, 2)
        (held,) = self.enrol(library, alice)
        library.look(alice, held)
        library.page(None)
        library.ping()
        library.delete([(departed(alice), held)])

        assert len(door.journal) == sandbox.calls()["total"]
        assert Counter(call.operation for call in door.journal) == Counter(sandbox.calls()["by_operation"])
        assert {call.outcome for call in door.journal} <= {"ok"}
        if self.gives_request_ids:
            told = [call.request_id for call in door.journal]
            assert None not in told
            assert len(set(told)) == len(told)


def _ours(record: logging.LogRecord) -> bool:
    """httpx and httpcore speak only when asked to, and never of bodies; what we log is what is judged here."""
    return record.name.startswith("syncsvc")
