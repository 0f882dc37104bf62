"""Finds a dialect's file by its name: there is no registry to forget."""

import importlib
import pkgutil
from typing import Any

from syncsvc.intake.dialects.base import Dialect

_FOLDER = "syncsvc.intake.dialects"
_SHARED = {"base", "loading", "words", "signed", "employees"}  # what dialects stand on


def dialect_names() -> tuple[str, ...]:
    """Every dialect that has a file, in alphabetical order."""
    package = importlib.import_module(_FOLDER)
    return tuple(sorted({module.name for module in pkgutil.iter_modules(package.__path__)} - _SHARED))


def dialect_class(name: str) -> type[Dialect[Any]]:
    """The file's `Speaker`. Raises KeyError for a dialect without a file."""
    if name not in dialect_names():
        raise KeyError(name)
    found: type[Dialect[Any]] = importlib.import_module(f"{_FOLDER}.{name}").Speaker
    return found
