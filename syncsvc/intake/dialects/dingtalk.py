"""DingTalk, contact events by HTTP push: signed, encrypted both ways; the user is then read through the API.

Shapes: https://open.dingtalk.com/document/orgapp/configure-event-subcription ("HTTP push": signature, encryption,
check_url, the encrypted "success" that every push waits for), .../orgapp/event-list-1 and .../orgapp/
address-book-user-add and its neighbours (user_add_org, user_modify_org, user_active_org, user_leave_org with their
UserId lists). The API: .../orgapp/query-user-details (topapi/v2/user/get), .../orgapp/obtain-the-access_token-of-an-
internal-app (POST /v1.0/oauth2/accessToken) and .../orgapp/server-api-error-codes-1 (60121: there is no such user in
the company). 20 calls a second of one interface are allowed to an app (.../orgapp/frequency-limit-rules).

The address takes every event that the app subscribes to: those about no user are heard and say nothing.
"""

import base64
import binascii
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Literal

import httpx
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from pydantic import Field, SecretStr, field_validator

from syncsvc.intake.dialects.base import Dialect, DialectOptions, Heard, Message, Photos
from syncsvc.intake.dialects.employees import (
    ApiUrl,
    Employee,
    Tokens,
    ask,
    fetched,
    gone,
    json_answer,
    name,
    person,
    same,
)
from syncsvc.intake.dialects.signed import check_recent, employee_ids, fits, json_object, message_id, refuse, text
from syncsvc.library.http import Door
from syncsvc.model.changes import Fetched
from syncsvc.model.errors import (
    CredentialsError,
    GoneError,
    InputError,
    LibraryError,
    MisconfiguredError,
    RejectedError,
    ThrottledError,
    UnavailableError,
)
from syncsvc.model.people import Photo
from syncsvc.model.permits import Rate

EVENTS = frozenset(f"user_{what}_org" for what in ("add", "modify", "active", "leave"))
KEY_LENGTH = 43  # characters: base64 of 32 bytes without its last =
RANDOM, LENGTH, BLOCK = 16, 4, 32  # bytes: before the text, its length, and what is padded to

# Of codes that are not here nothing is known: the user is asked for again, and nobody departs by them.
FAULTS: Mapping[int, tuple[type[LibraryError], str]] = {
    60121: (GoneError, "there is no such user in the company"),
    33012: (RejectedError, "DingTalk does not take this for a user's id"),
    40014: (CredentialsError, "the access token is wrong"),
    42001: (CredentialsError, "the access token is over"),
    50002: (RejectedError, "the user is outside what the app may see; widen its contact scope"),
    60011: (CredentialsError, "the app lacks the permission to read users; add it in the developer console"),
    60020: (MisconfiguredError, "our address is not among those that the app allows"),
    -1: (UnavailableError, "DingTalk is busy"),
}
DENIED = 88  # the gateway's own; what it means stands in sub_code
THROTTLED = frozenset({"90002", "90005", "90006", "90007", "90008", "90010", "90014", "90018"})


