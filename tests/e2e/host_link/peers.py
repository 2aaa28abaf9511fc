"""Listeners that are no WinRM at all, a certificate, and a host that takes no connection."""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ec2gw.lab.door.server import Tls


def certificate(folder: Path, address: str = "127.0.0.1") -> Tls:
    """Make a certificate that signs itself, for one address."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hv1")])
    now = dt.datetime.now(dt.UTC)
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=90))
        .add_extension(alternative, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = Tls(folder / f"{address}.pem", folder / f"{address}.key")
    files.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    files.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return files


class Listener:
    """Answers every request with the same bytes, or by closing, and keeps what it was sent."""

    def __init__(self, answer: bytes) -> None:
        self.heard = b""
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                one, _ = self._listener.accept()
            except OSError:
                return
            with one:
                one.settimeout(0.3)
                try:
                    self.heard += one.recv(1 << 16)
                    one.sendall(self._answer)
                    one.shutdown(socket.SHUT_WR)
                    while more := one.recv(1 << 16):  # closed with bytes unread, it would reset
                        self.heard += more
                except OSError:
                    continue  # the client has left in the middle of what it is told

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(3)


@contextmanager
def listening(answer: bytes = b"") -> Iterator[Listener]:
    listener = Listener(answer)
    yield listener
    listener.close()


@contextmanager
def unanswering() -> Iterator[str]:
    """Give the URL of a port whose handshakes nobody answers, as a host that is off."""
    full = socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    fillers = [socket.socket() for _ in range(4)]
    for one in fillers:
        one.setblocking(False)
        one.connect_ex(full.getsockname())
    yield f"http://127.0.0.1:{full.getsockname()[1]}"
    for one in [*fillers, full]:
        one.close()
