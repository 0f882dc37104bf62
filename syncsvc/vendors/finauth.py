"""FinAuth FaceSearch: one face library of labelled faces, where deleting many is one call and nothing is replaced.

Sources are named as in the vendor's documentation ("Add_Face_to_Face_Library_api" and its neighbours), its
"App-Authentication" guide, and the FaceSet manual of Face++ v3, its visible ancestor.
"""

import base64
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, ClassVar, Literal, TypeVar

import httpx
from pydantic import Field, SecretStr

from syncsvc.library.base import Capabilities, FaceLibrary, LibraryOptions, Page, Removal
from syncsvc.library.faults import Fault, FaultTable, retry_after, status_fault
from syncsvc.library.fitting import PhotoRule
from syncsvc.model.errors import (
    CredentialsError,
    ErrandError,
    MisconfiguredError,
    RejectedError,
    ThrottledError,
    UnavailableError,
    UncertainError,
)
from syncsvc.model.keys import face_label, person_key
from syncsvc.model.listings import Completeness
from syncsvc.model.people import Face, Feature, Held, Listed, Person, PersonId, Photo, VendorFaceId, vendor_ids
from syncsvc.model.permits import Rate
from syncsvc.model.report import Report, Seen

T = TypeVar("T")
Operation = Literal["add", "delete", "list", "face_info", "search", "group_list"]
Fate = Literal["removed", "absent", "kept", "unsaid"]

MAX_TOKENS = 1000  # in one delete (Delete_Face_from_Face_Library_api, face_tokens)
PAGE = 1000  # the largest `limit` of a listing (Get_Face_List_in_Face_Library_api)
WINDOW = 1000  # the largest documented `start`: what lies beyond start + limit cannot be seen (same page)
LOOK_PAGES = 2  # all that the window shows; a look that reads a library of millions would never end
ALIKE = 5  # of the faces most like a lost one: one picture may have been added by several lost calls
SIGN_SECONDS = 100  # how long a signature is good for; the App-Authentication samples use 100

_TOKEN = re.compile(r"[0-9a-f]{32}")
_TOKENS = re.compile(rf"[0-9a-f]{{32}}(?:,[0-9a-f]{{32}}){{0,{MAX_TOKENS - 1}}}")
_MOVED = "moved"
_SLIPPED = "faces were deleted while it was read, and others may have slipped past"
_BEYOND = f"the vendor shows nothing beyond index {WINDOW + PAGE - 1:,}"
NOBODYS = "0" * 32  # has the form of a token, which the vendor draws at random
_SUFFIX = {"image/jpeg": "jpg", "image/png": "png", "image/bmp": "bmp"}

_NO_LIBRARY = Fault(
    MisconfiguredError, "the face library does not exist; create it with the vendor or correct options.group_id"
)
_NO_PICTURE = Fault(RejectedError, "the photo cannot be read as a picture; send a JPEG, PNG or BMP")
_BAD_SIDES = Fault(RejectedError, "the photo is too small or too large in width or height; send another")
_ASKED_WRONGLY = Fault(RejectedError, "the library does not accept how we asked; report this code")
_SIGNATURE = Fault(
    CredentialsError, "the signature is not accepted; check options.api_key, options.api_secret and the clock"
)
_DENIED = Fault(CredentialsError, "the key may not do this: denied, over its quota or out of balance; ask the vendor")

