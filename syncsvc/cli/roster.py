"""`roster import`: everybody at once, from a file."""

import re
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from syncsvc.cli.desk import Desk, desk
from syncsvc.cli.output import Json, print_json, say

if TYPE_CHECKING:
    from collections.abc import Callable

    from syncsvc.cli.roster_screen import Screen
    from syncsvc.flow.absent import Absence
    from syncsvc.flow.import_roster import Imported
    from syncsvc.intake.roster import Roster
    from syncsvc.model.people import Photo

    Troubles = Counter[tuple[str, str]]

roster = typer.Typer(help="Rosters: everybody at once, from a file.", no_args_is_help=True, rich_markup_mode=None)

_KINDS_OF_TROUBLE = 200  # that are told apart; a library may say something new of every photo


@roster.callback()
def _group() -> None:
    pass


def _source(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9-]{1,40}", name):
        raise typer.BadParameter("must be 1 to 40 of a-z, 0-9 and -")
    return name


@roster.command("import")
def import_(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="CSV or JSONL of people and photo paths.", metavar="FILE")],
    *,
    photos: Annotated[Path | None, typer.Option(help="The photos' folder; else the file's own.")] = None,
    source: Annotated[
        str, typer.Option(callback=_source, help="Whose roster it is; two that are told apart need two names.")
    ] = "roster",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read, check and count everything; write nothing.")
    ] = False,
    complete: Annotated[
        bool,
        typer.Option("--complete", help="Whom earlier rosters of this source named, and this one does not, departs."),
    ] = False,
    everybody: Annotated[
        bool, typer.Option("--everybody", help="With --complete: whom it does not name departs, whoever told of them.")
    ] = False,
    approve_removals: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="With --complete: let exactly so many people depart.")
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Begin anew also where an import was interrupted.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Record everybody whom a roster names. Interrupted, the same command goes on where it was."""
    if not complete and (everybody or approve_removals is not None):
        raise typer.BadParameter(
            "goes with --complete", param_hint="--everybody" if everybody else "--approve-removals"
        )
    if dry_run and restart:
        raise typer.BadParameter("a dry run always begins at the beginning", param_hint="--restart")
    from syncsvc.cli.roster_screen import BadLines, Screen  # noqa: PLC0415 - as all below: what --help need not load
    from syncsvc.flow.absent import Absence  # noqa: PLC0415
    from syncsvc.intake.roster import open_roster  # noqa: PLC0415

    here = desk(context)
    limits = here.house.limits
    assert limits is not None
    absence = Absence(limits, approve_removals, everybody) if complete else None
    opened = open_roster(file, photos=photos)
    name = f"roster-{source}{'.dry-run' if dry_run else ''}.bad.csv"
    screen = Screen(opened.size, BadLines(here.settings.state_dir / "log" / name))
    troubles: Troubles = Counter()
    try:
        with screen:
            if dry_run:
                ended = _rehearse(here, opened, source, screen, absence, troubles=troubles)
            else:
                ended = _import(here, opened, source, screen, absence, restart=restart)
    except BaseException:
        if not dry_run:
            screen.stopped()
        raise
    if as_json:
        _print(ended, screen, troubles, source, dry_run=dry_run)
    else:
        _tell(ended, screen, troubles, dry_run=dry_run)
    if ended.counts.skipped or ended.refused:
        raise typer.Exit(1)


def _import(
    here: Desk, opened: "Roster", source: str, screen: "Screen", absence: "Absence | None", *, restart: bool
) -> "Imported":
    from syncsvc.flow.import_roster import import_roster  # noqa: PLC0415
    from syncsvc.wiring import declare_libraries  # noqa: PLC0415

    declare_libraries(here.service)  # a new library is owed everybody who is recorded from now on
    return import_roster(here.house, opened, source, screen, absence=absence, restart=restart)


def _rehearse(
    here: Desk, opened: "Roster", source: str, screen: "Screen", absence: "Absence | None", *, troubles: "Troubles"
) -> "Imported":
    from syncsvc.flow.rehearse_roster import rehearse_roster  # noqa: PLC0415

    return rehearse_roster(here.house, opened, source, screen, absence=absence, look=_looker(here, troubles))


def _looker(here: Desk, troubles: "Troubles") -> "Callable[[Photo], None]":
    """Counts for each library what it would have against photos."""
    from syncsvc.flow.preflight import preflight  # noqa: PLC0415

    def look(photo: "Photo") -> None:
        for library, reason in preflight(here.house, photo).fails:
            known = (library, reason) in troubles or len(troubles) < _KINDS_OF_TROUBLE
            troubles[library, reason if known else "other reasons"] += 1

    return look


def _print(ended: "Imported", screen: "Screen", troubles: "Troubles", source: str, *, dry_run: bool) -> None:
    counts = ended.counts
    print_json(
        {
            "source": source,
            "dry_run": dry_run,
            "people": counts.named,
            **asdict(counts),
            "bad_file": str(screen.bad.file) if counts.bad_lines else None,
            "refused": ended.refused,
            "went_on_after": ended.went_on_after,
            "imported_before": ended.before,
            "photos": [
                {"library": library, "reason": reason, "photos": count}
                for (library, reason), count in troubles.most_common()
            ],
            "seconds": round(screen.seconds, 3),
        }
    )


def _tell(ended: "Imported", screen: "Screen", troubles: "Troubles", *, dry_run: bool) -> None:
    counts = ended.counts
    would = "would be " if dry_run else ""
    if ended.before:
        say(f"this very file was imported before, {ended.before:%Y-%m-%d %H:%M} UTC; it was compared anew")
    if ended.went_on_after:
        say(f"went on after line {ended.went_on_after:,}, where it was interrupted")
    say(
        f"{_people(counts.named)}: {counts.new:,} {would}new, {counts.changed:,} {would}changed, "
        f"{counts.back:,} {would}back again, {counts.unchanged:,} unchanged ({screen.pace:,.0f} lines/s)"
    )
    for one in screen.bad.first:
        say(f"line {one.line}: {one.reason}")
    if counts.bad_lines:
        lines = "1 bad line" if counts.bad_lines == 1 else f"{counts.bad_lines:,} bad lines"
        say(f"{lines}, {_people(counts.skipped)} skipped; all of them: {screen.bad.file}")
    for (library, reason), count in troubles.most_common():
        say(f"{library} would refuse {count:,} {'photo' if count == 1 else 'photos'}: {reason}")
    if counts.departed:
        say(f"{_people(counts.departed, 'absent ')} {'would depart' if dry_run else 'departed'}")
    if ended.refused:
        say(f"nobody departed: {ended.refused}")


def _people(count: int, which: str = "") -> str:
    return f"{count:,} {which}{'person' if count == 1 else 'people'}"
