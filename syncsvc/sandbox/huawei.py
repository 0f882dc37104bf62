"""The Huawei Cloud FRS v2 practice room: face sets behind a gateway that checks signatures, and IAM beside it.

Where the pages are silent the sandbox chooses, and says so: those choices carry [I] as in the fact sheet.
"""

import base64
import binascii
import re
import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, ClassVar

from syncsvc.sandbox import base
from syncsvc.sandbox.base import Answer, Call, Limits, StoredFace
from syncsvc.sandbox.filters import as_text, parse
from syncsvc.sandbox.gateway import Gateway, Turned, iam_error, query_of, request_id
from syncsvc.sandbox.world import Picture, World, digest_of, picture

# Not found is 400 like everything else; the exceptions:
_STATUS: Mapping[str, int] = MappingProxyType(
    {
        "FRS.0002": 403,
        "FRS.0018": 500,
        "FRS.0028": 403,
        "FRS.0033": 429,
        "FRS.0306": 403,
        "APIGW.0101": 404,
        "APIGW.0301": 401,
        "APIGW.0303": 401,
        "APIGW.0308": 429,
    }
)
_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "FRS.0402": "External id is not exist, can not delete face",  # the page's own sample
        "FRS.0403": "Face ID does not exist",
        "APIGW.0301": "Incorrect IAM authentication information",
    }
)
WINDOW = 10_000  # offset + limit
MAX_SETS = 10
MAX_CAPACITY, CAPACITY_STEP = 100_000, 10_000
MAX_BASE64 = 8 * 1024 * 1024
MAX_SIDE = 4096
_TYPES: Mapping[str, tuple[type, ...]] = MappingProxyType(
    {
        "string": (str,),
        "integer": (int,),
        "long": (int,),
        "float": (int, float),
        "double": (int, float),
        "boolean": (bool,),
    }
)
_RESERVED = frozenset(
    ("external_image_id", "bounding_box", "similarity", "face_id", "create_time", "vector", "_id", "_all", "_source")
)
_WORD = re.compile(r"[A-Za-z0-9_-]{1,36}")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_VALUE = re.compile(r"[A-Za-z0-9_-]{1,256}")
_ROUTE = re.compile(r"/v2/(?P<project>[^/]+)/face-sets(?:/(?P<set>[^/]+)(?P<rest>/faces(?:/batch)?)?)?")
_CALLS: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("POST", "/faces"): "add",
        ("DELETE", "/faces"): "delete",
        ("DELETE", "/faces/batch"): "delete_many",
        ("PUT", "/faces"): "update",
        ("GET", "/faces"): "show",
        ("GET", "set"): "show_set",
        ("DELETE", "set"): "delete_set",
        ("POST", "sets"): "create_set",
        ("GET", "sets"): "list_sets",
    }
)


@dataclass(frozen=True, slots=True)
class FaceSet:
    """A face set without its faces; `fields` are the declared custom fields and their types."""

    id: str
    name: str
    created_at: str
    capacity: int
    fields: Mapping[str, str]


