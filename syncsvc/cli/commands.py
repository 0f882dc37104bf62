"""Every command under one name, and how each of them may end: 0 done, 1 not done and said why, 2 wrong usage."""

import datetime as dt
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from syncsvc.cli import (
    adopt,
    attention,
    callbacks,
    check,
    demo,
    erasures,
    explain,
    libraries,
    migration,
    people,
    processes,
    reconcile,
    removals,
    roster,
    tools,
    up,
)
from syncsvc.cli.desk import Desk
from syncsvc.model.errors import SyncsvcError
from syncsvc.observe import logs
from syncsvc.observe.redaction import clean

app = typer.Typer(
    name="syncsvc",
    help="Keeps vendor face libraries equal to one canonical database of people and faces.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(demo.demo)
app.command()(up.up)
app.command()(processes.web)
app.command()(processes.worker)
app.command()(processes.beat)
app.command()(processes.flower)
app.command(hidden=True)(processes.redis)
app.command()(tools.keygen)
app.command()(check.check)
app.command()(libraries.status)
app.command()(tools.sandbox)
libraries.library.command()(adopt.adopt)
libraries.library.command()(migration.compare)
libraries.library.command()(migration.retire)
people.person.command()(explain.explain)
app.add_typer(tools.db, name="db")
app.add_typer(roster.roster, name="roster")
app.add_typer(people.person, name="person")
app.add_typer(people.face, name="face")
app.add_typer(libraries.library, name="library")
app.add_typer(attention.attention, name="attention")
app.add_typer(callbacks.callback, name="callback")
app.add_typer(erasures.erasure, name="erasure")
app.add_typer(reconcile.reconcile, name="reconcile")
app.add_typer(removals.removals, name="removals")

_desk = Desk(None)


@app.callback()
def _begin(
    context: typer.Context,
    config: Annotated[
        Path | None, typer.Option(help="The configuration file; else $SYNCSVC_CONFIG, else ./syncsvc.toml.")
    ] = None,
) -> None:
    _desk.config = config
    context.obj = _desk
    logs.configure(level="WARNING")


def main() -> None:
    """Run the command line. People never see a traceback: what is unexpected goes to a file."""
    try:
        app()
    except SyncsvcError as error:
        _say(str(error))
        sys.exit(1)
    except Exception as error:  # noqa: BLE001 - the outermost door
        file = _write_down(error)
        _say(f"something unexpected happened ({type(error).__name__}); the details are in {file}")
        sys.exit(1)


def _say(words: str) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True, markup=False).print(f"syncsvc: {words}")


def _write_down(error: Exception) -> Path:
    folder = _desk.log_dir or Path(tempfile.gettempdir())
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        folder = Path(tempfile.gettempdir())
    file = folder / "syncsvc-errors.log"
    with file.open("a", encoding="utf-8") as log:
        log.write(f"{dt.datetime.now(dt.UTC).isoformat()} {clean(''.join(traceback.format_exception(error)))}\n")
    return file
