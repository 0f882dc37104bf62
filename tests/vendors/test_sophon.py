"""Sophon signs the contract; what is its own follows."""

import time
from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from syncsvc.library.base import FaceLibrary
from syncsvc.library.http import PATIENCE, Door
from syncsvc.model.errors import (
    MisconfiguredError,
    NoPermitError,
    RejectedError,
    UnavailableError,
    UncertainError,
)
from syncsvc.model.listings import Completeness
from syncsvc.model.people import Face, FaceId, Feature, Photo, vendor_ids
from syncsvc.model.report import Reading
from syncsvc.model.situations import Situation
from syncsvc.sandbox.base import Sandbox
from syncsvc.vendors.sophon import AT_ONCE
from tests.vendors.contract import LibraryContract
from tests.vendors.contract_ground import ALICE, BOB, DAVE, Ground, departed, face, person, somebody
from tests.vendors.photos import PhotoShelf, draw


class TestSophon(LibraryContract):
    vendor = "sophon"
    adding = ("createidentity", "addface")
    replacing = ("replaceface",)
    removing = ("deleteidentities",)
    retry_after = 3.0  # of the proxy: the box itself has no such code
    gives_request_ids = False
    lists_labels = False


class TestSophonWithTheOtherAnswers(LibraryContract):
    """The same against a box that decided every open question the other way."""

    vendor = "sophon"
    adding = ("createidentity", "addface")
    replacing = ("replaceface",)
    removing = ("deleteidentities",)
    retry_after = 3.0
    gives_request_ids = False
    lists_labels = False
    switches: ClassVar[Mapping[str, Any]] = {
        "refuse_last_face": True,
        "identity_id_as_list": False,
        "replace_keeps_place": False,
        "replace_keeps_face_id": True,
        "errors_with_200": True,
        "old_spelling": True,
        "max_page_limit": 40,
    }


