"""What this vendor's tests share: options for either way in, and a sandbox that can tell whose a label is."""

import json
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import httpx

from syncsvc.library.http import Door
from syncsvc.model.keys import is_our_label, person_hash
from syncsvc.model.people import Person, PersonId
from syncsvc.model.permits import Account, Unlimited
from syncsvc.sandbox.huawei import Sandbox
from syncsvc.vendors.huawei import Library, Options
from tests.vendors.contract_ground import ALICE, BOB, CAROL, DAVE, Ground

SET = {"project_id": "0123456789abcdef0123456789abcdef", "face_set_name": "sandbox"}
KEYS = {**SET, "access_key": "SANDBOXACCESSKEY", "secret_key": "sandbox-secret"}
FIELD = {**KEYS, "person_field": "person_id"}
TOKEN = {
    **SET,
    "auth": "token",
    "user": "sandbox-user",
    "password": "sandbox-password",
    "domain": "sandbox-domain",
    "person_field": "person_id",
}


class ByLabel(Sandbox):
    """Files a face under the person whose label it bears: the vendor could not, the tests can."""

    def filed_under(self, label: str, fields: Mapping[str, Any]) -> str:
        names = (ALICE, BOB, CAROL, CAROL + " ", DAVE, "-starts-with-a-dash")
        return next((person_hash(PersonId(name)) for name in names if is_our_label(PersonId(name), label)), label)


class Desk(Ground):
    """The contract's ground for this vendor, without the contract; a departure of several faces is one call."""

    vendor: ClassVar[str] = "huawei"
    adding: ClassVar[tuple[str, ...]] = ("add",)
    replacing: ClassVar[tuple[str, ...]] = ("add", "delete")
    removing: ClassVar[tuple[str, ...]] = ("delete",)
    secrets: ClassVar[tuple[str, ...]] = ("sandbox-secret", "sandbox-password")
    sees_foreign: ClassVar[bool] = False
    listing_size: ClassVar[int] = 2_100

    def options(self) -> Mapping[str, Any]:
        return FIELD

    def world_key(self, person: Person) -> str:
        return person_hash(person.id)


def answering(status: int, told: Any) -> Callable[[httpx.Request], httpx.Response]:
    """A vendor that says the same to everything."""
    content = told if isinstance(told, bytes) else json.dumps(told).encode()
    return lambda _request: httpx.Response(status, content=content, headers={"X-Request-Id": "r-1"})


def library_at(vendor: Callable[[httpx.Request], httpx.Response], told: Mapping[str, Any] = FIELD) -> Library:
    """A library whose vendor is a function."""
    client = httpx.Client(transport=httpx.MockTransport(vendor))
    return Library(Door(client, "http://face.example", Account("a"), Unlimited()), Options.model_validate(told), str)
