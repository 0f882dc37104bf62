"""Personio, webhooks v2: thin events that carry a token; the person is then read through the API.

Shapes: https://developer.personio.de/v2.0/reference/webhooks ("Event Payload Structure", "Event Catalog") and
.../reference/post_v2-webhooks: nothing is signed; `auth_type` TOKEN, the default, sends a token of one's own choice
as the whole Authorization header. The page leaves a payload's inside to the event: the person stands in it as
`person.id` or `person_id`, of a person's own event also as `id`. The API: .../reference/post_v2-auth-token,
.../reference/get_v2-persons-id, .../reference/get_v2-persons-person-id-employments (schemas Person, Employment,
Termination), and .../v1.0/reference/get_company-employees-employee-id-profile-picture-width.

A token proves who speaks and nothing of what is said or when, which is why an event may only ever cause a question.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, ClassVar

import httpx
from pydantic import Field, SecretStr

from syncsvc.intake.dialects.base import Dialect, DialectOptions, Heard, Message, Photos
from syncsvc.intake.dialects.employees import (
    ApiUrl,
    Employee,
    TimeZone,
    Tokens,
    as_object,
    ask,
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
from syncsvc.model.errors import CredentialsError, GoneError, InputError, RejectedError
from syncsvc.model.people import Photo
from syncsvc.model.permits import Rate

PERSON_EVENTS = frozenset({"person.created", "person.updated", "person.deleted"})
EVENTS = PERSON_EVENTS | frozenset(
    f"employment.{what}" for what in ("created", "updated", "deleted", "started", "terminated")
)
THERE = {"ACTIVE": True, "INACTIVE": False}  # Person.status; ACTIVE also while on leave or being onboarded
OPEN = frozenset({"ACTIVE", "LEAVE", "ONBOARDING"})  # Employment.status
WIDTH = 640  # pixels of the picture


class Options(DialectOptions):
    """`tokens` are what Personio sends as the whole Authorization header; the client is an API credential."""

    tokens: tuple[SecretStr, ...] = Field(min_length=1, description='a list of "env:NAME"; the webhook\'s token')
    client_id: str = Field(min_length=1, max_length=200, description="the API credential's client ID")
    client_secret: SecretStr = Field(description='"env:NAME" of the API credential\'s secret')
    api_url: ApiUrl = "https://api.personio.de"
    person_field: str = Field(default="id", min_length=1, description='"id", or a custom attribute\'s id or global_id')
    time_zone: TimeZone = "Europe/Berlin"


class Speaker(Dialect[Options]):
    Options = Options
    # .../reference/auth ("rate limit of 60 requests per minute") is the tightest that is documented.
    rates: ClassVar[tuple[Rate, ...]] = (Rate(60, 60.0),)

    def __init__(self, name: str, options: Any) -> None:
        super().__init__(name, options)
        self._tokens = Tokens()

    def hear(self, message: Message, photos: Photos, now: datetime) -> Heard:  # noqa: ARG002 - nothing is signed
        expected = [one.get_secret_value() for one in self.options.tokens]
        if not fits(message.headers.get("authorization", ""), expected):
            refuse()
        given = json_object(message.body)
        event, payload = text(given, "event_name"), part(given, "payload")
        if event not in EVENTS:
            raise InputError("event_name: must be an event of a person or an employment", field="event_name")
        return Heard(message_id(message.body), employees=(_whom(event, payload),))

    def api_url(self) -> str:
        return self.options.api_url

    def credential_id(self) -> str:
        return self.options.client_id

    def fetch(self, employee: str, door: Door, photos: Photos, now: datetime) -> Fetched:
        options, path = self.options, f"/v2/persons/{segment(employee)}"
        try:
            found = self._get(door, path, _known, now)
        except GoneError:
            return gone(self.name, person(employee, "id") if options.person_field == "id" else None)
        same(found.get("id"), employee, "id")
        who = person(_field(found, options.person_field), options.person_field)
        there = THERE.get(str(found.get("status")))
        if there is None:
            raise InputError(f"status: must be {' or '.join(THERE)}", field="status")
        last_day = None
        if there:
            last_day = _last_day(self._get(door, f"{path}/employments?limit=50", _employments, now))
        known_as = found.get("preferred_name") or name(found.get("first_name"), found.get("last_name"))

        def picture() -> Photo | None:
            if not isinstance(found.get("profile_picture"), dict) or not found["profile_picture"].get("url"):
                return None
            # That address is not followed: our token goes to Personio's own host, and to no other.
            path = f"/v1/company/employees/{segment(employee)}/profile-picture/{WIDTH}"
            return photos.read(self._get(door, path, _content, now))

        return fetched(self.name, Employee(who, not there, name(known_as), last_day), picture, now, options.time_zone)

    def _get(self, door: Door, path: str, read: Any, now: datetime) -> Any:
        def call(token: str) -> Any:
            headers = {"Authorization": f"Bearer {token}", "Accept": "*/*"}
            return ask(
                door, "read", lambda: door.client.build_request("GET", door.base_url + path, headers=headers), read
            )

        return self._tokens.use(now, lambda: self._mint(door), call)

    def _mint(self, door: Door) -> tuple[str, float]:
        form = {
            "grant_type": "client_credentials",
            "client_id": self.options.client_id,
            "client_secret": self.options.client_secret.get_secret_value(),
        }
        url = f"{door.base_url}/v2/auth/token"
        try:
            return ask(door, "token", lambda: door.client.build_request("POST", url, data=form), _token)
        except (RejectedError, GoneError) as error:
            words = "Personio gives no access token; check client_id, client_secret and api_url"
            raise CredentialsError(words, code=error.code) from error


def _whom(event: str, payload: Mapping[str, Any]) -> str:
    inner = payload.get("person")
    told = inner.get("id") if isinstance(inner, dict) else payload.get("person_id")
    if told is None and event in PERSON_EVENTS:
        told = payload.get("id")
    return employee_id(told, "payload.person.id")


def _field(found: Mapping[str, Any], field: str) -> Any:
    """The person's id, or a custom attribute by either of its ids."""
    if field == "id":
        return found.get("id")
    attributes = found.get("custom_attributes")
    for one in attributes if isinstance(attributes, list) else ():
        if isinstance(one, dict) and field in {one.get("id"), one.get("global_id")}:
            return one.get("value")
    return None


def _last_day(employments: Sequence[Any]) -> date | None:
    """When the employment that is open now ends; the newest comes first."""
    for one in employments:
        if isinstance(one, dict) and one.get("status") in OPEN:
            ending = one.get("termination")
            told = ending.get("termination_date") if isinstance(ending, dict) else None
            return day(told or one.get("employment_end_date"), "termination.termination_date")
    return None


def _known(response: httpx.Response) -> Mapping[str, Any]:
    """The person. A 404 without Personio's own error object is somebody else's, and says nothing of the person."""
    if response.status_code == httpx.codes.NOT_FOUND:
        try:
            theirs = isinstance(as_object(response).get("errors"), list)
        except ValueError:
            theirs = False
        if not theirs:
            raise RejectedError("what answers is not Personio's API; check options.api_url", code="http-404")
    return json_answer(response)


def _employments(response: httpx.Response) -> Sequence[Any]:
    found = json_answer(response)["_data"]
    if not isinstance(found, list):
        raise ValueError("_data is not a list")  # noqa: TRY004 - an answer that cannot be read, as any other
    return found


def _content(response: httpx.Response) -> bytes:
    return checked(response).content


def _token(response: httpx.Response) -> tuple[str, float]:
    found = json_answer(response)
    return str(found["access_token"]), float(found["expires_in"])
