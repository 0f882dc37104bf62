"""Photos of a SCIM resource <-> faces of a person."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from scim2_models import Name

from syncsvc.intake.dialects.words import MOST_FACES
from syncsvc.intake.scim.models import Photo, User
from syncsvc.model import people
from syncsvc.model.errors import InputError
from syncsvc.model.people import Digest, FaceId

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_WORD = re.compile(r"\w+")
_OTHERWISE = Photo.Type.photo


@dataclass(frozen=True, slots=True)
class Asked:
    """A face that a resource asks for. `picture` is where the photo is, None where it is the one that we have."""

    face: FaceId
    entry: Photo
    picture: str | None


def show(user: User, faces: Sequence[FaceId]) -> None:
    """Make the resource's photos those faces that the person has, in whatever words are remembered of them."""
    remembered = {str(one.value): one for one in user.photos or ()}
    user.photos = [_shown(face, remembered) for face in faces] or None


def asked(user: User) -> list[Asked]:
    """The faces that the resource asks for; nobody who is not there has any.

    A face is called what its entry was loaded as, else by `display`, else by `type`, else "photo"; a second one
    by the same name is "photo-2". Face ids stand in logs and are not sealed, so neither is taken that is not made
    like an id, or is a part of the person's name. Raises InputError for an entry without a picture, and for too many.
    """
    entries = user.photos or [] if user.active else []
    if len(entries) > MOST_FACES:
        raise InputError(f"there are {len(entries)} photos; at most {MOST_FACES} are taken", field="photos")
    taken = {one.face for one in entries if one.face is not None and one.stored}
    names = _names_of(user)
    found = []
    for place, one in enumerate(entries):
        if one.stored and one.face is not None:
            found.append(Asked(one.face, one, None))
        elif one.value:
            face = next(face for face in _ids(one, names) if face not in taken)
            taken.add(face)
            found.append(Asked(face, one, str(one.value)))
        elif one.face is None:  # else a PATCH took the picture out of it, and so the face
            raise InputError(f"photos[{place}] has no value: a data: URI or an https URL is needed", field="photos")
    return found


def pictures_wanted(user: User) -> list[str]:
    """Where the new photos are, each once."""
    return list(dict.fromkeys(one.picture for one in asked(user) if one.picture is not None))


def settle(
    user: User, known: Mapping[FaceId, Digest], pictures: Mapping[str, people.Photo]
) -> tuple[tuple[FaceId, people.Photo | None], ...] | None:
    """The faces that the person shall have, None for a photo that we have already; None: exactly those are there.

    The resource's photos become those faces. A picture that is there already is not added a second time.
    """
    chosen: dict[FaceId, people.Photo | None] = {}
    entries, seen = [], set()
    wanted = asked(user)
    for one in sorted(wanted, key=lambda one: one.picture is not None):
        digest = known[one.face] if one.picture is None else pictures[one.picture].digest
        if one.entry.face is None and digest in seen:
            continue
        seen.add(digest)
        chosen[one.face] = None if one.picture is None else pictures[one.picture]
        if one.entry.face is None and not (one.entry.display or one.entry.type):
            one.entry.type = _OTHERWISE  # what we called it, so that `photos[type eq "photo"]` finds it again
        one.entry.keep_as(one.face)
        entries.append(one.entry)
    user.photos = entries or None
    if chosen.keys() == known.keys() and all(photo is None for photo in chosen.values()):
        return None
    return tuple(chosen.items())


def _shown(face: FaceId, remembered: Mapping[str, Photo]) -> Photo:
    shown = Photo(display=face)
    shown.keep_as(face)
    known = remembered.get(str(shown.value))
    if known is None:
        return shown
    known.keep_as(face)
    return known


def _ids(entry: Photo, names: frozenset[str]) -> Iterator[FaceId]:
    """What a new picture's face may be called, the best first; there is always another."""
    if entry.face is not None:
        yield entry.face
    told = (str(one) for one in (entry.display, entry.type) if one is not None)
    base = next((one for one in told if _ID.fullmatch(one) and one.casefold() not in names), str(_OTHERWISE))
    yield FaceId(base)
    for number in count(2):
        yield FaceId(f"{base}-{number}")


def _names_of(user: User) -> frozenset[str]:
    name = user.name or Name()
    told = (user.user_name, user.display_name, name.formatted, name.given_name, name.middle_name, name.family_name)
    return frozenset(word for one in told if one for word in (one.casefold(), *_WORD.findall(one.casefold())))
