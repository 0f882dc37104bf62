"""A roster as a customer writes it: everything good is read, everything bad is named with its line."""

import json
import os
import tracemalloc
from pathlib import Path

import pytest

from syncsvc.intake.roster import open_roster
from syncsvc.intake.roster_rows import csv_rows
from syncsvc.model.changes import Upserted
from syncsvc.model.errors import InputError
from syncsvc.model.rosters import BEGINNING, BadLine
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


def told(path: Path) -> list[Upserted | BadLine]:
    """What the roster tells, and the lines that had to be skipped."""
    found: list[Upserted | BadLine] = []
    for entry in open_roster(path).read():
        opened = entry.opened()
        found += opened if isinstance(opened, tuple) else [opened]
    return found


def people(path: Path) -> dict[str, list[str] | None]:
    """Person -> faces, of those who are told; None where nothing is told of their faces."""
    found = [one for one in told(path) if isinstance(one, Upserted)]
    return {one.person: None if one.faces is None else [face for face, _ in one.faces] for one in found}


def bad(path: Path) -> list[tuple[int, str]]:
    return [(one.line, one.reason) for one in told(path) if isinstance(one, BadLine)]


def test_one_line_a_face_makes_one_person_of_neighbouring_lines(folder: Path) -> None:
    file = written(folder, "id,name,face,photo\nE1,王伟,badge,0.jpg\nE1,王伟,door,1.jpg\n007,Anna,badge,2.jpg\n")

    found = told(file)

    assert people(file) == {"E1": ["badge", "door"], "007": ["badge"]}
    assert isinstance(found[0], Upserted)
    assert found[0].name == "王伟"
    assert [source for _, source in found[0].faces or ()] == [draw(0), draw(1)]


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
    assert reasons[0] == "the photo file cannot be read (No such file or directory)"
    assert reasons[1] == "the person's id is empty"
    assert "the photo is damaged" in reasons[2]
    assert reasons[3] == "has 1 cells, and the first line 2; is it cut off, or a comma not quoted?"


def test_one_bad_line_skips_the_whole_person_so_that_no_face_of_theirs_is_taken_away(folder: Path) -> None:
    file = written(folder, "id,face,photo\nE1,badge,0.jpg\nE1,door,none.jpg\nE2,badge,1.jpg\n")

    assert list(people(file)) == ["E2"]
    ((line, reason),) = bad(file)
    assert line == 3
    assert reason.endswith("; the person is skipped")


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


def test_nobody_waits_for_a_pipe(folder: Path) -> None:
    os.mkfifo(folder / "pipe.jpg")
    os.mkfifo(folder / "pipe.csv")

    assert bad(written(folder, "id,photo\nE1,pipe.jpg\n"))[0][0] == 2
    with pytest.raises(InputError, match="is no plain file"):
        open_roster(folder / "pipe.csv")


def test_photos_may_stand_in_a_folder_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "1.jpg").write_bytes(draw(1).content)
    file = written(tmp_path, "id,photo\nE1,1.jpg\n")

    (found,) = open_roster(file, photos=tmp_path / "photos").read()

    assert isinstance(found.opened(), Upserted)


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
        ("E\u0007", "the person's id holds a character that cannot be written"),
        ("E\ud800", "the person's id holds a character that cannot be written"),
    ],
)
def test_an_id_that_cannot_be_kept_everywhere_is_refused(folder: Path, person: str, reason: str) -> None:
    file = written(folder, json.dumps({"id": person, "faces": [{"photo": "0.jpg"}]}), "roster.jsonl")

    assert bad(file) == [(1, reason)]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "there is no first line that names the columns"),
        (b"E1,0.jpg\n", "there is no column id; the first line must name"),
        (b"id,face\n", "there is no column photo;"),
        (b"id;photo\nE1;0.jpg\n", "separated by something else than commas"),
        (b"id,photo,ID\n", "two columns are called id"),
        (b"id,photo\rE1,0.jpg\r", "its lines end as on old Macs"),
        (b"id,photo\nE1,0.jpg\n\xc4\xcf,1.jpg\n", "is not UTF-8 in line 3"),
        (b"id,name\nE1,caf\xc3", "is not UTF-8 in line 2"),
        ("id,photo\n".encode("utf-16"), "is not UTF-8 in line 1"),
        ("id,photo\n".encode("utf-16-le"), "holds a NUL byte in line 1: it is damaged, or UTF-16"),
        (b"id,photo\nE1,0.jpg\n" + bytes(4096), "holds a NUL byte in line 3"),
        (b"id,photo\n" + b"x" * 1_100_000, "is longer than 1,048,576 bytes"),
    ],
)
def test_a_file_that_cannot_be_used_as_a_whole_says_what_to_do(folder: Path, content: bytes, words: str) -> None:
    file = folder / "roster.csv"
    file.write_bytes(content)

    with pytest.raises(InputError, match=words):
        list(open_roster(file).read())


