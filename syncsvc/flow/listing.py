"""Reads a whole library, page after page and with spare permits only, so that it can be gone on with after a crash."""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import structlog

from syncsvc.flow.holder import is_dead
from syncsvc.flow.house import House, Shelf
from syncsvc.flow.judge_listing import Bound, bound, judge, vendors_word
from syncsvc.flow.spare import spare
from syncsvc.library.base import FaceLibrary, Page
from syncsvc.model.errors import (
    ErrandError,
    GoneError,
    LibraryError,
    MisconfiguredError,
    NoPermitError,
    NotFoundError,
    RejectedError,
)
from syncsvc.model.listings import Completeness
from syncsvc.model.people import LibraryName
from syncsvc.store.listings import ListingState

LEASE = timedelta(seconds=60)  # longer than a page may take: no call starts that could outlast it
WRITING = 5.0  # seconds of the lease that are kept for writing a page down
GIVEN_UP = timedelta(days=1)  # a reading that was not gone on with for so long shows a world that is no more
OLD_AT_ONCE = 2000  # faces of earlier readings that are forgotten in one transaction
BARREN = 2  # pages in a row that show faces, and none that was not seen before: it goes round in circles

Watch = Callable[[ListingState], None]

log = structlog.get_logger(__name__)


def begin(house: House, name: LibraryName, cause: str) -> bool:
    """Begin to read the library from the start. `cause` is nightly, command, adopt or plan.

    False: a reading is under way already; or the library is not there, paused, halted or closed by its breaker; or a
    nightly reading is not worth its calls, because the library's own count is what we hold.
    """
    shelf = house.shelves.get(name)
    if shelf is None or not _may_be_read(house, name):
        return False
    now = house.clock()  # before it is counted: what is bound meanwhile is a change since then
    with house.store.reading() as tx:
        last = tx.listings.get(name)
    if last is not None and last.is_under_way(now - GIVEN_UP):
        return False
    count = _asked_for_count(house, shelf, cause)
    if cause == "nightly" and count is not None and _not_worth_it(house, name, count):
        with house.store.transaction() as tx:
            tx.libraries.note_reconciled(name, now)
        log.info("listing skipped", library=name, faces=count, why="the library counts what we hold")
        return False
    with house.store.transaction() as tx:
        begun = tx.listings.begin(name, cause, now, count=count, given_up_before=now - GIVEN_UP)
    if begun:
        log.info("listing begun", library=name, cause=cause)
    return begun


def read_on(house: House, name: LibraryName, *, seconds: float = 10.0, watch: Watch | None = None) -> ListingState:
    """Go on reading for so long, at least one page if permits can be had; each page is written down as it comes.

    Whoever comes while another reads gets the state as it is, and so does everybody while the library cannot be
    read. `watch` is told of every page. Raises NotFoundError where no reading was ever begun.
    """
    until = time.monotonic() + seconds
    held = _take(house, name) if _may_be_read(house, name) else None
    if held is not None:
        _Reader(house, house.shelf(name), held, watch).read(until)
    with house.store.reading() as tx:
        state = tx.listings.get(name)
    if state is None:
        raise NotFoundError(f"nobody has begun to read {name!r}")
    return state


def _may_be_read(house: House, name: LibraryName) -> bool:
    """Also a library that we only observe: reading changes nothing."""
    with house.store.reading() as tx:
        library = tx.libraries.get(name)
    if library is None or name not in house.shelves or not library.configured or library.state != "active":
        return False
    return library.open_until is None or library.open_until <= house.clock()


def _asked_for_count(house: House, shelf: Shelf, cause: str) -> int | None:
    """The library's own count before a nightly reading; other readings are read whatever it is, and ask for it then."""
    if cause != "nightly":
        return None
    deadline = time.monotonic() + LEASE.total_seconds()
    try:
        return counted(shelf, spare(house, shelf, deadline))
    except ErrandError:  # it does not count just now: then it is read
        return None


def counted(shelf: Shelf, library: FaceLibrary[Any]) -> int | None:
    """How many faces the library says it holds. A library that we only observe is not asked: a vendor may tell it
    only in the answer to a call that could change something."""
    if shelf.policy == "observe":
        return None
    try:
        return library.count()
    except (RejectedError, GoneError, MisconfiguredError) as error:
        log.warning("library does not count", library=shelf.name, code=error.code)
        return None


def _not_worth_it(house: House, name: LibraryName, count: int) -> bool:
    """Whether the library holds as many faces as we know of, and was found in order not long ago."""
    with house.store.reading() as tx:
        last = tx.listings.get(name)
        if last is None or last.state != "done" or last.finished_at is None:
            return False
        if last.completeness is Completeness.SUSPECT:
            return False
        if last.finished_at <= house.clock() - house.caretaking.full_every:
            return False
        return not tx.listings.anything_odd(name) and tx.listings.held(name) == count


def _take(house: House, name: LibraryName) -> ListingState | None:
    now = house.clock()
    with house.store.reading() as tx:
        state = tx.listings.get(name)
    if state is None or state.state != "reading":
        return None
    dead = state.holder if state.holder and is_dead(state.holder.partition("/")[0]) else None
    token = f"{house.holder}/{uuid.uuid4().hex}"
    with house.store.transaction() as tx:
        return tx.listings.lease(name, token, now=now, until=now + LEASE, dead=dead)


class _LostError(Exception):
    """Somebody else has taken the reading over."""


