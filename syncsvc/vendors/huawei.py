"""Huawei Cloud FRS v2: one face set of faces without people, named by a label of ours and a declared custom field.

Sources in brackets are those of the fact sheet: [D n] is page face_02_n of the API reference, [Q] its search
snippets, [SDK] the vendor's own client, [I] an inference.
"""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any, ClassVar, Literal, Self, TypeVar
from urllib.parse import quote, unquote, urlsplit

import httpx
from pydantic import Field, SecretStr, field_validator, model_validator

from syncsvc.library.base import Capabilities, FaceLibrary, LibraryOptions, Page, PhotoUrl, Removal
from syncsvc.library.faults import Fault, FaultTable, retry_after, status_fault
from syncsvc.library.fitting import PhotoRule
from syncsvc.library.http import PATIENCE, Door
from syncsvc.model.errors import (
    CredentialsError,
    ErrandError,
    ExistsError,
    GoneError,
    MisconfiguredError,
    NoPermitError,
    RejectedError,
    ThrottledError,
    UnavailableError,
    UncertainError,
)
from syncsvc.model.keys import face_label, person_hash
from syncsvc.model.people import Face, Held, HeldFace, Listed, Person, Photo, VendorFaceId
from syncsvc.model.permits import Rate
from syncsvc.model.report import Report, Seen

T = TypeVar("T")
Pairs = Sequence[tuple[str, str]]

ALGORITHM = "SDK-HMAC-SHA256"
WINDOW = 10_000  # offset + limit of a listing may not be more [D 0038]
PAGE = 1_000
TOKEN_MARGIN = 60.0  # seconds before its end at which a token counts as old
_RESERVED = {"external_image_id", "bounding_box", "similarity", "face_id", "create_time", "vector"}  # [D 0012]
_NAME = r"^[A-Za-z0-9_-]{1,64}$"

_REFUSED = Fault(RejectedError, "the library does not take this photo or request; send a JPEG, PNG or BMP below 8 MB")
_NO_FACE = Fault(RejectedError, "no face was found in the photo; take one with the face clear and whole")
_ACCOUNT = Fault(MisconfiguredError, "the vendor account may not use the service; subscribe to it or settle the bill")
_OTHER_STORE = Fault(RejectedError, "the library could not read the photo from object storage, which we never name")
_WHO = Fault(CredentialsError, "the library does not accept our signature or token; check the keys or user in options")
_NO_FACE_SET = Fault(MisconfiguredError, "the face set does not exist; create it or correct options.face_set_name")
_GONE = Fault(GoneError, "the face is not in the library")
_SLOW_DOWN = Fault(ThrottledError, "the library asked us to slow down")
_WRONG_DOOR = Fault(MisconfiguredError, "this address has no face service; check base_url and its region")

_GATEWAY = {  # the gateway's codes have an older spelling, APIG.0301 for APIGW.0301 [Q]
    "0101": _WRONG_DOOR,
    "0201": Fault(UncertainError, "the gateway gave up waiting for the library"),
    "0301": _WHO,
    "0303": Fault(CredentialsError, "the library finds our clock more than 15 minutes off; set this machine's clock"),
    "0308": _SLOW_DOWN,
}
FAULTS = FaultTable(
    {
        **{f"{gate}.{number}": fault for gate in ("APIGW", "APIG") for number, fault in _GATEWAY.items()},
        **{f"FRS.00{number}": _REFUSED for number in range(10, 18)},
        **{f"FRS.00{number}": _OTHER_STORE for number in (21, 22, 23)},
        "FRS.0002": _WHO,  # 403 in the table [D 0045], 400 in samples [Q]: the code decides
        "FRS.0018": Fault(UnavailableError, "the library has trouble of its own", perhaps_done=True),
        "FRS.0019": _ACCOUNT,
        "FRS.0020": _ACCOUNT,
        "FRS.0028": Fault(MisconfiguredError, "the credentials belong to another project; check options.project_id"),
        "FRS.0032": _REFUSED,
        "FRS.0033": _SLOW_DOWN,
        "FRS.0201": _ACCOUNT,
        "FRS.0202": _ACCOUNT,
        "FRS.0203": _ACCOUNT,
        "FRS.0301": Fault(ExistsError, "a face set of this name exists"),
        "FRS.0302": _NO_FACE_SET,
        "FRS.0303": _GONE,
        "FRS.0304": _NO_FACE,
        "FRS.0305": Fault(MisconfiguredError, "the account has as many face sets as it may have; delete one"),
        "FRS.0306": Fault(
            RejectedError, "the face set is full; the operator must remove faces or move to a larger face set"
        ),
        "FRS.0401": _GONE,
        "FRS.0402": _GONE,  # of a custom field it means "not declared", see Library._remove_person
        "FRS.0403": _GONE,
        "FRS.0404": _NO_FACE,
        "FRS.0407": _GONE,
        "FRS.0501": _NO_FACE,
    }
)


