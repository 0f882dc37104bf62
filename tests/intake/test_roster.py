"""A roster as a customer writes it: everything good is read, everything bad is named with its line."""

import json
import tracemalloc
from itertools import islice
from pathlib import Path

import pytest

from syncsvc.intake.lines import BadLine
from syncsvc.intake.roster import Enrolled, read_roster
from syncsvc.model.errors import InputError
from tests.vendors.photos import draw


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(4):
        (tmp_path / f"{number}.jpg").write_bytes(draw(number).content)
    return tmp_path


def written(folder: Path, text: str, name: str = "roster.csv") -> Path:
    file = folder / name
    file.write_text(text, "utf-8")
    return file


def people(path: Path) -> dict[str, list[str]]:
    """Person -> faces, of those who were enrolled."""
    found = [one.change for one in read_roster(path) if isinstance(one, Enrolled)]
    return {change.person: [face for face, _ in change.faces or ()] for change in found}


def bad(path: Path) -> list[tuple[int, str]]:
    return [(one.line, one.reason) for one in read_roster(path) if isinstance(one, BadLine)]


def test_one_line_a_face_makes_one_person_of_neighbouring_lines(folder: Path) -> None:
    file = written(folder, "id,name,face,photo\nE1,王伟,badge,0.jpg\nE1,王伟,door,1.jpg\n007,Anna,badge,2.jpg\n")

    found = list(read_roster(file))

    assert people(file) == {"E1": ["badge", "door"], "007": ["badge"]}
    assert isinstance(found[0], Enrolled)
    assert found[0].change.name == "王伟"
    assert [source for _, source in found[0].change.faces or ()] == [draw(0), draw(1)]


def test_a_roster_of_one_photo_each_needs_neither_face_nor_name(folder: Path) -> None:
    assert people(written(folder, "photo,id\n0.jpg,E1\n1.jpg,E2\n")) == {"E1": ["main"], "E2": ["main"]}


def test_columns_of_other_purposes_are_passed_over(folder: Path) -> None:
    file = written(folder, '\ufeffID,Department,Photo\nE1,"Sales, Asia",0.jpg\n\nE2,,1.jpg\n')

    assert people(file) == {"E1": ["main"], "E2": ["main"]}
    assert not bad(file)


def test_a_bad_line_is_named_and_the_others_are_read(folder: Path) -> None:
    (folder / "torn.jpg").write_bytes(draw(0).content[:700])
    file = written(folder, "id,photo\nE1,0.jpg\nE2,none.jpg\n,1.jpg\nE4,torn.jpg\nE5,2.jpg\nE6\n")

    assert list(people(file)) == ["E1", "E5"]
    assert [line for line, _ in bad(file)] == [3, 4, 5, 7]
    reasons = [reason for _, reason in bad(file)]
    assert "cannot be read (No such file or directory)" in reasons[0]
    assert reasons[1] == "the person's id is empty"
    assert "the photo is damaged" in reasons[2]
    assert reasons[3] == "there is no photo"


def test_one_bad_line_skips_the_whole_person_so_that_no_face_of_theirs_is_taken_away(folder: Path) -> None:
    file = written(folder, "id,face,photo\nE1,badge,0.jpg\nE1,door,none.jpg\nE2,badge,1.jpg\n")

    assert list(people(file)) == ["E2"]
    ((line, reason),) = bad(file)
    assert line == 3
    assert reason.endswith("; the person is skipped")


def test_a_person_who_comes_again_further_down_is_not_enrolled_twice(folder: Path) -> None:
    file = written(folder, "id,face,photo\nE1,badge,0.jpg\nE2,badge,1.jpg\nE1,door,2.jpg\n")

    assert people(file) == {"E1": ["badge"], "E2": ["badge"]}
    assert bad(file) == [(4, "this person stands further up already; put a person's lines next to each other")]


def test_a_face_that_stands_twice_for_a_person_is_bad(folder: Path) -> None:
    file = written(folder, "id,face,photo\nE1,badge,0.jpg\nE1,badge,1.jpg\n")

    assert not people(file)
    assert bad(file) == [(3, "the face 'badge' stands here twice for one person; the person is skipped")]


