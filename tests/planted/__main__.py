"""`python -m tests.planted [NAME ...]`: shows every planted defect caught by a test; exit 1 if one survives."""

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.planted.defect import VARIABLE, Defect, all_defects

ROOT = Path(__file__).resolve().parents[2]
HOOK = Path(__file__).resolve().parent / "hook"
LIMIT = 300.0  # seconds for one defect
TESTS_FAILED = 1  # pytest's exit code; others mean that the tests did not run


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one defect."""

    defect: str
    caught: bool
    by: str
    seconds: float


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.planted", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these; default: all")
    parser.add_argument("-j", "--jobs", type=int, default=2, help="how many at once (default 2)")
    parser.add_argument("--list", action="store_true", help="only tell what there is")
    options = parser.parse_args(arguments)
    defects = [one for one in all_defects() if not options.names or one.name in options.names]
    if unknown := set(options.names) - {one.name for one in defects}:
        parser.error(f"no defect is called {', '.join(sorted(unknown))}")
    if options.list:
        sys.stdout.writelines(f"{one.name}  ({one.module})\n" for one in defects)
        return 0
    if not _sound(defects):
        return 1
    with ThreadPoolExecutor(options.jobs) as pool:
        verdicts = list(pool.map(_try, defects))
    _show(verdicts)
    return 0 if all(one.caught for one in verdicts) else 1


def _sound(defects: Sequence[Defect]) -> bool:
    """Whether the tests pass without any defect: one that fails anyway catches nothing."""
    tests = sorted({test for defect in defects for test in defect.caught_by})
    run = _pytest(tests, plant=None)
    if run.returncode != 0:
        sys.stderr.write(f"{run.stdout}{run.stderr}\nThese tests fail without any defect; mend them first.\n")
    return run.returncode == 0


def _try(defect: Defect) -> Verdict:
    started = time.monotonic()
    run = _pytest(list(defect.caught_by), plant=defect.name)
    seconds = time.monotonic() - started
    failed = re.findall(r"^FAILED \S+?/(\w+\.py::\S+)", run.stdout, re.MULTILINE)
    if run.returncode == TESTS_FAILED and failed:
        return Verdict(defect.name, True, failed[0], seconds)
    why = "SURVIVED" if run.returncode == 0 else f"the tests did not run: {_last_line(run)}"
    return Verdict(defect.name, False, why, seconds)


def _pytest(tests: list[str], *, plant: str | None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(HOOK), str(ROOT))), VARIABLE: plant or ""}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-rf", "--tb=no", "-p", "no:xdist", *tests]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=LIMIT, check=False
    )


def _last_line(run: subprocess.CompletedProcess[str]) -> str:
    lines = (run.stdout + run.stderr).strip().splitlines()
    return lines[-1] if lines else f"exit {run.returncode}"


def _show(verdicts: Sequence[Verdict]) -> None:
    table = Table("defect", "caught by", "seconds", title="planted defects")
    for one in verdicts:
        table.add_row(one.defect, one.by, f"{one.seconds:.1f}", style=None if one.caught else "bold red")
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(table)
    caught = sum(one.caught for one in verdicts)
    console.print(f"{caught} of {len(verdicts)} caught")


if __name__ == "__main__":
    sys.exit(main())
