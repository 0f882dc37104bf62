"""DingTalk, contact events by HTTP push."""

import base64
import hashlib
import json
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from pydantic import SecretStr, ValidationError

from syncsvc.intake.dialects import Message, SignatureError
from syncsvc.intake.dialects.dingtalk import Options
from syncsvc.model.changes import Departed
from syncsvc.model.errors import (
    CredentialsError,
    InputError,
    MisconfiguredError,
    RejectedError,
    ThrottledError,
    UnavailableError,
)
from tests.intake.dialects.contract import EMPLOYEE, FIRST, SECOND, STRANGE, HearingContract
from tests.intake.dialects.contract_api import ApiContract, Office
from tests.intake.dialects.hr_rooms import DingTalk, Room, Said, open_room

AES_KEY = base64.b64encode(bytes(range(100, 132))).decode().rstrip("=")
OTHER_KEY = base64.b64encode(bytes(range(32))).decode().rstrip("=")
OWNER = "ding-app"
OPTIONS: dict[str, Any] = {
    "tokens": [SecretStr(FIRST)],
    "aes_keys": [SecretStr(AES_KEY)],
    "app_key": OWNER,
    "app_secret": SecretStr("canary-api-secret"),
}


def _cipher(key: str) -> Any:
    raw = base64.b64decode(key + "=")
    return Cipher(algorithms.AES256(raw), modes.CBC(raw[:16]))


def sealed(plain: bytes, *, key: str = AES_KEY, owner: str = OWNER) -> str:
    """16 bytes, the length, the text, the owner; padded to 32 bytes, AES-256-CBC, base64."""
    content = b"r" * 16 + len(plain).to_bytes(4, "big") + plain + owner.encode()
    left = 32 - len(content) % 32
    cipher = _cipher(key).encryptor()
    return base64.b64encode(cipher.update(content + bytes([left]) * left) + cipher.finalize()).decode()


def signature(*parts: str) -> str:
    """SHA-1 of the parts, sorted and joined."""
    return hashlib.sha1("".join(sorted(parts)).encode()).hexdigest()


def pushed(encrypt: str, at: datetime, *, token: str = FIRST, body: bytes | None = None) -> Message:
    stamp, nonce = str(int(at.timestamp() * 1000)), "n-1"
    sign = signature(token, stamp, nonce, encrypt)
    query = {"msg_signature": sign, "signature": "older", "timestamp": stamp, "nonce": nonce}
    return Message({}, json.dumps({"encrypt": encrypt}).encode() if body is None else body, query)


def opened(answer: Any) -> bytes:
    """What stands under the seal of an answer of ours, after checking that it is signed."""
    assert answer["msg_signature"] == signature(FIRST, answer["timeStamp"], answer["nonce"], answer["encrypt"])
    cipher = _cipher(AES_KEY).decryptor()
    plain = cipher.update(base64.b64decode(answer["encrypt"])) + cipher.finalize()
    plain = plain[: -plain[-1]]
    length = int.from_bytes(plain[16:20], "big")
    assert plain[20 + length :] == OWNER.encode()
    return bytes(plain[20 : 20 + length])


