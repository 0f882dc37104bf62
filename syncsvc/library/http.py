"""The one place from which a vendor is called: permit, send, read, and what each silence means."""

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Self, TypeVar

import httpx

from syncsvc.model.errors import LibraryError, NoPermitError, ThrottledError, UnavailableError, UncertainError
from syncsvc.model.permits import Account, Limiter

T = TypeVar("T")

CONNECT_TIMEOUT = 3.0
PATIENCE = 1.0  # a worker's thread never waits longer than this for a permit
LARGEST_ANSWER = 16 * 1024 * 1024  # bytes; a page of a thousand faces has less than one of them in a hundred
LEAST_LEFT = 0.5  # seconds for a body whose head came at the last moment: it is there already, nearly always
DEFAULT_RETRY_AFTER = 2.0  # where a vendor says "slow down" without saying for how long
_NEVER_LEFT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.ProxyError)


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a vendor as the attempt log keeps it; no address, no body. `waited`: seconds for a permit."""

    operation: str
    outcome: str
    seconds: float
    request_id: str | None = None
    waited: float = 0.0


@dataclass(frozen=True, slots=True)
class Door:
    """A vendor's door, for one errand: whose account, how long, and what was said so far.

    `timeout` bounds one call in seconds, from its sending to the answer's last byte. `deadline` is an instant of
    `time.monotonic()`: no call starts that might outlast it, because the errand's lease could then be somebody else's.
    """

    client: httpx.Client
    base_url: str
    account: Account
    limiter: Limiter
    timeout: float = 10.0
    deadline: float | None = None
    journal: list[Call] = field(default_factory=list)

    def for_errand(self, deadline: float | None) -> Self:
        """The same door with a fresh journal."""
        return replace(self, deadline=deadline, journal=[])

    def has_time_for(self, calls: int) -> bool:
        """Whether so many calls, one after the other, end before `deadline` however slow they are."""
        return self.deadline is None or time.monotonic() + calls * (self.timeout + PATIENCE) <= self.deadline

    def call(  # noqa: C901, PLR0912  # one try with one way out for each thing that can happen to a request
        self,
        operation: str,
        build: Callable[[], httpx.Request],
        read: Callable[[httpx.Response], T],
        *,
        changes: bool,
        adds: bool = False,
        request_id: Callable[[httpx.Response], str | None] = lambda response: response.headers.get("X-Request-Id"),
    ) -> T:
        """Send what `build` makes and return what `read` makes of the answer.

        `operation` is the class the vendor counts by. `build` runs when the permit is there, so a signature
        is never stale. `read` raises our errors for the vendor's faults, and ValueError, KeyError, TypeError
        or AttributeError for an answer that is not in its documented shape.

        `changes` says that the call may alter the library: then silence after the request has left and an
        unreadable answer are UncertainError, otherwise UnavailableError. Raises NoPermitError before sending.
        `adds` says that it may make a face: then the vendor's own trouble is UncertainError too, because it may
        have struck after the face was made, and a look is cheaper than a face that nobody knows of.
        """
        if not self.has_time_for(1):
            raise NoPermitError(0.0, "the lease is nearly over")
        silence = UncertainError if changes else UnavailableError
        response: httpx.Response | None = None
        asked = started = time.monotonic()
        outcome = "ok"
        try:
            with self.limiter.permit(self.account, operation, patience=PATIENCE):
                started = time.monotonic()
                response = self._send(build(), started)
            return read(response)
        except NoPermitError:
            outcome = "no_permit"
            raise
        except _NEVER_LEFT as error:
            outcome = "unreachable"
            raise UnavailableError("the library cannot be reached", code=type(error).__name__) from error
        except httpx.TransportError as error:
            outcome = "silence"
            raise silence("the library did not answer", code=type(error).__name__) from error
        except ThrottledError as error:
            outcome = "throttled"
            self.limiter.close(self.account, operation, error.retry_after or DEFAULT_RETRY_AFTER)
            raise
        except UncertainError as error:
            outcome = error.code or "uncertain"
            if changes:
                raise
            raise _as(UnavailableError, error) from error
        except UnavailableError as error:
            outcome = error.code or "unavailable"
            if adds and error.perhaps_done:
                raise _as(UncertainError, error) from error
            raise
        except LibraryError as error:
            outcome = error.code or type(error).__name__
            raise
        except (ValueError, KeyError, TypeError, AttributeError, httpx.DecodingError) as error:
            outcome = "garbage"
            status = response.status_code if response is not None else 0
            words = f"the library's answer cannot be read (HTTP {status})"
            raise silence(words, code="garbage", about_person=True) from error
        finally:
            if outcome != "no_permit":
                told = request_id(response) if response is not None else None
                self.journal.append(Call(operation, outcome, time.monotonic() - started, told, started - asked))

    def _send(self, request: httpx.Request, started: float) -> httpx.Response:
        """The whole answer. A body that drips, or does not end, is the silence of a library that does not answer.

        httpx's timeouts bound each read and not all of them, so a body could outlast the lease. Each read of it
        may take half of the time that is left, and none starts in the second half.
        """
        response = self.client.send(request, stream=True)
        with contextlib.closing(response):
            left = max(LEAST_LEFT, started + self.timeout - time.monotonic()) / 2
            last = time.monotonic() + left
            if "timeout" in request.extensions:
                request.extensions["timeout"]["read"] = left  # httpcore looks when it begins to read the body
            body = bytearray()
            for piece in response.iter_bytes():
                body += piece
                if len(body) > LARGEST_ANSWER:
                    raise httpx.RemoteProtocolError("the answer does not end", request=request)
                if time.monotonic() > last:
                    raise httpx.ReadTimeout("the answer drips", request=request)
        headers = [(name, value) for name, value in response.headers.multi_items() if name != "content-encoding"]
        return httpx.Response(response.status_code, headers=headers, content=bytes(body), request=request)


def _as(kind: type[LibraryError], error: LibraryError) -> LibraryError:
    return kind(str(error), code=error.code, request_id=error.request_id, about_person=error.about_person)


def make_client(timeout: float) -> httpx.Client:
    """A client for one library: no redirects, no proxies or .netrc from the environment, connections kept."""
    soon = min(CONNECT_TIMEOUT, timeout)
    return httpx.Client(
        timeout=httpx.Timeout(timeout, connect=soon, pool=soon),
        limits=httpx.Limits(max_connections=64, max_keepalive_connections=64, keepalive_expiry=30.0),
        follow_redirects=False,
        trust_env=False,
        headers={"User-Agent": "syncsvc"},
    )
