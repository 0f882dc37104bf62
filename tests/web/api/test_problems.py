"""Errors in one form, whatever went wrong."""

import pytest
from fastapi import FastAPI

from syncsvc.model.errors import InputError, SyncsvcError
from syncsvc.store import Store
from syncsvc.store.engine import DatabaseUnavailableError
from syncsvc.web import problems
from tests.web.api.ground import Script, assert_problem
from tests.web.asking import Client


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/v1/people", "GET"),
        ("PATCH", "/v1/people/alice", "DELETE, GET, PUT"),
        ("GET", "/v1/people/alice/faces/left", "DELETE, PUT"),
        ("GET", "/v1/people/alice/resync", "POST"),
        ("DELETE", "/v1/attention", "GET"),
        ("HEAD", "/v1/libraries", "GET"),
        ("TRACE", "/healthz", "GET"),
        ("BREW", "/v1/libraries/gate/pause", "POST"),
    ],
)
def test_a_method_that_is_not_possible_is_told_the_ones_that_are(
    client: Client, method: str, path: str, allowed: str
) -> None:
    answer = client.ask(method, path)

    assert answer.status_code == 405
    assert answer.headers["Allow"] == allowed
    assert answer.headers["Content-Type"] == problems.MEDIA_TYPE


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/people"), ("GET", "/v1/libraries"), ("DELETE", "/v1/people/a")]
)
def test_a_database_that_is_away_is_to_be_asked_again(
    ops: Script, store: Store, monkeypatch: pytest.MonkeyPatch, method: str, path: str
) -> None:
    def away(*_: object, **__: object) -> None:
        raise DatabaseUnavailableError("the database cannot be used just now")

    monkeypatch.setattr(store.engine, "connect", away)

    answer = ops.ask(method, path)

    assert_problem(answer, 503, "database cannot be used")
    assert int(answer.headers["Retry-After"]) > 0


def raising(error: Exception) -> Client:
    """An application whose one route raises this."""
    app = FastAPI()
    problems.install(app)

    @app.get("/")
    def _raise() -> None:
        raise error

    return Client(app)


def test_half_a_character_comes_back_as_the_escape_that_it_was() -> None:
    answer = raising(InputError("no key is called '\ud800'", field="\ud800")).get("/")

    assert answer.status_code == 422
    assert b'"field": "\\ud800"' in answer.content


def test_the_unexpected_tells_nobody_what_it_was() -> None:
    answer = raising(KeyError("CANARY-SECRET")).get("/")

    assert_problem(answer, 500, "the service's log has the details")
    assert "CANARY" not in answer.text


def test_what_is_ours_and_has_no_status_is_told_in_its_words() -> None:
    assert_problem(raising(SyncsvcError("the libraries do not agree")).get("/"), 500, "do not agree")


def test_several_wrong_fields_are_each_named(ops: Script) -> None:
    told = ops.get("/v1/attention?limit=0&since=x&reason=%00").json()

    assert {one["field"] for one in told["errors"]} == {"limit", "since", "reason"}
    assert "CANARY" not in ops.get("/v1/attention?since=CANARY").text
