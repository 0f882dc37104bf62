"""A plan as a file: what reconciliation would do and the world that it rests on; and carrying out just that.

JSON Lines: a header, one line for each step, and a trailer with the SHA-256 of all lines before it. It holds ids and
keys of people, and neither names nor pictures.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from syncsvc.flow.compare import compare
from syncsvc.flow.house import House
from syncsvc.flow.mend import MENDING, carry_out, decide
from syncsvc.flow.reconcile import ONLY_LOOKING
from syncsvc.model.compare import Party
from syncsvc.model.errors import InputError
from syncsvc.model.people import LibraryName
from syncsvc.store.comparing import Compared
from syncsvc.store.situations import START, Odd

FORMAT = 1
AT_ONCE = 500
ANEW = "make a new plan with `syncsvc reconcile plan`"
LONGEST = 1 << 20  # bytes of a line; ours are shorter

Line = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Planned:
    """What a plan would do: steps, and for each library its situations and how many people would lose a face."""

    steps: int
    counts: Mapping[LibraryName, Mapping[str, int]]
    people: Mapping[LibraryName, int]
    checksum: str


def write_plan(house: House, names: Sequence[LibraryName], file: Path) -> Planned:
    """Compare the newest listings of these libraries, and write what would be done; nothing is done."""
    for name in names:
        compare(house, name)
    found = [_listing(house, name) for name in sorted(names)]
    checksum, steps = hashlib.sha256(), 0
    people: dict[LibraryName, int] = {}
    with file.open("wb") as out:

        def write(line: Line) -> None:
            encoded = _encoded(line)
            checksum.update(encoded)
            out.write(encoded)

        libraries = [_library(house, one) for one in found]
        write({"syncsvc_plan": FORMAT, "made_at": house.clock().isoformat(), "libraries": libraries})
        for listing in found:
            for step in _steps(house, listing):
                write(step)
                steps += 1
            with house.store.reading() as tx:
                people[listing.library] = tx.situations.leaving(listing.library, listing.run)
        counts = {one.library: dict(one.counts) for one in found}
        trailer = {"steps": steps, "counts": counts, "people": people}
        write({"plan": trailer})
        out.write(_encoded({"sha256": checksum.hexdigest()}))
    for listing in found:  # nobody goes on with it but by the file
        if listing.cause == ONLY_LOOKING and listing.state == "compared":
            with house.store.transaction() as tx:
                tx.comparing.move_on(listing.library, listing.run, "done", before="compared")
    return Planned(steps, counts, people, checksum.hexdigest())


def apply_plan(house: House, file: Path, *, approved: int | None = None) -> Mapping[LibraryName, int]:
    """Do what the plan says, and nothing else; how many faces of each library were seen to.

    Raises InputError where a line was changed, or the world is not any more as the plan found it: nothing was done
    then. Raises UnsafePlanError where the removal guard says no; `approved` is how many people may lose a face.
    """
    header = _check_whole(file)
    found = [_same_library(house, one) for one in header["libraries"]]
    fresh = [one for one in found if one.state != MENDING]  # the others were decided, and interrupted
    steps = _Steps(file)
    for listing in found:
        if listing in fresh:
            _same_steps(house, listing, steps.of(listing.library))
    if fresh:
        decide(house, fresh, approved=approved)
    return {one.library: carry_out(house, one.library) for one in found}


def _steps(house: House, listing: Compared) -> Iterator[Line]:
    """The steps of one library in the order in which the database keeps them, with the world that each rests on."""
    place = START
    while True:
        with house.store.reading() as tx:
            odd = tx.situations.of_run(listing.library, listing.run, after=place, limit=AT_ONCE, to_do=True)
            persons = {one.person for one in odd if one.person}
            parties = tx.comparing.parties(listing.library, persons, listing.started_at)
        if not odd:
            return
        for one in odd:
            yield _step(one, parties.get(one.person))
        place = odd[-1].key


def _step(odd: Odd, party: Party | None) -> Line:
    return {
        "library": odd.library,
        "person": odd.person or None,
        "vendor_face_id": odd.vendor_face_id,
        "person_key": odd.person_key,
        "situation": odd.situation.value,
        "reaction": odd.reaction.value if odd.reaction else None,
        "note": odd.note,
        "revision": party.revision if party else None,
        "held": _held(party) if party else None,
    }


def _held(party: Party) -> str:
    faces = sorted([one.vendor_face_id, one.face_id or "", one.digest or ""] for one in party.held)
    return hashlib.sha256(json.dumps(faces).encode()).hexdigest()


def _library(house: House, listing: Compared) -> Line:
    shelf = house.shelf(listing.library)
    return {
        "library": listing.library,
        "listing": listing.run,
        "read_at": listing.started_at.isoformat(),
        "completeness": listing.completeness.value if listing.completeness else None,
        "why": listing.why,
        "policy": shelf.policy,
        "owned": shelf.owned,
    }


def _listing(house: House, name: LibraryName) -> Compared:
    with house.store.reading() as tx:
        listing = tx.comparing.listing(name)
    assert listing is not None, "it was compared"
    return listing


# --- reading one back ---------------------------------------------------------------------------------------------


def _check_whole(file: Path) -> Line:
    """The header of a file that is exactly what was written. Raises InputError, also for what is no plan at all."""
    checksum, before, header = hashlib.sha256(), b"", None
    for raw in _raw_lines(file):
        if before:
            checksum.update(before)
            header = header if header is not None else _decoded(before, file)
        before = raw
    if header is None or header.get("syncsvc_plan") != FORMAT:
        raise InputError(f"{file} is not a plan that `syncsvc reconcile plan` of this version wrote")
    if _decoded(before, file).get("sha256") != checksum.hexdigest():
        raise InputError(f"{file} was changed or cut off after it was made; a plan is applied whole or not: {ANEW}")
    return header


class _Steps:
    """The steps of a plan, one library after the other."""

    def __init__(self, file: Path) -> None:
        self._lines = (line for raw in _raw_lines(file) if "vendor_face_id" in (line := _decoded(raw, file)))
        self._next: Line | None = next(self._lines, None)

    def of(self, library: LibraryName) -> Iterator[Line]:
        """To be asked in the plan's order of libraries; those that are not asked for are passed over."""
        while self._next is not None and self._next["library"] < library:
            self._next = next(self._lines, None)
        while self._next is not None and self._next["library"] == library:
            yield self._next
            self._next = next(self._lines, None)


