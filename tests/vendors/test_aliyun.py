"""Alibaba Cloud's custom face library signs the contract, and what is its own."""

import time
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from syncsvc.library.base import FaceLibrary, account_for
from syncsvc.library.http import Door
from syncsvc.model.errors import (
    MisconfiguredError,
    RejectedError,
    ThrottledError,
    UnavailableError,
    UncertainError,
)
from syncsvc.model.listings import Completeness
from syncsvc.model.permits import Account, Rate, Unlimited
from syncsvc.model.report import Reading
from syncsvc.model.situations import Situation
from syncsvc.sandbox.base import Limits, Sandbox
from syncsvc.sandbox.serve import running, sandbox_class
from syncsvc.vendors.aliyun import Library, Options
from tests.vendors.contract import LibraryContract
from tests.vendors.contract_ground import ALICE, Ground, departed, face, person, somebody
from tests.vendors.photos import blank, draw

OPTIONS = {
    "access_key_id": "sandbox-key",
    "access_key_secret": "sandbox-secret",
    "region": "cn-shanghai",
    "group_id": "staff",
}


class Aliyun(Ground):
    vendor = "aliyun"
    adding = ("face/add",)
    replacing = ("face/add", "face/delete")
    removing = ("face/delete",)
    secrets = ("sandbox-secret",)
    lists_labels = False
    listing = Completeness.PARTIAL

    def options(self) -> Mapping[str, Any]:
        return OPTIONS

    def wrong_options(self) -> Mapping[str, Any]:
        return {**OPTIONS, "access_key_secret": "not-the-secret"}


class TestAliyun(Aliyun, LibraryContract):
    """Where the documents are silent, as we expect it."""


class TestAliyunOtherwise(Aliyun, LibraryContract):
    """Where the documents are silent, the other way."""

    switches: Mapping[str, Any] = {  # type: ignore[misc]
        "existing_person": 400,
        "gone_face": 404,
        "error_layer": "data",
        "throttle_layer": "gateway",
        "envelope": "capital",
    }


class TestPeople(Aliyun):
    def test_a_departure_takes_the_persons_own_record_too(self, library: FaceLibrary[Any], sandbox: Sandbox) -> None:
        alice = somebody(ALICE, 1, 2)
        (held,) = self.enrol(library, alice)

        library.delete([(departed(alice), held)])

        assert not sandbox.world.knows(self.world_key(alice))

    def test_a_record_with_a_foreign_face_stays(self, library: FaceLibrary[Any], sandbox: Sandbox) -> None:
        alice = somebody(ALICE, 1)
        (held,) = self.enrol(library, alice)
        foreign = sandbox.plant(self.world_key(alice))

        reading = library.delete([(departed(alice), held)])[alice.id]

        assert isinstance(reading, Reading)
        assert [one.situation for one in reading.findings] == [Situation.FOREIGN]
        assert sandbox.faces_of(self.world_key(alice)) == [foreign]
        assert "person/delete" not in sandbox.calls()["by_operation"]

    @pytest.mark.parametrize("operation", ["person", "person/delete"])
    @pytest.mark.parametrize("kind", ["unavailable", "throttle", "lost_answer", "garbage"])
    def test_a_record_that_a_broken_departure_left_goes_with_the_next_try(
        self, library: FaceLibrary[Any], sandbox: Sandbox, operation: str, kind: str
    ) -> None:
        alice = somebody(ALICE, 1, 2)
        (held,) = self.enrol(library, alice)
        sandbox.fault(kind, operation, times=1)

        answer = library.delete([(departed(alice), held)])[alice.id]
        again = library.delete([(departed(alice), ())])[alice.id]

        assert isinstance(answer, UnavailableError | ThrottledError)
        assert answer.held == ()
        assert again == Reading(())
        assert not sandbox.world.knows(self.world_key(alice))

    def test_a_refused_photo_leaves_no_empty_record(self, library: FaceLibrary[Any], sandbox: Sandbox) -> None:
        alice = person(ALICE, face("f0", blank()))

        with pytest.raises(RejectedError):
            library.replace(alice, ())

        assert sandbox.world.people() == {}

    def test_a_refusal_stays_a_refusal_when_the_record_cannot_be_cleared(
        self, library: FaceLibrary[Any], sandbox: Sandbox
    ) -> None:
        sandbox.fault("unavailable", "person/delete")

        with pytest.raises(RejectedError, match="no face"):
            library.replace(person(ALICE, face("f0", blank())), ())

    @pytest.mark.parametrize("existing", [200, 400, 580])
    def test_somebody_the_vendor_knows_from_another_group_comes_into_ours(
        self, library: FaceLibrary[Any], sandbox: Sandbox, existing: int
    ) -> None:
        alice = somebody(ALICE, 1)
        sandbox.set_switches({"existing_person": existing})
        sandbox.world.records[self.world_key(alice)] = {"groups": ("guests",)}

        library.replace(alice, ())

        assert sandbox.world.records[self.world_key(alice)]["groups"] == ("guests", "staff")
        assert self.digests(sandbox, alice) == [draw(1).digest]

    def test_one_call_adds_one_face_and_one_deletes_them_all(self, library: FaceLibrary[Any], sandbox: Sandbox) -> None:
        alice = somebody(ALICE, *range(20))
        (held,) = self.enrol(library, alice)
        library.delete([(departed(alice), held)])

        assert sandbox.calls()["by_operation"] == {
            "person/add": 1,
            "face/add": 20,
            "face/delete": 1,
            "person": 1,
            "person/delete": 1,
        }


