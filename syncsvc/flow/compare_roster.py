"""What a roster's people mean for those we know: who is new, who changed, and who need not be touched."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from syncsvc.model.changes import Upserted
from syncsvc.model.errors import InputError
from syncsvc.model.people import Digest, FaceId, PersonId, Photo
from syncsvc.model.retention import Rule
from syncsvc.model.rosters import BadLine, Counts, Entry
from syncsvc.store import Store
from syncsvc.store.roster_people import Standing

Kind = Literal["new", "changed", "back", "unchanged", "skipped"]

_TWICE = "this person stands further up already; put a person's lines next to each other"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`change` is what is to be told, None where nothing is; `bad` says why somebody is skipped."""

    entry: Entry
    kind: Kind
    change: Upserted | None = None
    bad: tuple[BadLine, ...] = ()

    @property
    def photos(self) -> tuple[Photo, ...]:
        """Those that had to be read."""
        faces = self.change.faces if self.change is not None else None
        if not faces:
            return ()
        return tuple(source for _, source in faces if isinstance(source, Photo))


@dataclass(frozen=True, slots=True)
class Known:
    """How a batch's people stand, and what their faces were made from; how long the roster's people stay by `rule`,
    and when that was asked."""

    standing: Mapping[PersonId, Standing]
    origins: Mapping[PersonId, Mapping[FaceId, Digest]]
    rule: Rule
    now: datetime


def known(store: Store, entries: Sequence[Entry], rule: Rule, now: datetime) -> Known:
    people = [entry.person for entry in entries if entry.person is not None]
    with_faces = [entry.person for entry in entries if entry.person is not None and entry.faces is not None]
    with store.reading() as tx:
        origins = tx.people.origins(with_faces) if with_faces else {}
        return Known(tx.roster_people.standing(people), origins, rule, now)


def verdict(entry: Entry, known: Known) -> Verdict:
    """A photo is read only where it is not the one that we have."""
    person = entry.person
    if entry.bad or person is None:
        return Verdict(entry, "skipped", bad=entry.bad)
    stands = known.standing.get(person)
    until = known.rule.expiry(entry.until)
    here = stands is not None and stands.here
    if not here and until is not None and until.moment is not None and until.moment <= known.now:
        return Verdict(entry, "unchanged")  # their time is over: the file may name them for years
    if stands is not None and here and _same_faces(entry, stands, known.origins.get(person, {})):
        same_end = until is None or until.moment == stands.expires_at
        if same_end and (entry.name is None or entry.name == stands.name):
            return Verdict(entry, "unchanged")
        return Verdict(entry, "changed", Upserted(person, None, entry.name, entry.until))
    opened = entry.opened()
    if isinstance(opened, tuple):
        return Verdict(entry, "skipped", bad=opened)
    if stands is None or not (stands.here or stands.departed):
        return Verdict(entry, "new", opened)
    return Verdict(entry, "changed" if stands.here else "back", opened)


def count(counts: Counts, kind: Kind, bad: Sequence[BadLine] = ()) -> None:
    setattr(counts, kind, getattr(counts, kind) + 1)
    counts.bad_lines += len(bad)


def without_repeats(verdicts: Sequence[Verdict], first: set[PersonId]) -> list[Verdict]:
    """Whoever stands there for the second time is skipped; `first` is who was not named before."""
    left = set(first)
    taken = []
    for one in verdicts:
        person = one.entry.person
        if person is None or person in left:
            left.discard(person)
            taken.append(one)
        else:
            taken.append(Verdict(one.entry, "skipped", bad=(BadLine(one.entry.line, _TWICE),)))
    return taken


def _same_faces(entry: Entry, stands: Standing, origins: Mapping[FaceId, Digest]) -> bool:
    if entry.faces is None:
        return True
    if stands.faces != len(entry.faces) or any(face.id not in origins for face in entry.faces):
        return False
    try:
        return all(face.picture.origin() == origins[face.id] for face in entry.faces)
    except InputError:
        return False  # and reading it will say why
