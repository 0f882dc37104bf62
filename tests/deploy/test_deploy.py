"""What we hand to operators fits the program: no key unexplained, no command that does not exist."""

import base64
import re
import shlex
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from pydantic import BaseModel
from typer.main import get_command

from syncsvc.cli.commands import app
from syncsvc.library.loading import library_class, vendor_names
from syncsvc.settings import Settings, load
from syncsvc.wiring import check_sections

DEPLOY = Path(__file__).parents[2] / "deploy"
EXAMPLE = DEPLOY / "syncsvc.example.toml"
KEY = base64.b64encode(bytes(32)).decode()
ENVIRON = {
    "SYNCSVC_PHOTO_KEY": KEY,
    "SYNCSVC_RECEIPT_KEY": KEY,
    "SYNCSVC_DATABASE_URL": "postgresql://syncsvc:password@postgres/syncsvc",
    "SYNCSVC_REDIS_URL": "redis://redis:6379/0",
    "OPS_TOKEN": "sixteen-characters-and-more",
    "HR_WEBHOOK_SECRET": f"whsec_{KEY}",
    "ALIYUN_ACCESS_KEY_ID": "id",
    "ALIYUN_ACCESS_KEY_SECRET": "secret",
    "HUAWEI_ACCESS_KEY": "id",
    "HUAWEI_SECRET_KEY": "secret",
    "FINAUTH_API_KEY": "id",
    "FINAUTH_API_SECRET": "secret",
}


def models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield model
    for field in model.model_fields.values():
        for part in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from models(part)


def keys(model: type[BaseModel]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


def test_the_example_is_a_configuration_without_mistakes() -> None:
    settings = load(EXAMPLE, ENVIRON)

    check_sections(settings)
    assert {library.vendor for library in settings.libraries} == set(vendor_names())


def test_the_example_mentions_every_key_there_is() -> None:
    text = EXAMPLE.read_text("utf-8")
    ours = set().union(*(keys(model) for model in models(Settings)))
    theirs = set().union(*(keys(library_class(vendor).Options) for vendor in vendor_names()))

    missing = {
        key for key in ours | theirs if not re.search(rf"^(# )?(\[+|\[library\.)?{key}( =|\])", text, re.MULTILINE)
    }

    assert missing == set()


def test_every_variable_of_the_example_is_in_the_list_to_fill_in() -> None:
    named = set(re.findall(r'"env:([A-Z_]+)"', EXAMPLE.read_text("utf-8"))) - {"SYNCSVC_OLD_PHOTO_KEY"}
    listed = set(re.findall(r"^(?:# )?([A-Z_]+)=", (DEPLOY / ".env.example").read_text("utf-8"), re.MULTILINE))

    assert named - {"NAME"} <= listed
    assert set(ENVIRON) <= listed


def compose() -> Mapping[str, Any]:
    found: Mapping[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
    return found


def accept(words: Sequence[str]) -> None:
    """Raises where the command line would not take these words."""
    command: Any = get_command(app)
    context = command.make_context("syncsvc", list(words), resilient_parsing=True)
    rest = list(words)
    while hasattr(command, "commands"):
        command = command.commands[rest.pop(0)]
    command.make_context(command.name, rest, parent=context)


@pytest.mark.parametrize("service", ["migrate", "web", "worker", "beat", "flower"])
def test_every_service_of_compose_runs_a_command_that_exists(service: str) -> None:
    accept(compose()["services"][service]["command"])


def test_compose_asks_for_health_where_web_listens() -> None:
    web = compose()["services"]["web"]
    port = web["command"][web["command"].index("--port") + 1]

    assert f"http://127.0.0.1:{port}/readyz" in web["healthcheck"]["test"][-1]
    assert web["ports"] == [f"127.0.0.1:{port}:{port}"]
    compile(web["healthcheck"]["test"][-1], "healthcheck", "exec")


def test_compose_starts_nothing_before_the_schema_is_there() -> None:
    services = compose()["services"]

    for name in ("web", "worker", "beat", "flower"):
        assert services[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    assert services["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}


def test_compose_has_one_redis_that_forgets_nothing() -> None:
    command = compose()["services"]["redis"]["command"]

    assert command[command.index("--maxmemory-policy") + 1] == "noeviction"


@pytest.mark.parametrize("unit", sorted(DEPLOY.glob("systemd/*.service")), ids=lambda path: path.name)
def test_every_unit_runs_a_command_that_exists(unit: Path) -> None:
    started = re.findall(r"^ExecStart(?:Pre)?=/opt/syncsvc/bin/syncsvc (.*)$", unit.read_text("utf-8"), re.MULTILINE)

    assert started
    for line in started:
        accept(shlex.split(line.replace("%i", "1")))


def test_the_image_is_built_from_the_lock_file_and_runs_as_nobody_special() -> None:
    lines = (DEPLOY / "Dockerfile").read_text("utf-8")

    assert "--require-hashes --no-deps -r requirements.lock" in lines
    assert re.search(r"^USER 10001$", lines, re.MULTILINE)
    copied = set(re.findall(r"^COPY (?!--from)(.*) \./?\S*$", lines, re.MULTILINE))
    project = tomllib.loads((DEPLOY.parent / "pyproject.toml").read_text("utf-8"))
    assert set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]) <= set(" ".join(copied).split())


def test_the_runbook_names_only_commands_that_exist() -> None:
    named = re.findall(r"`syncsvc ([a-z][^`]*)`", (DEPLOY / "runbook.md").read_text("utf-8"))

    assert named
    for line in named:
        accept(shlex.split(line))
