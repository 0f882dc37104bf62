"""Whatever the vendor: scripted faults really happen, and the control API tells what did."""

import io
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from PIL import Image

from syncsvc.model.people import Feature
from syncsvc.sandbox.base import Limits
from syncsvc.sandbox.serve import running
from syncsvc.sandbox.world import faces_in, feature_digest, picture
from tests.sandbox.toy import Toy
from tests.vendors.photos import blank, draw


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def toy(clock: Clock) -> Toy:
    return Toy(clock=clock)


@pytest.fixture
def client(toy: Toy) -> Iterator[httpx.Client]:
    with running(toy) as (url,), httpx.Client(base_url=url, timeout=0.4, trust_env=False) as client:
        yield client


Control = Callable[..., Any]


@pytest.fixture
def control(client: httpx.Client) -> Control:
    def ask(name: str, method: str = "POST", **body: Any) -> Any:
        return client.request(method, f"/_control/{name}", json=body or None).json()

    return ask


def test_a_lost_answer_is_carried_out_and_the_connection_cut(client: httpx.Client, toy: Toy) -> None:
    toy.fault("lost_answer", "add", times=1)

    with pytest.raises(httpx.RemoteProtocolError):
        client.post("/add")

    assert toy.world.counts("somebody") == [1]
    assert client.post("/add").status_code == 200


@pytest.mark.parametrize(("carried_out", "faces"), [(True, 1), (False, 0)])
def test_a_timeout_outlasts_the_clients_patience(
    client: httpx.Client, toy: Toy, *, carried_out: bool, faces: int
) -> None:
    toy.fault("timeout", times=1, wait=20, carried_out=carried_out)

    with pytest.raises(httpx.ReadTimeout):
        client.post("/add")

    assert len(toy.world.faces) == faces


def test_a_short_timeout_answers_in_the_end(client: httpx.Client, toy: Toy) -> None:
    toy.fault("timeout", times=1, wait=0.05)

    assert client.post("/add").json() == {"id": "1"}


def test_a_lying_ok_answers_like_a_success_and_does_nothing(client: httpx.Client, toy: Toy) -> None:
    toy.fault("lying_ok", times=1)

    answer = client.post("/add")

    assert (answer.status_code, answer.json()) == (200, {"id": "1"})
    assert (toy.world.faces, toy.world.history) == ({}, [])


@pytest.mark.parametrize(("honest", "told"), [(True, 1), (False, 0)])
def test_a_partial_call_does_half_and_may_admit_it(client: httpx.Client, toy: Toy, *, honest: bool, told: int) -> None:
    for _ in range(3):
        client.post("/add")
    toy.fault("partial", "drop", honest=honest)

    assert client.post("/drop").json() == {"left": told}
    assert len(toy.world.faces) == 1


@pytest.mark.parametrize(
    ("kind", "status"), [("unavailable", 500), ("outage", 503), ("throttle", 429), ("unknown_code", 400)]
)
def test_what_is_refused_is_not_carried_out(client: httpx.Client, toy: Toy, kind: str, status: int) -> None:
    toy.fault(kind)

    assert client.post("/add").status_code == status
    assert toy.world.faces == {}


@pytest.mark.parametrize(("carried_out", "faces"), [(True, 1), (False, 0)])
def test_garbage_cannot_be_read(client: httpx.Client, toy: Toy, *, carried_out: bool, faces: int) -> None:
    toy.fault("garbage", carried_out=carried_out)

    answer = client.post("/add")

    assert answer.status_code == 200
    with pytest.raises(ValueError, match="Unterminated"):
        answer.json()
    assert len(toy.world.faces) == faces


def test_faults_end_after_their_times_or_seconds_and_begin_after_what_they_let_through(
    client: httpx.Client, toy: Toy, clock: Clock, control: Control
) -> None:
    toy.set_limits(Limits())

    def statuses(count: int) -> list[int]:
        return [client.post("/add").status_code for _ in range(count)]

    control("faults", kind="outage", after=1, times=2)
    assert statuses(4) == [200, 503, 503, 200]
    control("faults", kind="outage", operation="drop")
    assert statuses(1) == [200]
    control("faults", method="DELETE")
    control("faults", kind="outage", every=3)
    assert statuses(6) == [200, 200, 503, 200, 200, 503]
    control("faults", method="DELETE")
    control("faults", kind="outage", seconds=10)
    assert statuses(1) == [503]
    clock.now += 10
    assert statuses(1) == [200]
    assert control("faults", method="GET") == {"faults": []}


