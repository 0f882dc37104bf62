"""Both ways to say who we are: what must be configured, and how a token is kept, renewed and refused."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from syncsvc.library.http import Door
from syncsvc.model.errors import (
    CredentialsError,
    MisconfiguredError,
    NoPermitError,
    ThrottledError,
    UnavailableError,
)
from syncsvc.model.permits import Account, Unlimited
from syncsvc.sandbox.huawei import Sandbox
from syncsvc.sandbox.serve import running
from syncsvc.vendors.huawei import TOKEN_MARGIN, Library, Options, Tokens
from tests.vendors.contract_ground import ALICE, departed, somebody
from tests.vendors.huawei_ground import FIELD, KEYS, SET, TOKEN, Desk


@pytest.mark.parametrize(
    ("told", "missing"),
    [
        (SET, "access_key, secret_key"),
        ({**KEYS, "auth": "token"}, "iam_url, user, password, domain"),
        ({**TOKEN, "auth": "aksk"}, "access_key, secret_key"),
        (TOKEN, "needs iam_url"),
    ],
)
def test_all_that_is_missing_is_said_at_once(told: dict[str, str], missing: str) -> None:
    with pytest.raises(ValidationError, match=missing) as caught:
        Options.model_validate(told)

    assert "sandbox-" not in str(caught.value)


@pytest.mark.parametrize("field", ["face_id", "_id", "with space", "x" * 37])
def test_a_field_that_the_vendor_keeps_for_itself_is_not_the_persons(field: str) -> None:
    with pytest.raises(ValidationError, match="person_field"):
        Options.model_validate({**KEYS, "person_field": field})


@pytest.mark.parametrize(
    "url", ["http://iam.example.com", "http://8.8.8.8", "ftp://127.0.0.1", "iam", "https://x/?a=b"]
)
def test_a_password_goes_over_https_or_stays_at_home(url: str) -> None:
    with pytest.raises(ValidationError, match="iam_url"):
        Options.model_validate({**TOKEN, "iam_url": url})


@pytest.mark.parametrize(
    "url", ["https://iam.example.com/", "http://127.0.0.1:5603", "http://localhost", "http://10.0.0.2"]
)
def test_https_and_private_addresses_are_good_enough_for_a_password(url: str) -> None:
    assert Options.model_validate({**TOKEN, "iam_url": url}).iam_url == url.rstrip("/")


def test_two_accounts_have_two_ids() -> None:
    users = [Options.model_validate({**TOKEN, "iam_url": "https://iam", "user": user}) for user in ("a", "b")]

    told = {Library.credential_id(options) for options in (*users, Options.model_validate(KEYS))}

    assert told == {"sandbox-domain/a", "sandbox-domain/b", "SANDBOXACCESSKEY"}


class TestKeys(Desk):
    def test_another_project_is_a_mistake_of_the_configuration(self, door: Door, sandbox: Any, shelf: Any) -> None:
        library = self.make_library(door, shelf, {**FIELD, "project_id": "f" * 32})

        with pytest.raises(MisconfiguredError, match="project_id") as caught:
            library.ping()

        assert not isinstance(caught.value, CredentialsError)

    def test_a_clock_that_is_off_is_named(self, door: Door, sandbox: Sandbox, library: Library) -> None:
        now = sandbox.clock
        sandbox.clock = lambda: now() + 15 * 60 + 5

        with pytest.raises(CredentialsError, match="clock"):
            library.ping()

    def test_a_face_set_that_does_not_exist_is_named(self, door: Door, sandbox: Any, shelf: Any) -> None:
        library = self.make_library(door, shelf, {**FIELD, "face_set_name": "elsewhere"})

        with pytest.raises(MisconfiguredError, match="face_set_name"):
            library.ping()


class WithToken(Desk):
    def options(self) -> Mapping[str, Any]:
        return {**TOKEN, "iam_url": self.url}

    @pytest.fixture
    def base_url(self, sandbox: Sandbox) -> Iterator[str]:
        with running(sandbox) as (url,):
            self.url = url
            yield url

    def asked(self, sandbox: Sandbox) -> dict[str, int]:
        told: dict[str, int] = sandbox.calls()["by_operation"]
        return told


class TestToken(WithToken):
    def test_one_token_serves_every_errand(self, library: Library, door: Door, sandbox: Sandbox) -> None:
        alice = somebody(ALICE, 1, 2)
        held = library.at(door.for_errand(None)).replace(alice, ()).held

        library.at(door.for_errand(None)).delete([(departed(alice), held)])

        assert self.asked(sandbox) == {"iam": 1, "add": 2, "delete": 1}

    @pytest.mark.parametrize("said", ["FRS.0002", "APIGW.0301"])
    def test_a_token_that_is_turned_away_is_renewed_and_the_call_repeated(
        self, library: Library, sandbox: Sandbox, said: str
    ) -> None:
        library.ping()
        if said == "FRS.0002":
            sandbox.gateway.revoke_tokens()
        else:
            sandbox.gateway.tokens.clear()

        reading = library.replace(somebody(ALICE, 1), ())

        self.assert_holds(sandbox, somebody(ALICE, 1), reading.held)
        assert self.asked(sandbox) == {"iam": 2, "show_set": 1, "add": 2}

    def test_a_token_that_is_turned_away_again_halts_the_library(self, library: Library, sandbox: Sandbox) -> None:
        sandbox.gateway.token_seconds = 0.0

        with pytest.raises(CredentialsError):
            library.ping()

        assert self.asked(sandbox) == {"iam": 2, "show_set": 2}

    def test_a_token_near_its_end_is_not_used_any_more(self, library: Library, sandbox: Sandbox) -> None:
        sandbox.gateway.token_seconds = TOKEN_MARGIN / 2

        library.ping()
        library.ping()

        assert sandbox.calls()["outcomes"] == {"ok": 4}
        assert self.asked(sandbox) == {"iam": 2, "show_set": 2}

    @pytest.mark.parametrize(
        ("wrong", "named"), [({"password": "no"}, "password"), ({"project_id": "f" * 32}, "project_id")]
    )
    def test_what_iam_does_not_accept_is_named(  # noqa: PLR0917
        self, base_url: str, door: Door, sandbox: Any, shelf: Any, wrong: dict[str, str], named: str
    ) -> None:
        library = self.make_library(door, shelf, {**self.options(), **wrong})

        with pytest.raises(CredentialsError, match=named):
            library.replace(somebody(ALICE, 1), ())

        assert self.asked(sandbox) == {"iam": 1}

    def test_an_address_without_iam_is_a_mistake_of_the_configuration(
        self, base_url: str, door: Door, sandbox: Any, shelf: Any
    ) -> None:
        library = self.make_library(door, shelf, {**self.options(), "iam_url": base_url + "/elsewhere"})

        with pytest.raises(MisconfiguredError, match="iam_url"):
            library.ping()

    @pytest.mark.parametrize(
        ("kind", "error"),
        [
            ("throttle", ThrottledError),
            ("unavailable", UnavailableError),
            ("outage", UnavailableError),
            ("lost_answer", UnavailableError),
            ("garbage", UnavailableError),
        ],
    )
    def test_trouble_at_iam_leaves_nothing_in_doubt(
        self, library: Library, sandbox: Sandbox, kind: str, error: type[Exception]
    ) -> None:
        sandbox.fault(kind, "iam", times=1)

        with pytest.raises(error):
            library.replace(somebody(ALICE, 1), ())

        assert sandbox.world.faces == {}
        self.assert_holds(sandbox, somebody(ALICE, 1), library.replace(somebody(ALICE, 1), ()).held)

    def test_no_permit_is_held_while_another_is_asked_for(self, library: Library, door: Door, sandbox: Sandbox) -> None:
        library = library.at(replace(door, limiter=OneAtATime()))
        library.ping()
        sandbox.gateway.revoke_tokens()

        library.ping()

        assert self.asked(sandbox)["iam"] == 2

    def test_many_threads_ask_for_one_token(self, library: Library, sandbox: Sandbox) -> None:
        threads = [threading.Thread(target=library.ping) for _ in range(8)]

        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert self.asked(sandbox) == {"iam": 1, "show_set": 8}


class OneAtATime(Unlimited):
    """Fails where a second permit is asked for while one is out: with a cap of one that would wait for ever."""

    def __init__(self) -> None:
        self.out = False

    @contextmanager
    def permit(self, account: Account, operation: str, *, patience: float) -> Iterator[None]:
        assert not self.out, f"a permit for {operation} is asked for with another one in hand"
        self.out = True
        try:
            yield
        finally:
            self.out = False


class Hand:
    """A clock that is set by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_token_is_kept_until_a_minute_before_its_end() -> None:
    clock, given = Hand(), iter(("first", "second"))
    tokens = Tokens(clock)

    used = []
    for now in (1000.0, 1000.0 + 3600 - TOKEN_MARGIN - 0.1, 1000.0 + 3600 - TOKEN_MARGIN):
        clock.now = now
        used.append(tokens.current(lambda: (next(given), 3600.0)))

    assert used == ["first", "first", "second"]


def test_a_token_that_was_renewed_meanwhile_is_not_renewed_again() -> None:
    given = iter(("first", "second"))
    tokens = Tokens(Hand())
    first = tokens.current(lambda: (next(given), 3600.0))

    renewed = [tokens.current(lambda: (next(given), 3600.0), refused=first) for _ in range(2)]

    assert renewed == ["second", "second"]


def test_a_slow_token_costs_a_waiting_errand_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("syncsvc.vendors.huawei.PATIENCE", 0.01)
    tokens = Tokens()
    asked, answer = threading.Event(), threading.Event()

    def slow() -> tuple[str, float]:
        asked.set()
        answer.wait(10)
        return "late", 3600.0

    first = threading.Thread(target=tokens.current, args=[slow])
    first.start()
    asked.wait(10)
    with pytest.raises(NoPermitError) as caught:
        tokens.current(slow)
    answer.set()
    first.join()

    assert caught.value.wait > 0
    assert tokens.current(slow) == "late"
