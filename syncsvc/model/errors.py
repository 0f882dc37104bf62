"""Everything that can go wrong, as one tree.

SyncsvcError
├── SettingsError            the configuration has mistakes, all of them listed
├── InputError               what we were given cannot be used; says why and what would be right
├── FetchError               what a URL leads to cannot be had just now; it may be later
├── NotFoundError            nobody by that id, no library by that name
├── UnsafePlanError          a plan would remove too much
└── ErrandError              an errand ended early; carries what is now held
    ├── NoPermitError(wait)      our own pace; nothing was sent
    └── LibraryError             a vendor said or did something
        ├── ThrottledError(retry_after)   slow down
        ├── UnavailableError              not now; nothing was changed
        ├── UncertainError                the request left, the answer is lost or unreadable
        ├── RejectedError                 never this photo, or never this request
        ├── MisconfiguredError            the library halts until the operator acts
        │   └── CredentialsError          who are you
        ├── GoneError                     what was named is not there
        └── ExistsError                   what was to be made is already there
"""

from typing import Self

from syncsvc.model.people import FaceId, Held, VendorFaceId
from syncsvc.model.situations import Finding


class SyncsvcError(Exception):
    """Base of all our errors. The message is fit for people and free of photos, names and credentials."""


class SettingsError(SyncsvcError):
    """Every mistake of a configuration at once: pairs of key and what would be right."""

    def __init__(self, mistakes: list[tuple[str, str]]) -> None:
        self.mistakes = mistakes
        lines = "\n".join(f"  {key}: {mend}" for key, mend in mistakes)
        count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        super().__init__(f"the configuration has {count}:\n{lines}")


class InputError(SyncsvcError):
    """What we were given cannot be used. `field` names the part of it, where there is one."""

    def __init__(self, message: str, *, field: str | None = None) -> None:
        self.field = field
        super().__init__(message)


class FetchError(SyncsvcError):
    """What a URL leads to cannot be had just now; the same request may succeed later."""


class NotFoundError(SyncsvcError):
    """There is no such person, face, library or change."""


class UnsafePlanError(SyncsvcError):
    """A plan would remove more than the guard allows; nothing was removed."""


class ErrandError(SyncsvcError):
    """An errand ended early.

    `held` is what the person is known to have in the library now, None where nothing of this errand was
    carried out; `findings` is what the answers so far were odd about. `FaceLibrary` fills in both.
    `removed` is for a vendor's file to set: the faces that a removal of several had taken out, or found
    absent, before it ended.
    """

    held: Held | None = None
    adding: bool = False  # it ended in an add or a swap, so a face may have been made that nobody told us of
    findings: tuple[Finding, ...] = ()
    removed: frozenset[VendorFaceId] = frozenset()

    def for_another(self) -> Self:
        """The same trouble, told of a person for whom nothing was carried out."""
        twin = type(self).__new__(type(self), *self.args)
        twin.__dict__.update(self.__dict__ | {"held": None, "findings": (), "removed": frozenset()})
        twin.__cause__ = self.__cause__
        return twin


class NoPermitError(ErrandError):
    """Our own limits say not yet. `wait` is in seconds; nothing was sent."""

    def __init__(self, wait: float, reason: str = "our own rate limit") -> None:
        self.wait = wait
        self.reason = reason
        super().__init__(f"{reason}: {wait:.3f} s to wait")


class LibraryError(ErrandError):
    """A vendor's library did not do what was asked.

    `code` is the vendor's own word (or our name for a transport fault), `face_id` the face it is about.
    `about_person`: this person may be the cause, so it is no sign that the library is out of order.
    """

    def __init__(
        self, message: str, *, code: str = "", request_id: str | None = None, about_person: bool = False
    ) -> None:
        self.code = code
        self.request_id = request_id
        self.about_person = about_person
        self.face_id: FaceId | None = None
        super().__init__(message)


class ThrottledError(LibraryError):
    """The vendor asked us to slow down. `retry_after` is in seconds, None where it did not say."""

    def __init__(
        self, message: str, *, code: str = "", request_id: str | None = None, retry_after: float | None = None
    ) -> None:
        self.retry_after = retry_after
        super().__init__(message, code=code, request_id=request_id)


class UnavailableError(LibraryError):
    """The vendor cannot do it now; what was asked has not been done.

    `perhaps_done`: the vendor does not say so, and a call that adds is doubtful after it (`Door.call`).
    """

    perhaps_done: bool = False


class UncertainError(LibraryError):
    """The request left us and it is not known whether it was carried out."""


class RejectedError(LibraryError):
    """The vendor will never take this; `face_id` names the face where one is to blame."""


class MisconfiguredError(LibraryError):
    """The library cannot work at all until its configuration is mended."""


class CredentialsError(MisconfiguredError):
    """The vendor does not accept who we are."""


class GoneError(LibraryError):
    """The person or face that was named is not in the library."""


class ExistsError(LibraryError):
    """The person or face that was to be made is already in the library."""
