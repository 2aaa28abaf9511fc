"""Signs in whoever speaks on one connection.

By request: Basic, or the certificate of the TLS connection. Once for the connection: NTLM, or
Kerberos with the keytab that `KRB5_KTNAME` names. Holds the HTTP schemes and the security context;
which accounts there are is `accounts`', what a certificate says `certificates`'.

Source: RFC 7617 (Basic), RFC 4559 (Negotiate), MS-NTHT, MS-NLMP, RFC 4121 (Kerberos tokens),
RFC 5929 (channel binding); DSP0226 (security profiles); MS-WSMV 3.1.4.1 (what may be unsealed).
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Callable
from dataclasses import dataclass

import spnego
from spnego.channel_bindings import GssChannelBindings

from ec2gw.lab.door import sealing
from ec2gw.lab.door.accounts import Account, Credentials

_MUTUAL = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"
_KERBEROS = bytes.fromhex("06092a864886f712010202")
"""Kerberos' object identifier, with which its tokens begin after a tag and a length."""
# What a token that is no token makes of the acceptor's unpacking.
_BAD_TOKEN = (
    spnego.exceptions.SpnegoError,
    ValueError,
    TypeError,
    LookupError,
    struct.error,
    EOFError,
    NotImplementedError,
    AttributeError,  # python-gssapi's, of the flags of a context that came to nothing
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Who it is, or nobody yet; `challenges` are the values of WWW-Authenticate to send.

    `by_token` says that the connection is signed in by NTLM or Kerberos and can seal.
    """

    account: Account | None
    challenges: tuple[str, ...] = ()
    by_token: bool = False


class SignIn:
    """The state of one connection's sign-in; sealing belongs to it and ends with it."""

    def __init__(
        self,
        credentials: Credentials,
        *,
        basic: bool,
        kerberos: bool,
        binding: GssChannelBindings | None,
        certificate: Callable[[], str],
    ) -> None:
        self._credentials = credentials
        self._basic = basic
        self._kerberos = kerberos
        self._binding = binding
        self._certificate = certificate
        self._context: spnego.ContextProxy | None = None
        self._account: Account | None = None

    def judge(self, authorization: str) -> Verdict:
        """Weigh the Authorization header (empty if there was none).

        :raises OSError: the client left while it was asked for its certificate
        """
        scheme, _, value = authorization.strip().partition(" ")
        match scheme.casefold():
            case "basic" if self._basic:
                account = self._by_password(value)
                return Verdict(account) if account else self._refusal()
            case "negotiate" | "ntlm" as negotiated:
                return self._by_token(negotiated, value)
            case schema if schema == _MUTUAL:
                account = self._credentials.mapped(self._certificate())
                return Verdict(account) if account else self._refusal()
            case "" if self._account is not None:
                # A token signs in the connection, not the request.
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
        try:
            given = base64.b64decode(value, validate=True)
            if self._context is None or self._account is not None:
                self._account = None
                self._context = self._acceptor(given)
            context = self._context
            token = context.step(given)
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

    def _acceptor(self, token: bytes) -> spnego.ContextProxy:
        if self._kerberos and _KERBEROS in token[:20]:
            return spnego.server(protocol="kerberos", channel_bindings=self._binding)
        return spnego.server(
            protocol="negotiate",
            options=spnego.NegotiateOptions.use_ntlm | spnego.NegotiateOptions.use_negotiate,
            channel_bindings=self._binding,
        )

    def _refusal(self) -> Verdict:
        return Verdict(
            None, ("Negotiate", 'Basic realm="WSMAN"') if self._basic else ("Negotiate",)
        )
