"""The contract's second part: what an adapter makes of a vendor in trouble."""

from collections.abc import Iterator
from typing import Any

import pytest

from syncsvc.library.base import FaceLibrary
from syncsvc.library.http import Door
from syncsvc.model.errors import (
    CredentialsError,
    ErrandError,
    LibraryError,
    ThrottledError,
    UnavailableError,
    UncertainError,
)
from syncsvc.model.people import Held, HeldFace, Person, VendorFaceId, VendorImageId
from syncsvc.model.report import Reading, after_look
from syncsvc.sandbox.base import Limits, Sandbox
from tests.vendors.contract_ground import ALICE, BOB, DAVE, Ground, departed, somebody
from tests.vendors.photos import PhotoShelf

SILENCES = [
    pytest.param({"kind": "lost_answer"}, id="lost"),
    pytest.param({"kind": "timeout", "wait": 5}, id="late"),
    pytest.param({"kind": "timeout", "wait": 5, "carried_out": False}, id="late-and-undone"),
    pytest.param({"kind": "garbage"}, id="garbage"),
    pytest.param({"kind": "garbage", "carried_out": False}, id="garbage-and-undone"),
]


class Silences(Ground):
    @pytest.mark.parametrize("silence", SILENCES)
    def test_a_lost_answer_while_enrolling_is_doubtful_and_leaves_no_stray(
        self, library: FaceLibrary[Any], sandbox: Sandbox, silence: dict[str, Any]
    ) -> None:
        for operation in self.adding:
            sandbox.reset()
            alice = somebody(ALICE, 1, 2)
            sandbox.write_fault({**silence, "operation": operation, "times": 1})

            with pytest.raises(UncertainError) as caught:
                library.replace(alice, ())
            held = self.converge(library, alice, self.after_trouble(library, alice, (), caught.value))

            self.assert_holds(sandbox, alice, held)

    @pytest.mark.parametrize("silence", SILENCES)
    def test_a_lost_answer_while_replacing_is_doubtful_and_leaves_one_face(
        self, library: FaceLibrary[Any], sandbox: Sandbox, silence: dict[str, Any]
    ) -> None:
        for operation in self.replacing:
            sandbox.reset()
            (held,) = self.enrol(library, somebody(ALICE, 1, 2))
            alice = somebody(ALICE, 1, 3, revision=2)
            sandbox.write_fault({**silence, "operation": operation, "times": 1})

            with pytest.raises(UncertainError) as caught:
                library.replace(alice, held)
            held = self.converge(library, alice, self.after_trouble(library, alice, held, caught.value))

            self.assert_holds(sandbox, alice, held)

    @pytest.mark.parametrize("silence", SILENCES)
    def test_a_lost_answer_while_departing_is_doubtful_and_leaves_nothing(
        self, library: FaceLibrary[Any], sandbox: Sandbox, silence: dict[str, Any]
    ) -> None:
        for operation in self.removing:
            sandbox.reset()
            bob = somebody(BOB, 3)
            held, of_bob = self.enrol(library, somebody(ALICE, 1, 2), bob)
            alice = departed(somebody(ALICE))
            sandbox.write_fault({**silence, "operation": operation, "times": 1})

            answer = library.delete([(alice, held)])[alice.id]

            assert isinstance(answer, UncertainError)
            held = self.converge(library, alice, self.after_trouble(library, alice, held, answer))
            self.assert_holds(sandbox, alice, held)
            self.assert_holds(sandbox, bob, of_bob)


