"""Whether a port is free, asked before anything is started on it."""

import socket

from syncsvc.model.errors import SyncsvcError


class PortError(SyncsvcError):
    """Somebody else listens there, or nobody may."""


def check_port(host: str, port: int, option: str | None = None) -> None:
    """Raises PortError with what to do; `option` is the one that chooses another port."""
    try:
        family, kind, _protocol, _name, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except (OSError, OverflowError) as error:
        mend = f"choose another with {option}" if option else "stop what listens there"
        reason = getattr(error, "strerror", None) or "no such port"
        raise PortError(f"cannot listen on {host}:{port} ({reason}); {mend}") from error
