"""An authority of the tests' own, and the certificates that it issues: good ones and bad ones."""

from __future__ import annotations

import datetime as dt
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ec2gw.lab.door.server import Tls

_PRINCIPAL_NAME = x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3")
_DAY = dt.timedelta(days=1)


class Authority:
    """Issues certificates into files of its folder."""

    def __init__(self, folder: Path, name: str = "ways in") -> None:
        self._folder = folder
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.file = folder / f"{name}.pem"
        usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        ca = x509.BasicConstraints(ca=True, path_length=0)
        certificate = self._begun(self._name, self._key, 30 * _DAY).add_extension(ca, True)
        self._write(self.file, certificate.add_extension(usage, True))

    def host(
        self, address: str = "127.0.0.1", *, ends: dt.timedelta = 30 * _DAY, clients: bool = False
    ) -> Tls:
        """Certify a listener by address, and `localhost`; `clients`: it takes certificates."""
        names = x509.SubjectAlternativeName(
            [x509.IPAddress(ipaddress.ip_address(address)), x509.DNSName("localhost")][
                : 2 if address == "127.0.0.1" else 1
            ]
        )
        name = f"host-{address}-{ends.days}"
        files = self._issued(name, names, ExtendedKeyUsageOID.SERVER_AUTH, ends)
        return Tls(*files, clients=self.file if clients else None)

    def client(
        self, principal: str, *, ends: dt.timedelta = 30 * _DAY, passphrase: bytes | None = None
    ) -> tuple[Path, Path]:
        """Certify whoever signs in: certificate and key."""
        text = principal.encode()
        value = b"\x0c" + bytes([len(text)]) + text
        names = x509.SubjectAlternativeName([x509.OtherName(_PRINCIPAL_NAME, value)])
        name = f"client-{principal}-{ends.days}-{bool(passphrase)}"
        return self._issued(name, names, ExtendedKeyUsageOID.CLIENT_AUTH, ends, passphrase)

    def _issued(
        self,
        name: str,
        names: x509.SubjectAlternativeName,
        use: x509.ObjectIdentifier,
        ends: dt.timedelta,
        passphrase: bytes | None = None,
    ) -> tuple[Path, Path]:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = (
            self._begun(subject, key, ends)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
            .add_extension(x509.ExtendedKeyUsage([use]), False)
            .add_extension(names, False)
        )
        files = (self._folder / f"{name}.pem", self._folder / f"{name}.key")
        self._write(files[0], certificate)
        sealing: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if passphrase:
            sealing = serialization.BestAvailableEncryption(passphrase)
        form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
        files[1].write_bytes(key.private_bytes(*form, sealing))
        return files

    def _begun(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, ends: dt.timedelta
    ) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 3 * _DAY)
            .not_valid_after(now + ends)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(identifier, False)
        )

    def _write(self, file: Path, certificate: x509.CertificateBuilder) -> None:
        signed = certificate.sign(self._key, hashes.SHA256())
        file.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
