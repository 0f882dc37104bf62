"""Writes changes down in a transaction that somebody else opened, as many at once as there are."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never

from syncsvc.flow.apply import Granted, Ring, Room, apply
from syncsvc.flow.wishes import Wish, later_than, overtaken, wish_of
from syncsvc.model.changes import Change, Departed, FaceDeleted, FaceReplaced, Told, Upserted
from syncsvc.model.people import Digest, FaceId, PersonId, Revision
from syncsvc.store import Transaction
from syncsvc.store.changes import Closing, Entry, Telling
from syncsvc.store.people import Known
from syncsvc.store.vault import VaultError
from syncsvc.store.versions import Counted, Versions

_KINDS: dict[type[Change], str] = {
    Upserted: "person.upserted",
    Departed: "person.departed",
    FaceReplaced: "face.replaced",
    FaceDeleted: "face.deleted",
}


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of a telling. `again`: it was told before.

    `effect`: applied, unchanged, old_news; waiting for a departure whose moment has not come; fetching for an
    employee of whom the HR system must be asked first.
    """

    change: str
    effect: str
    revision: Revision | None
    again: bool = False
    rings: tuple[Ring, ...] = ()


def write(tx: Transaction, told: Told, now: datetime, *, room: Room | None) -> Recorded:
    """One change, as `write_all` writes several."""
    (recorded,) = write_all(tx, [told], now, room=room)
    return recorded


def write_all(tx: Transaction, told: Sequence[Told], now: datetime, *, room: Room | None) -> list[Recorded]:
    """Write changes into the inbox, the people, and one delivery per library; one answer each, in their order.

    `room` is how much each library takes at once; None: nothing is rung. Many cost hardly more statements than one.

    Versions order what one source says of one person, and only that: between sources, and where there is no
    version, the order of arrival counts. A departure and an upsert with faces say everything: what is older
    says nothing new, and of their own only a face that a newer change was about stays as that change left
    it. A departure takes that face as well, since only a `person.upserted` brings somebody back. An upsert
    without faces says that the person is there, and nothing of faces. A change of one face is older or newer
    than other changes of this face and than the last change of all, not than those of other faces.
    """
    tellings = [
        Telling(one.source, one.source_id, _KINDS[type(one.change)], one.change.person, one.version) for one in told
    ]
    entered = tx.changes.enter(tellings, now)
    new = dict(entered)
    fresh = [
        _Telling(change, one) for one in told if (change := new.pop((one.source, one.source_id), None)) is not None
    ]
    known = tx.people.lock_all([one.told.change.person for one in fresh], now) if fresh else {}
    answers: dict[str, Recorded] = {}
    for round_ in _rounds(fresh):
        answers |= _write_round(tx, round_, known, now, room)
        known = known if len(answers) == len(fresh) else tx.people.lock_all(known, now)
    first: set[str] = set()
    return [_answer(tx, one, entered, answers, first) for one in told]


@dataclass(frozen=True, slots=True)
class _Telling:
    """A change that was not heard before, under the id that the inbox gave it."""

    entered: str
    told: Told


@dataclass(frozen=True, slots=True)
class _Decided:
    """What a change is to do. `effect` None: `wish` says it. `off` are waiting departures that it calls off."""

    one: _Telling
    known: Known
    effect: str | None = None
    wish: Wish | None = None
    counted: Counted | None = None
    off: tuple[str, ...] = ()

    @property
    def recorded(self) -> Recorded:
        if self.wish is not None:
            return Recorded(self.one.entered, "applied", Revision(self.known.revision + 1))
        effect = self.effect or ("applied" if self.off else "unchanged")
        return Recorded(self.one.entered, effect, self.known.revision)


def _rounds(fresh: Sequence[_Telling]) -> Iterator[list[_Telling]]:
    """Several changes of one person are written one after the other, in the order in which they were told."""
    left = list(fresh)
    while left:
        people: dict[PersonId, _Telling] = {}
        for one in left:
            people.setdefault(one.told.change.person, one)
        yield list(people.values())
        left = [one for one in left if people[one.told.change.person] is not one]


def _answer(
    tx: Transaction,
    told: Told,
    entered: Mapping[tuple[str, str], str],
    answers: Mapping[str, Recorded],
    first: set[str],
) -> Recorded:
    change = entered.get((told.source, told.source_id))
    if change is None:
        return said_before(tx, told.source, told.source_id)
    if change in first:  # it stands here twice
        return replace(answers[change], again=True, rings=())
    first.add(change)
    return answers[change]


def said_before(tx: Transaction, source: str, source_id: str) -> Recorded:
    """The answer to a change that the inbox has heard before."""
    before = tx.changes.said_before(source, source_id)
    return Recorded(before.id, before.effect, before.revision, again=True)