class Options(DialectOptions):
    """Tokens and keys are lists, for while they change. `corp_id` is needed where pushes are sealed for it."""

    tokens: tuple[SecretStr, ...] = Field(min_length=1, description='a list of "env:NAME"; the push\'s token')
    aes_keys: tuple[SecretStr, ...] = Field(min_length=1, description='a list of "env:NAME"; the push\'s aes_key')
    app_key: str = Field(min_length=1, max_length=200, description="the app's key (client id)")
    app_secret: SecretStr = Field(description='"env:NAME" of the app\'s secret')
    corp_id: str | None = Field(default=None, min_length=1, max_length=200, description="the company's id")
    api_url: ApiUrl = "https://oapi.dingtalk.com"
    token_url: ApiUrl = "https://api.dingtalk.com"  # noqa: S105 - an address
    person_field: Literal["userid", "job_number", "unionid"] = Field(
        default="userid", description="userid, job_number or unionid"
    )

    @field_validator("aes_keys")
    @classmethod
    def _keys(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if not all(_key(one.get_secret_value()) for one in value):
            raise ValueError(f"do not all lead to {KEY_LENGTH} letters and digits, as the developer console shows them")
        return value


@dataclass(frozen=True, slots=True)
class Seal:
    """How a push came: with which token and key, and for whom. Its answer goes back the same way."""

    token: str
    key: bytes
    owner: str

    def answer(self, said: str, now: datetime) -> dict[str, str]:
        """`said`, encrypted and signed."""
        plain, owner = said.encode(), self.owner.encode()
        content = secrets.token_bytes(RANDOM) + len(plain).to_bytes(LENGTH, "big") + plain + owner
        left = BLOCK - len(content) % BLOCK
        cipher = Cipher(algorithms.AES256(self.key), modes.CBC(self.key[:RANDOM])).encryptor()
        sealed = base64.b64encode(cipher.update(content + bytes([left]) * left) + cipher.finalize()).decode()
        stamp, nonce = str(int(now.timestamp() * 1000)), secrets.token_hex(8)
        signature = _signature(self.token, stamp, nonce, sealed)
        return {"msg_signature": signature, "timeStamp": stamp, "nonce": nonce, "encrypt": sealed}


class Speaker(Dialect[Options]):
    Options = Options
    rates: ClassVar[tuple[Rate, ...]] = (Rate(20),)

    def __init__(self, name: str, options: Any) -> None:
        super().__init__(name, options)
        self._tokens = Tokens()
        self._owners = [options.app_key, *([options.corp_id] if options.corp_id else [])]

    def hear(self, message: Message, photos: Photos, now: datetime) -> Heard:  # noqa: ARG002 - they send no photos
        seal, said = self._open(message, now)
        id_ = message_id(message.query.get("timestamp", "").encode(), message.body)
        given = json_object(said)
        answer = seal.answer("success", now)
        if text(given, "EventType") not in EVENTS:  # check_url, and whatever else the app subscribes to
            return Heard(id_, answer=answer)
        return Heard(id_, employees=employee_ids(given.get("UserId"), "UserId"), answer=answer)

    def api_url(self) -> str:
        return self.options.api_url

    def credential_id(self) -> str:
        return self.options.app_key

    def fetch(self, employee: str, door: Door, photos: Photos, now: datetime) -> Fetched:
        def call(token: str) -> Mapping[str, Any]:
            # The token stands in the address because this interface takes it nowhere else.
            url, body = f"{door.base_url}/topapi/v2/user/get", {"userid": employee}
            parameters = {"access_token": token}
            return ask(
                door, "user", lambda: door.client.build_request("POST", url, params=parameters, json=body), _user
            )

        field = self.options.person_field
        try:
            user = self._tokens.use(now, lambda: self._mint(door), call)
        except GoneError as error:
            if error.code != "60121":
                raise RejectedError(
                    "what answers is not DingTalk's API; check options.api_url", code=error.code
                ) from error
            return gone(self.name, person(employee, field) if field == "userid" else None)
        same(user.get("userid"), employee, "userid")
        there = Employee(person(user.get(field), field), departed=False, name=name(user.get("name")))

        def picture() -> Photo | None:
            url = user.get("avatar")
            return photos.fetch(url) if isinstance(url, str) and url else None

        return fetched(self.name, there, picture, now, zone=None)

    def _open(self, message: Message, now: datetime) -> tuple[Seal, bytes]:
        """The seal and what is under it. Whoever does not have token and key learns nothing from how this fails."""
        query = message.query
        stamp, nonce = query.get("timestamp", ""), query.get("nonce", "")
        given = query.get("msg_signature") or query.get("signature", "")
        try:
            sealed = text(json_object(message.body), "encrypt")
        except InputError:
            refuse()
        token = self._token(given.lower(), stamp, nonce, sealed)
        check_recent(stamp, now)
        for one in self.options.aes_keys:
            key = _key(one.get_secret_value())
            for owner in self._owners:
                said = _decrypted(sealed, key, owner.encode())
                if said is not None:
                    return Seal(token, key, owner), said
        return refuse()

    def _token(self, given: str, stamp: str, nonce: str, sealed: str) -> str:
        """The token that the signature was made with."""
        found = None
        for one in self.options.tokens:
            token = one.get_secret_value()
            if fits(given, [_signature(token, stamp, nonce, sealed)]):
                found = token
        return refuse() if found is None else found

    def _mint(self, door: Door) -> tuple[str, float]:
        body = {"appKey": self.options.app_key, "appSecret": self.options.app_secret.get_secret_value()}
        url = f"{self.options.token_url}/v1.0/oauth2/accessToken"
        try:
            return ask(door, "token", lambda: door.client.build_request("POST", url, json=body), _token)
        except (RejectedError, GoneError) as error:  # a wrong secret is answered with 400
            words = "DingTalk gives no access token; check app_key, app_secret and token_url"
            raise CredentialsError(words, code=error.code) from error


def _signature(*parts: str) -> str:
    joined = "".join(sorted(parts)).encode("utf-8", "surrogatepass")
    return hashlib.sha1(joined).hexdigest()  # noqa: S324 - DingTalk's own choice


def _key(told: str) -> bytes:
    """The AES key; empty where it is none."""
    try:
        return base64.b64decode(told + "=", validate=True) if len(told) == KEY_LENGTH else b""
    except binascii.Error:
        return b""


def _decrypted(sealed: str, key: bytes, owner: bytes) -> bytes | None:
    """The text: behind 16 random bytes and its length, before its owner, padded to 32 bytes."""
    try:
        content = base64.b64decode(sealed, validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(content) < BLOCK or len(content) % RANDOM:
        return None
    cipher = Cipher(algorithms.AES256(key), modes.CBC(key[:RANDOM])).decryptor()
    plain = cipher.update(content) + cipher.finalize()
    plain = plain[: -plain[-1]] if 1 <= plain[-1] <= BLOCK else b""
    start = RANDOM + LENGTH
    end = start + int.from_bytes(plain[RANDOM:start], "big")
    return plain[start:end] if start <= end <= len(plain) and plain[end:] == owner else None


def _user(response: httpx.Response) -> Mapping[str, Any]:
    found = json_answer(response)
    code = found["errcode"]
    if code == 0:
        user = found["result"]
        if not isinstance(user, dict):
            raise ValueError("no user")
        return user
    if code == DENIED:
        code = found.get("sub_code")
        if str(code) in THROTTLED:
            raise ThrottledError("DingTalk asks us to slow down", code=str(code))
        code = int(str(code)) if str(code).isdecimal() else DENIED
    error, words = FAULTS.get(code, (UnavailableError, "DingTalk answered with a code that this dialect does not know"))
    raise error(f"{words} ({code})", code=str(code), about_person=code not in FAULTS)


def _token(response: httpx.Response) -> tuple[str, float]:
    found = json_answer(response)
    return str(found["accessToken"]), float(found["expireIn"])
