"""A Sophon box for practice: identities with faces, without credentials, limits or mercy for bad photos."""

import base64
import binascii
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

from syncsvc.sandbox import base
from syncsvc.sandbox.base import Answer, Call, StoredFace
from syncsvc.sandbox.world import World, digest_of, feature_digest, picture

PREFIX = "/sophon/v2/face/"
FEATURE_LENGTH = 512
# A face must be larger than this many pixels (5.4 fiqa: high, middle, low); "normal" is what register calls say.
FACE_SIDE = {"no": 0, "low": 60, "normal": 80, "high": 112}
USER_TYPES = frozenset({"employee", "visitor", "blacklist", "stranger", "vip"})

# No page says which status an error has; the families are those of the older message table (404xx, 413xx, ...).
_STATUS = {
    "ID_NOT_FOUND": 404,
    "IMAGE_SIZE_TOO_LARGE_ERROR": 413,
    "UNSUPPORT_CONTENT_TYPE": 415,
    "INTERNAL_ERROR": 500,
}


class Refusal(Exception):  # noqa: N818
    """What the box answers instead of doing it."""

    def __init__(self, code: str, message: str = "") -> None:
        self.code, self.message = code, message
        super().__init__(code)


class Sandbox(base.Sandbox):
    """See the base for what can be scripted. The switches choose between what the vendor left open."""

    name = "sophon"
    default_port = 5601
    operations = (
        "createidentity",
        "addface",
        "replaceface",
        "deleteface",
        "deleteidentities",
        "getidentity",
        "getidentities",
    )
    default_switches: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "refuse_last_face": False,  # deleting a person's only face: accepted or refused
            "identity_id_as_list": True,  # replaceface's answer, as its example shows and its table does not
            "replace_keeps_place": True,  # in the two lists
            "replace_keeps_face_id": False,  # only the image id is new then
            "errors_with_200": False,  # the status of an error: the suggested ones, or always 200
            "old_spelling": False,  # sucess_identity_ids
            "capacity": 100_000,  # GATE_DEFAULT_GROUP_SIZE
            "max_image_bytes": 10 * 1024 * 1024,
            "max_page_limit": 0,  # 0: whatever is asked for
            "permission_ids": None,  # the groups that exist; None: all
        }
    )

    def operation(self, call: Call) -> str:
        return call.path.removeprefix(PREFIX)

    def handle(self, operation: str, call: Call) -> Answer:
        routes: Mapping[str, Callable[[dict[str, Any], Call], dict[str, Any]]] = {
            "createidentity": self._create,
            "addface": self._add_face,
            "replaceface": self._replace_face,
            "deleteface": self._delete_face,
            "deleteidentities": self._delete_people,
            "getidentity": self._get_person,
            "getidentities": self._list_people,
        }
        if operation not in routes or call.method != "POST" or not call.path.startswith(PREFIX):
            return Answer(404, b"404 page not found", {"Content-Type": "text/plain"}, "no_route")
        try:
            return Answer.json(200, routes[operation](_body(call), call))
        except Refusal as refusal:
            return self._error(refusal.code, refusal.message)

    def throttled(self, operation: str) -> Answer:  # noqa: ARG002
        """The box has no throttling code; this is what a proxy before it says."""
        body = b"<html><head><title>429 Too Many Requests</title></head></html>"
        return Answer(429, body, {"Content-Type": "text/html", "Retry-After": "3"}, "throttled")

    def unavailable(self, operation: str) -> Answer:  # noqa: ARG002
        return self._error("INTERNAL_ERROR", "please repeat the request")

    def unknown_code(self, operation: str) -> Answer:  # noqa: ARG002
        return self._error("FLUX_CAPACITOR_ERROR", "1.21 gigawatts")

    def new_ids(self) -> tuple[str, str | None]:
        return str(uuid.uuid4()), str(uuid.uuid4())

    def plant_record(self, person_key: str) -> None:
        self.world.records.setdefault(person_key, _record("", "employee", []))

    # --- the calls, named and told as in 5.3 identity-manager ---------------------------------------------------

    def _create(self, body: dict[str, Any], _: Call) -> dict[str, Any]:
        key = str(body.get("identity_id") or uuid.uuid4())
        kind = body.get("user_type") or "employee"
        groups = list(body.get("permission_ids") or [])
        if kind not in USER_TYPES:
            raise Refusal("INVALID_ARGUMENTS", "user_type")
        known = self.switches["permission_ids"]
        for group in groups:
            if known is not None and group not in known:
                raise Refusal("PERMISSION_ID_NOT_FOUND", str(group))
        if self.world.knows(key):
            if not body.get("force_replace"):
                raise Refusal("ID_REPEAT_ERROR", key)
            digest = self._source(body)
            self.world.forget(key)
        else:
            digest = self._source(body)
        face = self._store(key, digest)
        self.world.records[key] = _record(str(body.get("identity_name") or ""), kind, groups)
        return {"identity_id": key, "face_id": face.vendor_face_id, "register_image_id": face.vendor_image_id}

    def _add_face(self, body: dict[str, Any], _: Call) -> dict[str, Any]:
        key = self._known(body)
        self._store(key, self._source(body))
        return self._state(key)

    def _replace_face(self, body: dict[str, Any], _: Call) -> dict[str, Any]:
        key = self._known(body)
        old = self._selected(key, body)
        digest = self._source(body)
        face_id, image_id = self.new_ids()
        if self.switches["replace_keeps_face_id"]:
            face_id = old.vendor_face_id
        new = StoredFace(face_id, key, digest, image_id)
        self.world.swap(old.vendor_face_id, new, keep_place=bool(self.switches["replace_keeps_place"]))
        state = self._state(key)
        return {**state, "identity_id": [key]} if self.switches["identity_id_as_list"] else state

    def _delete_face(self, body: dict[str, Any], call: Call) -> dict[str, Any]:
        key = self._known(body)
        face = self._named(key, body)
        if self.switches["refuse_last_face"] and len(self.world.of(key)) == 1:
            raise Refusal("INVALID_ARGUMENTS", "face_id")
        todo, _ = self.first_half(call, [face])
        if todo:
            self.world.remove(face.vendor_face_id)
        elif call.half == "honest":
            raise Refusal("INTERNAL_ERROR", "please repeat the request")
        return self._state(key, without=face.vendor_face_id)

    def _delete_people(self, body: dict[str, Any], call: Call) -> dict[str, Any]:
        keys = body.get("identity_ids")
        if not isinstance(keys, list) or not keys:
            raise Refusal("MISSING_ARGUMENTS", "identity_ids")
        there = [key for key in keys if self.world.knows(key)]
        todo, undone = self.first_half(call, there)
        for key in todo:
            self.world.forget(key)
        told = there if call.half == "silent" else list(todo)
        failed = [key for key in keys if key not in there or (call.half == "honest" and key in undone)]
        spelling = "sucess_identity_ids" if self.switches["old_spelling"] else "success_identity_ids"
        return {spelling: told, "failed_identity_ids": failed}

    def _get_person(self, body: dict[str, Any], _: Call) -> dict[str, Any]:
        return self._shown(self._known(body), self.world)

    def _list_people(self, body: dict[str, Any], _: Call) -> dict[str, Any]:
        filters = body.get("filters") or {}
        limit, index = body.get("page_limit", 10), body.get("page_index", 0)
        if not isinstance(limit, int) or not isinstance(index, int) or limit < 1 or index < 0:
            raise Refusal("INVALID_ARGUMENTS", "page_limit")
        limit = min(limit, self.switches["max_page_limit"] or limit)
        self.before_page(index * limit, limit)
        world = self.listed
        keys = [key for key in world.people() if _matches(key, world.records.get(key, {}), filters)]
        page = [self._shown(key, world) for key in self.page_of(keys, index * limit, limit)]
        total = self.total_of(len(keys), index * limit, limit)
        return {
            "identities": page,
            "pagination": {"page_index": index, "page_limit": limit, "total_count": total},
        }

    # --- what they share --------------------------------------------------------------------------------------

    def _known(self, body: Mapping[str, Any]) -> str:
        key = body.get("identity_id")
        if key is None:
            raise Refusal("MISSING_ARGUMENTS", "identity_id")
        if not isinstance(key, str):
            raise Refusal("INVALID_ARGUMENTS", "identity_id")
        if not self.world.knows(key):
            raise Refusal("ID_NOT_FOUND", key)
        return key

    def _named(self, key: str, body: Mapping[str, Any]) -> StoredFace:
        """By register_image_id, else by face_id: if both are sent, the former alone counts (7-delete-face)."""
        image_id, face_id = body.get("register_image_id"), body.get("face_id")
        if image_id is None and face_id is None:
            raise Refusal("MISSING_ARGUMENTS", "face_id")
        for face in self.world.of(key):
            if (face.vendor_image_id == image_id) if image_id is not None else (face.vendor_face_id == face_id):
                return face
        raise Refusal("ID_NOT_FOUND", str(image_id if image_id is not None else face_id))

    def _selected(self, key: str, body: Mapping[str, Any]) -> StoredFace:
        """Exactly one of three selectors (8-update-image)."""
        given = [
            name for name in ("register_image_index", "register_image_id", "face_id") if body.get(name) is not None
        ]
        if not given:
            raise Refusal("MISSING_ARGUMENTS", "face_id")
        if len(given) > 1:
            raise Refusal("INVALID_ARGUMENTS", given[1])
        if given == ["register_image_index"]:
            faces, index = self.world.of(key), body["register_image_index"]
            if not isinstance(index, int) or not 0 <= index < len(faces):
                raise Refusal("INVALID_ARGUMENTS", "register_image_index")
            return faces[index]
        return self._named(key, body)

    def _source(self, body: Mapping[str, Any]) -> str:
        """The digest of what is registered: register_feature before register_image before register_image_path."""
        if (feature := body.get("register_feature")) is not None:
            if not isinstance(feature, list) or len(feature) != FEATURE_LENGTH:
                raise Refusal("INVALID_ARGUMENTS", "register_feature")
            return feature_digest(feature)
        if (image := body.get("register_image")) is not None:
            return self._checked(str(image), str(body.get("fiqa_level", "high")))
        if body.get("register_image_path") is not None:
            raise Refusal("IMAGE_NOT_OPENED")  # nobody has put a photo on this box's own disk
        raise Refusal("MISSING_ARGUMENTS", "register_image")

    def _checked(self, image: str, level: str) -> str:
        if level not in FACE_SIDE:
            raise Refusal("INVALID_ARGUMENTS", "fiqa_level")
        head, comma, encoded = image.partition(",")  # a data URI as in the example, or bare as in the sample script
        try:
            content = base64.b64decode(encoded if comma and head.startswith("data:") else image, validate=True)
        except binascii.Error:
            raise Refusal("IMAGE_DECODE_ERROR") from None
        if len(content) > self.switches["max_image_bytes"]:
            raise Refusal("IMAGE_SIZE_TOO_LARGE_ERROR")
        seen = picture(content)
        if seen is None:
            raise Refusal("IMAGE_DECODE_ERROR")
        if seen.faces == 0:
            raise Refusal("NO_FACE_ERROR")
        if min(seen.width, seen.height) <= FACE_SIDE[level]:
            raise Refusal("LOW_QUALITY_ERROR", "face_size")
        return digest_of(content)

    def _store(self, key: str, digest: str) -> StoredFace:
        if len(self.world.faces) >= self.switches["capacity"]:
            raise Refusal("GROUP_LEN_ERROR")
        face_id, image_id = self.new_ids()
        face = StoredFace(face_id, key, digest, image_id)
        self.world.add(face)
        return face

    def _state(self, key: str, *, without: str | None = None) -> dict[str, Any]:
        faces = [face for face in self.world.of(key) if face.vendor_face_id != without]
        return {"identity_id": key, "total_face_cnt": len(faces), **_ids(faces)}

    def _shown(self, key: str, world: World) -> dict[str, Any]:
        return {**world.records.get(key, {}), "identity_id": key, **_ids(world.of(key))}

    def _error(self, code: str, message: str) -> Answer:
        status = 200 if self.switches["errors_with_200"] else _STATUS.get(code, 400)
        return Answer.json(status, {"error": {"code": code, "message": message}}, word=code)


def _body(call: Call) -> dict[str, Any]:
    if call.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise Refusal("UNSUPPORT_CONTENT_TYPE")
    if not call.body:
        raise Refusal("EMPTY_REQUEST_JSON")
    try:
        body = json.loads(call.body)
    except ValueError:
        raise Refusal("INVALID_REQUEST_JSON") from None
    if not isinstance(body, dict):
        raise Refusal("INVALID_REQUEST_JSON")
    return body


def _ids(faces: Sequence[StoredFace]) -> dict[str, Any]:
    return {
        "face_ids": [face.vendor_face_id for face in faces],
        "register_image_ids": [face.vendor_image_id for face in faces],
    }


def _record(name: str, kind: str, groups: list[str]) -> dict[str, Any]:
    return {"identity_name": name, "user_type": kind, "permission_ids": groups, "ext_user_info": {}}


def _matches(key: str, record: Mapping[str, Any], filters: Mapping[str, Any]) -> bool:
    name, wanted = filters.get("identity_name"), filters.get("permission_id_list")
    if filters.get("identity_id") not in {None, key}:
        return False
    if name and name not in record.get("identity_name", ""):
        return False
    return not wanted or bool(set(wanted) & set(record.get("permission_ids", ())))
