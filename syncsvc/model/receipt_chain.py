"""The chain of receipts: what was taken out of it, put in or put elsewhere is seen from its numbers and hashes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from syncsvc.model.receipt_form import Envelope, ReceiptError


@dataclass(frozen=True, slots=True)
class Link:
    """What a receipt's place in the chain is made of."""

    number: int
    previous: str
    hash: str


@dataclass(frozen=True, slots=True)
class Stretch:
    """Receipts that follow each other without a gap, known by their two ends."""

    first: Link
    last: Link

    @property
    def count(self) -> int:
        return self.last.number - self.first.number + 1


def link(envelope: Envelope) -> Link:
    return Link(envelope.number, envelope.previous, envelope.hash)


def follow(stretch: Stretch | None, new: Link) -> Stretch:
    """The stretch with one receipt more. Raises ReceiptError where it is not the next one."""
    if stretch is None:
        return Stretch(new, new)
    _check_joint(stretch.last, new)
    return replace(stretch, last=new)


def join(stretches: Iterable[Stretch]) -> Stretch | None:
    """All of them as one, in whatever order they come; None for none. Raises ReceiptError where they are not one."""
    ordered = sorted(stretches, key=lambda one: one.first.number)
    if not ordered:
        return None
    whole = ordered[0]
    for one in ordered[1:]:
        _check_joint(whole.last, one.first)
        whole = Stretch(whole.first, one.last)
    return whole


def missing(numbers: Sequence[int]) -> str:
    """ "3", or "3 to 5"."""
    return str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"


def _check_joint(last: Link, new: Link) -> None:
    if new.number == last.number and new.hash != last.hash:
        raise ReceiptError(f"there are two different receipts with the number {new.number}: the chain was forked")
    if new.number <= last.number:
        raise ReceiptError(
            f"receipt {new.number} comes after receipt {last.number}: give each once, in the order of their numbers"
        )
    gap = range(last.number + 1, new.number)
    if gap:
        words = "is" if len(gap) == 1 else "are"
        raise ReceiptError(f"receipt {missing(gap)} {words} missing between {last.number} and {new.number}")
    if new.previous != last.hash:
        raise ReceiptError(
            f"receipt {new.number} does not follow receipt {last.number}: it names another hash as the one before it"
        )