# The pages list few codes each; the general ones are those of the sibling products (FaceID Verify 2.0.1, Face++ v3).
FAULTS = FaultTable(
    {
        "INVALID_OUTER_ID": _NO_LIBRARY,
        "INVALID_GROUP_ID": _NO_LIBRARY,  # in the examples, where the tables say INVALID_OUTER_ID
        "INVALID_FACE_TOKEN": Fault(RejectedError, "the library knows no such face"),
        "NO_FACE_FOUND": Fault(RejectedError, "no face was found in the photo; take one with the face clear and whole"),
        "MULTIPLE_FACES": Fault(RejectedError, "the photo shows several faces; take one of this person alone"),
        "LOW_QUALITY": Fault(RejectedError, "the photo is too poor: blurred, dark or turned away; take a new one"),
        "INVALID_IMAGE_SIZE": _BAD_SIDES,
        **dict.fromkeys(("IMAGE_ERROR", "IMAGE_ERROR_UNSUPPORTED_FORMAT"), _NO_PICTURE),
        **dict.fromkeys(("MISSING_ARGUMENTS", "BAD_ARGUMENTS", "COEXISTENCE_ARGUMENTS"), _ASKED_WRONGLY),
        "INVALID_FACE_TOKENS_SIZE": _ASKED_WRONGLY,
        "AUTHENTICATION_ERROR": _SIGNATURE,
        "AUTHORIZATION_ERROR": _DENIED,
        # HTTP 403 like AUTHORIZATION_ERROR, and no refusal: the key's calls a second (Face++ v3, general errors).
        "CONCURRENCY_LIMIT_EXCEEDED": Fault(ThrottledError, "the library asked us to slow down"),
        "API_NOT_FOUND": Fault(MisconfiguredError, "this address has no FaceSearch service; check base_url"),
        "IMAGE_DOWNLOAD_TIMEOUT": Fault(UnavailableError, "the library was too slow to take the photo in"),
        "INTERNAL_ERROR": Fault(UnavailableError, "the library has trouble of its own", perhaps_done=True),
    }
)


class Options(LibraryOptions):
    """`group_id` names the face library, which must exist: creating it is the operator's decision."""

    api_key: str = Field(pattern=r"^[^\s&=]+$", repr=False)
    api_secret: SecretStr = Field(min_length=1)
    group_id: str = Field(pattern=r"^[A-Za-z0-9\-%@#&_]{1,48}$")


