"""SCIM users as kept: found by what is unique about them, read in the order they came, sealed."""

import uuid
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from syncsvc.model.people import Digest, FaceId, PersonId
from syncsvc.store import Store
from syncsvc.store.scim_users import CHUNK, Kept, ScimUser
from syncsvc.store.tables import people, scim_users
from syncsvc.store.vault import Vault, VaultError
from tests.conftest import PHOTO_KEY, MovableClock
from tests.store.ground import ALICE, BOB, photo


class Ledger:
    """Every verb is one transaction, a second after the one before."""

    def __init__(self, store: Store, clock: MovableClock) -> None:
        self.store, self.clock = store, clock

    def add(self, person: str, user_name: str | None = None, external_id: str | None = None) -> str | None:
        """The new id; or, in words, what is taken."""
        self.clock.advance(1)
        id_, kept = str(uuid.uuid4()), Kept(user_name or person, external_id, b'{"displayName": "CANARY-NAME"}')
        with self.store.transaction() as tx:
            return tx.scim_users.add(id_, PersonId(person), kept, self.clock()) or id_

    def get(self, id_: str) -> ScimUser:
        with self.store.reading() as tx:
            found = tx.scim_users.get(id_)
        assert found is not None
        return found

    def page(self, start: int, count: int, **order: object) -> list[str]:
        with self.store.reading() as tx:
            return [one.person for one in tx.scim_users.page(start, count, **order)]  # type: ignore[arg-type]


@pytest.fixture
def ledger(store: Store, clock: MovableClock) -> Ledger:
    return Ledger(store, clock)


def test_a_resource_is_read_as_it_was_kept(ledger: Ledger) -> None:
    id_ = ledger.add("alice", "alice@example.com", "E-1")

    kept = ledger.get(str(id_))
    assert (kept.person, kept.version, kept.resource) == (ALICE, 1, b'{"displayName": "CANARY-NAME"}')
    assert kept.created_at == kept.changed_at == ledger.clock()


def test_it_is_found_by_its_id_its_user_name_and_its_external_id(ledger: Ledger) -> None:
    id_ = ledger.add("alice", "alice@example.com", "E-1")
    ledger.add("bob", "bob@example.com", "E-2")

    with ledger.store.reading() as tx:
        for key, value in (("id", str(id_)), ("user_name", "alice@example.com"), ("external_id", "E-1")):
            assert [one.person for one in tx.scim_users.matching(key, value)] == [ALICE]  # type: ignore[arg-type]
        assert tx.scim_users.matching("external_id", "e-1") == []


@pytest.mark.parametrize("value", ["", "\x00", "a\x00b", "\ud800"])
def test_what_no_database_can_keep_matches_nobody(ledger: Ledger, value: str) -> None:
    ledger.add("alice")

    with ledger.store.reading() as tx:
        assert tx.scim_users.matching("user_name", value) == []
        assert tx.scim_users.get(value) is None
    with ledger.store.transaction() as tx:
        assert tx.scim_users.lock(value) is None


def test_a_user_name_belongs_to_one_resource(ledger: Ledger) -> None:
    ledger.add("alice", "same")

    assert ledger.add("bob", "same") == "user_name"
    assert ledger.page(0, 10) == ["alice"]


def test_a_person_belongs_to_one_resource(ledger: Ledger) -> None:
    ledger.add("alice", "first")

    assert ledger.add("alice", "second") == "person"
    assert ledger.page(0, 10) == ["alice"]


def test_a_change_makes_the_next_version(ledger: Ledger) -> None:
    id_ = str(ledger.add("alice", "first", "E-1"))
    created = ledger.clock()
    ledger.clock.advance(60)

    with ledger.store.transaction() as tx:
        assert tx.scim_users.amend(id_, Kept("second", None, b"{}"), ledger.clock())

    kept = ledger.get(id_)
    assert (kept.version, kept.resource, kept.created_at, kept.changed_at) == (2, b"{}", created, ledger.clock())
    with ledger.store.reading() as tx:
        assert tx.scim_users.matching("external_id", "E-1") == []


def test_a_change_to_a_user_name_that_is_taken_writes_nothing_and_harms_nothing(ledger: Ledger) -> None:
    ledger.add("alice", "first")
    id_ = str(ledger.add("bob", "second"))

    with ledger.store.transaction() as tx:
        assert not tx.scim_users.amend(id_, Kept("first", None, b"{}"), ledger.clock())
        tx.people.lock(BOB, ledger.clock())

    assert ledger.get(id_).version == 1
    with ledger.store.reading() as tx:
        assert tx.people.get(BOB) is not None


