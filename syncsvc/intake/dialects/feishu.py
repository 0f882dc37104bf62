"""Feishu and Lark, contact events v3: signed, encrypted, with a challenge; the user is then read through the API.

Shapes: https://open.feishu.cn/document/ukTMukTMukTM/uYDNxYjL2QTM24iN0EjN/event-subscription-configure-/
encrypt-key-encryption-configuration-case (signature check, decryption), .../request-url-configuration-case (the
challenge), .../uAjLw4CM/ukTMukTMukTM/reference/contact-v3/user/events/created, .../updated, .../deleted. The API:
.../reference/contact-v3/user/get (1,000 a minute and 50 a second), .../contact-v3/user/delete ("a deleted user can
still be read, and is_resigned then"), .../auth-v3/auth/tenant_access_token_internal and the common error codes.

The events carry more than an id, and what they carry depends on the app's permissions and is as old as the message,
which is sent again for hours; so they are taken as invalidations all the same. The address takes every event that
the app subscribes to: those that are about no user are heard and say nothing.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, Literal

import httpx
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from pydantic import Field, SecretStr

from syncsvc.intake.dialects.base import Dialect, DialectOptions, Heard, Message, Photos
from syncsvc.intake.dialects.employees import (
    ApiUrl,
    Employee,
    Tokens,
    as_object,
    ask,
    checked,
    fetched,
    name,
    person,
    same,
    segment,
)
from syncsvc.intake.dialects.signed import check_recent, employee_id, fits, json_object, part, refuse, text
from syncsvc.library.faults import LONGEST_WAIT
from syncsvc.library.http import Door
from syncsvc.model.changes import Fetched
from syncsvc.model.errors import (
    CredentialsError,
    InputError,
    LibraryError,
    RejectedError,
    ThrottledError,
    UnavailableError,
)
from syncsvc.model.people import Photo
from syncsvc.model.permits import Rate

EVENTS = frozenset(f"contact.user.{what}_v3" for what in ("created", "updated", "deleted"))
CHALLENGE = "url_verification"
BLOCK = 16

THROTTLED = 99991400
# Of codes that are not here nothing is known: the user is asked for again, and nobody departs by them.
FAULTS: Mapping[int, tuple[type[LibraryError], str]] = {
    10003: (CredentialsError, "Feishu knows no such app_id"),
    10014: (CredentialsError, "the app_secret is wrong"),
    99991661: (CredentialsError, "the access token is missing"),
    99991663: (CredentialsError, "the access token is over"),
    99991664: (CredentialsError, "the access token is over"),
    99991672: (CredentialsError, "the app lacks a permission; add it in the developer console and publish a version"),
    41012: (RejectedError, "Feishu knows no such user id"),
    41050: (RejectedError, "the user is outside the app's contact scope; widen it in the developer console"),
}
AVATARS = ("avatar_640", "avatar_origin", "avatar_240")
GONE = ("is_resigned", "is_exited")  # resigned, or left of their own accord; frozen and not yet joined are there


class Options(DialectOptions):
    """Lark is `api_url = "https://open.larksuite.com"`. Keys and tokens are lists, for while they change."""

    encrypt_keys: tuple[SecretStr, ...] = Field(min_length=1, description='a list of "env:NAME"; the Encrypt Key')
    verification_tokens: tuple[SecretStr, ...] = Field(
        min_length=1, description='a list of "env:NAME"; the Verification Token'
    )
    app_id: str = Field(min_length=1, max_length=200, description="the app's id")
    app_secret: SecretStr = Field(description='"env:NAME" of the app\'s secret')
    api_url: ApiUrl = "https://open.feishu.cn"
    person_field: Literal["user_id", "open_id", "union_id", "employee_no"] = Field(
        default="user_id", description="user_id, open_id, union_id or employee_no"
    )


class Speaker(Dialect[Options]):
    Options = Options
    rates: ClassVar[tuple[Rate, ...]] = (Rate(50), Rate(1000, 60.0))

    def __init__(self, name: str, options: Any) -> None:
        super().__init__(name, options)
        self._tokens = Tokens()
        self._asked_by = "open_id" if options.person_field == "employee_no" else options.person_field

    def hear(self, message: Message, photos: Photos, now: datetime) -> Heard:  # noqa: ARG002 - they send no photos
        signed = "x-lark-signature" in message.headers
        if signed:
            self._verify(message, now)
        given = self._open(message.body)
        if given.get("type") == CHALLENGE:  # which Feishu sends unsigned; it knows the key and the token
            self._check_token(given.get("token"))
            return Heard(CHALLENGE, answer={"challenge": text(given, "challenge")})
        if not signed:
            refuse()
        self._check_token(part(given, "header").get("token"))
        id_ = employee_id(part(given, "header").get("event_id"), "header.event_id")
        if text(given, "header", "event_type") not in EVENTS:
            return Heard(id_)
        user = part(given, "event", "object")
        return Heard(id_, employees=(employee_id(user.get(self._asked_by), f"event.object.{self._asked_by}"),))

    def api_url(self) -> str:
        return self.options.api_url

    def credential_id(self) -> str:
        return self.options.app_id

    def fetch(self, employee: str, door: Door, photos: Photos, now: datetime) -> Fetched:
        def call(token: str) -> Mapping[str, Any]:
            path = f"/open-apis/contact/v3/users/{segment(employee)}"
            headers, parameters = {"Authorization": f"Bearer {token}"}, {"user_id_type": self._asked_by}
            url = door.base_url + path
            return ask(
                door, "user", lambda: door.client.build_request("GET", url, params=parameters, headers=headers), _user
            )

        user = self._tokens.use(now, lambda: self._mint(door), call)
        same(user.get(self._asked_by), employee, self._asked_by)
        status = part(user, "status")
        if not isinstance(status.get("is_resigned"), bool):
            words = "is not shown; give the app the permission contact:user.employee:readonly"
            raise InputError(f"status.is_resigned: {words}", field="status.is_resigned")
        who = person(user.get(self.options.person_field), self.options.person_field)
        there = Employee(who, any(status.get(one) is True for one in GONE), name(user.get("name")))

        def picture() -> Photo | None:
            avatar = user.get("avatar")
            urls = [avatar.get(size) for size in AVATARS] if isinstance(avatar, dict) else []
            url = next((one for one in urls if isinstance(one, str) and one), None)
            return None if url is None else photos.fetch(url)

        return fetched(self.name, there, picture, now, zone=None)

    def _verify(self, message: Message, now: datetime) -> None:
        stamp = message.headers.get("x-lark-request-timestamp", "")
        before = stamp + message.headers.get("x-lark-request-nonce", "")
        expected = [
            hashlib.sha256(
                (before + key.get_secret_value()).encode("utf-8", "surrogatepass") + message.body
            ).hexdigest()
            for key in self.options.encrypt_keys
        ]
        if not fits(message.headers["x-lark-signature"].lower(), expected):
            refuse()
        check_recent(stamp, now)

    def _open(self, body: bytes) -> Mapping[str, Any]:
        """What is encrypted in the body. Whoever does not have the key learns nothing from how this fails."""
        try:
            sealed = base64.b64decode(text(json_object(body), "encrypt"), validate=True)
        except (InputError, binascii.Error, ValueError):
            refuse()
        for key in self.options.encrypt_keys:
            opened = _decrypted(sealed, key.get_secret_value())
            if opened is not None:
                return opened
        return refuse()

    def _check_token(self, given: Any) -> None:
        expected = [one.get_secret_value() for one in self.options.verification_tokens]
        if not isinstance(given, str) or not fits(given, expected):
            refuse()

    def _mint(self, door: Door) -> tuple[str, float]:
        body = {"app_id": self.options.app_id, "app_secret": self.options.app_secret.get_secret_value()}
        url = f"{door.base_url}/open-apis/auth/v3/tenant_access_token/internal"
        return ask(door, "token", lambda: door.client.build_request("POST", url, json=body), _token)


def _decrypted(sealed: bytes, key: str) -> Mapping[str, Any] | None:
    """AES-256-CBC; the key is the SHA-256 of the Encrypt Key, the first block is the vector."""
    if len(sealed) < 2 * BLOCK or len(sealed) % BLOCK:
        return None
    cipher = Cipher(algorithms.AES256(hashlib.sha256(key.encode()).digest()), modes.CBC(sealed[:BLOCK])).decryptor()
    unpadder = PKCS7(8 * BLOCK).unpadder()
    try:
        padded = cipher.update(sealed[BLOCK:]) + cipher.finalize()
        return json_object(unpadder.update(padded) + unpadder.finalize())
    except (ValueError, InputError):
        return None


def _answer(response: httpx.Response) -> Mapping[str, Any]:
    """Feishu's own answer: its code counts, and comes with a 200 as well as with a 400 or 403."""
    try:
        found = as_object(response)
    except ValueError:
        found = {}
    code = found.get("code")
    if not isinstance(code, int):
        checked(response)
        raise ValueError("no code of Feishu's")  # noqa: TRY004 - an answer that cannot be read, as any other
    if code == 0:
        return found
    if code == THROTTLED:
        raise ThrottledError("Feishu asks us to slow down", code=str(code), retry_after=_reset(response))
    error, words = FAULTS.get(code, (UnavailableError, "Feishu answered with a code that this dialect does not know"))
    raise error(f"{words} ({code})", code=str(code), about_person=code not in FAULTS)


def _reset(response: httpx.Response) -> float | None:
    told = response.headers.get("x-ogw-ratelimit-reset", "")
    return min(LONGEST_WAIT, float(told[:6])) if told.isascii() and told.isdigit() else None


def _user(response: httpx.Response) -> Mapping[str, Any]:
    user = _answer(response)["data"]["user"]
    if not isinstance(user, dict):
        raise ValueError("no user")  # noqa: TRY004 - an answer that cannot be read, as any other
    return user


def _token(response: httpx.Response) -> tuple[str, float]:
    found = _answer(response)
    return str(found["tenant_access_token"]), float(found["expire"])
