"""What every sandbox does the same way: count, fail on request, hold faces, remember calls."""

import asyncio
import random
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar

from starlette.types import Receive, Scope, Send

from syncsvc.sandbox.faults import Fault, Kind, Script, fault_of
from syncsvc.sandbox.mischief import Listing, Mischief, mischief_of, total, window
from syncsvc.sandbox.windows import Limits, Windows
from syncsvc.sandbox.wire import Answer, Call, Logged, cut_off, read_body, send_whole
from syncsvc.sandbox.world import StoredFace, World, digest_of

__all__ = ["Answer", "Call", "Limits", "Sandbox", "StoredFace"]

T = TypeVar("T")

LOG_LENGTH = 100_000
_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Sandbox(ABC):
    """One vendor's practice room. A vendor's file subclasses this as `Sandbox` and supplies what is abstract.

    Python methods and the control API do the same things; both may be used while it is serving. `clock` is
    in unix seconds. `switches` choose between behaviours that the vendor has not documented.
    """

    name: ClassVar[str]
    default_port: ClassVar[int]
    operations: ClassVar[tuple[str, ...]]  # the same names as the adapter's
    documented_limits: ClassVar[Limits] = Limits()
    default_switches: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    practice_options: ClassVar[Mapping[str, str]] = MappingProxyType({})  # what a library's options are, to be let in

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        limits: Limits | None = None,
        switches: Mapping[str, Any] = _NOTHING,
        latency: float = 0.0,
        jitter: float = 0.0,
    ) -> None:
        self.clock = clock
        self.lock = threading.RLock()
        self.world = World(clock)
        self.script = Script(clock)
        self.mischief = Mischief()
        self._frozen: World | None = None
        self.windows = Windows(limits if limits is not None else self.documented_limits)
        self.log: deque[Logged] = deque(maxlen=LOG_LENGTH)
        self.latency, self.jitter = latency, jitter
        self.switches: dict[str, Any] = dict(self.default_switches)
        self.set_switches(switches)
        self._tally: Counter[tuple[str, str]] = Counter()

    # --- what a vendor's file supplies ------------------------------------------------------------------------

    @abstractmethod
    def operation(self, call: Call) -> str:
        """The operation class this request counts as; any other word for an unknown route."""

    @abstractmethod
    def handle(self, operation: str, call: Call) -> Answer:
        """Carry the call out. The lock is held; never blocks. Honour `call.half` where a call does many things."""

    @abstractmethod
    def throttled(self, operation: str) -> Answer:
        """The vendor's "slow down"."""

    @abstractmethod
    def unavailable(self, operation: str) -> Answer:
        """The vendor's own retryable error."""

    @abstractmethod
    def unknown_code(self, operation: str) -> Answer:
        """The vendor's error shape with a code that is in no table."""

    @abstractmethod
    def new_ids(self) -> tuple[str, str | None]:
        """A fresh face id, and image id where the vendor has both."""

    def account(self, call: Call) -> str:  # noqa: ARG002
        """Whose limits this call counts against: a key id, "" where there are no credentials."""
        return ""

    def authenticate(self, operation: str, call: Call) -> Answer | None:  # noqa: ARG002
        """None to let the call in, else how it is turned away."""
        return None

    async def prepare(self, operation: str, call: Call) -> None:  # noqa: B027
        """For vendors that fetch photos: do the waiting here, into `call.fetched`; the lock is not held."""

    def plant_record(self, person_key: str) -> None:  # noqa: B027
        """Make what a planted face's person needs to exist; for vendors that keep people's own records."""

    def garbage(self, operation: str) -> Answer:  # noqa: ARG002
        """Status 200 and half a body."""
        return Answer(200, b'{"request_id": "1', {"Content-Type": "application/json"}, "garbage")

    def outage(self, operation: str) -> Answer:  # noqa: ARG002
        """What stands before the vendor, when the vendor is dead."""
        body = b"<html><head><title>503 Service Temporarily Unavailable</title></head></html>"
        return Answer(503, body, {"Content-Type": "text/html"}, "outage")

    # --- for vendors' files -----------------------------------------------------------------------------------

    @staticmethod
    def first_half(call: Call, items: Sequence[T]) -> tuple[Sequence[T], Sequence[T]]:
        """(what to do, what to leave undone): everything, unless a `partial` fault hit this call."""
        if call.half is None:
            return items, items[:0]
        half = (len(items) + 1) // 2 if len(items) > 1 else 0
        return items[:half], items[half:]

    @property
    def listed(self) -> World:
        """The world as listings show it."""
        match self.mischief.listing:
            case Listing.EMPTY:
                return World(self.clock)
            case Listing.STALE if self._frozen is not None:
                return self._frozen
        return self.world

    def page_of(self, items: Sequence[T], start: int, size: int) -> Sequence[T]:
        """One page of a listing, as honest as the sandbox is."""
        return window(self.mischief.listing, items, start, size)

    def total_of(self, honest: int, start: int = 0, size: int = 0) -> int:
        """The number that is told for this many; beside a page, if the page's place is given."""
        return total(self.mischief, honest, start, size)

    def before_page(self, start: int, size: int) -> None:
        """Where the listing is endless: see to it that this page is full and not the last. One face is one person's."""
        if self.mischief.listing is Listing.ENDLESS:
            for number in range(len(self.world.faces), start + 2 * size):
                self.plant(f"endless-{number}")

    # --- the script, from Python; the control API calls the same ----------------------------------------------

    def fault(self, kind: Kind | str, operation: str | None = None, **more: Any) -> None:
        """Let something go wrong; see `faults.Fault` for the rest. Without times and seconds: until cleared."""
        self.write_fault({"kind": kind, "operation": operation, **more})

    def write_fault(self, told: Mapping[str, Any]) -> Fault:
        """The same from JSON."""
        fault = fault_of(told)
        if fault.operation is not None and fault.operation not in self.operations:
            raise ValueError(f"operation must be one of {', '.join(self.operations)}")
        with self.lock:
            self.script.write(fault)
        return fault

    def clear_faults(self) -> None:
        with self.lock:
            self.script.clear()

    def misbehave(self, **told: Any) -> None:
        """From now on; see `mischief.Mischief` for what there is. Without arguments: honest again."""
        with self.lock:
            self.mischief = mischief_of(told)
            self._frozen = self.world.copy() if self.mischief.listing is Listing.STALE else None

    def bring_back(self) -> list[str]:
        """A stale replica takes over: whatever was deleted since the last time is there again. Their ids."""
        return self._bring_back(self.clock())

    def set_limits(self, limits: Limits) -> None:
        with self.lock:
            self.windows.limits = limits
            self.windows.forget()

    def set_switches(self, switches: Mapping[str, Any]) -> None:
        if unknown := set(switches) - set(self.default_switches):
            names = ", ".join(self.default_switches) or "none"
            raise ValueError(f"no switch {', '.join(sorted(unknown))}; this sandbox has {names}")
        self.switches.update(switches)

    def plant(self, person_key: str, *, label: str | None = None, photo: bytes = b"planted") -> StoredFace:
        """A face that no client of ours put there."""
        with self.lock:
            self.plant_record(person_key)
            face_id, image_id = self.new_ids()
            face = StoredFace(face_id, person_key, digest_of(photo), image_id, label, planted=True)
            self.world.add(face)
            return face

    def remove(self, vendor_face_id: str) -> bool:
        """A face vanishes behind everybody's back."""
        with self.lock:
            return self.world.remove(vendor_face_id) is not None

    def reset(self) -> None:
        """As new: nobody there, nothing scripted, nothing counted. Limits, latency and switches stay."""
        with self.lock:
            self.world = World(self.clock)
            self.script = Script(self.clock)
            self.mischief, self._frozen = Mischief(), None
            self.windows.forget()
            self.log.clear()
            self._tally.clear()

    def faces_of(self, person_key: str) -> list[StoredFace]:
        with self.lock:
            return self.world.of(person_key)

    def digests_of(self, person_key: str) -> list[str]:
        """What the person's faces were made from, in the vendor's order."""
        return [face.digest for face in self.faces_of(person_key)]

    def calls(self, last: int = 100) -> dict[str, Any]:
        """How many calls, of what, how they went, and the last of them one by one."""
        with self.lock:
            by_operation: Counter[str] = Counter()
            outcomes: Counter[str] = Counter()
            for (operation, outcome), count in self._tally.items():
                by_operation[operation] += count
                outcomes[outcome] += count
            return {
                "total": by_operation.total(),
                "by_operation": dict(by_operation),
                "outcomes": dict(outcomes),
                "throttled": {"own": outcomes["throttled_own"], "scripted": outcomes[Kind.THROTTLE]},
                "faults_fired": dict(self.script.fired),
                "last": [asdict(one) for one in list(self.log)[-last:]] if last else [],
            }

    # --- serving one request ----------------------------------------------------------------------------------

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The vendor's side of the ASGI application."""
        call = Call(
            method=scope["method"],
            path=scope["path"],
            raw_path=scope.get("raw_path", scope["path"].encode()).decode("latin-1"),
            query=scope["query_string"].decode("latin-1"),
            headers={name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]},
            body=b"",
            at=self.clock(),
        )
        operation = self.operation(call)
        account = self.account(call)
        with self.lock:
            let_in = self.windows.arrive(account, operation, call.at)
            fault = self.script.next(operation) if let_in else None
        try:
            call.body = await read_body(receive)
            if not let_in:
                await self._send(send, call, operation, self.throttled(operation), "throttled_own")
                return
            await self._serve(call, operation, fault, receive, send)
        finally:
            if let_in:
                with self.lock:
                    self.windows.leave(account)

    async def _serve(self, call: Call, operation: str, fault: Fault | None, receive: Receive, send: Send) -> None:
        if self.latency or self.jitter:
            await asyncio.sleep(max(0.0, self.latency + random.uniform(-self.jitter, self.jitter)))  # noqa: S311
        instead = self._instead(operation, fault)
        if fault is not None and instead is not None:
            await self._send(send, call, operation, instead, fault.kind)
            return
        answer = self.authenticate(operation, call)
        if answer is None:
            answer = await self._carry_out(operation, call, fault)
        if fault is None:
            await self._send(send, call, operation, answer, answer.word)
            return
        await self._twisted(call, operation, fault, answer, receive, send)

    def _instead(self, operation: str, fault: Fault | None) -> Answer | None:
        """The answer of a call that is not carried out."""
        match fault:
            case Fault(kind=Kind.UNAVAILABLE):
                return self.unavailable(operation)
            case Fault(kind=Kind.OUTAGE):
                return self.outage(operation)
            case Fault(kind=Kind.THROTTLE):
                return self.throttled(operation)
            case Fault(kind=Kind.UNKNOWN_CODE):
                return self.unknown_code(operation)
            case Fault(kind=Kind.GARBAGE, carried_out=False):
                return self.garbage(operation)
        return None

    async def _carry_out(self, operation: str, call: Call, fault: Fault | None) -> Answer:
        if fault is not None and fault.kind is Kind.TIMEOUT and not fault.carried_out:
            return self.outage(operation)
        if fault is not None and fault.kind is Kind.PARTIAL:
            call.half = "honest" if fault.honest else "silent"
        await self.prepare(operation, call)
        with self.lock:
            if self.mischief.comes_back_after is not None:
                self._bring_back(self.clock() - self.mischief.comes_back_after)
            before = self.world.snapshot() if fault is not None and fault.kind is Kind.LYING_OK else None
            answer = self.handle(operation, call)
            if before is not None:
                self.world.restore(before)
        return answer

    def _bring_back(self, until: float) -> list[str]:
        with self.lock:
            faces = self.world.take_gone(until)
            for face in faces:
                self.plant_record(face.person_key)
                self.world.add(face)
            return [face.vendor_face_id for face in faces]

    async def _twisted(  # noqa: PLR0917
        self, call: Call, operation: str, fault: Fault, answer: Answer, receive: Receive, send: Send
    ) -> None:
        match fault.kind:
            case Kind.LOST_ANSWER:
                self._note(call, operation, fault.kind, 0)
                await cut_off(send)
            case Kind.TIMEOUT:
                with suppress(TimeoutError):
                    await asyncio.wait_for(receive(), fault.wait)  # ends early when the client has hung up
                    self._note(call, operation, fault.kind, 0)
                    return
                await self._send(send, call, operation, answer, fault.kind)
            case Kind.GARBAGE:
                await self._send(send, call, operation, self.garbage(operation), fault.kind)
            case _:
                await self._send(send, call, operation, answer, fault.kind)

    async def _send(self, send: Send, call: Call, operation: str, answer: Answer, outcome: str) -> None:
        self._note(call, operation, outcome, answer.status)
        await send_whole(send, answer)

    def _note(self, call: Call, operation: str, outcome: str, status: int) -> None:
        with self.lock:
            self.log.append(Logged(call.at, operation, str(outcome), status))
            self._tally[operation, str(outcome)] += 1
