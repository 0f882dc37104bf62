"""Checks files of receipts, one receipt to a line, against public keys alone: no database, and one line in memory."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from syncsvc.flow.signing import PublicKey, check_signature
from syncsvc.model.errors import InputError
from syncsvc.model.receipt_chain import Stretch, follow, join, link
from syncsvc.model.receipt_form import LONGEST, Envelope, ReceiptError, is_hash, parse

Watch = Callable[[Envelope], object]


@dataclass(frozen=True, slots=True)
class Checked:
    """Receipts `first` to `last`, without a gap, all signed by one of `keys`; `head` is the newest one's hash.

    `published` says whether the hash that the reader knew from elsewhere is among them; None: they knew none.
    """

    first: int
    last: int
    head: str
    keys: tuple[str, ...]
    published: bool | None = None

    @property
    def count(self) -> int:
        return self.last - self.first + 1


def check_files(
    files: Sequence[Path], trusted: Collection[PublicKey], *, head: str | None = None, watch: Watch | None = None
) -> Checked:
    """Each receipt's form, hash and signature, and the chain between all of them, whatever order the files come in.

    `head`: a hash that was published; it must be among them. `watch` sees each receipt whose signature is right.
    Raises ReceiptError with the file, the line and what is wrong; InputError for a file that cannot be read.
    """
    keys: dict[str, None] = {}
    heads: set[str] = set()

    def see(envelope: Envelope) -> None:
        keys[check_signature(envelope, trusted).base64] = None
        if envelope.hash == head:
            heads.add(head)
        if watch is not None:
            watch(envelope)

    if head is not None and not is_hash(head):
        raise InputError("the head must be the 64 hexadecimal digits of a receipt's hash")
    whole = join([_stretch(file, see) for file in files])
    if whole is None:
        raise InputError("there is no file to check; name one")
    if head is not None and not heads:
        raise ReceiptError(
            f"the published head {head} is not among receipts {whole.first.number} to {whole.last.number}: receipts"
            " at the end are missing, or the chain was written anew"
        )
    published = None if head is None else True
    return Checked(whole.first.number, whole.last.number, whole.last.hash, tuple(keys), published)


def _stretch(file: Path, see: Watch) -> Stretch:
    stretch: Stretch | None = None
    try:
        with file.open("rb") as lines:
            for number, line in _lines(lines):
                try:
                    envelope = parse(line)
                    see(envelope)
                    stretch = follow(stretch, link(envelope))
                except ReceiptError as error:
                    raise ReceiptError(f"{file}, line {number}: {error}") from None
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror})") from None
    if stretch is None:
        raise ReceiptError(f"{file} is empty: there is no receipt in it")
    return stretch


def _lines(lines: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Numbered lines; one that is too long comes cut off, and is too long still."""
    number = 0
    while line := lines.readline(LONGEST + 2):
        number += 1
        yield number, line