class Library(FaceLibrary[Options]):
    """There are no people here, only faces: `user_id` and `user_data` are labels that we give them."""

    Options: ClassVar[type[LibraryOptions]] = Options
    operations: ClassVar[tuple[str, ...]] = ("add", "delete", "list", "face_info", "search", "group_list")
    capabilities: ClassVar[Capabilities] = Capabilities(
        # 2 MB and 4096 a side are FaceID's and Face++'s, not stated here. The 413 counts the whole request, so there
        # is room for the form. Face++'s least, 48 a side, is left to the vendor: it would refuse, and this may not.
        photo=PhotoRule(frozenset(_SUFFIX), max_bytes=2_000_000, max_side=4096),
        bundle=200,
        labels=True,
        slips_by=None,  # pages overlap by one face
        # A matter of contract, and not published: ten a second is our caution. Set `rate` to what your contract says.
        rates=(Rate(10),),
    )

    @staticmethod
    def credential_id(options: Any) -> str:
        return str(options.api_key)

    def add(self, person: Person, face: Face, held: Held) -> Report:  # noqa: ARG002
        """The same picture twice is two faces, so a lost answer wants a look first."""
        assert isinstance(face.source, Photo)
        fields = {
            "group_id": self.options.group_id,
            "user_id": person_key(person.id),
            "user_data": face_label(person.id, face.id, face.digest),
        }
        upload = _upload(face.source)

        def read(response: httpx.Response) -> Listed:
            return Listed(_token(_body(response)["face_token"]), None, fields["user_id"], fields["user_data"])

        return Report(added=(self._call("add", fields, read, changes=True, adds=True, upload=upload),))

    def remove(self, removal: Removal) -> Report:
        answer = self.remove_many([removal])[removal.person.id]
        if isinstance(answer, ErrandError):
            raise answer
        return answer

    def remove_many(self, removals: Sequence[Removal]) -> Mapping[PersonId, Report | ErrandError]:
        """Everybody's faces in as few calls as can be; a person whose token is not one is left out, alone."""
        fates: dict[VendorFaceId, Fate | ErrandError] = {}
        asked: list[VendorFaceId] = []
        for token in dict.fromkeys(face.vendor_face_id for removal in removals for face in removal.faces):
            if _TOKEN.fullmatch(token):
                asked.append(token)
            else:
                fates[token] = _unsafe()
        blanket: ErrandError | None = None
        for start in range(0, len(asked), MAX_TOKENS):
            batch = asked[start : start + MAX_TOKENS]
            try:
                fates |= dict.fromkeys(batch, blanket) if blanket else self._delete(batch)
            except ErrandError as error:
                fates |= dict.fromkeys(batch, error)
                if not isinstance(error, RejectedError | UncertainError):
                    blanket = error
        return {
            removal.person.id: _report({face.vendor_face_id: fates[face.vendor_face_id] for face in removal.faces})
            for removal in removals
        }

    def look(self, person: Person, held: Held) -> Seen:
        """Asks for each held face by its token, and lists only where an unknown face could matter.

        That is where a wanted face is not held, because the answer to its add may be lost, and where nothing
        is wanted. A listing that shows the whole library answers for the held faces too.
        """
        key, known = person_key(person.id), vendor_ids(held)
        listing, complete = ((), False) if _accounted(person, held) else self._visible()
        found = {one.vendor_face_id: one for one in listing if one.person_key == key or one.vendor_face_id in known}
        absent: set[VendorFaceId] = set()
        for token in sorted(known - found.keys()) if not complete else ():
            info = self._info(token)
            if info is None:
                absent.add(token)
            else:
                found[token] = info
        return Seen(tuple(found.values()), frozenset(absent), complete=complete)

    def retract(self, person: Person, face: Face) -> None:
        """In a library too large to be listed whole, finds the face by its picture and goes by its labels.

        Without the picture a small library is listed instead; a large one stays doubtful.
        """
        if isinstance(face.source, Feature):
            return  # never sent here
        ours = (person_key(person.id), face_label(person.id, face.id, face.digest))
        if face.source is None:
            listing, complete = self._visible()
            lost = [one.vendor_face_id for one in listing if (one.person_key, one.label) == ours]
            if lost:
                self._delete(lost)
            if not complete:
                raise UncertainError("the face whose add was lost cannot be searched for without its picture")
            return
        try:
            alike = self._search(face.source)
        except RejectedError:  # a picture that the library does not take made no face
            return
        lost = [token for token in alike if (info := self._info(token)) and (info.person_key, info.label) == ours]
        if lost:
            self._delete(lost)

    def page(self, cursor: str | None) -> Page:
        """Oldest face first. The cursor is the index to start from and the token that stood there.

        Pages overlap by that one face: if another stands there now, something before it was deleted in the
        meantime and a face may have slipped past us, so the walk goes on and the listing is suspect.
        """
        index, _, expected = (cursor or "1:").partition(":")
        start = int(index)
        try:
            faces, following = self._list(start)
        except RejectedError as error:
            if start > WINDOW and error.code == "BAD_ARGUMENTS":  # invited by `next`, turned away by the range
                return Page.cut_off((), _BEYOND)
            raise
        moved = bool(expected) and (not faces or faces[0].vendor_face_id != expected)
        fresh = faces[1:] if expected and not moved else faces
        if not faces or (following is None and len(faces) < PAGE):
            return Page(fresh, completeness=Completeness.SUSPECT, why=_SLIPPED) if moved else Page(fresh)
        resume = (following or start + len(faces)) - 1
        if following is None and resume > WINDOW:
            return Page.cut_off(fresh, _BEYOND)
        last: str = faces[-1].vendor_face_id
        if resume == start:  # one face, and `next` told all the same: go on without looking back
            resume, last = start + 1, ""
        return Page(fresh, f"{resume}:{_MOVED if moved else last}")

    def count(self) -> int | None:
        """`face_count`, the whole library's, of a delete that names only a face that cannot be there.

        No call that reads tells it. Deleting an unknown token changes nothing and is answered like any other delete,
        with FACE_NOT_IN_GROUP and the count (Delete_Face_from_Face_Library_api).
        """

        def read(response: httpx.Response) -> int:
            return int(_body(response)["face_count"])

        fields = {"group_id": self.options.group_id, "face_tokens": NOBODYS}
        return self._call("delete", fields, read, changes=False)

    def ping(self) -> str:
        def read(response: httpx.Response) -> list[str]:
            return [str(one["group_id"]) for one in _body(response)["group_infos"]]

        groups = self._call("group_list", {}, read, changes=False)
        if self.options.group_id not in groups:
            raise MisconfiguredError(
                f"the account has {len(groups)} face libraries and options.group_id names none of them; "
                "create it with the vendor or correct the option",
                code="group_id",
            )
        return f"the face library is there, one of {len(groups)} of this account"

    # --- the calls --------------------------------------------------------------------------------------------

    def _delete(self, tokens: Sequence[VendorFaceId]) -> Mapping[VendorFaceId, Fate]:
        """What became of each token. The answer names only failures: the rest count as removed if the sum fits."""

        def read(response: httpx.Response) -> Mapping[VendorFaceId, Fate]:
            body = _body(response)
            failures = body.get("failure_detail") or []
            named = {VendorFaceId(one["face_token"]): _word(one["reason"]) for one in failures}
            fits = len(named) == len(failures) and named.keys() <= set(tokens)
            fits = fits and int(body["face_removed"]) + len(failures) == len(tokens)
            return {token: _fate(named.get(token), "removed" if fits else "unsaid") for token in tokens}

        fields = {"group_id": self.options.group_id, "face_tokens": ",".join(tokens)}
        return self._call("delete", fields, read, changes=True)

    def _info(self, token: VendorFaceId) -> Listed | None:
        """The face with its labels, None where there is no such face."""
        fields = {"group_id": self.options.group_id, "face_token": token}
        try:
            return self._call("face_info", fields, lambda answer: _listed(_body(answer)["info"]), changes=False)
        except RejectedError as error:
            if error.code != "INVALID_FACE_TOKEN":
                raise
            return None

    def _search(self, photo: Photo) -> list[VendorFaceId]:
        """The faces most like this one. The page's answer table is cut off: `results` is the ancestor's (Face++ v3)."""

        def read(response: httpx.Response) -> list[VendorFaceId]:
            return [_token(one["face_token"]) for one in _body(response).get("results") or ()]

        fields = {"group_id": self.options.group_id, "limit": str(ALIKE)}
        return self._call("search", fields, read, changes=False, upload=_upload(photo))

    def _list(self, start: int) -> tuple[tuple[Listed, ...], int | None]:
        """A page of the listing from this index, and the index that follows it where the vendor tells."""

        def read(response: httpx.Response) -> tuple[tuple[Listed, ...], int | None]:
            body = _body(response)
            faces = tuple(_listed(one) for one in body["face_tokens"])
            following = None if body.get("next") is None else int(body["next"])
            if following is not None and faces and following <= start:
                raise ValueError("the listing does not advance")
            return faces, following

        fields = {"group_id": self.options.group_id, "start": str(start), "limit": str(PAGE)}
        return self._call("list", fields, read, changes=False)

    def _visible(self) -> tuple[tuple[Listed, ...], bool]:
        """What the window shows, and whether that is the whole library."""
        faces: tuple[Listed, ...] = ()
        cursor: str | None = None
        for _ in range(LOOK_PAGES):
            page = self.page(cursor)
            faces += page.faces
            cursor = page.cursor
            if cursor is None:
                return faces, page.completeness is Completeness.COMPLETE
        return faces, False

    def _call(
        self,
        operation: Operation,
        fields: Mapping[str, str],
        read: Callable[[httpx.Response], T],
        *,
        changes: bool,
        adds: bool = False,
        upload: tuple[str, bytes, str] | None = None,
    ) -> T:
        """The only way out of this file, so nothing is deleted but what `guarded_tokens` lets through."""
        if operation == "delete" or "face_tokens" in fields:
            fields = {**fields, "face_tokens": guarded_tokens(fields.get("face_tokens", ""))}
        url = f"{self.door.base_url.rstrip('/')}/finauth/search/group/{operation}"

        def build() -> httpx.Request:
            options = self.options
            signature = sign(options.api_key, options.api_secret.get_secret_value(), now=int(time.time()))
            signed = {"sign": signature, "sign_version": "hmac_sha1", **fields}
            # A part without a file name makes httpx write multipart/form-data, which every page asks for.
            parts: dict[str, Any] = {name: (None, value) for name, value in signed.items()}
            return self.door.client.build_request("POST", url, files={**parts, "file": upload} if upload else parts)

        return self.door.call(operation, build, read, changes=changes, adds=adds, request_id=_request_id)