def _write_round(
    tx: Transaction, round_: Sequence[_Telling], known: Mapping[PersonId, Known], now: datetime, room: Room | None
) -> dict[str, Recorded]:
    decided = _decide(tx, round_, known, now)
    tx.changes.cancel([change for one in decided for change in one.off])
    tx.versions.note([one.counted for one in decided if one.counted is not None])
    rings = apply(tx, [Granted(one.known, one.wish) for one in decided if one.wish is not None], now, room=room)
    answers = {one.one.entered: replace(one.recorded, rings=rings.get(one.known.id, ())) for one in decided}
    tx.changes.close([_closing(one) for one in decided])
    tx.watches.watch([change for one in decided for change in (one.one.entered, *one.off)], now)
    return answers


def _closing(one: _Decided) -> Closing:
    recorded = one.recorded
    moment = one.one.told.effective_at if recorded.effect == "waiting" else None
    return Closing(recorded.change, recorded.effect, recorded.revision, moment)


def _decide(
    tx: Transaction, round_: Sequence[_Telling], known: Mapping[PersonId, Known], now: datetime
) -> list[_Decided]:
    counting = [one.told for one in round_ if one.told.version is not None]
    versions = tx.versions.of({one.change.person for one in counting}, {one.source for one in counting})
    moving = [one.told for one in round_ if isinstance(one.told.change, Departed) or one.told.cancels_departure]
    waiting = tx.changes.waiting_of({one.change.person for one in moving})
    locked = _locked_away(tx, round_, known)
    return [
        _decided(
            tx,
            one,
            known[one.told.change.person],
            versions.get((one.told.change.person, one.told.source), Versions()),
            waiting.get(one.told.change.person, ()),
            locked,
            now,
        )
        for one in round_
    ]


def _locked_away(tx: Transaction, round_: Sequence[_Telling], known: Mapping[PersonId, Known]) -> Collection[Digest]:
    """Pictures whose stored copies nobody can open: told again, they are new."""
    told_again = {
        face.digest
        for one in round_
        if isinstance(one.told.change, FaceReplaced)
        or (isinstance(one.told.change, Upserted) and one.told.change.faces)
        for face in known[one.told.change.person].faces
    }
    return tx.photos.locked_away(told_again) if told_again else ()


def _decided(  # noqa: PLR0917 - everything that a decision rests on
    tx: Transaction,
    one: _Telling,
    known: Known,
    versions: Versions,
    waiting: Sequence[Entry],
    locked: Collection[Digest],
    now: datetime,
) -> _Decided:
    told, change = one.told, one.told.change
    effect = None if told.version is None else overtaken(change, told.version, versions)
    if effect is None and isinstance(change, Departed):
        effect = _postponed(told, waiting, versions, now)
    off = tuple(each.id for each in waiting if not _newer(each, told)) if effect in {None, "waiting"} else ()
    if effect is not None:
        return _Decided(one, known, effect, off=off)
    have = {face.id: None if face.digest in locked else face.digest for face in known.faces}
    wish = wish_of(_without_known_name(tx, change, known), known, have, later_than(told.version, versions))
    counted = None if told.version is None else _counted(told, told.version, versions, known)
    return _Decided(one, known, wish=wish, counted=counted, off=off)


def _postponed(told: Told, waiting: Sequence[Entry], versions: Versions, now: datetime) -> str | None:
    """A departure in the future waits; it takes the place of another that still waits, unless that is newer, and it
    is off where a newer word that calls it off came before it."""
    if any(_newer(one, told) for one in waiting) or (told.effective_at is not None and _called_off(told, versions)):
        return "old_news"
    return "waiting" if told.effective_at is not None and told.effective_at > now else None


def _called_off(told: Told, versions: Versions) -> bool:
    return told.version is not None and versions.stay is not None and told.version < versions.stay


def _newer(one: Entry, told: Told) -> bool:
    """Whether this departure that waits is newer than what is told; otherwise the order of arrival counts."""
    if one.source != told.source or one.version is None or told.version is None:
        return False
    return one.version > told.version


def _without_known_name(tx: Transaction, change: Change, known: Known) -> Change:
    """The same change, silent about a name that we have already."""
    if not isinstance(change, Upserted) or change.name is None:
        return change
    try:
        name = tx.people.name(known)
    except VaultError:  # sealed with a key that is gone: the name is told anew, so it is written anew
        return change
    return replace(change, name=None) if name == change.name else change


def _counted(told: Told, version: int, before: Versions, known: Known) -> Counted | None:
    """How far the source has counted with this, also where its change changes nothing."""
    presence = version if before.presence is None else max(version, before.presence)
    match told.change:
        case Departed():
            # Their later pictures are gone with the person, and who is back is better shown an older one than none.
            # Of faces that are not there a deletion was told, and that still counts.
            left: frozenset[FaceId] = frozenset(face.id for face in known.faces)
            return Counted(known.id, told.source, Versions(presence, version), left)
        case Upserted(faces=faces):
            stay = max(version, before.stay or version) if told.cancels_departure else None
            return Counted(known.id, told.source, Versions(presence, None if faces is None else version, stay=stay))
        case FaceReplaced() if known.departed_at is not None:
            return None  # nobody keeps the picture: were it counted, an upsert that it overtook would come faceless
        case FaceReplaced(face=face) | FaceDeleted(face=face):
            return Counted(known.id, told.source, Versions(face={face: version}))
        case _:
            assert_never(told.change)
