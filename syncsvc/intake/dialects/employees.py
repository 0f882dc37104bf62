"""What the clients of HR systems' APIs share: answers to errors, access tokens, and an employee in our words."""

import base64
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from http import HTTPStatus
from typing import Annotated, Any, TypeVar
from urllib.parse import quote
from zoneinfo import ZoneInfo

import httpx
from pydantic import AfterValidator, Field, SecretStr

from syncsvc.intake.lines import person_id
from syncsvc.library.faults import retry_after
from syncsvc.library.http import Door
from syncsvc.model.changes import Change, Departed, FaceReplaced, Fetched, Told, Upserted
from syncsvc.model.errors import (
    CredentialsError,
    FetchError,
    GoneError,
    InputError,
    MisconfiguredError,
    RejectedError,
    ThrottledError,
    UnavailableError,
)
from syncsvc.model.people import FaceId, PersonId, Photo
from syncsvc.settings.addresses import http_url

T = TypeVar("T")

FACE = FaceId("main")  # HR systems keep one picture of an employee
LONGEST_NAME = 1000
LONGEST_LIFE = 86400.0  # seconds that an access token is kept, whatever is said of it
SPARE = 60.0  # seconds before its end that an access token is no longer used


def _api(value: str) -> str:
    return http_url(value, allow_http=False)


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (OSError, ValueError, LookupError):
        raise ValueError('is no known time zone; write one like "Asia/Shanghai"') from None
    return value


ApiUrl = Annotated[str, AfterValidator(_api), Field(description="an address like https://api.example.com")]
TimeZone = Annotated[str, AfterValidator(_zone), Field(description='a time zone like "Asia/Shanghai"')]


@dataclass(frozen=True, slots=True)
class Employee:
    """What every HR system can say of somebody. `last_day` is the last they are there; None: nothing is planned."""

    person: PersonId
    departed: bool
    name: str | None = field(default=None, repr=False)
    last_day: date | None = None


Picture = Callable[[], Photo | None]


def fetched(source: str, employee: Employee, picture: Picture, now: datetime, zone: str | None) -> Fetched:
    """The employee as changes. Somebody who is gone is not asked for a picture, and needs none to be gone.

    The picture is one face; others, which came from elsewhere, stay. One that cannot be had leaves all as they are.
    `zone` is where a last day ends; None: this HR system knows nothing of planned departures, so what others planned
    stays planned.
    """
    if employee.departed:
        return Fetched(employee.person, (tell(source, Departed(employee.person)),))
    photo, lacking, again = _photo(picture)
    there = Upserted(employee.person, None, employee.name)
    told = [tell(source, there, cancels_departure=zone is not None)]
    if photo is not None:
        told.append(tell(source, FaceReplaced(employee.person, FACE, photo)))
    if zone is not None and employee.last_day is not None:
        moment = end_of(employee.last_day, zone)
        # A last day that is over, of somebody whom the HR system has there, is from an earlier time with the company.
        if moment > now:
            told.append(tell(source, Departed(employee.person), effective_at=moment))
    return Fetched(employee.person, tuple(told), lacking, again)


def gone(source: str, person: PersonId | None) -> Fetched:
    """The HR system knows the employee no more. `person` None: who that was to us, only our own records say."""
    return Fetched(None, () if person is None else (tell(source, Departed(person)),))


def tell(source: str, change: Change, *, effective_at: datetime | None = None, cancels_departure: bool = False) -> Told:
    return Told(source, uuid.uuid4().hex, change, effective_at=effective_at, cancels_departure=cancels_departure)


def end_of(day: date, zone: str) -> datetime:
    """The midnight that ends a day there."""
    return datetime.combine(day + timedelta(days=1), time(), ZoneInfo(zone))


def day(found: Any, place: str) -> date | None:
    """A date like 2026-03-31, also with a time behind it; None for nothing. Raises InputError with the place."""
    if found in (None, "", "0000-00-00"):
        return None
    try:
        told = date.fromisoformat(str(found)[:10])
    except ValueError:
        raise InputError(f"{place}: must be a date like 2026-03-31", field=place) from None
    return told if told.year < date.max.year else None  # 9999-12-31 is how some say "never"


def person(found: Any, place: str) -> PersonId:
    """A field that says who an employee is to us. Raises InputError with the place, and what to do."""
    told = str(found) if isinstance(found, int) and not isinstance(found, bool) else found
    if not isinstance(told, str) or not told:
        words = "is empty; fill it in, or let the API's user see it, or choose another person_field"
        raise InputError(f"{place}: {words}", field=place)
    try:
        return person_id(told)
    except InputError as error:
        raise InputError(f"{place}: {error}", field=place) from None


