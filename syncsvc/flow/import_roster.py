"""Imports a roster: people batch by batch, each with how far the file has been read, and at last who is absent."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Protocol

from syncsvc.flow import burst
from syncsvc.flow.absent import Absence, Leaving, told_by
from syncsvc.flow.compare_roster import Verdict, count, known, verdict, without_repeats
from syncsvc.flow.holder import is_dead
from syncsvc.flow.house import House
from syncsvc.flow.record import write_all
from syncsvc.model.changes import Told
from syncsvc.model.errors import InputError, UnsafePlanError
from syncsvc.model.people import FaceId, PersonId, Photo
from syncsvc.model.rosters import BadLine, Counts, Entry, Place, RosterFile
from syncsvc.store import Transaction
from syncsvc.store.changes import Entry as Pending
from syncsvc.store.engine import DatabaseUnavailableError
from syncsvc.store.rosters import Import

PEOPLE_AT_ONCE = 1000
BYTES_AT_ONCE = 16 * 1024 * 1024  # of photos that are in memory at the same time
FORGOTTEN_AFTER = timedelta(hours=12)  # what was told longer ago may have been overtaken: the file is read anew
HELD_FOR = timedelta(minutes=5)  # how long a process of another machine is believed to be at it without a word


@dataclass(frozen=True, slots=True)
class Imported:
    """How an import ended. `went_on_after` is the line up to which an earlier run had come, 0 for none; `before` is
    when this very file was imported already; `refused` why absent people stay."""

    counts: Counts
    went_on_after: int = 0
    before: datetime | None = None
    refused: str | None = None


class Witness(Protocol):
    """Sees an import from outside."""

    def begins(self, place: Place, counts: Counts) -> None:
        """Reading begins at `place`; what was counted before it."""
        ...

    def skipped(self, lines: Sequence[BadLine]) -> None:
        """Told before it is certain, so that nothing is lost; the same lines may be told again."""
        ...

    def reached(self, place: Place, counts: Counts) -> None:
        """Everything up to `place` is recorded."""
        ...


def import_roster(
    house: House,
    roster: RosterFile,
    source: str,
    witness: Witness,
    *,
    absence: Absence | None = None,
    restart: bool = False,
) -> Imported:
    """Record everybody whom the roster names and who is not so already; with `absence`, the others depart.

    A batch and how far the file has come are one transaction: whoever dies in between loses the batch in hand,
    and the same call goes on behind the one before, unless that was half a day ago or the file is another. A file that
    was imported to its end is compared anew. No bell is rung: the sweep finds what is due.

    Raises InputError where the file cannot be read on, was written to meanwhile, or another process imports a
    roster of this source.
    """
    held, before = _begin(house, roster, source, absence, restart=restart)
    importing = _Importing(house, held, witness, held.place, Counts(**held.counts))
    try:
        witness.begins(held.place, importing.counts)
        for batch in batches(roster.read(held.place)):
            importing.record(batch)
        roster.check_same()
        importing.end(roster)
        refused = importing.finish(roster, absence)
    finally:
        with suppress(DatabaseUnavailableError), house.store.transaction() as tx:
            tx.rosters.let_go_of(held)
    return Imported(importing.counts, held.place.line, before, refused)


def batches(entries: Iterator[Entry]) -> Iterator[list[Entry]]:
    while batch := list(islice(entries, PEOPLE_AT_ONCE)):
        yield batch


def unfit(roster: RosterFile, counts: Counts) -> str | None:
    """Why nobody can be absent from what was read; None where somebody can."""
    if counts.bad_lines:
        return f"bad lines: {counts.bad_lines:,}, and whoever stands there is not absent"
    if not counts.named:
        return "the roster names nobody"
    if not roster.ended:
        return "the last line has no end, so that more may be missing; let the file end with a line break"
    return None


def _begin(
    house: House, roster: RosterFile, source: str, absence: Absence | None, *, restart: bool
) -> tuple[Import, datetime | None]:
    """The import to work on, ours from now on; and when the same file was imported before."""
    now = house.clock()
    scope = "everybody" if absence is not None and absence.everybody else "source"
    fingerprint = hashlib.sha256(f"{roster.fingerprint} {scope}".encode()).hexdigest()
    with house.store.transaction() as tx:
        last = tx.rosters.lock(source, now)
        if last.holder is not None and not is_dead(last.holder) and now - last.reached_at < HELD_FOR:
            raise InputError(
                f"a roster of the source {source!r} is being imported already, since {last.started_at:%H:%M} UTC and "
                f"up to line {last.place.line:,}; wait for it, or give this one another --source"
            )
        same = last.fingerprint == fingerprint
        if same and last.finished_at is None and not restart and now - last.reached_at < FORGOTTEN_AFTER:
            return tx.rosters.go_on(source, holder=house.holder, now=now), None
        begun = tx.rosters.begin(source, fingerprint, holder=house.holder, now=now)
        return begun, last.finished_at if same else None


@dataclass(slots=True)
class _Importing:
    """An import under way; `place` is how far it has come."""

    house: House
    held: Import
    witness: Witness
    place: Place
    counts: Counts

    def record(self, batch: Sequence[Entry]) -> None:
        """Compare a batch with what we know, and write down what is new. Photos are read before, not meanwhile."""
        rule = self.house.terms.rule(told_by(self.held.source))
        known_ = known(self.house.store, batch, rule, self.house.clock())
        pending: list[Verdict] = []
        size = 0
        for entry in batch:
            found = verdict(entry, known_)
            pending.append(found)
            size += sum(len(photo.content) for photo in found.photos)
            if size > BYTES_AT_ONCE or entry is batch[-1]:
                self._write(pending)
                pending, size = [], 0

    def end(self, roster: RosterFile) -> None:
        """Everything was read."""
        self.place = replace(self.place, offset=roster.size)
        self.house.store.patiently(lambda tx: self._reach(tx, self.counts))
        self.witness.reached(self.place, self.counts)

    def finish(self, roster: RosterFile, absence: Absence | None) -> str | None:
        """With `absence`, let people go; returns why nobody goes, where nobody does.

        Where the guard keeps them the import stays open, and the same call asks the guard again.
        """
        refused = unfit(roster, self.counts) if absence is not None else None
        if absence is not None and refused is None:
            try:
                self.counts = Leaving(self.house, self.held, absence, self._reach).let_go(self.counts)
            except UnsafePlanError as error:
                return str(error)
        self.house.store.patiently(lambda tx: self._close(tx, whole=absence is not None and refused is None))
        return refused

    def _close(self, tx: Transaction, *, whole: bool) -> None:
        tx.rosters.finish(self.held, self.house.clock(), whole=whole)
        if whole:
            tx.roster_people.forget_departed(self.held.source, self.held.run)

    def _write(self, verdicts: Sequence[Verdict]) -> None:
        self.place = verdicts[-1].entry.after
        self.counts = self.house.store.patiently(lambda tx: self._write_in(tx, verdicts))
        self.witness.reached(self.place, self.counts)

    def _write_in(self, tx: Transaction, verdicts: Sequence[Verdict]) -> Counts:
        counts, held = replace(self.counts), self.held
        people = [one.entry.person for one in verdicts if one.entry.person is not None]
        first = tx.roster_people.mark(held.source, held.run, people)
        taken = self._without_gone(tx, without_repeats(verdicts, first))
        told = [
            Told(told_by(held.source), f"{held.run}:{one.entry.line}", one.change)
            for one in taken
            if one.change is not None
        ]
        effects = iter(write_all(tx, told, self.house.clock(), room=None, terms=self.house.terms) if told else ())
        for one in taken:
            same = one.change is not None and next(effects).effect == "unchanged"
            count(counts, "unchanged" if same else one.kind, one.bad)
        tx.roster_people.note_origins(_read_again(taken))
        if bad := [line for one in taken for line in one.bad]:
            self.witness.skipped(bad)
        self._reach(tx, counts)
        return counts

    def _without_gone(self, tx: Transaction, verdicts: Sequence[Verdict]) -> list[Verdict]:
        """Nobody comes back who departed after the import began: that is newer than the file. So it is with departures
        that are held back; older ones are off, as the file says that the person is there."""
        now, began = self.house.clock(), self.held.started_at
        told = {one.change.person for one in verdicts if one.change is not None and one.kind != "new"}
        leaving = self._leaving(tx, verdicts, now)
        known_ = tx.people.lock_all(told | leaving.keys(), now) if told or leaving else {}
        gone = {person for person, one in known_.items() if one.departed_at is not None and one.departed_at > began}
        gone |= {person for person, theirs in leaving.items() if any(one.received_at > began for one in theirs)}
        off = {person: theirs for person, theirs in leaving.items() if person not in gone | told}
        tx.changes.cancel(ids := [one.id for theirs in off.values() for one in theirs])
        tx.people.set_leaving(off, None)
        tx.watches.watch(ids, now)
        return [Verdict(one.entry, "unchanged") if one.entry.person in gone else one for one in verdicts]

    def _leaving(self, tx: Transaction, verdicts: Sequence[Verdict], now: datetime) -> dict[PersonId, list[Pending]]:
        """Departures, of those whom the file names, that would have happened had nobody held them back."""
        terms = self.house.terms
        if not terms.rule(told_by(self.held.source)).after_departure and not tx.changes.any_held():
            return {}
        named = {one.entry.person for one in verdicts if one.entry.person is not None and one.kind != "skipped"}
        found = {
            person: [one for one in theirs if burst.recalled(one, terms, now, new_expiry=False)]
            for person, theirs in tx.changes.pending_of(named).items()
        }
        return {person: theirs for person, theirs in found.items() if theirs}

    def _reach(self, tx: Transaction, counts: Counts) -> None:
        if not tx.rosters.reach(self.held, self.place, asdict(counts), self.house.clock()):
            raise InputError(f"another process has gone on with this import of {self.held.source!r}; this one stops")


def _read_again(verdicts: Sequence[Verdict]) -> list[tuple[PersonId, FaceId, Photo]]:
    """Photos that had to be read, so that they need not be read again where they turned out to be the same."""
    changes = (one.change for one in verdicts if one.change is not None)
    return [
        (change.person, face, photo)
        for change in changes
        for face, photo in change.faces or ()
        if isinstance(photo, Photo) and photo.origin is not None
    ]
