"""What a face library is: its capabilities as data, two verbs, and the few calls that a vendor's file supplies."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Generic, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict

from syncsvc.library.fitting import PhotoRule, fit
from syncsvc.library.http import Door
from syncsvc.model.errors import ErrandError, GoneError, RejectedError, UncertainError
from syncsvc.model.listings import Completeness
from syncsvc.model.people import Digest, Face, FaceId, Feature, Held, HeldFace, Listed, Person, PersonId, Photo
from syncsvc.model.permits import NO_RATES, Account, Rate
from syncsvc.model.plan import Add, Remove, Step, Swap, steps, unwanted
from syncsvc.model.report import Reading, Report, Seen, after_add, after_remove

PhotoUrl = Callable[[Digest], str]


class LibraryOptions(BaseModel):
    """Base of a vendor's own options: frozen, and an unknown key is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a vendor can do, as data: the flow branches on this and never on a name.

    native_replace    a face is exchanged in one call
    max_faces         per person, None where no limit is documented
    bundle            how many people's removals one call can carry
    labels            it keeps a label of ours with every face and shows it: a face that we made is known by it
    takes_features    a face may be given as numbers instead of a photo
    fetches_photos    photos are fetched by the vendor from a URL of ours
    slips_by          what, taken out while a listing is read, may move another past the reader; None where the
                      listing would show that it happened
    rates, rates_per  the documented limit, counted for all calls together or for each operation class;
                      `operation_rates` are the classes that differ
    concurrency       calls under way at once, None where no limit is wanted
    """

    photo: PhotoRule
    native_replace: bool = False
    max_faces: int | None = None
    bundle: int = 1
    labels: bool = False
    takes_features: bool = False
    fetches_photos: bool = False
    slips_by: Literal["face", "person"] | None = "face"
    rates: tuple[Rate, ...] = ()
    rates_per: Literal["account", "operation"] = "account"
    operation_rates: Mapping[str, tuple[Rate, ...]] = field(default_factory=lambda: NO_RATES)
    concurrency: int | None = None


@dataclass(frozen=True, slots=True)
class Removal:
    """Faces to take out for one person; `whole`: nothing of the person is wanted in this library any more."""

    person: Person
    held: Held
    faces: Held
    whole: bool


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a listing. `cursor` fetches the next part, None is the end.

    The last page says how complete the whole listing is, and `why` it is not. `grew`: it is suspect for nothing but
    that the vendor's total changed by so many faces (or people, see `Capabilities.slips_by`) while it was read;
    whoever made that change may trust the listing all the same.
    """

    faces: tuple[Listed, ...]
    cursor: str | None = None
    completeness: Completeness = Completeness.COMPLETE
    why: str = ""
    grew: int = 0

    @classmethod
    def cut_off(cls, faces: tuple[Listed, ...], why: str) -> Self:
        """The last page of a listing that does not show everything, by the vendor's own rules."""
        return cls(faces, completeness=Completeness.PARTIAL, why=why)

    @classmethod
    def last(cls, faces: tuple[Listed, ...], *, seen: int, before: int, after: int, of: str) -> Self:
        """The last page of a listing that showed so many `of` these, by the vendor's count at its start and its end."""
        if seen != after:
            why = f"{seen:,} {of} were shown and the library counts {after:,}"
            return cls(faces, completeness=Completeness.SUSPECT, why=why)
        if after != before:
            why = f"the library counted {before:,} {of} at first and {after:,} at the end"
            return cls(faces, completeness=Completeness.SUSPECT, why=why, grew=after - before)
        return cls(faces)


O = TypeVar("O", bound=LibraryOptions)  # noqa: E741


