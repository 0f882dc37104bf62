"""What operators do by hand: stop and start a library, deliver somebody again, fill a new library."""

from syncsvc.flow.apply import RUNG_FOR, Ring
from syncsvc.flow.house import House
from syncsvc.model.errors import NotFoundError
from syncsvc.model.people import LibraryName, PersonId
from syncsvc.model.urgency import Urgency, rank
from syncsvc.store.rows import Want


def pause(house: House, name: LibraryName) -> bool:
    """Send nothing more to a library; what is owed waits. False: it was paused already."""
    return _set_state(house, name, "paused", reason="paused", detail="paused by an operator")


def resume(house: House, name: LibraryName) -> bool:
    """Let a paused or halted library work again, with its breaker closed. False: it was working already."""
    return _set_state(house, name, "active")


def resync(house: House, person: PersonId) -> list[Ring]:
    """Owe the person to every library again, as they should be now; each library is read first.

    Also reopens what was refused or exhausted. Raises NotFoundError for somebody who was never recorded.
    """
    now = house.clock()
    with house.store.transaction() as tx:
        known = tx.people.get(person)
        if known is None:
            raise NotFoundError(f"nobody is known as {person!r}; ids are case-sensitive, as the HR system sends them")
        known = tx.people.lock(person, now)
        receiving = tx.libraries.receiving()
        if not known.faces:
            ever = {delivery.library for delivery in tx.deliveries.of_person(person)}
            receiving = [library for library in receiving if library in ever]
        verb = "replace" if known.faces else "delete"
        urgency = Urgency.REPAIR if known.faces else Urgency.DEPARTURE
        wants = [
            Want(library, person, verb, known.revision, len(known.faces), rank(urgency, now), now + RUNG_FOR)
            for library in receiving
        ]
        written = tx.deliveries.want(wants, now)
        for one in written:
            tx.deliveries.look_again(one.id, now)
    return [Ring(one.library, verb, (one.id,)) for one in written]


def fill(house: House, name: LibraryName) -> int:
    """Owe everybody who has a face to a library that was never told of them; returns how many.

    For a library that is new and empty. One that already holds people is adopted first, or they are there twice.
    """
    house.shelf(name)
    now = house.clock()
    with house.store.transaction() as tx:
        return tx.deliveries.want_everybody(name, rank=rank(Urgency.REPAIR, now), now=now)


def _set_state(
    house: House, name: LibraryName, state: str, *, reason: str | None = None, detail: str | None = None
) -> bool:
    house.shelf(name)
    with house.store.transaction() as tx:
        return tx.libraries.set_state(name, state, house.clock(), reason=reason, detail=detail)