class Options(LibraryOptions):
    """`person_field` names a string field declared on the face set; with it a departure is one call, not one a face."""

    project_id: str = Field(pattern=_NAME)
    face_set_name: str = Field(pattern=_NAME)
    auth: Literal["aksk", "token"] = "aksk"
    access_key: str | None = Field(default=None, pattern=r"^[^\s,=]+$", repr=False)
    secret_key: SecretStr | None = Field(default=None, min_length=1)
    iam_url: str | None = None
    user: str | None = Field(default=None, min_length=1, repr=False)
    password: SecretStr | None = Field(default=None, min_length=1)
    domain: str | None = Field(default=None, min_length=1)
    person_field: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_-]{1,36}$")

    @field_validator("person_field")
    @classmethod
    def _not_reserved(cls, name: str | None) -> str | None:
        if name is not None and (name in _RESERVED or name.startswith("_")):
            raise ValueError("the vendor keeps this name for itself; declare a field such as person_id")
        return name

    @field_validator("iam_url")
    @classmethod
    def _carries_a_password(cls, url: str | None) -> str | None:
        if url is not None and not _is_safe_for_secrets(url):
            raise ValueError("must be https://..., because the password goes there; http only for a private address")
        return url.rstrip("/") if url is not None else None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        needs = ("access_key", "secret_key") if self.auth == "aksk" else ("iam_url", "user", "password", "domain")
        if missing := [name for name in needs if getattr(self, name) is None]:
            raise ValueError(f'auth = "{self.auth}" also needs {", ".join(missing)}')
        return self


