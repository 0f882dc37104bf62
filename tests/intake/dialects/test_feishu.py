"""Feishu and Lark, contact events v3."""

import base64
import hashlib
import json
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from pydantic import SecretStr

from syncsvc.intake.dialects import Message, SignatureError
from syncsvc.model.changes import Departed, Upserted
from syncsvc.model.errors import CredentialsError, InputError, RejectedError, ThrottledError, UnavailableError
from tests.intake.dialects.contract import EMPLOYEE, FIRST, STRANGE, HearingContract
from tests.intake.dialects.contract_api import ApiContract, Office
from tests.intake.dialects.hr_rooms import Feishu, Said

TOKEN = "canary-verification"
OPTIONS: dict[str, Any] = {
    "encrypt_keys": [SecretStr(FIRST)],
    "verification_tokens": [SecretStr(TOKEN)],
    "app_id": "cli_app",
    "app_secret": SecretStr("canary-api-secret"),
}


def sealed(plain: bytes, key: str) -> bytes:
    """{"encrypt": ...}: AES-256-CBC under the SHA-256 of the key, the vector in front, padded as PKCS#7 has it."""
    vector = b"v" * 16
    left = 16 - len(plain) % 16
    cipher = Cipher(algorithms.AES256(hashlib.sha256(key.encode()).digest()), modes.CBC(vector)).encryptor()
    content = vector + cipher.update(plain + bytes([left]) * left) + cipher.finalize()
    return json.dumps({"encrypt": base64.b64encode(content).decode()}).encode()


def signed(body: bytes, at: datetime, key: str) -> Message:
    """SHA-256 over timestamp, nonce, key and body."""
    stamp, nonce = str(int(at.timestamp())), "n-1"
    signature = hashlib.sha256(f"{stamp}{nonce}{key}".encode() + body).hexdigest()
    headers = {
        "x-lark-request-timestamp": stamp,
        "x-lark-request-nonce": nonce,
        "x-lark-signature": signature,
    }
    return Message(headers, body)


class TestHearing(HearingContract):
    dialect = "feishu"
    ignores_others: ClassVar[bool] = True
    secret_option = "encrypt_keys"

    def options(self) -> dict[str, Any]:
        return dict(OPTIONS)

    def event(self) -> dict[str, Any]:
        return {
            "schema": "2.0",
            "header": {
                "event_id": "5e3702a84e847582be8db7fb73283c02",
                "event_type": "contact.user.updated_v3",
                "create_time": "1608725989000",
                "token": TOKEN,
                "app_id": "cli_app",
                "tenant_key": "2ca1d211f64f6438",
            },
            "event": {
                "object": {"open_id": "ou_7dab", "union_id": "on_8ed6", "user_id": EMPLOYEE, "name": "Ada Canary"},
                "old_object": {"name": "Ada"},
            },
        }

    def another(self) -> dict[str, Any]:
        event = self.event()
        return {**event, "header": {**event["header"], "event_id": "another"}}

    def unknown(self) -> dict[str, Any]:
        event = self.event()
        return {**event, "header": {**event["header"], "event_type": "im.message.receive_v1"}}

    def message(self, plain: bytes, at: datetime, *, secret: str = FIRST) -> Message:
        return signed(sealed(plain, secret), at, secret)

    def outer(self, body: bytes, at: datetime) -> Message:
        return signed(body, at, FIRST)

    @pytest.mark.parametrize("what", ["created", "updated", "deleted"])
    def test_every_event_is_a_question_and_none_an_answer(self, what: str) -> None:
        event = self.event()
        event["header"]["event_type"] = f"contact.user.{what}_v3"
        event["event"]["object"]["status"] = {"is_resigned": True}

        heard = self.heard(self.says(event))

        assert (heard.told, heard.employees, heard.answer) == ((), (EMPLOYEE,), None)

    @pytest.mark.parametrize(
        ("field", "employee"), [("open_id", "ou_7dab"), ("union_id", "on_8ed6"), ("employee_no", "ou_7dab")]
    )
    def test_the_id_that_is_asked_by_is_the_one_that_is_wanted(self, field: str, employee: str) -> None:
        assert self.heard(self.says(self.event()), person_field=field).employees == (employee,)

    def test_an_app_that_may_not_see_user_ids_is_told_so(self) -> None:
        event = self.event()
        del event["event"]["object"]["user_id"]

        with pytest.raises(InputError, match="user_id"):
            self.heard(self.says(event))

    def challenge(self, **more: Any) -> bytes:
        return json.dumps({"challenge": "ajls384kdj", "token": TOKEN, "type": "url_verification", **more}).encode()

    def test_a_challenge_is_answered_signed_or_not(self) -> None:
        unsigned = Message({}, sealed(self.challenge(), FIRST))

        for message in (unsigned, self.message(self.challenge(), datetime.now(UTC))):
            heard = self.heard(message)
            assert (heard.answer, heard.told, heard.employees) == ({"challenge": "ajls384kdj"}, (), ())

    @pytest.mark.parametrize("token", ["wrong", None, 7, "", [TOKEN]])
    def test_a_challenge_of_somebody_without_the_token_is_refused(self, token: Any) -> None:
        with pytest.raises(SignatureError):
            self.heard(Message({}, sealed(self.challenge(token=token), FIRST)))

    def test_a_challenge_of_somebody_without_the_key_is_refused(self) -> None:
        for body in (sealed(self.challenge(), STRANGE), self.challenge()):
            with pytest.raises(SignatureError):
                self.heard(Message({}, body))

    def test_an_event_that_is_only_encrypted_is_refused(self) -> None:
        """Without a signature nothing says when it was sent."""
        with pytest.raises(SignatureError):
            self.heard(Message({}, sealed(json.dumps(self.event()).encode(), FIRST)))

    def test_an_event_with_another_apps_token_is_refused(self) -> None:
        event = self.event()
        event["header"]["token"] = "wrong"

        with pytest.raises(SignatureError):
            self.heard(self.says(event))

    def test_every_way_to_fail_at_the_seal_sounds_the_same(self) -> None:
        whole = json.loads(sealed(b'{"a": 1}', FIRST))["encrypt"]
        said = set()
        for encrypt in (
            whole[:-4],
            whole[4:],
            "",
            "====",
            "AAAA",
            whole.swapcase(),
            base64.b64encode(bytes(64)).decode(),
        ):
            with pytest.raises(SignatureError) as raised:
                self.heard(Message({}, json.dumps({"encrypt": encrypt}).encode()))
            said.add(str(raised.value))

        assert len(said) == 1


