"""Lets people go whom a roster that names everybody does not name: all of them or nobody, and only past the guard."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from syncsvc.flow import guard
from syncsvc.flow.house import House
from syncsvc.flow.record import write_all
from syncsvc.model.changes import Departed, Told
from syncsvc.model.errors import UnsafePlanError
from syncsvc.model.guard import Limits, Removals, judge
from syncsvc.model.people import LibraryName, PersonId
from syncsvc.model.retention import ROSTER
from syncsvc.model.rosters import Counts
from syncsvc.store import Store, Transaction
from syncsvc.store.rosters import Import

AT_ONCE = 500
Reach = Callable[[Transaction, Counts], None]


@dataclass(frozen=True, slots=True)
class Absence:
    """That to be absent from a roster is to depart: within `limits`, or where just so many are `approved`.

    Absent is whom an earlier roster of the source named, and no other source's; `everybody`: whoever is with us.
    """

    limits: Limits
    approved: int | None = None
    everybody: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """How many people would go of those whom the roster named before, and how many from each library."""

    source: str
    people: int
    before: int
    libraries: dict[LibraryName, int]


@dataclass(frozen=True, slots=True)
class Leaving:
    """The departures at the end of an import; `reach` writes how far they are, in the transaction of each batch."""

    house: House
    held: Import
    absence: Absence
    reach: Reach

    def let_go(self, counts: Counts) -> Counts:
        """Let everybody go who is absent; the counts after that.

        Whoever dies in the middle goes on where they were: what was decided is not judged again. Raises
        UnsafePlanError; nobody has gone then.
        """
        store, departing = self.house.store, self.held.departing
        if departing is None:
            plan = plan_of(store, self.held.source, counts, self._pages())
            departing = plan.people
            if departing:
                store.patiently(lambda tx: self._decide(tx, plan))
        after = PersonId("")
        while counts.departed < departing:
            limit = min(AT_ONCE, departing - counts.departed)
            gone, counts = self._depart(counts, after, limit)
            if not gone:
                break  # somebody was told of again meanwhile
            after = gone[-1]
        return counts

    def _decide(self, tx: Transaction, plan: Plan) -> None:
        tx.rosters.hold_all()
        check(tx, plan, self.absence, self.house.clock())
        tx.rosters.decide(self.held, plan.people)

    def _depart(self, counts: Counts, after: PersonId, limit: int) -> tuple[list[PersonId], Counts]:
        held = self.held

        def write(tx: Transaction) -> tuple[list[PersonId], Counts]:
            gone = self._absent(tx, after, limit)
            source = told_by(held.source)  # who also answers for it: the guard was asked about all of them together
            names = tx.pseudonyms.of_all(gone)  # what is remembered of a telling may outlive the id
            told = [Told(source, f"{held.run}/{names[one]}", Departed(one), approved_by=source) for one in gone]
            write_all(tx, told, self.house.clock(), room=None, terms=self.house.terms)
            tx.roster_people.forget(held.source, gone)
            further = replace(counts, departed=counts.departed + len(gone))
            self.reach(tx, further)
            return gone, further

        return self.house.store.patiently(write)

    def _pages(self) -> Iterator[list[PersonId]]:
        page: list[PersonId] = [PersonId("")]
        while page:
            with self.house.store.reading() as tx:
                page = self._absent(tx, page[-1], AT_ONCE)
            yield page

    def _absent(self, tx: Transaction, after: PersonId, limit: int) -> list[PersonId]:
        held, everybody = self.held, self.absence.everybody
        return tx.roster_people.absent(
            held.source, held.run, since=held.started_at, after=after, limit=limit, everybody=everybody
        )


def plan_of(store: Store, source: str, counts: Counts, pages: Iterable[list[PersonId]]) -> Plan:
    """The plan to let all these go, counted page by page; `counts` is of those whom the roster names."""
    people = 0
    libraries: Counter[LibraryName] = Counter()
    for page in filter(None, pages):
        people += len(page)
        with store.reading() as tx:
            libraries.update(tx.removing.of(page))
    return Plan(source, people, counts.changed + counts.unchanged + people, dict(libraries))


def check(tx: Transaction, plan: Plan, absence: Absence, now: datetime) -> None:
    """Raises UnsafePlanError where too many would go, and says what to do. Nothing is written."""
    try:
        if absence.approved is None:
            promised = tx.rosters.promised(since=now - guard.WINDOW)
            guard.check(tx, plan.libraries, now, absence.limits, promised=promised)
            recent = tx.removing.told_by(told_by(plan.source), now - guard.WINDOW)
            judge({f"the roster {plan.source}": Removals(plan.people, recent, plan.before)}, absence.limits)
        elif absence.approved != plan.people:
            raise UnsafePlanError(f"{plan.people:,} people would go, and {absence.approved:,} were approved")  # noqa: TRY301
    except UnsafePlanError as error:
        words = f"nobody was removed: look at the file, and if it is right say --approve-removals {plan.people}"
        raise UnsafePlanError(f"{error}; {words}") from error


def told_by(source: str) -> str:
    """Who tells a roster's changes; no webhook's name holds a slash."""
    return f"{ROSTER}{source}"
