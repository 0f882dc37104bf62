"""The configuration's shape: every section, every key, and what would be right for it."""

import hashlib
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import (
    BeforeValidator,
    Field,
    SecretBytes,
    SecretStr,
    ValidationInfo,
    field_validator,
)

from syncsvc.model.permits import Rate
from syncsvc.model.situations import ALLOWED, OWNED, SAFE, Reaction, Reactions, Situation
from syncsvc.settings import addresses, references
from syncsvc.settings.night import ErasureSettings, ReconcileSettings, RetentionSettings
from syncsvc.settings.section import Name, Section

_PERIODS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_RATE = re.compile(r"([1-9][0-9]{0,8})/([smhd])")
_SOCKET_PATH = 100  # bytes; the system's limit for a socket's path is 108 on Linux, 104 on macOS
_TOKEN_LENGTH = 16
_HOST = re.compile(r"[A-Za-z0-9_.-]{1,253}|\[?[0-9A-Fa-f:.]{2,45}\]?")
STANDARD = "standard"

Secret = Annotated[SecretStr, BeforeValidator(references.secret)]
Plain = BeforeValidator(references.plain_if_reference)


class ServiceSettings(Section):
    state_dir: Path = Field(
        default=Path("var"), validate_default=True, description="a folder, relative to the configuration file"
    )
    allow_http: bool = Field(default=False, description="true or false")
    public_url: Annotated[str, Plain] | None = Field(
        default=None, description="the https address under which vendors reach this service"
    )
    photo_keys: Annotated[tuple[SecretBytes, ...], BeforeValidator(references.keys)] = Field(
        alias="photo_key", description='"env:NAME" of base64 of 32 bytes; `syncsvc keygen` prints one'
    )
    receipt_key: Annotated[SecretBytes, BeforeValidator(references.key)] | None = Field(
        default=None, description='"env:NAME" of base64 of 32 bytes; `syncsvc keygen` prints one'
    )

    @field_validator("state_dir")
    @classmethod
    def _absolute(cls, value: Path, info: ValidationInfo) -> Path:
        return (references.surroundings(info).folder / value).resolve()

    @field_validator("public_url")
    @classmethod
    def _tls(cls, value: str | None, info: ValidationInfo) -> str | None:
        return value and addresses.http_url(value, allow_http=info.data.get("allow_http", True))


def _server(schemes: tuple[str, ...]) -> BeforeValidator:
    def check(value: Any, info: ValidationInfo) -> SecretStr:
        literal = not references.is_reference(value)
        if not isinstance(value, str):
            raise ValueError('must be a URL, or "env:NAME" of one')  # noqa: TRY004 - pydantic collects ValueErrors
        url = value if literal else references.resolve(value, info)
        return SecretStr(addresses.server_url(url, schemes, literal=literal))

    return BeforeValidator(check)


class DatabaseSettings(Section):
    url: Annotated[SecretStr, _server(addresses.DATABASES)] | None = Field(
        default=None, description='postgresql+psycopg://..., or "env:NAME" of it'
    )


class RedisSettings(Section):
    url: Annotated[SecretStr, _server(addresses.REDISES)] | None = Field(
        default=None, description='redis://..., or "env:NAME" of it'
    )


class BrokerSettings(Section):
    url: Annotated[SecretStr, _server(addresses.BROKERS)] | None = Field(
        default=None, description='amqp://... or redis://..., or "env:NAME" of it'
    )


class WorkerSettings(Section):
    threads: int = Field(default=32, ge=1, le=1000, description="1 to 1000: errands under way at once in one process")
    processes: int = Field(default=1, ge=1, le=64, description="1 to 64: worker processes that `syncsvc up` starts")


class TokenSettings(Section):
    name: Name
    role: Literal["reader", "operator", "scim"] = Field(description="reader, operator or scim")
    secret: Secret = Field(description='"env:NAME" or "file:/path"')

    @field_validator("secret")
    @classmethod
    def _long(cls, value: SecretStr) -> SecretStr:
        if len(value.get_secret_value()) < _TOKEN_LENGTH:
            raise ValueError(f"leads to fewer than {_TOKEN_LENGTH} characters; take a longer, random one")
        return value