def _same_library(house: House, planned: Line) -> Compared:
    name = LibraryName(str(planned["library"]))
    shelf = house.shelf(name)
    if (shelf.policy, shelf.owned) != (planned["policy"], planned["owned"]):
        raise InputError(f"{name} has another policy, or another owner, than when the plan was made: {ANEW}")
    with house.store.reading() as tx:
        listing = tx.comparing.listing(name)
    if listing is None or listing.run != planned["listing"]:
        raise InputError(f"{name} has been read again since the plan was made: {ANEW}")
    return listing


def _same_steps(house: House, listing: Compared, planned: Iterator[Line]) -> None:
    """Raises InputError for the first step that rests on a world that is no more."""
    for there, step in zip_longest(_steps(house, listing), planned):
        if there == step:
            continue
        one = step or there
        who = f"person {one['person']!r}" if one["person"] else f"the face {one['vendor_face_id']}"
        if there is None or step is None or there["vendor_face_id"] != step["vendor_face_id"]:
            raise InputError(f"{listing.library}: {who} is not any more as the plan says, or was done already: {ANEW}")
        raise InputError(f"{listing.library}: {who} has changed since the plan was made: {ANEW}")


def _raw_lines(file: Path) -> Iterator[bytes]:
    try:
        with file.open("rb") as lines:
            while raw := lines.readline(LONGEST):
                yield raw
    except OSError as error:
        raise InputError(f"{file} cannot be read ({type(error).__name__})") from error


def _decoded(raw: bytes, file: Path) -> Line:
    try:
        line = json.loads(raw)
    except ValueError as error:
        raise InputError(f"{file} is no plan: a line of it is not JSON") from error
    if not isinstance(line, dict):
        raise InputError(f"{file} is no plan: a line of it is not an object")
    return line


def _encoded(line: Line) -> bytes:
    return json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
