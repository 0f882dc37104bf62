"""The configuration: what is read, what is refused, and in which words."""

import base64
import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, SecretStr

from syncsvc.model.errors import SettingsError
from syncsvc.model.permits import Rate
from syncsvc.settings import Settings, load, own_options, read

KEY = base64.b64encode(b"k" * 32).decode()
ENVIRON = {
    "PHOTO_KEY": KEY,
    "OLD_KEY": base64.b64encode(b"o" * 32).decode(),
    "TOKEN": "a-long-and-random-token",
    "HOOK": "whsec_" + base64.b64encode(b"h" * 32).decode(),
    "PASSWORD": "hunter2-hunter2",
    "DATABASE": "postgres://user:hunter2-hunter2@db/faces",
}
LIBRARY = {"name": "north-gate", "vendor": "cedar", "base_url": "http://192.168.1.5:5555", "policy": "sync"}


def settings(tmp_path: Path, **sections: Any) -> Settings:
    return read({"service": {"photo_key": "env:PHOTO_KEY"}, **sections}, ENVIRON, tmp_path)


def mistakes(tmp_path: Path, **sections: Any) -> dict[str, str]:
    with pytest.raises(SettingsError) as caught:
        settings(tmp_path, **sections)
    assert "hunter2" not in str(caught.value)
    return dict(caught.value.mistakes)


def library(**changed: Any) -> dict[str, Any]:
    return {"library": [{**LIBRARY, **changed}]}


def test_a_minimal_file_is_all_embedded(tmp_path: Path) -> None:
    file = tmp_path / "syncsvc.toml"
    file.write_text('[service]\nphoto_key = "env:PHOTO_KEY"\n')

    found = load(file, ENVIRON)

    assert found.state_dir == tmp_path / "var"
    assert found.database_url == f"sqlite+pysqlite:///{tmp_path}/var/syncsvc.db"
    assert found.embedded_redis
    assert found.redis_url == f"unix://{found.redis_socket}"
    assert found.broker_url == f"redis+socket://{found.redis_socket}"
    assert found.photo_keys == (b"k" * 32,)
    assert (found.worker.threads, found.worker.processes) == (32, 1)
    assert found.reconcile.at == dt.time(2, 30)


def test_servers_of_ones_own_are_chosen_by_their_urls_alone(tmp_path: Path) -> None:
    found = settings(
        tmp_path,
        database={"url": "env:DATABASE"},
        redis={"url": "redis://cache:6379/1"},
        broker={"url": "amqp://rabbit//"},
    )

    assert found.database_url == "postgresql+psycopg://user:hunter2-hunter2@db/faces"
    assert (found.redis_url, found.broker_url) == ("redis://cache:6379/1", "amqp://rabbit//")
    assert not found.embedded_redis


def test_a_redis_without_a_broker_is_the_broker_too(tmp_path: Path) -> None:
    assert settings(tmp_path, redis={"url": "redis://cache/0"}).broker_url == "redis://cache/0"


def test_a_socket_in_a_very_deep_folder_is_given_a_short_path(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 90)

    found = settings(tmp_path, service={"photo_key": "env:PHOTO_KEY", "state_dir": str(deep)})

    assert len(str(found.redis_socket)) < 104
    assert found.redis_socket.name == "redis.sock"


def test_every_mistake_is_reported_at_once_with_its_key(tmp_path: Path) -> None:
    found = mistakes(
        tmp_path,
        service={"photo_key": "env:PHOTO_KEY", "statedir": "x"},
        database={"url": "mysql://db"},
        reconcile={"at": "25:00", "time_zone": "Mars/Olympus", "max_removals_share": 3},
        token=[{"name": "ops", "role": "king", "secret": "hunter2-hunter2-hunter2"}],
        webhook=[{"name": "hr", "secrets": ["env:HOOK", "env:NOWHERE"]}],
        library=[LIBRARY, {**LIBRARY, "vendor": 7}, {"name": "No Spaces", "base_url": "ftp://x", "rate": "fast"}],
    )

    assert found == {
        "service.statedir": "no such key; did you mean state_dir?",
        "database.url": "must begin with postgresql://, postgresql+psycopg://, postgres://, sqlite://, "
        "sqlite+pysqlite://",
        "reconcile.at": 'must be a time of day like "02:30"',
        "reconcile.time_zone": 'is no known time zone; write one like "Asia/Shanghai"',
        "reconcile.max_removals_share": "must be a share from 0 to 1",
        "token[0].role": "must be reader, operator or scim",
        "token[0].secret": 'must be "env:NAME" or "file:/path"; a secret is never written into this file',
        "webhook[0].secrets[1]": "the environment variable NOWHERE is not set or empty; set it",
        "library[1].vendor": "must be a vendor's name in small letters",
        "library[2].name": "must be 1 to 40 of a-z, 0-9 and -",
        "library[2].vendor": "is missing; a vendor's name in small letters",
        "library[2].base_url": "must be an address like https://host:port",
        "library[2].policy": "is missing; observe, upsert-only or sync",
        "library[2].rate": 'must be like "20/s", "1000/m" or "10000/d"; several are separated by commas',
        "library[1].name": "is already library[0]'s; take another",
    }


def test_no_file_at_all_says_where_one_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(SettingsError, match="no such file; name one with --config or SYNCSVC_CONFIG"):
        load(None, {})


def test_the_environment_names_the_file_and_the_command_line_wins(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.toml").write_text(
            f'[service]\nphoto_key = "env:PHOTO_KEY"\nstate_dir = "{name}"\n',
        )
    environ = {**ENVIRON, "SYNCSVC_CONFIG": str(tmp_path / "one.toml")}

    assert load(None, environ).state_dir.name == "one"
    assert load(tmp_path / "two.toml", environ).state_dir.name == "two"


