"""What the operator configured: frozen values from one TOML file and the environment."""

from syncsvc.settings.loading import find, load, read
from syncsvc.settings.mistakes import mistakes_of, secret_keys, vendor_options
from syncsvc.settings.schema import (
    BrokerSettings,
    DatabaseSettings,
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
    "DatabaseSettings",
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
    "read",
    "secret_keys",
    "vendor_options",
]
