"""Long after an erasure was confirmed nothing of the person is left but a tombstone, which still knows them."""

from typing import Any

import pytest
from sqlalchemy import Text, cast, literal, select

from syncsvc.flow.forget import forget
from syncsvc.model.keys import person_key
from syncsvc.model.people import PersonId
from syncsvc.store.tables import metadata, people
from tests.flow.stage import ALICE, BOB, CAROL, REMOVING, Stage
from tests.flow.test_erase import erasure, erasures, follow, gone

HOUR, DAY = 3600.0, 86400.0


def confirmed(stage: Stage, *photos: int) -> None:
    """Alice has departed, and was verified absent twice."""
    gone(stage, *photos)
    follow(stage)
    follow(stage, seconds=25 * HOUR)
    assert erasure(stage).state == "confirmed"


def forgotten(stage: Stage, *photos: int) -> None:
    confirmed(stage, *photos)
    stage.clock.advance(91 * DAY)
    assert forget(stage.house) == 1


def tables_with(stage: Stage, words: str) -> set[str]:
    """The tables in which this stands anywhere."""
    found = set()
    with stage.house.store.reading() as tx:
        for table in metadata.sorted_tables:
            for column in table.c:
                if column.type.python_type is str:
                    mine = select(literal(1)).where(cast(column, Text).contains(words, autoescape=True)).limit(1)
                    if tx._connection.scalar(mine.select_from(table)):
                        found.add(table.name)
    return found


def known(stage: Stage, person: PersonId = ALICE) -> Any:
    with stage.house.store.reading() as tx:
        return tx.people.get(person)


def test_the_id_is_nowhere_any_more(stage: Stage) -> None:
    stage.hire(BOB, 3)
    forgotten(stage, 1, 2)

    assert tables_with(stage, ALICE) == set()
    assert known(stage, BOB).faces
    with stage.house.store.reading() as tx:
        (tomb,) = tx._connection.execute(select(people).where(people.c.id != BOB)).all()
    assert tomb.id.startswith("gone:")
    assert tomb.key == person_key(PersonId(tomb.id))
    assert tomb.departed_at is not None


def test_nobody_is_forgotten_too_soon(stage: Stage) -> None:
    confirmed(stage, 1)
    stage.clock.advance(89 * DAY)

    assert forget(stage.house) == 0
    assert "people" in tables_with(stage, ALICE)


def test_nobody_is_forgotten_whose_faces_are_still_pursued(stage: Stage) -> None:
    gone(stage, 1)
    stage.room.fault("lying_ok", REMOVING[stage.room.name])
    follow(stage)
    stage.clock.advance(200 * DAY)

    assert forget(stage.house) == 0


def test_who_is_back_is_not_forgotten(stage: Stage) -> None:
    confirmed(stage, 1)
    stage.hire(ALICE, 2)
    stage.quiet()
    stage.clock.advance(91 * DAY)

    assert forget(stage.house) == 0
    stage.assert_in_sync()


def test_who_is_asked_for_is_known_as_departed_under_their_own_id(stage: Stage) -> None:
    forgotten(stage, 1)

    found = known(stage)
    assert (found.id, found.faces) == (ALICE, ())
    assert found.departed_at is not None
    assert known(stage, PersonId("somebody else")) is None


def test_a_late_message_brings_nobody_back(stage: Stage) -> None:
    stage.hire(ALICE, 1, version=1)
    stage.quiet()
    stage.clock.advance(HOUR)
    stage.leave(ALICE, version=5)
    follow(stage)
    follow(stage, seconds=25 * HOUR)
    stage.clock.advance(91 * DAY)
    forget(stage.house)

    late = stage.hire(ALICE, 2, version=3)
    face = stage.swap(ALICE, 0, 4)

    assert (late.effect, face.effect) == ("old_news", "unchanged")
    assert known(stage).departed_at is not None
    assert len(erasures(stage)) == 1
    stage.quiet()
    assert stage.there() == []


def test_a_rehire_is_a_new_beginning_of_the_same_person(everywhere: Stage) -> None:
    stage = everywhere
    forgotten(stage, 1)

    assert stage.hire(ALICE, 2).effect == "applied"
    stage.quiet()
    stage.assert_in_sync()
    with stage.house.store.reading() as tx:
        rows = tx._connection.execute(select(people.c.id, people.c.key)).all()
    assert [tuple(row) for row in rows] == [(ALICE, person_key(ALICE))]

    stage.clock.advance(HOUR)
    stage.leave(ALICE)
    follow(stage)
    follow(stage, seconds=25 * HOUR)
    stage.clock.advance(91 * DAY)
    assert forget(stage.house) == 1
    assert tables_with(stage, ALICE) == set()


def test_an_id_of_any_kind_is_forgotten_and_known_again(stage: Stage) -> None:
    stage.hire(CAROL, 1)
    stage.quiet()
    stage.clock.advance(HOUR)
    stage.leave(CAROL)
    follow(stage)
    follow(stage, seconds=25 * HOUR)
    stage.clock.advance(91 * DAY)

    assert forget(stage.house) == 1
    assert tables_with(stage, CAROL) == set()
    assert known(stage, CAROL).id == CAROL


def test_forgetting_again_forgets_nothing_more(stage: Stage) -> None:
    forgotten(stage, 1)

    assert forget(stage.house) == 0


def test_many_are_forgotten_a_few_at_a_time(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("syncsvc.flow.forget.AT_ONCE", 2)
    some = [PersonId(f"person-{number}") for number in range(5)]
    for one in some:
        stage.leave(one)
    follow(stage)
    follow(stage, seconds=25 * HOUR)
    stage.clock.advance(91 * DAY)

    assert forget(stage.house) == 5
    assert tables_with(stage, "person-") == set()


def test_a_photo_stays_no_longer_than_a_library_may_need_it(everywhere: Stage) -> None:
    stage = everywhere
    stage.hire(ALICE, 1)
    stage.claim_and_die()
    stage.leave(ALICE)
    while_in_doubt = stage.stored_pictures()

    follow(stage)

    assert len(while_in_doubt) == 1
    assert stage.stored_pictures() == set()
    assert erasure(stage).state == "verified"


def test_who_is_told_of_while_they_are_being_forgotten_stays(stage: Stage) -> None:
    confirmed(stage, 1)
    stage.clock.advance(91 * DAY)
    before = stage.clock.now - stage.house.erasing.forget_after
    with stage.house.store.reading() as tx:
        due = tx.people.forgettable(before, 10)
    stage.hire(ALICE, 2)

    with stage.house.store.transaction() as tx:
        assert tx.people.forget(due, before) == 0
