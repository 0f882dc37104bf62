"""Every planted defect can still be planted; whether it is caught, `python -m tests.planted` shows."""

import importlib.util
from pathlib import Path

import pytest

from tests.planted.defect import Defect, all_defects
from tests.planted.planting import spoil

ROOT = Path(__file__).resolve().parents[2]
DEFECTS = all_defects()


def test_there_are_enough_and_each_has_its_own_name() -> None:
    names = [one.name for one in DEFECTS]

    assert len(names) >= 15
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda one: one.name)
def test_a_defect_fits_the_code_as_it_is(defect: Defect) -> None:
    spec = importlib.util.find_spec(defect.module)
    assert spec is not None
    assert spec.origin is not None

    spoilt = spoil(Path(spec.origin).read_text("utf-8"), defect)

    compile(spoilt, defect.module, "exec", dont_inherit=True)
    for test in defect.caught_by:
        assert (ROOT / test.partition("::")[0]).exists()
