"""Opens the database and hands out transactions: the only commit in the house."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, NotSupportedError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from syncsvc.model.erasures import Erasing
from syncsvc.model.errors import SyncsvcError
from syncsvc.store.adoption import Adoption
from syncsvc.store.attempts import Attempts
from syncsvc.store.attention import Attention
from syncsvc.store.bindings import Bindings
from syncsvc.store.callbacks import Callbacks
from syncsvc.store.census import Census
from syncsvc.store.changes import Changes
from syncsvc.store.checks import Checks
from syncsvc.store.comparing import Comparing
from syncsvc.store.deliveries import Deliveries
from syncsvc.store.erased import Erased
from syncsvc.store.erasures import Erasures
from syncsvc.store.invalidations import Invalidations
from syncsvc.store.libraries import Libraries
from syncsvc.store.listings import Listings
from syncsvc.store.migrating import Migrating
from syncsvc.store.people import People
from syncsvc.store.photos import Photos
from syncsvc.store.pseudonyms import OwnKeys, Pseudonyms
from syncsvc.store.receipts import Receipts
from syncsvc.store.removals import Removing
from syncsvc.store.roster_people import RosterPeople
from syncsvc.store.rosters import Rosters
from syncsvc.store.scim_users import ScimUsers
from syncsvc.store.situations import Situations
from syncsvc.store.vault import Vault
from syncsvc.store.versions import VersionCounts
from syncsvc.store.watches import Watches

T = TypeVar("T")

BUSY_TIMEOUT = 30.0  # seconds that a writer waits for SQLite's one write lock
POOL = 48  # connections a process may open: a worker's threads, and a few


class DatabaseUnavailableError(SyncsvcError):
    """The database cannot be reached or gave up; nothing was written."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What one process knows of a database besides the database itself; shared by all its transactions.

    `watching`: there are callbacks. `erasing`: by when the departed must be gone. `own_keys`: the database's own
    keys, once they were read.
    """

    watching: bool = False
    erasing: Erasing = field(default_factory=Erasing)
    own_keys: OwnKeys = field(default_factory=dict, repr=False)


class Transaction:
    """One transaction, as one object per table."""

    def __init__(self, connection: Connection, vault: Vault, terms: Terms) -> None:
        self._connection = connection
        self._vault = vault
        self._terms = terms
        self._afterwards: list[Callable[[], object]] = []

    def afterwards(self, act: Callable[[], object]) -> None:
        """Do this when the transaction has committed, and never if it has not; it must not fail."""
        self._afterwards.append(act)

    def committed(self) -> None:
        """Do what was put off until now."""
        for act in self._afterwards:
            act()

    @cached_property
    def people(self) -> People:
        return People(self._connection, self._vault, self.pseudonyms)

    @cached_property
    def versions(self) -> VersionCounts:
        return VersionCounts(self._connection)

    @cached_property
    def photos(self) -> Photos:
        return Photos(self._connection, self._vault)

    @cached_property
    def changes(self) -> Changes:
        return Changes(self._connection)

    @cached_property
    def watches(self) -> Watches:
        return Watches(self._connection, kept=self._terms.watching)

    @cached_property
    def callbacks(self) -> Callbacks:
        return Callbacks(self._connection)

    @cached_property
    def invalidations(self) -> Invalidations:
        return Invalidations(self._connection)

    @cached_property
    def census(self) -> Census:
        return Census(self._connection)

    @cached_property
    def attention(self) -> Attention:
        return Attention(self._connection)

    @cached_property
    def libraries(self) -> Libraries:
        return Libraries(self._connection)

    @cached_property
    def deliveries(self) -> Deliveries:
        return Deliveries(self._connection)

    @cached_property
    def bindings(self) -> Bindings:
        return Bindings(self._connection)

    @cached_property
    def adoption(self) -> Adoption:
        return Adoption(self._connection)

    @cached_property
    def checks(self) -> Checks:
        return Checks(self._connection)

    @cached_property
    def attempts(self) -> Attempts:
        return Attempts(self._connection)

    @cached_property
    def migrating(self) -> Migrating:
        return Migrating(self._connection)

    @cached_property
    def rosters(self) -> Rosters:
        return Rosters(self._connection)

    @cached_property
    def roster_people(self) -> RosterPeople:
        return RosterPeople(self._connection, self._vault)

    @cached_property
    def removing(self) -> Removing:
        return Removing(self._connection)

    @cached_property
    def situations(self) -> Situations:
        return Situations(self._connection)

    @cached_property
    def pseudonyms(self) -> Pseudonyms:
        return Pseudonyms(self._connection, self._vault, self._terms.own_keys, self.afterwards)

    @cached_property
    def erasures(self) -> Erasures:
        return Erasures(self._connection, self.pseudonyms, self._terms.erasing)

    @cached_property
    def erased(self) -> Erased:
        return Erased(self._connection)

    @cached_property
    def receipts(self) -> Receipts:
        return Receipts(self._connection)

    @cached_property
    def comparing(self) -> Comparing:
        return Comparing(self._connection)

    @cached_property
    def listings(self) -> Listings:
        return Listings(self._connection)

    @cached_property
    def scim_users(self) -> ScimUsers:
        return ScimUsers(self._connection, self._vault)


class Store:
    """The database behind everything; safe to share between threads, not across a fork.

    `watching`: there are callbacks, so it is kept of which changes somebody is to be told what became. `erasing`:
    by when a departed person's faces must be verified absent.
    """

    def __init__(self, url: str, vault: Vault, *, watching: bool = False, erasing: Erasing | None = None) -> None:
        self.url = url
        self._vault = vault
        self._terms = Terms(watching, erasing or Erasing())
        self.engine = _open(url)
        # SQLite has one writer; waiting in a queue of our own is fair, waiting in its busy handler is not.
        self._writers: Any = threading.Lock() if self.engine.dialect.name == "sqlite" else nullcontext()

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Commits at the end of the block, rolls back if it raises.

        Raises DatabaseUnavailableError where the database itself failed; nothing was written then, unless
        it failed during the commit: so a block must be safe to repeat.
        """
        with unavailable(self.engine), self._writers, self.engine.begin() as connection:
            tx = Transaction(connection, self._vault, self._terms)
            yield tx
        tx.committed()

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """A transaction that only reads; it never waits for a writer."""
        with unavailable(self.engine), self.engine.connect() as connection:
            yield Transaction(connection.execution_options(syncsvc_reading=True), self._vault, self._terms)

    def patiently(self, write: Callable[[Transaction], T], *, tries: int = 6, first_wait: float = 0.2) -> T:
        """Run `write` in a transaction that must not be given up lightly.

        Repeats it while the database is unavailable (restarting, failing over, a deadlock), waiting 0.2, 0.4, ...
        seconds in between, and lets the last DatabaseUnavailableError through.
        """
        for number in range(tries - 1):
            try:
                with self.transaction() as tx:
                    return write(tx)
            except DatabaseUnavailableError:
                time.sleep(first_wait * 2**number)
        with self.transaction() as tx:
            return write(tx)

    def ping(self) -> None:
        """Asks the database one question. Raises DatabaseUnavailableError."""
        with self.reading() as tx:
            tx._connection.execute(text("SELECT 1"))  # noqa: SLF001

    def close(self) -> None:
        self.engine.dispose()


