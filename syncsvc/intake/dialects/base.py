"""What a dialect is: it checks who speaks and translates what is said; nothing else."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

from syncsvc.library.http import Door
from syncsvc.model.changes import Fetched, Told
from syncsvc.model.errors import SyncsvcError
from syncsvc.model.people import Photo
from syncsvc.model.permits import Rate


class SignatureError(SyncsvcError):
    """Nobody we know says this, or says it now: the signature is missing, wrong or too old."""


class DialectOptions(BaseModel):
    """Base of a dialect's own options: frozen, and an unknown key is a mistake. Secrets are SecretStr."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Photos(Protocol):
    """Where a dialect gets photos from; every picture comes out checked, upright and without metadata."""

    def read(self, content: bytes) -> Photo:
        """A picture that came with the message. Raises InputError."""
        ...

    def fetch(self, url: str) -> Photo:
        """A picture behind a URL that somebody outside named. Raises InputError, or FetchError for "not now"."""
        ...


@dataclass(frozen=True, slots=True)
class Message:
    """A request at the door as it came: header names in lower case, the query's last value of each name."""

    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Heard:
    """What a message says, once we know who speaks.

    `told` are changes with all their data. `employees` are people, by the HR system's own id, of whom it says only
    that something changed: an invalidation, never data. `answer` is what the sender waits for, where it waits for
    more than "heard" (a challenge); such a message may say nothing else. `id` is the message's own: the same id
    again says nothing new.
    """

    id: str
    told: tuple[Told, ...] = ()
    employees: tuple[str, ...] = ()
    answer: Mapping[str, Any] | None = field(default=None, repr=False)


O = TypeVar("O", bound=DialectOptions)  # noqa: E741


class Dialect(ABC, Generic[O]):
    """One configured sender. A dialect's file subclasses this as `Speaker`.

    Instances are shared by threads. `name` is the webhook's own, and the source of all it tells.
    """

    Options: ClassVar[type[DialectOptions]]
    rates: ClassVar[tuple[Rate, ...]] = ()  # what the HR system's API allows, where employees are fetched from it

    def __init__(self, name: str, options: O) -> None:
        self.name = name
        self.options = options

    @abstractmethod
    def hear(self, message: Message, photos: Photos, now: datetime) -> Heard:
        """Who speaks, and what they say. `now` is an aware instant.

        Raises SignatureError before anything else is looked at, and InputError with the field for what is not in
        its documented form.
        """

    def message_id(self, message: Message) -> str | None:  # noqa: ARG002
        """The message's id where it stands outside the body. Whether to believe it, only `hear` can say."""
        return None

    def api_url(self) -> str | None:
        """Where employees are fetched from; None for a sender that tells everything itself."""
        return None

    def credential_id(self) -> str:
        """What tells two accounts at one host apart: a key id, never a secret."""
        return self.name

    def fetch(self, employee: str, door: Door, photos: Photos, now: datetime) -> Fetched:
        """What the HR system says of an employee now, through its API.

        Nobody there any more is a departure, if it is certain that the HR system itself says so. Each Told's
        `source_id` is unique to this reading. Raises the errors of `syncsvc.model.errors` as `Door.call` does, and
        InputError for an answer that makes no sense.
        """
        raise NotImplementedError(f"{type(self).__module__} tells of employees and has no fetch")
