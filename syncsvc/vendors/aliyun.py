"""Alibaba Cloud content moderation 1.0, custom face library: people with up to 20 faces each, fetched by URL."""

import base64
import hashlib
import hmac
import json
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from decimal import Decimal
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, ClassVar, TypeVar
from urllib.parse import urlencode

import httpx
from pydantic import Field, SecretStr

from syncsvc.library.base import Capabilities, FaceLibrary, LibraryOptions, Page, Removal
from syncsvc.library.faults import Fault, FaultTable, retry_after, status_fault
from syncsvc.library.fitting import PhotoRule
from syncsvc.model.errors import (
    CredentialsError,
    ErrandError,
    GoneError,
    MisconfiguredError,
    RejectedError,
    ThrottledError,
    UnavailableError,
    UncertainError,
)
from syncsvc.model.keys import person_key
from syncsvc.model.people import Face, Held, Listed, Person, VendorFaceId
from syncsvc.model.permits import Rate
from syncsvc.model.report import Report, Seen

T = TypeVar("T")
Answer = dict[str, Any]

_MAX_FACES = 20  # fact sheet 4
_PEOPLE_PER_PAGE = 100  # get-persons: the largest pageSize
_VERSION = "2018-05-09"  # older ones are switched off (53413)
_EXACT_DOUBLE = 2**53
_FACE_ID = re.compile(r"[0-9]{1,20}")

_BUSY = Fault(UnavailableError, "the library has trouble of its own; we try again")
_BROKE = Fault(UnavailableError, _BUSY.words, perhaps_done=True)
_OPEN = Fault(UncertainError, "the library has not said whether it was done; we look")
_KEYS = Fault(CredentialsError, "the library does not accept the access key; check access_key_id and access_key_secret")
_ACCESS = Fault(CredentialsError, "the access key may not use the face library; grant its RAM user that permission")
_FETCH = Fault(
    UnavailableError,
    "the library could not fetch the photo; check that public_url is reachable for it",
    about_person=True,  # one photo may be too slow for the vendor's 3 seconds (53414) while others are not
)
_URL = Fault(RejectedError, "the library refuses the photo's address; check public_url, then try again")
_SLOW = Fault(ThrottledError, "the library asked us to slow down")

_FAULTS = FaultTable(
    {
        # The gateway's words, HTTP other than 200 (434846).
        "InvalidTimeStamp.Expired": Fault(MisconfiguredError, "this machine's clock is 15 minutes off or more; set it"),
        "InvalidAccessKeyId": _KEYS,  # and all its kinds, see _known
        "Forbidden": _ACCESS,
        "SignatureDoesNotMatch": _KEYS,
        "InvalidAction.NotFound": Fault(MisconfiguredError, "there is no face library at this address; check base_url"),
        "SignatureNonceUsed": _OPEN,  # ours are fresh: something between us sent the request twice
        "Throttling": _SLOW,
        # Codes in the body, HTTP 200 but for 411 (53414, 3060193).
        **dict.fromkeys(("ServiceUnavailable", "503"), _BUSY),
        **dict.fromkeys(("500", "580", "585", "586", "587", "591"), _BROKE),
        **dict.fromkeys(("280", "581"), _OPEN),
        **dict.fromkeys(("408", "411", "596"), _ACCESS),
        **dict.fromkeys(("480", "592"), _FETCH),
        **dict.fromkeys(("401", "403"), _URL),
        "400": Fault(RejectedError, "the library cannot work with this request"),
        "404": Fault(GoneError, "the library does not have it"),
        "588": _SLOW,
        "589": Fault(RejectedError, "the photo is too large for the library; send a smaller one"),
        "590": Fault(RejectedError, "the library cannot read the photo; send it as JPEG or PNG"),
        "594": Fault(UnavailableError, "the photo's address had expired; we try again with a new one"),
        "595": Fault(RejectedError, "the library cannot take a picture out of this file; send a still photo"),
    }
)


