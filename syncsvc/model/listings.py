"""How much a reading of a whole library proves, and how often libraries are read."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class Completeness(StrEnum):
    """Only a COMPLETE listing proves absence. A PARTIAL one shows less than there is, by the vendor's own rules; a
    SUSPECT one contradicts itself, or the library changed while it was read. Both prove presence and nothing else."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    SUSPECT = "suspect"


@dataclass(frozen=True, slots=True)
class Caretaking:
    """How often libraries are read, and how much of their pace that may take.

    A library whose own count agrees with ours is listed every `full_every` all the same; every face that we know
    of is verified within `verify_within`; `spare_share` is how much of a window's permits reading may use up.
    """

    full_every: timedelta = timedelta(days=7)
    verify_within: timedelta = timedelta(days=30)
    spare_share: float = 0.5
