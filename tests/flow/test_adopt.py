"""Connecting a library that already holds people: what is certain is bound, the rest is left to people."""

import csv
from collections.abc import Callable
from dataclasses import replace as changed
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete

from syncsvc.flow import apply_review as reviewing
from syncsvc.flow.adopt import Adopted, Terms, adopt
from syncsvc.flow.apply_review import Applied, apply_review
from syncsvc.flow.review_file import ReviewWriter
from syncsvc.model.errors import InputError, UnsafePlanError
from syncsvc.model.guard import Limits
from syncsvc.model.keys import face_label, person_key
from syncsvc.model.people import Digest, HeldFace, PersonId, VendorFaceId
from syncsvc.store.bindings import Became
from syncsvc.store.tables import bindings, deliveries
from tests.flow.stage import ALICE, BOB, CAROL, GATE, LEFT, Stage, on

LABELLED = on("finauth")


def forget(stage: Stage) -> None:
    """We know the people, and nothing of what the library holds of them."""
    with stage.house.store.transaction() as tx:
        tx._connection.execute(delete(bindings))
        tx._connection.execute(delete(deliveries))


def hire_there(stage: Stage, *people: tuple[PersonId, int]) -> None:
    for person, count in people:
        stage.hire(person, *range(1, count + 1))
        stage.deliver(person)
    forget(stage)


def adopted(stage: Stage, *, review: Path | None = None, **terms: bool) -> Adopted:
    shelf = stage.house.shelf(GATE)
    if review is None:
        return adopt(stage.house, shelf, Terms(**terms))
    with ReviewWriter(review, GATE) as writer:
        return adopt(stage.house, shelf, Terms(**terms), review=writer)


