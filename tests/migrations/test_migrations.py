"""Migrations: up from empty, down again and up, the same on both databases, and never apart from the tables."""

import ast
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from syncsvc.store import Store, schema
from syncsvc.store.tables import metadata
from syncsvc.store.vault import Vault
from tests.conftest import DATABASES, MovableClock, new_postgres

MIGRATIONS = sorted((Path(__file__).resolve().parents[2] / "migrations" / "versions").glob("*.py"))


@pytest.fixture(params=DATABASES)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without any table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/empty.db"
    else:
        with new_postgres() as url:
            yield url


@pytest.fixture
def empty(empty_url: str, vault: Vault) -> Iterator[Store]:
    store = Store(empty_url, vault)
    yield store
    store.close()


def tables(store: Store) -> set[str]:
    return set(inspect(store.engine).get_table_names()) - {"alembic_version"}


def test_up_from_empty_down_again_and_up(empty: Store) -> None:
    assert schema.current(empty) is None

    schema.upgrade(empty)
    assert tables(empty) == set(metadata.tables)
    assert schema.current(empty) == schema.head()
    schema.downgrade(empty, "base")
    assert tables(empty) == set()
    assert schema.current(empty) is None
    schema.upgrade(empty)

    assert tables(empty) == set(metadata.tables)


def test_the_migrated_database_is_what_the_code_believes_in(empty: Store) -> None:
    schema.upgrade(empty)

    assert schema.drift(empty) == []


def test_drift_is_noticed(empty: Store) -> None:
    schema.upgrade(empty)
    with empty.engine.begin() as connection:
        connection.execute(text("ALTER TABLE people ADD COLUMN shoe_size INTEGER"))
        connection.execute(text("DROP INDEX ix_deliveries_open"))

    drift = "\n".join(schema.drift(empty))

    assert "shoe_size" in drift
    assert "ix_deliveries_open" in drift


def test_indexes_that_are_partial_are_so_in_the_database_too(empty: Store) -> None:
    """Alembic does not compare what an index leaves out."""
    schema.upgrade(empty)
    word = "sqlite_where" if empty.engine.dialect.name == "sqlite" else "postgresql_where"
    wanted = {
        index.name: normal(str(where))
        for table in metadata.sorted_tables
        for index in table.indexes
        if (where := index.dialect_options[empty.engine.dialect.name].get("where")) is not None
    }

    found = {
        index["name"]: normal(str(where))
        for table in metadata.sorted_tables
        for index in inspect(empty.engine).get_indexes(table.name)
        if (where := index.get("dialect_options", {}).get(word)) is not None
    }

    assert wanted
    assert found == wanted


def normal(condition: str) -> str:
    """The same condition whoever wrote it: PostgreSQL rewrites IN as ANY and casts what it compares."""
    told = re.sub(r"::[a-z ]+(\[\])?", "", condition)
    told = re.sub(r"= ANY \(\(?ARRAY\[([^]]*)\]\)*", r"IN \1", told)
    return re.sub(r"[()\s]", "", told).lower()


def test_an_upgrade_is_safe_to_repeat_and_keeps_what_is_there(empty: Store, clock: MovableClock) -> None:
    schema.upgrade(empty)
    with empty.transaction() as tx:
        tx.libraries.declare({"gate": ("cedar", "sync")}, clock())  # type: ignore[dict-item]

    schema.upgrade(empty)

    with empty.reading() as tx:
        assert [one.name for one in tx.libraries.all()] == ["gate"]


def test_two_upgrades_at_once_take_turns(empty_url: str, vault: Vault) -> None:
    start = threading.Barrier(3)

    def upgrade(_: int) -> str | None:
        store = Store(empty_url, vault)
        start.wait()
        schema.upgrade(store)
        at = schema.current(store)
        store.close()
        return at

    with ThreadPoolExecutor(3) as pool:
        reached = list(pool.map(upgrade, range(3)))

    assert reached == [schema.head()] * 3


def test_there_is_one_history_with_one_head() -> None:
    downs = [re.search(r"^down_revision.*= (.*)$", path.read_text(), re.MULTILINE) for path in MIGRATIONS]

    told = [found.group(1) for found in downs if found]

    assert len(told) == len(MIGRATIONS)
    assert len(set(told)) == len(told)


@pytest.mark.parametrize("path", MIGRATIONS, ids=lambda path: path.stem)
def test_a_migration_is_named_by_intent_and_stands_alone(path: Path) -> None:
    tree = ast.parse(path.read_text())
    imported = {
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names])
    }

    assert re.fullmatch(r"\d{8}_[a-z0-9_]+", path.stem)
    assert ast.get_docstring(tree)
    assert not {name for name in imported if name.partition(".")[0] == "syncsvc"}
    assert {"upgrade", "downgrade"} <= {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
