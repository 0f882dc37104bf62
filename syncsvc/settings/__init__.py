"""What the operator configured: frozen values from one TOML file and the environment."""

from syncsvc.settings.loading import find, load, read
from syncsvc.settings.mistakes import mistakes_of, own_options, secret_keys
from syncsvc.settings.schema import (
    BrokerSettings,
    CallbackSettings,
    DatabaseSettings,
    IntakeSettings,
    LibrarySettings,
    ReconcileSettings,
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
    "IntakeSettings",
    "LibrarySettings",
    "ReconcileSettings",
    "RedisSettings",
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
