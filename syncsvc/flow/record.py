"""Writes down a change and, in the same stroke, what every library is now owed."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import assert_never

from syncsvc.flow.house import House
from syncsvc.model.changes import Change, Departed, FaceDeleted, FaceReplaced, Told, Upserted
from syncsvc.model.people import FaceId, LibraryName, Revision, Source
from syncsvc.model.urgency import Urgency, rank
from syncsvc.store import Transaction
from syncsvc.store.people import Known
from syncsvc.store.vault import VaultError

Room = Mapping[LibraryName, int]

RUNG_FOR = timedelta(seconds=5)  # how long a bell is trusted to be heard before the sweep rings again


@dataclass(frozen=True, slots=True)
class Ring:
    """The bell for some deliveries of one library; it may be lost or doubled without harm."""

    library: LibraryName
    verb: str
    deliveries: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of a telling. `effect`: applied, unchanged, old_news; `again`: it was told before."""

    change: str
    effect: str
    revision: Revision | None
    again: bool = False
    rings: tuple[Ring, ...] = ()


@dataclass(frozen=True, slots=True)
class Wish:
    """The faces that a person should have after a change: new pictures by face, and unchanged ones."""

    new: dict[FaceId, Source]
    kept: frozenset[FaceId]
    departed: bool = False
    name: str | None = field(default=None, repr=False)


def record(house: House, told: Told, *, ring: bool = True) -> Recorded:
    """Write a change into the inbox, the person, and one delivery per library: one transaction.

    Telling the same thing again changes nothing. `ring` False leaves the deliveries to the sweep, for bulk
    imports. Raises DatabaseUnavailableError; nothing is written then.
    """
    now = house.clock()
    with house.store.transaction() as tx:
        return write(tx, told, now, room=house.room() if ring else None)


def write(tx: Transaction, told: Told, now: datetime, *, room: Room | None) -> Recorded:
    """The body of `record`, for callers that write several changes in one transaction.

    `room` is how much each library takes at once; None: nothing is rung.
    """
    change = told.change
    entered = tx.changes.enter(
        told.source, told.source_id, kind=_KINDS[type(change)], person=change.person, version=told.version, now=now
    )
    if entered is None:
        before = tx.changes.said_before(told.source, told.source_id)
        return Recorded(before.id, before.effect, before.revision, again=True)
    known = tx.people.lock(change.person, now)
    if told.version is not None and known.version is not None and told.version <= known.version:
        effect = "unchanged" if told.version == known.version else "old_news"
        tx.changes.close(entered, effect, known.revision)
        return Recorded(entered, effect, known.revision)
    wish = _wish(_without_known_name(tx, change), known)
    if wish is None:
        if told.version is not None:
            tx.people.note_version(known.id, told.version)
        tx.changes.close(entered, "unchanged", known.revision)
        return Recorded(entered, "unchanged", known.revision)
    revision = Revision(known.revision + 1)
    tx.people.amend(
        known.id, revision, now, version=told.version, departed=wish.departed, name=None if wish.departed else wish.name
    )
    added = _write_faces(tx, known, wish, revision, now)
    rings = _owe(tx, known, wish, revision, added=added, now=now, room=room)
    _forget_pictures(tx, known, wish)
    tx.changes.close(entered, "applied", revision)
    return Recorded(entered, "applied", revision, rings=rings)


_KINDS: dict[type[Change], str] = {
    Upserted: "person.upserted",
    Departed: "person.departed",
    FaceReplaced: "face.replaced",
    FaceDeleted: "face.deleted",
}


def _without_known_name(tx: Transaction, change: Change) -> Change:
    """The same change, silent about a name that we have already."""
    if not isinstance(change, Upserted) or change.name is None:
        return change
    try:
        known = tx.people.name(change.person)
    except VaultError:  # sealed with a key that is gone: the name is told anew, so it is written anew
        return change
    return replace(change, name=None) if known == change.name else change


def _wish(change: Change, known: Known) -> Wish | None:
    """What the change makes of the person; None where it says only what we know, or comes too late to count."""
    have = {face.id: face.digest for face in known.faces}
    match change:
        case Departed():
            wish = Wish({}, frozenset(), departed=True)
            never_seen = known.revision == 0
            return None if known.departed_at is not None and not have and not never_seen else wish
        case Upserted(faces=None):
            revived = known.departed_at is not None or known.revision == 0
            return Wish({}, frozenset(have), name=change.name) if revived or change.name is not None else None
        case Upserted(faces=faces):
            new = {face: source for face, source in faces or () if have.get(face) != source.digest}
            kept = frozenset(face for face, _ in faces or ()) - new.keys()
            same = not new and kept == have.keys() and known.departed_at is None and known.revision > 0
            return None if same and change.name is None else Wish(new, kept, name=change.name)
        case FaceReplaced(face=face, source=source):
            # Only a person.upserted brings somebody back: a face of a departed person is a late message.
            if known.departed_at is not None or have.get(face) == source.digest:
                return None
            return Wish({face: source}, frozenset(have) - {face})
        case FaceDeleted(face=face):
            return Wish({}, frozenset(have) - {face}) if face in have else None
        case _:
            assert_never(change)


def _write_faces(tx: Transaction, known: Known, wish: Wish, revision: Revision, now: datetime) -> bool:
    """Store new pictures and drop old faces; whether any picture is new."""
    for face, source in sorted(wish.new.items(), key=lambda one: one[1].digest):  # photos are locked in this order
        tx.people.set_face(known.id, face, tx.photos.keep(source, now), revision)
    tx.people.drop_faces(known.id, [face.id for face in known.faces if face.id not in wish.kept | wish.new.keys()])
    return bool(wish.new)


def _forget_pictures(tx: Transaction, known: Known, wish: Wish) -> None:
    """Let go of what the person no longer has, unless a library may have it without our knowing."""
    gone = [face for face in known.faces if face.id not in wish.kept]
    if gone and tx.deliveries.in_doubt(known.id):
        tx.people.remember_lost(known.id, gone)
    tx.photos.forget_unused({face.digest for face in gone})


def _owe(
    tx: Transaction, known: Known, wish: Wish, revision: Revision, *, added: bool, now: datetime, room: Room | None
) -> tuple[Ring, ...]:
    faces = len(wish.new) + len(wish.kept)
    removed = any(face.id not in wish.kept and face.id not in wish.new for face in known.faces)
    if not (added or removed or wish.departed):
        return ()  # only the name or the version changed; libraries are told neither
    urgency = Urgency.REPLACEMENT if added else Urgency.DEPARTURE if wish.departed else Urgency.FACE_DELETION
    verb = "replace" if added else "delete"
    receiving = tx.libraries.receiving()
    if not faces:
        ever = {delivery.library for delivery in tx.deliveries.of_person(known.id)}
        receiving = [library for library in receiving if library in ever]  # nobody else ever heard of the person
    written = tx.deliveries.want(
        dict.fromkeys(receiving, verb),
        known.id,
        revision,
        faces=faces,
        rank=rank(urgency, now),
        now=now,
        rung_until=None if room is None else now + RUNG_FOR,
        room=room if urgency is Urgency.REPLACEMENT else None,  # what must go is rung for at once, always
    )
    return tuple(Ring(one.library, verb, (one.id,)) for one in written if one.rung)
