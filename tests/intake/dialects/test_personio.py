"""Personio webhooks v2: a token instead of a signature, and nothing believed."""

from datetime import datetime
from typing import Any, ClassVar

import pytest
from pydantic import SecretStr

from syncsvc.intake.dialects import Message
from syncsvc.model.changes import Departed
from syncsvc.model.errors import CredentialsError, InputError, RejectedError
from tests.intake.dialects.contract import EMPLOYEE, FIRST, HearingContract
from tests.intake.dialects.contract_api import ApiContract, Office
from tests.intake.dialects.hr_rooms import Personio, Said

OPTIONS: dict[str, Any] = {
    "tokens": [SecretStr(FIRST)],
    "client_id": "client",
    "client_secret": SecretStr("canary-api-secret"),
}


class TestHearing(HearingContract):
    dialect = "personio"
    signs_body: ClassVar[bool] = False
    signs_time: ClassVar[bool] = False
    secret_option = "tokens"

    def options(self) -> dict[str, Any]:
        return dict(OPTIONS)

    def event(self) -> dict[str, Any]:
        return {
            "company_id": "1234",
            "event_name": "employment.terminated",
            "occurred_at": "2026-02-11T09:12:33Z",
            "payload": {"id": "2306b77a-35fb-4b1d-8044-3b14f7f2ca65", "person": {"id": EMPLOYEE}},
            "meta": {},
        }

    def unknown(self) -> dict[str, Any]:
        return {**self.event(), "event_name": "absence-period.created"}

    def message(self, plain: bytes, at: datetime, *, secret: str = FIRST) -> Message:
        """The token is the whole Authorization header."""
        return Message({"authorization": secret}, plain)

    @pytest.mark.parametrize(
        ("event", "payload"),
        [
            ("person.created", {"id": EMPLOYEE}),
            ("person.updated", {"person_id": EMPLOYEE}),
            ("person.deleted", {"person": {"id": EMPLOYEE}}),
            ("employment.updated", {"id": "e-1", "person_id": EMPLOYEE}),
            ("employment.started", {"id": "e-1", "person": {"id": int(EMPLOYEE)}}),
        ],
    )
    def test_every_event_is_a_question_and_none_an_answer(self, event: str, payload: dict[str, Any]) -> None:
        heard = self.heard(self.says({**self.event(), "event_name": event, "payload": payload}))

        assert (heard.told, heard.employees) == ((), (EMPLOYEE,))

    def test_an_employments_id_is_not_taken_for_a_persons(self) -> None:
        with pytest.raises(InputError, match="person"):
            self.heard(self.says({**self.event(), "event_name": "employment.updated", "payload": {"id": "e-1"}}))


class TestApi(ApiContract):
    dialect = "personio"
    room = Personio
    pictures_are_behind_urls: ClassVar[bool] = False
    number_field = "number"
    secret_options = ("client_secret",)

    def options(self) -> dict[str, Any]:
        return dict(OPTIONS)

    def lose_picture(self, office: Office) -> None:
        office.room.instead["picture"] = Said(500)

    def test_a_deleted_person_is_gone(self, office: Office) -> None:
        fetched = office.fetch("nobody")

        assert fetched.person is None
        assert [told.change for told in fetched.told] == [Departed("nobody")]  # type: ignore[arg-type]

    def test_a_proxys_404_is_nobodys_departure(self, office: Office) -> None:
        office.fetch("nobody")
        office.room.fault = "nowhere"

        with pytest.raises(RejectedError, match=r"api_url|accept"):
            office.fetch("nobody")

    def test_a_token_that_is_refused_is_never_sent_anywhere_else(self, office: Office) -> None:
        """The picture's address in the answer leads to another host, and is not followed."""
        office.hire()
        office.fetch()

        assert [asked.path for asked in office.room.asked][-1] == (
            f"/v1/company/employees/{EMPLOYEE}/profile-picture/640"
        )

    def test_pictures_that_the_credential_may_not_see_keep_nobody_out(self, office: Office) -> None:
        office.hire()
        office.room.instead["picture"] = Said(403)

        fetched = office.fetch()

        assert fetched.person == EMPLOYEE
        assert (fetched.lacking is not None, fetched.again) == (True, False)

    @pytest.mark.parametrize("status", [None, "UNSPECIFIED", "active", 7])
    def test_a_status_that_nobody_knows_departs_nobody(self, office: Office, status: Any) -> None:
        office.hire(there=False)
        office.room.amend = lambda told: {**told, "status": status}

        with pytest.raises(InputError, match="status"):
            office.fetch()

    @pytest.mark.parametrize("status", [400, 401, 403, 404])
    def test_no_token_is_a_matter_of_credentials(self, office: Office, status: int) -> None:
        office.room.instead["/v2/auth/token"] = Said(status)

        with pytest.raises(CredentialsError):
            office.fetch()