class Endings(Ground):
    def everything(self, library: FaceLibrary[Any], held: Held) -> Iterator[ErrandError | None]:
        """Each kind of errand, and how it ended early; None where it did not."""
        alice = somebody(ALICE, 1, 7, revision=2)
        for who, theirs in ((alice, held), (somebody(DAVE, 5), ()), (departed(alice), held)):
            try:
                self.deliver(library, who, theirs)
            except ErrandError as error:
                yield error
            else:
                yield None

    def test_slow_down_is_throttling_and_changes_nothing(self, library: FaceLibrary[Any], sandbox: Sandbox) -> None:
        (held,) = self.enrol(library, somebody(ALICE, 1, 2))
        before = list(sandbox.world.history)
        sandbox.fault("throttle")

        for error in self.everything(library, held):
            assert isinstance(error, ThrottledError)
            assert error.retry_after == self.retry_after

        assert sandbox.world.history == before

    def test_the_vendors_own_counting_is_throttling_too(self, library: FaceLibrary[Any], sandbox: Sandbox) -> None:
        sandbox.set_limits(Limits(rates=((1, 3600.0),)))
        library.ping()

        with pytest.raises(ThrottledError):
            library.ping()

        assert sandbox.calls()["throttled"] == {"own": 1, "scripted": 0}

    def test_the_vendors_not_now_changes_nothing(self, library: FaceLibrary[Any], sandbox: Sandbox) -> None:
        (held,) = self.enrol(library, somebody(ALICE, 1, 2))
        before = list(sandbox.world.history)
        sandbox.fault("unavailable")

        # A vendor's own trouble may strike after a face was made, so an add may be doubtful; a removal never is.
        *adding, removing = self.everything(library, held)
        assert all(isinstance(error, UnavailableError | UncertainError) for error in adding)
        assert isinstance(removing, UncertainError if self.unavailable_is_uncertain else UnavailableError)

        assert sandbox.world.history == before

    def test_a_dead_proxy_is_not_now(self, library: FaceLibrary[Any], sandbox: Sandbox) -> None:
        (held,) = self.enrol(library, somebody(ALICE, 1, 2))
        sandbox.fault("outage")

        for error in self.everything(library, held):
            assert isinstance(error, UnavailableError)

        sandbox.clear_faults()
        alice = somebody(ALICE, 1, 7, revision=2)
        self.assert_holds(sandbox, alice, self.converge(library, alice, held))

    def test_a_code_nobody_knows_is_never_success(self, library: FaceLibrary[Any], sandbox: Sandbox) -> None:
        (held,) = self.enrol(library, somebody(ALICE, 1, 2))
        before = list(sandbox.world.history)
        sandbox.fault("unknown_code")

        for error in self.everything(library, held):
            assert isinstance(error, LibraryError)

        assert sandbox.world.history == before

    def test_wrong_credentials_halt_and_name_what_to_check(
        self, door: Door, sandbox: Sandbox, shelf: PhotoShelf
    ) -> None:
        wrong = self.wrong_options()
        if wrong is None:
            pytest.skip("this vendor has no credentials")
        library = self.make_library(door, shelf, wrong)

        with pytest.raises(CredentialsError):
            library.ping()
        for who, held in (
            (somebody(ALICE, 1), ()),
            (departed(somebody(ALICE)), self.planted(sandbox, self.world_key(somebody(ALICE)))),
        ):
            with pytest.raises(CredentialsError):
                self.deliver(library, who, held)

        assert len(sandbox.world.faces) == 1

    def planted(self, sandbox: Sandbox, key: str) -> Held:
        one = sandbox.plant(key)
        image = VendorImageId(one.vendor_image_id) if one.vendor_image_id else None
        return (HeldFace(VendorFaceId(one.vendor_face_id), image),)

    def test_a_lie_about_a_departure_is_found_by_looking(self, library: FaceLibrary[Any], sandbox: Sandbox) -> None:
        (held,) = self.enrol(library, somebody(ALICE, 1, 2))
        alice = departed(somebody(ALICE))
        sandbox.fault("lying_ok", times=1)
        for operation in self.removing:
            sandbox.fault("lying_ok", operation)

        library.delete([(alice, held)])
        sandbox.clear_faults()

        assert set(after_look(alice, held, library.look(alice, held)).held) == set(held)


class HalfWay(Ground):
    @pytest.mark.parametrize("honest", [True, False])
    def test_a_removal_that_stops_half_way_tells_what_is_left(
        self, library: FaceLibrary[Any], sandbox: Sandbox, *, honest: bool
    ) -> None:
        leaving = [somebody(ALICE, 1, 2, 3), somebody(DAVE, 5, 6)]
        held = self.enrol(library, *leaving)
        for operation in self.removing:
            sandbox.fault("partial", operation, times=1, honest=honest)

        answers = library.delete([(departed(who), faces) for who, faces in zip(leaving, held, strict=True)])

        for who, faces in zip(leaving, held, strict=True):
            answer = answers[who.id]
            left = answer.held if isinstance(answer, Reading) or answer.held is not None else faces
            assert left is not None
            if not honest or isinstance(answer, ErrandError) or answer.doubtful:
                left = after_look(departed(who), faces, library.look(departed(who), faces)).held
            self.assert_believes(sandbox, who, left)

    @pytest.mark.parametrize("kind", ["unavailable", "outage", "throttle", "unknown_code", "lost_answer"])
    def test_wherever_an_errand_breaks_off_nothing_is_lost(
        self, library: FaceLibrary[Any], sandbox: Sandbox, kind: str
    ) -> None:
        errands = [
            (somebody(ALICE), somebody(ALICE, 1, 2)),
            (somebody(ALICE, 1, 2), somebody(ALICE, 3, 2, revision=2)),
            (somebody(ALICE, 1, 2, 3), somebody(ALICE, 4, revision=2)),
            (somebody(ALICE, 1, 2), somebody(ALICE, revision=2)),
        ]
        for before, after in errands:
            for calls in range(12):
                sandbox.reset()
                held = library.replace(before, ()).held
                sandbox.fault(kind, after=calls, times=1)

                broke_off = self.breaks_off(library, sandbox, after, held, kind)

                if not broke_off:
                    break
            else:
                pytest.fail("this errand makes more than a dozen calls")

    def breaks_off(self, library: FaceLibrary[Any], sandbox: Sandbox, after: Person, held: Held, kind: str) -> bool:
        """Run one errand into the fault and mend it; whether the fault was met at all."""
        try:
            left = self.deliver(library, after, held).held
        except LibraryError as error:
            left = error.held if error.held is not None else held
            if kind != "lost_answer":
                self.assert_believes(sandbox, after, left)
            left = self.converge(library, after, self.after_trouble(library, after, held, error))
        self.assert_holds(sandbox, after, left)
        return bool(sandbox.script.fired)
