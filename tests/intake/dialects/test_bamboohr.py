"""BambooHR: event-based and field-based webhooks, with and without an API key to ask with."""

import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest
from pydantic import SecretStr, ValidationError

from syncsvc.intake.dialects import Message
from syncsvc.intake.dialects.bamboohr import Options
from syncsvc.model.changes import Departed, Upserted
from syncsvc.model.errors import InputError, MisconfiguredError
from tests.intake.dialects.contract import EMPLOYEE, FIRST, HearingContract
from tests.intake.dialects.contract_api import ApiContract, Office
from tests.intake.dialects.hr_rooms import BambooHr, Said, open_room

STAMP = "%Y-%m-%dT%H:%M:%S+0000"


def signed(plain: bytes, at: datetime, secret: str = FIRST, *, stamp: str | None = None) -> Message:
    """HMAC-SHA256 over the body with the timestamp behind it, in hexadecimal."""
    stamp = stamp or at.strftime(STAMP)
    signature = hmac.new(secret.encode(), plain + stamp.encode(), hashlib.sha256).hexdigest()
    return Message({"x-bamboohr-signature": signature, "x-bamboohr-timestamp": stamp}, plain)


class Bamboo(HearingContract):
    dialect = "bamboohr"

    def options(self) -> dict[str, Any]:
        return {
            "secrets": [SecretStr(FIRST)],
            "api_url": "https://example.bamboohr.com",
            "api_key": SecretStr("canary-api-secret"),
        }

    def message(self, plain: bytes, at: datetime, *, secret: str = FIRST) -> Message:
        return signed(plain, at, secret)


class TestEventBased(Bamboo):
    def event(self) -> dict[str, Any]:
        return {
            "type": "employee.updated",
            "timestamp": "2026-01-31T18:42:00+0000",
            "data": {"companyId": "12345", "employeeId": EMPLOYEE, "changedFields": ["firstName"]},
        }

    def unknown(self) -> dict[str, Any]:
        return {**self.event(), "type": "timeoff.requested"}

    @pytest.mark.parametrize("what", ["created", "updated", "deleted"])
    def test_every_event_is_a_question_and_none_an_answer(self, what: str) -> None:
        heard = self.heard(self.says({**self.event(), "type": f"employee.{what}"}))

        assert (heard.told, heard.employees) == ((), (EMPLOYEE,))

    def test_without_an_api_key_such_an_event_is_of_no_use_and_that_is_said(self) -> None:
        with pytest.raises(InputError, match="api_key"):
            self.heard(self.says(self.event()), api_key=None)

    def test_a_timestamp_may_be_a_number_of_seconds(self) -> None:
        now = datetime.now(UTC)
        plain = json.dumps(self.event()).encode()

        assert self.heard(signed(plain, now, stamp=str(int(now.timestamp())))).employees == (EMPLOYEE,)


class TestFieldBased(Bamboo):
    """With an API key, whatever the fields say is a question."""

    def event(self) -> dict[str, Any]:
        return {"employees": [self.entry()]}

    def entry(self, **more: Any) -> dict[str, Any]:
        return {
            "id": EMPLOYEE,
            "action": "Updated",
            "timestamp": "2026-01-31T18:42:00+0000",
            "changedFields": ["Status"],
            "fields": {"First Name": "Ada", "Last Name": "Canary", "Status": "Inactive"},
            **more,
        }

    def unknown(self) -> dict[str, Any]:
        return {"candidates": [{"id": "1"}]}

    def test_a_departure_in_the_fields_is_asked_about(self) -> None:
        heard = self.heard(self.says(self.event()))

        assert (heard.told, heard.employees) == ((), (EMPLOYEE,))

    def test_several_employees_are_several_questions_each_once(self) -> None:
        entries = [self.entry(id=one) for one in ("1", 2, "1", "3")]

        assert self.heard(self.says({"employees": entries})).employees == ("1", "2", "3")

    @pytest.mark.parametrize("count", [0, 1001])
    def test_nobody_and_too_many_at_once_are_refused(self, count: int) -> None:
        with pytest.raises(InputError, match="1 to 1000"):
            self.heard(self.says({"employees": [{"id": str(number)} for number in range(count)]}))


