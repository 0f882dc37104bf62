"""Comparing a finished listing beside `sort` and `comm` of the same ids: seconds, the ratio, and the memory's peak.

Each comparison is `flow.compare` in a process of its own, against a database of its own in which everybody has one
face, bound, and one in ten thousand was replaced behind our back. The peer sorts the ids of both sides and compares
them; it knows neither people nor pictures.

    python -m benchmarks.reconcile [--faces 10000 100000 1000000] [--database URL]
"""

import argparse
import hashlib
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table
from sqlalchemy import insert, text

from benchmarks.roster import ROOT, own_database
from syncsvc.store import Store, schema
from syncsvc.store.tables import bindings, faces, libraries, listed, listings, people, photos
from syncsvc.store.vault import Vault

TARGET, TARGET_MB = 3.0, 250
ONE_IN = 10_000
KEY = bytes(32)
AT_ONCE = 10_000
DIGEST = "d" * 64
# By a shell: the peak of a child begins with that of whoever started it, and this process is large.
COMPARE = """
import resource, sys, time
from datetime import UTC, datetime
from syncsvc.flow.compare import compare
from syncsvc.flow.house import House, Shelf
from syncsvc.library.base import Capabilities, FaceLibrary
from syncsvc.library.fitting import PhotoRule
from syncsvc.model.permits import Unlimited
from syncsvc.store import Store
from syncsvc.store.vault import Vault

class Library(FaceLibrary):
    capabilities = Capabilities(PhotoRule(frozenset({"image/jpeg"}), max_bytes=1))
    credential_id = add = remove = look = page = ping = None

Library.__abstractmethods__ = frozenset()
store = Store(sys.argv[1], Vault([bytes(32)]))
shelf = Shelf("bench", Library(None, None, None), policy="sync", owned=False, allowance=1)
house = House(store, {"bench": shelf}, Unlimited(), lambda: datetime.now(UTC))
began = time.perf_counter()
counts = compare(house, "bench")
seconds = time.perf_counter() - began
print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, counts["in_sync"], counts["missing"])
"""


def vendor_id(number: int) -> str:
    return hashlib.md5(str(number).encode(), usedforsecurity=False).hexdigest()


def shown(number: int, total: int) -> str:
    """What the library lists in this place: now and then a face that we never heard of."""
    return vendor_id(number + total if number % ONE_IN == 0 else number)


def fill(url: str, total: int) -> None:
    store, now = Store(url, Vault([KEY])), datetime(2026, 3, 1, tzinfo=UTC)
    schema.upgrade(store)
    order = list(range(total))
    random.Random(1).shuffle(order)
    with store.engine.begin() as to:
        to.execute(insert(libraries).values(name="bench", vendor="bench", policy="sync", since=now))
        photo = {"kind": "photo", "media_type": "image/jpeg", "width": 1, "height": 1, "sealed": b"", "stored_at": now}
        to.execute(insert(photos).values(digest=DIGEST, **photo))
        for numbers in _parts(range(total)):
            to.execute(
                insert(people),
                [{"id": f"E{n:07d}", "key": f"E{n:07d}", "revision": 1, "changed_at": now} for n in numbers],
            )
            to.execute(
                insert(faces),
                [{"person_id": f"E{n:07d}", "face_id": "left", "digest": DIGEST, "revision": 1} for n in numbers],
            )
            to.execute(
                insert(bindings),
                [
                    {
                        "library": "bench",
                        "person_id": f"E{n:07d}",
                        "vendor_face_id": vendor_id(n),
                        "face_id": "left",
                        "digest": DIGEST,
                        "bound_at": now,
                    }
                    for n in numbers
                ],
            )
        for numbers in _parts(order):
            to.execute(
                insert(listed),
                [
                    {"library": "bench", "run": 1, "vendor_face_id": shown(n, total), "person_key": f"E{n:07d}"}
                    for n in numbers
                ],
            )
        listing = {"library": "bench", "run": 1, "cause": "command", "state": "read", "completeness": "complete"}
        instants = dict.fromkeys(("started_at", "reached_at", "finished_at"), datetime(2026, 3, 2, tzinfo=UTC))
        to.execute(insert(listings).values(**listing, faces=total, **instants))
    if store.engine.dialect.name == "postgresql":
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as to:
            to.execute(text("VACUUM ANALYZE"))
    store.close()


def _parts(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(numbers), AT_ONCE):
        yield numbers[start : start + AT_ONCE]


def sort_and_comm(folder: Path, total: int) -> float:
    order = list(range(total))
    random.Random(1).shuffle(order)
    (folder / "bound").write_text("".join(f"{vendor_id(n)}\n" for n in range(total)), "utf-8")
    (folder / "listed").write_text("".join(f"{shown(n, total)}\n" for n in order), "utf-8")
    script = "sort bound > b && sort listed > l && comm -3 b l > odd"
    began = time.perf_counter()
    subprocess.run(["/bin/sh", "-c", script], cwd=folder, env={**os.environ, "LC_ALL": "C"}, check=True)
    return time.perf_counter() - began


def measure(url: str, total: int) -> tuple[float, float]:
    """Seconds and the peak in MB."""
    command = ["/bin/sh", "-c", '"$0" "$@"; exit $?', sys.executable, "-c", COMPARE, url]
    ended = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    seconds, peak, in_sync, missing = (float(one) for one in ended.stdout.split())
    odd = len(range(0, total, ONE_IN))
    assert (in_sync, missing) == (total - odd, odd), ended.stdout
    return seconds, peak


def rows(server: str, total: int) -> Iterator[list[str]]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with own_database(server) as database:
            urls = {"sqlite": f"sqlite:///{folder / 'bench.db'}", "postgresql": database}
            for kind, url in urls.items():
                fill(url, total)
                peer = min(sort_and_comm(folder, total) for _ in range(3))
                seconds, peak = measure(url, total)
                yield [
                    f"{total:,}",
                    kind,
                    f"{seconds:.2f}",
                    f"{peer:.2f}",
                    f"{seconds / peer:.1f}",
                    f"{peak:.0f}",
                ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--database", default="postgresql+psycopg://postgres@127.0.0.1:5432/postgres")
    asked = parser.parse_args()
    titles = ("faces", "database", "compare s", "sort | comm s", f"times (<= {TARGET:g})", f"MB (< {TARGET_MB})")
    table = Table(*titles)
    for total in asked.faces:
        for row in rows(asked.database, total):
            table.add_row(*row)
    Console().print(table)


if __name__ == "__main__":
    main()
