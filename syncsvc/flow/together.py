"""Does for several threads in one go what each of them would have done alone."""

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

A = TypeVar("A")
B = TypeVar("B")


class _Slip(Generic[A, B]):
    """One item at the counter. `served` is free as soon as there is an answer, or an error."""

    __slots__ = ("answer", "error", "item", "served", "taken")

    def __init__(self, item: A) -> None:
        self.item = item
        self.taken = False
        self.answer: B | None = None
        self.error: BaseException | None = None
        self.served = threading.Lock()
        self.served.acquire()


class Together(Generic[A, B]):
    """A counter with few clerks: whoever comes to the front serves everybody who waits behind, at once.

    Alone, a thread is served immediately. In a crowd, one transaction carries many: that is what makes a
    database commit cheap. With a second clerk the next batch is written while the first one's commit is under way.
    All of a batch share its fate, so `work` must be whole or not at all.
    """

    def __init__(self, clerks: int = 1) -> None:
        self._front = threading.BoundedSemaphore(clerks)
        self._pinned = threading.Lock()
        self._waiting: list[_Slip[A, B]] = []

    def __call__(self, item: A, work: Callable[[Sequence[A]], Sequence[B]]) -> B:
        """The answer to `item`, from a call of `work` with it and whatever else waits; one answer for each."""
        slip: _Slip[A, B] = _Slip(item)
        with self._pinned:
            self._waiting.append(slip)
        with self._front:
            self._serve(self._batch(slip), work)
        slip.served.acquire()
        if slip.error is not None:
            raise slip.error
        return slip.answer  # type: ignore[return-value]  # served without an error: it has its answer

    def _batch(self, slip: _Slip[A, B]) -> list[_Slip[A, B]]:
        """Everybody who waits; nobody where another clerk has taken this one already."""
        with self._pinned:
            if slip.taken:
                return []
            batch, self._waiting = self._waiting, []
            for one in batch:
                one.taken = True
        return batch

    def _serve(self, batch: list[_Slip[A, B]], work: Callable[[Sequence[A]], Sequence[B]]) -> None:
        if not batch:
            return
        try:
            for slip, answer in zip(batch, work([slip.item for slip in batch]), strict=True):
                slip.answer = answer
        except BaseException as error:  # noqa: BLE001 - it is raised in every thread that waits for it
            for slip in batch:
                slip.error = error
        for slip in batch:
            slip.served.release()
