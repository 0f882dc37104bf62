"""The contract signed three ways, and what is this vendor's alone."""

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar

import httpx
import pytest
from pydantic import ValidationError

from syncsvc.library.http import Door
from syncsvc.model.errors import (
    CredentialsError,
    ErrandError,
    MisconfiguredError,
    NoPermitError,
    RejectedError,
    ThrottledError,
    UnavailableError,
    UncertainError,
)
from syncsvc.model.keys import face_label, is_our_label, person_hash
from syncsvc.model.people import HeldFace, Person, PersonId, VendorFaceId
from syncsvc.model.permits import Account, Unlimited
from syncsvc.model.report import Reading, Seen, after_look
from syncsvc.sandbox.base import Limits
from syncsvc.sandbox.huawei import Sandbox
from syncsvc.sandbox.serve import running
from syncsvc.vendors import huawei
from tests.vendors.contract import LibraryContract
from tests.vendors.contract_ground import ALICE, BOB, CAROL, DAVE, departed, person, somebody
from tests.vendors.photos import PhotoShelf, draw

PROJECT = "0123456789abcdef0123456789abcdef"
KEYS = {"project_id": PROJECT, "face_set_name": "sandbox", "access_key": "SANDBOXACCESSKEY", "secret_key": "sandbox-secret"}
TOKEN = {
    "project_id": PROJECT,
    "face_set_name": "sandbox",
    "auth": "token",
    "user": "sandbox-user",
    "password": "sandbox-password",
    "domain": "sandbox-domain",
    "person_field": "person_id",
}
FIELD = {**KEYS, "person_field": "person_id"}


class ByLabel(Sandbox):
    """Files a face under the person whose label it bears: the vendor could not, the tests can."""

    def filed_under(self, label: str, fields: Mapping[str, Any]) -> str:
        names = (ALICE, BOB, CAROL, CAROL + " ", DAVE, "-starts-with-a-dash")
        return next((person_hash(PersonId(name)) for name in names if is_our_label(PersonId(name), label)), label)


class Huawei(LibraryContract):
    vendor: ClassVar[str] = "huawei"
    adding: ClassVar[tuple[str, ...]] = ("add",)
    replacing: ClassVar[tuple[str, ...]] = ("add", "delete")
    removing: ClassVar[tuple[str, ...]] = ("delete",)
    secrets: ClassVar[tuple[str, ...]] = ("sandbox-secret", "sandbox-password")
    sees_foreign: ClassVar[bool] = False
    listing_size: ClassVar[int] = 2_100

    def world_key(self, person: Person) -> str:
        return person_hash(person.id)


class TestHuaweiWithoutPeople(Huawei):
    """No custom field: a face is known by its label alone."""

    lists_person_keys: ClassVar[bool] = False

    def options(self) -> Mapping[str, Any]:
        return KEYS

    def wrong_options(self) -> Mapping[str, Any]:
        return {**KEYS, "secret_key": "not-the-secret"}

    def make_sandbox(self) -> Sandbox:
        return ByLabel(limits=Limits(enabled=False), fields={})


class TestHuaweiWithPersonField(Huawei):
    """A departure of several faces is one call."""

    def options(self) -> Mapping[str, Any]:
        return FIELD

    def wrong_options(self) -> Mapping[str, Any]:
        return {**FIELD, "access_key": "SOMEBODYELSE"}

    def test_a_foreign_face_of_a_departed_person_stays_and_is_reported(self, library: Any, sandbox: Any) -> None:
        """Whoever bears a person's hash in the field that is declared for it is that person's, and leaves too."""
        alice, bob = somebody(ALICE, 1, 2), somebody(BOB, 3)
        held, of_bob = self.enrol(library, alice, bob)
        sandbox.plant(self.world_key(alice))
        stranger = sandbox.plant("stranger")

        reading = library.delete([(departed(alice), held)])[alice.id]

        assert reading.doubtful
        assert [finding.note for finding in reading.findings] == ["2 asked to go, 3 reported as removed"]
        assert self.converge(library, departed(alice), held) == ()
        self.assert_holds(sandbox, bob, of_bob)
        assert stranger.vendor_face_id in sandbox.world.faces


class TestHuaweiWithToken(Huawei):
    """Who we are is asked of IAM first."""

    def options(self) -> Mapping[str, Any]:
        return {**TOKEN, "iam_url": self.url}

    def wrong_options(self) -> Mapping[str, Any]:
        return {**self.options(), "password": "not-the-password"}

    test_a_foreign_face_of_a_departed_person_stays_and_is_reported = (
        TestHuaweiWithPersonField.test_a_foreign_face_of_a_departed_person_stays_and_is_reported
    )

    @pytest.fixture
    def base_url(self, sandbox: Sandbox) -> Iterator[str]:
        with running(sandbox) as (url,):
            self.url = url
            yield url
