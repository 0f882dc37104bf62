"""What every dialect must do with messages; `contract_api` is for those that ask an HR system as well.

A dialect's test file subclasses `HearingContract`, says how its sender signs (in its own words, not by calling the
dialect), and shows one documented event:

    class TestCedar(HearingContract):
        dialect = "cedar"

        def options(self): return {"secrets": [SecretStr("first")]}
        def event(self): return {"type": "employee.updated", "employee": EMPLOYEE}
        def message(self, plain, at, *, secret=FIRST): return Message({"cedar-signature": sign(plain, secret)}, plain)
"""

import copy
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest
from pydantic import SecretStr

from syncsvc.intake.dialects import Dialect, Heard, Message, SignatureError, dialect_class
from syncsvc.model.errors import InputError, SyncsvcError
from syncsvc.model.people import Photo
from syncsvc.settings import own_options
from tests.vendors.photos import draw

FIRST, SECOND, STRANGE = "canary-first-secret", "canary-second-secret", "canary-strange-secret"
EMPLOYEE = "4711"
ODD: tuple[Any, ...] = (None, True, -1, 1.5, 10**30, "", " ", "\x00", "\ud800", "x" * 5000, [], {}, [[]], {"": None})
NONSENSE: Mapping[str, bytes] = {
    "empty": b"",
    "half": b'{"type": "employee.upd',
    "a list": b"[]",
    "null": b"null",
    "a text": b'"employee"',
    "a number": b"1e999",
    "not a number": b'{"type": NaN}',
    "deep": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "deep list": b"[" * 200_000,
    "latin-1": '{"type": "Müller"}'.encode("latin-1"),
    "utf-16": '{"type": "employee.updated"}'.encode("utf-16"),
    "a long number": b'{"type": ' + b"9" * 5000 + b"}",
    "zeros": bytes(64),
    "form data": b"type=employee.updated&data[employeeId]=4711",
}


class NoPhotos:
    """Of a dialect that reads no photos from its messages."""

    def read(self, content: bytes) -> Photo:
        raise AssertionError(f"{len(content)} bytes were taken for a photo")

    def fetch(self, url: str) -> Photo:
        raise AssertionError("a photo was fetched before the message was answered")


class Album(NoPhotos):
    """Reads drawn photos only, and has those that were put behind an address."""

    def __init__(self) -> None:
        self.behind: dict[str, Photo | SyncsvcError] = {}

    def read(self, content: bytes) -> Photo:
        found = next((photo for photo in map(draw, range(8)) if photo.content == content), None)
        if found is None:
            raise InputError("the photo cannot be read as a picture; send a JPEG or PNG", field="photo")
        return found

    def fetch(self, url: str) -> Photo:
        found = self.behind.get(url, InputError("the photo's address cannot be used", field="photo"))
        if isinstance(found, SyncsvcError):
            raise found
        return found


class Ground:
    """What both contracts stand on, and what a dialect's test may set."""

    dialect: ClassVar[str]

    def options(self) -> dict[str, Any]:
        raise NotImplementedError

    def speaker(self, **more: Any) -> Dialect[Any]:
        kind = dialect_class(self.dialect)
        given = {key: value for key, value in {**self.options(), **more}.items() if value is not None}
        made, mistakes = own_options(kind.Options, given, "webhook[0]")
        assert made is not None, mistakes
        return kind("people", made)


