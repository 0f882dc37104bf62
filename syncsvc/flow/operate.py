"""What operators do by hand: stop and start a library, deliver somebody again, fill a new library."""

from collections.abc import Sequence

from syncsvc.flow.apply import RUNG_FOR, Ring
from syncsvc.flow.house import House
from syncsvc.model.errors import InputError, NotFoundError
from syncsvc.model.people import LibraryName, PersonId
from syncsvc.model.urgency import Urgency, rank
from syncsvc.store.rows import Want

AT_ONCE = 500  # people of one transaction


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
        ever = {delivery.library for delivery in tx.deliveries.of_person(person)}
        receiving, retiring = tx.libraries.receiving(), tx.libraries.retiring()
        faces = {library: len(known.faces) for library in receiving if known.faces or library in ever}
        faces |= {library: 0 for library in retiring if library in ever}
        urgency = Urgency.REPAIR if known.faces else Urgency.DEPARTURE
        wants = [
            Want(library, person, _verb(count), known.revision, count, rank(urgency, now), now + RUNG_FOR)
            for library, count in sorted(faces.items())
        ]
        written = tx.deliveries.want(wants, now)
        for one in written:
            tx.deliveries.look_again(one.id, now)
    return [Ring(one.library, _verb(faces[one.library]), (one.id,)) for one in written]


def fill(house: House, name: LibraryName) -> int:
    """Owe everybody who has a face to a library that was never told of them; returns how many.

    For a library that is new and empty. One that already holds people is adopted first, or they are there twice.
    Some hundred people in each transaction: whoever is stopped in the middle says it again, and it goes on with those
    who are left. Raises InputError for a library that is being retired.
    """
    house.shelf(name)
    now, owed = house.clock(), 0
    page: Sequence[PersonId] = [PersonId("")]
    while page:
        with house.store.transaction() as tx:
            state = tx.libraries.get(name)
            if state is not None and state.wants_nobody:
                raise InputError(f"{name} is being retired; `syncsvc library retire {name} --undo` first")
            page = tx.people.page(after=page[-1], limit=AT_ONCE)
            owed += tx.deliveries.want_all(name, page, rank=rank(Urgency.REPAIR, now), now=now)
    return owed


def _verb(faces: int) -> str:
    return "replace" if faces else "delete"


def _set_state(
    house: House, name: LibraryName, state: str, *, reason: str | None = None, detail: str | None = None
) -> bool:
    house.shelf(name)
    with house.store.transaction() as tx:
        return tx.libraries.set_state(name, state, house.clock(), reason=reason, detail=detail)
