"""Practice rooms for the demo: a process of their own, and a client of their control API.

`python -m syncsvc.cli.demo.rooms VENDOR=PORT ...` serves until SIGTERM.
"""

import sys
import time
from collections.abc import Mapping
from typing import Any

import httpx

from syncsvc.cli.demo.children import Child, ChildError, end_with_parent


class Room:
    """One vendor's practice room, seen from outside."""

    def __init__(self, vendor: str, port: int) -> None:
        self.vendor, self.url = vendor, f"http://127.0.0.1:{port}"
        self._client = httpx.Client(base_url=f"{self.url}/_control", timeout=20.0, trust_env=False)

    def wait(self, process: Child, *, seconds: float) -> None:
        """Return when it answers. Raises ChildError where its process ended, or after so many seconds."""
        until = time.monotonic() + seconds
        while True:
            process.check()
            try:
                self.calls()
            except httpx.TransportError as error:
                if time.monotonic() > until:
                    raise ChildError(f"the {self.vendor} practice room did not start in {seconds:.0f} s") from error
                time.sleep(0.1)
            else:
                return

    def set_latency(self, seconds: float) -> None:
        self._client.post("/latency", json={"seconds": seconds, "jitter": seconds / 2}).raise_for_status()

    def fault(self, fault: Mapping[str, Any]) -> None:
        self._client.post("/faults", json=dict(fault)).raise_for_status()

    def plant(self, person_key: str) -> None:
        """Put in a face that no client of the room has sent."""
        self._client.post("/plant", json={"person_key": person_key}).raise_for_status()

    def calls(self) -> dict[str, Any]:
        """How many calls, of what, and how they went."""
        return self._get("/calls", last="0")

    def world(self) -> dict[str, Any]:
        """Everybody whom the room knows, with their faces."""
        return self._get("/world")

    def close(self) -> None:
        self._client.close()

    def _get(self, path: str, **asked: str) -> dict[str, Any]:
        answer = self._client.get(path, params=asked)
        answer.raise_for_status()
        told: dict[str, Any] = answer.json()
        return told


def serve(words: list[str]) -> None:
    """Serve `vendor=port` each, with the documented limits."""
    end_with_parent()
    from syncsvc.sandbox.serve import serve_forever  # noqa: PLC0415 - the demo itself needs no web server

    serve_forever({vendor: int(port) for vendor, _, port in (word.partition("=") for word in words)})


if __name__ == "__main__":
    serve(sys.argv[1:])
