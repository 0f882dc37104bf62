"""Decides what changes are to do, for people who are locked: what comes true, what waits, and what is held back."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never

from syncsvc.flow import burst
from syncsvc.flow.wishes import Wish, later_than, overtaken, wish_of
from syncsvc.model.changes import Change, Departed, FaceDeleted, FaceReplaced, Told, Upserted
from syncsvc.model.people import Digest, FaceId, PersonId
from syncsvc.model.retention import Terms
from syncsvc.store import Transaction
from syncsvc.store.changes import Entry
from syncsvc.store.people import Known
from syncsvc.store.vault import VaultError
from syncsvc.store.versions import Counted, Versions


@dataclass(frozen=True, slots=True)
class Heard:
    """A change that was not heard before, under the id that the inbox gave it."""

    entered: str
    told: Told


@dataclass(frozen=True, slots=True)
class Decided:
    """What a change is to do. `effect` None: `wish` says it. `off` are waiting departures that it calls off."""

    one: Heard
    known: Known
    effect: str | None = None
    wish: Wish | None = None
    counted: Counted | None = None
    off: tuple[str, ...] = ()
    leaving: bool | None = None  # whether a departure is kept back now; None: that is as it was

    @property
    def to_be_guarded(self) -> bool:
        """Whether they leave by this, and nobody answers for it."""
        leaves = self.wish is not None and self.wish.departed and self.known.departed_at is None
        return leaves and self.one.told.approved_by is None


def decide(
    tx: Transaction, round_: Sequence[Heard], known: Mapping[PersonId, Known], now: datetime, terms: Terms
) -> list[Decided]:
    """What each change does; one of each person at most. Nothing is written here."""
    return _guarded(tx, _decide(tx, round_, known, now, terms), now, terms)


def _decide(
    tx: Transaction, round_: Sequence[Heard], known: Mapping[PersonId, Known], now: datetime, terms: Terms
) -> list[Decided]:
    counting = [one.told for one in round_ if one.told.version is not None]
    versions = tx.versions.of({one.change.person for one in counting}, {one.source for one in counting})
    moving = {one.told.change.person for one in round_ if _moves(one.told, known[one.told.change.person])}
    pending = tx.changes.pending_of(moving)
    locked = _locked_away(tx, round_, known)
    return [
        _decided(
            tx,
            one,
            known[one.told.change.person],
            versions.get((one.told.change.person, one.told.source), Versions()),
            pending.get(one.told.change.person, ()),
            locked,
            now,
            terms,
        )
        for one in round_
    ]


def _moves(told: Told, known: Known) -> bool:
    """Whether this may have to do with a departure that has not happened yet."""
    if isinstance(told.change, Departed) or told.cancels_departure:
        return True
    return isinstance(told.change, Upserted) and known.leaving_at is not None


def _locked_away(tx: Transaction, round_: Sequence[Heard], known: Mapping[PersonId, Known]) -> Collection[Digest]:
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
    one: Heard,
    known: Known,
    versions: Versions,
    pending: Sequence[Entry],
    locked: Collection[Digest],
    now: datetime,
    terms: Terms,
) -> Decided:
    told, change = one.told, one.told.change
    effect = None if told.version is None else overtaken(change, told.version, versions)
    if isinstance(change, Departed):
        return _departing(one, known, versions, pending, effect, now, terms)
    off = _calls_off(told, versions, pending, now, terms) if effect is None else ()
    kept = [each for each in pending if each.id not in off and _keeps(each, terms, now)]
    leaving = False if known.leaving_at is not None and off and not kept else None
    if effect is not None:
        return Decided(one, known, effect)
    have = {face.id: None if face.digest in locked else face.digest for face in known.faces}
    wish = wish_of(_without_known_name(tx, change, known), known, have, later_than(told.version, versions))
    if _comes_expired(change, known, now):
        wish = None
    counted = None if told.version is None else _counted(told, told.version, versions, known)
    return Decided(one, known, wish=wish, counted=counted, off=off, leaving=leaving)


def _comes_expired(change: Change, known: Known, now: datetime) -> bool:
    """Whether somebody who is not with us is told of with an end that is over: they do not come back by that."""
    if not isinstance(change, Upserted) or change.until is None or change.until.moment is None:
        return False
    return change.until.moment <= now and (known.departed_at is not None or known.revision == 0)


def _calls_off(
    told: Told, versions: Versions, pending: Sequence[Entry], now: datetime, terms: Terms
) -> tuple[str, ...]:
    """Departures that have not happened yet, and do not by this word."""
    change = told.change
    there = isinstance(change, Upserted) and not later_than(told.version, versions).presence
    until = change.until if isinstance(change, Upserted) else None
    over = until is not None and until.moment is not None and until.moment <= now
    return tuple(
        each.id
        for each in pending
        if not _newer(each, told)
        and (
            (told.cancels_departure and each.effect == "waiting")
            or (there and not over and burst.recalled(each, terms, now, new_expiry=until is not None))
        )
    )


def _keeps(each: Entry, terms: Terms, now: datetime) -> bool:
    """Whether the person would be gone by this departure, had nobody kept them."""
    return each.effect == "held" or terms.only_kept(each.source, each.effective_at, now)


def _departing(  # noqa: PLR0917 - everything that a departure rests on
    one: Heard,
    known: Known,
    versions: Versions,
    pending: Sequence[Entry],
    effect: str | None,
    now: datetime,
    terms: Terms,
) -> Decided:
    """What becomes of a departure: now, at its moment, or when an operator approves it."""
    told = one.told
    kept = terms.only_kept(told.source, told.effective_at, now)  # it is for now, and a rule makes it wait
    if kept:
        here = known.departed_at is None and known.revision > 0  # whoever is not is kept for nothing
        moments = [_moment(told), *(_moment(each) for each in pending if _same(each, told))]
        told = replace(told, effective_at=min(moments) if here else None)
        one = replace(one, told=told)
    late = told.version is not None and versions.presence is not None and told.version < versions.presence
    if effect is None:
        effect = _postponed(told, pending, versions, now, kept=kept, late=late)
    counted = None if told.version is None else _counted(told, told.version, versions, known)
    older = tuple(each.id for each in pending if not _newer(each, told))
    decided = Decided(one, known, effect, counted=counted)
    if effect == "waiting":
        off = tuple(each.id for each in pending if each.id in older and each.effect == "waiting")
        if kept:
            return _kept(decided, "waiting", off)
        left = any(each.id not in off and _keeps(each, terms, now) for each in pending)
        return replace(decided, counted=None, off=off, leaving=False if off and not left else None)
    again = [each for each in pending if each.source == told.source and each.version == told.version]
    if effect == "unchanged" and again:  # and no more done than before
        return replace(decided, one=_as_before(one, again[0]), effect=again[0].effect, counted=None)
    if effect is not None:
        return replace(decided, counted=None)
    held = any(each.effect == "held" for each in pending)
    if held and told.approved_by is None and not late:
        return _kept(decided, "held")
    wish = wish_of(
        told.change, known, {face.id: face.digest for face in known.faces}, later_than(told.version, versions)
    )
    return replace(decided, wish=wish, off=older)


def _postponed(
    told: Told, pending: Sequence[Entry], versions: Versions, now: datetime, *, kept: bool, late: bool
) -> str | None:
    """A departure in the future waits; it takes the place of another that still waits, unless that is newer, and it
    is off where a newer word that calls it off came before it."""
    if any(_newer(one, told) for one in pending):
        return "old_news"
    if told.effective_at is None or (kept and late):
        return None
    if not kept and _called_off(told, versions):
        return "old_news"
    return "waiting" if told.effective_at > now else None


def _as_before(one: Heard, before: Entry) -> Heard:
    return replace(one, told=replace(one.told, effective_at=before.effective_at))


def _moment(one: Told | Entry) -> datetime:
    assert one.effective_at is not None
    return one.effective_at


def _same(each: Entry, told: Told) -> bool:
    """Whether this one waits by the same rule: told again, nobody stays for longer."""
    return each.effect == "waiting" and each.source == told.source and each.effective_at is not None


def _called_off(told: Told, versions: Versions) -> bool:
    return told.version is not None and versions.stay is not None and told.version < versions.stay


def _newer(one: Entry, told: Told) -> bool:
    """Whether this departure that waits is newer than what is told; otherwise the order of arrival counts."""
    if one.source != told.source or one.version is None or told.version is None:
        return False
    return one.version > told.version


def _kept(one: Decided, effect: str, off: tuple[str, ...] = ()) -> Decided:
    """Somebody who stays for now, although they should have gone: what was told of them before is older than that."""
    counted = one.counted and replace(one.counted, left=frozenset())  # they keep their faces, and so their counts
    return replace(one, effect=effect, wish=None, counted=counted, off=off, leaving=True)


def _guarded(tx: Transaction, decided: list[Decided], now: datetime, terms: Terms) -> list[Decided]:
    """The same, with departures held back that are too many."""
    leaving = [one.known.id for one in decided if one.to_be_guarded]
    held = burst.held_back(tx, leaving, now, terms.limits)
    if not held:
        return decided
    burst.report(held, len(leaving), terms.limits)
    return [_kept(one, "held") if one.to_be_guarded and one.known.id in held else one for one in decided]


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
