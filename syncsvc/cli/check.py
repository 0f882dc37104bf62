"""`check`: whether everything that is needed is there, and what to do where it is not."""

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import typer

from syncsvc.cli import embedded
from syncsvc.cli.desk import Desk, desk
from syncsvc.cli.output import Json, console, print_json, table
from syncsvc.model.errors import NoPermitError, SyncsvcError

if TYPE_CHECKING:
    from syncsvc.flow.house import Shelf

MOST_SKEW = 30.0  # seconds; signatures and webhooks allow minutes, and a good clock is off by less than one


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked, and in words how it is."""

    what: str
    state: str  # ok | failed
    words: str


def check(context: typer.Context, *, as_json: Json = False) -> None:
    """Check the configuration, database, Redis and clock, and make one harmless call to every library."""
    here = desk(context)
    findings = list(_findings(here))
    if as_json:
        print_json(findings)
    else:
        console().print(table(("check", "state", ""), [(one.what, one.state, one.words) for one in findings]))
    failed = sum(one.state != "ok" for one in findings)
    if failed:
        raise SyncsvcError(f"{failed} of {len(findings)} checks failed; the last column says what to do")


def _findings(here: Desk) -> Iterator[Finding]:
    here.service  # noqa: B018 - every mistake of the configuration is raised here, before anything is asked
    yield Finding("configuration", "ok", str(here.file))
    database = _try("database", lambda: _database(here))
    yield database
    if database.state == "ok":
        yield _try("receipts", lambda: _receipts(here))
        yield from _retiring(here)
    with embedded.if_configured(here.settings):
        yield _try("redis", lambda: _redis(here))
        clocks: dict[str, float] = {}
        for name, shelf in here.house.shelves.items():
            yield _try(f"library {name}", lambda name=name, shelf=shelf: _library(name, shelf, clocks))  # type: ignore[misc]
    if clocks:
        yield _try("clock", lambda: _clock(clocks))


def _try(what: str, ask: Callable[[], str]) -> Finding:
    try:
        return Finding(what, "ok", ask())
    except SyncsvcError as error:
        return Finding(what, "failed", str(error))


def _database(here: Desk) -> str:
    from syncsvc.store import schema  # noqa: PLC0415 - the database's library

    store = here.house.store
    store.ping()
    found = schema.current(store)
    if found is None:
        raise SyncsvcError("empty; run `syncsvc db upgrade` (or `syncsvc up`, which does)")
    if found != schema.head():
        raise SyncsvcError(f"the schema is at {found}, not {schema.head()}; run `syncsvc db upgrade`")
    return f"{store.engine.dialect.name}, schema {found}"


def _receipts(here: Desk) -> str:
    with here.house.store.reading() as tx:
        head, waiting = tx.receipts.head(), tx.receipts.count_waiting()
    signer = here.house.signer
    if signer is None and waiting:
        words = "1 receipt waits" if waiting == 1 else f"{waiting:,} receipts wait"
        raise SyncsvcError(f"{words} to be signed: set service.receipt_key; `syncsvc keygen` prints one")
    if signer is None:
        return "there is no service.receipt_key, so receipts of erasures will wait; `syncsvc keygen` prints one"
    queued = f", {waiting:,} about to be signed" if waiting else ""
    return f"{head.number:,} in the chain{queued}, signed with the key whose public part is {signer.public_key.base64}"


def _retiring(here: Desk) -> Iterator[Finding]:
    """What is to be known before a library is taken out of the configuration, or was."""
    from syncsvc.cli.migration import retiring_words  # noqa: PLC0415 - together they would import in a circle

    with here.house.store.reading() as tx:
        gone = [state.name for state in tx.libraries.all() if not state.configured]
        for one in tx.migrating.all():
            left = sum(tx.migrating.left(one.library).values())
            yield Finding(f"retiring {one.library}", "ok", retiring_words(one, left))
        for name in gone:
            if held := tx.migrating.held_by_us(name):
                words = f"no longer configured, and {held:,} faces were left in it; `library retire` takes them out"
                yield Finding(f"library {name}", "ok", words)


def _redis(here: Desk) -> str:
    from syncsvc.limits.ping import redis_clock  # noqa: PLC0415

    skew = abs((redis_clock(here.settings.redis_url) - dt.datetime.now(dt.UTC)).total_seconds())
    if skew > MOST_SKEW:
        raise SyncsvcError(f"Redis' clock differs from ours by {skew:.0f} s; let NTP set both")
    return "embedded" if here.settings.embedded_redis else "reachable"


def _library(name: str, shelf: "Shelf", clocks: dict[str, float]) -> str:
    def note_clock(response: object) -> None:
        sent = getattr(response, "headers", {}).get("Date")
        if sent:
            try:
                clocks[name] = (parsedate_to_datetime(sent) - dt.datetime.now(dt.UTC)).total_seconds()
            except (ValueError, TypeError):
                return

    client = shelf.library.door.client
    client.event_hooks = {"response": [note_clock]}
    try:
        return shelf.library.ping()
    except NoPermitError as error:
        raise SyncsvcError(f"not asked: {error}; try again, or mend Redis first") from error
    finally:
        client.event_hooks = {}


def _clock(clocks: dict[str, float]) -> str:
    name, skew = max(clocks.items(), key=lambda pair: abs(pair[1]))
    if abs(skew) > MOST_SKEW:
        raise SyncsvcError(f"this machine's clock differs from {name}'s by {abs(skew):.0f} s; let NTP set it")
    return f"within {max(1.0, abs(skew)):.0f} s of every library's"
