"""Puts two libraries side by side, person by person: whether the new one can take the old one's place."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from syncsvc.flow.house import House
from syncsvc.model.errors import InputError
from syncsvc.model.people import LibraryName, PersonId
from syncsvc.store.migrating import Standing

AT_ONCE = 500  # people read at a time; memory does not grow with the libraries

Where = Literal["both", "only_old", "only_new", "neither", "leaving"]


@dataclass(frozen=True, slots=True)
class Beside:
    """One person in two libraries.

    `where` they are held; `leaving`: they should be in neither, and one has them still. `lacking`: the old one has
    them, and the new one has no face of them. `refused`: the new one would not take a face; `reason` and `detail` say
    why. `open`: a delivery to the new one is still owed.
    """

    person: PersonId
    where: Where
    lacking: bool
    refused: bool
    open: bool
    reason: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Age:
    """How well it is known what a library holds: faces, those of them never seen there, and the oldest sight."""

    faces: int = 0
    unverified: int = 0
    verified_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Totals:
    """How many people: `wanted` should have a face, and `neither` of the two libraries has one of them."""

    old: LibraryName
    new: LibraryName
    wanted: int = 0
    both: int = 0
    only_old: int = 0
    only_new: int = 0
    neither: int = 0
    leaving: int = 0
    refused: int = 0
    open: int = 0
    lacking: int = 0
    old_age: Age = field(default_factory=Age)
    new_age: Age = field(default_factory=Age)


@dataclass(slots=True)
class Comparison:
    """Goes through everybody once; `totals` grows meanwhile, and is whole at the end."""

    house: House
    totals: Totals

    def people(self) -> Iterator[Beside]:
        """Everybody of whom either library was told or has something, by their ids; each page read by itself."""
        old, new = self.totals.old, self.totals.new
        page = [PersonId("")]
        while page:
            with self.house.store.reading() as tx:
                page = tx.migrating.page((old, new), after=page[-1], limit=AT_ONCE)
                wanted = tx.migrating.wanted(page)
                before, after = tx.migrating.standing(old, page), tx.migrating.standing(new, page)
            for person in page:
                beside = _beside(person, before[person], after[person], wanted=person in wanted)
                self.totals = _counted(self.totals, beside, before[person], after[person], wanted=person in wanted)
                if beside is not None:
                    yield beside

    def all(self) -> Totals:
        """Go through everybody, and only count."""
        for _ in self.people():
            pass
        return self.totals


def compare(house: House, old: LibraryName, new: LibraryName) -> Comparison:
    """What the database knows of two libraries; nobody is asked, and nothing is written.

    Raises NotFoundError for a library that is not configured, InputError where both are the same.
    """
    if house.shelf(old).name == house.shelf(new).name:
        raise InputError(f"{old} cannot be compared with itself; name the library that is to take its place")
    return Comparison(house, Totals(old, new))


def _beside(person: PersonId, old: Standing, new: Standing, *, wanted: bool) -> Beside | None:
    """None: nobody wants this person anywhere, and they are nowhere."""
    where: Where
    if not wanted:
        if not old.held and not new.held:
            return None
        where = "leaving"
    elif old.held and new.held:
        where = "both"
    elif old.held:
        where = "only_old"
    else:
        where = "only_new" if new.held else "neither"
    refused = wanted and new.state == "refused"
    return Beside(
        person=person,
        where=where,
        lacking=where == "only_old",
        refused=refused,
        open=new.state in {"due", "doubtful", "exhausted"},
        reason=new.reason if refused else None,
        detail=new.detail if refused else None,
    )


def _counted(totals: Totals, beside: Beside | None, old: Standing, new: Standing, *, wanted: bool) -> Totals:
    totals = replace(
        totals, wanted=totals.wanted + wanted, old_age=_aged(totals.old_age, old), new_age=_aged(totals.new_age, new)
    )
    if beside is None:
        return totals
    one_more = {beside.where: getattr(totals, beside.where) + 1}
    return replace(
        totals,
        refused=totals.refused + beside.refused,
        open=totals.open + beside.open,
        lacking=totals.lacking + beside.lacking,
        **one_more,
    )


def _aged(age: Age, standing: Standing) -> Age:
    seen = [one for one in (age.verified_at, standing.verified_at) if one is not None]
    return Age(age.faces + standing.held, age.unverified + standing.unverified, min(seen, default=None))