class Sandbox(base.Sandbox):
    """`face_set` with `fields` is there from the start; others are made by the vendor's own call.

    A face is filed under the value of its first string field, as the person's key, or else under its
    external_image_id. Switches: `show_absent`: asking for an unknown face_id is an "error" or an "empty" list;
    `throttle_code`: FRS.0033, or APIGW.0308 of the gateway; `unknown_token`: the code for a token that nobody gave out.
    """

    name: ClassVar[str] = "huawei"
    default_port: ClassVar[int] = 5603
    practice_options: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            "project_id": "0123456789abcdef0123456789abcdef",
            "face_set_name": "sandbox",
            "access_key": "SANDBOXACCESSKEY",
            "secret_key": "sandbox-secret",
            "person_field": "person_id",
        }
    )
    operations: ClassVar[tuple[str, ...]] = ("add", "delete", "show", "show_set", "iam")
    documented_limits: ClassVar[Limits] = Limits(each=((10, 1.0),))
    default_switches: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {"show_absent": "error", "throttle_code": "FRS.0033", "unknown_token": "APIGW.0301"}
    )

    def __init__(
        self,
        *,
        access_key: str = "SANDBOXACCESSKEY",
        secret_key: str = "sandbox-secret",  # noqa: S107
        project_id: str = "0123456789abcdef0123456789abcdef",
        user: str = "sandbox-user",
        password: str = "sandbox-password",  # noqa: S107
        domain: str = "sandbox-domain",
        face_set: str = "sandbox",
        fields: Mapping[str, str] = MappingProxyType({"person_id": "string"}),
        capacity: int = MAX_CAPACITY,
        **more: Any,
    ) -> None:
        super().__init__(**more)
        self.gateway = Gateway(access_key, secret_key, project_id, user, password, domain)
        self._founding = (face_set, capacity, dict(fields))
        self.sets: dict[str, FaceSet] = {}
        self._found()

    def reset(self) -> None:
        super().reset()
        with self.lock:
            self._found()

    def plant(self, person_key: str, *, label: str | None = None, photo: bytes = b"planted") -> StoredFace:
        with self.lock:
            home = self.sets[self._founding[0]]
            named = next((name for name, kind in home.fields.items() if kind == "string"), None)
            extra = _extra(home, {named: person_key} if named else {})
            label = label or secrets.token_hex(8)
            face = StoredFace(self.new_ids()[0], person_key, digest_of(photo), None, label, planted=True, extra=extra)
            self.world.add(face)
            return face

    def filed_under(self, label: str, fields: Mapping[str, Any]) -> str:
        """The key under which the world holds a face: whose it is, as far as the vendor can know."""
        return next((value for value in fields.values() if isinstance(value, str)), label)

    # --- what the base asks -----------------------------------------------------------------------------------

    def operation(self, call: Call) -> str:
        if (call.method, call.path) == ("POST", "/v3/auth/tokens"):
            return "iam"
        route = _ROUTE.fullmatch(call.path)
        if route is None:
            return "unknown"
        return _CALLS.get((call.method, route["rest"] or ("set" if route["set"] else "sets")), "unknown")

    def account(self, call: Call) -> str:
        return self.gateway.account(call)

    def authenticate(self, operation: str, call: Call) -> Answer | None:
        """Either way of proving who one is; the project in the path must be the key's or token's own."""
        route = _ROUTE.fullmatch(call.path)
        if operation == "iam" or route is None:
            return None
        try:
            self.gateway.let_in(call, route["project"], unknown_token=self.switches["unknown_token"])
        except Turned as turned:
            return self._error(turned.code)
        return None

    def handle(self, operation: str, call: Call) -> Answer:
        if operation == "iam":
            return self.gateway.give_token(call)
        try:
            return Answer.json(200, self._told(operation, call), headers=request_id())
        except Turned as turned:
            return self._error(turned.code)

    def _told(self, operation: str, call: Call) -> dict[str, Any]:
        route = _ROUTE.fullmatch(call.path)
        if operation == "unknown" or route is None:
            raise Turned("APIGW.0101")
        if route["set"] is None:
            return self._create_set(call) if operation == "create_set" else self._list_sets()
        if route["set"] not in self.sets:
            raise Turned("FRS.0302")
        told: dict[str, Any] = getattr(self, f"_{operation}")(self.sets[route["set"]], call)
        return told

    def throttled(self, operation: str) -> Answer:
        if operation == "iam":
            return iam_error(429, "Too Many Requests")
        return self._error(self.switches["throttle_code"])

    def unavailable(self, operation: str) -> Answer:
        return iam_error(503, "Service Unavailable") if operation == "iam" else self._error("FRS.0018")

    def unknown_code(self, operation: str) -> Answer:  # noqa: ARG002
        told = {"error_code": "FRS.9999", "error_msg": "Something new."}
        return Answer.json(400, told, word="FRS.9999", headers=request_id())

    def new_ids(self) -> tuple[str, str | None]:
        return _short_id(), None

    # --- faces ------------------------------------------------------------------------------------------------

    def _add(self, home: FaceSet, call: Call) -> dict[str, Any]:
        """Every face of the photo unless `single`; the same photo again makes other faces."""
        told = _object(call)
        if "image_base64" not in told:
            raise Turned("FRS.0021" if "image_url" in told else "FRS.0011")  # no OBS here, and no multipart
        single = told.get("single", False)
        if not isinstance(single, bool):
            raise Turned("FRS.0012")
        label = told.get("external_image_id") or secrets.token_hex(8)
        fields = told.get("external_fields") or {}
        _check_label(label)
        _check_fields(home, fields)
        photo, seen = _photo(told["image_base64"])
        if seen.faces == 0:
            raise Turned("FRS.0404")
        count = 1 if single else seen.faces
        if len(self._faces_in(home)) + count > home.capacity:
            raise Turned("FRS.0306")
        made = []
        for place in range(count):
            box = {"width": 100, "height": 120, "top_left_x": 20 + 110 * place, "top_left_y": 30}
            face = StoredFace(
                self.new_ids()[0],
                self.filed_under(label, fields),
                digest_of(photo),
                label=label,
                extra={**_extra(home, fields), "bounding_box": box},
            )
            self.world.add(face)
            made.append(_face(face))
        return {"face_set_id": home.id, "face_set_name": home.name, "faces": made}

    def _delete(self, home: FaceSet, call: Call) -> dict[str, Any]:
        """By exactly one condition; a label or a custom field may hit several faces."""
        conditions = query_of(call)
        if len(conditions) != 1:
            raise Turned("FRS.0012")
        ((field, value),) = conditions
        if not value:
            raise Turned("FRS.0012")
        faces = self._faces_in(home)
        if field == "face_id":
            hit, nobody = [face for face in faces if face.vendor_face_id == value], "FRS.0403"
        elif field == "external_image_id":
            hit, nobody = [face for face in faces if face.label == value], "FRS.0402"
        elif field in home.fields:
            hit, nobody = [face for face in faces if as_text(face.extra["fields"].get(field)) == value], "FRS.0401"
        else:
            raise Turned("FRS.0402")
        return self._deleted(home, call, hit, nobody)

    def _delete_many(self, home: FaceSet, call: Call) -> dict[str, Any]:
        told = _object(call).get("filter")
        if not isinstance(told, str) or not told:
            raise Turned("FRS.0011")
        try:
            wanted = parse(told, {*home.fields, "external_image_id"})
        except LookupError as error:
            raise Turned("FRS.0402") from error
        except ValueError as error:
            raise Turned("FRS.0012") from error
        hit = [one for one in self._faces_in(home) if wanted({**one.extra["fields"], "external_image_id": one.label})]
        return self._deleted(home, call, hit, "FRS.0407")

    def _deleted(self, home: FaceSet, call: Call, hit: list[StoredFace], nobody: str) -> dict[str, Any]:
        if not hit:
            raise Turned(nobody)
        doing, undone = self.first_half(call, hit)
        if call.half == "honest" and not doing:
            raise Turned("FRS.0018")  # a count of 0 is never told
        for face in doing:
            self.world.remove(face.vendor_face_id)
        told = len(doing) + (len(undone) if call.half == "silent" else 0)
        return {"face_number": told, "face_set_id": home.id, "face_set_name": home.name}

    def _update(self, home: FaceSet, call: Call) -> dict[str, Any]:
        """Labels and fields only: a picture is never exchanged."""
        told = _object(call)
        old = self.world.faces.get(str(told.get("face_id")))
        if old is None or old.extra["set"] != home.id:
            raise Turned("FRS.0303")
        if not {"external_image_id", "external_fields"} & set(told):
            raise Turned("FRS.0011")
        label = str(told.get("external_image_id", old.label))
        fields = {**old.extra["fields"], **told.get("external_fields", {})}
        _check_label(label)
        _check_fields(home, fields)
        self.world.remove(old.vendor_face_id)
        extra = {**old.extra, "fields": fields}
        key = self.filed_under(label, fields)
        self.world.add(StoredFace(old.vendor_face_id, key, old.digest, None, label, planted=old.planted, extra=extra))
        return {"face_number": 1, "face_set_id": home.id, "face_set_name": home.name}

    def _show(self, home: FaceSet, call: Call) -> dict[str, Any]:
        """One face by its id, or some in a row; no total, no cursor."""
        asked, faces = dict(query_of(call)), self._faces_in(home)
        if "face_id" in asked:
            shown = [face for face in faces if face.vendor_face_id == asked["face_id"]]
            if not shown and self.switches["show_absent"] == "error":
                raise Turned("FRS.0403")  # [I]
        else:
            try:
                offset, limit = int(asked.get("offset", "0")), int(asked.get("limit", "5"))
            except ValueError as error:
                raise Turned("FRS.0012") from error
            if offset < 0 or limit < 1 or offset + limit > WINDOW:
                raise Turned("FRS.0012")
            self.before_page(offset, limit)
            shown = list(self.page_of(self._faces_in(home, self.listed), offset, limit))
        return {"face_set_id": home.id, "face_set_name": home.name, "faces": [_face(face) for face in shown]}

    def _faces_in(self, home: FaceSet, world: World | None = None) -> list[StoredFace]:
        return [face for face in (world or self.world).faces.values() if face.extra["set"] == home.id]

    # --- face sets --------------------------------------------------------------------------------------------

    def _create_set(self, call: Call) -> dict[str, Any]:
        told = _object(call)
        name, capacity = told.get("face_set_name"), told.get("face_set_capacity", MAX_CAPACITY)
        fields = told.get("external_fields") or {}
        if name is None:
            raise Turned("FRS.0011")
        if not isinstance(name, str) or not _NAME.fullmatch(name) or not _can_be_fields(fields):
            raise Turned("FRS.0012")
        if not isinstance(capacity, int) or capacity % CAPACITY_STEP or not 0 < capacity <= MAX_CAPACITY:
            raise Turned("FRS.0012")
        if name in self.sets:
            raise Turned("FRS.0301")
        if len(self.sets) >= MAX_SETS:
            raise Turned("FRS.0305")
        self._make_set(name, capacity, {field: kind["type"] for field, kind in fields.items()})
        return {"face_set_info": self._about(self.sets[name])}

    def _show_set(self, home: FaceSet, call: Call) -> dict[str, Any]:  # noqa: ARG002
        return {"face_set_info": self._about(home)}

    def _list_sets(self) -> dict[str, Any]:
        return {"face_sets_info": [self._about(one) for one in self.sets.values()]}

    def _delete_set(self, home: FaceSet, call: Call) -> dict[str, Any]:  # noqa: ARG002
        for face in self._faces_in(home):
            self.world.remove(face.vendor_face_id)
        del self.sets[home.name]
        return {"face_set_name": home.name}

    def _about(self, home: FaceSet) -> dict[str, Any]:
        return {
            "face_number": self.total_of(len(self._faces_in(home))),
            "external_fields": {field: {"type": kind} for field, kind in home.fields.items()},
            "face_set_id": home.id,
            "face_set_name": home.name,
            "create_date": home.created_at,
            "face_set_capacity": home.capacity,
        }

    def _found(self) -> None:
        self.sets = {}
        self.gateway.tokens.clear()
        self._make_set(*self._founding)

    def _make_set(self, name: str, capacity: int, fields: Mapping[str, str]) -> None:
        created_at = f"{datetime.fromtimestamp(self.clock(), UTC):%Y-%m-%d %H:%M:%S}"
        self.sets[name] = FaceSet(_short_id(), name, created_at, capacity, fields)

    def _error(self, code: str) -> Answer:
        headers = request_id()
        told = {"error_code": code, "error_msg": _WORDS.get(code, "See the list of error codes")}
        if code.startswith("APIGW"):
            told["request_id"] = headers["X-Request-Id"]
        return Answer.json(_STATUS.get(code, 400), told, word=code, headers=headers)


