"""What every command works with: the configuration, and the house where one is needed."""

import os
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast

import typer

from syncsvc.model.errors import SettingsError
from syncsvc.settings import Settings, find, load

if TYPE_CHECKING:
    from syncsvc.flow.house import House
    from syncsvc.store import Store
    from syncsvc.wiring import Service


@dataclass
class Desk:
    """One run of the command line."""

    config: Path | None

    @cached_property
    def file(self) -> Path:
        """The configuration file. Raises SettingsError where there is none."""
        return find(self.config, os.environ)

    @cached_property
    def settings(self) -> Settings:
        """Raises SettingsError with every mistake."""
        return load(self.file, os.environ)

    @cached_property
    def service(self) -> "Service":
        """Raises SettingsError with what only the vendors could see."""
        from syncsvc import wiring  # noqa: PLC0415 - half a second that `syncsvc --help` need not wait

        return wiring.open_service(self.settings)

    @property
    def house(self) -> "House":
        return self.service.house

    @property
    def store(self) -> "Store":
        return self.service.house.store

    @property
    def log_dir(self) -> Path | None:
        """Where logs go, None while there is no usable configuration."""
        with suppress(SettingsError):
            return self.settings.state_dir / "log"
        return None


def desk(context: typer.Context) -> Desk:
    return cast("Desk", context.obj)
