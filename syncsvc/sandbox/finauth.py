"""The FinAuth FaceSearch practice room: face libraries of labelled faces behind a signed form."""

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, ClassVar
from urllib.parse import parse_qsl

from syncsvc.sandbox import base
from syncsvc.sandbox.base import Answer, Call, Limits, StoredFace
from syncsvc.sandbox.world import World, digest_of, picture

PREFIX = "/finauth/search/group/"
MAX_LIBRARIES = 10  # create_face_library_api
MAX_TOKENS = 1000  # Delete_Face_from_Face_Library_api
MAX_LIMIT = MAX_START = 1000  # Get_Face_List_in_Face_Library_api
MAX_ALIKE = 100  # Face_Search_api
MAX_BYTES = 2 * 1024 * 1024  # of a picture: FaceID and Face++, not stated for FinAuth
SKEW = 300  # seconds that a client's clock may be ahead; not documented

_MAGIC_WORD = "RemoveAllFaceTokens"  # the ancestor's "everything" (Face++ v3, FaceSet RemoveFace)
_NAME = re.compile(r"[A-Za-z0-9\-%@#&_]{1,48}")
_SIGNED = re.compile(r"a=(?P<key>[^&]*)&b=(?P<until>\d+)&c=(?P<now>\d+)&d=\d{1,10}")
_BEIJING = timezone(timedelta(hours=8))

Form = Mapping[str, bytes]


class _Turned(Exception):  # noqa: N818
    """The call ends here, with the vendor's status and word."""

    def __init__(self, status: int, code: str) -> None:
        self.status, self.code = status, code
        super().__init__(code)