class TestApi(ApiContract):
    dialect = "feishu"
    room = Feishu
    plans_departures: ClassVar[bool] = False
    number_field = "employee_no"
    secret_options = ("app_secret",)

    def options(self) -> dict[str, Any]:
        return dict(OPTIONS)

    def departs(self, told: Any) -> bool:
        return any(told["status"].get(one) is True for one in ("is_resigned", "is_exited"))

    def code(self, office: Office, code: int, status: int = 400, **headers: str) -> None:
        body = json.dumps({"code": code, "msg": "CANARY words of theirs"}).encode()
        office.room.instead["/contact/v3/users/"] = Said(status, headers, body)

    @pytest.mark.parametrize(
        ("code", "error"),
        [
            (41012, RejectedError),
            (41050, RejectedError),
            (99991672, CredentialsError),
            (99991663, CredentialsError),
            (123456, UnavailableError),
            (40003, UnavailableError),
        ],
    )
    def test_a_code_departs_nobody(self, office: Office, code: int, error: type[Exception]) -> None:
        office.hire(there=False)
        self.code(office, code)

        with pytest.raises(error) as raised:
            office.fetch()

        assert str(code) in str(raised.value)
        assert "CANARY" not in str(raised.value)

    @pytest.mark.parametrize(("told", "wait"), [("13", 13), ("9999999", 900), ("", None), ("soon", None)])
    def test_throttled_says_for_how_long(self, office: Office, told: str, wait: float | None) -> None:
        self.code(office, 99991400, 429, **{"x-ogw-ratelimit-reset": told})

        with pytest.raises(ThrottledError) as raised:
            office.fetch()

        assert raised.value.retry_after == wait

    @pytest.mark.parametrize(
        ("status", "departed"),
        [
            ({"is_resigned": True}, True),
            ({"is_resigned": False, "is_exited": True}, True),
            ({"is_resigned": False, "is_frozen": True}, False),
            ({"is_resigned": False, "is_unjoin": True, "is_activated": False}, False),
        ],
    )
    def test_who_has_resigned_or_left_has_departed(
        self, office: Office, status: dict[str, bool], *, departed: bool
    ) -> None:
        office.hire()
        office.room.amend = lambda told: {**told, "status": status}

        told = office.fetch().told[0]

        assert isinstance(told.change, Departed if departed else Upserted)

    @pytest.mark.parametrize("status", [None, {}, {"is_resigned": None}, {"is_resigned": "true"}, []])
    def test_a_status_that_the_app_may_not_see_departs_nobody(self, office: Office, status: Any) -> None:
        office.hire(there=False)
        office.room.amend = lambda told: {**told, "status": status}

        with pytest.raises(InputError, match="status"):
            office.fetch()

    def test_somebody_is_asked_for_by_the_right_kind_of_id(self, office: Office) -> None:
        office.hire()
        office.fetch()

        assert office.room.asked[-1].query == {"user_id_type": "user_id"}
