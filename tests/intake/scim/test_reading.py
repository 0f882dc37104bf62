"""A body is a JSON object, or it is said in words why it is not."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scim2_models import InvalidSyntaxException

from syncsvc.intake.scim.reading import read_object
from tests.intake.scim.words import ANYTHING

TOWER = b'{"a":' * 40 + b"1" + b"}" * 40


def test_an_object_is_read_also_behind_a_byte_order_mark() -> None:
    assert read_object(b"\xef\xbb\xbf" + '{"displayName": "张三"}'.encode()) == {"displayName": "张三"}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not JSON"),
        (b"CANARY", "not JSON"),
        (b'{"userName": "CANARY"', "not JSON"),
        (b'{"a": NaN}', "not JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not JSON"),
        (b"[" * 200_000, "not JSON"),
        (b'["CANARY"]', "not a JSON object"),
        (b"null", "not a JSON object"),
        ('{"a": "CANARY"}'.encode("utf-16"), "not UTF-8"),
        (b'{"a": "\xff"}', "not UTF-8"),
        (TOWER, "nested more than 32 levels"),
        (b'{"a": ["CANARY \\ud800"]}', "half a character"),
        (b'{"\\udfff": 1}', "half a character"),
    ],
)
def test_what_is_no_object_is_refused_in_words_that_quote_nothing(body: bytes, words: str) -> None:
    with pytest.raises(InvalidSyntaxException, match=words) as caught:
        read_object(body)

    assert "CANARY" not in str(caught.value)


@given(st.dictionaries(st.text(max_size=5), ANYTHING, max_size=3))
def test_every_object_that_json_can_say_is_read_as_it_was_said(said: dict[str, Any]) -> None:
    assert read_object(json.dumps(said).encode()) == said
