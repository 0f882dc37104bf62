"""Transactions: whole or not at all; a database that is away is told in words without values."""

import logging
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from syncsvc.model.people import Revision
from syncsvc.store import Store, Transaction, schema
from syncsvc.store.engine import DatabaseUnavailableError
from syncsvc.store.vault import Vault
from tests.conftest import MovableClock, new_postgres
from tests.store.ground import ALICE, BOB, LEFT, amend, enter, photo, set_face


@pytest.fixture
def unreachable(vault: Vault) -> Iterator[Store]:
    """PostgreSQL at a port where nobody listens."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    store = Store(f"postgresql+psycopg://syncsvc:CANARY-PASSWORD@127.0.0.1:{port}/faces", vault)
    yield store
    store.close()


def write_everything(tx: Transaction, clock: MovableClock) -> None:
    enter(tx, "hr", "1", kind="person.upserted", person=ALICE, version=None, now=clock())
    tx.people.lock(ALICE, clock())
    set_face(tx, ALICE, LEFT, tx.photos.keep(photo(1), clock()), Revision(1))


def rows(store: Store) -> int:
    with store.reading() as tx:
        counts = [
            tx._connection.scalar(text(f"SELECT count(*) FROM {name}"))
            for name in ("changes", "people", "photos", "faces")
        ]
    return sum(counts)


def test_a_block_that_ends_is_written(store: Store, clock: MovableClock) -> None:
    with store.transaction() as tx:
        write_everything(tx, clock)

    assert rows(store) == 4


def test_a_block_that_fails_writes_nothing(store: Store, clock: MovableClock) -> None:
    def fail() -> None:
        with store.transaction() as tx:
            write_everything(tx, clock)
            raise KeyError("anything")

    with pytest.raises(KeyError):
        fail()

    assert rows(store) == 0


def test_a_reader_sees_nothing_of_what_is_not_committed_and_waits_for_nobody(store: Store, clock: MovableClock) -> None:
    with store.transaction() as tx:
        write_everything(tx, clock)

        assert rows(store) == 0

    assert rows(store) == 4


def test_writers_of_one_process_take_turns(store: Store, clock: MovableClock) -> None:
    def work() -> None:
        for _ in range(10):
            with store.transaction() as tx:
                tx.people.lock(BOB, clock())
                known = tx.people.lock(ALICE, clock())
                amend(tx, ALICE, Revision(known.revision + 1), clock(), departed=False, name=None)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with store.reading() as tx:
        known = tx.people.get(ALICE)
    assert known is not None
    assert known.revision == 40


# --- a database that is away --------------------------------------------------------------------------------------


def test_an_unreachable_database_is_told_in_words_without_the_password(unreachable: Store) -> None:
    with pytest.raises(DatabaseUnavailableError, match="is up and reachable") as caught:
        unreachable.ping()

    assert "CANARY-PASSWORD" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)


@pytest.mark.parametrize("verb", [schema.upgrade, schema.current, schema.drift])
def test_so_it_is_when_the_schema_is_asked_for(unreachable: Store, verb: object) -> None:
    assert callable(verb)

    with pytest.raises(DatabaseUnavailableError, match="is up and reachable"):
        verb(unreachable)


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)])
def test_a_database_without_a_schema_says_what_to_run(kind: str, tmp_path: Path, vault: Vault) -> None:
    def ask(url: str) -> None:
        store = Store(url, vault)
        with pytest.raises(DatabaseUnavailableError, match="syncsvc db upgrade"), store.transaction() as tx:
            tx.libraries.all()
        store.close()

    if kind == "sqlite":
        ask(f"sqlite:///{tmp_path}/empty.db")
    else:
        with new_postgres() as url:
            ask(url)


def test_a_file_that_is_no_database_is_told_in_words(tmp_path: Path, vault: Vault) -> None:
    path = tmp_path / "notes.db"
    path.write_bytes(b"these are my notes, and they are long enough to be looked at as a header" * 20)
    store = Store(f"sqlite:///{path}", vault)

    with pytest.raises(DatabaseUnavailableError, match="cannot be used"):
        store.ping()
    store.close()


def test_a_failing_statement_shows_no_value(
    store: Store, clock: MovableClock, caplog: pytest.LogCaptureFixture
) -> None:
    def duplicate() -> None:
        with store.transaction() as tx:
            tx._connection.execute(
                text("INSERT INTO faces (person_id, face_id, digest, revision) VALUES (:p, :f, :d, 1)"),
                {"p": "CANARY-PERSON", "f": "CANARY-FACE", "d": "CANARY-DIGEST"},
            )

    with caplog.at_level(logging.DEBUG), pytest.raises(IntegrityError) as caught:
        duplicate()

    assert "CANARY-FACE" not in str(caught.value)
    assert "CANARY" not in caplog.text


def test_patience_repeats_until_the_database_is_back(store: Store, clock: MovableClock) -> None:
    tries = []

    def write(tx: Transaction) -> str:
        tries.append(1)
        tx.people.lock(ALICE, clock())
        if len(tries) < 4:
            raise DatabaseUnavailableError("away")
        return "written"

    assert store.patiently(write, first_wait=0.0) == "written"
    assert len(tries) == 4


def test_patience_outlasts_a_database_that_cannot_even_be_connected_to(unreachable: Store) -> None:
    began = time.monotonic()

    with pytest.raises(DatabaseUnavailableError):
        unreachable.patiently(lambda _: None, tries=3, first_wait=0.02)

    assert time.monotonic() - began >= 0.02 + 0.04


def test_patience_does_not_repeat_a_mistake_of_ours(store: Store) -> None:
    tries = []

    def write(_: Transaction) -> None:
        tries.append(1)
        raise KeyError("ours")

    with pytest.raises(KeyError):
        store.patiently(write, first_wait=0.0)

    assert len(tries) == 1


@pytest.mark.servers
def test_connections_that_the_server_ended_are_told_and_replaced(migrated_postgres: str, vault: Vault) -> None:
    store = Store(migrated_postgres, vault)
    store.ping()
    other = Store(migrated_postgres, vault)
    with other.transaction() as tx:
        tx._connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    other.close()

    answered = store.patiently(lambda tx: tx.libraries.all(), first_wait=0.0)

    assert answered == []
    store.close()
