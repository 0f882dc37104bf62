"""Writes down a change and, in the same stroke, what every library is now owed."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import assert_never

from syncsvc.flow.house import House
from syncsvc.flow.postpone import postpone
from syncsvc.flow.wishes import Wish, later_than, overtaken, wish_of
from syncsvc.model.changes import Change, Departed, FaceDeleted, FaceReplaced, Told, Upserted
from syncsvc.model.people import Digest, FaceId, LibraryName, PersonId, Photo, Revision
from syncsvc.model.urgency import Urgency, rank
from syncsvc.store import Transaction
from syncsvc.store.people import Known, Versions
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
    """What became of a telling. `again`: it was told before.

    `effect`: applied, unchanged, old_news; waiting for a departure whose moment has not come; fetching for an
    employee of whom the HR system must be asked first.
    """

    change: str
    effect: str
    revision: Revision | None
    again: bool = False
    rings: tuple[Ring, ...] = ()


@dataclass(frozen=True, slots=True)
class Message:
    """What one message tells: changes, and employees of whom it says only that something changed."""

    source: str
    id: str
    told: tuple[Told, ...] = ()
    employees: tuple[str, ...] = ()


def record(house: House, told: Told, *, ring: bool = True) -> Recorded:
    """Write a change into the inbox, the person, and one delivery per library: one transaction.

    Telling the same thing again changes nothing. `ring` False leaves the deliveries to the sweep, for bulk
    imports. Raises DatabaseUnavailableError; nothing is written then.
    """
    (recorded,) = record_message(house, Message(told.source, told.source_id, (told,)), ring=ring)
    return recorded


def record_message(house: House, message: Message, *, ring: bool = True) -> list[Recorded]:
    """The same for all that a message tells: one answer for each change, then one for each employee.

    Messages that come in at the same moment share their transaction.
    """
    answer: list[Recorded] | Exception = house.recording((message, ring), partial(_record_all, house))
    if isinstance(answer, Exception):
        raise answer
    return answer


def _record_all(house: House, asked: Sequence[tuple[Message, bool]]) -> list[list[Recorded] | Exception]:
    try:
        with house.store.transaction() as tx:
            now, room = house.clock(), house.room()
            return [_write_message(tx, message, now, room if ring else None) for message, ring in asked]
    except Exception as error:  # noqa: BLE001 - raised again by whoever told it
        if len(asked) == 1:
            return [error]
    # One of them cannot be written, or two transactions stood in each other's way: each for itself, then.
    return [answer for one in asked for answer in _record_all(house, [one])]


def _write_message(tx: Transaction, message: Message, now: datetime, room: Room | None) -> list[Recorded]:
    recorded = [write(tx, told, now, room=room) for told in message.told]
    for employee in message.employees:
        source_id = message.id if message.employees == (employee,) else f"{message.id}#{employee}"
        entered = tx.changes.enter(
            message.source, source_id, kind="employee.changed", person=PersonId(employee), version=None, now=now
        )
        if entered is None:
            recorded.append(_said_before(tx, message.source, source_id))
            continue
        tx.invalidations.note(message.source, [employee], now)
        tx.changes.close(entered, "fetching", None)
        recorded.append(Recorded(entered, "fetching", None))
    return recorded


def write(tx: Transaction, told: Told, now: datetime, *, room: Room | None) -> Recorded:
    """The body of `record`, for callers that write several changes in one transaction.

    `room` is how much each library takes at once; None: nothing is rung.

    Versions order what one source says of one person, and only that: between sources, and where there is no
    version, the order of arrival counts. A departure and an upsert with faces say everything: what is older
    says nothing new, and of their own only a face that a newer change was about stays as that change left
    it. A departure takes that face as well, since only a `person.upserted` brings somebody back. An upsert
    without faces says that the person is there, and nothing of faces. A change of one face is older or newer
    than other changes of this face and than the last change of all, not than those of other faces.
    """
    change = told.change
    entered = tx.changes.enter(
        told.source, told.source_id, kind=_KINDS[type(change)], person=change.person, version=told.version, now=now
    )
    if entered is None:
        return _said_before(tx, told.source, told.source_id)
    known = tx.people.lock(change.person, now)
    versions = Versions() if told.version is None else tx.people.versions(known.id, told.source)
    effect = None if told.version is None else overtaken(change, told.version, versions)
    if effect is None and isinstance(change, Departed):
        effect = postpone(tx, entered, told, now)
    if effect is not None:
        tx.changes.close(entered, effect, known.revision)
        return Recorded(entered, effect, known.revision)
    cancelled = told.cancels_departure and tx.changes.cancel_waiting(change.person) > 0
    wish = wish_of(_without_known_name(tx, change), known, _have(tx, change, known), later_than(told.version, versions))
    if told.version is not None:
        _note(tx, told, told.version, versions, known)
    if wish is None:
        effect = "applied" if cancelled else "unchanged"
        tx.changes.close(entered, effect, known.revision)
        return Recorded(entered, effect, known.revision)
    return apply(tx, entered, known, wish, now, room=room)


def _said_before(tx: Transaction, source: str, source_id: str) -> Recorded:
    before = tx.changes.said_before(source, source_id)
    return Recorded(before.id, before.effect, before.revision, again=True)


def apply(tx: Transaction, entered: str, known: Known, wish: Wish, now: datetime, *, room: Room | None) -> Recorded:
    """Write the person's next revision and what each library is owed of it; the person is locked."""
    revision = Revision(known.revision + 1)
    tx.people.amend(known.id, revision, now, departed=wish.departed, name=None if wish.departed else wish.name)
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


def _note(tx: Transaction, told: Told, version: int, before: Versions, known: Known) -> None:
    """Remember how far the source has counted, also where its change changed nothing."""
    presence = version if before.presence is None else max(version, before.presence)
    source = told.source
    match told.change:
        case Departed():
            # Their later pictures are gone with the person, and who is back is better shown an older one than none.
            # Of faces that are not there a deletion was told, and that still counts.
            left = [face.id for face in known.faces]
            tx.people.note_versions(known.id, source, Versions(presence, version), left=left)
        case Upserted(faces=None):
            tx.people.note_versions(known.id, source, Versions(presence))
        case Upserted():
            tx.people.note_versions(known.id, source, Versions(presence, version))
        case FaceReplaced() if known.departed_at is not None:
            pass  # nobody keeps the picture: were it counted, an upsert that it overtook would come without the face
        case FaceReplaced(face=face) | FaceDeleted(face=face):
            tx.people.note_versions(known.id, source, Versions(face={face: version}))
        case _:
            assert_never(told.change)


def _have(tx: Transaction, change: Change, known: Known) -> dict[FaceId, Digest | None]:
    """The pictures that we have; None for one whose stored copy nobody can open, so that told again it is new."""
    told_again = isinstance(change, FaceReplaced) or (isinstance(change, Upserted) and change.faces)
    gone: Collection[Digest] = ()
    if told_again and known.faces:
        gone = tx.photos.locked_away({face.digest for face in known.faces})
    return {face.id: None if face.digest in gone else face.digest for face in known.faces}


def _write_faces(tx: Transaction, known: Known, wish: Wish, revision: Revision, now: datetime) -> bool:
    """Store new pictures and drop old faces; whether any picture is new."""
    for face, source in sorted(wish.new.items(), key=lambda one: one[1].digest):  # photos are locked in this order
        origin = source.origin if isinstance(source, Photo) else None
        tx.people.set_face(known.id, face, tx.photos.keep(source, now), revision, origin=origin)
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
