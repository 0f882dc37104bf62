"""Limits as a strict vendor counts them, by a clock that stands where it is put."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncsvc.sandbox.windows import Limits, Windows


def arrivals(windows: Windows, instants: list[float], operation: str = "add") -> list[bool]:
    told = []
    for now in instants:
        told.append(windows.arrive("", operation, now))
        if told[-1]:
            windows.leave("")
    return told


def test_the_window_slides_and_does_not_begin_anew_every_second() -> None:
    windows = Windows(Limits(rates=((2, 1.0),)))

    told = arrivals(windows, [0.5, 0.9, 1.1, 1.499, 1.5, 1.6, 1.91])

    assert told == [True, True, False, False, True, False, True]


def test_a_call_that_is_turned_away_does_not_count() -> None:
    windows = Windows(Limits(rates=((1, 1.0),)))

    told = arrivals(windows, [0.0, 0.5, 0.9, 1.0])

    assert told == [True, False, False, True]


def test_each_operation_is_counted_by_itself_and_an_exception_by_its_own_number() -> None:
    windows = Windows(Limits(each=((1, 1.0),), operations={"rare": ((1, 60.0),)}))

    assert arrivals(windows, [0.0, 0.1], "add") == [True, False]
    assert arrivals(windows, [0.2], "delete") == [True]
    assert arrivals(windows, [0.3, 2.0, 60.3], "rare") == [True, False, True]


def test_all_limits_hold_together() -> None:
    windows = Windows(Limits(rates=((3, 1.0), (4, 10.0))))

    told = arrivals(windows, [0.0, 0.1, 0.2, 0.3, 1.5, 1.6, 10.1])

    assert told == [True, True, True, False, True, False, True]


def test_accounts_do_not_share_a_limit() -> None:
    windows = Windows(Limits(rates=((1, 1.0),)))

    assert [windows.arrive(account, "add", 0.0) for account in ("a", "b", "a")] == [True, True, False]


def test_calls_under_way_are_capped_until_they_leave() -> None:
    windows = Windows(Limits(concurrency=2))

    told = [windows.arrive("", "add", 0.0) for _ in range(3)]
    windows.leave("")

    assert [*told, windows.arrive("", "add", 0.0)] == [True, True, False, True]


def test_limits_can_be_switched_off() -> None:
    windows = Windows(Limits(rates=((1, 60.0),), concurrency=1, enabled=False))

    assert [windows.arrive("", "add", 0.0) for _ in range(5)] == [True] * 5


@pytest.mark.parametrize("permits", [1, 3, 7])
@given(gaps=st.lists(st.integers(0, 600), max_size=60))
def test_no_sliding_window_ever_holds_more_than_the_limit(permits: int, gaps: list[int]) -> None:
    windows, now, let_in = Windows(Limits(rates=((permits, 1000.0),))), 0, []

    for gap in gaps:
        now += gap
        if windows.arrive("", "add", float(now)):
            let_in.append(now)

    for start in let_in:
        assert sum(start <= one < start + 1000 for one in let_in) <= permits