def test_what_is_removed_is_gone(ledger: Ledger) -> None:
    id_ = str(ledger.add("alice"))

    with ledger.store.transaction() as tx:
        assert tx.scim_users.lock(id_) is not None
        tx.scim_users.remove(id_)
        assert tx.scim_users.lock(id_) is None
        assert tx.scim_users.count() == 0


def test_the_person_is_read_beside_it_as_they_are_now(ledger: Ledger) -> None:
    id_ = str(ledger.add("alice"))
    picture = photo(1)
    assert ledger.get(id_).departed  # nobody knows the person yet

    with ledger.store.transaction() as tx:
        tx.people.lock(ALICE, ledger.clock())
        tx.photos.keep(picture, ledger.clock())
    with ledger.store.transaction() as tx:
        tx._connection.execute(update(people).values(revision=7, changed_at=ledger.clock() + timedelta(hours=1)))
        tx._connection.exec_driver_sql(
            f"INSERT INTO faces (person_id, face_id, digest, revision) VALUES ('alice', 'left', '{picture.digest}', 7)"
        )

    kept = ledger.get(id_)
    assert (kept.departed, kept.revision) == (False, 7)
    assert [(face.id, face.digest) for face in kept.faces] == [(FaceId("left"), Digest(picture.digest))]
    assert kept.changed_at == ledger.clock() + timedelta(hours=1)

    with ledger.store.transaction() as tx:
        tx._connection.execute(update(people).values(departed_at=ledger.clock()))

    assert ledger.get(id_).departed


def test_pages_come_in_the_order_of_arrival_and_new_ones_come_last(ledger: Ledger) -> None:
    for name in ("dora", "alice", "carol", "bob"):
        ledger.add(name)

    assert ledger.page(0, 3) == ["dora", "alice", "carol"]

    ledger.add("aaron")

    assert ledger.page(3, 3) == ["bob", "aaron"]
    assert ledger.page(9, 3) == []


def test_pages_come_in_the_order_of_user_names_where_that_is_asked_for(ledger: Ledger) -> None:
    for name in ("dora", "alice", "carol", "bob"):
        ledger.add(name)

    assert ledger.page(1, 2, order="user_name") == ["bob", "carol"]
    assert ledger.page(0, 2, order="user_name", descending=True) == ["dora", "carol"]


def test_everybody_is_read_once_though_many_came_in_the_same_instant(ledger: Ledger) -> None:
    with ledger.store.transaction() as tx:
        for number in range(2 * CHUNK + 1):
            tx.scim_users.add(
                str(uuid.uuid4()), PersonId(f"p{number}"), Kept(f"p{number}", None, b"{}"), ledger.clock()
            )

    with ledger.store.reading() as tx:
        read = [one.person for one in tx.scim_users.each()]
        assert len(read) == len(set(read)) == tx.scim_users.count() == 2 * CHUNK + 1


def test_names_are_sealed_and_open_nowhere_else(ledger: Ledger, vault: Vault) -> None:
    first, second = str(ledger.add("alice")), str(ledger.add("bob"))

    with ledger.store.reading() as tx:
        sealed = tx._connection.scalar(select(scim_users.c.sealed).where(scim_users.c.id == first))
    assert isinstance(sealed, bytes)
    assert b"CANARY-NAME" not in sealed
    with pytest.raises(VaultError):
        vault.open(sealed, purpose="scim", about=second)


def test_a_new_key_seals_everything_anew(ledger: Ledger) -> None:
    ids = [str(ledger.add(f"p{number}")) for number in range(3)]
    rotated = Store(ledger.store.url, Vault([bytes(32), PHOTO_KEY]))

    with rotated.transaction() as tx:
        assert [tx.scim_users.reseal(2), tx.scim_users.reseal(2), tx.scim_users.reseal(2)] == [2, 1, 0]
    rotated.close()

    without_the_old_key = Store(ledger.store.url, Vault([bytes(32)]))
    with without_the_old_key.reading() as tx:
        assert all(tx.scim_users.get(id_) is not None for id_ in ids)
    without_the_old_key.close()
