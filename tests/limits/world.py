"""A world whose time passes only while everybody in it sleeps, and a vendor that counts strictly."""

import heapq
import itertools
import random
import threading
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager

Worker = Callable[[], None]


class World:
    """Real threads, one running at a time: the one whose sleep ends first. Same seed, same story."""

    def __init__(self, seed: int = 0) -> None:
        self.now = 1_750_000_000.0
        self.random = random.Random(seed)
        self._agenda: list[tuple[float, int, threading.Semaphore]] = []
        self._order = itertools.count()
        self._over = threading.Semaphore(0)
        self._faults: list[BaseException] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        mine = self._book(seconds)
        self._next()
        mine.acquire()

    def run(self, *workers: Worker) -> None:
        """Lets the workers live until the last has returned; raises what any of them raised."""
        threads = [threading.Thread(target=self._live, args=(worker, self._book(0.0))) for worker in workers]
        for thread in threads:
            thread.start()
        self._next()
        self._over.acquire()
        for thread in threads:
            thread.join()
        if self._faults:
            raise self._faults[0]

    def _live(self, worker: Worker, turn: threading.Semaphore) -> None:
        turn.acquire()
        try:
            worker()
        except BaseException as fault:  # noqa: BLE001 - carried to the test's own thread
            self._faults.append(fault)
        finally:
            self._next()

    def _book(self, seconds: float) -> threading.Semaphore:
        turn = threading.Semaphore(0)
        heapq.heappush(self._agenda, (self.now + max(0.0, seconds), next(self._order), turn))
        return turn

    def _next(self) -> None:
        if not self._agenda:
            self._over.release()
            return
        self.now, _, turn = heapq.heappop(self._agenda)
        turn.release()


class StrictVendor:
    """Counts at arrival, in every sliding period, and refuses what is one too many or, if asked, too close."""

    def __init__(self, world: World, permits: int, period: float = 1.0, *, jitter: float = 0.0) -> None:
        self.world = world
        self.permits = permits
        self.period = period
        self.jitter = jitter
        self.distance = 0.0
        self.accepted: list[float] = []
        self.refused: list[float] = []
        self.busy = 0
        self.busiest = 0
        self._window: deque[float] = deque()

    def call(self, *, outward: float = 0.001, thinking: float = 0.003) -> bool:
        """One call: travels, is counted, is thought about, travels home."""
        self.world.sleep(outward + (self.world.random.expovariate(1 / self.jitter) if self.jitter else 0.0))
        accepted = self._count()
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        self.world.sleep(thinking)
        self.busy -= 1
        return accepted

    def _count(self) -> bool:
        now = self.world.now
        while self._window and self._window[0] <= now - self.period:
            self._window.popleft()
        last = self.accepted[-1] if self.accepted else 0.0
        if len(self._window) >= self.permits or now - last < self.distance:
            self.refused.append(now)
            return False
        self._window.append(now)
        self.accepted.append(now)
        return True

    def use(self, start: float, end: float) -> float:
        """Accepted calls of that stretch as a share of what the limit allows in it."""
        return sum(start <= at < end for at in self.accepted) / (self.permits * (end - start) / self.period)


def call_until(
    end: float, world: World, vendor: StrictVendor, permit: Callable[[], AbstractContextManager[None]]
) -> Worker:
    """A worker that always has something to do until `end`, and a little to do between its calls."""

    def work() -> None:
        while world.now < end:
            with permit():
                vendor.call()
            world.sleep(0.001 * world.random.random())

    return work
