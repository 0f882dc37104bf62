"""What every client of an HR system's API must do: the answer decides, and trouble never departs anybody."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import pytest
from pydantic import SecretStr

from syncsvc.intake.dialects import Dialect
from syncsvc.library.http import Door, make_client
from syncsvc.model.changes import Departed, FaceReplaced, Fetched, Upserted
from syncsvc.model.errors import (
    CredentialsError,
    FetchError,
    InputError,
    MisconfiguredError,
    NoPermitError,
    SyncsvcError,
    ThrottledError,
    UnavailableError,
)
from syncsvc.model.people import FaceId, PersonId
from syncsvc.model.permits import Account, Unlimited
from tests.intake.dialects.contract import EMPLOYEE, Album, Ground, spoilt
from tests.intake.dialects.hr_rooms import FAULTS, Room, open_room
from tests.vendors.photos import draw

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
MAIN = FaceId("main")


class Office:
    """A dialect, its HR system's room, and the door between them."""

    def __init__(self, room: Room, speaker: Dialect[Any], *, pictures_are_behind_urls: bool) -> None:
        self.room, self.speaker, self.album = room, speaker, Album()
        self.behind_urls = pictures_are_behind_urls
        self.now = NOW
        self.client = make_client(1.0)

    def hire(self, employee: str = EMPLOYEE, *, picture: Any = 1, **told: Any) -> Any:
        """Somebody with a drawn photo; `picture` None: without, bytes: with these."""
        content = draw(picture).content if isinstance(picture, int) else picture
        if self.behind_urls and content is not None:
            self.album.behind[self.room.photo_url(employee)] = (
                draw(picture) if isinstance(picture, int) else InputError("the photo cannot be read as a picture")
            )
        return self.room.hire(employee, photo=content, **told)

    def fetch(self, employee: str = EMPLOYEE) -> Fetched:
        door = Door(self.client, self.room.url, Account("hr"), Unlimited(), timeout=1.0)
        return self.speaker.fetch(employee, door, self.album, self.now)


