"""Does for several threads in one go what each of them would have done alone."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

A = TypeVar("A")
B = TypeVar("B")


@dataclass(slots=True)
class _Slip(Generic[A, B]):
    item: A
    done: bool = False
    answer: B | None = None
    error: BaseException | None = None


class Together(Generic[A, B]):
    """A counter with one clerk: whoever comes to the front serves everybody who waits behind, at once.

    Alone, a thread is served immediately. In a crowd, one transaction carries many: that is what makes a
    database commit cheap. All of a batch share its fate, so `work` must be whole or not at all.
    """

    def __init__(self) -> None:
        self._front = threading.Lock()
        self._pinned = threading.Lock()
        self._waiting: list[_Slip[A, B]] = []

    def __call__(self, item: A, work: Callable[[Sequence[A]], Sequence[B]]) -> B:
        """The answer to `item`, from a call of `work` with it and whatever else waits; one answer for each."""
        slip: _Slip[A, B] = _Slip(item)
        with self._pinned:
            self._waiting.append(slip)
        with self._front:
            if not slip.done:
                with self._pinned:
                    batch, self._waiting = self._waiting, []
                self._serve(batch, work)
        if slip.error is not None:
            raise slip.error
        return slip.answer  # type: ignore[return-value]  # done without an error: it has its answer

    def _serve(self, batch: list[_Slip[A, B]], work: Callable[[Sequence[A]], Sequence[B]]) -> None:
        try:
            for slip, answer in zip(batch, work([slip.item for slip in batch]), strict=True):
                slip.answer = answer
        except BaseException as error:  # noqa: BLE001 - it is raised in every thread that waits for it
            for slip in batch:
                slip.error = error
        for slip in batch:
            slip.done = True