def sign(api_key: str, api_secret: str, *, now: int, expires: int | None = None, random: str | None = None) -> str:
    """The form field `sign` (App-Authentication, hmac_sha1). It covers no body: only HTTPS protects what is asked."""
    until = now + SIGN_SECONDS if expires is None else expires
    salt = str(secrets.randbelow(10**10)) if random is None else random
    raw = f"a={api_key}&b={until}&c={now}&d={salt}".encode()
    return base64.b64encode(hmac.digest(api_secret.encode(), raw, hashlib.sha1) + raw).decode()


def guarded_tokens(tokens: str) -> str:
    """The `face_tokens` of a delete, if it names 1 to 1,000 faces and nothing else; RejectedError otherwise.

    In the ancestor's API one magic word in this field empties the whole library (Face++ v3, FaceSet
    RemoveFace); the pages here neither repeat nor withdraw that, so no word ever gets through.
    """
    if not _TOKENS.fullmatch(tokens):
        raise _unsafe()
    return tokens


def _upload(photo: Photo) -> tuple[str, bytes, str]:
    return f"face.{_SUFFIX[photo.media_type]}", photo.content, photo.media_type


def _unsafe() -> RejectedError:
    return RejectedError(
        "what we hold is not a face token of this vendor, so nothing was sent; resync the person", code="unsafe_tokens"
    )


