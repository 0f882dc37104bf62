"""BambooHR: webhooks that name employees, with or without their fields, signed over body and timestamp.

Shapes and signature: https://documentation.bamboohr.com/docs/webhooks ("Security", "Webhook Retries"),
.../docs/event-based-webhooks and .../docs/field-based-webhooks ("Webhook Data Format"). The API:
.../reference/get-employee, .../docs/list-of-field-names, .../reference/get-employee-photo and .../docs/api-details
("Standard HTTP Responses"; a 503 with Retry-After throttled until September 2026, a 429 does since).

Where there is an API key, whatever a message says is an invalidation and the API has the last word: a message that
was retried for an hour must not undo what came after it. Without a key nobody can be asked, so field-based
messages are believed, in the order of their timestamps; they carry no photos.
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, Self

import httpx
from pydantic import Field, SecretStr, model_validator

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
from syncsvc.intake.dialects.signed import (
    MOST_EMPLOYEES,
    check_recent,
    employee_id,
    fits,
    instant,
    json_object,
    message_id,
    part,
    refuse,
    text,
)
from syncsvc.library.http import Door
from syncsvc.model.changes import Departed, Fetched, Told, Upserted
from syncsvc.model.errors import GoneError, InputError, MisconfiguredError
from syncsvc.model.people import Photo
from syncsvc.model.permits import Rate

EVENTS = frozenset({"employee.created", "employee.updated", "employee.deleted"})
ACTIONS = ("Created", "Updated", "Deleted")

STATUS, FIRST, LAST, LAST_DAY, PHOTO = "status", "firstName", "lastName", "terminationDate", "isPhotoUploaded"
THERE = {"active": True, "inactive": False}


class Options(DialectOptions):
    """`secrets` are the webhooks' private keys; without `api_key` the messages themselves are believed."""

    secrets: tuple[SecretStr, ...] = Field(min_length=1, description='a list of "env:NAME"; the webhook\'s private key')
    api_url: ApiUrl = Field(description="the company's address, like https://example.bamboohr.com")
    api_key: SecretStr | None = Field(default=None, description='"env:NAME" of an API key')
    person_field: str = Field(default="id", min_length=1, max_length=100, description='a field like "employeeNumber"')
    time_zone: TimeZone = "UTC"

    @model_validator(mode="after")
    def _askable(self) -> Self:
        if self.api_key is None and self.person_field != "id":
            raise ValueError("person_field needs an api_key: a message about somebody who was deleted has no fields")
        return self


