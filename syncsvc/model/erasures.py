"""What can be said of a departed person's faces in one library, and by when it is to be said."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class Verdict(StrEnum):
    """What is known of one person in one library. "Accepted" is the vendor's word, "verified" is ours."""

    VERIFIED_ABSENT = "verified_absent"  # the library was read afterwards, and has none of the faces
    VENDOR_ACCEPTED = "vendor_accepted"  # the vendor said that they are gone; nobody has looked yet
    UNVERIFIABLE = "unverifiable"  # nobody can look, or nothing may be removed there
    UNREACHABLE = "unreachable"  # still trying

    @property
    def final(self) -> bool:
        return self in {Verdict.VERIFIED_ABSENT, Verdict.UNVERIFIABLE}


@dataclass(frozen=True, slots=True)
class Erasing:
    """By when a departed person's faces must be verified absent, when somebody is warned, when we look again.

    All count from the departure, except `warn_before`, which counts back from the due date, `second_look`, which
    counts from the first verification, and `forget_after`, which counts from the last one: then only a keyed
    pseudonym of the person's id stays.
    """

    due: timedelta = timedelta(hours=72)
    warn_before: timedelta = timedelta(hours=24)
    second_look: timedelta = timedelta(hours=24)
    forget_after: timedelta = timedelta(days=90)
