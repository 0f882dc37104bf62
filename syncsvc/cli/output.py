"""What commands print: tables for people, JSON for scripts."""

import json
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import typer
from pydantic_core import to_jsonable_python
from rich.console import Console
from rich.markup import escape
from rich.table import Table

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]

_COLOURS = {
    "ok": "green",
    "synced": "green",
    "active": "green",
    "working": "green",
    "failing": "yellow",
    "disabled": "red",
    "due": "yellow",
    "doubtful": "yellow",
    "paused": "yellow",
    "refused": "red",
    "exhausted": "red",
    "halted": "red",
    "failed": "red",
}


def console() -> Console:
    """Standard output as it is now; wide where it is not a terminal, so that nothing is cut off in a file."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else 200)


def print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(to_jsonable_python(value), ensure_ascii=False) + "\n")
    sys.stdout.flush()


def say(words: str) -> None:
    Console(highlight=False, soft_wrap=True, markup=False).print(words)


def table(titles: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """A table whose first column is never cut; None shows as nothing, known words in their colour."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for number, title in enumerate(titles):
        made.add_column(title, no_wrap=number == 0)
    for row in rows:
        made.add_row(*(_cell(value) for value in row))
    return made


def ago(seconds: float | None) -> str:
    """A duration in the largest unit that fits."""
    if seconds is None:
        return ""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case datetime():
            return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        case str() if value in _COLOURS:
            return f"[{_COLOURS[value]}]{value}[/]"
        case _:
            return escape(str(value))
