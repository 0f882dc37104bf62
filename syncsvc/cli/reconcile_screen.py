"""What is shown while libraries are read: a bar on a terminal, elsewhere a line every few seconds."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from syncsvc.model.people import LibraryName
from syncsvc.store.listings import ListingState

EVERY = 5.0  # seconds between two lines where there is no terminal


class Screen:
    """On standard error, always. How many faces there are to read is known only where the library says so."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, markup=False)
        self._told = time.monotonic()
        self._tasks: dict[LibraryName, TaskID] = {}
        self._bar: Progress | None = None
        if self._console.is_terminal:
            words = TextColumn("{task.description}", markup=False)
            self._bar = Progress(words, BarColumn(), MofNCompleteColumn(), console=self._console)

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def reached(self, listing: ListingState) -> None:
        if self._bar is not None:
            self._show(listing, listing.count_before)
        elif time.monotonic() - self._told >= EVERY:
            self._told = time.monotonic()
            of = f" of {listing.count_before:,}" if listing.count_before else ""
            self._console.print(f"{listing.library}: {listing.faces:,}{of} faces read")

    def ended(self, listing: ListingState) -> None:
        if self._bar is not None:
            self._show(listing, listing.faces)

    def _show(self, listing: ListingState, total: int | None) -> None:
        assert self._bar is not None
        if listing.library not in self._tasks:
            self._tasks[listing.library] = self._bar.add_task(listing.library, total=total)
        self._bar.update(self._tasks[listing.library], completed=listing.faces, total=total)