class HearingContract(Ground):
    signs_body: ClassVar[bool] = True
    signs_time: ClassVar[bool] = True
    ignores_others: ClassVar[bool] = False  # its address takes every event that the sender has
    secret_option: ClassVar[str] = "secrets"

    def event(self) -> dict[str, Any]:
        """A documented event about EMPLOYEE."""
        raise NotImplementedError

    def unknown(self) -> dict[str, Any]:
        """The same of a type that the dialect does not know."""
        raise NotImplementedError

    def message(self, plain: bytes, at: datetime, *, secret: str = FIRST) -> Message:
        """What the sender sends when it says `plain`, signed at that instant."""
        raise NotImplementedError

    def outer(self, body: bytes, at: datetime) -> Message:
        """A well-signed request with this body as it is, for senders that put their words into an envelope."""
        return self.message(body, at)

    def heard(self, message: Message, **more: Any) -> Heard:
        return self.speaker(**more).hear(message, NoPhotos(), datetime.now(UTC))

    def says(self, event: Mapping[str, Any]) -> Message:
        return self.message(json.dumps(event).encode(), datetime.now(UTC))

    # --- who speaks -----------------------------------------------------------------------------------------------

    def test_a_signed_message_is_heard(self) -> None:
        heard = self.heard(self.says(self.event()))

        assert heard.id
        told = [one.change.person for one in heard.told]
        assert [*heard.employees, *told] == [EMPLOYEE]
        assert all(one.source == "people" for one in heard.told)

    def test_the_same_message_has_the_same_id_and_another_has_another(self) -> None:
        at = datetime.now(UTC)
        plain = json.dumps(self.event()).encode()
        message = self.message(plain, at)
        other = self.message(json.dumps(self.another()).encode(), at)

        assert self.heard(message).id == self.heard(message).id != self.heard(other).id

    def another(self) -> dict[str, Any]:
        """Another event, told by another message."""
        return {**self.event(), "more": "x"}

    def test_what_nobody_signed_is_refused(self) -> None:
        with pytest.raises(SignatureError):
            self.heard(replace(self.says(self.event()), headers={}, query={}))

    def test_what_somebody_else_signed_is_refused(self) -> None:
        plain = json.dumps(self.event()).encode()

        with pytest.raises(SignatureError):
            self.heard(self.message(plain, datetime.now(UTC), secret=STRANGE))

    @pytest.mark.parametrize("value", ["", " ", "v1", "0" * 64, "A" * 10_000, "ä€😀", "\x7f", "-1", "9" * 400, "1e9"])
    def test_signs_that_make_no_sense_are_refused(self, value: str) -> None:
        message = self.says(self.event())
        headers = {**dict.fromkeys(message.headers, value)}
        query = dict.fromkeys(message.query, value)

        with pytest.raises(SignatureError):
            self.heard(Message(headers, message.body, query))

    def test_a_body_that_was_changed_on_its_way_is_refused(self) -> None:
        if not self.signs_body:
            pytest.skip("this sender signs nothing: what it says is only ever asked about")
        message = self.says(self.event())
        for body in self.changed(message.body):
            with pytest.raises(SignatureError):
                self.heard(replace(message, body=body))

    def changed(self, body: bytes) -> list[bytes]:
        """Bodies that say something else, or the same in other bytes, where these are signed."""
        half = len(body) // 2
        flipped = body[:half] + bytes([body[half] ^ 1]) + body[half + 1 :]
        return [flipped, body[:-1], body[1:], body + b" ", b" " + body, b""]

    def test_while_secrets_change_the_old_and_the_new_one_are_good(self) -> None:
        both = {self.secret_option: [SecretStr(FIRST), SecretStr(SECOND)]}
        plain = json.dumps(self.event()).encode()

        for secret in (FIRST, SECOND):
            assert self.heard(self.message(plain, datetime.now(UTC), secret=secret), **both).id
        with pytest.raises(SignatureError):
            self.heard(self.message(plain, datetime.now(UTC), secret=STRANGE), **both)

    @pytest.mark.parametrize(("seconds", "good"), [(-310, False), (-290, True), (290, True), (310, False)])
    def test_a_signature_is_good_for_five_minutes(self, *, seconds: int, good: bool) -> None:
        if not self.signs_time:
            pytest.skip("this sender signs no time")
        message = self.message(json.dumps(self.event()).encode(), datetime.now(UTC) + timedelta(seconds=seconds))

        if good:
            assert self.heard(message).id
        else:
            with pytest.raises(SignatureError):
                self.heard(message)

    # --- what is said ---------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("kind", sorted(NONSENSE))
    def test_nonsense_is_refused_whoever_says_it(self, kind: str) -> None:
        now = datetime.now(UTC)

        for message in (self.message(NONSENSE[kind], now), self.outer(NONSENSE[kind], now)):
            with pytest.raises((InputError, SignatureError)):
                self.heard(message)

    def test_an_event_of_a_type_that_nobody_knows_says_nothing_of_anybody(self) -> None:
        message = self.says(self.unknown())

        if self.ignores_others:
            heard = self.heard(message)
            assert (heard.told, heard.employees) == ((), ())
        else:
            with pytest.raises(InputError):
                self.heard(message)

    def test_wrong_types_anywhere_end_in_words_and_in_nothing_else(self) -> None:
        for event in spoilt(self.event()):
            with suppress(InputError, SignatureError):
                heard = self.heard(self.message(json.dumps(event).encode(), datetime.now(UTC)))
                assert all(isinstance(one, str) and 0 < len(one) <= 256 for one in heard.employees)

    def test_what_is_refused_is_not_quoted(self) -> None:
        for event in spoilt(self.event(), ("CANARY-WORD", {"CANARY-WORD": 1}, ["CANARY-WORD"])):
            with suppress(InputError, SignatureError):
                self.heard(self.says(event))
                continue
            with pytest.raises((InputError, SignatureError)) as raised:
                self.heard(self.says(event))
            assert "CANARY-WORD" not in str(raised.value)

    # --- what is shown --------------------------------------------------------------------------------------------

    def test_no_secret_is_shown(self) -> None:
        speaker = self.speaker()
        message = self.says(self.event())

        heard = speaker.hear(message, NoPhotos(), datetime.now(UTC))
        shown = f"{speaker.options!r} {speaker.options} {speaker!r} {message!r} {heard!r}"

        assert "canary" not in shown

    def test_a_message_needs_no_more_than_it_is_documented_to_have(self) -> None:
        """Senders add keys of their own."""
        event = {**self.event(), "new_in_2027": {"a": [1]}}

        assert self.heard(self.says(event)).id


def spoilt(event: Any, odd: tuple[Any, ...] = ODD) -> Iterator[Any]:
    """The event with each of its parts left out, and with each of them exchanged for something odd."""
    for path in _places(event):
        yield _without(event, path)
        for value in odd:
            yield _with(event, path, value)


def _places(event: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inner = event.items() if isinstance(event, dict) else enumerate(event) if isinstance(event, list) else ()
    for key, value in inner:
        yield (*path, key)
        yield from _places(value, (*path, key))


def _with(event: Any, path: tuple[Any, ...], value: Any) -> Any:
    changed = copy.deepcopy(event)
    found = changed
    for step in path[:-1]:
        found = found[step]
    found[path[-1]] = value
    return changed


def _without(event: Any, path: tuple[Any, ...]) -> Any:
    changed = copy.deepcopy(event)
    found = changed
    for step in path[:-1]:
        found = found[step]
    del found[path[-1]]
    return changed
