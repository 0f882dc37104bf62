"""The seven things a face in a library can be, what is to be done about each, and what we noticed about one."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from syncsvc.model.people import VendorFaceId


class Situation(StrEnum):
    """What reconciliation calls a listed (or missing) face."""

    IN_SYNC = "in_sync"
    MISSING = "missing"  # ours and wanted, but the library does not have it
    STALE = "stale"  # ours, from a picture that has been replaced
    DUPLICATE = "duplicate"  # a second face from the same picture
    STRAY = "stray"  # ours, unwanted
    FOREIGN = "foreign"  # never ours
    DISPUTED = "disputed"  # the library contradicts itself or us


class Reaction(StrEnum):
    """What is done about a face.

    REPAIR owes the library a delivery that makes it as it should be; ADOPT binds the face to the person under
    whose name it stands; REPORT only notes it; WAIT leaves it to a delivery that is under way.
    """

    REPAIR = "repair"
    ADOPT = "adopt"
    REPORT = "report"
    WAIT = "wait"


Reactions = Mapping[Situation, Reaction]

SAFE: Reactions = MappingProxyType(
    {
        Situation.MISSING: Reaction.REPAIR,
        Situation.STALE: Reaction.REPAIR,
        Situation.DUPLICATE: Reaction.REPAIR,
        Situation.STRAY: Reaction.REPAIR,
        Situation.FOREIGN: Reaction.REPORT,
        Situation.DISPUTED: Reaction.REPORT,
    }
)
OWNED: Reactions = MappingProxyType({**SAFE, Situation.FOREIGN: Reaction.REPAIR})

ALLOWED: Mapping[Situation, frozenset[Reaction]] = MappingProxyType(
    {
        **dict.fromkeys(
            (Situation.MISSING, Situation.STALE, Situation.DUPLICATE, Situation.STRAY),
            frozenset({Reaction.REPAIR, Reaction.REPORT}),
        ),
        Situation.FOREIGN: frozenset({Reaction.REPAIR, Reaction.ADOPT, Reaction.REPORT}),
        Situation.DISPUTED: frozenset({Reaction.REPORT}),
    }
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One face whose situation is worth remembering. `vendor_face_id` is None where only a count disagreed."""

    situation: Situation
    vendor_face_id: VendorFaceId | None
    note: str
