"""`library adopt`: connects a library that already holds people."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress, TextColumn

from syncsvc.cli.desk import Desk, desk
from syncsvc.cli.libraries import Name
from syncsvc.cli.output import Json, console, print_json, say
from syncsvc.model.people import LibraryName

if TYPE_CHECKING:
    from syncsvc.flow.adopt import Adopted
    from syncsvc.flow.apply_review import Applied
    from syncsvc.store.listings import ListingState


def adopt(
    context: typer.Context,
    name: Name,
    *,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write here (CSV) what somebody must decide about.")
    ] = None,
    apply: Annotated[
        Path | None, typer.Option("--apply", help="Do what was decided in such a file.", exists=True, dir_okay=False)
    ] = None,
    replace_pictures: Annotated[
        bool,
        typer.Option(
            "--replace-pictures", help="Our photos take the place of pictures that bear only the person's key."
        ),
    ] = False,
    fill: Annotated[bool, typer.Option("--fill", help="Owe the library everybody who is not in it.")] = False,
    approve_removals: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="With --apply: let exactly so many people lose a face.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Read a library that already holds people, and bind its faces to ours; nothing is sent or removed by it."""
    if apply is None and approve_removals is not None:
        raise typer.BadParameter("goes with --apply", param_hint="--approve-removals")
    if apply is not None and (output is not None or fill):
        raise typer.BadParameter("does not go with -o or --fill", param_hint="--apply")
    from syncsvc.wiring import declare_libraries  # noqa: PLC0415 - the database's library, as all below

    here = desk(context)
    declare_libraries(here.service)
    if apply is not None:
        _apply(here, name, apply, replace_pictures=replace_pictures, approved=approve_removals, as_json=as_json)
    else:
        _adopt(here, name, output, replace_pictures=replace_pictures, fill=fill, as_json=as_json)


def _adopt(here: Desk, name: str, output: Path | None, *, replace_pictures: bool, fill: bool, as_json: bool) -> None:
    from syncsvc.cli import embedded  # noqa: PLC0415
    from syncsvc.flow.adopt import Terms, adopt  # noqa: PLC0415
    from syncsvc.flow.review_file import ReviewWriter  # noqa: PLC0415

    shelf = here.house.shelf(LibraryName(name))
    terms = Terms(replace_pictures=replace_pictures, fill=fill)
    columns = TextColumn("{task.description}")
    # Permits come from Redis, also where `up` does not run it.
    with (
        embedded.if_configured(here.settings),
        Progress(columns, console=console(), transient=True, disable=as_json) as progress,
    ):
        task = progress.add_task(f"reading {name}")

        def watch(state: "ListingState") -> None:
            progress.update(task, description=f"reading {name}: {state.faces:,} faces, page {state.pages:,}")

        if output is None:
            found = adopt(here.house, shelf, terms, watch=watch)
        else:
            with ReviewWriter(output, shelf.name) as review:
                found = adopt(here.house, shelf, terms, review=review, watch=watch)
    if as_json:
        print_json(found)
    else:
        _tell(found, output)


def _apply(here: Desk, name: str, file: Path, *, replace_pictures: bool, approved: int | None, as_json: bool) -> None:
    from syncsvc.flow.apply_review import apply_review  # noqa: PLC0415

    shelf = here.house.shelf(LibraryName(name))
    found: Applied = apply_review(here.house, shelf, file, replace_pictures=replace_pictures, approved=approved)
    if as_json:
        print_json(found)
        return
    say(f"{name}: {found.bound:,} bound, {found.removed:,} to be removed, {found.left:,} left as they are")
    if found.known:
        say(f"{_count(found.known, 'line')} had been done before")
    if found.overtaken:
        words = "the person has no such face any more, or it is somebody else's"
        say(f"{_count(found.overtaken, 'line')} came too late: {words}")
    if found.owed:
        say(f"{_people(found.owed)} owed to {name} now, so that it agrees; `syncsvc status` shows how far it is")


def _tell(found: "Adopted", output: Path | None) -> None:
    say(
        f"{found.library} lists {_count(found.listed, 'face')}: {found.exact:,} bound by their labels, "
        f"{found.trusted:,} by their person, {found.known:,} bound before"
    )
    if found.completeness != "complete":
        say(f"the listing is {found.completeness}: {found.why}; what it did not show is not bound")
    if found.unwanted:
        say(f"{_count(found.unwanted, 'face')} of ours that nobody wants any more: reconciliation removes them")
    if found.review and output is not None:
        say(
            f"{_count(found.review, 'face')} that somebody must decide about: edit {output}, "
            f"then `syncsvc library adopt {found.library} --apply {output}`"
        )
    elif found.review:
        say(f"{_count(found.review, 'face')} that somebody must decide about: the same again with -o FILE lists them")
    if found.owed:
        say(f"{_people(found.owed)} owed to {found.library} now, so that it agrees")
    if found.filled:
        say(f"{_people(found.filled)} not in it and owed to it now")


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _people(count: int) -> str:
    return "1 person is" if count == 1 else f"{count:,} people are"
