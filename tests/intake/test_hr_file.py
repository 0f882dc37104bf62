"""A file of HR changes: the webhook's words, line by line."""

import json
from pathlib import Path
from typing import Any

import pytest

from syncsvc.intake.hr_file import read_changes
from syncsvc.model.changes import Departed, FaceDeleted, FaceReplaced, Told, Upserted
from syncsvc.model.errors import InputError
from syncsvc.model.rosters import BadLine
from tests.vendors.photos import draw


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "0.jpg").write_bytes(draw(0).content)
    return tmp_path


def read(folder: Path, *lines: Any) -> list[Told | BadLine]:
    file = folder / "changes.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return [told for _, told in read_changes(file, source="hr")]


def test_every_kind_of_change_is_understood(folder: Path) -> None:
    photo = {"path": "0.jpg"}
    told = read(
        folder,
        {
            "id": "1",
            "type": "person.upserted",
            "data": {"person": {"id": "E1", "version": 4, "name": "王伟", "faces": [{"id": "badge", "photo": photo}]}},
        },
        {"id": "2", "type": "person.upserted", "data": {"person": {"id": "E1", "name": "王伟伟"}}},
        {"id": "3", "type": "person.departed", "data": {"person": {"id": "E1"}}},
        {
            "id": "4",
            "type": "face.replaced",
            "data": {"person": {"id": "E1", "version": 5}, "face": {"id": "door", "photo": photo}},
        },
        {"id": "5", "type": "face.deleted", "data": {"person": {"id": "E1"}, "face": {"id": "door"}}},
    )

    assert told == [
        Told("hr", "1", Upserted("E1", (("badge", draw(0)),), "王伟"), 4),  # type: ignore[arg-type]
        Told("hr", "2", Upserted("E1", None, "王伟伟")),  # type: ignore[arg-type]
        Told("hr", "3", Departed("E1")),  # type: ignore[arg-type]
        Told("hr", "4", FaceReplaced("E1", "door", draw(0)), 5),  # type: ignore[arg-type]
        Told("hr", "5", FaceDeleted("E1", "door")),  # type: ignore[arg-type]
    ]


def test_an_empty_list_of_faces_is_not_an_absent_one(folder: Path) -> None:
    (told,) = read(folder, {"id": "1", "type": "person.upserted", "data": {"person": {"id": "E1", "faces": []}}})

    assert isinstance(told, Told)
    assert told.change == Upserted("E1", ())  # type: ignore[arg-type]


PERSON = {"person": {"id": "E1"}}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (7, "is not a JSON object"),
        ({"type": "person.departed", "data": PERSON}, "id: field required"),
        ({"id": "1", "type": "person.promoted", "data": PERSON}, "type: must be one of person.upserted, "),
        ({"id": "1", "type": ["person.departed"], "data": PERSON}, "type: must be one of "),
        ({"id": "1", "type": "face.deleted", "data": PERSON}, "data.face: field required"),
        (
            {"id": "1", "type": "person.departed", "data": {"person": {"id": "E1", "version": "9"}}},
            "data.person.version: input should be a valid integer",
        ),
        (
            {"id": "1", "type": "person.departed", "data": {**PERSON, "effectiv_at": "2026-01-01"}},
            "data.effectiv_at: extra inputs are not permitted",
        ),
        (
            {"id": "1", "type": "person.departed", "data": {"person": {"id": ""}}},
            "data.person.id: the person's id is empty",
        ),
        (
            {"id": "1", "type": "face.replaced", "data": {**PERSON, "face": {"id": "f", "photo": {"path": "no.jpg"}}}},
            "data.face.photo: the photo file ",
        ),
        (
            {
                "id": "1",
                "type": "person.upserted",
                "data": {"person": {"id": "E1", "faces": [{"id": "f", "photo": {"path": "0.jpg"}}] * 2}},
            },
            "data.person.faces: one face stands there twice",
        ),
    ],
)
def test_a_bad_line_is_named_and_the_next_is_read(folder: Path, line: Any, reason: str) -> None:
    good = {"id": "2", "type": "person.departed", "data": PERSON}

    first, second = read(folder, line, good)

    assert isinstance(first, BadLine)
    assert first.line == 1
    assert first.reason.startswith(reason)
    assert isinstance(second, Told)


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        list(read_changes(tmp_path / "none.jsonl", source="hr"))