@contextmanager
def unavailable(engine: Engine) -> Iterator[None]:
    """Turns every failure of the database itself into DatabaseUnavailableError; a mistake of ours stays what it is."""
    try:
        yield
    except PoolTimeoutError as error:
        words = f"all {POOL} connections to the database are taken; give it more, or this process fewer threads"
        raise DatabaseUnavailableError(words) from error
    except DBAPIError as error:
        if isinstance(error, IntegrityError | DataError | NotSupportedError):
            raise
        if isinstance(error, ProgrammingError) and not _old_schema(error):
            raise
        raise DatabaseUnavailableError(_words(error, engine)) from error


# Without `hide_parameters` a statement that fails carries its values into every traceback.
_ALWAYS: dict[str, Any] = {"pool_size": POOL, "max_overflow": 8, "hide_parameters": True}


def _open(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        if parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT}, **_ALWAYS)
        _prepare_sqlite(engine)
        return engine
    return create_engine(
        url,
        pool_use_lifo=True,  # a quiet process lets its extra connections grow old and close
        connect_args={
            "connect_timeout": 5,
            "options": "-c lock_timeout=10000 -c idle_in_transaction_session_timeout=60000",
        },
        **_ALWAYS,
    )


def _prepare_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def pragmas(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves: the driver's own is deferred and may deadlock
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        reading = connection.get_execution_options().get("syncsvc_reading")
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _old_schema(error: DBAPIError) -> bool:
    """Whether a table or column is missing: PostgreSQL has codes for it (42P01, 42703), SQLite has words."""
    said = str(error.orig)
    return getattr(error.orig, "sqlstate", None) in {"42P01", "42703"} or "no such table" in said or "no column" in said


def _words(error: DBAPIError, engine: Engine) -> str:
    """Our own words: a driver's message may quote values."""
    if _old_schema(error):
        return "the database has no or an old schema; run `syncsvc db upgrade`"
    where = engine.url.render_as_string(hide_password=True) if engine.dialect.name != "sqlite" else "the SQLite file"
    return f"the database cannot be used just now ({type(error.orig).__name__}); check that {where} is up and reachable"
