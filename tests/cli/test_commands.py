"""What commands print, and how they end."""

import base64
import io
import json
import socket
import uuid
from pathlib import Path

import pytest
from PIL import Image

from syncsvc.cli import people
from syncsvc.cli.commands import _desk
from syncsvc.flow.record import record
from syncsvc.intake.photos import read_photo
from syncsvc.model.changes import Told, Upserted
from syncsvc.model.people import FaceId, PersonId
from syncsvc.sandbox.serve import running, sandbox_class
from tests.cli.conftest import CONFIGURATION
from tests.cli.running import Run


def picture(colour: str = "teal") -> bytes:
    drawn = io.BytesIO()
    Image.new("RGB", (200, 200), colour).save(drawn, "JPEG")
    return drawn.getvalue()


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The libraries whose bell was rung; no broker is asked."""
    rung: list[str] = []
    monkeypatch.setattr(people, "_send", lambda _here, rings: rung.extend(ring.library for ring in rings))
    return rung


@pytest.fixture
def alice(run: Run, rung: list[str]) -> str:
    """A person with one face, recorded as if HR had told us."""
    assert run("db", "upgrade").code == 0
    assert run("library", "list").code == 0
    told = Upserted(PersonId("alice"), ((FaceId("front"), read_photo(picture())),))
    record(_desk.house, Told("hr", uuid.uuid4().hex, told))
    _desk.house.store.close()
    return "alice"


def test_wrong_usage_is_2_and_our_own_errors_are_1(run: Run) -> None:
    assert run("frobnicate").code == 2
    assert run("person", "show").code == 2
    assert run("sandbox", "nobody").code == 2
    assert run("person", "show", "alice").code == 1


def test_a_configuration_with_mistakes_lists_them_and_shows_no_traceback(run: Run, configuration: Path) -> None:
    configuration.write_text(configuration.read_text().replace("policy", "polisy").replace("sophon", "cedar"))

    ended = run("library", "list")

    assert ended.code == 1
    assert "library[0].polisy: no such key; did you mean policy?" in ended.err
    assert "library[0].policy: is missing; observe, upsert-only or sync" in ended.err
    assert "Traceback" not in ended.err


def test_an_unknown_vendor_is_a_mistake_that_names_the_known_ones(run: Run, configuration: Path) -> None:
    configuration.write_text(configuration.read_text().replace("sophon", "cedar"))

    ended = run("library", "list")

    assert ended.code == 1
    assert "library[0].vendor: no such vendor; known are " in ended.err


def test_no_configuration_at_all_is_said_plainly(run: Run, configuration: Path) -> None:
    configuration.unlink()

    ended = run("status")

    assert (ended.code, ended.out) == (1, "")
    assert "there is no such file" in ended.err


def test_the_unexpected_goes_to_a_file_without_its_secrets(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def boom(_length: int) -> bytes:
        raise ZeroDivisionError("postgresql://user:hunter2@db/faces")

    monkeypatch.setattr("syncsvc.cli.tools.secrets.token_bytes", boom)

    ended = run("keygen")

    assert ended.code == 1
    assert ended.err.startswith("syncsvc: something unexpected happened (ZeroDivisionError); the details are in ")
    written = (tmp_path / "var" / "log" / "syncsvc-errors.log").read_text()
    assert "ZeroDivisionError" in written
    assert "hunter2" not in written + ended.err


def test_fresh_keys_fit_the_configuration(run: Run) -> None:
    fresh = json.loads(run("keygen", "--json").out)

    lengths = {name: len(base64.b64decode(key)) for name, key in fresh.items()}
    assert lengths == {"photo_key": 32, "receipt_key": 32, "receipt_public_key": 32}
    assert run("keygen").out != run("keygen").out


def test_an_old_schema_is_told_and_mended(run: Run) -> None:
    assert "run `syncsvc db upgrade`" in run("db", "current").err
    assert "run `syncsvc db upgrade`" in run("status").err
    assert run("db", "check").err == "syncsvc: the schema is not this version's; run `syncsvc db upgrade`\n"

    assert run("db", "upgrade").code == 0

    found = json.loads(run("db", "current", "--json").out)
    assert found["current"] == found["head"]
    assert run("db", "check").code == 0


def test_a_library_is_paused_and_resumed(run: Run) -> None:
    run("db", "upgrade")

    assert run("library", "pause", "north-gate").out == "north-gate is paused\n"
    assert json.loads(run("library", "list", "--json").out)[0]["state"] == "paused"
    assert run("library", "pause", "north-gate").out == "north-gate was paused already\n"
    assert run("library", "resume", "north-gate").out == "north-gate works again\n"
    assert json.loads(run("library", "list", "--json").out)[0]["state"] == "active"
    assert "no library is called 'south-gate'" in run("library", "resume", "south-gate").err


def test_a_library_is_filled_with_everybody_it_was_never_told_of(run: Run, alice: str, configuration: Path) -> None:
    second = CONFIGURATION.format(base_url="http://127.0.0.1:1").replace("north-gate", "south-gate")
    with configuration.open("a") as file:
        file.write(second[second.index("[[library]]") :])
    assert run("db", "upgrade").code == 0

    ended = run("library", "fill", "south-gate")

    assert (ended.code, ended.out) == (0, "1 person is now owed to south-gate\n")
    assert json.loads(run("library", "fill", "south-gate", "--json").out) == {"library": "south-gate", "owed": 0}
    assert "no library is called 'west-gate'" in run("library", "fill", "west-gate").err


def test_status_counts_what_is_owed(run: Run, alice: str) -> None:
    (shown,) = json.loads(run("status", "--json").out)

    assert (shown["name"], shown["due"], shown["attention"]) == ("north-gate", 1, 0)
    assert "north-gate" in run("status").out


def test_a_person_is_shown_library_by_library(run: Run, alice: str) -> None:
    shown = json.loads(run("person", "show", alice, "--json").out)

    assert (shown["id"], shown["revision"], shown["faces"]) == ("alice", 1, [{"id": "front"}])
    assert shown["libraries"][0]["state"] == "due"
    assert "alice: revision 1, faces: front" in run("person", "show", alice).out
    assert run("person", "show", "bob").code == 1


def test_a_face_is_replaced_from_a_file(run: Run, alice: str, rung: list[str], tmp_path: Path) -> None:
    (tmp_path / "new.jpg").write_bytes(picture("olive"))

    ended = run("face", "replace", alice, "--face", "front", "--photo", "new.jpg", "--json")

    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["revision"] == 2
    assert rung == ["north-gate"]


def test_a_face_of_somebody_unknown_makes_a_new_person(run: Run, alice: str, rung: list[str], tmp_path: Path) -> None:
    (tmp_path / "new.jpg").write_bytes(picture("olive"))

    ended = run("face", "replace", "bob", "--face", "front", "--photo", "new.jpg")

    assert (ended.code, rung) == (0, ["north-gate"]), ended.err
    assert ended.out.startswith("new person, recorded for 1 library; ")
    assert json.loads(run("person", "show", "bob", "--json").out)["faces"] == [{"id": "front"}]
    assert "new person" not in run("face", "replace", "bob", "--face", "back", "--photo", "new.jpg").out


@pytest.mark.parametrize(("bad", "why"), [("", "is empty"), ("a\x07b", "holds a character that cannot be written")])
def test_an_id_that_cannot_be_one_is_refused(run: Run, alice: str, tmp_path: Path, bad: str, why: str) -> None:
    (tmp_path / "new.jpg").write_bytes(picture("olive"))

    for ended in (
        run("person", "show", bad),
        run("person", "erase", bad, "--yes"),
        run("person", "resync", bad),
        run("face", "replace", bad, "--face", "front", "--photo", "new.jpg"),
    ):
        assert (ended.code, ended.err) == (1, f"syncsvc: the person's id {why}\n")
    for ended in (
        run("face", "replace", alice, "--face", bad, "--photo", "new.jpg"),
        run("face", "delete", alice, "--face", bad),
    ):
        assert (ended.code, ended.err) == (1, f"syncsvc: the face's id {why}\n")


def test_a_file_that_is_no_photo_changes_nothing(run: Run, alice: str, tmp_path: Path) -> None:
    (tmp_path / "new.jpg").write_bytes(b"%PDF-1.7")

    ended = run("face", "replace", alice, "--face", "front", "--photo", "new.jpg")

    assert ended.code == 1
    assert ended.err == "syncsvc: the photo cannot be read as a picture; send a JPEG or PNG\n"
    assert json.loads(run("person", "show", alice, "--json").out)["revision"] == 1


def test_a_face_is_deleted_by_its_own_name_only(run: Run, alice: str) -> None:
    ended = run("face", "delete", alice, "--face", "back")

    assert ended.code == 1
    assert "alice has no face 'back'; there are: front" in ended.err
    assert run("face", "delete", alice, "--face", "front").code == 0
    assert json.loads(run("person", "show", alice, "--json").out)["faces"] == []


def test_an_erased_person_still_answers_and_does_not_come_back_by_hand(run: Run, alice: str, tmp_path: Path) -> None:
    (tmp_path / "new.jpg").write_bytes(picture("olive"))

    assert run("person", "erase", alice, "--yes").code == 0
    assert "so already" in run("person", "erase", alice, "--yes").out
    assert "has departed" in run("face", "replace", alice, "--face", "front", "--photo", "new.jpg").err
    shown = json.loads(run("person", "show", alice, "--json").out)
    assert shown["faces"] == []
    assert shown["departed_at"] is not None


def test_resync_owes_a_person_to_every_library_again(run: Run, alice: str, rung: list[str]) -> None:
    ended = run("person", "resync", alice, "--json")

    assert json.loads(ended.out) == {"libraries": ["north-gate"]}
    assert rung == ["north-gate"]
    assert run("person", "resync", "bob").code == 1


def test_check_says_what_to_do_about_everything_that_fails(run: Run) -> None:
    ended = run("check", "--json")

    found = {one["what"]: (one["state"], one["words"]) for one in json.loads(ended.out)}
    assert ended.code == 1
    assert found["configuration"][0] == "ok"
    assert found["database"] == ("failed", "empty; run `syncsvc db upgrade` (or `syncsvc up`, which does)")
    assert found["redis"] == ("ok", "embedded")
    assert found["library north-gate"] == ("failed", "the library cannot be reached")


def test_check_passes_where_everything_is_there(run: Run, configuration: Path) -> None:
    with running(sandbox_class("sophon")()) as (url,):
        configuration.write_text(CONFIGURATION.format(base_url=url))
        run("db", "upgrade")

        ended = run("check")

    assert ended.code == 0, ended.out
    assert "failed" not in ended.out


def test_a_port_that_is_taken_is_named_before_anything_starts(run: Run, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        ended = run("up", "--port", str(port))

    assert ended.code == 1
    assert f"cannot listen on 127.0.0.1:{port} (Address already in use); choose another with --port" in ended.err
    assert not (tmp_path / "var" / "syncsvc.db").exists()


@pytest.mark.parametrize(
    "words", [("web", "--port"), ("flower", "--port"), ("up", "--port"), ("up", "--flower-port")], ids=" ".join
)
def test_a_port_that_cannot_be_one_is_wrong_usage(run: Run, words: tuple[str, ...]) -> None:
    assert run(*words, "0").code == 2
    assert run(*words, "65536").code == 2


def test_a_process_without_its_embedded_redis_says_who_runs_it(run: Run) -> None:
    ended = run("worker")

    assert ended.code == 1
    assert "the embedded Redis is not running; `syncsvc up` runs it" in ended.err


def test_a_rotated_key_is_finished_by_one_command(run: Run, alice: str) -> None:
    assert run("db", "reseal").out.splitlines() == ["everything is sealed with the first key of photo_key"]
