"""Brings a database to the schema of this version, and says how far it is from it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from syncsvc.model.errors import SyncsvcError
from syncsvc.store.engine import Store, unavailable
from syncsvc.store.tables import metadata

_LOCK = 7_310_662_109  # any number, the same everywhere: two upgrades at once take turns


def upgrade(store: Store, to: str = "head") -> None:
    """Run every migration that is missing; safe to repeat and to run from two machines at once."""
    with _alone(store) as connection:
        command.upgrade(_config(connection), to)


def downgrade(store: Store, to: str) -> None:
    """Undo migrations down to `to` ("base" for all of them); their data goes with them."""
    with _alone(store) as connection:
        command.downgrade(_config(connection), to)


def current(store: Store) -> str | None:
    """The revision the database is at, None where it is empty."""
    with unavailable(store.engine), store.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def head() -> str:
    """The revision this version needs."""
    revision = ScriptDirectory(str(_migrations())).get_current_head()
    assert revision is not None
    return revision


def drift(store: Store) -> list[str]:
    """How the migrated database differs from the tables that the code believes in; empty is right."""
    with unavailable(store.engine), store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return [str(difference) for difference in compare_metadata(context, metadata)]


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_migrations()))
    config.attributes["connection"] = connection
    config.attributes["metadata"] = metadata
    return config


def _migrations() -> Path:
    """Beside the package in a checkout, inside it when installed."""
    package = Path(__file__).resolve().parents[1]
    for candidate in (package.parent / "migrations", package / "migrations"):
        if (candidate / "env.py").is_file():
            return candidate
    raise SyncsvcError("the migrations are missing from this installation; install syncsvc again")


@contextmanager
def _alone(store: Store) -> Iterator[Connection]:
    with unavailable(store.engine), store.engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL lock_timeout = '10min'"))  # another upgrade may take its time
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        yield connection
