"""In words: what an errand would do for a person in a library, what keeps it from that, and what somebody can do."""

from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from syncsvc.model.people import Held, HeldFace, LibraryName, PersonId
from syncsvc.model.plan import Add, Remove, Step, Swap
from syncsvc.store.libraries import LibraryState
from syncsvc.store.rows import Delivery
from syncsvc.store.statements import OPEN_STATES


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one person in one library; `row` None: never told of them. `permits`: why there are none."""

    person: PersonId
    library: LibraryName
    policy: str
    state: LibraryState | None
    row: Delivery | None
    now: datetime
    permits: str | None

    @property
    def retiring(self) -> bool:
        return self.state is not None and self.state.retiring_at is not None


def words_of(would: tuple[Step, ...], facts: Facts, *, kept: Held, departed: bool) -> tuple[str, ...]:
    """One sentence for each step; one that says so where there is nothing to do."""
    first = []
    if facts.row is not None and facts.row.state == "doubtful":
        first = ["read what the library holds for the person: an earlier try left it open, or somebody asked for it"]
    said = [word for step in would for word in _step(step, kept, _why_gone(facts, departed=departed))]
    return (*first, *said) or ("nothing: the library holds exactly what is wanted, as far as we know",)


def obstacles(facts: Facts, *, anything: bool) -> tuple[str, ...]:
    """Why it is not done at this moment; nothing where it is done already."""
    return (*_of_library(facts), *_of_delivery(facts, anything=anything))


def _of_library(facts: Facts) -> list[str]:
    state = facts.state
    found: list[str] = []
    if facts.policy == "observe":
        found.append("the library is only observed: nothing is ever sent to it")
    if state is not None and state.state != "active":
        found.append(f"the library is {state.state}: {state.detail or state.reason or 'no reason is known'}")
    if state is not None and state.open_until is not None and state.open_until > facts.now:
        until = f"{state.open_until:%Y-%m-%d %H:%M:%S} UTC"
        found.append(f"the library failed {state.failures} times in a row; nothing is sent to it before {until}")
    if facts.retiring:
        found.append("the library is being retired: nobody is wanted there any more")
    if facts.permits:
        found.append(facts.permits)
    return found


def _of_delivery(facts: Facts, *, anything: bool) -> list[str]:
    row = facts.row
    if row is None:
        untold = anything and facts.policy != "observe"
        return ["the library was never told of the person, so nothing is owed to it"] if untold else []
    detail = row.detail or row.reason or "no reason is known"
    if row.state == "refused":
        which = f" (face {row.face})" if row.face else ""
        return [f"the library refused it{which}: {detail}"]
    if row.state == "exhausted":
        return [f"it was given up after {row.attempts} attempts: {detail}"]
    if row.state in OPEN_STATES:
        return _waits(row, facts.now)
    return ["nothing is owed just now; reconciliation finds the difference, or a resync"] if anything else []


def next_of(facts: Facts, *, anything: bool) -> tuple[str, ...]:
    """The commands that help, where somebody must do something."""
    row, state = facts.row, facts.state
    found: list[str] = []
    if state is not None and state.state != "active":
        mend = "; mend what it says first" if state.state == "halted" else ""
        found.append(f"syncsvc library resume {facts.library}{mend}")
    if row is not None and row.state == "refused":
        face = row.face or "FACE"
        found.append(f"syncsvc face replace {facts.person} --face {face} --photo FILE")
    if row is not None and row.state in {"refused", "exhausted"}:
        found.append(f"syncsvc person resync {facts.person}")
    if row is None and anything and facts.policy != "observe" and not facts.retiring:
        found.append(f"syncsvc person resync {facts.person}")
    if row is not None and row.state == "synced" and anything and facts.policy != "observe":
        found.append(f"syncsvc person resync {facts.person}")
    return tuple(found)


def _waits(row: Delivery, now: datetime) -> list[str]:
    if row.leased_until is not None and row.leased_until > now:
        return [f"somebody is at it now (until {row.leased_until:%H:%M:%S} UTC at the latest)"]
    if row.due_at <= now:
        return ["it is due, and waits for its turn"]
    words = f"it is tried again at {row.due_at:%Y-%m-%d %H:%M:%S} UTC"
    why = row.detail or row.reason
    return [f"{words}, after {row.attempts} attempts" + (f": {why}" if why else "")]


def _step(step: Step, kept: Held, gone: str) -> list[str]:
    match step:
        case Add(face):
            return [f"add face {face.id}: it is wanted, and the library does not hold it"]
        case Swap(old, face):
            return [f"replace {old.vendor_face_id} by face {face.id}: its picture is not the wanted one"]
        case Remove(faces, making_room):
            return [_removal(one, kept, gone, making_room=making_room) for one in faces]
        case _:
            assert_never(step)


def _removal(one: HeldFace, kept: Held, gone: str, *, making_room: bool) -> str:
    if one in kept:
        return f"leave {one.vendor_face_id} although it is unwanted: the policy is upsert-only"
    if making_room:
        return f"remove {one.vendor_face_id} first: the person has as many faces there as the vendor allows"
    return f"remove {one.vendor_face_id}: {_why(one, gone)}"


def _why(face: HeldFace, gone: str) -> str:
    if gone:
        return gone
    if face.face_id is None:
        return "it is ours, and of no wanted picture"
    return f"it is an earlier or a second face {face.face_id}, or the person has no such face any more"


def _why_gone(facts: Facts, *, departed: bool) -> str:
    if departed:
        return "the person has departed"
    return "the library is being retired" if facts.retiring else ""
