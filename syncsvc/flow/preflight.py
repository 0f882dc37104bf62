"""What every configured library will say to a picture (first form; the photos' own engineer writes the whole)."""

from dataclasses import dataclass

from syncsvc.flow.house import House
from syncsvc.model.people import Feature, LibraryName, Photo


@dataclass(frozen=True, slots=True)
class Preflight:
    passes: tuple[LibraryName, ...]
    fails: tuple[tuple[LibraryName, str], ...]

    @property
    def words(self) -> str:
        return f"passes {len(self.passes)} of {len(self.passes) + len(self.fails)}"


def preflight(house: House, source: Photo | Feature) -> Preflight:
    return Preflight(tuple(house.shelves), ())
