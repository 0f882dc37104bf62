"""Nobody speaks to us in a dialect that has not signed the contract."""

import importlib
import inspect
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from syncsvc.intake.dialects import Dialect, DialectOptions, dialect_class, dialect_names
from syncsvc.settings import read, secret_keys
from syncsvc.wiring import check_sections
from tests.intake.dialects.contract import HearingContract
from tests.intake.dialects.contract_api import ApiContract

HERE = Path(__file__).parent
PAGE = HERE.parents[2] / "docs" / "hr-systems.md"
DIALECTS = dialect_names()


def signatures(dialect: str, contract: type[Any]) -> list[type[Any]]:
    """The contract's subclasses in the dialect's test file that pytest runs."""
    path = HERE / f"test_{dialect}.py"
    if not path.exists():
        pytest.fail(
            f"write tests/intake/dialects/test_{dialect}.py with a subclass of "
            "tests.intake.dialects.contract.HearingContract, and of contract_api.ApiContract where it has a fetch"
        )
    module = importlib.import_module(f"tests.intake.dialects.test_{dialect}")
    return [
        kind
        for name, kind in inspect.getmembers(module, inspect.isclass)
        if name.startswith("Test") and issubclass(kind, contract) and getattr(kind, "dialect", None) == dialect
    ]


def has_api(dialect: str) -> bool:
    return dialect_class(dialect).fetch is not Dialect.fetch


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_has_signed_the_contract(dialect: str) -> None:
    contracts: list[type[Any]] = [HearingContract, *([ApiContract] if has_api(dialect) else [])]

    for contract in contracts:
        signed = signatures(dialect, contract)
        assert signed, f"tests/intake/dialects/test_{dialect}.py needs a class that subclasses {contract.__name__}"
        for kind in signed:
            skipped = [name for name in dir(contract) if name.startswith("test_") and not getattr(kind, name)]
            assert not skipped, f"{kind.__name__} strikes out a part of the contract: {skipped}"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_options_are_frozen_and_know_their_keys(dialect: str) -> None:
    options = dialect_class(dialect).Options

    assert issubclass(options, DialectOptions)
    assert options.model_config.get("frozen")
    assert options.model_config.get("extra") == "forbid"
    assert options.model_config.get("hide_input_in_errors")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_whatever_is_secret_is_held_as_a_secret_and_several_hold_while_they_change(dialect: str) -> None:
    options = dialect_class(dialect).Options
    suspicious = ("secret", "token", "key")
    named = {
        name
        for name, field in options.model_fields.items()
        if any(word in name for word in suspicious) and field.annotation is not str
    }
    public = {"app_key", "token_url"}

    assert named - secret_keys(options) - public == set()
    assert any(options.model_fields[name].annotation == tuple[SecretStr, ...] for name in secret_keys(options))


@pytest.mark.parametrize("dialect", [one for one in DIALECTS if has_api(one)])
def test_an_api_has_a_pace(dialect: str) -> None:
    """A limit that is not documented is chosen with caution."""
    rates = dialect_class(dialect).rates

    assert rates
    assert all(rate.permits >= 1 and rate.period > 0 for rate in rates)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_dialect_says_where_its_shape_comes_from(dialect: str) -> None:
    module = importlib.import_module(f"syncsvc.intake.dialects.{dialect}")

    assert "https://" in (module.__doc__ or "")


def blocks() -> dict[str, str]:
    """The configuration that the page shows for each dialect."""
    found = re.findall(r"```toml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    return {match[1]: block for block in found if (match := re.search(r'dialect = "(\w+)"', block))}


@pytest.mark.parametrize("dialect", [one for one in DIALECTS if one != "standard"])
def test_the_page_shows_every_option_in_a_section_without_mistakes(dialect: str, tmp_path: Path) -> None:
    block = blocks()[dialect]
    variables = dict.fromkeys(re.findall(r'"env:(\w+)"', block), "a" * 43)
    document = {"service": {"photo_key": "env:KEY"}, **tomllib.loads(block)}

    check_sections(read(document, {"KEY": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=", **variables}, tmp_path))

    shown = set(re.findall(r"^(?:# )?(\w+) = ", block.partition("[webhook.options]")[2], re.MULTILINE))
    assert shown | {"api_url"} == set(dialect_class(dialect).Options.model_fields) | {"api_url"}