class Options(LibraryOptions):
    access_key_id: str = Field(min_length=1, repr=False)
    access_key_secret: SecretStr
    region: str = Field(pattern=r"^[A-Za-z0-9_-]+$")
    group_id: str = Field(pattern=r"^[A-Za-z0-9_-]{1,32}$")


class Library(FaceLibrary[Options]):
    """One group of one account. The vendor makes a group with its first person; it matches from the next day on."""

    Options: ClassVar[type[LibraryOptions]] = Options
    capabilities: ClassVar[Capabilities] = Capabilities(
        photo=PhotoRule(
            frozenset({"image/png", "image/jpeg", "image/bmp", "image/gif", "image/webp"}), max_bytes=20 * 1024 * 1024
        ),
        max_faces=_MAX_FACES,
        fetches_photos=True,
        rates=(Rate(20),),
        rates_per="operation",
        operation_rates={"person/groups/add": (Rate(10),)},
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

    @staticmethod
    def credential_id(options: Any) -> str:
        return str(options.access_key_id)

    def add(self, person: Person, face: Face, held: Held) -> Report:
        key = person_key(person.id)
        if not held:
            self._make_person(key)
        try:
            return self._add_face(key, face)
        except GoneError:
            self._make_person(key)  # 404: somebody deleted the person, or the photo was not at its address
            try:
                return self._add_face(key, face)
            except GoneError as error:
                words = f"{_FETCH.words} (404)"
                raise UnavailableError(words, code="404", request_id=error.request_id, about_person=True) from error
        except RejectedError:
            if not held:
                with suppress(ErrandError):
                    self._drop_if_empty(key)
            raise

    def remove(self, removal: Removal) -> Report:
        """Delete, then read: the answer names the deleted ids only (70424), and what it says may not be so.

        A departed person's own record goes last and only when the reading shows no face: deleting a person
        takes along all their faces (70421), also those that are not ours.
        """
        key = person_key(removal.person.id)
        ids = [face.vendor_face_id for face in removal.faces]
        removed = self._delete_faces(key, ids)
        if removed is None:  # not documented: one that is gone may keep the others in
            there = {face.vendor_face_id for face in self._faces_of(key) or ()}
            still = [one for one in ids if one in there]
            removed = self._delete_faces(key, still) if still else None
        try:
            left = self._drop_if_empty(key) if removal.whole else self._faces_of(key)
        except ErrandError as error:
            if removed is None or removal.whole:
                error.removed = removed or frozenset()
                raise
            return Report(removed=removed)
        return Report(remaining=left or (), removed=removed)

    def farewell(self, person: Person) -> None:
        self._drop_if_empty(person_key(person.id))

    def look(self, person: Person, held: Held) -> Seen:  # noqa: ARG002
        return Seen(self._faces_of(person_key(person.id)) or (), complete=True)

    def page(self, cursor: str | None) -> Page:
        """The people of the group, a hundred at a time, and each one's faces.

        The cursor is the vendor's page and how many of its people are done: where no call is to be had any more,
        what has been read is handed over. It is partial: who is in no group cannot be listed (fact sheet 2).
        """
        number, done = (int(part) for part in (cursor or "1:0").split(":"))
        asked = {"groupId": self.options.group_id, "currentPage": number, "pageSize": _PEOPLE_PER_PAGE}
        try:
            keys, total = self._post(
                "group/persons", asked, lambda it: (_texts(it["personIds"]), int(it["totalCount"]))
            )
        except GoneError:
            keys, total = [], 0  # nobody was ever added to the group
        faces: list[Listed] = []
        for place, key in enumerate(keys[done:], start=done):
            try:
                faces += self._listed(key)
            except ErrandError:
                if place == done:
                    raise
                return Page(tuple(faces), f"{number}:{place}")
        if keys and number * _PEOPLE_PER_PAGE < total:
            return Page(tuple(faces), f"{number + 1}:0")
        return Page.cut_off(tuple(faces), "the vendor shows no people who are in no group")

    def ping(self) -> str:
        groups = self._post("groups", None, lambda it: _texts(it.get("groupIds") or []))
        there = "is there" if self.options.group_id in groups else "will be made with the first person"
        return f"the access key is accepted; the group {there}"

    # --- the vendor's calls -----------------------------------------------------------------------------------

    def _make_person(self, key: str) -> None:
        """Make sure the person is there and in our group; what the vendor says about an existing one is unknown."""
        asked = {"personId": key, "groupIds": [self.options.group_id]}
        try:
            self._post("person/add", asked, dict, changes=False)  # no face is made: harmless to repeat
        except (RejectedError, UnavailableError):
            groups = self._ask_about("person", key, lambda it: _texts(it.get("groupIds") or []))
            if groups is None:
                raise
            if self.options.group_id not in groups:
                self._post("person/groups/add", asked, dict, changes=False)

    def _add_face(self, key: str, face: Face) -> Report:
        asked = {"personId": key, "urls": [self.photo_url(face.digest)]}
        return Report(added=self._post("face/add", asked, _added, changes=True, adds=True))

    def _delete_faces(self, key: str, ids: list[VendorFaceId]) -> frozenset[VendorFaceId] | None:
        """The ids that the vendor says it deleted, None where it says it has nothing of the kind."""
        asked = {"personId": key, "faceIds": ids}  # no maximum is published; a person has 20 at most
        try:
            return self._post("face/delete", asked, lambda it: frozenset(_face_ids(it, key)), changes=True)
        except GoneError:
            return None

    def _faces_of(self, key: str) -> tuple[Listed, ...] | None:
        """Every face of the person, None where the vendor has no such person."""
        ids = self._ask_about("person", key, lambda it: _face_ids(it, key))
        return None if ids is None else tuple(Listed(one, person_key=key) for one in ids)

    def _drop_if_empty(self, key: str) -> tuple[Listed, ...] | None:
        """What the person has, which is left as it is; a person who has nothing is deleted."""
        left = self._faces_of(key)
        if left == ():
            with suppress(GoneError):
                self._post("person/delete", {"personId": key}, dict, changes=False)  # harmless to repeat
        return left

    def _listed(self, key: str) -> tuple[Listed, ...]:
        """The same from the other reading call, so that a listing takes no permits from deliveries."""
        ids = self._ask_about("faces", key, _image_ids) or ()
        return tuple(Listed(one, person_key=key) for one in ids)

    def _ask_about(self, operation: str, key: str, read: Callable[[Answer], T]) -> T | None:
        try:
            return self._post(operation, {"personId": key}, read)
        except GoneError:
            return None

    def _post(
        self,
        operation: str,
        asked: Answer | None,
        read: Callable[[Answer], T],
        *,
        changes: bool = False,
        adds: bool = False,
    ) -> T:
        path, query = f"/green/sface/{operation}", {"RegionId": self.options.region}
        body = b"" if asked is None else json.dumps(asked, ensure_ascii=False, separators=(",", ":")).encode()

        def build() -> httpx.Request:
            headers = signed_headers(
                self.options.access_key_id, self.options.access_key_secret.get_secret_value(), path, query, body
            )
            url = f"{self.door.base_url.rstrip('/')}{path}?{urlencode(query)}"
            return self.door.client.build_request("POST", url, content=body, headers=headers)

        return self.door.call(
            operation, build, lambda told: read(_answer(told)), changes=changes, adds=adds, request_id=_request_id
        )


# --- signing (53413): ROA v1 ----------------------------------------------------------------------------------


def signed_headers(key_id: str, secret: str, path: str, query: Mapping[str, str], body: bytes) -> dict[str, str]:
    """Every header of a POST of exactly these bytes, now; `Authorization` covers the body through its MD5."""
    headers = {
        "Accept": "application/json",
        "Content-Type": "application/json",
        "Date": formatdate(usegmt=True),
        "x-acs-version": _VERSION,
        "x-acs-signature-nonce": uuid.uuid4().hex,
        "x-acs-signature-version": "1.0",
        "x-acs-signature-method": "HMAC-SHA1",
    }
    if body:
        headers["Content-MD5"] = content_md5(body)
    text = string_to_sign("POST", path, query, headers)
    return {**headers, "Authorization": f"acs {key_id}:{signature(secret, text)}"}


def string_to_sign(method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> str:
    """What the vendor signs: an absent header is an empty line, query values stand there unescaped."""
    told = {name.lower(): value for name, value in headers.items()}
    lines = [method, *(told.get(name, "") for name in ("accept", "content-md5", "content-type", "date"))]
    lines += [f"{name}:{told[name]}" for name in sorted(told) if name.startswith("x-acs-")]
    resource = "&".join(f"{name}={query[name]}" for name in sorted(query))
    return "\n".join([*lines, f"{path}?{resource}" if resource else path])


def signature(secret: str, text: str) -> str:
    return base64.b64encode(hmac.digest(secret.encode(), text.encode(), "sha1")).decode()


def content_md5(body: bytes) -> str:
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


# --- reading --------------------------------------------------------------------------------------------------


def _answer(response: httpx.Response) -> Answer:
    """The answer's `data`, once none of the outer three layers of an error (fact sheet 3) speaks against it."""
    ok = response.status_code == HTTPStatus.OK
    try:
        told = _envelope(response)
    except ValueError:
        if ok:
            raise
        raise status_fault(response) from None
    data: Answer = told.get("data") or {}
    wrong = next((code for code in (str(told.get("code", "")), str(data.get("code", 200))) if code != "200"), None)
    if ok and wrong is None:
        return data
    if not wrong:
        raise ValueError("an answer without a code") if ok else status_fault(response)
    raise _FAULTS.error(
        _known(wrong, response.status_code), request_id=_request_id(response), retry_after=retry_after(response)
    )


def _known(code: str, status: int) -> str:
    """The table's name for a code of the gateway's, whose families have more members than the documents list.

    They say Throttling.User, InvalidAccessKeyId.Inactive, Forbidden.RAM; and the gateway's 401 and 403 are about
    who we are, whatever word comes with them.
    """
    family = next((one for one in ("Throttling", "InvalidAccessKeyId", "Forbidden") if code.startswith(one)), None)
    if family is not None:
        return family
    if code not in _FAULTS and status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return "Forbidden"
    return code


def _envelope(response: httpx.Response) -> Answer:
    """The outermost object. Its names are capitalised in some documents and not in others (53414)."""
    told = json.loads(response.content, parse_float=Decimal)
    return {name.lower(): value for name, value in told.items()} if isinstance(told, dict) else {}


def _request_id(response: httpx.Response) -> str | None:
    try:
        told = _envelope(response).get("requestid")
    except ValueError:
        return None
    return told if isinstance(told, str) else None


def _added(answer: Answer) -> tuple[Listed, ...]:
    items = answer["faceImageItems"]
    made = tuple(Listed(_exact(item["faceId"])) for item in items if item["success"] is True)
    if items and not made:
        raise RejectedError("the library found no face it can use in the photo; send another (success=false)")
    return made


def _image_ids(answer: Answer) -> tuple[VendorFaceId, ...]:
    return tuple(_exact(item["faceId"]) for item in answer.get("faceImageItems") or [] if item.get("success", True))


def _face_ids(answer: Answer, key: str) -> tuple[VendorFaceId, ...]:
    """The person's `faceIds`; absent means none, but only in an answer that is about this person."""
    if answer["personId"] != key:
        raise ValueError("an answer about somebody else")
    return tuple(_exact(one) for one in answer.get("faceIds") or [])


def _exact(value: object) -> VendorFaceId:
    """A face id as text. They are 64-bit integers, sent as text here and as a number there (fact sheet 5).

    add-face documents them as Float: one that came through a double is only right below 2**53.
    """
    if isinstance(value, Decimal) and value == value.to_integral_value() and abs(value) < _EXACT_DOUBLE:
        value = int(value)
    text = str(value) if isinstance(value, str | int) else ""
    if not _FACE_ID.fullmatch(text):
        raise ValueError("a face id that is not exact")
    return VendorFaceId(text)


def _texts(values: Iterable[object]) -> list[str]:
    if not all(isinstance(value, str) for value in values):
        raise TypeError("an id that is not text")
    return [str(value) for value in values]
