"""Small HR systems on loopback: they keep employees, ask for credentials, and fail as they are told to."""

import base64
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

JSON = {"Content-Type": "application/json"}
HTML = {"Content-Type": "text/html"}


@dataclass
class Worker:
    """An employee as the HR system keeps them; `photo` None: there is none."""

    name: str = "Ada Canary"
    number: str = "N-1"
    there: bool = True
    last_day: str | None = None
    photo: bytes | None = None


@dataclass(frozen=True)
class Asked:
    """One request, as it came."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body or b"null")

    @property
    def form(self) -> dict[str, str]:
        return {key: values[-1] for key, values in parse_qs(self.body.decode()).items()}


@dataclass(frozen=True)
class Said:
    """What a room answers."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: JSON)
    body: bytes = b"{}"

    @classmethod
    def of(cls, told: Any, status: int = 200) -> "Said":
        return cls(status, JSON, json.dumps(told).encode())


FAULTS: Mapping[str, Said] = {
    "unauthorized": Said(401),
    "forbidden": Said(403),
    "nowhere": Said(404, HTML, b"<h1>404 of some proxy</h1>"),
    "moved": Said(302, {"Location": "https://login.example.com"}, b""),
    "slow down": Said(429, {**JSON, "Retry-After": "7"}),
    "broken": Said(500, HTML, b"oops"),
    "away": Said(503, HTML, b"maintenance"),
    "garbage": Said(200, HTML, b"<html>captive portal</html>"),
    "other json": Said(200, JSON, b'{"hello": ["world"]}'),
    "a list": Said(200, JSON, b"[]"),
    "nothing": Said(200, JSON, b""),
    "deep": Said(200, JSON, b"[" * 100_000),
    "wrong charset": Said(200, JSON, b'{"id": "\xff\xfe"}'),
}


class Room:
    """One HR system. A subclass answers requests; faults come before any answer."""

    SECRET: ClassVar[str] = "canary-api-secret"
    TOKEN_PATHS: ClassVar[tuple[str, ...]] = ()

    def __init__(self) -> None:
        self.url = ""
        self.workers: dict[str, Worker] = {}
        self.asked: list[Asked] = []
        self.tokens: set[str] = set()
        self.minted = 0
        self.fault: str | None = None
        self.instead: dict[str, Said] = {}  # by a part of the path: what is answered there
        self.amend: Any = None  # what to do to an employee's answer before it goes out
        self._lock = threading.Lock()

    def answer(self, asked: Asked) -> Said:
        raise NotImplementedError

    def hire(self, employee: str, **told: Any) -> Worker:
        self.workers[employee] = Worker(**told)
        return self.workers[employee]

    def photo_url(self, employee: str) -> str:
        """Where the photo stub of a test finds the picture of an employee."""
        return f"https://pictures.example.com/{employee}"

    def amended(self, told: dict[str, Any]) -> dict[str, Any]:
        return told if self.amend is None else self.amend(told)

    def bearer(self, asked: Asked) -> bool:
        return asked.headers.get("authorization", "").removeprefix("Bearer ") in self.tokens

    def basic(self, asked: Asked, user: str, password: str) -> bool:
        wanted = base64.b64encode(f"{user}:{password}".encode()).decode()
        return asked.headers.get("authorization") == f"Basic {wanted}"

    def mint(self) -> str:
        with self._lock:
            self.minted += 1
            token = f"canary-token-{self.minted}"
        self.tokens.add(token)
        return token

    def handle(self, asked: Asked) -> Said | None:
        """None: no answer at all."""
        self.asked.append(asked)
        if self.fault is not None and asked.path not in self.TOKEN_PATHS:
            return FAULTS.get(self.fault)
        return next((said for path, said in self.instead.items() if path in asked.path), None) or self.answer(asked)


class BambooHr(Room):
    def answer(self, asked: Asked) -> Said:
        if not self.basic(asked, self.SECRET, "x"):
            return Said(401)
        parts = asked.path.removeprefix("/api/v1/").split("/")
        if parts == ["meta", "fields"]:
            return Said.of([{"id": 1, "name": "Status", "alias": "status"}])
        worker = self.workers.get(unquote(parts[1]))
        if parts[0] != "employees" or worker is None:
            return Said(404)
        if parts[2:] == ["photo", "original"]:
            return Said(404) if worker.photo is None else Said(200, {"Content-Type": "image/jpeg"}, worker.photo)
        first, last = worker.name.split()
        fields = {
            "status": "Active" if worker.there else "Inactive",
            "firstName": first,
            "lastName": last,
            "terminationDate": worker.last_day or "0000-00-00",
            "isPhotoUploaded": "true" if worker.photo is not None else "false",
            "employeeNumber": worker.number,
        }
        wanted = asked.query["fields"].split(",")
        return Said.of(self.amended({"id": unquote(parts[1]), **{one: fields[one] for one in wanted}}))


class HiBob(Room):
    def answer(self, asked: Asked) -> Said:
        if not self.basic(asked, "service-user", self.SECRET):
            return Said(401)
        parts = asked.path.removeprefix("/v1/").split("/")
        if asked.path == "/v1/people/search":
            (one,) = asked.json["filters"]
            assert one["fieldPath"] == "root.id"
            assert asked.json["showInactive"] is True
            return Said.of(
                {"employees": [{"/root/id": {"value": who}} for who in one["values"] if who in self.workers]}
            )
        worker = self.workers.get(unquote(parts[1]))
        if worker is None:
            return Said.of({"key": "not found"}, 404)
        if parts[0] == "avatars":
            url = "" if worker.photo is None else self.photo_url(unquote(parts[1]))
            return Said(200, {"Content-Type": "text/plain"}, url.encode())
        fields: dict[str, Any] = {
            "root.id": unquote(parts[1]),
            "root.displayName": worker.name,
            "internal.lifecycleStatus": "employed" if worker.there else "terminated",
            "internal.terminationDate": worker.last_day,
            "work.employeeIdInCompany": worker.number,
        }
        wanted = {"/" + one.replace(".", "/"): {"value": fields[one]} for one in asked.json["fields"]}
        return Said.of(self.amended(wanted))


