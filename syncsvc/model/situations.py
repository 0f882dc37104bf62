"""The seven things a face in a library can be, and what we noticed about one."""

from dataclasses import dataclass
from enum import StrEnum

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


@dataclass(frozen=True, slots=True)
class Finding:
    """One face whose situation is worth remembering. `vendor_face_id` is None where only a count disagreed."""

    situation: Situation
    vendor_face_id: VendorFaceId | None
    note: str
