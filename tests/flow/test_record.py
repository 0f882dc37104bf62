"""Recording: what a change makes of a person and of what each library is owed, in one transaction."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from syncsvc.flow.record import record
from syncsvc.model.changes import Change, Departed, FaceDeleted, FaceReplaced, Told, Upserted
from syncsvc.model.people import Digest, Face, PersonId
from syncsvc.model.urgency import Urgency, rank
from syncsvc.store.deliveries import Deliveries
from syncsvc.store.people import Known
from tests.flow.stage import ALICE, BOB, GATE, LEFT, RIGHT, Stage, once
from tests.store.ground import name_of
from tests.vendors.photos import draw


def known(stage: Stage, person: PersonId = ALICE) -> Known:
    with stage.house.store.reading() as tx:
        found = tx.people.get(person)
    assert found is not None
    return found


def faces(stage: Stage, person: PersonId = ALICE) -> dict[str, str]:
    return {one.id: one.digest for one in known(stage, person).faces}


def count(stage: Stage, table: str) -> int:
    with stage.house.store.reading() as tx:
        return int(tx._connection.scalar(text(f"SELECT count(*) FROM {table}")) or 0)


# --- each kind of change ------------------------------------------------------------------------------------------


def test_a_hire_is_a_person_with_faces_and_a_replacement_owed(stage: Stage) -> None:
    recorded = stage.hire(ALICE, 1, 2)

    row = stage.row()
    assert (recorded.effect, recorded.revision, recorded.again) == ("applied", 1, False)
    assert faces(stage) == {LEFT: draw(1).digest, RIGHT: draw(2).digest}
    assert (row.verb, row.state, row.wanted, row.wanted_faces) == ("replace", "due", 1, 2)
    assert row.rank == rank(Urgency.REPLACEMENT, stage.clock())


def test_faces_given_are_exactly_these(stage: Stage) -> None:
    stage.hire(ALICE, 1, 2)

    recorded = stage.tell(Upserted(ALICE, ((RIGHT, draw(3)),)))

    assert recorded.revision == 2
    assert faces(stage) == {RIGHT: draw(3).digest}
    assert stage.stored_pictures() == {draw(3).digest}


def test_a_face_remembers_the_bytes_that_its_picture_came_as(stage: Stage) -> None:
    origin = Digest("a" * 64)
    stage.tell(Upserted(ALICE, ((LEFT, replace(draw(1), origin=origin)), (RIGHT, draw(2)))))

    with stage.house.store.reading() as tx:
        origins = tx.people.origins([ALICE])

    assert origins == {ALICE: {LEFT: origin}}


def test_faces_not_given_are_unchanged(stage: Stage) -> None:
    stage.hire(ALICE, 1)

    recorded = stage.tell(Upserted(ALICE, None, name="Ada"))

    assert (recorded.effect, recorded.rings) == ("applied", ())
    assert faces(stage) == {LEFT: draw(1).digest}
    assert stage.row().wanted == 1


def test_a_person_without_a_face_is_owed_to_nobody(stage: Stage) -> None:
    recorded = stage.tell(Upserted(ALICE, ()))

    assert (recorded.effect, recorded.revision) == ("applied", 1)
    assert stage.rows() == []


def test_a_replaced_face_leaves_the_others(stage: Stage) -> None:
    stage.hire(ALICE, 1, 2)

    stage.swap(ALICE, 0, 3)

    assert faces(stage) == {LEFT: draw(3).digest, RIGHT: draw(2).digest}
    assert stage.stored_pictures() == {draw(2).digest, draw(3).digest}


def test_a_replaced_face_that_was_not_there_is_added(stage: Stage) -> None:
    stage.hire(ALICE, 1)

    stage.swap(ALICE, 1, 2)

    assert faces(stage) == {LEFT: draw(1).digest, RIGHT: draw(2).digest}


def test_a_deleted_face_is_owed_as_a_deletion_before_replacements(stage: Stage) -> None:
    stage.hire(ALICE, 1, 2)
    stage.quiet()

    stage.drop(ALICE, 0)

    row = stage.row()
    assert faces(stage) == {RIGHT: draw(2).digest}
    assert (row.verb, row.rank) == ("delete", rank(Urgency.FACE_DELETION, stage.clock()))


def test_a_departure_leaves_nothing_but_a_tombstone(stage: Stage) -> None:
    stage.tell(Upserted(ALICE, ((LEFT, draw(1)),), name="Ada"))
    stage.quiet()

    recorded = stage.leave(ALICE)

    row = stage.row()
    assert recorded.effect == "applied"
    assert known(stage).departed_at == stage.clock()
    assert faces(stage) == {}
    assert stage.stored_pictures() == set()
    assert (row.verb, row.rank, row.wanted_faces) == ("delete", rank(Urgency.DEPARTURE, stage.clock()), 0)
    with stage.house.store.reading() as tx:
        assert name_of(tx, ALICE) is None


def test_a_departure_is_owed_only_where_the_person_was_ever_known(stage: Stage) -> None:
    recorded = stage.leave(BOB)

    assert (recorded.effect, stage.rows()) == ("applied", [])


# --- said again, said late ----------------------------------------------------------------------------------------


def test_the_same_telling_changes_nothing_and_says_what_became_of_it(stage: Stage) -> None:
    change = Upserted(ALICE, ((LEFT, draw(1)),))
    first = stage.tell(change, source_id="webhook-1")

    again = stage.tell(change, source_id="webhook-1")

    assert (again.change, again.effect, again.revision, again.again, again.rings) == (
        first.change,
        "applied",
        1,
        True,
        (),
    )
    assert known(stage).revision == 1


def test_the_same_id_from_another_source_is_another_telling(stage: Stage) -> None:
    stage.tell(Upserted(ALICE, ((LEFT, draw(1)),)), source_id="1")

    other = record(stage.house, Told("scim", "1", FaceReplaced(ALICE, LEFT, draw(2))))

    assert (other.effect, other.again) == ("applied", False)


@pytest.mark.parametrize(
    "change",
    [
        Upserted(ALICE, ((LEFT, draw(1)), (RIGHT, draw(2)))),
        Upserted(ALICE, None),
        Upserted(ALICE, ((LEFT, draw(1)), (RIGHT, draw(2))), name="Ada"),
        Upserted(ALICE, None, name="Ada"),
        FaceReplaced(ALICE, LEFT, draw(1)),
        FaceDeleted(ALICE, LEFT.__class__("never")),
    ],
)
def test_what_says_only_what_we_know_makes_no_revision(stage: Stage, change: Change) -> None:
    stage.tell(Upserted(ALICE, ((LEFT, draw(1)), (RIGHT, draw(2))), name="Ada"))
    stage.quiet()

    recorded = stage.tell(change)

    assert (recorded.effect, recorded.revision, recorded.rings) == ("unchanged", 1, ())
    assert stage.row().state == "synced"


def test_another_name_is_a_revision_of_which_no_library_hears(stage: Stage) -> None:
    stage.tell(Upserted(ALICE, ((LEFT, draw(1)),), name="Ada"))
    stage.quiet()

    recorded = stage.tell(Upserted(ALICE, None, name="Ada Lovelace"))

    assert (recorded.effect, recorded.revision) == ("applied", 2)
    assert stage.row().state == "synced"


def test_a_second_departure_is_unchanged(stage: Stage) -> None:
    stage.hire(ALICE, 1)
    stage.leave(ALICE)

    assert stage.leave(ALICE).effect == "unchanged"


@pytest.mark.parametrize(("version", "effect"), [(4, "old_news"), (5, "unchanged"), (6, "applied")])
def test_versions_order_the_changes_of_a_person(stage: Stage, version: int, effect: str) -> None:
    stage.hire(ALICE, 1, version=5)

    recorded = stage.swap(ALICE, 0, 2, version=version)

    assert recorded.effect == effect
    assert faces(stage) == {LEFT: draw(2 if effect == "applied" else 1).digest}


def test_a_version_counts_even_where_it_brought_nothing_new(stage: Stage) -> None:
    stage.hire(ALICE, 1, version=1)
    stage.hire(ALICE, 1, version=9)

    late = stage.swap(ALICE, 0, 2, version=5)

    assert late.effect == "old_news"


def test_without_versions_the_order_of_arrival_counts(stage: Stage) -> None:
    stage.hire(ALICE, 1, version=5)

    recorded = stage.swap(ALICE, 0, 2)

    assert recorded.effect == "applied"
    assert stage.swap(ALICE, 0, 1, version=5).effect == "unchanged"


# --- nothing comes back -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "late",
    [
        Upserted(ALICE, ((LEFT, draw(1)),), name="Ada"),
        FaceReplaced(ALICE, LEFT, draw(1)),
        FaceDeleted(ALICE, LEFT),
        Departed(ALICE),
    ],
)
def test_nothing_older_than_a_departure_brings_the_person_back(stage: Stage, late: Change) -> None:
    stage.hire(ALICE, 1, version=3)
    stage.leave(ALICE, version=7)

    recorded = stage.tell(late, version=6)

    assert recorded.effect == "old_news"
    assert known(stage).departed_at is not None
    assert (faces(stage), stage.stored_pictures()) == ({}, set())


def test_a_departure_that_overtakes_its_hire_is_remembered(stage: Stage) -> None:
    stage.leave(ALICE, version=2)

    late = stage.hire(ALICE, 1, version=1)

    assert late.effect == "old_news"
    assert stage.rows() == []


@pytest.mark.parametrize("version", [None, 9])
def test_a_face_of_a_departed_person_is_a_late_message(stage: Stage, version: int | None) -> None:
    stage.hire(ALICE, 1, version=3)
    stage.leave(ALICE, version=7)

    recorded = stage.swap(ALICE, 0, 2, version=version)

    assert recorded.effect == "unchanged"
    assert (faces(stage), stage.stored_pictures()) == ({}, set())


def test_somebody_who_is_hired_again_is_back(stage: Stage) -> None:
    stage.hire(ALICE, 1, version=3)
    stage.leave(ALICE, version=7)

    recorded = stage.hire(ALICE, 1, version=8)

    assert recorded.effect == "applied"
    assert known(stage).departed_at is None
    assert faces(stage) == {LEFT: draw(1).digest}


def test_somebody_may_be_back_without_a_face(stage: Stage) -> None:
    stage.hire(ALICE, 1)
    stage.leave(ALICE)

    stage.tell(Upserted(ALICE, None, name="Ada"))

    assert known(stage).departed_at is None


def test_a_face_that_nobody_ever_had_is_deleted_without_a_revision(stage: Stage) -> None:
    assert stage.drop(BOB, 0).effect == "unchanged"


# --- pictures -----------------------------------------------------------------------------------------------------


def test_one_picture_of_two_people_is_stored_once_and_stays_while_one_has_it(stage: Stage) -> None:
    stage.hire(ALICE, 1)
    stage.hire(BOB, 1)
    assert stage.stored_pictures() == {draw(1).digest}

    stage.leave(ALICE)
    assert stage.stored_pictures() == {draw(1).digest}
    stage.leave(BOB)

    assert stage.stored_pictures() == set()


def test_a_picture_that_moves_to_another_face_stays(stage: Stage) -> None:
    stage.hire(ALICE, 1)

    stage.tell(Upserted(ALICE, ((RIGHT, draw(1)),)))

    assert faces(stage) == {RIGHT: draw(1).digest}
    assert stage.stored_pictures() == {draw(1).digest}


def test_a_picture_outlives_its_face_only_while_an_errand_may_have_sent_it(stage: Stage) -> None:
    stage.hire(ALICE, 1)
    stage.claim_and_die()

    stage.swap(ALICE, 0, 2)
    assert stage.stored_pictures() == {draw(1).digest, draw(2).digest}
    stage.quiet()

    assert stage.stored_pictures() == {draw(2).digest}
    assert count(stage, "lost_faces") == 0


def test_so_it_does_for_an_errand_that_was_only_slow(stage: Stage) -> None:
    stage.hire(ALICE, 1)
    stage.gatekeeper.before = once(lambda: stage.swap(ALICE, 0, 2))

    stage.deliver()
    stage.quiet()

    assert stage.stored_pictures() == {draw(2).digest}
    stage.assert_in_sync()


# --- one stroke of the pen ----------------------------------------------------------------------------------------


def test_if_the_last_line_cannot_be_written_nothing_is(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.hire(ALICE, 1)
    before = {table: count(stage, table) for table in ("changes", "people", "faces", "photos", "deliveries")}

    def fails(*_: object, **__: object) -> list[object]:
        raise OSError("the disk is full")

    monkeypatch.setattr(Deliveries, "want", fails)
    with pytest.raises(OSError, match="full"):
        stage.tell(Upserted(BOB, ((LEFT, draw(2)),)), source_id="again")
    monkeypatch.undo()

    assert {table: count(stage, table) for table in before} == before
    assert stage.tell(Upserted(BOB, ((LEFT, draw(2)),)), source_id="again").effect == "applied"


def test_a_change_rings_for_what_it_owes_and_only_when_asked(stage: Stage) -> None:
    quiet = stage.hire(ALICE, 1)
    loud = stage.tell(Upserted(BOB, ((LEFT, draw(2)),)), ring=True)

    assert quiet.rings == ()
    (ring,) = loud.rings
    assert (ring.library, ring.verb, ring.deliveries) == (GATE, "replace", (stage.row(BOB).id,))
    assert stage.row(BOB).busy_until == stage.clock() + timedelta(seconds=5)


def test_a_library_that_only_observes_is_owed_nothing(stage: Stage) -> None:
    stage.reshelve(policy="observe")

    stage.hire(ALICE, 1)

    assert stage.rows() == []


def test_digests_are_of_the_bytes_that_came(stage: Stage) -> None:
    stage.hire(ALICE, 1)

    assert known(stage).faces == (Face(LEFT, draw(1).digest),)
