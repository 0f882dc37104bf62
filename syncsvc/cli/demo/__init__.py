"""`demo`: the whole story against the practice rooms, and whether every library agrees at the end."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from syncsvc.cli.output import Json, print_json

if TYPE_CHECKING:
    from syncsvc.cli.demo.result import Result
    from syncsvc.cli.demo.sample import Sample
    from syncsvc.cli.demo.screen import Screen

INTERRUPTED = 130


def demo(
    folder: Annotated[Path, typer.Option(help="Where to run; what an earlier demo left there is removed.")] = Path(
        "var/demo"
    ),
    people: Annotated[int | None, typer.Option(min=1, help="Only so many of the roster's people.")] = None,
    sample: Annotated[Path | None, typer.Option(help="A folder like deploy/sample, with your own data.")] = None,
    deadline: Annotated[float, typer.Option(help="Seconds after which it gives up.")] = 420.0,
    *,
    stay: Annotated[bool, typer.Option("--stay", help="Leave everything running at the end, until Ctrl-C.")] = False,
    as_json: Json = False,
) -> None:
    """Tell the whole story against four practice rooms; exit 1 where a library does not agree at the end."""
    from syncsvc.cli.demo.sample import read_sample  # noqa: PLC0415 - half a second that `syncsvc --help` need not wait
    from syncsvc.cli.demo.screen import Screen  # noqa: PLC0415

    screen = Screen(quiet_stdout=as_json)
    try:
        with _interruptible():
            result = _run(read_sample(sample, people), folder, screen, deadline=deadline, stay=stay)
    except KeyboardInterrupt:
        screen.say("interrupted; everything is stopped")
        raise typer.Exit(INTERRUPTED) from None
    if as_json:
        print_json(result.as_json())
    if not result.agreed:
        raise typer.Exit(1)


def _run(sample: "Sample", folder: Path, screen: "Screen", *, deadline: float, stay: bool) -> "Result":
    from syncsvc.cli.demo.result import conclude  # noqa: PLC0415
    from syncsvc.cli.demo.stage import set_stage  # noqa: PLC0415
    from syncsvc.cli.demo.story import Story  # noqa: PLC0415

    screen.say(f"starting four practice rooms and the service in {folder}")
    with set_stage(folder, sample) as stage:
        story = Story(stage, sample)
        story.enrol()
        screen.say("this takes a minute or two, because the slowest vendors allow 10 calls a second")
        with screen.watching():
            for moment in story.unfold(deadline=deadline):
                screen.show(story, moment)
            for moment in story.prove(folder):
                screen.show(story, moment)
        story.sabotage()
        result = conclude(story)
        screen.conclude(result, folder, _command())
        if stay:
            with suppress(KeyboardInterrupt):  # here it is the end that was announced
                screen.stay(stage)
    return result


def _command() -> str:
    """How this program was called, for lines to copy."""
    called = Path(sys.argv[0])
    if called.name != "syncsvc":
        return "syncsvc"
    return os.path.relpath(called) if called.is_relative_to(Path.cwd()) else str(called)


@contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM ends the demo as Ctrl-C does: in order. So does SIGINT where a shell had it ignored."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