def test_a_wrong_character_set_is_found_before_anybody_is_read(folder: Path) -> None:
    file = folder / "roster.csv"
    with file.open("wb") as out:
        out.write(b"id,name\n" + b"".join(b"E%d,Wang Wei\n" % number for number in range(300_000)))
        out.write("E300000,王伟\n".encode("gbk"))

    with pytest.raises(InputError, match="is not UTF-8 in line 300002; save it as UTF-8"):
        open_roster(file)


def test_a_file_that_was_cut_off_within_a_character_is_refused_before_anybody_is_read(folder: Path) -> None:
    file = folder / "roster.csv"
    file.write_bytes("id,name\nE1,Anna\nE2,王".encode()[:-1])

    with pytest.raises(InputError, match="is not UTF-8 in line 3"):
        open_roster(file)


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.csv cannot be read \(No such file or directory\)"):
        open_roster(tmp_path / "none.csv")


def test_a_quote_that_is_never_closed_is_a_bad_line_that_says_how_much_it_took(folder: Path) -> None:
    file = written(folder, 'id,photo\nE1,0.jpg\n"E2,1.jpg\nE3,2.jpg\n')

    assert people(file) == {"E1": ["main"]}
    ((line, reason),) = bad(file)
    assert line == 3
    assert reason.startswith("cannot be read as CSV")
    assert reason.endswith("; a quote that is not closed takes all up to line 4 with it")


def test_line_breaks_in_quotes_and_windows_line_ends_are_read_as_they_are_meant(folder: Path) -> None:
    file = folder / "roster.csv"
    file.write_bytes(b'photo,id,name\r\n0.jpg,E1,"Wei\r\nWang"\r\n1.jpg,E2,Anna\r\nnone.jpg,E3,\r\n')

    found = told(file)

    assert people(file) == {"E1": ["main"], "E2": ["main"]}
    assert isinstance(found[0], Upserted)
    assert found[0].name == "Wei\r\nWang"
    assert bad(file)[0][0] == 5


@pytest.mark.parametrize("line", ["E2", "E2,Anna", "E2,Wang, Wei,0.jpg", ",,,", "E2,,,,,x"])
def test_a_line_with_too_few_or_too_many_cells_is_bad(folder: Path, line: str) -> None:
    file = written(folder, f"id,name,photo\nE1,,0.jpg\n{line}\nE3,,1.jpg,,\n")

    assert "E2" not in people(file)
    assert list(people(file)) == ["E1", "E3"]
    assert len(bad(file)) == (line != ",,,")


def test_a_roster_without_photos_says_who_is_there_and_nothing_of_faces(folder: Path) -> None:
    assert people(written(folder, "name,id\nAnna,E1\n,E2\n")) == {"E1": None, "E2": None}
    assert people(written(folder, '{"id": "E1"}\n{"id": "E2", "name": null}\n', "r.jsonl")) == {"E1": None, "E2": None}


def test_whoever_stands_twice_in_a_roster_without_photos_is_told_twice_and_found_by_whoever_records(
    folder: Path,
) -> None:
    entries = open_roster(written(folder, "id\nE1\nE1\n")).read()

    assert [(one.person, one.bad) for one in entries] == [("E1", ()), ("E1", ())]


