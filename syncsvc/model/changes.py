"""What the outside can tell us about a person, in our words."""

from dataclasses import dataclass, field
from datetime import datetime

from syncsvc.model.people import FaceId, PersonId, Source


@dataclass(frozen=True, slots=True)
class Until:
    """How long somebody is to be there; `moment` None: without an end. `contract`: so long their contract runs, and
    what follows from that is for the source's retention rule to say."""

    moment: datetime | None
    contract: bool = False


@dataclass(frozen=True, slots=True)
class Upserted:
    """The person exists. `faces` given: exactly these; None: unchanged. Revives a person who had departed.

    `until` None: nothing is said of how long.
    """

    person: PersonId
    faces: tuple[tuple[FaceId, Source], ...] | None = None
    name: str | None = field(default=None, repr=False)
    until: Until | None = None


@dataclass(frozen=True, slots=True)
class Departed:
    """The person is gone, from every library."""

    person: PersonId


@dataclass(frozen=True, slots=True)
class FaceReplaced:
    """One face has this picture from now on; a face that was not there is added."""

    person: PersonId
    face: FaceId
    source: Source


@dataclass(frozen=True, slots=True)
class FaceDeleted:
    """One face is gone; the others stay."""

    person: PersonId
    face: FaceId


Change = Upserted | Departed | FaceReplaced | FaceDeleted


@dataclass(frozen=True, slots=True)
class Told:
    """A change, who told us, and how they number it.

    The same `source_id` from the same source is the same telling. `version` orders changes of one person
    from one source; None means: in the order of arrival. `effective_at` is for a departure: before that instant
    it waits. `cancels_departure` is for an upsert: one that still waits is off. `approved_by` is who answers for a
    departure, so that the removal guard is not asked: it was asked before, or somebody did this by hand.
    """

    source: str
    source_id: str
    change: Change
    version: int | None = None
    effective_at: datetime | None = None
    cancels_departure: bool = False
    approved_by: str | None = None


@dataclass(frozen=True, slots=True)
class Fetched:
    """What an HR system says of one employee when it is asked.

    `person` is who they are to us, None where the HR system knows them no more. `told` is to be written in this
    order. `lacking` says in words what could not be had (a photo); `again`: it may be had later.
    """

    person: PersonId | None
    told: tuple[Told, ...] = ()
    lacking: str | None = None
    again: bool = False
