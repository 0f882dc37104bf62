"""Somebody's web server on loopback, which answers as a test wants it, and a certificate for it."""

import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from syncsvc.intake.outbound import resolve
from tests.intake.pictures import saved, scene

PICTURE = saved(scene())
SECRET = "token=CANARY-TOKEN"
Answer = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "Outside"

    def do_GET(self) -> None:
        self.server.heard.append((self.path, dict(self.headers)))
        self.close_connection = True
        with suppress(OSError):
            self.server.answers[self.path.partition("?")[0]](self)

    def send(self, content: bytes = PICTURE, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content_Type": "image/jpeg", "Content_Length": str(len(content)), **headers}.items():
            if value:
                self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


class Outside(ThreadingHTTPServer):
    """Somebody's server; `answers` by path, `heard` is what was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, Answer] = {"/photo.jpg": Handler.send}
        self.heard: list[tuple[str, dict[str, str]]] = []
        self.over = threading.Event()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def url(self, path: str = "/photo.jpg", host: str = "photos.corp.internal", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}?{SECRET}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that hangs up is what most of these tests are about."""


@contextmanager
def serving(tls: ssl.SSLContext | None = None) -> Iterator[Outside]:
    server = Outside()
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


def at_home(host: str, port: int) -> Sequence[str]:
    """Every name is this machine, and addresses are what they are."""
    with suppress(ValueError):
        return [resolve(host, port)[0]] if host.replace(".", "").isdigit() or ":" in host else ["127.0.0.1"]
    return []


def certificate(folder: Path, name: str) -> Path:
    """A key and a certificate of its own for one name, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "certificate.pem"
    pem = serialization.Encoding.PEM
    plain = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(plain + built.public_bytes(pem))
    return file