class TestReadings(Aliyun):
    def test_an_id_that_has_been_a_double_is_never_believed(self, library: FaceLibrary[Any], sandbox: Sandbox) -> None:
        sandbox.set_switches({"float_ids": True})
        alice = somebody(ALICE, 1)

        with pytest.raises(UncertainError) as caught:
            library.replace(alice, ())
        held = self.after_trouble(library, alice, (), caught.value)

        self.assert_holds(sandbox, alice, held)

    def test_a_removal_is_known_also_when_the_reading_after_it_fails(
        self, library: FaceLibrary[Any], sandbox: Sandbox
    ) -> None:
        (held,) = self.enrol(library, somebody(ALICE, 1, 2))
        alice = somebody(ALICE, 1, revision=2)
        sandbox.fault("unavailable", "person")

        reading = library.delete([(alice, held)])[alice.id]

        assert reading == Reading((held[0],))
        self.assert_holds(sandbox, alice, (held[0],))

    def test_a_silent_half_removal_is_seen_at_once(self, library: FaceLibrary[Any], sandbox: Sandbox) -> None:
        (held,) = self.enrol(library, somebody(ALICE, 1, 2, 3))
        alice = somebody(ALICE, 1, revision=2)
        sandbox.fault("partial", "face/delete", honest=False)

        reading = library.delete([(alice, held)])[alice.id]

        assert isinstance(reading, Reading)
        assert reading.held == (held[0], held[2])
        assert [(one.situation, one.vendor_face_id) for one in reading.findings] == [
            (Situation.STRAY, held[2].vendor_face_id)
        ]

    def test_a_listing_that_is_interrupted_goes_on_where_it_was(
        self, library: FaceLibrary[Any], sandbox: Sandbox
    ) -> None:
        for number in range(9):
            sandbox.plant(f"person-{number}")
        sandbox.fault("throttle", "faces", after=5, times=1)

        first = library.page(None)
        rest = library.page(first.cursor)

        assert first.cursor == "1:5"
        assert (rest.cursor, rest.completeness) == (None, Completeness.PARTIAL)
        assert [one.vendor_face_id for one in (*first.faces, *rest.faces)] == list(sandbox.world.faces)

    def test_a_listing_that_cannot_go_on_says_so(self, library: FaceLibrary[Any], sandbox: Sandbox) -> None:
        sandbox.plant("person-1")
        sandbox.fault("throttle", "faces")

        with pytest.raises(ThrottledError):
            library.page(None)

    def test_a_photo_that_cannot_be_fetched_says_what_to_check(
        self, library: FaceLibrary[Any], sandbox: Sandbox, door: Door
    ) -> None:
        options = Options.model_validate(OPTIONS)
        for url in ("http://127.0.0.1:9/photo.jpg", f"{door.base_url}/nowhere.jpg"):
            lost = Library(door, options, lambda _, url=url: url)  # type: ignore[misc]

            with pytest.raises(UnavailableError, match="public_url"):
                lost.replace(somebody(ALICE, 1), ())

        assert sandbox.world.faces == {}

    def test_a_clock_that_is_off_is_said_to_be_off(self) -> None:
        sandbox = sandbox_class("aliyun")(clock=lambda: time.time() + 1000, limits=Limits(enabled=False))
        with running(sandbox) as (url,), httpx.Client(trust_env=False) as client:
            library = Library(Door(client, url, Account("a"), Unlimited()), Options.model_validate(OPTIONS), str)

            with pytest.raises(MisconfiguredError, match="clock"):
                library.ping()


def test_each_operation_is_limited_by_itself_as_documented() -> None:
    account = account_for(Library, "key", None, None)

    assert account.rates == ()
    assert account.operation_rates.pop("person/groups/add") == (Rate(10),)  # type: ignore[attr-defined]
    assert set(account.operation_rates.values()) == {(Rate(20),)}


@pytest.mark.parametrize(
    "wrong", [{"region": "cn/shanghai"}, {"group_id": "x" * 33}, {"group_id": "所"}, {"access_key_id": ""}]
)
def test_options_that_cannot_work_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Options.model_validate({**OPTIONS, **wrong})


def test_no_key_is_seen_in_the_options() -> None:
    shown = repr(Options.model_validate(OPTIONS))

    assert "sandbox-key" not in shown
    assert "sandbox-secret" not in shown
