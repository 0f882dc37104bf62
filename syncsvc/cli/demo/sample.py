"""The demo's material: a roster, a day of HR changes, and who should be known at the end of it."""

import csv
import hashlib
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import syncsvc
from syncsvc.intake.hr_file import read_changes
from syncsvc.intake.roster import open_roster
from syncsvc.model.changes import Told
from syncsvc.model.errors import InputError
from syncsvc.model.people import Digest, FaceId, PersonId
from syncsvc.model.rosters import BadLine, Entry

Faces = Mapping[PersonId, Mapping[FaceId, Digest]]


@dataclass(frozen=True, slots=True)
class Sample:
    """`after` is who should have which pictures at the end; `refused` are those faces that no library takes."""

    folder: Path
    roster: tuple[Told, ...]
    changes: tuple[Told, ...]
    after: Faces
    refused: frozenset[tuple[PersonId, FaceId]]
    story: Mapping[str, Any]

    @property
    def everybody(self) -> frozenset[PersonId]:
        """Every id that is ever told of."""
        return frozenset(told.change.person for told in (*self.roster, *self.changes))


def read_sample(folder: Path | None, people: int | None) -> Sample:
    """The sample of the checkout, or another in the same form; `people` takes the first so many of its roster."""
    folder = folder or Path(syncsvc.__file__).parent.parent / "deploy" / "sample"
    if not (folder / "roster.csv").is_file():
        raise InputError(f"there is no sample in {folder}; run this in a checkout, or name one with --sample")
    roster = [_told(entry, number) for number, entry in enumerate(open_roster(folder / "roster.csv").read())]
    changes = [_checked(told) for _, told in read_changes(folder / "changes.jsonl", source="hr")]
    kept = _kept(roster, changes, people)
    after, refused = _after(folder)
    return Sample(
        folder=folder,
        roster=tuple(told for told in roster if told.change.person in kept),
        changes=tuple(told for told in changes if told.change.person in kept),
        after={person: faces for person, faces in after.items() if person in kept},
        refused=frozenset(one for one in refused if one[0] in kept),
        story=tomllib.loads((folder / "story.toml").read_text("utf-8")),
    )


def _told(entry: Entry, number: int) -> Told:
    change = entry.opened()
    if isinstance(change, tuple):
        raise InputError(f"the sample's roster has a bad line {change[0].line}: {change[0].reason}")
    return Told("roster", f"demo-{number}", change)


def _checked(told: Told | BadLine) -> Told:
    if isinstance(told, BadLine):
        raise InputError(f"the sample's changes have a bad line {told.line}: {told.reason}")
    return told


def _kept(roster: list[Told], changes: list[Told], people: int | None) -> frozenset[PersonId]:
    """The first of the roster, and as large a share of those who are hired later."""
    listed = list(dict.fromkeys(told.change.person for told in roster))
    mine = set(listed)
    hired = list(dict.fromkeys(told.change.person for told in changes if told.change.person not in mine))
    share = 1.0 if people is None else min(1.0, people / len(listed))
    return frozenset((*listed[:people], *hired[: math.ceil(share * len(hired))]))


def _after(folder: Path) -> tuple[dict[PersonId, dict[FaceId, Digest]], list[tuple[PersonId, FaceId]]]:
    found: dict[PersonId, dict[FaceId, Digest]] = {}
    refused: list[tuple[PersonId, FaceId]] = []
    with (folder / "after.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            person, face = PersonId(row["id"]), FaceId(row["face"])
            digest = hashlib.sha256((folder / row["photo"]).read_bytes()).hexdigest()
            found.setdefault(person, {})[face] = Digest(digest)
            if row["taken"] != "yes":
                refused.append((person, face))
    return found, refused
