"""What is made of answers that are not the vendor's own, and of how long they ask us to wait."""

import httpx
import pytest

from syncsvc.library.faults import LONGEST_WAIT, FaultTable, retry_after, status_fault
from syncsvc.model.errors import LibraryError, MisconfiguredError, UnavailableError, UncertainError


def said(value: str) -> float | None:
    return retry_after(httpx.Response(429, headers={"Retry-After": value}))


@pytest.mark.parametrize(("value", "seconds"), [("0", 0.0), ("30", 30.0), ("000030", 30.0), (" 7 ", 7.0)])
def test_seconds_to_wait_are_taken_as_said(value: str, seconds: float) -> None:
    assert said(value) == seconds


@pytest.mark.parametrize("value", ["901", "999999999", "9" * 5000, "Fri, 31 Dec 2199 23:59:59 GMT"])
def test_no_vendor_closes_a_library_for_longer_than_the_longest_wait(value: str) -> None:
    assert said(value) == LONGEST_WAIT


@pytest.mark.parametrize(
    "value",
    [
        "",
        "-5",
        "1.5",
        "soon",
        "\u00b2",
        "Fri, 31 Dec 9999 23:59:59 -2359",
        "Fri, 31 Dec 99999999999999999999 23:59:59 GMT",
    ],
)
def test_a_time_to_wait_that_makes_no_sense_is_none(value: str) -> None:
    told = retry_after(httpx.Response(429, headers=[(b"Retry-After", value.encode("latin-1"))]))

    assert told in {None, LONGEST_WAIT}


def test_a_date_of_the_past_means_at_once() -> None:
    assert said("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
    assert said("Wed, 21 Oct 2015 07:28:00 -0000") == 0.0


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (404, MisconfiguredError),
        (408, UncertainError),
        (421, UnavailableError),
        (425, UnavailableError),
        (502, UncertainError),
        (503, UnavailableError),
    ],
)
def test_a_load_balancers_not_now_halts_nothing(status: int, kind: type[LibraryError]) -> None:
    assert type(status_fault(httpx.Response(status))) is kind


def test_a_code_that_nobody_knows_is_no_sign_that_the_library_is_out_of_order() -> None:
    assert FaultTable({}).error("NEW").about_person
