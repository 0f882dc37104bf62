"""Plants a defect: the module it is in is compiled from a changed source, in this process and its children."""

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import CodeType, ModuleType

from tests.planted.defect import Defect, chosen_defect


def plant() -> None:
    """Change what the chosen defect's module will be, when somebody imports it; without one, nothing."""
    defect = chosen_defect()
    if defect is not None:
        sys.meta_path.insert(0, _Finder(defect))


def spoil(source: str, defect: Defect) -> str:
    """The module's source with the defect in it. ValueError where what is to be spoilt is not there just once."""
    count = source.count(defect.right)
    if count != 1:
        raise ValueError(f"{defect.name!r}: {defect.right!r} stands {count} times in {defect.module}")
    return source.replace(defect.right, defect.wrong)


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, defect: Defect) -> None:
        self._defect = defect

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self._defect.module:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        assert spec is not None
        assert spec.origin is not None
        spec.loader = _Loader(self._defect, spec.origin)
        return spec


class _Loader(SourceFileLoader):
    def __init__(self, defect: Defect, origin: str) -> None:
        super().__init__(defect.module, origin)
        self._defect = defect

    def get_code(self, fullname: str) -> CodeType:
        source = spoil(self.get_data(self.path).decode(), self._defect)
        return compile(source, self.path, "exec", dont_inherit=True)