class Library(FaceLibrary[Options]):
    """There are no people here, only faces; two faces may carry the same label, and nothing lists a person's."""

    Options: ClassVar[type[LibraryOptions]] = Options
    # One class for each address and method, because that is what the vendor's gateway can tell apart [I].
    operations: ClassVar[tuple[str, ...]] = ("add", "delete", "show", "show_set", "iam")
    capabilities: ClassVar[Capabilities] = Capabilities(
        # "< 8 MB" is of the base64 text [D 0037]: 4 characters for every 3 bytes begun. The sides must be "less than
        # 4096 x 4096" there and "less than 4096 x 2160" on the international site: what is scaled here fits both.
        photo=PhotoRule(frozenset({"image/jpeg", "image/png", "image/bmp"}), max_bytes=6_291_453, max_side=2159),
        labels=True,
        rates=(Rate(10),),
        rates_per="operation",
    )

    def __init__(self, door: Door, options: Any, photo_url: PhotoUrl) -> None:
        super().__init__(door, options, photo_url)
        self.tokens = Tokens()  # shared by the copies that `at` makes

    @staticmethod
    def credential_id(options: Any) -> str:
        return str(options.access_key if options.auth == "aksk" else f"{options.domain}/{options.user}")

    def add(self, person: Person, face: Face, held: Held) -> Report:  # noqa: ARG002
        """The same picture twice is two faces: the label marks ours, it does not make them one."""
        assert isinstance(face.source, Photo)
        wanted: dict[str, Any] = {
            "image_base64": base64.b64encode(face.source.content).decode(),
            "external_image_id": face_label(person.id, face.id, face.digest),
            "single": True,  # without it every face in the photo is added [D 0037]
        }
        if self.options.person_field:
            wanted["external_fields"] = {self.options.person_field: person_hash(person.id)}
        made = self._call("add", "POST", "/faces", body=wanted, changes=True, adds=True, read=self._faces)
        return Report(added=made)

    def remove(self, removal: Removal) -> Report:
        if removal.whole and self.options.person_field and len(removal.faces) > 1:
            report = self._remove_person(self.options.person_field, removal)
            if report is not None:
                return report
        removed: set[VendorFaceId] = set()
        absent: set[VendorFaceId] = set()
        for face in removal.faces:
            try:
                if self._delete("face_id", face.vendor_face_id) == 1:
                    removed.add(face.vendor_face_id)
            except GoneError:
                absent.add(face.vendor_face_id)
            except ErrandError as error:
                error.removed = frozenset(removed | absent)
                raise
        return Report(removed=frozenset(removed), absent=frozenset(absent))

    def look(self, person: Person, held: Held) -> Seen:  # noqa: ARG002
        """Only what we know can be asked for: one face a call, by its id."""
        found: list[Listed] = []
        absent: set[VendorFaceId] = set()
        for face in held:
            seen = self._show(face)
            if seen is None:
                absent.add(face.vendor_face_id)
            else:
                found.append(seen)
        return Seen(tuple(found), frozenset(absent), complete=False)

    def retract(self, person: Person, face: Face) -> None:
        """By the label, which nobody but us can have given: every face that the lost answer may have made goes."""
        try:
            self._delete("external_image_id", face_label(person.id, face.id, face.digest))
        except GoneError:
            return

    def page(self, cursor: str | None) -> Page:
        """The first 10,000 faces; beyond that the vendor shows nothing, and says nothing [D 0038].

        The cursor carries the count from the start: a face that leaves in mid-listing moves the others past us.
        """
        offset, before = (int(part) for part in cursor.split(":")) if cursor else (0, self._face_number())
        limit = min(PAGE, WINDOW - offset)
        query = [("offset", str(offset)), ("limit", str(limit))]
        faces = self._call("show", "GET", "/faces", query=query, changes=False, read=self._faces)
        seen = offset + len(faces)
        if faces and seen < WINDOW and (seen < before or len(faces) >= limit):
            return Page(faces, cursor=f"{seen}:{before}")
        after = self._face_number()
        if seen >= WINDOW and after > seen:
            return Page.cut_off(faces, f"the vendor shows the first {WINDOW:,} of {after:,} faces")
        return Page.last(faces, seen=seen, before=before, after=after, of="faces")

    def count(self) -> int | None:
        """`face_number` of the face set (ShowFaceSet)."""
        return self._face_number()

    def ping(self) -> str:
        field = self.options.person_field
        number, fields = self._face_set(lambda about: (int(about["face_number"]), _string_fields(about)))
        if field and field not in fields:
            raise MisconfiguredError(
                f"the face set does not declare {field} as a string field, and fields are declared only when a set is "
                "created; create one that does, or remove options.person_field",
                code="undeclared_field",
            )
        return f"face set {self.options.face_set_name} holds {number} faces"

    # --- single calls -----------------------------------------------------------------------------------------

    def _remove_person(self, field: str, removal: Removal) -> Report | None:
        """Everything that carries the person's value, in one call; None where nothing does."""
        try:
            gone = self._delete(field, person_hash(removal.person.id))
        except GoneError as error:
            if error.code == "FRS.0402":
                raise MisconfiguredError(
                    f"the face set does not declare {field}; remove options.person_field or use a set that declares it",
                    code=error.code,
                    request_id=error.request_id,
                ) from error
            return None  # faces from before the field was configured carry no value
        if gone == len(removal.faces):
            return Report(removed=frozenset(face.vendor_face_id for face in removal.faces))
        return Report(removed_count=gone)

    def _delete(self, field: str, value: str) -> int:
        return self._call(
            "delete",
            "DELETE",
            "/faces",
            query=[(field, value)],
            changes=True,
            read=lambda told: int(told["face_number"]),
        )

    def _show(self, face: HeldFace) -> Listed | None:
        query = [("face_id", face.vendor_face_id)]
        try:
            shown = self._call("show", "GET", "/faces", query=query, changes=False, read=self._faces)
        except GoneError:
            return None
        if any(one.vendor_face_id != face.vendor_face_id for one in shown):
            raise UnavailableError(
                "the library showed another face than the one asked for", code="other_face", about_person=True
            )
        return shown[0] if shown else None

    def _face_number(self) -> int:
        return self._face_set(lambda about: int(about["face_number"]))

    def _face_set(self, read: Callable[[Mapping[str, Any]], T]) -> T:
        return self._call("show_set", "GET", "", changes=False, read=lambda told: read(told["face_set_info"]))

    def _faces(self, told: Mapping[str, Any]) -> tuple[Listed, ...]:
        return tuple(self._listed(face) for face in told["faces"])

    def _listed(self, face: Mapping[str, Any]) -> Listed:
        found, label = face["face_id"], face.get("external_image_id")
        if not isinstance(found, str) or not found:
            raise ValueError("a face without an id")
        fields = face.get("external_fields") or {}
        person = fields.get(self.options.person_field) if self.options.person_field else None
        return Listed(
            VendorFaceId(found),
            person_key=person if isinstance(person, str) else None,
            label=label if isinstance(label, str) else None,
        )

    # --- asking -----------------------------------------------------------------------------------------------

    def _call(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        query: Pairs = (),
        body: Mapping[str, Any] | None = None,
        changes: bool,
        adds: bool = False,
        read: Callable[[Mapping[str, Any]], T],
    ) -> T:
        """One call below the face set. A token that is turned away is renewed once; nothing was done with it."""
        whole = f"/v2/{self.options.project_id}/face-sets/{self.options.face_set_name}{path}"
        content = b"" if body is None else json.dumps(body).encode()

        def ask(token: str | None) -> T:
            return self.door.call(
                operation,
                lambda: self._request(method, whole, query, content, token),
                lambda response: read(_told(response)),
                changes=changes,
                adds=adds,
            )

        if self.options.auth == "aksk":
            return ask(None)
        # The token is taken before the permit: whoever waits for one holds no permit that its giver may need.
        token = self.tokens.current(self._new_token)
        try:
            return ask(token)
        except CredentialsError:
            return ask(self.tokens.current(self._new_token, refused=token))

    def _request(self, method: str, path: str, query: Pairs, content: bytes, token: str | None) -> httpx.Request:
        """Ready to be sent now: the date in a signature is good for 15 minutes [Q]."""
        # httpx would write a space as "+", the signer wants "%20": the query goes into the address as it is signed.
        address = self.door.base_url.rstrip("/") + path + ("?" + canonical_query(query) if query else "")
        headers = {"Content-Type": "application/json", "X-Project-Id": self.options.project_id}
        if token is not None:
            headers["X-Auth-Token"] = token
            return self.door.client.build_request(method, address, content=content, headers=headers)
        assert self.options.access_key
        assert self.options.secret_key
        headers["X-Sdk-Date"] = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        request = self.door.client.build_request(method, address, content=content, headers=headers)
        signed = {**headers, "Host": request.headers["Host"]}
        request.headers["Authorization"] = authorization(
            self.options.access_key,
            self.options.secret_key.get_secret_value(),
            method=method,
            path=request.url.raw_path.partition(b"?")[0].decode("ascii"),
            query=query,
            headers=signed,
            body=content,
        )
        return request

    def _new_token(self) -> tuple[str, float]:
        """A token of the project's from IAM, and for how many seconds IAM says it is good."""
        assert self.options.password
        who = {
            "name": self.options.user,
            "password": self.options.password.get_secret_value(),
            "domain": {"name": self.options.domain},
        }
        wanted = {
            "auth": {
                "identity": {"methods": ["password"], "password": {"user": who}},
                "scope": {"project": {"id": self.options.project_id}},
            }
        }
        address = f"{self.options.iam_url}/v3/auth/tokens"
        return self.door.call(
            "iam", lambda: self.door.client.build_request("POST", address, json=wanted), _token, changes=False
        )