def lines(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8-sig", newline="") as opened:
        return list(csv.DictReader(opened))


def edit(file: Path, change: Callable[[dict[str, str]], Any]) -> None:
    rows = lines(file)
    for row in rows:
        change(row)
    with file.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.DictWriter(opened, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def applied(stage: Stage, file: Path, **more: Any) -> Applied:
    return apply_review(stage.house, stage.house.shelf(GATE), file, **more)


def ids(stage: Stage) -> set[str]:
    return set(stage.room.world.faces)


@LABELLED
def test_faces_that_carry_our_labels_are_bound_exactly_and_nothing_is_sent(stage: Stage) -> None:
    hire_there(stage, (ALICE, 2), (CAROL, 1))
    before = ids(stage)

    found = adopted(stage)

    assert (found.listed, found.exact, found.trusted, found.review, found.owed) == (3, 3, 0, 0, 0)
    stage.quiet()
    assert ids(stage) == before
    stage.assert_in_sync(ALICE)
    stage.assert_in_sync(CAROL)


@on("sophon")
def test_one_face_of_one_person_is_trusted_to_be_the_one_wanted(stage: Stage) -> None:
    hire_there(stage, (ALICE, 1))
    before = ids(stage)

    found = adopted(stage)

    assert (found.exact, found.trusted, found.owed) == (0, 1, 0)
    stage.quiet()
    assert ids(stage) == before
    stage.assert_in_sync(ALICE)


@on("sophon")
def test_a_picture_that_is_not_trusted_is_replaced_by_ours_at_the_next_delivery(stage: Stage) -> None:
    stage.hire(ALICE, 1)
    forget(stage)
    stage.plant(ALICE)

    found = adopted(stage, replace_pictures=True)

    assert (found.trusted, found.owed) == (1, 1)
    stage.quiet()
    stage.assert_in_sync(ALICE)
    assert len(stage.room.faces_of(person_key(ALICE))) == 1


def test_who_is_adopted_and_departs_is_really_gone(everywhere: Stage) -> None:
    stage = everywhere
    hire_there(stage, (ALICE, 1))
    adopted(stage)

    stage.leave(ALICE)

    stage.quiet()
    assert ids(stage) == set()
    assert stage.believed() == set()


def test_an_observed_library_is_bound_and_told_of_a_departure_once_it_is_ours_to_keep(stage: Stage) -> None:
    hire_there(stage, (ALICE, 1))
    stage.reshelve(policy="observe")
    assert adopted(stage).exact == 1
    stage.leave(ALICE)
    stage.quiet()
    assert len(ids(stage)) == 1

    stage.reshelve(policy="sync")

    stage.quiet()
    assert ids(stage) == set()


@LABELLED
def test_a_face_from_a_former_picture_is_bound_as_unwanted_and_left_where_it_is(stage: Stage) -> None:
    hire_there(stage, (ALICE, 1))
    stray = stage.room.plant(person_key(ALICE), label=face_label(ALICE, LEFT, Digest("0" * 64)))

    found = adopted(stage)

    assert (found.exact, found.unwanted, found.review, found.owed) == (1, 1, 0, 0)
    stage.quiet()
    assert stray.vendor_face_id in ids(stage)  # reconciliation removes it, past its guard
    assert stray.vendor_face_id in stage.believed()


@LABELLED
def test_who_lacks_a_face_is_owed_it_after_all_is_bound(stage: Stage) -> None:
    hire_there(stage, (ALICE, 2))
    stage.room.remove(stage.there()[0].vendor_face_id)

    found = adopted(stage)

    assert (found.exact, found.owed) == (1, 1)
    stage.quiet()
    stage.assert_in_sync(ALICE)


def test_who_is_not_there_is_sent_only_when_the_library_is_to_be_filled(stage: Stage) -> None:
    hire_there(stage, (ALICE, 1))
    stage.hire(BOB, 5)
    forget(stage)

    assert adopted(stage).filled == 0
    stage.quiet()
    assert stage.there(BOB) == []

    assert adopted(stage, fill=True).filled == 1
    stage.quiet()
    stage.assert_in_sync(BOB)


@on("sophon")
def test_who_has_a_face_that_nobody_could_place_is_not_filled_in_beside_it(stage: Stage, tmp_path: Path) -> None:
    hire_there(stage, (ALICE, 2))

    found = adopted(stage, fill=True, review=tmp_path / "review.csv")

    assert (found.review, found.filled, found.owed) == (2, 0, 0)
    assert len(ids(stage)) == 2


@on("sophon")
def test_the_rest_is_written_down_and_done_as_people_decide(stage: Stage, tmp_path: Path) -> None:
    file = tmp_path / "review.csv"
    hire_there(stage, (ALICE, 2), (BOB, 1))
    extra = stage.room.plant(person_key(BOB)).vendor_face_id
    visitor = stage.room.plant("visitor-9").vendor_face_id
    adopted(stage, review=file)
    rows = {row["vendor_face_id"]: row for row in lines(file)}
    assert set(rows) == ids(stage)
    assert {row["decision"] for row in rows.values()} == {"leave"}
    assert rows[visitor]["why"] == "filed under nobody whom we know"
    left, right = (one.vendor_face_id for one in stage.room.faces_of(person_key(ALICE)))
    bobs = next(one.vendor_face_id for one in stage.room.faces_of(person_key(BOB)) if one.vendor_face_id != extra)
    wishes = {
        left: ("bind", ALICE, "left"),
        right: ("Bind", ALICE, "right"),
        bobs: ("bind", BOB, "left"),
        extra: ("remove", BOB, ""),
    }

    def decide(row: dict[str, str]) -> None:
        row["decision"], row["person"], row["face"] = wishes.get(row["vendor_face_id"], ("leave", "", ""))

    edit(file, decide)

    found = applied(stage, file)

    assert (found.bound, found.removed, found.left, found.owed) == (3, 1, 1, 1)
    stage.quiet()
    assert ids(stage) == {left, right, bobs, visitor}
    stage.assert_in_sync(ALICE)


@on("sophon")
def test_a_file_with_a_wrong_line_is_refused_whole_and_every_line_is_named(stage: Stage, tmp_path: Path) -> None:
    file = tmp_path / "review.csv"
    hire_there(stage, (ALICE, 2), (BOB, 2))
    adopted(stage, review=file)
    wishes = iter(
        [
            ("bind", ALICE, "left"),
            ("bind", ALICE, "left"),
            ("bind", "nobody", "left"),
            ("throw", BOB, "left"),
        ]
    )

    def decide(row: dict[str, str]) -> None:
        row["decision"], row["person"], row["face"] = next(wishes)

    edit(file, decide)

    with pytest.raises(InputError) as refused:
        applied(stage, file)

    words = str(refused.value)
    assert "line 3: says again what line 2 says" in words
    assert "line 4: nobody is known as 'nobody'" in words
    assert "line 5: the decision is 'throw'" in words
    assert stage.believed(ALICE) == set()


@on("sophon")
def test_a_line_of_another_library_or_of_a_reading_that_never_was_is_refused(stage: Stage, tmp_path: Path) -> None:
    file = tmp_path / "review.csv"
    hire_there(stage, (ALICE, 2))
    adopted(stage, review=file)
    first, second = lines(file)
    edit(file, lambda row: row.update(library="yard") if row == first else row.update(reading="99"))

    with pytest.raises(InputError, match=r"(?s)line 2: is of the library 'yard'.*line 3: is of reading '99'"):
        applied(stage, file)
    assert second["reading"] == "1"


@on("sophon")
def test_a_face_that_went_since_the_file_was_made_is_refused_after_the_next_reading(
    stage: Stage, tmp_path: Path
) -> None:
    file = tmp_path / "review.csv"
    hire_there(stage, (ALICE, 2))
    adopted(stage, review=file)
    gone = stage.room.faces_of(person_key(ALICE))[0].vendor_face_id
    stage.room.remove(gone)
    adopted(stage)
    edit(file, lambda row: row.update(decision="bind", person=ALICE, face="left"))

    with pytest.raises(InputError, match="does not list such a face"):
        applied(stage, file)


@on("sophon")
def test_removals_that_are_too_many_are_refused_until_exactly_they_are_approved(stage: Stage, tmp_path: Path) -> None:
    file = tmp_path / "review.csv"
    hire_there(stage, (ALICE, 2), (BOB, 2))
    stage.house = changed(stage.house, limits=Limits(1, 0.5))
    adopted(stage, review=file)
    edit(file, lambda row: row.update(decision="remove"))
    there = ids(stage)

    with pytest.raises(UnsafePlanError, match="--approve-removals 2"):
        applied(stage, file)
    assert ids(stage) == there
    assert stage.believed(ALICE) == set()

    assert applied(stage, file, approved=2).removed == 4
    stage.quiet()
    assert ids(stage) & there == set()


@on("sophon")
def test_a_file_is_applied_again_without_harm(stage: Stage, tmp_path: Path) -> None:
    file = tmp_path / "review.csv"
    hire_there(stage, (ALICE, 2))
    adopted(stage, review=file)
    places = iter(["left", "right"])
    edit(file, lambda row: row.update(decision="bind", face=next(places)))
    applied(stage, file)
    before = ids(stage)

    again = applied(stage, file)

    assert (again.bound, again.known, again.owed) == (0, 2, 0)
    stage.quiet()
    assert ids(stage) == before


def test_a_file_that_is_there_already_is_not_written_over(stage: Stage, tmp_path: Path) -> None:
    file = tmp_path / "review.csv"
    file.write_text("somebody's decisions")

    with pytest.raises(InputError, match="may hold decisions"):
        adopted(stage, review=file)

    assert file.read_text() == "somebody's decisions"


def test_a_library_that_is_paused_cannot_be_adopted(stage: Stage) -> None:
    stage.set_state("paused")

    with pytest.raises(InputError, match="paused, halted"):
        adopted(stage)


def test_adopting_twice_binds_nothing_twice(stage: Stage) -> None:
    hire_there(stage, (ALICE, 1))
    adopted(stage)

    again = adopted(stage)

    assert (again.exact, again.known, again.owed) == (0, 1, 0)
    stage.assert_in_sync(ALICE)


@on("sophon")
def test_a_face_that_becomes_somebody_elses_while_a_file_is_applied_stays_theirs(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "review.csv"
    hire_there(stage, (ALICE, 1), (BOB, 2))
    visitor = stage.room.plant("visitor-9").vendor_face_id
    adopted(stage, review=file)
    remove = {"decision": "remove", "person": BOB}
    edit(file, lambda row: row.update(remove) if row["vendor_face_id"] == visitor else None)
    guard = reviewing._guard

    def meanwhile(*arguments: Any) -> None:
        guard(*arguments)
        with stage.house.store.transaction() as tx:
            held = tx.bindings.held(GATE, [ALICE])[ALICE]
            theirs = (*held, HeldFace(VendorFaceId(visitor), None))
            tx.bindings.settle([Became(GATE, ALICE, held, theirs)], stage.clock())

    monkeypatch.setattr(reviewing, "_guard", meanwhile)

    found = applied(stage, file)

    assert (found.removed, found.overtaken) == (0, 1)
    assert visitor in stage.believed(ALICE)
    assert visitor not in stage.believed(BOB)
