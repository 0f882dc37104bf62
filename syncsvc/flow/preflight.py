"""What every library will say to a picture, before it is taken in."""

from dataclasses import dataclass

from syncsvc.flow.house import House
from syncsvc.library.base import Capabilities
from syncsvc.library.fitting import misfit
from syncsvc.model.people import Feature, LibraryName, Photo, Source


@dataclass(frozen=True, slots=True)
class Preflight:
    """Which libraries take a picture by what their vendors document; `fails` says what the others need instead."""

    passes: tuple[LibraryName, ...]
    fails: tuple[tuple[LibraryName, str], ...]

    @property
    def words(self) -> str:
        """For people, like "passes 3 of 4: huawei-hq needs at most 6 MB"."""
        told = f"passes {len(self.passes)} of {len(self.passes) + len(self.fails)}"
        reasons = "; ".join(f"{library} {need}" for library, need in self.fails)
        return f"{told}: {reasons}" if reasons else told


def preflight(house: House, source: Source) -> Preflight:
    """The answer of every configured library that is sent anything: `observe` is not asked.

    What sending mends (kind, sides, bytes) passes. Makes no call; a photo is decoded only where numbers do not tell.
    """
    answers = {
        shelf.name: _need(shelf.library.capabilities, source)
        for shelf in house.shelves.values()
        if shelf.policy != "observe"
    }
    passes = tuple(library for library, need in answers.items() if need is None)
    return Preflight(passes, tuple((library, need) for library, need in answers.items() if need is not None))


def _need(caps: Capabilities, source: Source) -> str | None:
    match source:
        case Photo():
            wrong = misfit(source, caps.photo)
            return None if wrong is None else wrong.need
        case Feature():
            return None if caps.takes_features else "takes photos, not features"