class Tokens:
    """The token in use, for all threads of a library: one of them asks for a new one, the others wait for it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._token = ""
        self._old_at = float("-inf")

    def current(self, fetch: Callable[[], tuple[str, float]], *, refused: str | None = None) -> str:
        """A token that is neither old nor the `refused` one. NoPermitError: another thread is slow in getting it."""
        if not self._lock.acquire(timeout=PATIENCE):
            raise NoPermitError(PATIENCE, "another errand is asking for a token")
        try:
            asked_at = self._clock()
            if asked_at >= self._old_at or self._token == refused:
                self._token, good_for = fetch()
                self._old_at = asked_at + good_for - TOKEN_MARGIN
            return self._token
        finally:
            self._lock.release()


def authorization(
    access_key: str, secret_key: str, *, method: str, path: str, query: Pairs, headers: Mapping[str, str], body: bytes
) -> str:
    """The Authorization header for a request that is sent with exactly these headers, of which all are signed.

    `headers` hold X-Sdk-Date (YYYYMMDDTHHMMSSZ, UTC) and Host, the latter with a port that is not the default.
    """
    sent = sorted((name.lower(), value.strip()) for name, value in headers.items() if "_" not in name)
    names = ";".join(name for name, _ in sent)
    told = dict(sent)
    segments = quote(unquote(path), safe="/~")
    payload = told.get("x-sdk-content-sha256") if body else None
    lines = [
        method.upper(),
        segments if segments.endswith("/") else segments + "/",  # for the signature only, never on the wire
        canonical_query(query),
        *(f"{name}:{value}" for name, value in sent),
        "",
        names,
        payload or hashlib.sha256(body).hexdigest(),
    ]
    canonical = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    to_sign = f"{ALGORITHM}\n{told['x-sdk-date']}\n{canonical}"
    signature = hmac.new(secret_key.encode(), to_sign.encode(), hashlib.sha256).hexdigest()
    return f"{ALGORITHM} Access={access_key}, SignedHeaders={names}, Signature={signature}"


def canonical_query(query: Pairs) -> str:
    """The query as it is signed, and sent."""
    return "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in sorted(query))


def _told(response: httpx.Response) -> Mapping[str, Any]:
    """The answer of a success. Raises our error for the vendor's code, whatever its status."""
    try:
        told = response.json()
    except ValueError:
        told = None
    code = told.get("error_code") if isinstance(told, dict) else None
    status = response.status_code
    decided = status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS}
    if isinstance(code, str) and (code in FAULTS or not decided):
        raise FAULTS.error(code, request_id=response.headers.get("X-Request-Id"), retry_after=retry_after(response))
    if not response.is_success:
        raise status_fault(response)
    if not isinstance(told, dict):
        raise TypeError("no object in JSON")
    return told