def same(told: Any, employee: str, place: str) -> None:
    """Raises InputError for an answer about somebody else than was asked for."""
    if str(told) != employee:
        raise InputError(f"{place}: the answer is about another employee, or about none", field=place)


def name(*parts: Any) -> str | None:
    """A name out of what was told of it; None where nothing was."""
    told = " ".join(part.strip() for part in parts if isinstance(part, str) and part.strip())
    return told[:LONGEST_NAME].encode("utf-8", "replace").decode() or None


def segment(employee: str) -> str:
    """An id as one part of a path, whatever is in it: the dots of ".." would be taken for a way."""
    return quote(employee, safe="").replace(".", "%2E")


def ask(door: Door, operation: str, build: Callable[[], httpx.Request], read: Callable[[httpx.Response], T]) -> T:
    """One call that changes nothing, as `Door.call` makes it, in words that fit an HR system."""
    try:
        return door.call(operation, build, read, changes=False)
    except UnavailableError as error:
        words = str(error).replace("the library", "the HR system")
        raise UnavailableError(words, code=error.code, about_person=error.about_person) from error


def basic(user: str, password: SecretStr) -> str:
    """An Authorization header's value (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{user}:{password.get_secret_value()}".encode()).decode()


def json_answer(response: httpx.Response) -> Mapping[str, Any]:
    """The JSON object of a success. Raises our errors for every other status, and ValueError for anything else."""
    return as_object(checked(response))


def as_object(response: httpx.Response) -> Mapping[str, Any]:
    """The answer's JSON object, whatever its status. Raises ValueError where it has none."""
    try:
        found = response.json()
    except RecursionError:
        found = None
    if not isinstance(found, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - an answer that cannot be read, as any other
    return found


def checked(response: httpx.Response) -> httpx.Response:
    """The response, if it is a success. Raises GoneError for 404: whether that is to be believed, the caller knows."""
    status = response.status_code
    code = f"http-{status}"
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return response
    if status == HTTPStatus.TOO_MANY_REQUESTS or (
        status == HTTPStatus.SERVICE_UNAVAILABLE and "Retry-After" in response.headers
    ):
        raise ThrottledError("the HR system asks us to slow down", code=code, retry_after=retry_after(response))
    if status == HTTPStatus.UNAUTHORIZED:
        raise CredentialsError("the HR system does not accept our credentials; correct the options", code=code)
    if status == HTTPStatus.FORBIDDEN:
        raise CredentialsError("the HR system does not let its API's user see this; give it the permission", code=code)
    if status == HTTPStatus.NOT_FOUND:
        raise GoneError("there is nothing by that id", code=code)
    if status == HTTPStatus.REQUEST_TIMEOUT or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise UnavailableError("the HR system is out of order", code=code)
    if status < HTTPStatus.BAD_REQUEST:
        raise MisconfiguredError("what answers is not the HR system's API; check options.api_url", code=code)
    raise RejectedError("the HR system does not accept how we asked", code=code)


class Tokens:
    """An access token of one account, kept until shortly before its end; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._token = ""
        self._until: datetime | None = None

    def use(self, now: datetime, mint: Callable[[], tuple[str, float]], call: Callable[[str], T]) -> T:
        """What `call` makes of a token. `mint` makes a fresh one, with its life in seconds.

        A token may end before its time: where it is refused, one fresh one is tried. Raises CredentialsError where
        that is refused too.
        """
        token, fresh = self._get(now, mint)
        try:
            return call(token)
        except CredentialsError:
            self._forget(token)
            if fresh:
                raise
        return call(self._get(now, mint)[0])

    def _get(self, now: datetime, mint: Callable[[], tuple[str, float]]) -> tuple[str, bool]:
        with self._lock:
            if self._until is not None and now < self._until:
                return self._token, False
            self._token, life = mint()
            self._until = now + timedelta(seconds=max(0.0, min(LONGEST_LIFE, life) - SPARE))
            return self._token, True

    def _forget(self, token: str) -> None:
        with self._lock:
            if self._token == token:
                self._until = None


def _photo(picture: Picture) -> tuple[Photo | None, str | None, bool]:
    """The picture; where there is none, why it could not be had, and whether it may be had later."""
    try:
        return picture(), None, False
    except GoneError:
        return None, None, False
    except (FetchError, UnavailableError) as error:
        return None, f"the photo cannot be had just now ({error}); it is asked for again", True
    except (InputError, MisconfiguredError, RejectedError) as error:
        return None, f"the photo cannot be used: {error}", False