class WebhookSettings(Section):
    """One sender of HR events. `dialect` is how they speak: a file of `intake.dialects`, with options of its own."""

    name: Name
    dialect: str = Field(
        default="standard", pattern=r"^[a-z][a-z0-9_]{0,39}$", description="a dialect's name in small letters"
    )
    secrets: tuple[Annotated[SecretStr, BeforeValidator(references.webhook_secret)], ...] = Field(
        default=(), validate_default=True, description='a list of "env:NAME" or "file:/path"; several while rotating'
    )
    options: Mapping[str, Annotated[Any, BeforeValidator(references.secret_if_reference)]] = Field(
        default_factory=dict, description="a table of the dialect's own keys"
    )

    @field_validator("secrets")
    @classmethod
    def _where_they_count(cls, value: tuple[SecretStr, ...], info: ValidationInfo) -> tuple[SecretStr, ...]:
        standard = info.data.get("dialect", STANDARD) == STANDARD
        if standard and not value:
            raise ValueError('is missing; a list of "env:NAME" or "file:/path"; several while rotating')
        if value and not standard:
            raise ValueError("are the standard dialect's; this dialect's own secrets stand in its options")
        return value


class CallbackSettings(Section):
    """Where we tell what became of changes: outgoing Standard Webhooks."""

    name: Name
    allow_http: bool = Field(default=False, description="true or false")
    url: Annotated[str, Plain] = Field(description="the https address that takes our messages")
    secret: Annotated[SecretStr, BeforeValidator(references.webhook_secret)] = Field(
        description='"env:NAME" or "file:/path" of a Standard Webhooks secret'
    )

    @field_validator("url")
    @classmethod
    def _tls(cls, value: str, info: ValidationInfo) -> str:
        return addresses.http_url(value, allow_http=info.data.get("allow_http", True))


class IntakeSettings(Section):
    """What the door takes in. `photo_hosts` may be fetched from although their addresses are private."""

    photo_hosts: tuple[str, ...] = Field(default=(), description='a list of host names like "photos.corp.internal"')
    max_body: int = Field(
        default=32 * 1024 * 1024, ge=64 * 1024, le=256 * 1024 * 1024, description="bytes of one request, 65536 or more"
    )

    @field_validator("photo_hosts")
    @classmethod
    def _hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [host for host in value if not _HOST.fullmatch(host)]:
            raise ValueError(f"{wrong[0]!r} is no host name; write it without https:// and without a path")
        return tuple(host.lower() for host in value)


def _rates(value: object) -> tuple[Rate, ...]:
    parts = value.split(",") if isinstance(value, str) else [""]
    found = [_RATE.fullmatch(part.strip()) for part in parts]
    if not all(found):
        raise ValueError('must be like "20/s", "1000/m" or "10000/d"; several are separated by commas')
    return tuple(Rate(int(one[1]), _PERIODS[one[2]]) for one in found if one)


def _reactions(value: object) -> Reactions:
    if not isinstance(value, Mapping):
        raise ValueError('must be a table like foreign = "report"')  # noqa: TRY004 - pydantic collects ValueErrors
    found: dict[Situation, Reaction] = {}
    for situation, reaction in value.items():
        if situation not in ALLOWED:
            raise ValueError(f"{situation!r} is no situation; known are {', '.join(ALLOWED)}")
        if reaction not in (allowed := ALLOWED[Situation(situation)]):
            raise ValueError(f"{situation} can be {', '.join(sorted(allowed))}, not {reaction!r}")
        found[Situation(situation)] = Reaction(reaction)
    return found