class ApiContract(Ground):
    room: ClassVar[type[Room]]
    pictures_are_behind_urls: ClassVar[bool] = True
    plans_departures: ClassVar[bool] = True
    tokens: ClassVar[bool] = True  # it needs an access token that is over some day
    number_field: ClassVar[str]
    secret_options: ClassVar[tuple[str, ...]] = ()  # what the API's secret stands in

    def urls(self, room: Room) -> dict[str, str]:
        return {"api_url": room.url}

    @pytest.fixture
    def office(self) -> Iterator[Office]:
        with open_room(self.room()) as room, self.opened(room) as office:
            yield office

    @contextmanager
    def opened(self, room: Room, **more: Any) -> Iterator[Office]:
        speaker = self.speaker(**self.urls(room), **more)
        office = Office(room, speaker, pictures_are_behind_urls=self.pictures_are_behind_urls)
        with office.client:
            yield office

    # --- what is said of somebody ---------------------------------------------------------------------------------

    def test_an_employee_is_told_with_name_and_picture(self, office: Office) -> None:
        office.hire(name="Ada Canary")

        fetched = office.fetch()

        assert fetched.person == EMPLOYEE
        assert [told.change for told in fetched.told] == [
            Upserted(PersonId(EMPLOYEE), None, "Ada Canary"),
            FaceReplaced(PersonId(EMPLOYEE), MAIN, draw(1)),
        ]
        assert {(told.source, told.version) for told in fetched.told} == {("people", None)}
        assert fetched.told[0].cancels_departure is self.plans_departures
        assert fetched.lacking is None

    def test_each_reading_is_a_telling_of_its_own(self, office: Office) -> None:
        office.hire()

        ids = [told.source_id for _ in range(3) for told in office.fetch().told]

        assert len(set(ids)) == len(ids) == 6

    def test_somebody_who_left_is_a_departure_and_no_picture_is_asked_for(self, office: Office) -> None:
        office.hire(there=False)

        fetched = office.fetch()

        assert [told.change for told in fetched.told] == [Departed(EMPLOYEE)]  # type: ignore[arg-type]
        assert not [asked for asked in office.room.asked if "photo" in asked.path or "picture" in asked.path]

    def test_without_a_picture_the_faces_stay_as_they_are(self, office: Office) -> None:
        office.hire(picture=None)

        fetched = office.fetch()

        assert [type(told.change) for told in fetched.told] == [Upserted]
        assert fetched.lacking is None

    def test_a_picture_that_cannot_be_used_is_said_and_the_person_told_all_the_same(self, office: Office) -> None:
        office.hire(picture=b"CANARY no picture")

        fetched = office.fetch()

        assert [type(told.change) for told in fetched.told] == [Upserted]
        assert fetched.lacking is not None
        assert "cannot be read as a picture" in fetched.lacking
        assert not fetched.again

    def test_a_picture_that_cannot_be_had_just_now_is_asked_for_again(self, office: Office) -> None:
        office.hire()
        self.lose_picture(office)

        fetched = office.fetch()

        assert [type(told.change) for told in fetched.told] == [Upserted]
        assert (fetched.lacking is not None, fetched.again) == (True, True)

    def lose_picture(self, office: Office) -> None:
        office.album.behind[office.room.photo_url(EMPLOYEE)] = FetchError("the photo's host is away")

    def test_another_field_can_say_who_somebody_is(self) -> None:
        with open_room(self.room()) as room, self.opened(room, person_field=self.number_field) as office:
            office.hire(number="N-7")

            fetched = office.fetch()

        assert fetched.person == "N-7"
        assert {told.change.person for told in fetched.told} == {"N-7"}

    @pytest.mark.parametrize("number", ["", None, " N-7", "x" * 300, "a\nb"])
    def test_somebody_without_that_field_is_nobody(self, number: Any) -> None:
        with open_room(self.room()) as room, self.opened(room, person_field=self.number_field) as office:
            office.hire(number=number)

            with pytest.raises(InputError):
                office.fetch()

    @pytest.mark.parametrize(
        ("zone", "instant"), [("Asia/Shanghai", "2026-03-31T16:00:00"), ("America/New_York", "2026-04-01T04:00:00")]
    )
    def test_a_planned_departure_waits_for_the_end_of_the_last_day(self, zone: str, instant: str) -> None:
        if not self.plans_departures:
            pytest.skip("this HR system knows no planned departures")
        with open_room(self.room()) as room, self.opened(room, time_zone=zone) as office:
            office.hire(last_day="2026-03-31")

            first, _, second = office.fetch().told

        assert isinstance(first.change, Upserted)
        assert first.cancels_departure
        assert second.change == Departed(PersonId(EMPLOYEE))
        assert second.effective_at == datetime.fromisoformat(instant).replace(tzinfo=UTC)
        assert second.effective_at.astimezone(ZoneInfo(zone)).isoformat().startswith("2026-04-01T00:00")

    @pytest.mark.parametrize("last_day", ["2019-05-31", "9999-12-31", None])
    def test_a_last_day_that_is_over_or_never_comes_says_nothing(self, office: Office, last_day: str | None) -> None:
        office.hire(last_day=last_day)

        assert [type(told.change) for told in office.fetch().told] == [Upserted, FaceReplaced]

    # --- trouble --------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("fault", [*sorted(FAULTS), "silence", "drip"])
    def test_trouble_departs_nobody_and_when_it_ends_all_is_well(self, office: Office, fault: str) -> None:
        office.hire()
        office.fetch()
        office.room.fault = fault

        with pytest.raises(SyncsvcError) as raised:
            office.fetch()

        assert self.room.SECRET not in f"{raised.value} {raised.value!r}"
        office.room.fault = None
        assert [type(told.change) for told in office.fetch().told] == [Upserted, FaceReplaced]

    @pytest.mark.parametrize(
        ("fault", "error"),
        [
            ("unauthorized", CredentialsError),
            ("forbidden", CredentialsError),
            ("slow down", ThrottledError),
            ("moved", MisconfiguredError),
            ("broken", UnavailableError),
            ("away", UnavailableError),
            ("silence", UnavailableError),
        ],
    )
    def test_trouble_is_called_by_its_name(self, office: Office, fault: str, error: type[Exception]) -> None:
        office.hire()
        office.room.fault = fault

        with pytest.raises(error) as raised:
            office.fetch()

        assert "library" not in str(raised.value)
        if isinstance(raised.value, ThrottledError):
            assert raised.value.retry_after == 7

    @pytest.mark.parametrize("fault", ["garbage", "other json", "a list", "nothing", "deep", "wrong charset"])
    def test_an_answer_that_is_not_theirs_may_be_about_this_one_only(self, office: Office, fault: str) -> None:
        """So that it costs an attempt, and is said in the end: it may be somebody's record that cannot be read."""
        office.hire()
        office.room.fault = fault

        with pytest.raises(SyncsvcError) as raised:
            office.fetch()

        everybody = isinstance(raised.value, UnavailableError) and not raised.value.about_person
        assert not everybody

    def test_wrong_credentials_are_never_somebodys_departure(self) -> None:
        wrong = dict.fromkeys(self.secret_options, SecretStr("canary-wrong"))
        with open_room(self.room()) as room, self.opened(room, **wrong) as office:
            office.hire()

            for employee in (EMPLOYEE, "nobody"):
                with pytest.raises(CredentialsError):
                    office.fetch(employee)

    def test_an_answer_about_somebody_else_is_not_believed(self, office: Office) -> None:
        office.hire(there=False)
        office.room.amend = lambda told: {
            key: ({"value": "4712"} if isinstance(value, dict) and value.get("value") == EMPLOYEE else value)
            if value != EMPLOYEE
            else "4712"
            for key, value in told.items()
        }

        with pytest.raises(InputError):
            office.fetch()

    def test_wrong_types_in_an_answer_depart_nobody(self, office: Office) -> None:
        office.hire()
        whole = self.answered(office)
        for odd in spoilt(whole):
            office.room.amend = lambda _told, odd=odd: odd
            with suppress(SyncsvcError):
                fetched = office.fetch()
                departed = any(isinstance(told.change, Departed) for told in fetched.told)
                assert departed == self.departs(odd), odd
                assert fetched.person == EMPLOYEE

    def answered(self, office: Office) -> Any:
        """What the room says of somebody who is there."""
        seen = []

        def look(told: Any) -> Any:
            seen.append(told)
            return told

        office.room.amend = look
        office.fetch()
        return seen[0]

    def departs(self, told: Any) -> bool:
        """Whether an odd answer says of somebody, in so many words, that they are gone."""
        return False

    def test_an_access_token_is_used_again_and_made_anew_when_it_is_over(self, office: Office) -> None:
        if not self.tokens:
            pytest.skip("this API takes the credentials themselves")
        office.hire()
        office.fetch()
        office.fetch()
        assert office.room.minted == 1

        office.room.tokens.clear()
        office.fetch()

        assert office.room.minted == 2

    def test_no_call_begins_that_might_outlast_the_lease(self, office: Office) -> None:
        office.hire()
        door = Door(office.client, office.room.url, Account("hr"), Unlimited(), timeout=1.0, deadline=0.0)

        with pytest.raises(NoPermitError):
            office.speaker.fetch(EMPLOYEE, door, office.album, NOW)

        assert office.room.asked == []

    # --- discretion -----------------------------------------------------------------------------------------------

    def test_secrets_stand_in_no_address(self, office: Office) -> None:
        office.hire()
        office.fetch()

        assert not [asked for asked in office.room.asked if self.room.SECRET in f"{asked.path} {asked.query}"]

    @pytest.mark.parametrize("employee", ["..", ".", "a/../b", "a?b=c&d", "a#b", "三", "a%2Fb", 'a"b', "a\\b"])
    def test_an_odd_id_is_asked_for_as_it_is(self, office: Office, employee: str) -> None:
        office.hire(employee)

        assert office.fetch(employee).person == employee

    def test_nothing_personal_is_shown(self, office: Office) -> None:
        office.hire(name="Ada Canary")

        fetched = office.fetch()

        assert "Canary" not in repr(fetched)
        assert "canary" not in repr(office.speaker.options)
