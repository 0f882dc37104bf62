"""HiBob, webhooks v2: thin events, signed over the body; the employee is then read through the API.

Shapes and signature: https://apidocs.hibob.com/reference/getting-started-webhooks ("How does Bob calculate the
signature") and .../docs/employee-data-webhooks ("Employee webhook events"; each event's payload has its own page,
like .../reference/post_webhook_employee-left). The API: .../docs/people-read-api-contract,
.../reference/post_people-identifier, .../reference/post_people-search, .../reference/get_avatars-employeeid.

No timestamp is signed apart from the body's own, and Bob sends a message again for hours: an old one is heard, and
costs one fetch. Fields come as {"/root/id": {"value": ...}} or nested, depending on who asks; both are read.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

import httpx
from pydantic import Field, SecretStr

from syncsvc.intake.dialects.base import Dialect, DialectOptions, Heard, Message, Photos
from syncsvc.intake.dialects.employees import (
    ApiUrl,
    Employee,
    TimeZone,
    ask,
    basic,
    checked,
    day,
    fetched,
    gone,
    json_answer,
    name,
    person,
    same,
    segment,
)
from syncsvc.intake.dialects.signed import employee_id, fits, json_object, message_id, part, refuse, text
from syncsvc.library.http import Door
from syncsvc.model.changes import Fetched
from syncsvc.model.errors import GoneError, InputError, RejectedError
from syncsvc.model.people import Photo
from syncsvc.model.permits import Rate

EVENTS = frozenset(
    f"employee.{what}"
    for what in ("created", "updated", "deleted", "joined", "left", "activated", "inactivated", "temporaryLeave")
) | {"table.entry.created", "table.entry.updated"}

ID, NAME, STATUS, LAST_DAY = "root.id", "root.displayName", "internal.lifecycleStatus", "internal.terminationDate"
# employee.left is sent for both ("Employee terminated"); who is on any other leave, or only hired so far, is there.
LEFT = frozenset({"terminated", "garden leave"})


class Options(DialectOptions):
    """`secrets` are the webhooks' own; the service user needs the permissions that docs/hr-systems.md lists."""

    secrets: tuple[SecretStr, ...] = Field(min_length=1, description='a list of "env:NAME"; the webhook\'s secret')
    service_user_id: str = Field(min_length=1, max_length=200, description="the service user's ID")
    service_user_token: SecretStr = Field(description='"env:NAME" of the service user\'s token')
    api_url: ApiUrl = "https://api.hibob.com"
    person_field: str = Field(default=ID, min_length=1, description='a field like "work.employeeIdInCompany"')
    time_zone: TimeZone = "UTC"


class Speaker(Dialect[Options]):
    Options = Options
    # .../reference/people ("Rate limits"): 50 reads a minute of one endpoint; an employee takes one or two of each.
    rates: ClassVar[tuple[Rate, ...]] = (Rate(50, 60.0),)

    def __init__(self, name: str, options: Any) -> None:
        super().__init__(name, options)
        self._basic = basic(options.service_user_id, options.service_user_token)

    def hear(self, message: Message, photos: Photos, now: datetime) -> Heard:  # noqa: ARG002 - nothing is signed but the body
        keys = (one.get_secret_value().encode() for one in self.options.secrets)
        expected = [base64.b64encode(hmac.new(key, message.body, hashlib.sha512).digest()).decode() for key in keys]
        if not fits(message.headers.get("bob-signature", ""), expected):
            refuse()
        given = json_object(message.body)
        if text(given, "type") not in EVENTS:
            raise InputError("type: must be an employee's event of webhooks v2", field="type")
        who = employee_id(part(given, "data").get("employeeId"), "data.employeeId")
        return Heard(message_id(message.body), employees=(who,))

    def api_url(self) -> str:
        return self.options.api_url

    def credential_id(self) -> str:
        return self.options.service_user_id

    def fetch(self, employee: str, door: Door, photos: Photos, now: datetime) -> Fetched:
        options = self.options
        wanted = [ID, NAME, STATUS, LAST_DAY, *({options.person_field} - {ID})]
        path = f"/v1/people/{segment(employee)}"
        try:
            found = ask(door, "person", lambda: self._post(door, path, {"fields": wanted}), json_answer)
        except GoneError:
            self._prove(door, employee)
            return gone(self.name, person(employee, ID) if options.person_field == ID else None)
        same(_field(found, ID), employee, ID)
        who = person(_field(found, options.person_field), options.person_field)
        status = _field(found, STATUS)
        if not isinstance(status, str) or not status:
            raise InputError(f"{STATUS}: is not shown; let the service user see the lifecycle", field=STATUS)
        there = Employee(
            who, status.lower() in LEFT, name(_field(found, NAME)), last_day=day(_field(found, LAST_DAY), LAST_DAY)
        )

        def picture() -> Photo | None:
            url = ask(door, "avatar", lambda: self._avatar(door, employee), _url)
            return None if url is None else photos.fetch(url)

        return fetched(self.name, there, picture, now, options.time_zone)

    def _post(self, door: Door, path: str, body: Mapping[str, Any]) -> httpx.Request:
        headers = {"Authorization": self._basic, "Accept": "application/json"}
        return door.client.build_request("POST", door.base_url + path, json=body, headers=headers)

    def _avatar(self, door: Door, employee: str) -> httpx.Request:
        url = f"{door.base_url}/v1/avatars/{segment(employee)}"
        return door.client.build_request("GET", url, headers={"Authorization": self._basic})

    def _prove(self, door: Door, employee: str) -> None:
        """404 may come from anywhere: somebody is gone only where a search, which works, does not find them either."""
        wanted = {
            "fields": [ID],
            "filters": [{"fieldPath": ID, "operator": "equals", "values": [employee]}],
            "showInactive": True,
        }
        try:
            left = ask(door, "search", lambda: self._post(door, "/v1/people/search", wanted), _employees)
        except GoneError as error:
            raise RejectedError("what answers is not HiBob's API; check options.api_url", code=error.code) from error
        if left:
            raise InputError("HiBob says that there is no such employee, and finds them all the same")


def _field(found: Mapping[str, Any], path: str) -> Any:
    """A field, flat as "/root/id" or nested as root: {id}; where it is nested, the root itself may have no name."""
    flat = found.get("/" + path.replace(".", "/"))
    if isinstance(flat, dict):
        return flat.get("value")
    steps = path.split(".")
    for way in (steps, steps[1:] if steps[0] == "root" else ()):
        value = _walk(found, way)
        if value is not None:
            return value
    return None


def _walk(found: Any, way: Sequence[str]) -> Any:
    for step in way:
        found = found.get(step) if isinstance(found, dict) else None
    return found if way else None


def _employees(response: httpx.Response) -> list[Any]:
    found = json_answer(response)["employees"]
    if not isinstance(found, list):
        raise ValueError("employees is not a list")  # noqa: TRY004 - an answer that cannot be read, as any other
    return found


def _url(response: httpx.Response) -> str | None:
    """The avatar's address, as plain text or as a JSON text; None where there is none."""
    told = checked(response).text.strip().strip('"')
    if told and not told.startswith("https://"):
        raise ValueError("not an address")
    return told or None
