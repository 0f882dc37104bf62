"""What all tests may stand on: a migrated database of either kind, and a clock that moves when it is told to."""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from syncsvc.store import Store, schema
from syncsvc.store.tables import metadata
from syncsvc.store.vault import Vault

POSTGRES = os.environ.get("SYNCSVC_TEST_POSTGRES", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres")
PHOTO_KEY = bytes(range(32))
DATABASES = [pytest.param("sqlite", id="sqlite"), pytest.param("postgresql", id="postgres", marks=pytest.mark.servers)]


class MovableClock:
    """Stands still until somebody moves it."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture(scope="session")
def vault() -> Vault:
    return Vault([PHOTO_KEY])


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory, vault: Vault) -> Path:
    """An empty SQLite database with the schema of this version, to be copied."""
    path = tmp_path_factory.mktemp("migrated") / "syncsvc.db"
    store = Store(f"sqlite:///{path}", vault)
    schema.upgrade(store)
    store.close()
    return path


@pytest.fixture(scope="session")
def migrated_postgres(vault: Vault) -> Iterator[str]:
    """The URL of a database with the schema of this version; whoever uses it empties it first."""
    with new_postgres() as url:
        store = Store(url, vault)
        schema.upgrade(store)
        store.close()
        yield url


@contextmanager
def new_postgres() -> Iterator[str]:
    """The URL of an empty database of our own, dropped at the end; skips by name where no server is, never in CI."""
    name = f"syncsvc_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}_{uuid.uuid4().hex[:12]}"
    _command(f'CREATE DATABASE "{name}"')
    try:
        yield make_url(POSTGRES).set(database=name).render_as_string(hide_password=False)
    finally:
        _command(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def _command(sql: str) -> None:
    server = make_url(POSTGRES)
    where = server.set(drivername="postgresql").render_as_string(hide_password=False)
    try:
        with psycopg.connect(where, autocommit=True, connect_timeout=3) as connection:
            connection.execute(sql.encode())
    except psycopg.OperationalError as error:
        needs = f"needs PostgreSQL at {server.host}:{server.port}"
        if "CI" in os.environ:
            pytest.fail(f"{needs}, and in CI it must be there ({type(error).__name__})")
        pytest.skip(needs)


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest) -> str:
    """Which kind of database a test runs on: every test that asks runs on both."""
    return str(request.param)


@pytest.fixture
def database_url(request: pytest.FixtureRequest, database: str, tmp_path: Path) -> str:
    """A migrated database without rows."""
    return new_database(request, database, tmp_path)


def new_database(request: pytest.FixtureRequest, kind: str, folder: Path) -> str:
    """The URL of a migrated database without rows, for fixtures that choose the kind themselves."""
    if kind == "postgresql":
        url = str(request.getfixturevalue("migrated_postgres"))
        _empty(url)
        return url
    path = folder / "syncsvc.db"
    shutil.copyfile(request.getfixturevalue("migrated_file"), path)
    return f"sqlite:///{path}"


@pytest.fixture
def store(database_url: str, vault: Vault) -> Iterator[Store]:
    opened = Store(database_url, vault)
    yield opened
    opened.close()


def _empty(url: str) -> None:
    """Faster than TRUNCATE for few rows; the numbers start anew, so that failures read the same every time."""
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain) as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(f'DELETE FROM "{table.name}"'.encode())
        connection.execute(b"SELECT setval(oid, 1, false) FROM pg_class WHERE relkind = 'S'")