def test_somebody_without_a_photo_among_others_keeps_their_faces_as_they_are(folder: Path) -> None:
    file = written(folder, "id,face,photo\nE1,,\nE2,badge,0.jpg\nE3,badge,\nE4,badge,1.jpg\nE4,door,\n")

    assert people(file) == {"E1": None, "E2": ["badge"], "E3": None}
    assert bad(file) == [(6, "there is no photo; the person is skipped")]


@pytest.mark.parametrize(
    ("lines", "kept"), [(["E0", "E1", "", "E2", "E3"], ["E0", "E3"]), (["E0", "E1", '"E2'], ["E0"])]
)
def test_a_line_that_may_be_a_neighbours_skips_the_neighbours_so_that_no_face_is_lost(
    folder: Path, lines: list[str], kept: list[str]
) -> None:
    file = written(folder, "id,face,photo\n" + "".join(f"{line},badge,0.jpg\n" for line in lines))

    assert list(people(file)) == kept
    assert (3, "line 4 may be about this person too, and cannot be read") in bad(file)


def test_a_name_that_nobody_has_is_refused_without_being_told(folder: Path) -> None:
    lines = [{"id": "E1", "name": "x" * 1001}, {"id": "E2", "name": "\ud800"}]
    file = written(folder, "".join(json.dumps(line) + "\n" for line in lines), "roster.jsonl")

    assert bad(file) == [
        (1, "the person's name has 1,001 characters; at most 1,000 are taken"),
        (2, "the person's name holds a character that cannot be written"),
    ]


def test_nothing_that_is_read_shows_a_name_or_a_path(folder: Path) -> None:
    (folder / "Canary-Path.jpg").write_bytes(draw(0).content)
    file = written(folder, "id,name,face,photo\nE1,Canary-Name,a,Canary-Path.jpg\nE2,Canary-Name,a,Canary-Gone.jpg\n")

    shown = repr(list(open_roster(file).read())) + repr(list(csv_rows(file, BEGINNING))) + repr(told(file))

    assert "E1" in shown
    assert "Canary" not in shown


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("r.csv", 'id,face,photo\nE1,a,0.jpg\nE1,b,1.jpg\n\n"E\n2",a,0.jpg\nE3,a,0.jpg\nE4,a,1.jpg\nE4,b\nE5,a,2.jpg'),
        ("r.jsonl", '\ufeff{"id": "E1"}\n\n{"id": "王", "name": "王伟"}\n[]\n{"id": "E3"}\r\n{"id": "E4"}'),
    ],
)
def test_reading_goes_on_from_wherever_somebody_begins(folder: Path, name: str, text: str) -> None:
    roster = open_roster(written(folder, text, name))
    whole = list(roster.read())

    for place, entry in enumerate(whole):
        rest = list(roster.read(entry.after))

        assert [(one.line, one.person) for one in rest] == [(one.line, one.person) for one in whole[place + 1 :]]
    assert not roster.ended


def test_a_file_is_known_again_by_its_content_and_by_where_its_photos_are(folder: Path, tmp_path: Path) -> None:
    file = written(folder, "id\nE1\n")
    first = open_roster(file)
    (tmp_path / "other").mkdir()

    assert open_roster(written(folder, "id\nE1\n")).fingerprint == first.fingerprint
    assert open_roster(written(folder, "id\nE2\n")).fingerprint != first.fingerprint
    assert open_roster(written(folder, "id\nE1\n"), photos=tmp_path / "other").fingerprint != first.fingerprint


def test_whoever_writes_to_a_file_while_it_is_read_is_noticed(folder: Path) -> None:
    roster = open_roster(written(folder, "id\nE1\n"))
    roster.check_same()

    with roster.path.open("a") as file:
        file.write("E2\n")

    with pytest.raises(InputError, match="was changed while it was read"):
        roster.check_same()


def test_a_long_roster_is_read_as_it_is_wanted(folder: Path) -> None:
    file = folder / "roster.csv"
    with file.open("w") as out:
        out.write("id,photo\n")
        out.writelines(f"E{number},{number % 4}.jpg\n" for number in range(40_000))

    tracemalloc.start()
    count = sum(1 for _ in open_roster(file).read())
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert count == 40_000
    assert most < 5_000_000