class Sandbox(base.Sandbox):
    """`libraries` are there from the start; more are made by the vendor's own `create`.

    Switches: `window_enforced` refuses a `start` beyond 1,000; `returns_next`: the listing tells the next index;
    `magic_word`: the ancestor's word in `face_tokens` empties the library; `add_time`: "integer" or "string";
    `error_field`: "error" or "error_message"; `missing_library`: the word for a library that is not there;
    `denied`: the detail of an AUTHORIZATION_ERROR that everybody gets ("Denied by Admin"), "" for none.
    """

    name: ClassVar[str] = "finauth"
    default_port: ClassVar[int] = 5604
    practice_options: ClassVar[Mapping[str, str]] = MappingProxyType(
        {"api_key": "sandbox-key", "api_secret": "sandbox-secret", "group_id": "sandbox"}
    )
    operations: ClassVar[tuple[str, ...]] = ("add", "delete", "list", "face_info", "search", "group_list")
    documented_limits: ClassVar[Limits] = Limits(rates=((10, 1.0),))  # contractual, not published: our guess
    default_switches: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "window_enforced": True,
            "returns_next": False,
            "magic_word": True,
            "add_time": "integer",
            "error_field": "error",
            "missing_library": "INVALID_OUTER_ID",
            "denied": "",
        }
    )

    def __init__(
        self,
        *,
        api_key: str = "sandbox-key",
        api_secret: str = "sandbox-secret",  # noqa: S107
        libraries: Sequence[str] = ("sandbox",),
        **more: Any,
    ) -> None:
        super().__init__(**more)
        self.api_key, self.api_secret = api_key, api_secret
        self._founding = tuple(libraries)
        self._found()

    def reset(self) -> None:
        super().reset()
        with self.lock:
            self._found()

    def _found(self) -> None:
        self.libraries = {name: self._library(name, name) for name in self._founding}
        self.used_signs: set[str] = set()

    # --- what the base asks -----------------------------------------------------------------------------------

    def operation(self, call: Call) -> str:
        return call.path.removeprefix(PREFIX) if call.method == "POST" and call.path.startswith(PREFIX) else "unknown"

    def authenticate(self, operation: str, call: Call) -> Answer | None:
        """App-Authentication: the first 20 bytes are the HMAC-SHA1 of the rest."""
        if operation not in {*self.operations, "create", "free"}:
            return self._error(HTTPStatus.NOT_FOUND, "API_NOT_FOUND", anonymous=True)
        try:
            call.fetched["form"] = form = read_form(call)
            self._verify(_text(form, "sign"), _text(form, "sign_version"))
        except _Turned as turned:
            return self._error(turned.status, turned.code)
        except ValueError:
            return self._error(HTTPStatus.BAD_REQUEST, "BAD_ARGUMENTS: the form cannot be read")
        if self.switches["denied"]:
            return self._error(HTTPStatus.FORBIDDEN, f"AUTHORIZATION_ERROR:{self.switches['denied']}", anonymous=True)
        return None

    def handle(self, operation: str, call: Call) -> Answer:
        form: Form = call.fetched["form"]
        try:
            return Answer.json(HTTPStatus.OK, {**self._head(), **getattr(self, f"_{operation}")(form, call)})
        except _Turned as turned:
            if turned.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:  # plain text (FaceID Verify 2.0.1, error table)
                return Answer(turned.status, b"Request Entity Too Large", {"Content-Type": "text/plain"}, turned.code)
            return self._error(turned.status, turned.code)
        except ValueError:
            return self._error(HTTPStatus.BAD_REQUEST, "BAD_ARGUMENTS: not text, or not base64")

    def throttled(self, operation: str) -> Answer:  # noqa: ARG002
        return self._error(HTTPStatus.FORBIDDEN, "CONCURRENCY_LIMIT_EXCEEDED")

    def unavailable(self, operation: str) -> Answer:  # noqa: ARG002
        return self._error(HTTPStatus.INTERNAL_SERVER_ERROR, "INTERNAL_ERROR")

    def unknown_code(self, operation: str) -> Answer:  # noqa: ARG002
        return self._error(HTTPStatus.BAD_REQUEST, "FACE_LIBRARY_FROZEN: come back later")

    def new_ids(self) -> tuple[str, str | None]:
        return secrets.token_hex(16), None

    # --- the calls --------------------------------------------------------------------------------------------

    def _add(self, form: Form, call: Call) -> dict[str, Any]:  # noqa: ARG002
        """The same picture again is another face. The page's answer table is cut off; a `face_token` it must have."""
        group, user = self._group(form), _text(form, "user_id")
        if not _NAME.fullmatch(user):
            raise _Turned(HTTPStatus.BAD_REQUEST, "BAD_ARGUMENTS:user_id")
        label = _text(form, "user_data", "")
        if len(label) > 128:  # noqa: PLR2004
            raise _Turned(HTTPStatus.BAD_REQUEST, "BAD_ARGUMENTS:user_data")
        if _text(form, "multi_oriented_detection", "0") not in {"0", "1"}:
            raise _Turned(HTTPStatus.BAD_REQUEST, "BAD_ARGUMENTS:multi_oriented_detection")
        photo = self._photo(form)
        token, _ = self.new_ids()
        extra = {"group_id": group, "add_time": int(self.clock() * 1000)}
        self.world.add(StoredFace(token, user, digest_of(photo), None, label, extra=extra))
        return {"group_id": group, "face_token": token, "face_count": len(self._faces(group))}

    def _delete(self, form: Form, call: Call) -> dict[str, Any]:
        group = self._group(form)
        asked = _text(form, "face_tokens")
        tokens = asked.split(",") if asked else []
        if asked == _MAGIC_WORD and self.switches["magic_word"]:
            tokens = [face.vendor_face_id for face in self._faces(group)]
        elif not 1 <= len(tokens) <= MAX_TOKENS:
            raise _Turned(HTTPStatus.BAD_REQUEST, "INVALID_FACE_TOKENS_SIZE")
        here = {face.vendor_face_id for face in self._faces(group)}
        doing, undone = self.first_half(call, tokens)
        failures = []
        for token in doing:
            if token in here and self.world.remove(token):
                here.discard(token)
            else:
                failures.append({"face_token": token, "reason": "FACE_NOT_IN_GROUP"})
        removed = len(doing) - len(failures)
        if call.half == "honest":
            failures += [{"face_token": token, "reason": "INTERNAL_ERROR"} for token in undone]
        return {
            "group_id": group,
            "face_removed": removed,
            "face_count": self.total_of(len(here)),
            "failure_detail": failures,
        }

    def _list(self, form: Form, call: Call) -> dict[str, Any]:  # noqa: ARG002
        group = self._group(form)
        start = _number(form, "start", 1, MAX_START if self.switches["window_enforced"] else None)
        limit = _number(form, "limit", 100, MAX_LIMIT)
        self.before_page(start - 1, limit)
        faces = self._faces(group, self.listed)
        shown = self.page_of(faces, start - 1, limit)
        more = start - 1 + limit < self.total_of(len(faces), start - 1, limit)
        following = {"next": start + limit} if self.switches["returns_next"] and more else {}
        return {"face_tokens": [self._shown(face) for face in shown], **following}

    def _face_info(self, form: Form, call: Call) -> dict[str, Any]:  # noqa: ARG002
        group = self._group(form)
        face = self.world.faces.get(_text(form, "face_token"))
        if face is None or self._group_of(face) != group:
            raise _Turned(HTTPStatus.BAD_REQUEST, "INVALID_FACE_TOKEN")
        return {"info": self._shown(face)}

    def _search(self, form: Form, call: Call) -> dict[str, Any]:  # noqa: ARG002
        """The same bytes are the same face, all others are strangers. `results` is the ancestor's shape (Face++ v3)."""
        group, digest = self._group(form), digest_of(self._photo(form))
        scored = [(99.9 if face.digest == digest else 20.0, face) for face in self._faces(group)]
        best = sorted(scored, key=lambda one: -one[0])[: _number(form, "limit", 1, MAX_ALIKE)]
        results = [
            {"face_token": face.vendor_face_id, "user_id": face.person_key, "confidence": score}
            for score, face in best
            if score > float(_text(form, "threshold", "0"))
        ]
        return {"results": results}

    def _group_list(self, form: Form, call: Call) -> dict[str, Any]:  # noqa: ARG002
        return {"group_infos": list(self.libraries.values())}

    def _create(self, form: Form, call: Call) -> dict[str, Any]:  # noqa: ARG002
        group, label = _text(form, "group_id"), _text(form, "group_name")
        if not _NAME.fullmatch(group) or group in self.libraries or len(self.libraries) >= MAX_LIBRARIES:
            raise _Turned(HTTPStatus.BAD_REQUEST, "BAD_ARGUMENTS:group_id")
        self.libraries[group] = self._library(group, label)
        return dict(self.libraries[group])

    def _free(self, form: Form, call: Call) -> dict[str, Any]:  # noqa: ARG002
        group = self._group(form)
        faces = self._faces(group)
        if faces and _text(form, "check_empty", "1") != "0":
            raise _Turned(HTTPStatus.BAD_REQUEST, "NOT_EMPTY")
        for face in faces:
            self.world.remove(face.vendor_face_id)
        del self.libraries[group]
        return {"group_id": group}

    # --- underneath -------------------------------------------------------------------------------------------

    def _verify(self, sign: str, version: str) -> None:
        unauthenticated = _Turned(HTTPStatus.UNAUTHORIZED, "AUTHENTICATION_ERROR")
        try:
            decoded = base64.b64decode(sign, validate=True)
        except binascii.Error:
            raise unauthenticated from None
        mac, raw = decoded[:20], decoded[20:]
        told = _SIGNED.fullmatch(raw.decode("latin-1"))
        if told is None or version != "hmac_sha1" or told["key"] != self.api_key:
            raise unauthenticated
        if not hmac.compare_digest(mac, hmac.digest(self.api_secret.encode(), raw, hashlib.sha1)):
            raise unauthenticated
        once, now = int(told["until"]) == 0, self.clock()  # 0: good for one call
        if int(told["now"]) > now + SKEW or not (once or now <= int(told["until"])):
            raise unauthenticated
        with self.lock:
            if once and sign in self.used_signs:
                raise unauthenticated
            self.used_signs |= {sign} if once else set()

    def _photo(self, form: Form) -> bytes:
        if ("image" in form) == ("file" in form):
            raise _Turned(
                HTTPStatus.BAD_REQUEST, "MISSING_ARGUMENTS:image" if "file" not in form else "COEXISTENCE_ARGUMENTS"
            )
        photo = form["file"] if "file" in form else base64.b64decode(form["image"])
        if len(photo) > MAX_BYTES:
            raise _Turned(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large")
        seen = picture(photo)
        if seen is None or seen.format not in {"PNG", "JPEG", "BMP"}:
            raise _Turned(HTTPStatus.BAD_REQUEST, "IMAGE_ERROR_UNSUPPORTED_FORMAT: image")
        if seen.faces == 0:
            raise _Turned(HTTPStatus.BAD_REQUEST, "NO_FACE_FOUND")
        return photo  # of several faces the largest is taken, without a word (Add_Face_to_Face_Library_api)

    def _group(self, form: Form) -> str:
        group = _text(form, "group_id")
        if group not in self.libraries:
            raise _Turned(HTTPStatus.BAD_REQUEST, self.switches["missing_library"])
        return group

    def _group_of(self, face: StoredFace) -> str:
        return str(face.extra.get("group_id", next(iter(self.libraries), "")))  # a planted face is in the first

    def _faces(self, group: str, world: World | None = None) -> list[StoredFace]:
        return [face for face in (world or self.world).faces.values() if self._group_of(face) == group]

    def _shown(self, face: StoredFace) -> dict[str, Any]:
        at = face.extra.get("add_time", 0)
        when = str(at) if self.switches["add_time"] == "string" else at
        label = face.label or ""
        return {"face_token": face.vendor_face_id, "user_id": face.person_key, "user_data": label, "add_time": when}

    def _library(self, group: str, label: str) -> dict[str, str]:
        made = datetime.fromtimestamp(self.clock(), _BEIJING).isoformat(timespec="seconds")
        return {"group_id": group, "group_name": label, "group_data": "", "model_version": "s21", "add_time": made}

    def _head(self) -> dict[str, Any]:
        return {"request_id": f"{int(self.clock())},{uuid.uuid4()}", "time_used": 12}

    def _error(self, status: int, code: str, *, anonymous: bool = False) -> Answer:
        """`anonymous`: without request_id, as API_NOT_FOUND and AUTHORIZATION_ERROR come."""
        head = {} if anonymous else self._head()
        return Answer.json(status, {**head, self.switches["error_field"]: code}, word=code.partition(":")[0])


def read_form(call: Call) -> Form:
    """Fields and files by name, from multipart/form-data (which the pages ask for) or urlencoded."""
    kind, _, rest = call.headers.get("content-type", "").partition(";")
    if kind.strip().lower() == "application/x-www-form-urlencoded":
        return {name.decode(): value for name, value in parse_qsl(call.body, keep_blank_values=True)}
    found = re.search(r'boundary="?([^";]+)"?', rest)
    if kind.strip().lower() != "multipart/form-data" or found is None:
        raise ValueError("not a form")
    form: dict[str, bytes] = {}
    for part in (b"\r\n" + call.body).split(b"\r\n--" + found[1].encode())[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        named = re.search(rb'[ ;]name="([^"]*)"', head)
        if named is None:
            raise ValueError("a part without a name")
        form[named[1].decode()] = content
    return form


def _text(form: Form, name: str, default: str | None = None) -> str:
    if name in form:
        return form[name].decode()
    if default is None:
        raise _Turned(HTTPStatus.BAD_REQUEST, f"MISSING_ARGUMENTS:{name}")
    return default


def _number(form: Form, name: str, default: int, most: int | None) -> int:
    told = _text(form, name, str(default))
    if not told.isdecimal() or int(told) < 1 or (most is not None and int(told) > most):
        raise _Turned(HTTPStatus.BAD_REQUEST, f"BAD_ARGUMENTS:{name}")
    return int(told)
