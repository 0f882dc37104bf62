"""Which addresses may be called, and which only over TLS."""

import ipaddress
from urllib.parse import SplitResult, urlsplit

_PRIVATE_ENDINGS = (".local", ".localhost", ".internal", ".lan", ".home.arpa", ".test")

DATABASES = ("postgresql", "postgresql+psycopg", "postgres", "sqlite", "sqlite+pysqlite")
REDISES = ("redis", "rediss", "unix")
BROKERS = (*REDISES, "redis+socket", "amqp", "amqps")


def http_url(value: str, *, allow_http: bool) -> str:
    """The URL without a trailing slash.

    Raises ValueError for anything but http(s)://host[:port][/path], and for plain http to a public address.
    """
    parts = _split(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be an address like https://host:port")
    if parts.username or parts.password:
        raise ValueError("must not hold a user or a password")
    if parts.query or parts.fragment:
        raise ValueError("must end with the path: no ? and no #")
    if parts.scheme == "http" and not allow_http and is_public(parts.hostname):
        raise ValueError(f"{parts.hostname} is a public address: use https, or say allow_http = true beside it")
    return value.rstrip("/")


def is_public(host: str) -> bool:
    """Whether the host is not known to be on this machine or a private network."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        name = host.lower().rstrip(".")
        return "." in name and not name.endswith(_PRIVATE_ENDINGS)
    return address.is_global


def server_url(value: str, schemes: tuple[str, ...], *, literal: bool) -> str:
    """The URL of a server of ours. `literal`: it stands in the file itself, where no password may stand."""
    parts = _split(value)
    if parts.scheme not in schemes:
        raise ValueError("must begin with " + ", ".join(f"{scheme}://" for scheme in schemes))
    if literal and (parts.password or "password=" in parts.query):
        raise ValueError('holds a password; put the whole URL into the environment and write "env:NAME"')
    return value


def _split(value: str) -> SplitResult:
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        raise ValueError("is not an address; check host and port") from None
    return parts
