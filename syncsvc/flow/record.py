"""Writes down what a message tells: into the inbox, the person, and one delivery per library."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from syncsvc.flow.apply import RUNG_FOR, Ring, Room
from syncsvc.flow.house import House
from syncsvc.flow.write import Recorded, said_before, write, write_all
from syncsvc.model.changes import Told
from syncsvc.model.people import PersonId
from syncsvc.store import Transaction
from syncsvc.store.changes import Closing, Telling

__all__ = ["RUNG_FOR", "Message", "Recorded", "Ring", "Room", "record", "record_message", "write", "write_all"]


@dataclass(frozen=True, slots=True)
class Message:
    """What one message tells: changes, and employees of whom it says only that something changed.

    The changes have ids of their own; `id` is for the employees.
    """

    source: str
    id: str
    told: tuple[Told, ...] = ()
    employees: tuple[str, ...] = ()


def record(house: House, told: Told, *, ring: bool = True) -> Recorded:
    """Write a change into the inbox, the person, and one delivery per library: one transaction.

    Telling the same thing again changes nothing. `ring` False leaves the deliveries to the sweep, for bulk
    imports. Raises DatabaseUnavailableError; nothing is written then.
    """
    if not ring:
        with house.store.transaction() as tx:
            return write(tx, told, house.clock(), room=None, terms=house.terms)
    (recorded,) = record_message(house, Message(told.source, told.source_id, (told,)))
    return recorded


def record_message(house: House, message: Message) -> list[Recorded]:
    """The same for all that a message tells: one answer for each change, then one for each employee.

    Messages that come in at the same moment share their transaction.
    """
    answer: list[Recorded] | Exception = house.recording(message, partial(_record_all, house))
    if isinstance(answer, Exception):
        raise answer
    return answer


def _record_all(house: House, messages: Sequence[Message]) -> list[list[Recorded] | Exception]:
    try:
        with house.store.transaction() as tx:
            return list(_write_messages(tx, messages, house.clock(), house))
    except Exception as error:  # noqa: BLE001 - raised again by whoever told it
        if len(messages) == 1:
            return [error]
    # One of them cannot be written, or two transactions stood in each other's way: each for itself, then.
    return [answer for one in messages for answer in _record_all(house, [one])]


def _write_messages(
    tx: Transaction, messages: Sequence[Message], now: datetime, house: House
) -> Iterator[list[Recorded]]:
    invalidated = _invalidate(tx, messages, now)
    told = [one for message in messages for one in message.told]
    changes = iter(write_all(tx, told, now, room=house.room(), terms=house.terms))
    for message in messages:
        yield [next(changes) for _ in message.told] + invalidated.get((message.source, message.id), [])


def _invalidate(tx: Transaction, messages: Sequence[Message], now: datetime) -> dict[tuple[str, str], list[Recorded]]:
    """Note whom an HR system must be asked about, before anything is done to people: everybody locks in this order."""
    tellings = {
        Telling(message.source, _entry_id(message, employee), "employee.changed", PersonId(employee)): message
        for message in messages
        for employee in message.employees
    }
    entered = tx.changes.enter(list(tellings), now)
    for source in sorted({source for source, _ in entered}):
        tx.invalidations.note(source, [one.person for one in tellings if (one.source, one.source_id) in entered], now)
    tx.changes.close([Closing(change, "fetching", None) for change in entered.values()])
    answers: dict[tuple[str, str], list[Recorded]] = {}
    for one, message in tellings.items():
        change = entered.get((one.source, one.source_id))
        recorded = said_before(tx, one.source, one.source_id) if change is None else Recorded(change, "fetching", None)
        answers.setdefault((message.source, message.id), []).append(recorded)
    return answers


def _entry_id(message: Message, employee: str) -> str:
    return message.id if len(message.employees) == 1 and not message.told else f"{message.id}#{employee}"
