"""Writes a SCIM user and the change that it tells in one transaction, and rings for what is owed by it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import uuid4

from scim2_models import ConflictException, NotFoundException, UniquenessException

from syncsvc.flow.record import Recorded, write
from syncsvc.intake.scim.faces import asked, settle
from syncsvc.intake.scim.models import User
from syncsvc.intake.scim.resources import change_between, keep, load, person_of
from syncsvc.model.changes import Change, Departed, Told, Upserted
from syncsvc.model.people import FaceId, PersonId, Photo, Source
from syncsvc.store import Transaction
from syncsvc.store.scim_users import ScimUser
from syncsvc.web.desk import Desk
from syncsvc.web.pictures import checked

_TRIES = 3  # a PATCH may mean other pictures than those it was fetched for, where the user changed in the meantime
_TAKEN = {
    "user_name": "another user has this userName",
    "person": "another user stands for the person of this id already",
}


@dataclass(frozen=True, slots=True)
class Writer:
    """One request that changes something. `demand` raises where the caller wants another version than there is.

    Pictures are fetched before the transaction begins. Every verb raises SCIMException, and InputError or FetchError
    for a picture that cannot be had; nothing is written then.
    """

    desk: Desk
    caller: str
    base: str
    demand: Callable[[ScimUser], None]
    pictures: dict[str, Photo] = field(default_factory=dict, repr=False)  # by where they were fetched from

    def add(self, user: User) -> ScimUser:
        """Keep a new resource; a person whom we know already by this id is joined."""
        id_, person = str(uuid4()), person_of(user)
        self._fetch(person, user)
        wanted = self._given(user)
        change = change_between(person, None, user, wanted)
        with self.desk.service.house.store.transaction() as tx:
            if taken := tx.scim_users.add(id_, person, keep(user), self.desk.service.house.clock()):
                raise UniquenessException(detail=_TAKEN[taken])
            recorded = self._tell(tx, change)
            stored = _found(tx.scim_users.get(id_))
        self._ring(recorded)
        return stored

    def amend(self, id_: str, alter: Callable[[User], User]) -> ScimUser:
        """Make of the resource what `alter` makes of it. It is asked once to fetch pictures, and again to write."""
        for _ in range(_TRIES):
            with self.desk.service.house.store.reading() as tx:
                stored = self._demanded(tx.scim_users.get(id_))
            self._fetch(stored.person, alter(load(stored, self.base)))
            with self.desk.service.house.store.transaction() as tx:
                stored = self._demanded(tx.scim_users.lock(id_))
                after = alter(load(stored, self.base))
                if self._missing(after):
                    continue
                recorded = self._amend(tx, stored, after)
                stored = _found(tx.scim_users.get(id_))
            self._ring(recorded)
            return stored
        raise ConflictException(detail="the user changed at the same time, again and again; repeat the request")

    def remove(self, id_: str) -> None:
        """Forget the resource and its names; the person departs."""
        with self.desk.service.house.store.transaction() as tx:
            stored = self._demanded(tx.scim_users.lock(id_))
            tx.scim_users.remove(id_)
            recorded = self._tell(tx, Departed(stored.person))
        self._ring(recorded)

    def _amend(self, tx: Transaction, stored: ScimUser, after: User) -> Recorded | None:
        before = load(stored, self.base)
        wanted = self._wanted(tx, stored, after)
        recorded = self._tell(tx, change_between(stored.person, before, after, wanted))
        told_news = recorded is not None and recorded.effect == "applied"
        if (told_news or keep(after) != keep(before)) and not tx.scim_users.amend(
            stored.id, keep(after), self.desk.service.house.clock()
        ):
            raise UniquenessException(detail=_TAKEN["user_name"])
        return recorded

    def _given(self, user: User) -> tuple[tuple[FaceId, Source], ...] | None:
        """The faces of a new resource: exactly these where it has photos at all."""
        if user.photos is None or not user.active:
            settle(user, {}, self.pictures)
            return None
        return tuple((face, photo) for face, photo in settle(user, {}, self.pictures) or () if photo is not None)

    def _wanted(self, tx: Transaction, stored: ScimUser, after: User) -> list[tuple[FaceId, Source]] | None:
        known = {face.id: face.digest for face in stored.faces}
        settled = settle(after, known, self.pictures)
        if settled is None:
            return None
        sources = ((face, photo or tx.photos.get(known[face])) for face, photo in settled)
        return [(face, source) for face, source in sources if source is not None]

    def _fetch(self, person: PersonId, user: User) -> None:
        missing = self._missing(user)
        for where in dict.fromkeys(missing.values()):
            self.pictures[where] = self.desk.service.photos.fetch(where)
        new = tuple((face, self.pictures[where]) for face, where in missing.items())
        checked(self.desk, Upserted(person, new))

    def _missing(self, user: User) -> dict[FaceId, str]:
        """Faces whose new pictures have not been fetched yet, and where these are."""
        new = {one.face: one.picture for one in asked(user) if one.picture is not None}
        return {face: where for face, where in new.items() if where not in self.pictures}

    def _tell(self, tx: Transaction, change: Change | None) -> Recorded | None:
        if change is None:
            return None
        house = self.desk.service.house
        told = Told(source=f"scim:{self.caller}", source_id=uuid4().hex, change=change)
        return write(tx, told, house.clock(), room=house.room(), terms=house.terms)

    def _ring(self, recorded: Recorded | None) -> None:
        if recorded is not None:
            self.desk.ring(recorded.rings)

    def _demanded(self, stored: ScimUser | None) -> ScimUser:
        found = _found(stored)
        self.demand(found)
        return found


def _found(stored: ScimUser | None) -> ScimUser:
    if stored is None:
        raise NotFoundException(detail="there is no such user")
    return stored
