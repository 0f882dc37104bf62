"""What the demo shows: a bar for each library while it runs, plain lines where nobody watches, a table at the end."""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from syncsvc.cli.demo.result import Result
from syncsvc.cli.demo.stage import CONFIGURATION, Stage
from syncsvc.cli.demo.story import Glance, Moment, Story
from syncsvc.cli.output import table

PLAIN_EVERY = 5.0  # seconds between two plain lines
SHOWN = 10  # disagreements in the terminal; all of them are in the JSON


class Screen:
    """Live on a terminal; otherwise lines, on standard error where standard output is for JSON."""

    def __init__(self, *, quiet_stdout: bool) -> None:
        stream = sys.stderr if quiet_stdout else sys.stdout
        self.console = Console(
            stderr=quiet_stdout, highlight=False, soft_wrap=True, width=None if stream.isatty() else 160
        )
        self._live: Live | None = None
        self._said = 0
        self._next_line = 0.0

    def say(self, words: str) -> None:
        self.console.print(escape(words))

    @contextmanager
    def watching(self) -> Iterator[Self]:
        """Between these, `show` draws over itself on a terminal."""
        if not self.console.is_terminal:
            yield self
            return
        with Live(console=self.console, auto_refresh=False, transient=True) as live:
            self._live = live
            try:
                yield self
            finally:
                self._live = None

    def show(self, story: Story, now: Moment) -> None:
        for at, words in story.happened[self._said :]:
            self.console.print(f"[dim]{at:6.1f} s[/]  {escape(words)}")
        self._said = len(story.happened)
        if self._live is not None:
            self._live.update(Group(Text(), _bars(now, self.console.width)), refresh=True)
        elif story.seconds() >= self._next_line:
            self._next_line = story.seconds() + PLAIN_EVERY
            parts = [f"{name} {one.settled}/{one.owed} {_state(one)}" for name, one in now.items()]
            self.console.print(f"{story.seconds():6.1f} s  " + "; ".join(parts))

    def conclude(self, result: Result, folder: Path, command: str) -> None:
        """The table, what happened, and how to look further."""
        self.console.print()
        self.console.print(_final(result))
        for remark in _remarks(result):
            self.console.print(escape(remark))
        _tell_disagreements(self.console, result)
        words = "[green]every library agrees[/]" if result.agreed else "[red]not every library agrees[/]"
        told = f"{result.people} people with {_faces(result)} after {sum(result.effects.values())} changes"
        self.console.print(f"{words}: {told}, in {result.seconds:.0f} seconds")
        self.console.print()
        for line in _further(result, folder, command):
            self.console.print(escape(line))

    def stay(self, stage: Stage) -> None:
        """Name the addresses and wait for Ctrl-C."""
        self.console.print()
        self.console.print(f"still running: {stage.web} (the service)")
        for name, room in stage.rooms.items():
            self.console.print(f"  {room.url}/_control/world   what {name} holds; /_control/calls, /_control/faults")
        self.console.print("Ctrl-C stops everything")
        while True:
            stage.check()
            time.sleep(0.5)


def _bars(now: Moment, width: int) -> Table:
    made = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    for title in ("library", "", "settled", "calls"):
        made.add_column(title, justify="right" if title in {"settled", "calls"} else "left", no_wrap=True)
    made.add_column("state", no_wrap=True, ratio=1)
    for name, one in now.items():
        bar = ProgressBar(total=max(1, one.owed), completed=one.settled, width=max(8, min(40, width - 80)))
        made.add_row(name, bar, f"{one.settled}/{one.owed}", str(one.calls), _state(one))
    return made


def _state(one: Glance) -> str:
    view = one.view
    doubt = f", {view.doubtful} in doubt" if view.doubtful else ""
    if view.state != "active":
        return view.state
    if view.breaker_open_until is not None:
        return f"down, tried again at {view.breaker_open_until.astimezone():%H:%M:%S}{doubt}"
    if one.quiet:
        return f"settled, {view.attention} refused" if view.attention else "settled"
    if view.permits is not None and view.permits.closed_for > 0:
        return f"asked to slow down, waits {view.permits.closed_for:.1f} s{doubt}"
    if view.permits is not None and view.permits.pace < 1:
        return f"working at {view.permits.pace:.0%} of its pace{doubt}"
    return f"working{doubt}"


def _final(result: Result) -> Table:
    titles = ("library", "people", "faces", "calls made", "throttled by our pace", "by script", "refused", "converged")
    rows = [
        (
            one.name,
            one.people,
            one.faces,
            one.calls,
            one.throttled_own,
            one.throttled_scripted,
            one.refused if one.refused == one.refused_expected else f"{one.refused}, not {one.refused_expected}",
            "yes" if one.converged else "NO",
        )
        for one in result.libraries
    ]
    return table(titles, [*rows, ("wanted", result.people, result.takeable, "", 0, "", len(result.refused), "yes")])


def _remarks(result: Result) -> Iterator[str]:
    """What the numbers of the table mean where they might surprise."""
    faults = [f"{one.name} {_counted(one.faults)}" for one in result.libraries if one.faults]
    if faults:
        yield f"answers that the script spoilt: {'; '.join(faults)}"
    if result.refused:
        yield f"refused, as expected: the photo without anybody on it, of {', '.join(result.refused)}"


def _faces(result: Result) -> str:
    """How many faces the libraries hold, and what is missing there."""
    photos = result.faces - result.takeable
    missing = f", and {photos} {'photo' if photos == 1 else 'photos'} refused as expected," if photos else ""
    return f"{result.takeable} faces{missing}"


def _counted(faults: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in sorted(faults.items()))


def _tell_disagreements(console: Console, result: Result) -> None:
    wrong = {"the canonical database": result.canonical}
    wrong |= {one.name: one.disagreements for one in result.libraries}
    for name, found in wrong.items():
        for one in found[:SHOWN]:
            console.print(f"[red]{escape(name)}[/]: {escape(one.who)}: {escape(one.what)}")
        if len(found) > SHOWN:
            console.print(f"[red]{escape(name)}[/]: and {len(found) - SHOWN} more")
    for library in result.libraries:
        if library.unsettled:
            console.print(f"[red]{escape(library.name)}[/]: {library.unsettled} people are not settled")
        if library.throttled_own:
            console.print(f"[red]{escape(library.name)}[/]: our own pace was too fast {library.throttled_own} times")


def _further(result: Result, folder: Path, command: str) -> list[str]:
    configured = f"{command} --config {folder}/{CONFIGURATION}"
    lines = {
        f"{configured} status": "every library at a glance",
        f"{configured} person show {next(iter(result.refused), 'E10000')}": "one person, library by library",
        f"{configured} erasure verify {folder}/receipts.jsonl": "the receipts of whoever left, checked",
        f"{configured} up --flower": "the service again; the practice rooms are gone, and forgot",
        f"{command} demo --stay": "the same, left running with its practice rooms to look into",
    }
    width = max(map(len, lines))
    return [
        f"left behind: {folder}/ with syncsvc.db, receipts.jsonl, {CONFIGURATION} and log/",
        *(f"  {line:{width}}  {words}" for line, words in lines.items()),
    ]
