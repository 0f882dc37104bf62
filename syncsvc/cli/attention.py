"""`attention`: what a library refused or what was given up, in words, and trying it again."""

import datetime as dt
from typing import TYPE_CHECKING, Annotated

import typer

from syncsvc.cli.desk import desk
from syncsvc.cli.output import Json, console, print_json, say, table
from syncsvc.model.people import LibraryName

if TYPE_CHECKING:
    from syncsvc.flow.attention import Chosen

attention = typer.Typer(
    help="What somebody must look at: refused, or given up.", no_args_is_help=True, rich_markup_mode=None
)


def _moment(text: str) -> dt.datetime:
    try:
        return dt.datetime.fromisoformat(text).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        words = f"{text!r} is no moment; write it like 2026-03-02 or 2026-03-02T08:00+08:00"
        raise typer.BadParameter(words) from None


Library = Annotated[str | None, typer.Option(help="Only those of this library.", metavar="NAME")]
Reason = Annotated[str | None, typer.Option(help="Only those with this reason.", metavar="REASON")]
Since = Annotated[
    dt.datetime | None,
    typer.Option(
        parser=_moment, help="Only those that ended then or later; local time unless it says.", metavar="TIME"
    ),
]


@attention.command("list")
def list_attention(
    context: typer.Context,
    *,
    library: Library = None,
    reason: Reason = None,
    since: Since = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many at most.")] = 100,
    as_json: Json = False,
) -> None:
    """Whose face is missing in which library, why, and since when."""
    from syncsvc.flow.attention import needing_attention  # noqa: PLC0415 - the database's library

    page = needing_attention(desk(context).house, _chosen(library, reason, since), limit=limit)
    if as_json:
        print_json(page.items)
        return
    if page.departures_held:
        say(f"departures held back: {page.departures_held:,}; `syncsvc removals list` shows them")
    if page.erasures_late:
        say(f"erasures that may come too late: {page.erasures_late:,}; `syncsvc erasure list` shows them")
    rows = [(one.library, one.person, one.state, one.reason, one.detail, one.face, one.since) for one in page.items]
    if not rows:
        say("nothing else needs anybody" if page.departures_held or page.erasures_late else "nothing needs anybody")
        return
    console().print(table(("library", "person", "state", "reason", "detail", "face", "since"), rows))
    if page.next:
        say(f"these are the first {limit:,}; --limit shows more")


@attention.command()
def retry(
    context: typer.Context,
    *,
    library: Library = None,
    reason: Reason = None,
    since: Since = None,
    as_json: Json = False,
) -> None:
    """Owe all of these again, with every attempt before them; where in doubt, the library is read first."""
    from syncsvc.flow import attention as flow  # noqa: PLC0415

    reopened = flow.retry(desk(context).house, _chosen(library, reason, since))
    if as_json:
        print_json({"reopened": reopened})
    elif reopened:
        say(f"{reopened:,} {'delivery is' if reopened == 1 else 'deliveries are'} tried again")
    else:
        say("nothing to do: nothing of that kind needs anybody")


def _chosen(library: str | None, reason: str | None, since: dt.datetime | None) -> "Chosen":
    from syncsvc.flow.attention import Chosen  # noqa: PLC0415

    return Chosen(None if library is None else LibraryName(library), reason, since)