def _token(response: httpx.Response) -> tuple[str, float]:
    """IAM's answer: the token stands in a header; how long it is good for is told by IAM's own clock."""
    if response.status_code == HTTPStatus.UNAUTHORIZED:
        raise CredentialsError("IAM does not accept options.user, password and domain", code="iam-401")
    if response.status_code == HTTPStatus.FORBIDDEN:
        raise CredentialsError("IAM lets the user not into options.project_id, or has locked it", code="iam-403")
    if response.status_code == HTTPStatus.NOT_FOUND:
        raise MisconfiguredError("this address has no IAM service; check options.iam_url", code="iam-404")
    if not response.is_success:
        raise status_fault(response)
    told = response.json()["token"]
    good_for = datetime.fromisoformat(told["expires_at"]) - datetime.fromisoformat(told["issued_at"])
    return response.headers["X-Subject-Token"], good_for.total_seconds()


def _string_fields(about: Mapping[str, Any]) -> frozenset[str]:
    fields = about.get("external_fields") or {}
    return frozenset(name for name, kind in fields.items() if kind["type"] == "string")


def _is_safe_for_secrets(url: str) -> bool:
    parts = urlsplit(url)
    if not parts.hostname or parts.query or parts.fragment:
        return False
    try:
        private = parts.hostname == "localhost" or ip_address(parts.hostname).is_private
    except ValueError:
        private = False
    return parts.scheme == "https" or (parts.scheme == "http" and private)