class Speaker(Dialect[Options]):
    Options = Options
    rates: ClassVar[tuple[Rate, ...]] = (Rate(10),)  # no number is documented, only that too many are throttled

    def __init__(self, name: str, options: Any) -> None:
        super().__init__(name, options)
        key = options.api_key.get_secret_value() if options.api_key is not None else ""
        self._basic = basic(key, SecretStr("x"))  # the key is the user; the password may be anything

    def hear(self, message: Message, photos: Photos, now: datetime) -> Heard:  # noqa: ARG002 - they send no photos
        stamp = message.headers.get("x-bamboohr-timestamp", "")
        self._verify(message, stamp)
        check_recent(stamp, now)
        id_ = message_id(stamp.encode(), message.body)
        given = json_object(message.body)
        if "employees" not in given:
            return Heard(id_, employees=(self._event(given),))
        entries = _entries(given["employees"])
        if self.options.api_key is not None:
            return Heard(id_, employees=tuple(entries))
        return Heard(id_, tuple(self._told(who, entry, id_) for who, entry in entries.items()))

    def api_url(self) -> str | None:
        return None if self.options.api_key is None else self.options.api_url

    def fetch(self, employee: str, door: Door, photos: Photos, now: datetime) -> Fetched:
        options = self.options
        try:
            found = ask(door, "employee", lambda: self._request(door, employee), json_answer)
        except GoneError:
            self._prove(door)
            return gone(self.name, person(employee, "id") if options.person_field == "id" else None)
        same(found.get("id"), employee, "id")
        who = person(found.get(options.person_field), options.person_field)
        there = Employee(who, *_there(found), last_day=day(found.get(LAST_DAY), LAST_DAY))

        def picture() -> Photo | None:
            if str(found.get(PHOTO, "true")).lower() not in {"true", "1", "yes"}:
                return None
            return photos.read(ask(door, "photo", lambda: self._photo(door, employee), _content))

        return fetched(self.name, there, picture, now, options.time_zone)

    def _verify(self, message: Message, stamp: str) -> None:
        signed = message.body + stamp.encode("utf-8", "surrogatepass")
        keys = (one.get_secret_value().encode() for one in self.options.secrets)
        expected = [hmac.new(key, signed, hashlib.sha256).hexdigest() for key in keys]
        if not fits(message.headers.get("x-bamboohr-signature", "").lower(), expected):
            refuse()

    def _event(self, given: Mapping[str, Any]) -> str:
        if text(given, "type") not in EVENTS:
            raise InputError(f"type: must be one of {', '.join(sorted(EVENTS))}", field="type")
        if self.options.api_key is None:
            words = "an event-based webhook says nothing of the employee; give an api_key, or make it field-based"
            raise InputError(f"type: {words}", field="type")
        data = given.get("data")
        return employee_id(data.get("employeeId") if isinstance(data, dict) else None, "data.employeeId")

    def _told(self, who: str, entry: Mapping[str, Any], id_: str) -> Told:
        """What a field-based message says of one employee, as it stands."""
        them, at = person(who, "employees.id"), instant(text(entry, "timestamp"))
        action = text(entry, "action")
        if at is None or action not in ACTIONS:
            words = f"needs an action ({', '.join(ACTIONS)}) and a timestamp with its zone"
            raise InputError(f"employees: each {words}", field="employees")
        departed, known_as = (True, None) if action == "Deleted" else _there(_posted(entry))
        # Two messages of the same second say the same, except that one may know of a departure already.
        version, source_id = 2 * int(at.timestamp()) + departed, f"{id_}#{who}"
        if departed:
            return Told(self.name, source_id, Departed(them), version)
        return Told(self.name, source_id, Upserted(them, None, known_as), version, cancels_departure=True)

    def _request(self, door: Door, employee: str) -> httpx.Request:
        wanted = [STATUS, FIRST, LAST, LAST_DAY, PHOTO]
        if self.options.person_field != "id":
            wanted.append(self.options.person_field)
        path = f"/api/v1/employees/{segment(employee)}"
        return self._get(door, path, {"fields": ",".join(wanted)})

    def _photo(self, door: Door, employee: str) -> httpx.Request:
        return self._get(door, f"/api/v1/employees/{segment(employee)}/photo/original", {})

    def _get(self, door: Door, path: str, parameters: Mapping[str, str]) -> httpx.Request:
        headers = {"Authorization": self._basic, "Accept": "application/json"}
        return door.client.build_request("GET", door.base_url + path, params=parameters, headers=headers)

    def _prove(self, door: Door) -> None:
        """A company that BambooHR does not know gets 404 too: somebody is gone only where the rest is there."""
        try:
            ask(door, "fields", lambda: self._get(door, "/api/v1/meta/fields", {}), _listing)
        except GoneError as error:
            raise MisconfiguredError("BambooHR knows no company at options.api_url", code=error.code) from error


def _entries(given: Any) -> dict[str, Mapping[str, Any]]:
    """Each employee's own entry; the last one, where somebody stands there twice."""
    if not isinstance(given, list) or not 1 <= len(given) <= MOST_EMPLOYEES:
        raise InputError(f"employees: must be a list of 1 to {MOST_EMPLOYEES}", field="employees")
    entries: dict[str, Mapping[str, Any]] = {}
    for number, entry in enumerate(given):
        found = entry if isinstance(entry, dict) else {}
        entries[employee_id(found.get("id"), f"employees.{number}.id")] = found
    return entries


def _posted(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The fields by BambooHR's own names, which a webhook shows as labels: "First Name" is firstName.

    A field stands there as it is, or as {"value": ...}: BambooHR has sent both.
    """
    labels = {one.lower(): one for one in (STATUS, FIRST, LAST)}
    found: dict[str, Any] = {}
    for key, value in part(entry, "fields").items():
        ours = labels.get(key.replace(" ", "").lower())
        if ours is not None:
            found[ours] = value.get("value") if isinstance(value, dict) else value
    return found


def _there(found: Mapping[str, Any]) -> tuple[bool, str | None]:
    """Whether they have departed, and their name. Raises InputError for a status that nobody may guess at."""
    there = THERE.get(str(found.get(STATUS)).lower())
    if there is None:
        words = f"must be {' or '.join(THERE)}; let the webhook post it, or the API's user see it"
        raise InputError(f"{STATUS}: {words}", field=STATUS)
    return not there, name(found.get(FIRST), found.get(LAST))


def _content(response: httpx.Response) -> bytes:
    return checked(response).content


def _listing(response: httpx.Response) -> None:
    if not isinstance(checked(response).json(), list):
        raise ValueError("not a JSON list")  # noqa: TRY004 - an answer that cannot be read, as any other