class TestHearing(HearingContract):
    dialect = "dingtalk"
    ignores_others: ClassVar[bool] = True
    secret_option = "tokens"

    def options(self) -> dict[str, Any]:
        return dict(OPTIONS)

    def event(self) -> dict[str, Any]:
        return {"EventType": "user_leave_org", "TimeStamp": 43535463645, "UserId": [EMPLOYEE], "CorpId": "corp"}

    def unknown(self) -> dict[str, Any]:
        return {**self.event(), "EventType": "org_dept_create", "DeptId": [1]}

    def message(self, plain: bytes, at: datetime, *, secret: str = FIRST) -> Message:
        return pushed(sealed(plain), at, token=secret)

    def changed(self, body: bytes) -> list[bytes]:
        """What is encrypted is signed, and the braces around it are not."""
        return [one for one in super().changed(body) if one.strip() != body]

    def outer(self, body: bytes, at: datetime) -> Message:
        return pushed("", at, body=body)

    @pytest.mark.parametrize("what", ["add", "modify", "active", "leave"])
    def test_every_event_is_a_question_and_none_an_answer(self, what: str) -> None:
        heard = self.heard(self.says({**self.event(), "EventType": f"user_{what}_org"}))

        assert (heard.told, heard.employees) == ((), (EMPLOYEE,))

    def test_every_push_is_answered_with_a_sealed_success(self) -> None:
        for event in (self.event(), self.unknown(), {"EventType": "check_url"}):
            heard = self.heard(self.says(event))
            assert heard.answer is not None
            assert opened(heard.answer) == b"success"

    def test_a_check_of_the_address_says_nothing_of_anybody(self) -> None:
        heard = self.heard(self.says({"EventType": "check_url"}))

        assert (heard.told, heard.employees) == ((), ())

    def test_answers_differ_in_their_nonce(self) -> None:
        message = self.says(self.event())
        nonces = {answer["nonce"] for _ in range(3) if (answer := self.heard(message).answer) is not None}

        assert len(nonces) == 3

    def test_several_users_are_several_questions_each_once(self) -> None:
        event = {**self.event(), "UserId": ["a", "b", "a"]}

        assert self.heard(self.says(event)).employees == ("a", "b")

    def test_the_older_name_of_the_signature_is_read_too(self) -> None:
        message = self.says(self.event())
        query = {**message.query, "signature": message.query["msg_signature"]}
        del query["msg_signature"]

        assert self.heard(Message({}, message.body, query)).employees == (EMPLOYEE,)

    def test_a_push_for_somebody_else_is_refused(self) -> None:
        plain = json.dumps(self.event()).encode()
        now = datetime.now(UTC)
        for owner in ("another-app", "", OWNER + "x"):
            with pytest.raises(SignatureError):
                self.heard(pushed(sealed(plain, owner=owner), now))
        assert self.heard(pushed(sealed(plain, owner="corp"), now), corp_id="corp").employees == (EMPLOYEE,)

    def test_what_is_sealed_with_another_key_is_refused(self) -> None:
        with pytest.raises(SignatureError):
            self.heard(pushed(sealed(json.dumps(self.event()).encode(), key=OTHER_KEY), datetime.now(UTC)))

    def test_while_keys_change_both_open(self) -> None:
        both = {
            "aes_keys": [SecretStr(OTHER_KEY), SecretStr(AES_KEY)],
            "tokens": [SecretStr(SECOND), SecretStr(FIRST)],
        }
        heard = self.heard(self.says(self.event()), **both)

        assert heard.employees == (EMPLOYEE,)
        assert opened(heard.answer) == b"success"  # sealed as it came

    def test_a_text_that_says_it_is_longer_than_it_is_is_refused(self) -> None:
        cipher = _cipher(AES_KEY).encryptor()
        content = b"r" * 16 + (2**32 - 1).to_bytes(4, "big") + b"{}" + OWNER.encode()
        content += bytes([32 - len(content) % 32]) * (32 - len(content) % 32)
        encrypt = base64.b64encode(cipher.update(content) + cipher.finalize()).decode()

        for one in (encrypt, encrypt[:-4], "AAAA", "", base64.b64encode(bytes(64)).decode(), "====", "ä"):
            with pytest.raises(SignatureError):
                self.heard(pushed(one, datetime.now(UTC)))


class TestApi(ApiContract):
    dialect = "dingtalk"
    room = DingTalk
    plans_departures: ClassVar[bool] = False
    number_field = "job_number"
    secret_options = ("app_secret",)

    def options(self) -> dict[str, Any]:
        return dict(OPTIONS)

    def urls(self, room: Room) -> dict[str, str]:
        return {"api_url": room.url, "token_url": room.url}

    def answer(self, office: Office, **told: Any) -> None:
        office.room.instead["/topapi/v2/user/get"] = Said.of(told)

    def test_somebody_who_left_under_another_number_only_our_own_records_know(self) -> None:
        with open_room(self.room()) as room, self.opened(room, person_field="job_number") as office:
            fetched = office.fetch("nobody")

        assert (fetched.person, fetched.told) == (None, ())

    def test_60121_is_a_departure_and_no_other_code_is(self, office: Office) -> None:
        self.answer(office, errcode=60121, errmsg="找不到该用户")
        assert [told.change for told in office.fetch().told] == [Departed(EMPLOYEE)]  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("told", "error"),
        [
            ({"errcode": 33012}, RejectedError),
            ({"errcode": 50002}, RejectedError),
            ({"errcode": 40014}, CredentialsError),
            ({"errcode": 88, "sub_code": "60011"}, CredentialsError),
            ({"errcode": 88, "sub_code": "90018"}, ThrottledError),
            ({"errcode": 88}, UnavailableError),
            ({"errcode": 60020}, MisconfiguredError),
            ({"errcode": -1}, UnavailableError),
            ({"errcode": 60122}, UnavailableError),
            ({"errcode": "60121"}, UnavailableError),
            ({"errcode": 0, "result": None}, UnavailableError),
        ],
    )
    def test_other_codes_depart_nobody(self, office: Office, told: dict[str, Any], error: type[Exception]) -> None:
        self.answer(office, **told, errmsg="CANARY words of theirs")

        with pytest.raises(error) as raised:
            office.fetch()

        assert "CANARY" not in str(raised.value)

    def test_a_proxys_404_is_nobodys_departure(self, office: Office) -> None:
        office.hire()
        office.fetch()
        office.room.fault = "nowhere"

        with pytest.raises(RejectedError, match="api_url"):
            office.fetch()

    def test_an_answer_about_somebody_else_is_not_believed(self, office: Office) -> None:
        office.hire()
        office.room.amend = lambda told: {**told, "userid": "4712"}

        with pytest.raises(InputError):
            office.fetch()


@pytest.mark.parametrize("key", ["", "short", AES_KEY + "=", AES_KEY[:-1] + "!", "x" * 44, STRANGE])
def test_a_key_that_is_none_is_found_when_the_configuration_is_read(key: str) -> None:
    with pytest.raises(ValidationError, match="43"):
        Options(**{**OPTIONS, "aes_keys": (SecretStr(key),)})
