"""People, faces and photos: sealed, one copy per content, gone when nothing needs them."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text

from syncsvc.model.people import Digest, Feature, PersonId, Revision
from syncsvc.store import Store
from syncsvc.store.tables import people as people_table
from syncsvc.store.tables import photos as photos_table
from syncsvc.store.vault import Vault, VaultError
from tests.conftest import PHOTO_KEY, MovableClock
from tests.store.ground import ALICE, BOB, LEFT, RIGHT, amend, name_of, photo, set_face

NAME = "Ada 三 Canary-Lovelace"


def stored(store: Store) -> list[str]:
    with store.reading() as tx:
        return list(tx._connection.scalars(select(photos_table.c.digest).order_by(photos_table.c.digest)))


def test_somebody_nobody_knew_starts_at_revision_0_without_faces(store: Store, clock: MovableClock) -> None:
    with store.transaction() as tx:
        known = tx.people.lock(ALICE, clock())

    assert (known.id, known.revision, known.departed_at, known.faces) == (ALICE, 0, None, ())
    with store.reading() as tx:
        assert tx.people.get(ALICE) == known
        assert tx.people.get(BOB) is None


def test_a_revision_is_remembered_with_its_name(store: Store, clock: MovableClock) -> None:
    with store.transaction() as tx:
        tx.people.lock(ALICE, clock())
        amend(tx, ALICE, Revision(1), clock(), departed=False, name=NAME)
        amend(tx, ALICE, Revision(2), clock(), departed=False, name=None)

        known, name = tx.people.lock(ALICE, clock()), name_of(tx, ALICE)

    assert (known.revision, name) == (2, NAME)


def test_a_departure_forgets_the_name(store: Store, clock: MovableClock) -> None:
    with store.transaction() as tx:
        tx.people.lock(ALICE, clock())
        amend(tx, ALICE, Revision(1), clock(), departed=False, name=NAME)
        amend(tx, ALICE, Revision(2), clock(), departed=True, name=None)

        assert name_of(tx, ALICE) is None
        assert tx.people.lock(ALICE, clock()).departed_at == clock()
        sealed = tx._connection.scalar(select(people_table.c.sealed_name))

    assert sealed is None


def test_two_changes_of_one_person_wait_for_each_other(store: Store, clock: MovableClock) -> None:
    def work(_: int) -> None:
        for _ in range(10):
            with store.transaction() as tx:
                known = tx.people.lock(ALICE, clock())
                revision = Revision(known.revision + 1)
                amend(tx, ALICE, revision, clock(), departed=False, name=None)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))

    with store.reading() as tx:
        known = tx.people.get(ALICE)
    assert known is not None
    assert known.revision == 40


def test_wanted_people_come_with_their_pictures_or_without(store: Store, clock: MovableClock) -> None:
    feature = Feature(tuple(float(number) / 7 for number in range(512)))
    with store.transaction() as tx:
        for person in (ALICE, BOB):
            tx.people.lock(person, clock())
        set_face(tx, ALICE, LEFT, tx.photos.keep(photo(1), clock()), Revision(1))
        set_face(tx, ALICE, RIGHT, tx.photos.keep(feature, clock()), Revision(1))

        full = tx.people.wanted({ALICE: Revision(3), BOB: Revision(1)}, pictures=True)
        bare = tx.people.wanted({ALICE: Revision(3), BOB: Revision(1)}, pictures=False)

    assert [face.source for face in full[ALICE].faces] == [photo(1), feature]
    assert [(face.id, face.digest) for face in full[ALICE].faces] == [(LEFT, photo(1).digest), (RIGHT, feature.digest)]
    assert full[ALICE].revision == 3
    assert full[BOB].faces == bare[BOB].faces == ()
    assert [face.source for face in bare[ALICE].faces] == [None, None]


def test_faces_know_the_bytes_that_their_pictures_came_as(store: Store, clock: MovableClock) -> None:
    first, second = Digest("a" * 64), Digest("b" * 64)
    with store.transaction() as tx:
        for person in (ALICE, BOB):
            tx.people.lock(person, clock())
        set_face(tx, ALICE, LEFT, tx.photos.keep(photo(1), clock()), Revision(1), origin=first)
        set_face(tx, ALICE, RIGHT, tx.photos.keep(photo(2), clock()), Revision(1))
        set_face(tx, BOB, LEFT, tx.photos.keep(photo(1), clock()), Revision(1), origin=second)

        asked = tx.people.origins([ALICE, PersonId("nobody")])
        set_face(tx, ALICE, LEFT, tx.photos.keep(photo(3), clock()), Revision(2))
        changed = tx.people.origins([ALICE, BOB])

    assert asked == {ALICE: {LEFT: first}, "nobody": {}}
    assert changed == {ALICE: {}, BOB: {LEFT: second}}


def test_a_face_whose_picture_nobody_can_open_has_to_be_told_anew(store: Store, clock: MovableClock) -> None:
    with store.transaction() as tx:
        tx.people.lock(ALICE, clock())
        set_face(tx, ALICE, LEFT, tx.photos.keep(photo(1), clock()), Revision(1), origin=Digest("a" * 64))
    other = Store(store.url, Vault([bytes(32)]))

    with other.reading() as tx:
        origins = tx.people.origins([ALICE])
    other.close()

    assert origins == {ALICE: {}}


# --- photos -------------------------------------------------------------------------------------------------------


def test_a_photo_is_stored_once_per_content(store: Store, clock: MovableClock) -> None:
    with store.transaction() as tx:
        digests = [tx.photos.keep(photo(1), clock()) for _ in range(3)]
        tx.photos.keep(photo(2), clock())

    assert len(set(digests)) == 1
    assert stored(store) == sorted([photo(1).digest, photo(2).digest])


def test_what_is_stored_opens_as_it_came(store: Store, clock: MovableClock) -> None:
    feature = Feature((0.1, 1e-9, 3.0))
    with store.transaction() as tx:
        kept = [(source, tx.photos.keep(source, clock())) for source in (photo(1), feature)]

    with store.reading() as tx:
        assert all(tx.photos.get(digest) == source for source, digest in kept)
        assert tx.photos.get(photo(9).digest) is None


def test_nothing_in_the_database_shows_a_picture_or_a_name(store: Store, clock: MovableClock) -> None:
    feature = Feature((0.123456789,) * 512)
    with store.transaction() as tx:
        tx.people.lock(ALICE, clock())
        amend(tx, ALICE, Revision(1), clock(), departed=False, name=NAME)
        set_face(tx, ALICE, LEFT, tx.photos.keep(photo(1), clock()), Revision(1))
        tx.photos.keep(feature, clock())

    if store.engine.dialect.name == "sqlite":
        path = Path(str(store.engine.url.database))
        store.close()
        raw = b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*"))
    else:
        with store.reading() as tx:
            rows = [tx._connection.execute(text(f"SELECT * FROM {name}")).all() for name in ("photos", "people")]
        raw = b"".join(bytes(v) if isinstance(v, bytes) else str(v).encode() for t in rows for row in t for v in row)
    assert photo(1).digest.encode() in raw
    for secret in (b"CANARY-PICTURE", b"0.123456789", NAME.encode(), b"Canary-Lovelace"):
        assert secret not in raw


def test_a_photo_is_forgotten_when_no_face_needs_it(store: Store, clock: MovableClock) -> None:
    with store.transaction() as tx:
        for person in (ALICE, BOB):
            tx.people.lock(person, clock())
            set_face(tx, person, LEFT, tx.photos.keep(photo(1), clock()), Revision(1))
        tx.people.drop_faces([(ALICE, LEFT)])
        assert tx.photos.forget_unused([photo(1).digest]) == 0

        tx.people.drop_faces([(BOB, LEFT)])
        assert tx.photos.forget_unused([photo(1).digest]) == 1

    assert stored(store) == []


def test_a_photo_of_a_lost_face_stays_until_that_is_forgotten(store: Store, clock: MovableClock) -> None:
    with store.transaction() as tx:
        tx.people.lock(ALICE, clock())
        set_face(tx, ALICE, LEFT, tx.photos.keep(photo(1), clock()), Revision(1))
        (face,) = tx.people.lock(ALICE, clock()).faces
        tx.people.remember_lost([(ALICE, face)])
        tx.people.remember_lost([(ALICE, face)])
        tx.people.drop_faces([(ALICE, LEFT)])
        assert tx.photos.forget_unused([photo(1).digest]) == 0
        (lost,) = tx.people.lost([ALICE, BOB], pictures=True)[ALICE]

        assert tx.photos.forget_unused(tx.people.forget_lost(ALICE)) == 1

    assert lost.source == photo(1)
    assert stored(store) == []


def test_a_photo_that_somebody_gets_while_another_loses_it_stays(store: Store, clock: MovableClock) -> None:
    with store.transaction() as tx:
        for person in (ALICE, BOB):
            tx.people.lock(person, clock())
    start = threading.Barrier(2)

    def come_and_go(person: PersonId) -> None:
        start.wait()
        for number in range(25):
            with store.transaction() as tx:
                set_face(tx, person, LEFT, tx.photos.keep(photo(1), clock()), Revision(number))
            with store.transaction() as tx:
                tx.people.drop_faces([(person, LEFT)])
                tx.photos.forget_unused([photo(1).digest])

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(come_and_go, (ALICE, BOB)))

    assert stored(store) == []


def test_rotation_seals_anew_until_nothing_needs_the_old_key(store: Store, clock: MovableClock) -> None:
    with store.transaction() as tx:
        digests = [tx.photos.keep(photo(number), clock()) for number in range(5)]
    new = bytes([9]) * 32
    rotated = Store(store.url, Vault([new, PHOTO_KEY]))

    resealed = []
    for _ in range(4):
        with rotated.transaction() as tx:
            resealed.append(tx.photos.reseal(2))
    rotated.close()

    only_new = Store(store.url, Vault([new]))
    with only_new.reading() as tx:
        assert all(tx.photos.get(digest) == photo(number) for number, digest in enumerate(digests))
    only_new.close()
    assert resealed == [2, 2, 1, 0]


def test_rotation_seals_names_anew_as_well(store: Store, clock: MovableClock) -> None:
    with store.transaction() as tx:
        tx.people.lock(ALICE, clock())
        amend(tx, ALICE, Revision(1), clock(), departed=False, name=NAME)
        tx.people.lock(BOB, clock())
    new = bytes([9]) * 32
    rotated = Store(store.url, Vault([new, PHOTO_KEY]))

    with rotated.transaction() as tx:
        resealed = [tx.people.reseal_names(10), tx.people.reseal_names(10)]
    rotated.close()

    only_new = Store(store.url, Vault([new]))
    with only_new.reading() as tx:
        assert name_of(tx, ALICE) == NAME
    only_new.close()
    assert resealed == [1, 0]


def test_a_photo_under_a_lost_key_says_so_and_shows_nothing(store: Store, clock: MovableClock) -> None:
    with store.transaction() as tx:
        digest = tx.photos.keep(photo(1), clock())
    other = Store(store.url, Vault([bytes(32)]))

    with pytest.raises(VaultError, match="add that key back"), other.reading() as tx:
        tx.photos.get(digest)
    other.close()


def test_instants_come_back_as_they_went_in(store: Store, clock: MovableClock) -> None:
    clock.now += timedelta(microseconds=123456)
    with store.transaction() as tx:
        tx.people.lock(ALICE, clock())
        amend(tx, ALICE, Revision(1), clock(), departed=True, name=None)

    with store.reading() as tx:
        known = tx.people.get(ALICE)

    assert known is not None
    assert known.departed_at == clock()
    assert known.departed_at is not None
    assert known.departed_at.utcoffset() == timedelta(0)


def test_a_name_that_is_forgotten_while_it_is_sealed_anew_does_not_come_back(
    store: Store, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store.transaction() as tx:
        tx.people.lock(ALICE, clock())
        amend(tx, ALICE, Revision(1), clock(), departed=False, name=NAME)
    vault = Vault([bytes([9]) * 32, PHOTO_KEY])
    rotated = Store(store.url, vault)
    seal = vault.seal

    with rotated.transaction() as tx:

        def meanwhile(plain: bytes, *, purpose: str, about: str) -> bytes:
            amend(tx, ALICE, Revision(2), clock(), departed=True, name=None)
            return seal(plain, purpose=purpose, about=about)

        monkeypatch.setattr(vault, "seal", meanwhile)
        tx.people.reseal_names(10)
        assert name_of(tx, ALICE) is None
    rotated.close()


def test_a_picture_that_comes_again_replaces_one_whose_key_is_gone_and_no_other(
    store: Store, clock: MovableClock
) -> None:
    with store.transaction() as tx:
        digest = tx.photos.keep(photo(1), clock())
        before = tx._connection.scalar(select(photos_table.c.sealed))
        tx.photos.keep(photo(1), clock())
        assert tx._connection.scalar(select(photos_table.c.sealed)) == before
    other = Store(store.url, Vault([bytes(32)]))

    with other.transaction() as tx:
        assert tx.photos.locked_away([digest]) == {digest}
        tx.photos.keep(photo(1), clock())
        assert tx.photos.locked_away([digest]) == set()
        assert tx.photos.get(digest) == photo(1)
    other.close()
