"""The one statement that both databases spell alike and SQLAlchemy keeps apart: insert or on conflict."""

from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite


def insert(dialect: str, table: Table) -> Any:
    """An INSERT with `on_conflict_do_update` and `on_conflict_do_nothing`, for the dialect of this name."""
    if dialect == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)
