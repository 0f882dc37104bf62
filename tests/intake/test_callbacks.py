"""Messages on their way out: signed, bounded, and to nobody but the address in the configuration."""

import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import structlog
from standardwebhooks import Webhook

from syncsvc.intake.callbacks import Address, Courier
from syncsvc.model.callbacks import Accepted, Answer, Letter, NotNow, Unwanted
from syncsvc.observe import logs
from tests.intake.receiver import SECRET, Receiver, receiver

BODY = json.dumps({"type": "change.converged", "data": {"person": {"id": "三-1"}}})


@pytest.fixture
def there() -> Iterator[Receiver]:
    with receiver() as listening:
        yield listening


def now() -> datetime:
    return datetime.now(UTC)


def courier(url: str, timeout: float = 5.0) -> Courier:
    return Courier([Address("hr", url, SECRET)], now, timeout=timeout)


def letter(number: int = 1) -> Letter:
    return Letter(f"message-{number}", "change.converged", BODY)


def post(there: Receiver, *answers: object, timeout: float = 5.0) -> list[Answer]:
    """What the courier makes of these answers, one letter each."""
    there.answers += answers
    carrier = courier(there.url, timeout)
    return [carrier.post("hr", [letter(number)])[0] for number in range(len(answers))]


def test_a_message_arrives_with_a_signature_that_the_library_verifies(there: Receiver) -> None:
    before = int(now().timestamp())

    answers = courier(there.url).post("hr", [letter()])

    (taken,) = there.taken
    assert answers == [Accepted()]
    assert (taken.id, taken.content) == ("message-1", json.loads(BODY))
    assert before <= taken.timestamp <= int(now().timestamp())
    assert taken.headers["Content-Type"] == "application/json"


def test_another_secret_would_not_have_verified_it(there: Receiver) -> None:
    other = Courier([Address("hr", there.url, SECRET[:-6] + "AAAAAA")], now)

    (answer,) = other.post("hr", [letter()])

    assert there.taken == []
    assert isinstance(answer, NotNow)


def test_every_try_has_the_same_id_and_a_time_of_its_own(there: Receiver) -> None:
    moments = iter([now() - timedelta(minutes=2), now()])
    carrier = Courier([Address("hr", there.url, SECRET)], lambda: next(moments))
    there.answers.append(500)

    first, second = (carrier.post("hr", [letter()])[0] for _ in range(2))

    assert (first, second) == (NotNow("the address answered HTTP 500"), Accepted())
    assert [one.id for one in there.taken] == ["message-1", "message-1"]
    assert there.taken[1].timestamp - there.taken[0].timestamp >= 119


def test_several_messages_are_under_way_at_once_and_each_gets_its_own_answer(there: Receiver) -> None:
    carrier = courier(there.url)

    answers = carrier.post("hr", [letter(number) for number in range(8)])

    assert answers == [Accepted()] * 8
    assert sorted(one.id for one in there.taken) == [f"message-{number}" for number in range(8)]


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_success_is_one(there: Receiver, status: int) -> None:
    assert post(there, status) == [Accepted()]


@pytest.mark.parametrize("status", [400, 401, 404, 500, 502, 504])
def test_anything_else_is_tried_again(there: Receiver, status: int) -> None:
    assert post(there, status) == [NotNow(f"the address answered HTTP {status}")]


def test_gone_means_that_nothing_more_is_wanted(there: Receiver) -> None:
    assert isinstance(post(there, 410)[0], Unwanted)


def test_a_redirect_is_not_followed(there: Receiver) -> None:
    (answer,) = post(there, (308, {"Location": there.url + "/elsewhere"}))

    assert isinstance(answer, NotNow)
    assert "redirect" in answer.detail
    assert [one.path for one in there.taken] == ["/heard"]


@pytest.mark.parametrize("status", [429, 503])
def test_the_time_that_an_address_asks_for_is_granted_within_bounds(there: Receiver, status: int) -> None:
    date = format_datetime(now() + timedelta(seconds=100), usegmt=True)

    number, instant, years = post(there, *((status, {"Retry-After": value}) for value in ("120", date, str(10**9))))

    assert number == NotNow(f"the address answered HTTP {status}", 120.0)
    assert isinstance(instant, NotNow)
    assert instant.wait is not None
    assert 90 < instant.wait <= 100
    assert isinstance(years, NotNow)
    assert years.wait == 900.0


def test_an_address_that_hangs_up_or_is_not_there_cannot_be_reached(there: Receiver) -> None:
    (hung_up,) = post(there, "hang_up")
    (nobody,) = courier("http://127.0.0.1:1/heard").post("hr", [letter()])

    assert hung_up == NotNow("the address cannot be reached (RemoteProtocolError)")
    assert nobody == NotNow("the address cannot be reached (ConnectError)")


def test_an_answer_that_drips_is_no_answer(there: Receiver) -> None:
    (answer,) = post(there, "drip_head", timeout=0.3)

    assert answer == NotNow("the address did not answer within 0.3 s")


def test_what_was_accepted_is_accepted_however_much_is_said_about_it(there: Receiver) -> None:
    assert post(there, "drip_body", timeout=2.0) == [Accepted()]


def test_a_url_that_nobody_can_read_is_an_answer_and_no_crash() -> None:
    (answer,) = courier("http://127.0.0.1:1\x00/heard").post("hr", [letter()])

    assert answer == NotNow("the address cannot be reached (InvalidURL)")


def test_a_proxy_of_the_environment_is_not_asked(there: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    assert post(there, 204) == [Accepted()]


def test_a_name_that_is_not_configured_is_a_mistake_of_ours(there: Receiver) -> None:
    with pytest.raises(KeyError):
        courier(there.url).post("payroll", [letter()])


def test_neither_secret_nor_address_nor_body_gets_out(there: Receiver) -> None:
    stream, root = io.StringIO(), logging.getLogger()
    before, level = root.handlers[:], root.level
    logs.configure(level="DEBUG", stream=stream)
    carrier = courier(there.url + "/CANARY-PATH")

    answers = [carrier.post("hr", [letter()]) for there.answers in ([500], ["hang_up"], [204])]

    logging.captureWarnings(capture=False)
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()
    shown = stream.getvalue() + repr(answers) + repr(letter()) + repr(Address("hr", there.url + "/CANARY-PATH", SECRET))
    assert len(there.taken) == 3
    for hidden in (SECRET, SECRET.removeprefix("whsec_"), "CANARY", there.url, "三-1", "person"):
        assert hidden not in shown
    assert Webhook(SECRET).sign("message-1", now(), BODY).split(",")[1] not in shown
