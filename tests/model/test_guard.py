"""The removal guard: how many may go, of how many, and what it says where it is too many."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncsvc.model.errors import UnsafePlanError
from syncsvc.model.guard import Limits, Removals, judge

USUAL = Limits(50, 0.05)
counts = st.integers(0, 10**7)


@pytest.mark.parametrize(
    ("planned", "recent", "held", "limits"),
    [
        (50, 0, 9310, USUAL),
        (1, 49, 9310, USUAL),
        (5, 0, 100, USUAL),
        (1, 0, 1, USUAL),
        (1, 0, 19, USUAL),
        (2, 0, 21, USUAL),
        (7, 0, 100, Limits(50, 0.07)),
        (0, 400, 600, USUAL),
        (10, 0, 10, Limits(10, 1.0)),
    ],
)
def test_so_many_may_go(planned: int, recent: int, held: int, limits: Limits) -> None:
    judge({"north-gate": Removals(planned, recent, held)}, limits)


@pytest.mark.parametrize(
    ("planned", "recent", "held", "limits"),
    [
        (51, 0, 9310, USUAL),
        (1, 50, 9310, USUAL),
        (6, 0, 100, USUAL),
        (5, 1, 99, USUAL),
        (2, 0, 19, USUAL),
        (2, 0, 20, USUAL),
        (1, 1, 18, USUAL),
        (1, 0, 1000, Limits(0, 0.05)),
        (1, 0, 1000, Limits(50, 0.0)),
        (8, 0, 100, Limits(50, 0.07)),
    ],
)
def test_so_many_may_not_go(planned: int, recent: int, held: int, limits: Limits) -> None:
    with pytest.raises(UnsafePlanError):
        judge({"north-gate": Removals(planned, recent, held)}, limits)


def test_it_says_from_where_how_many_of_how_many_and_what_would_be_right() -> None:
    plan = {"north-gate": Removals(412, 3, 9310), "yard": Removals(1, 0, 9310), "hq": Removals(60, 0, 2000)}

    with pytest.raises(UnsafePlanError) as refused:
        judge(plan, USUAL)

    assert str(refused.value) == (
        "hq: 60 of 2,000 people would go; north-gate: 412 of 9,310 people would go, and 3 went in the last 24 hours; "
        "in 24 hours at most 50 (max_removals) and 0.05 of all (max_removals_share) may go"
    )


@given(planned=counts, recent=counts, held=counts, more=counts)
def test_whoever_may_go_of_some_may_go_of_more(planned: int, recent: int, held: int, more: int) -> None:
    few, many = Removals(planned, recent, held), Removals(planned, recent, held + more)

    assert many.exceed(USUAL) <= few.exceed(USUAL)


@given(removals=counts, share=st.floats(0.001, 1.0))
def test_of_enough_people_any_more_make_no_difference(removals: int, share: float) -> None:
    limits = Limits(10**9, share)
    enough = limits.enough(removals)

    assert not Removals(removals, 0, enough).exceed(limits)


@given(planned=st.integers(1, 1000), held=counts, share=st.floats(0.001, 1.0))
def test_a_count_that_stops_early_leads_to_the_same_judgement(planned: int, held: int, share: float) -> None:
    limits = Limits(50, share)
    counted = min(held, limits.enough(planned))

    assert Removals(planned, 0, counted).exceed(limits) == Removals(planned, 0, held).exceed(limits)
