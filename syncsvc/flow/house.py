"""What the corridor walks through: the table, the libraries on their shelves, the gatekeeper and the clock."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from syncsvc.flow.holder import this_process
from syncsvc.flow.signing import Signer
from syncsvc.flow.together import Together
from syncsvc.library.base import FaceLibrary
from syncsvc.model.erasures import Erasing
from syncsvc.model.errors import NotFoundError
from syncsvc.model.guard import Limits
from syncsvc.model.listings import Caretaking
from syncsvc.model.people import LibraryName
from syncsvc.model.permits import Limiter
from syncsvc.model.retention import Rule, Terms
from syncsvc.model.situations import SAFE, Reactions
from syncsvc.store import Store

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Shelf:
    """One configured library, and what we may do there.

    `policy` is observe, upsert-only or sync; `owned` says that everything in it is ours; `allowance` is how
    many errands may be rung or under way at once, about a second's worth of the library's pace. `reactions` say what
    is done about each situation.
    """

    name: LibraryName
    library: FaceLibrary[Any]
    policy: str
    owned: bool
    allowance: int
    reactions: Reactions = field(default_factory=lambda: SAFE)


@dataclass(frozen=True, slots=True)
class House:
    """One per process. At `recording`, `claims` and `settling` the process' threads share their transactions.

    `limits` are the removal guard's; None: nothing is guarded, for tools that remove nobody.
    """

    store: Store
    shelves: Mapping[LibraryName, Shelf]
    limiter: Limiter
    clock: Clock
    callbacks: frozenset[str] = frozenset()  # who is told what becomes of changes
    limits: Limits | None = None
    caretaking: Caretaking = field(default_factory=Caretaking)
    erasing: Erasing = field(default_factory=Erasing)
    signer: Signer | None = None  # None: receipts wait for a key
    retention: Mapping[str, Rule] = field(default_factory=dict)  # by source
    holder: str = field(default_factory=this_process)
    recording: Together[Any, Any] = field(default_factory=partial(Together, clerks=2))
    claims: Together[Any, Any] = field(default_factory=Together)
    settling: Together[Any, Any] = field(default_factory=Together)

    @property
    def terms(self) -> Terms:
        """On which people leave."""
        return Terms(self.limits, self.retention)

    def shelf(self, name: LibraryName) -> Shelf:
        """Raises NotFoundError for a library that is not configured."""
        found = self.shelves.get(name)
        if found is None:
            configured = ", ".join(sorted(self.shelves)) or "none"
            raise NotFoundError(f"no library is called {name!r}; configured are: {configured}")
        return found

    def room(self) -> dict[LibraryName, int]:
        """How many errands each library may have rung or under way at once."""
        return {shelf.name: shelf.allowance for shelf in self.shelves.values()}
