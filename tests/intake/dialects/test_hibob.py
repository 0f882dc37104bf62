"""HiBob webhooks v2."""

import base64
import hashlib
import hmac
from datetime import datetime
from typing import Any, ClassVar

import pytest
from pydantic import SecretStr

from syncsvc.intake.dialects import Message
from syncsvc.model.changes import Departed, Upserted
from syncsvc.model.errors import InputError, RejectedError
from tests.intake.dialects.contract import EMPLOYEE, FIRST, HearingContract
from tests.intake.dialects.contract_api import ApiContract, Office
from tests.intake.dialects.hr_rooms import HiBob, Said

OPTIONS: dict[str, Any] = {
    "secrets": [SecretStr(FIRST)],
    "service_user_id": "service-user",
    "service_user_token": SecretStr("canary-api-secret"),
}


class TestHearing(HearingContract):
    dialect = "hibob"
    signs_time: ClassVar[bool] = False

    def options(self) -> dict[str, Any]:
        return dict(OPTIONS)

    def event(self) -> dict[str, Any]:
        return {
            "companyId": 636192,
            "type": "employee.updated",
            "triggeredBy": "3332883884017713938",
            "triggeredAt": "2026-02-11T09:12:33.120",
            "version": "v2",
            "data": {"employeeId": EMPLOYEE, "fieldUpdates": [{"id": "root.firstName"}]},
        }

    def unknown(self) -> dict[str, Any]:
        return {**self.event(), "type": "timeoff.request.created"}

    def message(self, plain: bytes, at: datetime, *, secret: str = FIRST) -> Message:
        """HMAC-SHA512 over the body, in base64; the time is not signed."""
        digest = hmac.new(secret.encode(), plain, hashlib.sha512).digest()
        return Message({"bob-signature": base64.b64encode(digest).decode()}, plain)

    @pytest.mark.parametrize("what", ["created", "updated", "deleted", "joined", "left", "activated", "inactivated"])
    def test_every_event_is_a_question_and_none_an_answer(self, what: str) -> None:
        heard = self.heard(self.says({**self.event(), "type": f"employee.{what}"}))

        assert (heard.told, heard.employees) == ((), (EMPLOYEE,))

    def test_a_change_in_a_table_is_a_question_too(self) -> None:
        event = {**self.event(), "type": "table.entry.created", "data": {"employeeId": EMPLOYEE, "tableId": "work"}}

        assert self.heard(self.says(event)).employees == (EMPLOYEE,)


class TestApi(ApiContract):
    dialect = "hibob"
    room = HiBob
    tokens: ClassVar[bool] = False
    number_field = "work.employeeIdInCompany"
    secret_options = ("service_user_token",)

    def options(self) -> dict[str, Any]:
        return dict(OPTIONS)

    def test_a_deleted_employee_is_gone(self, office: Office) -> None:
        fetched = office.fetch("nobody")

        assert fetched.person is None
        assert [told.change for told in fetched.told] == [Departed("nobody")]  # type: ignore[arg-type]

    def test_a_proxys_404_is_nobodys_departure(self, office: Office) -> None:
        office.room.fault = "nowhere"

        with pytest.raises(RejectedError, match="api_url"):
            office.fetch("nobody")

    def test_an_employee_whom_the_search_still_finds_is_not_gone(self, office: Office) -> None:
        office.hire()
        office.room.instead[f"/v1/people/{EMPLOYEE}"] = Said(404)

        with pytest.raises(InputError):
            office.fetch()

    @pytest.mark.parametrize(
        ("status", "departed"),
        [
            ("terminated", True),
            ("Garden leave", True),
            ("employed", False),
            ("hired", False),
            ("parental leave", False),
            ("on leave", False),
        ],
    )
    def test_who_is_terminated_or_in_the_garden_has_left(self, office: Office, status: str, *, departed: bool) -> None:
        office.hire()
        office.room.amend = lambda told: {**told, "/internal/lifecycleStatus": {"value": status}}

        told = office.fetch().told[0]

        assert isinstance(told.change, Departed if departed else Upserted)

    def test_a_lifecycle_that_the_service_user_may_not_see_departs_nobody(self, office: Office) -> None:
        office.hire(there=False)
        office.room.amend = lambda told: {
            key: value for key, value in told.items() if key != "/internal/lifecycleStatus"
        }

        with pytest.raises(InputError, match="lifecycle"):
            office.fetch()

    def test_fields_may_come_nested(self, office: Office) -> None:
        office.hire()
        office.room.amend = lambda _told: {
            "id": EMPLOYEE,
            "displayName": "Ada Canary",
            "internal": {"lifecycleStatus": "employed", "terminationDate": None},
        }

        told = office.fetch().told[0]

        assert isinstance(told.change, Upserted)
        assert told.change.name == "Ada Canary"
