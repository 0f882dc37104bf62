"""The five words with which an errand comes back.

Every outcome may carry `held`, what the person is known to have in the library now; None means unchanged.
"""

from dataclasses import dataclass

from syncsvc.model.people import FaceId, Held
from syncsvc.model.situations import Finding


@dataclass(frozen=True, slots=True)
class Applied:
    """The library did what was asked. `remaining` says that a removal went first and more is to be done."""

    held: Held
    findings: tuple[Finding, ...] = ()
    remaining: bool = False


@dataclass(frozen=True, slots=True)
class Deferred:
    """Not now: again after `delay` seconds. `breaker` says that the library, not the person, is the trouble."""

    delay: float | None
    reason: str
    detail: str
    costs_attempt: bool
    held: Held | None = None
    findings: tuple[Finding, ...] = ()
    breaker: bool = False


@dataclass(frozen=True, slots=True)
class Doubtful:
    """Nobody knows whether it was done; look at the person before anything else."""

    reason: str
    detail: str
    held: Held | None = None
    findings: tuple[Finding, ...] = ()
    breaker: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """Never, as it stands; a newer revision reopens it. `face_id` names the photo to blame, if one is."""

    reason: str
    detail: str
    face_id: FaceId | None = None
    held: Held | None = None
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Halted:
    """The whole library stops until the operator acts."""

    reason: str
    detail: str
    held: Held | None = None
    findings: tuple[Finding, ...] = ()


Outcome = Applied | Deferred | Doubtful | Refused | Halted
