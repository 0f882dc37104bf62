"""Nothing that looks like a secret or a picture leaves through the log."""

import base64
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from syncsvc.observe import logs
from syncsvc.observe.redaction import MASK, is_sensitive

PICTURE = base64.b64encode(bytes(range(256)) * 4).decode()


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    logs.configure(level="DEBUG", stream=stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_a_phrase_and_fields_as_one_line_of_json(stream: io.StringIO) -> None:
    structlog.get_logger().info("delivery settled", library="north-gate", outcome="deferred", wait=0.4)

    (line,) = lines(stream)
    assert (line["event"], line["library"], line["wait"], line["level"]) == (
        "delivery settled",
        "north-gate",
        0.4,
        "info",
    )
    assert line["timestamp"].endswith("Z")


@pytest.mark.parametrize(
    "field",
    [
        "photo",
        "name",
        "full_name",
        "api_key",
        "secretKey",
        "Authorization",
        "image_base64",
        "photo_url",
        "features",
        "API_KEY",
        "AUTHORIZATION",
    ],
)
def test_a_field_named_like_a_secret_is_masked(stream: io.StringIO, field: str) -> None:
    structlog.get_logger().info("something", **{field: "hunter2", "nested": {field: ["hunter2"]}})

    assert "hunter2" not in stream.getvalue()
    assert lines(stream)[0][field] == MASK


@pytest.mark.parametrize(
    "field", ["library", "person", "vendor_image_id", "photo_digest", "access_key_id", "photo_bytes"]
)
def test_a_field_that_operators_need_is_not(field: str) -> None:
    assert not is_sensitive(field)


@pytest.mark.parametrize(
    "value", [PICTURE, {"deep": [PICTURE]}, PICTURE.encode(), [0.1] * 512, f"before {PICTURE} after"]
)
def test_a_value_that_looks_like_a_picture_is_masked_under_any_name(stream: io.StringIO, value: object) -> None:
    structlog.get_logger().info("something", harmless=value)

    assert PICTURE[:80] not in stream.getvalue()
    assert len(stream.getvalue()) < 400


def test_the_standard_librarys_logging_is_redacted_too(stream: io.StringIO) -> None:
    logging.getLogger("celery").warning("Connected to %s", "redis://user:hunter2@cache/0")
    logging.getLogger("uvicorn").warning("GET /photos/abcdef123 200")
    logging.getLogger("any").warning("sent %s", PICTURE)

    shown = stream.getvalue()
    assert "hunter2" not in shown
    assert "abcdef123" not in shown
    assert PICTURE[:80] not in shown
    assert lines(stream)[0]["event"] == f"Connected to redis://{MASK}@cache/0"


def test_a_traceback_is_kept_and_cleaned(stream: io.StringIO) -> None:
    try:
        int("postgresql://user:hunter2@db/faces " + PICTURE)
    except ValueError:
        structlog.get_logger().exception("a task failed")

    (line,) = lines(stream)
    assert "ValueError" in line["exception"]
    assert "hunter2" not in line["exception"]
    assert PICTURE[:80] not in line["exception"]


def test_loggers_that_print_addresses_stay_quiet(stream: io.StringIO) -> None:
    logging.getLogger("httpx").info("HTTP Request: POST https://vendor.example/v2/faces?sign=hunter2")
    logging.getLogger("httpcore.http11").debug("send_request_headers")

    assert stream.getvalue() == ""


def test_a_digest_is_not_mistaken_for_a_picture(stream: io.StringIO) -> None:
    structlog.get_logger().info("photo dropped", digest="ab" * 32)

    assert lines(stream)[0]["digest"] == "ab" * 32