class LibrarySettings(Section):
    name: Name
    vendor: str = Field(pattern=r"^[a-z][a-z0-9_]{0,39}$", description="a vendor's name in small letters")
    allow_http: bool = Field(default=False, description="true or false")
    base_url: Annotated[str, Plain] = Field(description="the library's address, like https://host:port")
    policy: Literal["observe", "upsert-only", "sync"] = Field(description="observe, upsert-only or sync")
    owned: bool = Field(default=False, description="true or false")
    rate: Annotated[tuple[Rate, ...], BeforeValidator(_rates)] | None = Field(
        default=None, description='like "20/s" or "20/s, 10000/d"'
    )
    concurrency: int | None = Field(default=None, ge=1, le=1000, description="1 to 1000: calls under way at once")
    timeout: float = Field(
        default=10.0, gt=0, le=30, description="seconds for one call, at most 30: an errand's lease is 45"
    )
    reactions: Annotated[Reactions, BeforeValidator(_reactions)] = Field(
        default_factory=dict, description='a table like foreign = "report": situations, and what is done about each'
    )
    options: Mapping[str, Annotated[Any, BeforeValidator(references.secret_if_reference)]] = Field(
        default_factory=dict, description="a table of the vendor's own keys"
    )

    @field_validator("reactions")
    @classmethod
    def _ours_alone(cls, value: Reactions, info: ValidationInfo) -> Reactions:
        if value.get(Situation.FOREIGN) is Reaction.REPAIR and not info.data.get("owned", True):
            raise ValueError('foreign = "repair" removes what we never put there; it needs owned = true')
        return value

    @property
    def all_reactions(self) -> Reactions:
        """What is done in this library about each situation."""
        return {**(OWNED if self.owned else SAFE), **self.reactions}

    @field_validator("base_url")
    @classmethod
    def _tls(cls, value: str, info: ValidationInfo) -> str:
        return addresses.http_url(value, allow_http=info.data.get("allow_http", True))


class Settings(Section):
    """Everything that is configured. What is embedded has its address here too, under `state_dir`."""

    service: ServiceSettings = Field(description="a [service] section")
    database: DatabaseSettings = Field(default=DatabaseSettings(), description="a [database] section")
    redis: RedisSettings = Field(default=RedisSettings(), description="a [redis] section")
    broker: BrokerSettings = Field(default=BrokerSettings(), description="a [broker] section")
    worker: WorkerSettings = Field(default=WorkerSettings(), description="a [worker] section")
    reconcile: ReconcileSettings = Field(default=ReconcileSettings(), description="a [reconcile] section")
    erasure: ErasureSettings = Field(default=ErasureSettings(), description="an [erasure] section")
    retention: tuple[RetentionSettings, ...] = Field(default=(), description="[[retention]] sections")
    tokens: tuple[TokenSettings, ...] = Field(default=(), alias="token", description="[[token]] sections")
    webhooks: tuple[WebhookSettings, ...] = Field(default=(), alias="webhook", description="[[webhook]] sections")
    callbacks: tuple[CallbackSettings, ...] = Field(default=(), alias="callback", description="[[callback]] sections")
    intake: IntakeSettings = Field(default=IntakeSettings(), description="an [intake] section")
    libraries: tuple[LibrarySettings, ...] = Field(default=(), alias="library", description="[[library]] sections")

    @property
    def state_dir(self) -> Path:
        return self.service.state_dir

    @property
    def photo_keys(self) -> tuple[bytes, ...]:
        return tuple(one.get_secret_value() for one in self.service.photo_keys)

    @property
    def database_url(self) -> str:
        """May hold a password; never for logs."""
        if self.database.url is None:
            return f"sqlite+pysqlite:///{self.state_dir / 'syncsvc.db'}"
        return re.sub(r"\Apostgres(ql)?://", "postgresql+psycopg://", self.database.url.get_secret_value())

    @property
    def embedded_redis(self) -> bool:
        return self.redis.url is None

    @property
    def redis_socket(self) -> Path:
        """Where the embedded Redis listens: under `state_dir`, or in a private folder where that path is too long."""
        socket = self.state_dir / "redis" / "redis.sock"
        if len(str(socket).encode()) <= _SOCKET_PATH:
            return socket
        tag = hashlib.sha256(str(socket).encode()).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"syncsvc-{tag}" / "redis.sock"

    @property
    def redis_url(self) -> str:
        """As redis-py takes it; may hold a password."""
        return f"unix://{self.redis_socket}" if self.redis.url is None else self.redis.url.get_secret_value()

    @property
    def broker_url(self) -> str:
        """As Celery takes it; may hold a password."""
        url = self.redis_url if self.broker.url is None else self.broker.url.get_secret_value()
        return re.sub(r"\Aunix://", "redis+socket://", url)

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.reconcile.time_zone)
