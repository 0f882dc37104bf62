"""A keyed pseudonym: the same for the same person, nobody else's, and under a key that only this database has."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import select

from syncsvc.store import Store
from syncsvc.store.tables import own_keys
from syncsvc.store.vault import Vault, VaultError
from tests.conftest import PHOTO_KEY
from tests.store.ground import ALICE, BOB, Table


def of(store: Store) -> dict[str, str]:
    with store.transaction() as tx:
        return {str(person): name for person, name in tx.pseudonyms.of_all([ALICE, BOB]).items()}


def key_row(store: Store) -> Any:
    with store.reading() as tx:
        return tx._connection.execute(select(own_keys)).one_or_none()


def test_it_is_the_same_for_ever_and_different_for_everybody(table: Table) -> None:
    first = of(table.store)

    assert of(table.store) == first
    assert first[ALICE] != first[BOB]
    assert all(len(one) == 64 and int(one, 16) for one in first.values())
    assert first[ALICE] != hashlib.sha256(ALICE.encode()).hexdigest()
    with table.store.transaction() as tx:
        assert tx.pseudonyms.of(ALICE) == first[ALICE]


def test_another_process_finds_the_same_key(table: Table, vault: Vault) -> None:
    first = of(table.store)
    other = Store(table.store.url, vault)

    assert of(other) == first
    other.close()


def test_where_nobody_has_one_yet_reading_makes_none(table: Table) -> None:
    with table.store.reading() as tx:
        assert tx.pseudonyms.known([ALICE]) == {}
    assert key_row(table.store) is None

    names = of(table.store)

    with table.store.reading() as tx:
        assert tx.pseudonyms.known([ALICE]) == {ALICE: names[ALICE]}


def test_a_key_that_was_never_committed_is_not_remembered(table: Table) -> None:
    lost: list[str] = []

    def die_before_the_commit() -> None:
        with table.store.transaction() as tx:
            lost.append(tx.pseudonyms.of(ALICE))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        die_before_the_commit()

    kept = of(table.store)

    assert kept[ALICE] not in lost
    assert of(table.store) == kept


def test_several_who_need_it_first_agree_on_one(table: Table, vault: Vault) -> None:
    stores = [Store(table.store.url, vault) for _ in range(4)]

    with ThreadPoolExecutor(4) as pool:
        names = list(pool.map(of, stores))

    assert all(one == names[0] for one in names)
    for one in stores:
        one.close()


def test_the_key_is_sealed_and_is_sealed_anew_with_the_others(table: Table) -> None:
    names = of(table.store)
    old, new = Vault([PHOTO_KEY]), Vault([os.urandom(32), PHOTO_KEY])
    assert key_row(table.store).sealed[:4] == old.current

    rotated = Store(table.store.url, new)
    with rotated.transaction() as tx:
        resealed = [tx.pseudonyms.reseal(10), tx.pseudonyms.reseal(10)]

    assert resealed == [1, 0]
    assert of(rotated) == names
    sealed = key_row(table.store).sealed
    assert sealed[:4] == new.current
    with pytest.raises(VaultError):
        old.open(sealed, purpose="own key", about="pseudonym")
    rotated.close()
