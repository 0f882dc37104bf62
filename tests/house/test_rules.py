"""House rules that a machine can keep: no print, no naive time, a sentence for every module, files one can read."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted((ROOT / "syncsvc").rglob("*.py"))
LONGEST = 400
# One vendor is one file, whatever it takes; these may become shorter, never longer.
LONGER = {
    "syncsvc/sandbox/huawei.py": 460,
    "syncsvc/vendors/finauth.py": 435,
    "syncsvc/vendors/huawei.py": 490,
    "syncsvc/vendors/sophon.py": 430,
}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def calls(path: Path) -> Iterator[ast.Call]:
    return (node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call))


def test_nothing_is_printed() -> None:
    assert offenders(lambda call: isinstance(call.func, ast.Name) and call.func.id in {"print", "pprint"}) == []


def test_every_instant_knows_its_time_zone() -> None:
    assert offenders(lambda call: isinstance(call.func, ast.Attribute) and is_naive(call, call.func)) == []


def offenders(wrong: Callable[[ast.Call], bool]) -> list[str]:
    """file:line of every call that breaks a rule."""
    return [f"{name_of(path)}:{call.lineno}" for path in MODULES for call in calls(path) if wrong(call)]


def is_naive(call: ast.Call, func: ast.Attribute) -> bool:
    owner = func.value.id if isinstance(func.value, ast.Name) else getattr(func.value, "attr", "")
    if owner not in {"datetime", "date"}:
        return False
    told = len(call.args) + len(call.keywords)
    match func.attr:
        case "utcnow" | "utcfromtimestamp" | "today":
            return True
        case "now":
            return told == 0
        case "fromtimestamp":
            return told < 2
    return False


def test_the_rule_about_time_zones_sees_what_it_should() -> None:
    told = [
        "datetime.now()",
        "datetime.utcnow()",
        "dt.datetime.now()",
        "datetime.fromtimestamp(1)",
        "date.today()",
        "datetime.now(UTC)",
        "datetime.fromtimestamp(1, UTC)",
        "clock.now()",
    ]
    parsed = [node for text in told for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]

    seen = [is_naive(call, call.func) for call in parsed if isinstance(call.func, ast.Attribute)]

    assert seen == [True, True, True, True, True, False, False, False]


def test_every_module_says_what_it_is() -> None:
    told = {name_of(path): ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "" for path in MODULES}

    assert [name for name, sentence in told.items() if len(sentence.split("\n\n")[0].split()) < 3] == []


def test_every_file_is_short_enough_to_be_read() -> None:
    lines = {name_of(path): len(path.read_text("utf-8").splitlines()) for path in MODULES}

    assert {name: count for name, count in lines.items() if count > LONGER.get(name, LONGEST)} == {}


def test_the_exceptions_are_still_needed() -> None:
    assert all(len((ROOT / name).read_text("utf-8").splitlines()) > LONGEST for name in LONGER)


def test_every_silenced_warning_stands_beside_its_line() -> None:
    whole_files = [name_of(path) for path in MODULES if "\n# ruff: noqa" in path.read_text("utf-8")]

    assert whole_files == []