@pytest.mark.parametrize("path", ["../outside.jpg", "/etc/hostname", "a/../../outside.jpg", "nul\0byte.jpg"])
def test_no_file_outside_the_folder_is_ever_opened(tmp_path: Path, path: str) -> None:
    (tmp_path / "outside.jpg").write_bytes(draw(0).content)
    folder = tmp_path / "roster"
    folder.mkdir()
    file = written(folder, json.dumps({"id": "E1", "faces": [{"photo": path}]}), "roster.jsonl")

    ((line, reason),) = bad(file)

    assert line == 1
    assert reason == f"the photo's path must lead to a file in {folder}"


def test_photos_may_stand_in_a_folder_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "1.jpg").write_bytes(draw(1).content)
    file = written(tmp_path, "id,photo\nE1,1.jpg\n")

    (found,) = read_roster(file, photos=tmp_path / "photos")

    assert isinstance(found, Enrolled)


def test_json_lines_say_the_same_with_one_line_a_person(folder: Path) -> None:
    lines = [
        {"id": "E1", "name": "王伟", "faces": [{"id": "badge", "photo": "0.jpg"}, {"id": "door", "photo": "1.jpg"}]},
        {"id": "E2", "faces": [{"photo": "2.jpg"}], "department": "Sales"},
        {"id": 3, "faces": []},
        {"id": "E4", "faces": []},
        ["E5"],
    ]
    file = written(folder, "\n".join(json.dumps(line) for line in lines) + "\n{\n", "roster.jsonl")

    assert people(file) == {"E1": ["badge", "door"], "E2": ["main"]}
    assert bad(file) == [
        (3, "id: input should be a valid string"),
        (4, "there is no photo; somebody who is to have none is left out of the roster"),
        (5, "is not a JSON object"),
        (6, "is not a JSON object"),
    ]


@pytest.mark.parametrize(
    ("person", "reason"),
    [
        ("x" * 257, "the person's id has 257 characters; at most 256 are taken"),
        (" E1", "the person's id begins or ends with a space"),
        ("E\u0000", "the person's id holds a character that cannot be written"),
        ("E\ud800", "the person's id holds a character that cannot be written"),
    ],
)
def test_an_id_that_cannot_be_kept_everywhere_is_refused(folder: Path, person: str, reason: str) -> None:
    file = written(folder, json.dumps({"id": person, "faces": [{"photo": "0.jpg"}]}), "roster.jsonl")

    assert bad(file) == [(1, reason)]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "there is no column id and no column photo; the first line must name"),
        (b"id,picture\n", "there is no column photo;"),
        (b"id,photo\nE1,0.jpg\n\xc4\xcf,1.jpg\n", "is not UTF-8"),
        (b"id,photo\n" + b"x" * 1_100_000, "is longer than 1,048,576 characters"),
    ],
)
def test_a_file_that_cannot_be_used_as_a_whole_says_what_to_do(folder: Path, content: bytes, words: str) -> None:
    file = folder / "roster.csv"
    file.write_bytes(content)

    with pytest.raises(InputError, match=words):
        list(read_roster(file))


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.csv cannot be read \(No such file or directory\)"):
        list(read_roster(tmp_path / "none.csv"))


def test_a_quote_that_is_never_closed_is_a_bad_line(folder: Path) -> None:
    file = written(folder, 'id,photo\nE1,0.jpg\n"E2,1.jpg\nE3,2.jpg\n')

    assert people(file) == {"E1": ["main"]}
    assert "cannot be read as CSV" in bad(file)[0][1]


def test_a_long_roster_is_read_as_it_is_wanted(folder: Path) -> None:
    file = folder / "roster.csv"
    with file.open("w") as out:
        out.write("id,photo\n")
        out.writelines(f"E{number},{number % 4}.jpg\n" for number in range(200_000))

    tracemalloc.start()
    first = list(islice(read_roster(file), 200))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(first) == 200
    assert most < 10_000_000