class TestSophonsOwn(Ground):
    vendor = "sophon"

    def test_a_feature_is_registered_number_by_number(self, library: FaceLibrary[Any], sandbox: Sandbox) -> None:
        values = tuple(index / 7 - 30 for index in range(512))
        feature = Feature(values)
        alice = person(ALICE, Face(FaceId("f0"), feature.digest, feature), face("f1", draw(1)))

        reading = library.replace(alice, ())

        self.assert_holds(sandbox, alice, reading.held)

    def test_a_feature_replaces_a_photo(self, library: FaceLibrary[Any], sandbox: Sandbox) -> None:
        (held,) = self.enrol(library, somebody(ALICE, 1, 2))
        feature = Feature((0.25,) * 512)
        alice = person(ALICE, Face(FaceId("f0"), feature.digest, feature), face("f1", draw(2)), revision=2)

        reading = library.replace(alice, held)

        self.assert_holds(sandbox, alice, reading.held)
        assert held[1] in reading.held

    @pytest.mark.parametrize("keeps_place", [True, False])
    def test_a_replacement_is_told_from_a_foreign_face_wherever_it_stands(
        self, library: FaceLibrary[Any], sandbox: Sandbox, *, keeps_place: bool
    ) -> None:
        sandbox.set_switches({"replace_keeps_place": keeps_place})
        (held,) = self.enrol(library, somebody(ALICE, 1, 2))
        foreign = sandbox.plant(ALICE)
        alice = somebody(ALICE, 3, 2, revision=2)

        reading = library.replace(alice, held)

        self.assert_believes(sandbox, alice, reading.held)
        assert foreign.vendor_face_id not in vendor_ids(reading.held)

    def test_a_departure_of_many_costs_one_deletion(self, library: FaceLibrary[Any], sandbox: Sandbox) -> None:
        people = [somebody(f"person-{number}", number) for number in range(AT_ONCE)]
        held = self.enrol(library, *people)

        library.delete([(departed(who), faces) for who, faces in zip(people, held, strict=True)])

        assert sandbox.world.faces == {}
        assert sandbox.world.records == {}
        assert sandbox.calls()["by_operation"]["deleteidentities"] == 1

    def test_whoever_was_read_goes_before_the_time_for_calls_is_up(
        self, library: FaceLibrary[Any], sandbox: Sandbox
    ) -> None:
        people = [somebody(f"person-{number}", number) for number in range(2 * AT_ONCE)]
        held = self.enrol(library, *people)
        bundle = [(departed(who), faces) for who, faces in zip(people, held, strict=True)]
        sandbox.latency = 0.06
        hurried = library.at(library.door.for_errand(time.monotonic() + library.door.timeout + PATIENCE + 0.9))

        answers = hurried.delete(bundle)

        settled = {who for who, answer in answers.items() if answer == Reading(())}
        assert 0 < len(settled) < len(people)
        assert all(isinstance(answer, NoPermitError) for who, answer in answers.items() if who not in settled)
        assert set(sandbox.world.records) == {who.id for who in people} - settled

    def test_an_outage_stops_the_farewells(self, library: FaceLibrary[Any], sandbox: Sandbox) -> None:
        sandbox.fault("outage")

        answers = library.delete([(departed(somebody(name)), ()) for name in (ALICE, BOB, DAVE)])

        assert [type(answer) for answer in answers.values()] == [UnavailableError] * 3
        assert len(library.door.journal) == 1

    def test_whoever_shares_their_identity_is_not_deleted_whole(
        self, library: FaceLibrary[Any], sandbox: Sandbox
    ) -> None:
        people = [somebody(ALICE, 1, 2), somebody(BOB, 3), somebody(DAVE, 4)]
        held = self.enrol(library, *people)
        foreign = sandbox.plant(BOB)

        answers = library.delete([(departed(who), faces) for who, faces in zip(people, held, strict=True)])

        assert list(sandbox.world.faces) == [foreign.vendor_face_id]
        of_bob = answers[people[1].id]
        assert isinstance(of_bob, Reading)
        assert [(one.situation, one.vendor_face_id) for one in of_bob.findings] == [
            (Situation.FOREIGN, foreign.vendor_face_id)
        ]

    @pytest.mark.parametrize(
        "silence", [{"kind": "lost_answer"}, {"kind": "timeout", "wait": 5}, {"kind": "garbage"}], ids=str
    )
    def test_a_lost_answer_while_faces_go_one_by_one_loses_none(
        self, library: FaceLibrary[Any], sandbox: Sandbox, silence: dict[str, Any]
    ) -> None:
        (held,) = self.enrol(library, somebody(ALICE, 1, 2, 3))
        sandbox.plant(ALICE)
        alice = departed(somebody(ALICE))
        sandbox.write_fault({**silence, "operation": "deleteface", "after": 1, "times": 1})

        answer = library.delete([(alice, held)])[alice.id]

        assert isinstance(answer, UncertainError)
        assert answer.held == held[1:]
        assert self.converge(library, alice, self.after_trouble(library, alice, held, answer)) == ()
        assert [one.planted for one in sandbox.faces_of(ALICE)] == [True]

    def test_an_empty_identity_of_a_departed_person_goes_and_a_shared_one_stays(
        self, library: FaceLibrary[Any], sandbox: Sandbox
    ) -> None:
        people = [somebody(ALICE, 1), somebody(BOB, 2), somebody(DAVE)]
        for held in self.enrol(library, *people[:2]):
            sandbox.remove(held[0].vendor_face_id)
        foreign = sandbox.plant(BOB)

        answers = library.delete([(departed(who), ()) for who in people])

        assert answers == {who.id: Reading(()) for who in people}
        assert list(sandbox.world.records) == [BOB]
        assert list(sandbox.world.faces) == [foreign.vendor_face_id]

    def test_a_failed_person_of_a_bundle_keeps_what_they_have(
        self, library: FaceLibrary[Any], sandbox: Sandbox
    ) -> None:
        people = [somebody(ALICE, 1), somebody(BOB, 2), somebody(DAVE, 3)]
        held = self.enrol(library, *people)
        sandbox.fault("partial", "deleteidentities", times=1)

        answers = library.delete([(departed(who), faces) for who, faces in zip(people, held, strict=True)])

        readings = [answers[who.id] for who in people]
        assert [one.held for one in readings] == [(), (), held[2]]
        of_dave = readings[2]
        assert isinstance(of_dave, Reading)
        assert [one.situation for one in of_dave.findings] == [Situation.STRAY]

    def test_an_outage_amid_a_bundle_is_told_to_everybody_it_touched(
        self, library: FaceLibrary[Any], sandbox: Sandbox
    ) -> None:
        people = [somebody(ALICE, 1), somebody(BOB, 2), somebody(DAVE, 3)]
        held = self.enrol(library, *people)
        sandbox.fault("outage", "getidentity", after=1)

        answers = library.delete([(departed(who), faces) for who, faces in zip(people, held, strict=True)])

        assert answers[people[0].id] == Reading(())
        assert isinstance(answers[people[1].id], UnavailableError)
        assert isinstance(answers[people[2].id], UnavailableError)
        assert answers[people[1].id] is not answers[people[2].id]
        assert self.digests(sandbox, people[1]) == [draw(2).digest]

    def test_a_person_who_exists_without_us_knowing_gets_the_face_added(
        self, library: FaceLibrary[Any], sandbox: Sandbox
    ) -> None:
        foreign = sandbox.plant(ALICE)
        alice = somebody(ALICE, 1)

        reading = library.replace(alice, ())

        self.assert_believes(sandbox, alice, reading.held)
        assert [(one.situation, one.vendor_face_id) for one in reading.findings] == [
            (Situation.FOREIGN, foreign.vendor_face_id)
        ]

    def test_a_low_quality_photo_is_refused_with_what_to_do(self, library: FaceLibrary[Any], sandbox: Sandbox) -> None:
        with pytest.raises(RejectedError, match="the face is too small"):
            library.replace(person(ALICE, face("f0", _tiny())), ())

        assert sandbox.world.faces == {}

    def test_the_quality_level_of_the_options_is_what_the_box_is_asked_for(
        self, door: Door, sandbox: Sandbox, shelf: PhotoShelf
    ) -> None:
        library = self.make_library(door, shelf, {"fiqa_level": "no", "user_type": "visitor", "permission_ids": ["g1"]})
        alice = person(ALICE, face("f0", _tiny()))

        reading = library.replace(alice, ())

        self.assert_holds(sandbox, alice, reading.held)
        assert sandbox.world.records[ALICE]["user_type"] == "visitor"
        assert sandbox.world.records[ALICE]["permission_ids"] == ["g1"]

    def test_a_group_that_the_box_does_not_know_halts_the_library(
        self, door: Door, sandbox: Sandbox, shelf: PhotoShelf
    ) -> None:
        sandbox.set_switches({"permission_ids": ["g1"]})
        library = self.make_library(door, shelf, {"permission_ids": ["g2"]})

        with pytest.raises(MisconfiguredError, match=r"options\.permission_ids"):
            library.replace(somebody(ALICE, 1), ())

    def test_a_full_box_is_refused_and_says_what_to_do(self, library: FaceLibrary[Any], sandbox: Sandbox) -> None:
        sandbox.set_switches({"capacity": 1})
        self.enrol(library, somebody(ALICE, 1))

        with pytest.raises(RejectedError, match="the box is full"):
            library.replace(somebody(BOB, 2), ())

    def test_people_who_come_and_go_during_a_listing_make_it_suspect(
        self, library: FaceLibrary[Any], sandbox: Sandbox
    ) -> None:
        for number in range(150):
            sandbox.plant(f"person-{number}")
        first = library.page(None)
        with sandbox.lock:
            sandbox.world.forget("person-0")

        last = library.page(first.cursor)

        assert last.cursor is None
        assert (last.completeness, last.grew) == (Completeness.SUSPECT, -1)

    def test_a_face_refused_as_a_persons_last_is_reported_and_kept(
        self, library: FaceLibrary[Any], sandbox: Sandbox
    ) -> None:
        sandbox.set_switches({"refuse_last_face": True})
        (held,) = self.enrol(library, somebody(ALICE, 1))
        alice = somebody(ALICE, 9, revision=2)  # wanted under another face's name, and held nowhere

        answer = library.delete([(person(ALICE, face("other", draw(9)), revision=2), held)])[alice.id]

        assert isinstance(answer, RejectedError)
        self.assert_believes(sandbox, alice, held)


def _tiny() -> Photo:
    """Its face cannot have the 112 pixels that the strictest level asks for (5.4 fiqa)."""
    return draw(1, side=100)
