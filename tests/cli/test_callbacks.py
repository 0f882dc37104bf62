"""`syncsvc callback`: who is told, whether they take it, and a way back."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from syncsvc.cli.commands import _desk
from syncsvc.flow.post import post_due
from syncsvc.model.callbacks import Notice, Unwanted
from tests.cli.running import Run
from tests.intake.receiver import SECRET, Receiver, receiver

SECTION = """
[[callback]]
name = "hr"
url = "{url}"
secret = "env:CALLBACK_SECRET"
"""


@pytest.fixture
def there() -> Iterator[Receiver]:
    with receiver() as listening:
        yield listening


@pytest.fixture
def hr(run: Run, configuration: Path, there: Receiver, monkeypatch: pytest.MonkeyPatch) -> Receiver:
    """One callback is configured, and the database is there."""
    monkeypatch.setenv("CALLBACK_SECRET", SECRET)
    configuration.write_text(configuration.read_text() + SECTION.format(url=there.url))
    assert run("db", "upgrade").code == 0
    return there


def disable(run: Run) -> None:
    """Two messages are owed, and the address wants none."""
    assert run("callback", "list").code == 0
    house = _desk.house
    with house.store.transaction() as tx:
        tx.callbacks.owe(house.callbacks, [Notice("change.converged", {})] * 2, house.clock())
    post_due(house, lambda _, letters: [Unwanted("it wants no messages any more (HTTP 410)")] * len(letters))
    house.store.close()


def test_a_callback_that_nothing_was_sent_to_works(run: Run, hr: Receiver) -> None:
    shown = run("callback", "list")
    ended = run("callback", "list", "--json")

    (one,) = json.loads(ended.out)
    assert (one["name"], one["state"], one["waiting"], one["failures"]) == ("hr", "working", 0, 0)
    assert (one["disabled_at"], one["last_error"]) == (None, None)
    assert "working" in shown.out


def test_a_disabled_callback_is_seen_with_its_reason_and_what_waits(run: Run, hr: Receiver) -> None:
    disable(run)

    ended = run("callback", "list", "--json")

    (one,) = json.loads(ended.out)
    assert (one["state"], one["waiting"], one["last_error"]) == (
        "disabled",
        2,
        "it wants no messages any more (HTTP 410)",
    )
    assert one["disabled_at"] is not None
    assert "callback hr is disabled, 2 messages wait: it wants no messages" in run("status").out


def test_status_says_nothing_of_callbacks_that_work(run: Run, hr: Receiver) -> None:
    ended = run("status")

    assert ended.code == 0
    assert "callback" not in ended.out


def test_an_enabled_callback_is_sent_to_again(run: Run, hr: Receiver) -> None:
    disable(run)

    ended = run("callback", "enable", "hr")

    assert (ended.code, ended.out) == (0, "hr is sent to again; 2 messages wait\n")
    (one,) = json.loads(run("callback", "list", "--json").out)
    assert (one["state"], one["last_error"]) == ("working", None)


def test_a_test_message_arrives_signed_and_changes_nothing(run: Run, hr: Receiver) -> None:
    ended = run("callback", "test", "hr")

    assert (ended.code, ended.out) == (0, "hr took the message\n")
    (taken,) = hr.taken
    assert (taken.content["type"], taken.content["data"]) == ("callback.test", {"callback": "hr"})
    (one,) = json.loads(run("callback", "list", "--json").out)
    assert (one["waiting"], one["given_up"]) == (0, 0)


def test_a_test_message_that_is_not_taken_says_why_and_ends_with_1(run: Run, hr: Receiver) -> None:
    hr.answers.append(503)

    ended = run("callback", "test", "hr")

    assert (ended.code, ended.out) == (1, "hr did not take the message: the address answered HTTP 503\n")


@pytest.mark.parametrize("command", ["test", "enable"])
def test_a_callback_that_is_not_configured_is_not_found(run: Run, hr: Receiver, command: str) -> None:
    ended = run("callback", command, "payroll")

    assert (ended.code, ended.err) == (1, "syncsvc: no callback is called 'payroll'; configured are: hr\n")


def test_neither_secret_nor_address_is_shown(run: Run, hr: Receiver) -> None:
    disable(run)

    shown = "".join(
        ended.out + ended.err
        for ended in (
            run("callback", "list"),
            run("callback", "list", "--json"),
            run("callback", "test", "hr"),
            run("callback", "enable", "hr"),
            run("status"),
        )
    )

    assert SECRET.removeprefix("whsec_") not in shown
    assert hr.url not in shown