class TestFieldBasedWithoutApi(TestFieldBased):
    """Nobody can be asked, so the fields are believed."""

    def options(self) -> dict[str, Any]:
        return {"secrets": [SecretStr(FIRST)], "api_url": "https://example.bamboohr.com"}

    def unknown(self) -> dict[str, Any]:
        return {"employees": [self.entry(action="Archived")]}

    def told(self, **entry: Any) -> Any:
        (told,) = self.heard(self.says({"employees": [self.entry(**entry)]})).told
        return told

    def test_a_departure_in_the_fields_is_asked_about(self) -> None:
        """It is not: it is believed."""
        assert self.told().change == Departed(EMPLOYEE)  # type: ignore[arg-type]

    def test_several_employees_are_several_questions_each_once(self) -> None:
        """Several changes, of each the last that was said."""
        entries = [self.entry(id=one) for one in ("1", "2", "1")]

        heard = self.heard(self.says({"employees": entries}))

        assert [told.change.person for told in heard.told] == ["1", "2"]
        assert len({told.source_id for told in heard.told}) == 2

    def test_somebody_active_is_there_and_their_faces_stay(self) -> None:
        change = self.told(fields={"firstName": "Ada", "lastName": {"value": "Canary"}, "status": "Active"}).change

        assert change == Upserted(EMPLOYEE, None, "Ada Canary")  # type: ignore[arg-type]

    def test_a_deleted_record_is_a_departure_without_any_fields(self) -> None:
        assert self.told(action="Deleted", fields={}, changedFields=[]).change == Departed(EMPLOYEE)  # type: ignore[arg-type]

    @pytest.mark.parametrize("fields", [{}, {"First Name": "Ada"}, {"Status": None}, {"Status": "Retired"}])
    def test_without_a_status_nobody_comes_and_nobody_goes(self, fields: dict[str, Any]) -> None:
        with pytest.raises(InputError, match="status"):
            self.told(fields=fields)

    def test_what_is_late_is_older(self) -> None:
        older = self.told(timestamp="2026-01-31T18:42:00+0000")
        newer = self.told(timestamp="2026-01-31T18:42:01+0000", fields={"Status": "Active"})
        same_second = self.told(timestamp="2026-01-31T18:42:01+0000")

        assert older.version < newer.version < same_second.version

    def test_nobody_is_asked(self) -> None:
        assert self.speaker().api_url() is None


class TestApi(ApiContract):
    dialect = "bamboohr"
    room = BambooHr
    pictures_are_behind_urls: ClassVar[bool] = False
    tokens: ClassVar[bool] = False
    number_field = "employeeNumber"
    secret_options = ("api_key",)

    def options(self) -> dict[str, Any]:
        return TestEventBased().options()

    def lose_picture(self, office: Office) -> None:
        office.room.instead["photo"] = Said(500)

    def test_a_deleted_employee_is_gone(self, office: Office) -> None:
        fetched = office.fetch("nobody")

        assert fetched.person is None
        assert [told.change for told in fetched.told] == [Departed("nobody")]  # type: ignore[arg-type]

    def test_who_a_deleted_employee_was_only_our_own_records_say(self) -> None:
        with open_room(self.room()) as room, self.opened(room, person_field=self.number_field) as office:
            assert office.fetch("nobody").told == ()

    def test_at_a_company_that_bamboohr_does_not_know_nobody_is_gone(self, office: Office) -> None:
        office.room.fault = "nowhere"

        with pytest.raises(MisconfiguredError, match="api_url"):
            office.fetch("nobody")

    def test_the_photo_is_left_alone_where_there_is_none(self, office: Office) -> None:
        office.hire(picture=None)
        office.fetch()

        assert not [asked for asked in office.room.asked if "photo" in asked.path]

    def test_a_photo_that_is_gone_in_between_is_no_photo(self, office: Office) -> None:
        office.hire(picture=None)
        office.room.amend = lambda told: {**told, "isPhotoUploaded": "true"}

        fetched = office.fetch()

        assert fetched.lacking is None
        assert [type(told.change) for told in fetched.told] == [Upserted]

    def test_a_field_that_the_key_may_not_see_departs_nobody(self, office: Office) -> None:
        office.hire()
        office.room.amend = lambda told: {key: value for key, value in told.items() if key != "status"}

        with pytest.raises(InputError, match="status"):
            office.fetch()


def test_another_person_field_needs_somebody_to_ask() -> None:
    with pytest.raises(ValidationError, match="api_key"):
        Options(secrets=(SecretStr(FIRST),), api_url="https://example.bamboohr.com", person_field="employeeNumber")


def test_an_api_over_plain_http_is_only_for_private_addresses() -> None:
    with pytest.raises(ValidationError, match="public address"):
        Options(secrets=(SecretStr(FIRST),), api_url="http://example.bamboohr.com")
