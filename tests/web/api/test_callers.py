"""Who may ask for what: tokens, roles, and nothing for anybody else."""

import pytest

from syncsvc.settings import Settings
from syncsvc.store import Store
from syncsvc.web.callers import Callers
from tests.vendors.photos import draw
from tests.web.api.ground import OPERATOR, PROVIDER, READER, Script, assert_problem, at, inbox
from tests.web.asking import Client

READS = [
    "/v1/people",
    "/v1/people/alice",
    "/v1/people/alice/explain",
    "/v1/changes/" + "0" * 32,
    "/v1/libraries",
    "/v1/attention",
    "/v1/removals",
    "/v1/erasures",
    "/v1/erasures/" + "0" * 32,
    "/v1/erasures/" + "0" * 32 + "/receipt",
]
WRITES = [
    ("PUT", "/v1/people/alice"),
    ("DELETE", "/v1/people/alice"),
    ("POST", "/v1/people/alice/resync"),
    ("PUT", "/v1/people/alice/faces/left"),
    ("DELETE", "/v1/people/alice/faces/left"),
    ("POST", "/v1/libraries/gate/pause"),
    ("POST", "/v1/libraries/gate/resume"),
    ("POST", "/v1/attention/retry"),
    ("POST", "/v1/removals/approve"),
    ("POST", "/v1/removals/refuse"),
]
ROUTES = [*(("GET", path) for path in READS), *WRITES]


def test_every_route_of_the_api_is_tried_here(client: Client) -> None:
    described = client.get("/openapi.json").json()["paths"]

    known = {(verb.upper(), path) for path, verbs in described.items() if path.startswith("/v1/") for verb in verbs}
    assert len(known) == len(ROUTES)


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize(
    ("given", "challenge"),
    [
        (None, "Bearer"),
        ("", "Bearer"),
        ("Bearer", "Bearer"),
        ("Basic b3BzOng=", "Bearer"),
        (OPERATOR, "Bearer"),
        ("Bearer ", "Bearer"),
        ("Bearer nobody", 'Bearer error="invalid_token"'),
        (f"Bearer {OPERATOR}x", 'Bearer error="invalid_token"'),
        (f"Bearer {OPERATOR[:-1]}", 'Bearer error="invalid_token"'),
        (f"Bearer {OPERATOR.upper()}", 'Bearer error="invalid_token"'),
        ("Bearer \xff\xfe", 'Bearer error="invalid_token"'),
    ],
)
def test_nobody_unknown_is_let_in(
    client: Client, store: Store, *, method: str, path: str, given: str | None, challenge: str
) -> None:
    headers = {} if given is None else {"Authorization": given.encode("latin-1")}

    answer = client.ask(method, path, headers=headers, content=b"")

    assert_problem(answer, 401, "a bearer token is needed")
    assert answer.headers["WWW-Authenticate"] == challenge
    assert inbox(store) == []


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_a_reader_changes_nothing(eyes: Script, ops: Script, store: Store, method: str, path: str) -> None:
    ops.hire("alice", left=draw(1))

    answer = eyes.ask(method, path)

    assert_problem(answer, 403, "the token 'eyes' is a reader's; needed: operator")
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="insufficient_scope"'
    assert len(inbox(store)) == 1
    assert [one["state"] for one in eyes.get("/v1/libraries").json()] == ["active", "active"]


@pytest.mark.parametrize("path", READS)
def test_an_identity_provider_has_no_business_here(client: Client, path: str) -> None:
    assert_problem(Script(client, PROVIDER).get(path), 403, "needed: reader")


def test_whoever_may_change_may_look(ops: Script, eyes: Script) -> None:
    ops.hire("alice", left=draw(1))

    assert ops.get(at("alice")).json() == eyes.get(at("alice")).json()
    assert ops.get(at("alice")).headers["Cache-Control"] == "no-store"


def test_the_body_of_somebody_unknown_is_not_read(client: Client) -> None:
    answer = client.ask("PUT", "/v1/people/alice", content=Unreadable())

    assert answer.status_code == 401


class Unreadable:
    def __aiter__(self) -> "Unreadable":
        return self

    async def __anext__(self) -> bytes:
        raise AssertionError("the body was read")


def test_a_token_is_kept_as_a_digest_only(settings: Settings) -> None:
    callers = Callers(settings.tokens)

    assert OPERATOR not in repr(vars(callers))
    found = [callers.find(token) for token in (OPERATOR, READER, PROVIDER, "", OPERATOR + "\ud800")]
    assert [one and (one.name, one.role) for one in found] == [
        ("ops", "operator"),
        ("eyes", "reader"),
        ("idp", "scim"),
        None,
        None,
    ]
