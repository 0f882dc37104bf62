"""Finds a vendor's file by its name: there is no registry to forget."""

import importlib
import pkgutil
from typing import Any

from syncsvc.library.base import FaceLibrary

_NEIGHBOURS = "syncsvc.vendors"


def vendor_names() -> tuple[str, ...]:
    """Every vendor that has a file, in alphabetical order."""
    package = importlib.import_module(_NEIGHBOURS)
    return tuple(sorted(module.name for module in pkgutil.iter_modules(package.__path__)))


def library_class(vendor: str) -> type[FaceLibrary[Any]]:
    """The vendor's `Library`. Raises KeyError for a vendor without a file."""
    if vendor not in vendor_names():
        raise KeyError(vendor)
    found: type[FaceLibrary[Any]] = importlib.import_module(f"{_NEIGHBOURS}.{vendor}").Library
    return found