@dataclass
class _Reader:
    """One slice of a reading, by the one who holds its lease."""

    house: House
    shelf: Shelf
    held: ListingState
    watch: Watch | None

    def __post_init__(self) -> None:
        self.library = spare(self.house, self.shelf, None)
        self.barren = 0
        self.bound: Bound | None = None

    def read(self, until: float) -> None:
        """Page after page until the end or until `until`; what goes wrong ends the slice and nothing else."""
        try:
            refused = self._as_far_as_it_goes(until)
            if refused is not None:
                self._finish(Completeness.SUSPECT, refused)
            with self.house.store.transaction() as tx:
                tx.listings.let_go(self.held)
        except _LostError:
            log.info("listing taken over", library=self.shelf.name)

    def _as_far_as_it_goes(self, until: float) -> str | None:
        """Why the library shows no more, where it does not."""
        try:
            self._read(until)
        except NoPermitError:  # others go first; it is gone on with later
            return None
        except MisconfiguredError as error:
            self._halt(error)
        except (RejectedError, GoneError) as error:
            return f"the library refused to show the next page ({error.code or 'no code'})"
        except LibraryError as error:
            log.warning("listing interrupted", library=self.shelf.name, code=error.code, page=self.held.pages + 1)
        return None

    def _read(self, until: float) -> None:
        if self.held.pages == 0 and self.held.count_before is None:
            self._count_first()
        while self.held.completeness is None:
            odd = self._page()
            if odd is not None:
                return self._finish(Completeness.SUSPECT, odd)
            if self.held.completeness is None and time.monotonic() >= until:
                return None
        return self._finish(self.held.completeness, self.held.why)

    def _count_first(self) -> None:
        now = self.house.clock()
        count = counted(self.shelf, self._at_the_door())
        if count is not None:
            with self.house.store.transaction() as tx:
                if not tx.listings.note_count(self.held, count, now):
                    raise _LostError
            self.held = replace(self.held, count_before=count, started_at=now)

    def _page(self) -> str | None:
        """Fetch the next page and write it down; why it makes no sense to go on, where it makes none."""
        page = self._at_the_door().page(self.held.cursor)
        said = self._said(page)
        now = self.house.clock()
        with self.house.store.transaction() as tx:
            new = tx.listings.add_page(self.held, page.faces, cursor=page.cursor, now=now, until=now + LEASE, said=said)
            if new is None:
                raise _LostError
            if self.held.run > 1:
                tx.listings.purge_listed(self.shelf.name, self.held.run, OLD_AT_ONCE)
            state = tx.listings.get(self.shelf.name)
        assert state is not None
        self.barren = self.barren + 1 if page.faces and not new else 0
        before, self.held = self.held, state
        if self.watch is not None:
            self.watch(state)
        if said is not None:
            return None
        if page.cursor == before.cursor:
            return "the listing led back to the page that it came from"
        if self.barren >= BARREN:
            return "the listing went round in circles"
        return "the listing did not end where it should have" if self._too_much(state) else None

    def _said(self, page: Page) -> tuple[Completeness, str] | None:
        if page.cursor is not None:
            return None
        if not page.grew:
            return page.completeness, page.why
        with self.house.store.reading() as tx:
            own = tx.listings.own_changes(self.shelf.name, self.held.started_at)
        return vendors_word(page, own, self.shelf.library.capabilities.slips_by)

    def _too_much(self, state: ListingState) -> bool:
        if self.bound is None:
            with self.house.store.reading() as tx:
                self.bound = bound(state, tx.listings.held(self.shelf.name))
        return state.faces + state.repeated > self.bound.faces or state.pages > self.bound.pages

    def _finish(self, said: Completeness, why: str | None) -> None:
        """Count once more, judge, and close the reading; a count that cannot be had now is had in the next slice."""
        count = None
        if said is Completeness.COMPLETE:
            count = counted(self.shelf, self._at_the_door())
        with self.house.store.reading() as tx:
            name, held = self.shelf.name, replace(self.held, count_after=count)
            own = tx.listings.own_changes(name, held.started_at)
            known = tx.listings.held(name, at=held.started_at)
            shown = tx.listings.shown(name, held.run)
        completeness, whys = judge(
            held, said, why, own=own, known=known, shown=shown, slips_by=self.shelf.library.capabilities.slips_by
        )
        with self.house.store.transaction() as tx:
            done = tx.listings.finish(held, completeness, whys, self.house.clock(), count=count)
        if not done:
            raise _LostError
        log.info(
            "listing read", library=name, completeness=completeness.value, faces=held.faces, pages=held.pages, why=whys
        )
        self.held = replace(held, completeness=completeness, why=whys, state="read")
        self._forget_old()

    def _forget_old(self) -> None:
        """The faces of earlier readings, a batch at a time; one that dies here leaves the rest to the next reading."""
        gone = OLD_AT_ONCE
        while gone == OLD_AT_ONCE:
            with self.house.store.transaction() as tx:
                gone = tx.listings.purge_listed(self.shelf.name, self.held.run, OLD_AT_ONCE)

    def _at_the_door(self) -> FaceLibrary[Any]:
        """The library, for calls that end before the lease does."""
        deadline = time.monotonic() + LEASE.total_seconds() - WRITING
        return self.library.at(self.library.door.for_errand(deadline))

    def _halt(self, error: MisconfiguredError) -> None:
        now, name = self.house.clock(), self.shelf.name
        reason, detail = error.code or "misconfigured", str(error)
        with self.house.store.transaction() as tx:
            halted = tx.libraries.set_state(name, "halted", now, reason=reason, detail=detail)
        if halted:
            log.error("library halted", library=name, detail=detail, mend=f"syncsvc library resume {name}")
