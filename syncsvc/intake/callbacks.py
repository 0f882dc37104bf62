"""The door's answer back: carries signed messages to those who asked to be told."""

import asyncio
import ssl
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from http import HTTPStatus

import httpx
from standardwebhooks import Webhook

from syncsvc.library.faults import retry_after
from syncsvc.model.callbacks import Accepted, Answer, Letter, NotNow, Unwanted

TIMEOUT = 10.0  # seconds for one message, from looking its address up to the answer's head


@dataclass(frozen=True, slots=True)
class Address:
    """One configured callback; `url` may hold what only its receiver should know, so it is never shown."""

    name: str
    url: str = field(repr=False)
    secret: str = field(repr=False)


class Courier:
    """Posts messages to the configured addresses. Shared by threads; `clock` is what signatures are dated by."""

    def __init__(
        self, addresses: Iterable[Address], clock: Callable[[], datetime], *, timeout: float = TIMEOUT
    ) -> None:
        self._addresses = {one.name: one for one in addresses}
        self._clock = clock
        self._timeout = timeout

    def post(self, name: str, letters: Sequence[Letter]) -> list[Answer]:
        """Send these to one address, all at once; an answer for each, in their order. Raises KeyError for a name
        that is not configured.

        The whole of it ends within the timeout: one that drips its answer is one that does not answer. Redirects are
        not followed, and proxies of the environment not used: what is sent goes where the configuration says.
        """
        return asyncio.run(self._post_all(self._addresses[name], letters))

    async def _post_all(self, address: Address, letters: Sequence[Letter]) -> list[Answer]:
        async with httpx.AsyncClient(
            verify=self._trusted, timeout=self._timeout, follow_redirects=False, trust_env=False
        ) as client:
            return await asyncio.gather(*(self._post(client, address, letter) for letter in letters))

    async def _post(self, client: httpx.AsyncClient, address: Address, letter: Letter) -> Answer:
        silence = NotNow(f"the address did not answer within {self._timeout:g} s")
        try:
            async with asyncio.timeout(self._timeout):  # httpx's own timeouts bound each read, not all of them
                request = client.stream(
                    "POST", address.url, content=letter.body.encode(), headers=self._headers(address, letter)
                )
                async with request as response:
                    return _answer(response)
        except (TimeoutError, httpx.TimeoutException):
            return silence
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return NotNow(f"the address cannot be reached ({type(error).__name__})")

    def _headers(self, address: Address, letter: Letter) -> dict[str, str]:
        """Standard Webhooks, "Webhook headers": the id is the message's, the time and the signature are this try's."""
        now = self._clock()
        return {
            "Content-Type": "application/json",
            "User-Agent": "syncsvc",
            "webhook-id": letter.id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(address.secret).sign(letter.id, now, letter.body),
        }

    @cached_property
    def _trusted(self) -> ssl.SSLContext:
        """The public authorities, and those that this machine trusts besides: a receiver is often an internal one."""
        trusted = httpx.create_ssl_context(trust_env=False)
        trusted.load_default_certs()
        return trusted


def _answer(response: httpx.Response) -> Answer:
    """What a status says (Standard Webhooks, "Delivery success and failure"); the body is of no interest."""
    status = response.status_code
    if response.is_success:
        return Accepted()
    if status == HTTPStatus.GONE:
        return Unwanted("the address answered that it wants no messages any more (HTTP 410)")
    if response.is_redirect:
        return NotNow(f"the address answered with a redirect (HTTP {status}), which is not followed; mend url")
    return NotNow(f"the address answered HTTP {status}", retry_after(response))
