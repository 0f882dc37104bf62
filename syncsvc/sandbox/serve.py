"""Finds sandboxes by their file's name and serves them: in a thread for tests, or until a signal."""

import asyncio
import importlib
import inspect
import pkgutil
import signal
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from typing import Any

import uvicorn

from syncsvc.sandbox.base import Sandbox
from syncsvc.sandbox.control import application

_ROOM = "syncsvc.sandbox"
_HALL = frozenset(
    {"base", "control", "faults", "fetch", "filters", "gateway", "mischief", "serve", "windows", "wire", "world"}
)
_START_SECONDS = 10.0


def sandbox_names() -> tuple[str, ...]:
    """Every vendor that has a practice room, in alphabetical order."""
    return tuple(sorted(_rooms()))


def sandbox_class(vendor: str) -> type[Sandbox]:
    """The vendor's `Sandbox`. Raises KeyError for a vendor without one."""
    return _rooms()[vendor]


@cache
def _rooms() -> Mapping[str, type[Sandbox]]:
    """Every module beside this one with a whole `Sandbox` of its own."""
    package = importlib.import_module(_ROOM)
    modules = {
        one.name: importlib.import_module(f"{_ROOM}.{one.name}") for one in pkgutil.iter_modules(package.__path__)
    }
    found = {name: getattr(module, "Sandbox", None) for name, module in modules.items()}
    return {name: kind for name, kind in found.items() if kind is not None and not inspect.isabstract(kind)}


@contextmanager
def running(*sandboxes: Sandbox) -> Iterator[tuple[str, ...]]:
    """Serve sandboxes on free loopback ports while the block lasts; yields their base URLs in the same order."""
    with ExitStack() as stack:
        yield tuple(stack.enter_context(_running(sandbox)) for sandbox in sandboxes)


def serve_forever(sandboxes: Mapping[str, int], *, host: str = "127.0.0.1", **options: Any) -> None:
    """Serve several vendors, each on its port, until SIGINT or SIGTERM. `options` go to every sandbox."""
    servers = [
        _Server(_config(sandbox_class(vendor)(**options), host=host, port=port)) for vendor, port in sandboxes.items()
    ]
    asyncio.run(_serve_all(servers))


class _Server(uvicorn.Server):
    """Leaves the process's signals alone: whoever serves several decides once for all."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _serve_all(servers: list[_Server]) -> None:
    def stop() -> None:
        for server in servers:
            server.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    await asyncio.gather(*(server.serve() for server in servers))


class _QuickServer(_Server):
    """Starts and stops at once, from another thread."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()
        self._stop = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def run_on(self, listener: socket.socket) -> None:
        asyncio.run(self.serve(sockets=[listener]))

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.ready.set()
        while not self._stop.is_set():
            await self.on_tick(0)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), 1.0)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0.002)  # the transports close in the loop's next rounds

    def stop(self) -> None:
        self.should_exit = self.force_exit = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)


@contextmanager
def _running(sandbox: Sandbox) -> Iterator[str]:
    server = _QuickServer(_config(sandbox))
    # asyncio turns Nagle's algorithm off only where the socket says that it is TCP; with it, each call takes 40 ms.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run_on, args=[listener], name=f"sandbox-{sandbox.name}", daemon=True)
        thread.start()
        if not server.ready.wait(_START_SECONDS):
            raise RuntimeError(f"the {sandbox.name} sandbox did not start within {_START_SECONDS:.0f} s")
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.stop()
            thread.join(_START_SECONDS)


def _config(sandbox: Sandbox, **more: Any) -> uvicorn.Config:
    return uvicorn.Config(
        application(sandbox),
        log_level="critical",
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=1,
        **more,
    )
