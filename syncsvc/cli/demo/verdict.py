"""Compares, face by face, what is wanted with what a practice room holds."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from syncsvc.cli.demo.sample import Faces
from syncsvc.model.keys import person_hash, person_key
from syncsvc.model.people import FaceId, PersonId


@dataclass(frozen=True, slots=True)
class Disagreement:
    """`who` is a person's id, or the vendor's key of somebody we never told it of."""

    who: str
    what: str


def disagreements(
    wanted: Faces,
    world: Mapping[str, Any],
    *,
    everybody: Collection[PersonId],
    refused: Collection[tuple[PersonId, FaceId]] = (),
) -> list[Disagreement]:
    """Where a practice room's world is not exactly the wanted faces; empty means: equal.

    `world` is what its control API tells. Faces in `refused` must not be there. A person without faces must not
    be there at all, not even as an empty record.
    """
    keys = {key: person for person in everybody for key in (person_key(person), person_hash(person))}
    held: dict[str, Counter[str]] = {}
    for key, faces in world["people"].items():
        held[keys.get(key, f"unknown {key}")] = Counter(face["digest"] for face in faces)
    should: dict[str, Counter[str]] = {
        person: Counter(digest for face, digest in faces.items() if (person, face) not in refused)
        for person, faces in wanted.items()
    }
    found = []
    for who in sorted({*should, *held}):
        wants, has = should.get(who, Counter()), held.get(who, Counter())
        if wants != has:
            found.append(Disagreement(who, _words((wants - has).total(), (has - wants).total())))
        elif not wants:
            found.append(Disagreement(who, "is still known there, without a face"))
    return found


def differences(expected: Faces, canonical: Faces) -> list[Disagreement]:
    """The same between the HR department's books and the canonical database."""
    found = []
    for who in sorted({*expected, *canonical}):
        should, have = dict(expected.get(who, {})), dict(canonical.get(who, {}))
        if should != have:
            lacks = sum(have.get(face) != digest for face, digest in should.items())
            extra = sum(face not in should for face in have)
            found.append(Disagreement(who, _words(lacks, extra)))
    return found


def _words(lacks: int, extra: int) -> str:
    parts = [f"{lacks} missing"] * bool(lacks) + [f"{extra} too many"] * bool(extra)
    return "faces: " + ", ".join(parts)