def _body(response: httpx.Response) -> dict[str, Any]:
    """The answer's JSON object. Raises the error that its `error` names: the status alone mixes retry and never."""
    try:
        body = response.json()
    except ValueError:
        body = None
    code = body.get("error") or body.get("error_message") if isinstance(body, dict) else None
    if isinstance(code, str):
        raise FAULTS.error(_word(code), request_id=_request_id(response), retry_after=retry_after(response))
    if response.status_code != HTTPStatus.OK:
        raise status_fault(response)  # a proxy, or 413, which is plain text here (FaceID Verify 2.0.1)
    if not isinstance(body, dict):
        raise ValueError("the answer is not an object")  # noqa: TRY004
    return body


def _request_id(response: httpx.Response) -> str | None:
    try:
        told = response.json()["request_id"]
    except (ValueError, KeyError, TypeError):
        return None
    return told if isinstance(told, str) else None


def _word(code: str) -> str:
    return code.partition(":")[0].strip()  # "BAD_ARGUMENTS:start" carries the detail behind the colon


def _token(value: str) -> VendorFaceId:
    if not _TOKEN.fullmatch(value):
        raise ValueError("not a face token")
    return VendorFaceId(value)


def _listed(face: Mapping[str, Any]) -> Listed:
    # An empty label, never None: this vendor does keep labels, so a face without one was put there by others.
    return Listed(_token(face["face_token"]), None, str(face.get("user_id") or ""), str(face.get("user_data") or ""))


def _fate(reason: str | None, unnamed: Fate) -> Fate:
    if reason is None:
        return unnamed
    return "absent" if reason == "FACE_NOT_IN_GROUP" else "kept"


def _report(fates: Mapping[VendorFaceId, Fate | ErrandError]) -> Report | ErrandError:
    """One person's share of the answers; an error among them knows what the others took out."""

    def those(wanted: Fate) -> frozenset[VendorFaceId]:
        return frozenset(token for token, fate in fates.items() if fate == wanted)

    for fate in fates.values():
        if isinstance(fate, ErrandError):
            error = fate.for_another()
            error.removed = those("removed") | those("absent")
            return error
    return Report(removed=those("removed"), absent=those("absent"), kept=those("kept"))


def _accounted(person: Person, held: Iterable[Any]) -> bool:
    there = {(one.face_id, one.digest) for one in held}
    return bool(person.faces) and all((face.id, face.digest) in there for face in person.faces)
