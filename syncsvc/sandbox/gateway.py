"""A cloud's gateway: lets in who signs with a key (SDK-HMAC-SHA256) or brings a token that IAM gave out.

The fact sheet's section 1 is its source; [I] marks what the pages leave open.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote, unquote

from syncsvc.sandbox.wire import Answer, Call

SKEW = 15 * 60  # seconds that a client's clock may be off
TOKEN_SECONDS = 24 * 3600
_AUTHORIZATION = re.compile(r"SDK-HMAC-SHA256 Access=([^,]+), SignedHeaders=([^,]+), Signature=([0-9a-f]{64})")


class Turned(Exception):  # noqa: N818
    """The call ends here, with the vendor's code."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)


@dataclass(slots=True)
class Gateway:
    """One key, one user and one project. `tokens` say when each ends, in the clock's seconds."""

    access_key: str
    secret_key: str = field(repr=False)
    project_id: str
    user: str
    password: str = field(repr=False)
    domain: str
    token_seconds: float = TOKEN_SECONDS
    tokens: dict[str, float] = field(default_factory=dict, repr=False)

    def account(self, call: Call) -> str:
        """Whose limits the call counts against."""
        if told := _AUTHORIZATION.fullmatch(call.headers.get("authorization", "")):
            return told[1]
        return f"{self.domain}/{self.user}" if "x-auth-token" in call.headers else ""

    def let_in(self, call: Call, project_id: str, *, unknown_token: str) -> None:
        """Raises Turned; `unknown_token` is the code for a token that nobody gave out."""
        if token := call.headers.get("x-auth-token"):
            if token not in self.tokens:
                raise Turned(unknown_token)
            if call.at >= self.tokens[token]:
                raise Turned("FRS.0002")
        else:
            self._verify(call)
        if project_id != self.project_id:
            raise Turned("FRS.0028")

    def give_token(self, call: Call) -> Answer:
        """IAM's password method, for a token that is good in one project."""
        try:
            asked = call.json()["auth"]
            user = asked["identity"]["password"]["user"]
            given = (user["name"], user["password"], user["domain"]["name"])
            project, methods = asked["scope"]["project"]["id"], asked["identity"]["methods"]
        except (ValueError, KeyError, TypeError):
            return iam_error(400, "Bad Request")
        if given != (self.user, self.password, self.domain) or methods != ["password"]:
            return iam_error(401, "Unauthorized")
        if project != self.project_id:
            return iam_error(403, "Forbidden")
        token = secrets.token_urlsafe(48)
        self.tokens[token] = call.at + self.token_seconds
        told = {
            "expires_at": _iso(call.at + self.token_seconds),
            "issued_at": _iso(call.at),
            "methods": methods,
            "project": {"id": project, "domain": {"name": self.domain}},
            "user": {"name": self.user, "domain": {"name": self.domain}},
        }
        return Answer.json(201, {"token": told}, headers={"X-Subject-Token": token, **request_id()})

    def revoke_tokens(self) -> None:
        """The user was changed: every token is void before its time."""
        self.tokens = dict.fromkeys(self.tokens, 0.0)

    def _verify(self, call: Call) -> None:
        """The signature as it is reckoned from what came over the wire."""
        told = _AUTHORIZATION.fullmatch(call.headers.get("authorization", ""))
        if told is None or told[1] != self.access_key:
            raise Turned("APIGW.0301")
        names = told[2].split(";")
        if not {"host", "x-sdk-date"} <= set(names) <= set(call.headers) or names != sorted(names):
            raise Turned("APIGW.0301")
        date = call.headers["x-sdk-date"]
        try:
            at = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
        except ValueError as error:
            raise Turned("APIGW.0303") from error
        if abs(at - call.at) > SKEW:
            raise Turned("APIGW.0303")
        text = f"SDK-HMAC-SHA256\n{date}\n{hashlib.sha256(_canonical(call, names).encode()).hexdigest()}"
        right = hmac.digest(self.secret_key.encode(), text.encode(), "sha256").hex()
        if not hmac.compare_digest(right, told[3]):
            raise Turned("APIGW.0301")


def iam_error(status: int, title: str) -> Answer:
    """IAM's own shape of an error."""
    told = {"error": {"code": status, "message": "See the title.", "title": title}}
    return Answer.json(status, told, word=f"iam-{status}", headers=request_id())


def request_id() -> dict[str, str]:
    """The header that every answer carries."""
    return {"X-Request-Id": secrets.token_hex(16)}


def query_of(call: Call) -> list[tuple[str, str]]:
    """The query's pairs, decoded; a plus sign is a plus sign."""
    pairs = (pair.partition("=") for pair in call.query.split("&") if pair)
    return [(unquote(name), unquote(value)) for name, _, value in pairs]


def _canonical(call: Call, names: list[str]) -> str:
    path = quote(unquote(call.raw_path), safe="/~")
    query = "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in sorted(query_of(call)))
    headers = "".join(f"{name}:{call.headers[name].strip()}\n" for name in names)
    body = hashlib.sha256(call.body).hexdigest()
    if call.body and call.headers.get("x-sdk-content-sha256") == "UNSIGNED-PAYLOAD":
        body = "UNSIGNED-PAYLOAD"
    return "\n".join([call.method, path.rstrip("/") + "/", query, headers, ";".join(names), body])


def _iso(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S.%f}Z"
