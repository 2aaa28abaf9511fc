"""Signs in whoever speaks on one connection: Basic by request, NTLM once for the connection.

Holds the HTTP schemes and the security context; which accounts there are is `accounts`'.

Source: RFC 7617 (Basic), RFC 4559 (Negotiate), MS-NTHT, MS-NLMP, RFC 5929 (channel binding);
MS-WSMV 3.1.4.1 (what may be unsealed).
"""

from __future__ import annotations

import base64
import binascii
import struct
from dataclasses import dataclass
from pathlib import Path

import spnego
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from spnego.channel_bindings import GssChannelBindings

from ec2gw.lab.door import sealing
from ec2gw.lab.door.accounts import Account, Credentials

# What a token that is no token makes of the acceptor's unpacking.
_BAD_TOKEN = (
    spnego.exceptions.SpnegoError,
    ValueError,
    TypeError,
    LookupError,
    struct.error,
    EOFError,
    NotImplementedError,
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Who it is, or nobody yet; `challenges` are the values of WWW-Authenticate to send.

    `by_token` says that the connection is signed in by NTLM and can seal.
    """

    account: Account | None
    challenges: tuple[str, ...] = ()
    by_token: bool = False


class SignIn:
    """The state of one connection's sign-in; sealing belongs to it and ends with it."""

    def __init__(
        self, credentials: Credentials, *, basic: bool, binding: GssChannelBindings | None
    ) -> None:
        self._credentials = credentials
        self._basic = basic
        self._binding = binding
        self._context: spnego.ContextProxy | None = None
        self._account: Account | None = None

    def judge(self, authorization: str) -> Verdict:
        """Weigh the Authorization header (empty if there was none)."""
        scheme, _, value = authorization.strip().partition(" ")
        match scheme.casefold():
            case "basic" if self._basic:
                account = self._by_password(value)
                return Verdict(account) if account else self._refusal()
            case "negotiate" | "ntlm" as negotiated:
                return self._by_token(negotiated, value)
            case "" if self._account is not None:
                # NTLM signs in the connection, not the request.
                return Verdict(self._account, by_token=True)
        return self._refusal()

    def unseal(self, body: bytes) -> bytes:
        """Open a body sealed for this connection.

        :raises Broken: it is not; the context is of no more use then
        """
        context = self._context
        if context is None or self._account is None:
            raise sealing.Broken
        try:
            return sealing.unseal(body, lambda head, data: context.unwrap_winrm(head, data))
        except _BAD_TOKEN:
            raise sealing.Broken from None

    def seal(self, message: bytes) -> bytes:
        context = self._context
        if context is None:
            raise sealing.Broken

        def wrap(plain: bytes) -> tuple[bytes, bytes]:
            sealed = context.wrap_winrm(plain)
            return sealed.header, sealed.data

        return sealing.seal(message, wrap)

    def _by_password(self, value: str) -> Account | None:
        try:
            text = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, ValueError):
            return None
        name, colon, password = text.partition(":")
        return self._credentials.check(name, password) if colon else None

    def _by_token(self, scheme: str, value: str) -> Verdict:
        if self._context is None or self._account is not None:
            self._account = None
            self._context = spnego.server(
                protocol="negotiate",
                options=spnego.NegotiateOptions.use_ntlm | spnego.NegotiateOptions.use_negotiate,
                channel_bindings=self._binding,
            )
        context = self._context
        try:
            token = context.step(base64.b64decode(value, validate=True))
        except _BAD_TOKEN:  # a wrong password, another binding, an unknown user, garbage
            self._context = None
            return self._refusal()
        name = "NTLM" if scheme == "ntlm" else "Negotiate"
        answer = f"{name} {base64.b64encode(token or b'').decode('ascii')}"
        if not context.complete:
            return Verdict(None, (answer,))
        self._account = self._credentials.find(context.client_principal or "")
        if self._account is None:
            self._context = None
            return self._refusal()
        return Verdict(self._account, (answer,) if token else (), by_token=True)

    def _refusal(self) -> Verdict:
        return Verdict(
            None, ("Negotiate", 'Basic realm="WSMAN"') if self._basic else ("Negotiate",)
        )


def channel_binding(certificate: Path) -> GssChannelBindings:
    """The binding of a TLS listener: the hash of its certificate, by the signature's algorithm."""
    parsed = x509.load_pem_x509_certificate(certificate.read_bytes())
    algorithm = parsed.signature_hash_algorithm
    if algorithm is None or algorithm.name in ("md5", "sha1"):
        algorithm = hashes.SHA256()
    digest = hashes.Hash(algorithm)
    digest.update(parsed.public_bytes(serialization.Encoding.DER))
    return GssChannelBindings(application_data=b"tls-server-end-point:" + digest.finalize())
