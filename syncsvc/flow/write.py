"""Writes changes down in a transaction that somebody else opened, as many at once as there are."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from syncsvc.flow.apply import Granted, Ring, Room, apply
from syncsvc.flow.decide import Decided, Heard, decide
from syncsvc.model.changes import Change, Departed, FaceDeleted, FaceReplaced, Told, Upserted
from syncsvc.model.people import PersonId, Revision
from syncsvc.model.retention import FREE, Terms
from syncsvc.store import Transaction
from syncsvc.store.changes import Closing, Telling
from syncsvc.store.people import Known

_KINDS: dict[type[Change], str] = {
    Upserted: "person.upserted",
    Departed: "person.departed",
    FaceReplaced: "face.replaced",
    FaceDeleted: "face.deleted",
}


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of a telling. `again`: it was told before.

    `effect`: applied, unchanged, old_news; waiting for a departure whose moment has not come; held for one that an
    operator must approve, as too many people would leave; fetching for an employee of whom the HR system must be
    asked first.
    """

    change: str
    effect: str
    revision: Revision | None
    again: bool = False
    rings: tuple[Ring, ...] = ()


def write(tx: Transaction, told: Told, now: datetime, *, room: Room | None, terms: Terms = FREE) -> Recorded:
    """One change, as `write_all` writes several."""
    (recorded,) = write_all(tx, [told], now, room=room, terms=terms)
    return recorded


def write_all(
    tx: Transaction, told: Sequence[Told], now: datetime, *, room: Room | None, terms: Terms = FREE
) -> list[Recorded]:
    """Write changes into the inbox, the people, and one delivery per library; one answer each, in their order.

    `room` is how much each library takes at once; None: nothing is rung. Many cost hardly more statements than one.
    `terms` say how many people may leave, and how long after it is told; only departures cost more by them.

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
        Heard(change, terms.applied(one, now))
        for one in told
        if (change := new.pop((one.source, one.source_id), None)) is not None
    ]
    known = tx.people.lock_all([one.told.change.person for one in fresh], now) if fresh else {}
    answers: dict[str, Recorded] = {}
    if len(known) < len(fresh) and terms.limits and any(isinstance(one.told.change, Departed) for one in fresh):
        tx.removing.hold()  # before anything is written, since the guard is asked again after the first round
    for round_ in _rounds(fresh):
        answers |= _write_round(tx, round_, known, now, room, terms)
        known = known if len(answers) == len(fresh) else tx.people.lock_all(known, now)
    first: set[str] = set()
    return [_answer(tx, one, entered, answers, first) for one in told]


def _rounds(fresh: Sequence[Heard]) -> Iterator[list[Heard]]:
    """Several changes of one person are written one after the other, in the order in which they were told."""
    left = list(fresh)
    while left:
        people: dict[PersonId, Heard] = {}
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


def _write_round(  # noqa: PLR0917 - everything that a round rests on
    tx: Transaction,
    round_: Sequence[Heard],
    known: Mapping[PersonId, Known],
    now: datetime,
    room: Room | None,
    terms: Terms,
) -> dict[str, Recorded]:
    decided = decide(tx, round_, known, now, terms)
    tx.changes.cancel([change for one in decided for change in one.off])
    tx.versions.note([one.counted for one in decided if one.counted is not None])
    rings = apply(tx, [Granted(one.known, one.wish) for one in decided if one.wish is not None], now, room=room)
    answers = {one.one.entered: replace(_recorded(one), rings=rings.get(one.known.id, ())) for one in decided}
    for leaving, since in ((True, now), (False, None)):
        tx.people.set_leaving([one.known.id for one in decided if one.leaving is leaving], since)
    tx.changes.close([_closing(one) for one in decided])
    tx.watches.watch([change for one in decided for change in (one.one.entered, *one.off)], now)
    return answers


def _recorded(one: Decided) -> Recorded:
    if one.wish is not None:
        return Recorded(one.one.entered, "applied", Revision(one.known.revision + 1))
    effect = one.effect or ("applied" if one.off else "unchanged")
    return Recorded(one.one.entered, effect, one.known.revision)


def _closing(one: Decided) -> Closing:
    recorded = _recorded(one)
    moment = one.one.told.effective_at if recorded.effect == "waiting" else None
    return Closing(recorded.change, recorded.effect, recorded.revision, moment, one.one.told.approved_by)
