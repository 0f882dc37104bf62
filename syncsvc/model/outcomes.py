"""The five words with which an errand comes back."""

from dataclasses import dataclass

from syncsvc.model.people import FaceId


@dataclass(frozen=True, slots=True)
class Applied:
    """The library did what was asked. `complete`: and it now holds exactly what is wanted."""

    complete: bool


@dataclass(frozen=True, slots=True)
class Deferred:
    """Not now; again after `delay` seconds, None means: by the back-off of its attempts.

    `library_fails`: the breaker counts it. `about_person`: it may lie in this very person, so it costs an attempt
    even where it only probed the library.
    """

    delay: float | None
    reason: str
    detail: str
    costs_attempt: bool
    library_fails: bool = False
    about_person: bool = False


@dataclass(frozen=True, slots=True)
class Doubtful:
    """Nobody knows whether it was done; look at the person before anything else."""

    reason: str
    detail: str
    library_fails: bool = False
    about_person: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """Never, as it stands; a newer revision reopens it. `face_id` names the photo to blame, if one is."""

    reason: str
    detail: str
    face_id: FaceId | None = None


@dataclass(frozen=True, slots=True)
class Halted:
    """The whole library stops until the operator acts."""

    reason: str
    detail: str


Outcome = Applied | Deferred | Doubtful | Refused | Halted
