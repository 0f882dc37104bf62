"""Connections to hosts that somebody outside named: to addresses that were checked, and ended at one instant."""

import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpcore

from syncsvc.model.errors import FetchError, InputError

Resolve = Callable[[str, int], Sequence[str]]  # every address of a host, for a port; raises OSError

CONNECT_SECONDS = 3.0  # for one address, where the host has several
_ADDRESSES = 4  # of one host that are tried
_NO_SUCH_NAME = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}
_TUNNELS = (ipaddress.IPv6Network("2002::/16"), ipaddress.IPv6Network("2001::/32"))  # RFC 3056, RFC 4380
_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: the last four bytes are an IPv4 address
_resolvers = ThreadPoolExecutor(8, thread_name_prefix="resolve")  # the system's resolver cannot be told to give up


def resolve(host: str, port: int) -> Sequence[str]:
    """As the system resolves names."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def is_public(address: str) -> bool:
    """Whether the address is anybody's on the internet, or stands for one that is.

    Tunnels (6to4, Teredo) are nobody's: they are out of use, and lead to an IPv4 address behind their gateway.
    """
    one = _meant(ipaddress.ip_address(address))
    if isinstance(one, ipaddress.IPv6Address) and (one.is_site_local or any(one in tunnel for tunnel in _TUNNELS)):
        return False
    return one.is_global and not (one.is_multicast or one.is_reserved)


def _meant(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Where packets end up: a translated address leads to the IPv4 address inside."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _TRANSLATED:
        return ipaddress.IPv4Address(address.packed[-4:])
    return address.ipv4_mapped or address


class Outbound(httpcore.NetworkBackend):
    """For one fetch. A name is resolved once for each connection, and that goes to an address that was checked.

    `hosts` may have any address; of every other host all addresses must be public. `deadline` is an instant of
    `time.monotonic()`: at it every wait ends, for a name, a connection, a handshake or the next byte.
    """

    def __init__(self, deadline: float, hosts: Collection[str], resolve: Resolve) -> None:
        self._deadline = deadline
        self._hosts = hosts
        self._resolve = resolve

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - the deadline counts
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Raises InputError for a host that is not public, FetchError where its name is not to be had now."""
        trouble: Exception = httpcore.ConnectError("no address")
        for address in self._checked(host, port)[:_ADDRESSES]:
            patience = min(CONNECT_SECONDS, _left(self._deadline))
            try:
                stream = httpcore.SyncBackend().connect_tcp(address, port, patience, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                trouble = error
            else:
                return _Until(stream, self._deadline)
        raise trouble

    def _checked(self, host: str, port: int) -> Sequence[str]:
        addresses = self._resolved(host, port)
        if host.rstrip(".") not in self._hosts and not (addresses and all(map(is_public, addresses))):
            # The same words for a name that does not exist: they show nobody what there is inside.
            words = f"the photo's host {host} has no public address; an operator may name it in [intake] photo_hosts"
            raise InputError(words, field="photo")
        return addresses

    def _resolved(self, host: str, port: int) -> Sequence[str]:
        asked = _resolvers.submit(self._resolve, host, port)
        try:
            return list(dict.fromkeys(asked.result(_left(self._deadline))))
        except socket.gaierror as error:
            if error.errno in _NO_SUCH_NAME:
                return []
            raise FetchError(f"the name of the photo's host {host} cannot be resolved just now") from error
        except UnicodeError:  # labels that no name can have
            return []
        except TimeoutError as error:
            asked.cancel()
            raise httpcore.ConnectTimeout from error


class _Until(httpcore.NetworkStream):
    """A stream on which no wait outlasts the deadline, however the other side drips."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        return self._stream.read(max_bytes, _left(self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        self._stream.write(buffer, _left(self._deadline))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        return _Until(self._stream.start_tls(ssl_context, server_hostname, _left(self._deadline)), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout
    return left