class Personio(Room):
    TOKEN_PATHS = ("/v2/auth/token",)
    GONE = Said(404, {"Content-Type": "application/problem+json"}, b'{"errors": [{"title": "Resource not found"}]}')

    def answer(self, asked: Asked) -> Said:
        if asked.path == "/v2/auth/token":
            right = {"grant_type": "client_credentials", "client_id": "client", "client_secret": self.SECRET}
            if asked.form != right:
                return Said(401)
            return Said.of({"access_token": self.mint(), "expires_in": 86400, "token_type": "Bearer"})
        if not self.bearer(asked):
            return Said(401)
        parts = asked.path.split("/")
        who = unquote(parts[4] if parts[1] == "v1" else parts[3])
        worker = self.workers.get(who)
        if worker is None:
            return self.GONE
        if parts[1] == "v1":
            return Said(404) if worker.photo is None else Said(200, {"Content-Type": "image/png"}, worker.photo)
        if parts[4:] == ["employments"]:
            ending = {"termination_date": worker.last_day, "type": "QUIT"} if worker.last_day else None
            return Said.of({"_data": [{"id": "e-1", "status": "ACTIVE", "termination": ending}], "_meta": {}})
        first, last = worker.name.split()
        person = {
            "id": who,
            "first_name": first,
            "last_name": last,
            "status": "ACTIVE" if worker.there else "INACTIVE",
            "profile_picture": {"url": "https://elsewhere.example.com/x"}
            if worker.photo is not None
            else {"url": None},
            "custom_attributes": [{"id": "dynamic_1", "type": "string", "global_id": "number", "value": worker.number}],
        }
        return Said.of(self.amended(person))


class Feishu(Room):
    TOKEN_PATHS = ("/open-apis/auth/v3/tenant_access_token/internal",)

    def answer(self, asked: Asked) -> Said:
        if asked.path in self.TOKEN_PATHS:
            if asked.json != {"app_id": "cli_app", "app_secret": self.SECRET}:
                return Said.of({"code": 10014, "msg": "app secret invalid"})
            return Said.of({"code": 0, "msg": "ok", "tenant_access_token": self.mint(), "expire": 7200})
        if not self.bearer(asked):
            return Said.of({"code": 99991663, "msg": "token attached is invalid"}, 400)
        who = unquote(asked.path.removeprefix("/open-apis/contact/v3/users/"))
        worker = self.workers.get(who)
        if worker is None:
            return Said.of({"code": 41012, "msg": "user id invalid"}, 400)
        user = {
            asked.query["user_id_type"]: who,
            "name": worker.name,
            "employee_no": worker.number,
            "status": {"is_frozen": False, "is_resigned": not worker.there, "is_activated": True, "is_exited": False},
        }
        if worker.photo is not None:
            user["avatar"] = {"avatar_640": self.photo_url(who), "avatar_72": "https://small.example.com"}
        return Said.of({"code": 0, "msg": "success", "data": {"user": self.amended(user)}})


class DingTalk(Room):
    TOKEN_PATHS = ("/v1.0/oauth2/accessToken",)

    def answer(self, asked: Asked) -> Said:
        if asked.path in self.TOKEN_PATHS:
            if asked.json != {"appKey": "ding-app", "appSecret": self.SECRET}:
                return Said.of({"code": "invalidClientIdOrSecret"}, 400)
            return Said.of({"accessToken": self.mint(), "expireIn": 7200})
        if asked.query.get("access_token") not in self.tokens:
            return Said.of({"errcode": 40014, "errmsg": "不合法的access_token"})
        who = asked.json["userid"]
        worker = self.workers.get(who)
        if worker is None or not worker.there:
            return Said.of({"errcode": 60121, "errmsg": "找不到该用户"})
        user = {"userid": who, "name": worker.name, "job_number": worker.number, "unionid": f"u-{who}", "active": True}
        if worker.photo is not None:
            user["avatar"] = self.photo_url(who)
        return Said.of({"errcode": 0, "errmsg": "ok", "result": self.amended(user)})


@contextmanager
def open_room(room: Room) -> Iterator[Room]:
    """Serve on a free loopback port while the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            url = urlsplit(self.path)
            query = {key: values[-1] for key, values in parse_qs(url.query, keep_blank_values=True).items()}
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {key.lower(): value for key, value in self.headers.items()}
            said = room.handle(Asked(self.command, url.path, query, headers, body))
            self.close_connection = True
            if said is None:
                self._trouble()
                return
            self.send_response(said.status)
            for key, value in said.headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(said.body)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(said.body)

        do_GET = do_POST = _serve  # noqa: N815 - as the base class wants it

        def _trouble(self) -> None:
            """Silence, or an answer that drips for longer than anybody waits."""
            if room.fault != "drip":
                return
            with suppress(OSError):
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
                for _ in range(40):
                    self.wfile.write(b" ")
                    self.wfile.flush()
                    time.sleep(0.05)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    room.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield room
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
