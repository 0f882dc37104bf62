"""What the operator configured: frozen values from one TOML file and the environment."""

from syncsvc.settings.loading import find, load, read
from syncsvc.settings.mistakes import mistakes_of, own_options, secret_keys
from syncsvc.settings.night import ErasureSettings, ReconcileSettings, RetentionSettings
from syncsvc.settings.schema import (
    BrokerSettings,
    CallbackSettings,
    DatabaseSettings,
    IntakeSettings,
    LibrarySettings,
    RedisSettings,
    ServiceSettings,
    Settings,
    TokenSettings,
    WebhookSettings,
    WorkerSettings,
)

__all__ = [
    "BrokerSettings",
    "CallbackSettings",
    "DatabaseSettings",
    "ErasureSettings",
    "IntakeSettings",
    "LibrarySettings",
    "ReconcileSettings",
    "RedisSettings",
    "RetentionSettings",
    "ServiceSettings",
    "Settings",
    "TokenSettings",
    "WebhookSettings",
    "WorkerSettings",
    "find",
    "load",
    "mistakes_of",
    "own_options",
    "read",
    "secret_keys",
]
