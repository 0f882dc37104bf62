"""Writes people's next revisions, and in the same stroke what every library is owed of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from syncsvc.flow.wishes import Wish
from syncsvc.model.people import Face, FaceId, LibraryName, PersonId, Photo, Revision
from syncsvc.model.urgency import Urgency, rank
from syncsvc.store import Transaction
from syncsvc.store.people import Amended, FaceRow, Known
from syncsvc.store.rows import Want

Room = Mapping[LibraryName, int]

RUNG_FOR = timedelta(seconds=5)  # how long a bell is trusted to be heard before the sweep rings again


@dataclass(frozen=True, slots=True)
class Ring:
    """The bell for some deliveries of one library; it may be lost or doubled without harm."""

    library: LibraryName
    verb: str
    deliveries: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Granted:
    """A wish that is to come true, for a person who is locked."""

    known: Known
    wish: Wish

    @property
    def revision(self) -> Revision:
        return Revision(self.known.revision + 1)

    @property
    def added(self) -> bool:
        return bool(self.wish.new)

    @property
    def gone(self) -> list[FaceId]:
        """Faces that the person has no more; one with a new picture is not among them."""
        return [face.id for face in self.known.faces if face.id not in self.wish.kept | self.wish.new.keys()]

    @property
    def owes(self) -> bool:
        """Whether libraries have anything to do; only the name changed, otherwise, and they are told no names."""
        return self.added or bool(self.gone) or self.wish.departed

    @property
    def urgency(self) -> Urgency:
        if self.added:
            return Urgency.REPLACEMENT
        return Urgency.DEPARTURE if self.wish.departed else Urgency.FACE_DELETION


def apply(
    tx: Transaction, granted: Sequence[Granted], now: datetime, *, room: Room | None
) -> dict[PersonId, tuple[Ring, ...]]:
    """Write the wishes of several people, each once; returns what to ring for.

    `room` is how much each library takes at once; None: nothing is rung.
    """
    if not granted:
        return {}
    tx.people.amend([_amended(one) for one in granted], now)
    _write_faces(tx, granted, now)
    rings = _owe(tx, [one for one in granted if one.owes], now, room)
    _forget_pictures(tx, granted)
    # Whoever is told to depart again, without having come back, departs once.
    gone = [one for one in granted if one.wish.departed and one.known.departed_at is None]
    tx.erasures.open({one.known.id: one.revision for one in gone}, now)
    return rings


def _amended(one: Granted) -> Amended:
    wish = one.wish
    return Amended(one.known, one.revision, departed=wish.departed, name=wish.name, until=wish.until)


def _write_faces(tx: Transaction, granted: Sequence[Granted], now: datetime) -> None:
    new = [(one, face, source) for one in granted for face, source in one.wish.new.items()]
    if new:
        tx.photos.hold({source.digest for _, _, source in new} | {face.digest for _, face in _lost(granted)})
    tx.photos.keep_all((source for _, _, source in new), now)
    tx.people.set_faces(
        [
            FaceRow(
                one.known.id, face, source.digest, one.revision, source.origin if isinstance(source, Photo) else None
            )
            for one, face, source in new
        ]
    )
    tx.people.drop_faces([(one.known.id, face) for one in granted for face in one.gone])


def _forget_pictures(tx: Transaction, granted: Sequence[Granted]) -> None:
    """Let go of what people no longer have, unless a library may have it without our knowing."""
    gone = _lost(granted)
    if not gone:
        return
    doubted = tx.deliveries.in_doubt({person for person, _ in gone})
    tx.people.remember_lost([(person, face) for person, face in gone if person in doubted])
    tx.photos.forget_unused({face.digest for _, face in gone})


def _lost(granted: Sequence[Granted]) -> list[tuple[PersonId, Face]]:
    return [(one.known.id, face) for one in granted for face in one.known.faces if face.id not in one.wish.kept]


def _owe(
    tx: Transaction, granted: Sequence[Granted], now: datetime, room: Room | None
) -> dict[PersonId, tuple[Ring, ...]]:
    if not granted:
        return {}
    left = {one.known.id for one in granted if not one.wish.new and not one.wish.kept}
    retiring = tx.libraries.retiring() if left else []  # nobody is wanted there: only who departs goes any sooner
    receiving = sorted({*tx.libraries.receiving(), *retiring})
    told = tx.deliveries.ever_told(left)  # nobody else ever heard of somebody without a face
    free = _free(tx, receiving, now, room)
    wants = []
    for one in granted:
        verb = "replace" if one.added else "delete"
        for library in receiving:
            if library in told[one.known.id] if one.known.id in left else library not in retiring:
                rung = room is not None and _take_room(free, room, library, one.urgency)
                wants.append(
                    Want(
                        library=library,
                        person=one.known.id,
                        verb=verb,
                        revision=one.revision,
                        faces=len(one.wish.new) + len(one.wish.kept),
                        rank=rank(one.urgency, now),
                        rung_until=now + RUNG_FOR if rung else None,
                    )
                )
    verbs = {one.person: one.verb for one in wants}
    rings: dict[PersonId, tuple[Ring, ...]] = {}
    for owed in tx.deliveries.want(wants, now):
        if owed.rung:
            ring = Ring(owed.library, verbs[owed.person], (owed.id,))
            rings[owed.person] = (*rings.get(owed.person, ()), ring)
    return rings


def _free(
    tx: Transaction, receiving: Sequence[LibraryName], now: datetime, room: Room | None
) -> dict[LibraryName, int]:
    """How many more each library can take just now, as far as that is known."""
    if room is None:
        return {}
    busy = tx.deliveries.busy_in(receiving, now)
    return {name: room[name] - busy.get(name, 0) for name in receiving if name in room}


def _take_room(free: dict[LibraryName, int], room: Room, library: LibraryName, urgency: Urgency) -> bool:
    """Whether to ring: where there is no room another bell would only wait, less urgent than what comes after it.

    What must go has as much room again, of its own. Beyond that it is first among what is rung for next.
    """
    if library not in free:  # nobody knows how much it takes
        return True
    left = free[library]
    if urgency is not Urgency.REPLACEMENT:
        left += room[library]
    if left > 0:
        free[library] -= 1
    return left > 0
