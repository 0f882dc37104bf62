"""Whatever fits the description, or nearly does, is answered as the description says, and never with a 5xx."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import CHECKS
from schemathesis.core.result import Ok
from schemathesis.schemas import BaseSchema

from syncsvc.model.people import Photo
from syncsvc.web import create_app
from syncsvc.wiring import Service
from tests.vendors.photos import draw
from tests.web.api.ground import OPERATOR, Album, Script

EXAMPLES = 40  # of each route, and as many that do not fit
UNHURRIED = list(HealthCheck)  # the strategies are the description's, not ours
NAMES = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
]


class Everywhere(Album):
    """Every address has a photo; one that is away would be a 503, and rightly."""

    def fetch(self, url: str) -> Photo:
        return draw(len(url))


@pytest.fixture
def album() -> Album:
    return Everywhere()


@pytest.fixture
def described(service: Service, ops: Script) -> BaseSchema:
    """The description of all routes but those that answer 503 where nothing runs, with somebody to ask for."""
    ops.hire("0", **{"0": draw(1)})
    return schemathesis.openapi.from_asgi("/openapi.json", create_app(service)).exclude(
        path_regex="^/(healthz|readyz)$"
    )


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_every_answer_is_a_described_one(described: BaseSchema, mode: GenerationMode) -> None:
    tried = [operation.label for operation in operations(described) if ask(operation, mode)]

    assert len(tried) >= (14 if mode is GenerationMode.POSITIVE else 10)


def operations(described: BaseSchema) -> Iterator[APIOperation[Any, Any, Any, Any]]:
    for found in described.get_all_operations():
        assert isinstance(found, Ok)
        yield found.ok()


def ask(operation: APIOperation[Any, Any, Any, Any], mode: GenerationMode) -> bool:
    """Ask with what fits the description, or does not. False: everything fits it."""

    checks: list[Any] = CHECKS.get_by_names(NAMES)

    @settings(max_examples=EXAMPLES, derandomize=True, deadline=None, database=None, suppress_health_check=UNHURRIED)
    @given(case=operation.as_strategy(generation_mode=mode))
    def each(case: Case[Any]) -> None:
        case.call_and_validate(headers={"Authorization": f"Bearer {OPERATOR}"}, checks=checks)

    try:
        each()
    except Unsatisfiable:
        return False
    return True
