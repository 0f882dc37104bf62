"""Rehearses a roster's import: everything is read, checked and counted, and nothing is written."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime

from syncsvc.flow.absent import AT_ONCE, Absence, check, plan_of, told_by
from syncsvc.flow.compare_roster import count, known, verdict, without_repeats
from syncsvc.flow.house import House
from syncsvc.flow.import_roster import Imported, Witness, batches, unfit
from syncsvc.model.errors import UnsafePlanError
from syncsvc.model.people import PersonId, Photo
from syncsvc.model.rosters import BEGINNING, Counts, RosterFile
from syncsvc.store import Store
from syncsvc.store.roster_people import Scratch, scratch


def rehearse_roster(
    house: House,
    roster: RosterFile,
    source: str,
    witness: Witness,
    *,
    absence: Absence | None = None,
    look: Callable[[Photo], None],
) -> Imported:
    """What `import_roster` would do, from the file's beginning; `departed` counts who would depart.

    `look` is shown every photo that would be stored. Raises InputError as the import does.
    """
    counts, began = Counts(), house.clock()
    witness.begins(BEGINNING, counts)
    with scratch() as named:
        for batch in batches(roster.read()):
            known_ = known(house.store, batch, house.terms.rule(told_by(source)), began)
            verdicts = []
            for entry in batch:
                found = verdict(entry, known_)
                for photo in found.photos:
                    look(photo)
                verdicts.append(replace(found, change=None))  # its photos need not be kept
            taken = without_repeats(verdicts, named.mark([one.person for one in batch if one.person is not None]))
            for one in taken:
                count(counts, one.kind, one.bad)
            witness.skipped([line for one in taken for line in one.bad])
            witness.reached(batch[-1].after, counts)
        roster.check_same()
        refused = unfit(roster, counts) if absence is not None else None
        if absence is not None and refused is None:
            refused = _absent(house, source, counts, absence, _pages(house.store, source, absence, named, began))
    return Imported(counts, refused=refused)


def _absent(house: House, source: str, counts: Counts, absence: Absence, pages: Iterator[list[PersonId]]) -> str | None:
    """Count who would depart; returns why they would not."""
    plan = plan_of(house.store, source, counts, pages)
    if plan.people:
        try:
            with house.store.reading() as tx:
                check(tx, plan, absence, house.clock())
        except UnsafePlanError as error:
            return str(error)
    counts.departed = plan.people
    return None


def _pages(store: Store, source: str, absence: Absence, named: Scratch, began: datetime) -> Iterator[list[PersonId]]:
    """Whoever might be absent and is not named, some at a time."""
    page: list[PersonId] = [PersonId("")]
    while page:
        with store.reading() as tx:
            page = tx.roster_people.absent(
                source, None, since=began, after=page[-1], limit=AT_ONCE, everybody=absence.everybody
            )
        yield named.unnamed(page)