def test_our_own_throttling_and_the_scripted_are_counted_apart(
    client: httpx.Client, toy: Toy, clock: Clock, control: Control
) -> None:
    toy.fault("throttle", times=2)

    statuses = [client.post("/add").status_code for _ in range(8)]
    clock.now += 1.0

    assert statuses == [429, 429, 200, 200, 200, 429, 429, 429]
    assert client.post("/add").status_code == 200
    told = control("calls", method="GET")
    assert told["throttled"] == {"own": 3, "scripted": 2}
    assert (told["total"], told["by_operation"], told["faults_fired"]) == (9, {"add": 9}, {"throttle": 2})
    assert told["last"][-1] == {"at": 1001.0, "operation": "add", "outcome": "ok", "status": 200}


def test_who_is_turned_away_counts_and_changes_nothing(client: httpx.Client, toy: Toy) -> None:
    answer = client.post("/add", headers={"X-Key": "wrong"})

    assert answer.status_code == 401
    assert toy.world.faces == {}
    assert toy.calls()["outcomes"] == {"who": 1}


def test_the_control_api_shows_plants_and_removes_faces(client: httpx.Client, toy: Toy, control: Control) -> None:
    client.post("/add")

    planted = control("plant", person_key="somebody", label="a badge")
    shown = control("world", method="GET")

    assert [face["planted"] for face in shown["people"]["somebody"]] == [False, True]
    assert shown["total"] == 2
    assert control("remove", vendor_face_id=planted["vendor_face_id"]) == {"removed": True}
    assert control("remove", vendor_face_id=planted["vendor_face_id"]) == {"removed": False}
    assert toy.world.counts("somebody") == [1, 2, 1]


def test_limits_latency_and_switches_can_be_changed_while_it_runs(
    client: httpx.Client, toy: Toy, control: Control
) -> None:
    control("limits", rates=[[1, 60]], operations={"drop": [[2, 5]]}, concurrency=4)
    assert [client.post("/add").status_code for _ in range(2)] == [200, 429]
    control("limits", enabled=False)
    assert client.post("/add").status_code == 200
    control("latency", seconds=0.01, jitter=0.005)
    control("switches", polite=False)

    assert (toy.latency, toy.jitter, toy.switches) == (0.01, 0.005, {"polite": False})
    assert client.post("/add").status_code == 200


def test_a_reset_forgets_everything_but_the_settings(client: httpx.Client, toy: Toy, control: Control) -> None:
    client.post("/add")
    toy.fault("outage")
    control("limits", rates=[[1, 60]])

    control("reset")

    assert (toy.world.faces, toy.world.history, toy.calls()["total"]) == ({}, [], 0)
    assert [client.post("/add").status_code for _ in range(2)] == [200, 429]


@pytest.mark.parametrize(
    ("name", "body", "says"),
    [
        ("faults", {"kind": "earthquake"}, "kind must be one of"),
        ("faults", {"kind": "outage", "operation": "dance"}, "operation must be one of add, drop"),
        ("faults", {"kind": "outage", "tims": 3}, "a fault has no tims"),
        ("switches", {"rude": True}, "no switch rude"),
        ("limits", {"speed": 3}, "limits have no speed"),
        ("plant", {}, "person_key"),
    ],
)
def test_a_wrong_order_is_refused_and_says_what_would_be_right(
    client: httpx.Client, name: str, body: dict[str, Any], says: str
) -> None:
    answer = client.post(f"/_control/{name}", json=body)

    assert answer.status_code == 422
    assert says in answer.json()["error"]


def test_the_detector_sees_what_it_was_told() -> None:
    noise = Image.effect_noise((40, 30), 60)
    png = io.BytesIO()
    noise.save(png, "PNG")

    assert [faces_in(draw(1).content), faces_in(draw(1, faces=3).content), faces_in(blank().content)] == [1, 3, 0]
    assert faces_in(b"no picture at all") == 0
    assert picture(b"no picture at all") is None
    assert picture(png.getvalue()) == picture(png.getvalue())
    assert str(picture(png.getvalue())) == "Picture(faces=1, width=40, height=30, format='PNG')"


def test_a_feature_has_the_digest_that_our_own_people_give_it() -> None:
    values = tuple(index / 3 for index in range(512))

    assert feature_digest(list(values)) == Feature(values).digest
