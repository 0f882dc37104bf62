"""Alibaba Cloud's custom face library to practise on: true to its documents, with a switch where they are silent.

On purpose not simulated: that a new group matches only from the next day on, and that unused faces are purged
after a year; neither can be seen through the calls that are here.
"""

import asyncio
import base64
import hashlib
import hmac
import itertools
import re
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, ClassVar
from urllib.parse import parse_qsl

from syncsvc.sandbox import base
from syncsvc.sandbox.base import Answer, Call, Limits, StoredFace
from syncsvc.sandbox.fetch import Trouble, fetch_photo
from syncsvc.sandbox.world import World, digest_of, faces_in

CREDENTIALS: Mapping[str, str] = MappingProxyType({"sandbox-key": "sandbox-secret"})

_PREFIX = "/green/sface/"
_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")
_CLOCK_SKEW = 900.0  # seconds, either way (434846)
_MAX_FACES, _MAX_GROUPS, _MAX_PAGE = 20, 100, 100
_FETCHING: Mapping[str, Any] = MappingProxyType(  # 70417, 53414
    {"seconds": 3.0, "max_bytes": 20 * 1024 * 1024, "formats": frozenset({"PNG", "JPEG", "BMP", "GIF", "WEBP"})}
)
_FIRST_ID = 23088737259260929  # the documented sample: no double can hold it
_WORDS = {
    400: "BAD_REQUEST",
    401: "NOT_ALLOWED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    480: "DOWNLOAD_FAILED",
    580: "DB_FAILED",
    588: "EXCEED_QUOTA",
    589: "TOO_LARGE",
    590: "BAD_FORMAT",
    592: "DOWNLOAD_TIMEOUT",
}


_TROUBLES = {
    Trouble.SCHEME: 401,
    Trouble.FORBIDDEN: 403,
    Trouble.MISSING: 404,
    Trouble.FAILED: 480,
    Trouble.TIMEOUT: 592,
    Trouble.TOO_LARGE: 589,
    Trouble.FORMAT: 590,
}


