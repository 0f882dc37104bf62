"""`removals`: departures that the removal guard holds back, and an operator's word for or against them."""

import getpass
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from syncsvc.cli.desk import desk
from syncsvc.cli.output import Json, console, print_json, say, table
from syncsvc.model.people import PersonId

if TYPE_CHECKING:
    from syncsvc.flow.approvals import Answered

removals = typer.Typer(
    help="Departures that wait for an operator, since too many people would leave.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

People = Annotated[list[str] | None, typer.Argument(help="Whose departures.", metavar="PERSON ...", show_default=False)]
Everybody = Annotated[bool, typer.Option("--all", help="Everybody's who is held back at this moment.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@removals.command("list")
def list_removals(
    context: typer.Context,
    *,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many at most.")] = 100,
    as_json: Json = False,
) -> None:
    """Who would leave which libraries, and who told it."""
    from syncsvc.flow.approvals import held_departures  # noqa: PLC0415 - the database's library

    page = held_departures(desk(context).house, limit=limit)
    if as_json:
        print_json(page.items)
        return
    if not page.items:
        say("nobody's departure is held back")
        return
    rows = [(one.person, ", ".join(one.libraries), one.source, one.received_at) for one in page.items]
    console().print(table(("person", "would leave", "told by", "told"), rows))
    if page.next:
        say(f"these are the first {limit:,}; --limit shows more")
    say("`syncsvc removals approve PERSON ...` lets them go, `syncsvc removals refuse PERSON ...` lets them stay")


@removals.command()
def approve(
    context: typer.Context,
    people: People = None,
    *,
    everybody: Everybody = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Let people go whose departures are held back: from every library, within a second or so."""
    from syncsvc.flow import approvals  # noqa: PLC0415

    chosen = _chosen(context, people, everybody=everybody)
    if not yes and sys.stdin.isatty():
        typer.confirm(f"Remove {_whom(context, chosen)} from every library?", abort=True)
    _tell(approvals.approve(desk(context).house, chosen, by=_who()), "{} {} now", ("leaves", "leave"), as_json=as_json)


@removals.command()
def refuse(
    context: typer.Context,
    people: People = None,
    *,
    everybody: Everybody = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Let people stay whose departures are held back, as if nothing had been told."""
    from syncsvc.flow import approvals  # noqa: PLC0415

    chosen = _chosen(context, people, everybody=everybody)
    if not yes and sys.stdin.isatty():
        typer.confirm(f"Forget the departure of {_whom(context, chosen)}?", abort=True)
    _tell(approvals.refuse(desk(context).house, chosen, by=_who()), "{} {}", ("stays", "stay"), as_json=as_json)


def _chosen(context: typer.Context, people: list[str] | None, *, everybody: bool) -> list[PersonId] | None:
    from syncsvc.intake.lines import person_id  # noqa: PLC0415 - Pillow

    if everybody == bool(people):
        raise typer.BadParameter("say whose: either PERSON ... or --all", ctx=context, param_hint="PERSON")
    return None if everybody else [person_id(one) for one in people or ()]


def _whom(context: typer.Context, chosen: list[PersonId] | None) -> str:
    from syncsvc.flow.approvals import count_held  # noqa: PLC0415

    if chosen is not None:
        return chosen[0] if len(chosen) == 1 else f"{len(chosen):,} people"
    with desk(context).house.store.reading() as tx:
        count = count_held(tx)
    return f"all who are held back ({count:,})"


def _tell(answered: "Answered", words: str, verbs: tuple[str, str], *, as_json: bool) -> None:
    if as_json:
        print_json(answered)
    elif answered.people == 1:
        say(words.format("1 person", verbs[0]))
    elif answered.people:
        say(words.format(f"{answered.people:,} people", verbs[1]))
    elif not answered.not_held:
        say("nothing to do: nobody's departure is held back")
    for person in answered.not_held if not as_json else ():
        say(f"nothing is held back of {person}; `syncsvc removals list` shows who is")
    if answered.not_held:
        raise typer.Exit(1)


def _who() -> str:
    """Who answers for it: whoever is logged in here."""
    try:
        return f"cli:{getpass.getuser()}"
    except (OSError, KeyError, ImportError):  # a container's user without a name
        return "cli"
