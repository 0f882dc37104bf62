"""What a planted defect is, and where all of them are found."""

import importlib
import os
import pkgutil
from dataclasses import dataclass

VARIABLE = "SYNCSVC_PLANT"


@dataclass(frozen=True, slots=True)
class Defect:
    """One wrong piece of code: in `module`, `right` (which stands there exactly once) becomes `wrong`.

    `caught_by` are the pytest arguments of the tests that must fail then: files, or `file::Class::test`.
    """

    name: str
    module: str
    right: str
    wrong: str
    caught_by: tuple[str, ...]


def all_defects() -> tuple[Defect, ...]:
    """Every `DEFECTS` in the files beside this one."""
    package = importlib.import_module("tests.planted")
    found: list[Defect] = []
    for one in pkgutil.iter_modules(package.__path__):
        if one.name.startswith("test_") or one.name == "__main__":
            continue
        found += getattr(importlib.import_module(f"tests.planted.{one.name}"), "DEFECTS", ())
    return tuple(found)


def chosen_defect() -> Defect | None:
    """The one that this process shall run with, named by the environment."""
    name = os.environ.get(VARIABLE)
    if not name:
        return None
    return next(one for one in all_defects() if one.name == name)