class _RefusedError(Exception):
    """Ends a call with an error code in the body."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(str(code))


class Sandbox(base.Sandbox):
    """`credentials` are the access keys that are let in; they share one world, each has limits of its own.

    Switches, for what is not documented:
    existing_person   person/add of somebody who is there: 200, or this code
    gone_face         face/delete naming a face that is not there: 200 without it, or this code for the whole call
    error_layer       where an error code stands: "top" or "data"
    throttle_layer    "body": 588 at HTTP 200; "gateway": Throttling.User
    envelope          "lower" as in the samples, "capital" as in the table of common parameters (53414)
    float_ids         faceId is a number that has been a double, as add-face's table has it
    plant_group       the group of planted people
    """

    name: ClassVar[str] = "aliyun"
    default_port: ClassVar[int] = 5602
    practice_options: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            "access_key_id": "sandbox-key",
            "access_key_secret": "sandbox-secret",
            "region": "cn-shanghai",
            "group_id": "staff",
        }
    )
    operations: ClassVar[tuple[str, ...]] = (
        "face/add",
        "face/delete",
        "faces",
        "group/persons",
        "groups",
        "person",
        "person/add",
        "person/delete",
        "person/groups/add",
    )
    documented_limits: ClassVar[Limits] = Limits(each=((20, 1.0),), operations={"person/groups/add": ((10, 1.0),)})
    default_switches: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "existing_person": 200,
            "gone_face": 200,
            "error_layer": "top",
            "throttle_layer": "body",
            "envelope": "lower",
            "float_ids": False,
            "plant_group": "staff",
        }
    )

    def __init__(self, *, credentials: Mapping[str, str] = CREDENTIALS, **options: Any) -> None:
        self.credentials = dict(credentials)
        self._nonces: dict[tuple[str, str], float] = {}
        self._ids = itertools.count(_FIRST_ID, 7)
        self._actions: Mapping[str, Callable[[Any, Call], Any]] = {
            "face/add": self._add_faces,
            "face/delete": self._delete_faces,
            "faces": self._get_faces,
            "group/persons": self._get_persons,
            "groups": self._get_groups,
            "person": self._get_person,
            "person/add": self._add_person,
            "person/delete": self._delete_person,
            "person/groups/add": self._add_groups,
        }
        super().__init__(**options)

    def operation(self, call: Call) -> str:
        named = call.path.removeprefix(_PREFIX)
        return named if call.method == "POST" and call.path != named and named in self.operations else "unknown"

    def account(self, call: Call) -> str:
        return _told_key(call)[0]

    def authenticate(self, operation: str, call: Call) -> Answer | None:
        """The gateway (53413). As the vendor's own client has neither, no nonce is demanded, nor JSON as type."""
        refusal = self._refusal(operation, call)
        return None if refusal is None else self._gateway(*refusal)

    def _refusal(self, operation: str, call: Call) -> tuple[int, str, str] | None:
        key_id, signed = _told_key(call)
        text = _string_to_sign(call)
        if operation == "unknown" or call.headers.get("x-acs-version") != "2018-05-09":
            refusal = 404, "InvalidAction.NotFound", "Specified api is not found."
        elif key_id not in self.credentials:
            refusal = 404, "InvalidAccessKeyId.NotFound", "Specified access key is not found."
        elif call.headers.get("content-md5", "") != (_md5(call.body) if call.body else ""):
            refusal = 400, "ContentMD5NotMatched", "Content-MD5 does not fit the body."
        elif not hmac.compare_digest(signed.encode(), _signature(self.credentials[key_id], text).encode()):
            told = f"Specified signature does not match our calculation. server string to sign is:{text}"
            refusal = 400, "SignatureDoesNotMatch", told
        elif abs(call.at - _told_time(call)) > _CLOCK_SKEW:
            refusal = 400, "InvalidTimeStamp.Expired", "Specified time stamp or date value is expired."
        elif self._used(key_id, call):
            refusal = 400, "SignatureNonceUsed", "Specified signature nonce was used already."
        else:
            return None
        return refusal

    def _used(self, key_id: str, call: Call) -> bool:
        """Whether the nonce, if there is one, was seen while its request could still be valid."""
        nonce = key_id, call.headers.get("x-acs-signature-nonce", "")
        with self.lock:
            while self._nonces and call.at - next(iter(self._nonces.values())) > 2 * _CLOCK_SKEW:
                del self._nonces[next(iter(self._nonces))]
            used = bool(nonce[1]) and nonce in self._nonces
            self._nonces.setdefault(nonce, call.at)
            return used

    async def prepare(self, operation: str, call: Call) -> None:
        """Fetch the photos, as the vendor does while the caller waits."""
        if operation == "face/add":
            with suppress(ValueError, KeyError, TypeError, AttributeError):
                urls = list(dict.fromkeys(_texts(call.json()["urls"])))
                photos = await asyncio.gather(*(fetch_photo(url, **_FETCHING) for url in urls))
                call.fetched.update(zip(urls, photos, strict=True))

    def handle(self, operation: str, call: Call) -> Answer:
        try:
            told = call.json() if call.body else {}
            return self._answer(self._actions[operation](told, call))
        except _RefusedError as error:
            return self._error(error.code)
        except (ValueError, KeyError, TypeError, AttributeError):
            return self._error(400)

    def new_ids(self) -> tuple[str, str | None]:
        return str(next(self._ids)), None

    def plant_record(self, person_key: str) -> None:
        self.world.records.setdefault(person_key, {"groups": (self.switches["plant_group"],)})

    # --- the calls --------------------------------------------------------------------------------------------

    def _add_person(self, told: Any, _: Call) -> Any:
        key, groups = _id(told["personId"]), tuple(map(_id, _texts(told["groupIds"])))
        before = self.world.records.get(key)
        if before is not None and self.switches["existing_person"] != HTTPStatus.OK:
            raise _RefusedError(self.switches["existing_person"])
        return self._join(key, groups if before is None else (*before["groups"], *groups))

    def _add_groups(self, told: Any, _: Call) -> Any:
        key = self._person(told)
        return self._join(key, (*self.world.records[key]["groups"], *map(_id, _texts(told["groupIds"]))))

    def _join(self, key: str, groups: tuple[str, ...]) -> Any:
        groups = tuple(dict.fromkeys(groups))
        if not groups or len(self._groups() | set(groups)) > _MAX_GROUPS:
            raise _RefusedError(400)
        self.world.records[key] = {"groups": groups}
        return {"personId": key, "groupIds": list(groups)}

    def _delete_person(self, told: Any, call: Call) -> Any:
        """Takes the faces along (70421)."""
        key = self._person(told)
        gone, left = self.first_half(call, self.world.of(key))
        for face in gone:
            self.world.remove(face.vendor_face_id)
        if left:
            return {"personId": key, "deleteCount": 0 if call.half == "honest" else 1}
        self.world.forget(key)
        return {"personId": key, "deleteCount": 1}

    def _get_person(self, told: Any, _: Call) -> Any:
        key = self._person(told)
        groups = list(self.world.records[key]["groups"])
        return {"personId": key, "groupIds": groups, "faceIds": [face.vendor_face_id for face in self.world.of(key)]}

    def _get_persons(self, told: Any, _: Call) -> Any:
        group, number, size = _id(told["groupId"]), int(told.get("currentPage", 1)), int(told.get("pageSize", 20))
        if number < 1 or not 1 <= size <= _MAX_PAGE:
            raise _RefusedError(400)
        start = (number - 1) * size
        self.before_page(start, size)
        keys = [key for key, record in self.listed.records.items() if group in record["groups"]]
        page, total = list(self.page_of(keys, start, size)), self.total_of(len(keys), start, size)
        return {"groupId": group, "personIds": page, "currentPage": number, "pageSize": size, "totalCount": total}

    def _get_groups(self, _told: Any, _: Call) -> Any:
        return {"groupIds": sorted(self._groups())}

    def _add_faces(self, told: Any, call: Call) -> Any:
        """One item per address. Where no photo at all could be fetched, the code of the first is the answer's."""
        key, urls = self._person(told), _texts(told["urls"])
        if not urls or len(self.world.of(key)) + len(urls) > _MAX_FACES:
            raise _RefusedError(400)
        fetched: list[bytes | Trouble] = [call.fetched[url] for url in urls]
        if all(isinstance(one, Trouble) for one in fetched):
            raise _RefusedError(_TROUBLES[call.fetched[urls[0]]])
        done, undone = self.first_half(call, fetched)
        items = [self._add_one(key, one) for one in done]
        for _one in undone:
            lie = {"faceId": self._number(self.new_ids()[0]), "success": True}
            items.append({"success": False} if call.half == "honest" else lie)
        return {"personId": key, "groupIds": list(self.world.records[key]["groups"]), "faceImageItems": items}

    def _add_one(self, key: str, fetched: bytes | Trouble) -> Any:
        if isinstance(fetched, Trouble) or faces_in(fetched) != 1:
            return {"success": False}
        face = StoredFace(self.new_ids()[0], key, digest_of(fetched))
        self.world.add(face)
        return {"faceId": self._number(face.vendor_face_id), "success": True}

    def _get_faces(self, told: Any, _: Call) -> Any:
        mine = {face.vendor_face_id: face for face in self.listed.of(self._person(told, self.listed))}
        asked = _texts(told.get("faceIds", list(mine)))
        url = "http://oss.invalid/"
        items = [{"success": one in mine, "faceId": self._number(one), "url": f"{url}{one}"} for one in asked]
        return {"faceImageItems": items}

    def _delete_faces(self, told: Any, call: Call) -> Any:
        """Answers with what was deleted, not with what remains (70424)."""
        key, asked = self._person(told), list(dict.fromkeys(_texts(told["faceIds"])))
        mine = {face.vendor_face_id for face in self.world.of(key)}
        if not mine.issuperset(asked) and self.switches["gone_face"] != HTTPStatus.OK:
            raise _RefusedError(self.switches["gone_face"])
        done, undone = self.first_half(call, [one for one in asked if one in mine])
        for one in done:
            self.world.remove(one)
        claimed = [*done] if call.half == "honest" else [*done, *undone]
        return {"personId": key, "faceIds": claimed, "deleteCount": len(claimed)}

    def _person(self, told: Any, world: World | None = None) -> str:
        key = _id(told["personId"])
        if key not in (world or self.world).records:
            raise _RefusedError(404)
        return key

    def _groups(self) -> set[str]:
        return {group for record in self.world.records.values() for group in record["groups"]}

    def _number(self, face_id: str) -> int | float:
        return float(face_id) if self.switches["float_ids"] else int(face_id)

    # --- the shapes of answers (fact sheet 3) -----------------------------------------------------------------

    def throttled(self, operation: str) -> Answer:  # noqa: ARG002
        if self.switches["throttle_layer"] == "gateway":
            return self._gateway(400, "Throttling.User", "Request was denied due to user flow control.")
        return self._error(588)

    def unavailable(self, operation: str) -> Answer:  # noqa: ARG002
        return self._error(580)

    def unknown_code(self, operation: str) -> Answer:  # noqa: ARG002
        return self._error(7777)

    def _answer(self, found: Any) -> Answer:
        return self._enveloped(200, {"code": 200, **found}, "ok")

    def _error(self, code: int) -> Answer:
        if self.switches["error_layer"] == "data":
            return self._enveloped(200, {"code": code}, str(code))
        return self._enveloped(code, None, str(code))

    def _enveloped(self, code: int, found: Any, word: str) -> Answer:
        told = {"code": code, "msg": "OK" if code == HTTPStatus.OK else _WORDS.get(code, "UNKNOWN"), "data": found}
        told["requestId"] = str(uuid.uuid4()).upper()
        if self.switches["envelope"] == "capital":
            told = {name[0].upper() + name[1:]: value for name, value in told.items()}
        return Answer.json(200, told, word=word)

    def _gateway(self, status: int, code: str, message: str) -> Answer:
        told = {"Code": code, "Message": message, "RequestId": str(uuid.uuid4()).upper(), "HostId": "green.sandbox"}
        return Answer.json(status, told, word=code)


