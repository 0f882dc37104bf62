"""Writes down a change and, in the same stroke, what every library is now owed."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import assert_never

from syncsvc.flow.house import House
from syncsvc.model.changes import Change, Departed, FaceDeleted, FaceReplaced, Told, Upserted
from syncsvc.model.people import Digest, FaceId, LibraryName, Revision, Source
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


@dataclass(frozen=True, slots=True)
class Later:
    """What newer changes of the same source were about: these faces, and whether the person is there."""

    faces: frozenset[FaceId] = frozenset()
    presence: bool = False


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
        before = tx.changes.said_before(told.source, told.source_id)
        return Recorded(before.id, before.effect, before.revision, again=True)
    known = tx.people.lock(change.person, now)
    versions = Versions() if told.version is None else tx.people.versions(known.id, told.source)
    effect = None if told.version is None else _overtaken(change, told.version, versions)
    if effect is not None:
        tx.changes.close(entered, effect, known.revision)
        return Recorded(entered, effect, known.revision)
    have = _have(tx, change, known)
    wish = _wish(_without_known_name(tx, change), known, have, _later(told.version, versions))
    if told.version is not None:
        _note(tx, told, told.version, versions, known)
    if wish is None:
        tx.changes.close(entered, "unchanged", known.revision)
        return Recorded(entered, "unchanged", known.revision)
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


def _overtaken(change: Change, version: int, before: Versions) -> str | None:
    """What becomes of a change that its source has already said more than: its effect; None where it is news."""
    match change:
        case FaceReplaced(face=face) | FaceDeleted(face=face):
            counts = [before.faces, before.face.get(face)]
        case Upserted(faces=None):
            counts = [before.presence]
        case _:
            if version == before.presence:
                return "unchanged"
            counts = [before.faces]
    last = max((count for count in counts if count is not None), default=None)
    if last is not None and version <= last:
        return "unchanged" if version == last else "old_news"
    return None


def _later(version: int | None, before: Versions) -> Later:
    if version is None:
        return Later()
    faces = frozenset(face for face, count in before.face.items() if count > version)
    return Later(faces, presence=before.presence is not None and before.presence > version)


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


def _wish(change: Change, known: Known, have: Mapping[FaceId, Digest | None], later: Later) -> Wish | None:
    """What the change makes of the person; None where it says only what we know, or comes too late to count."""
    match change:
        case Departed() if later.presence:  # and back since: only the faces of the time before are gone
            kept = later.faces & have.keys()
            return None if kept == have.keys() else Wish({}, kept)
        case Departed():
            wish = Wish({}, frozenset(), departed=True)
            never_seen = known.revision == 0
            return None if known.departed_at is not None and not have and not never_seen else wish
        case Upserted(faces=None):
            revived = known.departed_at is not None or known.revision == 0
            return Wish({}, frozenset(have), name=change.name) if revived or change.name is not None else None
        case Upserted(faces=faces):
            if later.presence and known.departed_at is not None:
                return None  # a newer upsert has not kept them from departing, so this one does not bring them back
            told = {face: source for face, source in faces or () if face not in later.faces}
            new = {face: source for face, source in told.items() if have.get(face) != source.digest}
            kept = frozenset(told) - new.keys() | later.faces & have.keys()
            same = not new and kept == have.keys() and known.departed_at is None and known.revision > 0
            name = None if later.presence else change.name
            return None if same and name is None else Wish(new, kept, name=name)
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
