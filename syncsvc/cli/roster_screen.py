"""What an import of a roster shows while it runs, and where it writes down the lines that it skips."""

import csv
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

from syncsvc.cli.output import ago
from syncsvc.model.rosters import BEGINNING, BadLine, Counts, Place

EVERY = 5.0  # seconds between two lines where there is no terminal
_TITLES = ("line", "reason")


class BadLines:
    """Every line that was skipped, with its reason, in a CSV file; `first` are some of them, for people to see."""

    SHOWN = 20

    def __init__(self, file: Path) -> None:
        self.file = file
        self.first: list[BadLine] = []
        self._last = 0

    def go_on_after(self, line: int) -> None:
        """Keep what an earlier run wrote of the lines up to this one, and nothing else."""
        old = self.file.with_suffix(".old")
        if self.file.exists():
            self.file.replace(old)
            for one in _read(old) if line else ():
                self._write([one] if one.line <= line else [])
            old.unlink()
        self._last = line

    def add(self, lines: Sequence[BadLine]) -> None:
        """Lines that were added before are passed over."""
        fresh = sorted((one for one in lines if one.line > self._last), key=lambda one: one.line)
        self._write(fresh)
        self._last = max((self._last, *(one.line for one in fresh)))

    def _write(self, fresh: Sequence[BadLine]) -> None:
        if not fresh:
            return
        self.first += fresh[: self.SHOWN - len(self.first)]
        self.file.parent.mkdir(parents=True, exist_ok=True)
        new = not self.file.exists()
        with self.file.open("a", encoding="utf-8", newline="") as out:
            rows = csv.writer(out)
            rows.writerows([_TITLES] * new)
            rows.writerows((one.line, one.reason) for one in fresh)


def _read(file: Path) -> Iterator[BadLine]:
    """What can be read of it: it may have been torn by a death, or saved by a spreadsheet in its own way."""
    with file.open(encoding="utf-8-sig", errors="replace", newline="") as written, suppress(csv.Error):
        for row in csv.reader(written):
            match row:
                case [line, reason] if line.isdecimal():
                    yield BadLine(int(line), reason)


class Screen:
    """Sees an import: a bar on a terminal, elsewhere a line every few seconds; on standard error, always."""

    def __init__(self, size: int, bad: BadLines) -> None:
        self.bad = bad
        self.place = self._began = BEGINNING
        self._size = size
        self._console = Console(stderr=True, highlight=False, markup=False)
        self._started = self._told = time.monotonic()
        self._bar: Progress | None = None
        self._task = TaskID(0)
        if self._console.is_terminal:
            words = TextColumn("{task.fields[words]}", markup=False)
            self._bar = Progress(BarColumn(), TaskProgressColumn(), words, TimeRemainingColumn(), console=self._console)
            self._task = self._bar.add_task("", total=size, words="")

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    @property
    def pace(self) -> float:
        """Lines a second."""
        return (self.place.line - self._began.line) / max(self.seconds, 1e-6)

    def begins(self, place: Place, counts: Counts) -> None:  # noqa: ARG002 - the witness' part
        self.place = self._began = place
        self._started = self._told = time.monotonic()
        self.bad.go_on_after(place.line)

    def skipped(self, lines: Sequence[BadLine]) -> None:
        self.bad.add(lines)

    def reached(self, place: Place, counts: Counts) -> None:
        self.place = place
        words = f"{place.line:,} lines, {self.pace:,.0f}/s"
        words += f", {counts.departed:,} departed" if counts.departed else ""
        if self._bar is not None:
            self._bar.update(self._task, completed=place.offset, words=words)
        elif time.monotonic() - self._told >= EVERY:
            self._told = time.monotonic()
            self._console.print(f"{place.offset / max(1, self._size):.0%}: {words}{self._time_left()}")

    def stopped(self) -> None:
        """It ends before its time."""
        if self.place.line:
            words = f"everything up to line {self.place.line:,} is recorded; the same command goes on behind it"
            self._console.print(words, soft_wrap=True)

    def _time_left(self) -> str:
        read = self.place.offset - self._began.offset
        if not read:
            return ""
        return f", about {ago(self.seconds / read * (self._size - self.place.offset))} left"