# --- reading a request ----------------------------------------------------------------------------------------


def _id(told: object) -> str:
    if not isinstance(told, str) or not _ID.fullmatch(told):
        raise _RefusedError(400)
    return told


def _texts(told: object) -> list[str]:
    if not isinstance(told, list) or not all(isinstance(one, str) for one in told):
        raise _RefusedError(400)
    return told


def _told_key(call: Call) -> tuple[str, str]:
    """Access key id and signature, as the request has them."""
    key_id, _, signed = call.headers.get("authorization", "").removeprefix("acs ").partition(":")
    return key_id, signed


def _told_time(call: Call) -> float:
    try:
        return parsedate_to_datetime(call.headers.get("date", "")).timestamp()
    except ValueError:
        return 0.0


def _string_to_sign(call: Call) -> str:
    lines = [call.method, *(call.headers.get(name, "") for name in ("accept", "content-md5", "content-type", "date"))]
    lines += [f"{name}:{call.headers[name]}" for name in sorted(call.headers) if name.startswith("x-acs-")]
    asked = "&".join(f"{name}={value}" for name, value in sorted(parse_qsl(call.query, keep_blank_values=True)))
    return "\n".join([*lines, f"{call.path}?{asked}" if asked else call.path])


def _signature(secret: str, text: str) -> str:
    return base64.b64encode(hmac.digest(secret.encode(), text.encode(), "sha1")).decode()


def _md5(body: bytes) -> str:
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
