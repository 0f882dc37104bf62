"""Standard Webhooks, signed as https://www.standardwebhooks.com lays down; what they say, tests/web tests."""

import base64
import hashlib
import hmac
from datetime import datetime
from typing import Any

from pydantic import SecretStr

from syncsvc.intake.dialects import Message
from tests.intake.dialects.contract import EMPLOYEE, FIRST, HearingContract


class TestHearing(HearingContract):
    dialect = "standard"

    def options(self) -> dict[str, Any]:
        return {"secrets": [SecretStr(FIRST)]}

    def speaker(self, **more: Any) -> Any:
        given = {**self.options(), **more}
        return super().speaker(secrets=[SecretStr(whsec(one.get_secret_value())) for one in given["secrets"]])

    def event(self) -> dict[str, Any]:
        return {
            "type": "person.departed",
            "timestamp": "2026-03-02T08:00:00Z",
            "data": {"person": {"id": EMPLOYEE, "version": 3}},
        }

    def unknown(self) -> dict[str, Any]:
        return {**self.event(), "type": "invoice.paid"}

    def message(self, plain: bytes, at: datetime, *, secret: str = FIRST) -> Message:
        """HMAC-SHA256 over id, timestamp and body, with dots between them, in base64."""
        id_, stamp = "msg_" + hashlib.sha256(plain).hexdigest()[:8], str(int(at.timestamp()))
        key = base64.b64decode(whsec(secret).removeprefix("whsec_"))
        digest = hmac.new(key, f"{id_}.{stamp}.".encode() + plain, hashlib.sha256).digest()
        signature = "v1," + base64.b64encode(digest).decode()
        return Message({"webhook-id": id_, "webhook-timestamp": stamp, "webhook-signature": signature}, plain)


def whsec(secret: str) -> str:
    return "whsec_" + base64.b64encode(hashlib.sha256(secret.encode()).digest()).decode()
