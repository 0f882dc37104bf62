"""What a change makes of a person: decided from what is known and how far its source has counted."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import assert_never

from syncsvc.model.changes import Change, Departed, FaceDeleted, FaceReplaced, Until, Upserted
from syncsvc.model.people import Digest, FaceId, Source
from syncsvc.store.people import Known
from syncsvc.store.versions import Versions


@dataclass(frozen=True, slots=True)
class Wish:
    """The faces that a person should have after a change: new pictures by face, and unchanged ones.

    `until` None leaves it as it is how long they stay.
    """

    new: dict[FaceId, Source]
    kept: frozenset[FaceId]
    departed: bool = False
    name: str | None = field(default=None, repr=False)
    until: Until | None = None


@dataclass(frozen=True, slots=True)
class Later:
    """What newer changes of the same source were about: these faces, and whether the person is there."""

    faces: frozenset[FaceId] = frozenset()
    presence: bool = False


def overtaken(change: Change, version: int, before: Versions) -> str | None:
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


def later_than(version: int | None, before: Versions) -> Later:
    if version is None:
        return Later()
    faces = frozenset(face for face, count in before.face.items() if count > version)
    return Later(faces, presence=before.presence is not None and before.presence > version)


def wish_of(change: Change, known: Known, have: Mapping[FaceId, Digest | None], later: Later) -> Wish | None:
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
            news = known.departed_at is not None or known.revision == 0 or change.name is not None
            until = _news_of(change, known)
            return Wish({}, frozenset(have), name=change.name, until=until) if news or until is not None else None
        case Upserted(faces=faces):
            if later.presence and known.departed_at is not None:
                return None  # a newer upsert has not kept them from departing, so this one does not bring them back
            told = {face: source for face, source in faces or () if face not in later.faces}
            new = {face: source for face, source in told.items() if have.get(face) != source.digest}
            kept = frozenset(told) - new.keys() | later.faces & have.keys()
            same = not new and kept == have.keys() and known.departed_at is None and known.revision > 0
            name = None if later.presence else change.name
            until = None if later.presence else _news_of(change, known)
            return None if same and name is None and until is None else Wish(new, kept, name=name, until=until)
        case FaceReplaced(face=face, source=source):
            # Only a person.upserted brings somebody back: a face of a departed person is a late message.
            if known.departed_at is not None or have.get(face) == source.digest:
                return None
            return Wish({face: source}, frozenset(have) - {face})
        case FaceDeleted(face=face):
            return Wish({}, frozenset(have) - {face}) if face in have else None
        case _:
            assert_never(change)


def _news_of(change: Upserted, known: Known) -> Until | None:
    """How long the person stays, where that is another moment than we know."""
    same = change.until is None or change.until.moment == known.expires_at
    return None if same else change.until
