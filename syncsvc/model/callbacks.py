"""What we tell others of changes, and how it was taken."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to be told to every callback. `content` is JSON-ready: ids and reasons, never a name or a photo."""

    type: str
    content: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Letter:
    """A notice on its way to one callback. `id` and `body` are the same at every try; `attempts` were made before."""

    id: str
    type: str
    body: str = field(repr=False)
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Accepted:
    """The address has it."""


@dataclass(frozen=True, slots=True)
class NotNow:
    """It is to be sent again. `wait` is how many seconds the address asked for, None where it did not say."""

    detail: str
    wait: float | None = None


@dataclass(frozen=True, slots=True)
class Unwanted:
    """The address wants no message any more."""

    detail: str


Answer = Accepted | NotNow | Unwanted