class FaceLibrary(ABC, Generic[O]):
    """One configured library. A vendor's file subclasses this as `Library` and supplies the calls below the verbs.

    Every call raises the errors of `syncsvc.model.errors` and nothing else. Instances are shared by threads;
    `at` gives each errand its own copy.
    """

    capabilities: ClassVar[Capabilities]
    Options: ClassVar[type[LibraryOptions]]
    operations: ClassVar[tuple[str, ...]]  # the operation classes that the vendor counts by

    def __init__(self, door: Door, options: O, photo_url: PhotoUrl) -> None:
        self.door = door
        self.options = options
        self.photo_url = photo_url

    @staticmethod
    @abstractmethod
    def credential_id(options: Any) -> str:
        """What tells two accounts at one host apart: a key id, never a secret; "" where there are none."""

    def at(self, door: Door) -> Self:
        """This library, called through another door."""
        bound = copy.copy(self)
        bound.door = door
        return bound

    # --- the two verbs ----------------------------------------------------------------------------------------

    def replace(self, person: Person, held: Held) -> Reading:
        """Make what the library holds for `person` equal to `person.faces`.

        Additions first, then removals, so that the person is never absent in the middle. A photo that the
        library refuses does not keep the others out: its RejectedError is raised at the end, and the face it
        was to replace stays. Raises ErrandError with `held` filled in; safe to repeat after one, except that
        an UncertainError wants a `look` first.
        """
        reading = Reading(held)
        refused: dict[FaceId, RejectedError] = {}
        adding = False
        caps = self.capabilities
        try:
            for step in steps(person.faces, held, native_replace=caps.native_replace, max_faces=caps.max_faces):
                if isinstance(step, Remove):
                    taken = tuple(face for face in step.faces if face.face_id not in refused)
                    if not taken:
                        continue
                    step = Remove(taken, step.making_room)  # noqa: PLW2901
                adding = not isinstance(step, Remove)
                try:
                    reading = _then(reading, self._take(step, person, reading.held))
                except RejectedError as error:
                    if isinstance(step, Remove):
                        raise
                    refused[step.face.id] = error
                if reading.doubtful:
                    break
        except ErrandError as error:
            error.adding = adding
            raise _with(error, reading) from error.__cause__
        for face_id, refusal in refused.items():
            refusal.face_id = face_id
            raise _with(refusal, reading)
        return reading

    def delete(self, bundle: Sequence[tuple[Person, Held]]) -> dict[PersonId, Reading | ErrandError]:
        """Take out what is held and belongs to no wanted face, for each person of the bundle.

        Repeating it is harmless: what is already gone is gone. One person's trouble does not touch another's;
        after the library's own trouble nobody else is tried.
        """
        removals = [
            Removal(person, held, faces, whole=not person.faces and faces == held)
            for person, held in bundle
            if (faces := unwanted(person.faces, held))
        ]
        answers: dict[PersonId, Reading | ErrandError] = {person.id: Reading(held) for person, held in bundle}
        reports = self.remove_many(removals) if removals else {}
        for removal in removals:
            report = reports[removal.person.id]
            if isinstance(report, Report):
                answers[removal.person.id] = after_remove(removal.held, removal.faces, report)
            elif report.removed:
                answers[removal.person.id] = _with(report, Reading(removal.held))
            else:
                answers[removal.person.id] = report
        if type(self).farewell is FaceLibrary.farewell:
            return answers  # nothing is left behind here, so whoever has no face is done whatever the library says
        blanket = blanket_among(reports.values())
        for person in (person for person, held in bundle if not person.faces and not held):
            if blanket is not None:
                answers[person.id] = blanket.for_another()
                continue
            try:
                self.farewell(person)
            except ErrandError as error:
                answers[person.id] = error
                blanket = error if is_blanket(error) else None
        return answers

    def take_back(self, person: Person, face: Face) -> None:
        """Undo an add whose answer was lost, where `look` could not have seen it. Nothing there: no error."""
        try:
            sent = face if face.source is None else self._fitting(face)
        except RejectedError:  # and so it was refused before it was sent
            return
        self.retract(person, sent)

    # --- what a vendor's file supplies ------------------------------------------------------------------------

    @abstractmethod
    def add(self, person: Person, face: Face, held: Held) -> Report:
        """Put one face in, and the person's own record before it where the vendor has people.

        `held` is what the person has there so far. One picture makes at most one face.
        """

    @abstractmethod
    def remove(self, removal: Removal) -> Report:
        """Take `removal.faces` out, by their ids; faces that are already gone are `absent`, not an error.

        Where it takes several calls and a later one fails, the error's `removed` says which are out already.
        """

    def farewell(self, person: Person) -> None:
        """Take out what is left of a departed person of whom no face is held: a record that an earlier try left behind.

        For vendors that keep people; one that holds a face, whoever put it there, stays. Nothing there: no error.
        """

    def remove_many(self, removals: Sequence[Removal]) -> Mapping[PersonId, Report | ErrandError]:
        """The same for several people; override where the vendor does it in one call.

        When the library itself fails (throttled, unreachable, misconfigured), the rest is not tried.
        """
        answers: dict[PersonId, Report | ErrandError] = {}
        blanket: ErrandError | None = None
        for removal in removals:
            if blanket is not None:
                answers[removal.person.id] = blanket.for_another()
                continue
            try:
                answers[removal.person.id] = self.remove(removal)
            except ErrandError as error:
                answers[removal.person.id] = error
                if is_blanket(error):
                    blanket = error
        return answers

    def swap(self, person: Person, old: HeldFace, face: Face) -> Report:
        """Exchange one face in one call; only asked of libraries with `native_replace`. GoneError: old is gone."""
        raise NotImplementedError(f"{type(self).__module__} says native_replace and has no swap")

    @abstractmethod
    def look(self, person: Person, held: Held) -> Seen:
        """What the library holds for this person now. A person it does not know is an empty, complete answer."""

    def retract(self, person: Person, face: Face) -> None:
        """The same as `take_back`, for a face with the photo as it was sent."""

    @abstractmethod
    def page(self, cursor: str | None) -> Page:
        """One part of everything the library holds, from the start where `cursor` is None."""

    def count(self) -> int | None:
        """How many faces the library says it holds, where one cheap call tells; None where none does."""
        return None

    @abstractmethod
    def ping(self) -> str:
        """One harmless call that needs our credentials; a few words on what answered."""

    # --- how the verbs use them -------------------------------------------------------------------------------

    def _take(self, step: Step, person: Person, held: Held) -> Reading:
        match step:
            case Add(face):
                return after_add(held, face, self.add(person, self._fitting(face), held))
            case Swap(old, face):
                fitting = self._fitting(face)
                try:
                    return after_add(held, face, self.swap(person, old, fitting), superseded=old)
                except GoneError:
                    left = tuple(one for one in held if one != old)
                    return after_add(left, face, self.add(person, fitting, left))
            case Remove(faces):
                report = self.remove(Removal(person, held, faces, whole=not person.faces and faces == held))
                return after_remove(held, faces, report)

    def _fitting(self, face: Face) -> Face:
        """The face with its photo as this vendor takes it; id and digest stay those of the photo that we keep.

        Refuses here what the vendor documents to refuse and nothing mends: no call, and plain words for HR.
        """
        match face.source:
            case Photo() as photo:
                return replace(face, source=fit(photo, self.capabilities.photo))
            case Feature() if self.capabilities.takes_features:
                return face
            case Feature():
                words = "this library takes photos, not features; send a photo of the person"
                raise RejectedError(words, code="feature")
            case None:
                raise RejectedError("the photo is no longer stored; send it again", code="photo_missing")