def _object(call: Call) -> dict[str, Any]:
    try:
        told = call.json()
    except ValueError as error:
        raise Turned("FRS.0014") from error
    if not isinstance(told, dict):
        raise Turned("FRS.0014")
    return told


def _photo(told: Any) -> tuple[bytes, Picture]:
    if not isinstance(told, str):
        raise Turned("FRS.0012")
    if len(told) >= MAX_BASE64:
        raise Turned("FRS.0017")
    try:
        photo = base64.b64decode(told, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Turned("FRS.0015") from error
    seen = picture(photo)
    if seen is None or seen.format not in {"JPEG", "PNG", "BMP"}:
        raise Turned("FRS.0016")
    if max(seen.width, seen.height) > MAX_SIDE:
        raise Turned("FRS.0013")
    return photo, seen


def _check_label(label: Any) -> None:
    if not isinstance(label, str) or not _WORD.fullmatch(label):
        raise Turned("FRS.0012")


def _check_fields(home: FaceSet, fields: Any) -> None:
    if not isinstance(fields, dict) or not set(fields) <= set(home.fields):
        raise Turned("FRS.0012")
    for field, value in fields.items():
        kind = home.fields[field]
        fits = isinstance(value, _TYPES[kind]) and (isinstance(value, bool) == (kind == "boolean"))
        if not fits or (isinstance(value, str) and not _VALUE.fullmatch(value)):
            raise Turned("FRS.0012")


def _can_be_fields(fields: Any) -> bool:
    """At most ten declared fields, of known types and free names [D 0012]."""
    return (
        isinstance(fields, dict)
        and len(fields) <= 10  # noqa: PLR2004
        and all(_WORD.fullmatch(name) and name not in _RESERVED for name in fields)
        and all(isinstance(kind, dict) and kind.get("type") in _TYPES for kind in fields.values())
    )


def _extra(home: FaceSet, fields: Mapping[str, Any]) -> dict[str, Any]:
    box = {"width": 100, "height": 120, "top_left_x": 20, "top_left_y": 30}
    return {"set": home.id, "fields": dict(fields), "bounding_box": box}


def _face(face: StoredFace) -> dict[str, Any]:
    return {
        "bounding_box": face.extra["bounding_box"],
        "external_fields": face.extra["fields"],
        "external_image_id": face.label,
        "face_id": face.vendor_face_id,
    }


def _short_id() -> str:
    """Eight letters and digits, as in the vendor's examples."""
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(8))
