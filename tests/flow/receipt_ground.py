"""What the receipts' tests stand on: erasures as somebody else would have written them, and a key."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from syncsvc.flow.house import House
from syncsvc.flow.receipts import every_receipt, issue
from syncsvc.flow.signing import Signer
from syncsvc.model.permits import Unlimited
from syncsvc.model.receipt_form import Envelope
from syncsvc.store import Store
from syncsvc.store.tables import erasure_libraries, erasures
from tests.conftest import MovableClock

SEED = bytes(range(32))
SIGNER = Signer(SEED)
ALICE, SUBJECT = "alice-4711", "5" * 32
ERASURE = "e" * 32


def house_of(store: Store, clock: MovableClock, signer: Signer | None = SIGNER) -> House:
    """A house without libraries: nothing here speaks to one."""
    return House(store, {}, Unlimited(), clock, signer=signer)


def open_erasure(
    store: Store, now: datetime, erasure: str = ERASURE, person: str = ALICE, subject: str = SUBJECT, **more: Any
) -> str:
    """An erasure that nothing is known of yet; its id."""
    told = {"revision": 2, "state": "open", "opened_at": now, "due_at": now + timedelta(hours=72), **more}
    with store.transaction() as tx:
        values = {"id": erasure, "person_id": person, "pseudonym": subject, **told}
        tx._connection.execute(insert(erasures).values(values))
    return erasure


def found_out(store: Store, library: str, erasure: str = ERASURE, **more: Any) -> None:
    """What is known of one library."""
    requests = json.dumps(more.pop("requests", []))
    with store.transaction() as tx:
        values = {"erasure_id": erasure, "library": library, "request_ids": requests, "faces": 1, **more}
        tx._connection.execute(insert(erasure_libraries).values(values))


def say(house: House, kind: str = "verified", erasure: str = ERASURE) -> Envelope:
    """Issue a receipt; the newest one there is then."""
    with house.store.transaction() as tx:
        issue(tx, house, erasure, kind, house.clock())
    with house.store.reading() as tx:
        newest = tx.receipts.newest(erasure)
    assert newest is not None
    return newest


def chain(house: House) -> list[Envelope]:
    return list(every_receipt(house))


def written(folder: Path, envelopes: Iterator[Envelope] | list[Envelope], name: str = "receipts.jsonl") -> Path:
    file = folder / name
    file.write_bytes(b"".join(one.line() for one in envelopes))
    return file