def is_blanket(error: ErrandError) -> bool:
    """Whether it is the library's trouble, or our own pace: the next person would meet the same."""
    return not isinstance(error, RejectedError | UncertainError | GoneError)


def blanket_among(answers: Iterable[object]) -> ErrandError | None:
    """The first of the library's own troubles among what became of several people."""
    return next((one for one in answers if isinstance(one, ErrandError) and is_blanket(one)), None)


def account_for(
    library: type[FaceLibrary[Any]], key: str, rates: tuple[Rate, ...] | None, concurrency: int | None
) -> Account:
    """The account to be limited: the vendor's documented limits, or the configured ones in their place."""
    caps = library.capabilities
    chosen = caps.rates if rates is None else rates
    each = dict.fromkeys(library.operations, chosen) if caps.rates_per == "operation" else {}
    special = caps.operation_rates if rates is None else {}
    return Account(
        key=key,
        rates=chosen if caps.rates_per == "account" else (),
        operation_rates={**each, **special},
        concurrency=concurrency if concurrency is not None else caps.concurrency,
    )


def _then(before: Reading, after: Reading) -> Reading:
    return Reading(after.held, (*before.findings, *after.findings), doubtful=after.doubtful, adding=after.adding)


def _with(error: ErrandError, reading: Reading) -> ErrandError:
    error.held = tuple(face for face in reading.held if face.vendor_face_id not in error.removed)
    error.findings = reading.findings
    return error