def test_broken_toml_says_where_and_quotes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "syncsvc.toml"
    file.write_text('[service]\nphoto_key = hunter2"\n')

    with pytest.raises(SettingsError, match=r"is not TOML: mend it at line 2") as caught:
        load(file, ENVIRON)

    assert "hunter2" not in str(caught.value)


def test_a_file_without_a_service_section_names_the_missing_key(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"service.photo_key: is missing; .*keygen"):
        read({}, ENVIRON, tmp_path)


@pytest.mark.parametrize("value", ["c2hvcnQ=", "not base64!", "file:nowhere"])
def test_a_key_that_is_not_32_bytes_is_a_mistake(tmp_path: Path, value: str) -> None:
    reference = value if value.startswith("file:") else "env:BAD"

    with pytest.raises(SettingsError) as caught:
        read({"service": {"photo_key": reference}}, {"BAD": value}, tmp_path)

    assert [key for key, _words in caught.value.mistakes] == ["service.photo_key"]


def test_the_first_of_several_photo_keys_is_the_current_one(tmp_path: Path) -> None:
    found = settings(tmp_path, service={"photo_key": ["env:PHOTO_KEY", "env:OLD_KEY"]})

    assert found.photo_keys == (b"k" * 32, b"o" * 32)


def test_a_secret_can_be_the_content_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY + "\n")

    assert settings(tmp_path, service={"photo_key": "file:key"}).photo_keys == (b"k" * 32,)


def test_no_secret_shows_in_a_repr_or_a_dump(tmp_path: Path) -> None:
    found = settings(
        tmp_path,
        database={"url": "env:DATABASE"},
        token=[{"name": "ops", "role": "operator", "secret": "env:TOKEN"}],
        webhook=[{"name": "hr", "secrets": ["env:HOOK"]}],
        **library(options={"password": "env:PASSWORD"}),
    )

    for shown in (repr(found), str(found), str(found.model_dump()), found.model_dump_json()):
        for secret in (*ENVIRON.values(), "hunter2", "k" * 32):
            assert secret not in shown


def test_a_password_in_a_url_of_the_file_is_refused(tmp_path: Path) -> None:
    found = mistakes(tmp_path, redis={"url": "redis://:hunter2@cache/0"})

    assert found == {"redis.url": 'holds a password; put the whole URL into the environment and write "env:NAME"'}


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:1",
        "http://127.0.0.1",
        "http://10.1.2.3",
        "http://[fd00::1]:80",
        "http://gate.local",
        "http://gate",
    ],
)
def test_plain_http_inside_is_allowed(tmp_path: Path, url: str) -> None:
    assert settings(tmp_path, **library(base_url=url + "/")).libraries[0].base_url == url


@pytest.mark.parametrize("url", ["http://8.8.8.8", "http://faces.example.com", "http://[2600::1]"])
def test_plain_http_to_a_public_address_is_refused_unless_allowed(tmp_path: Path, url: str) -> None:
    assert "use https" in mistakes(tmp_path, **library(base_url=url))["library[0].base_url"]
    assert settings(tmp_path, **library(base_url=url, allow_http=True)).libraries[0].base_url == url


def test_rates_are_read_into_permits_and_seconds(tmp_path: Path) -> None:
    found = settings(tmp_path, **library(rate="20/s, 1000/m,10000/d")).libraries[0].rate

    assert found == (Rate(20, 1.0), Rate(1000, 60.0), Rate(10000, 86400.0))


def test_settings_cannot_be_changed(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="frozen"):
        setattr(settings(tmp_path).worker, "threads", 4)  # noqa: B010 - the checker forbids it too


class CedarOptions(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    group: str
    access_key: str
    secret_key: SecretStr
    spare: SecretStr | None = None


def options(tmp_path: Path, **given: object) -> tuple[CedarOptions | None, list[tuple[str, str]]]:
    return own_options(CedarOptions, settings(tmp_path, **library(options=given)).libraries[0].options, "library[0]")


def test_a_vendors_options_arrive_as_its_own_type(tmp_path: Path) -> None:
    found, wrong = options(tmp_path, group="staff", access_key="env:TOKEN", secret_key="env:PASSWORD")

    assert not wrong
    assert found is not None
    assert (found.group, found.access_key) == ("staff", ENVIRON["TOKEN"])
    assert found.secret_key.get_secret_value() == ENVIRON["PASSWORD"]


def test_a_vendors_options_report_their_mistakes_under_the_librarys_key(tmp_path: Path) -> None:
    found, wrong = options(tmp_path, grup="staff", access_key="id", spare="hunter2")

    assert found is None
    assert dict(wrong) == {
        "library[0].options.spare": 'must be "env:NAME" or "file:/path"; a secret is never written into this file',
        "library[0].options.group": "is missing",
        "library[0].options.secret_key": "is missing",
        "library[0].options.grup": "no such key; did you mean group?",
    }


def test_a_reference_in_the_options_that_leads_nowhere_is_a_mistake(tmp_path: Path) -> None:
    found = mistakes(tmp_path, **library(options={"secret_key": "env:NOWHERE"}))

    assert found == {"library[0].options.secret_key": "the environment variable NOWHERE is not set or empty; set it"}


def test_a_source_has_one_retention_rule(tmp_path: Path) -> None:
    rule = {"source": "hr", "after_departure_days": 3}

    assert mistakes(tmp_path, retention=[rule, rule]) == {
        "retention[1].source": "is already retention[0]'s; take another"
    }
