"""Signs one connection in by Kerberos and seals its messages, as pywinrm's sessions ask for it.

Tickets come from a keytab or a password, into this process's memory alone, or, with neither, from
those that the account of this process has. The libraries for it are an extra and may be missing.

pywinrm's own way takes tickets from process-wide places only, and binds no channel before it was
refused once; this one knows a host's keytab or password, and binds from the first token on.

Source: RFC 4559 (Negotiate), RFC 4121 (tokens), RFC 5929 (channel binding); [MS-WSMV] 2.2.9.1;
MIT Kerberos, "Error tables".
"""

from __future__ import annotations

import base64
import binascii
import importlib.util
import ssl
from pathlib import Path
from typing import Any

import requests
import requests.auth
import spnego
import spnego.channel_bindings

from ec2gw.winrm import endpoint, tls

Credential = spnego.CredentialCache | spnego.KerberosKeytab | spnego.Password
_SCHEME = "negotiate"


class Failure(Exception):
    """Kerberos did not get us in, in words for the administrator."""


class Refused(Failure):
    """The domain refuses the account; trying again may lock it."""


class Unready(Failure):
    """Something is not prepared, on this machine or in the domain."""


class NoAnswer(Failure):
    """No domain controller could be asked."""


def missing() -> str:
    """What is not installed, in a sentence; empty when all is there."""
    if all(importlib.util.find_spec(name) for name in ("gssapi", "krb5")):
        return ""
    return (
        "Kerberos' libraries are not installed here: pip install 'pyspnego[kerberos]', which wants"
        " gcc and libkrb5-dev; see docs/operations.md, Kerberos"
    )


def credential(address: endpoint.HostAddress, password: str | None) -> Credential:
    """What tickets are got with: a keytab, a password, or what this process's account has.

    :raises Unready: the keytab cannot be read
    """
    if address.keytab_file is not None:
        try:
            Path(address.keytab_file).open("rb").close()
        except OSError as error:
            raise Unready(f"{address.keytab_file}: {error.strerror}") from error
        return spnego.KerberosKeytab(f"FILE:{address.keytab_file}", address.username)
    if password is not None:
        return spnego.Password(address.username, password)
    return spnego.CredentialCache(address.username or None)


class SignIn(requests.auth.AuthBase):
    """The sign-in of one session, on whatever connection asks for it; the last one seals."""

    def __init__(self, target: str, credential: Credential) -> None:
        self._target = target
        self._credential = credential
        self._context: spnego.ContextProxy | None = None

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.register_hook("response", self._answered)  # type: ignore[no-untyped-call]
        return request

    # ---- what pywinrm's sealing asks for

    def wrap_winrm(self, host: str, message: bytes) -> tuple[bytes, bytes]:
        """Seal: (data, signature)."""
        sealed = self._sealing().wrap_winrm(message)
        return sealed.data, sealed.header

    def unwrap_winrm(self, host: str, data: bytes, signature: bytes) -> bytes:
        return self._sealing().unwrap_winrm(signature, data)

    def _sealing(self) -> spnego.ContextProxy:
        if self._context is None:
            raise Unready("the host let us in without Kerberos")
        return self._context

    # ---- signing in

    def _answered(self, response: requests.Response, **options: Any) -> requests.Response:
        """Answer a challenge, on the connection that it came from."""
        if response.status_code != 401 or "Authorization" in response.request.headers:
            return response
        if _SCHEME not in response.headers.get("WWW-Authenticate", "").casefold():
            return response
        binding = _binding(response)
        _ = response.content  # read to its end: then the connection is used again
        response.raw.release_conn()
        context = _context(self._target, self._credential, binding)
        request = response.request.copy()
        request.headers["Authorization"] = f"Negotiate {_encode(_step(context, None))}"
        answer: requests.Response = response.connection.send(request, **options)
        answer.history.append(response)
        if answer.status_code == 401:
            return answer
        # Whoever answers must have read our ticket, which the host alone can: it proves itself.
        _step(context, _token(answer))
        if not context.complete:
            raise Unready("the host did not prove to be the one that the ticket is for")
        self._context = context
        return answer


def _binding(response: requests.Response) -> spnego.channel_bindings.GssChannelBindings | None:
    """Bind to the TLS connection that the challenge came over, while the answer still holds it."""
    socket = getattr(getattr(response.raw, "connection", None), "sock", None)
    if not isinstance(socket, ssl.SSLSocket):
        return None
    data = tls.end_point_binding(socket.getpeercert(True) or b"")
    return spnego.channel_bindings.GssChannelBindings(application_data=data) if data else None


def _encode(token: bytes | None) -> str:
    return base64.b64encode(token or b"").decode("ascii")


def _token(response: requests.Response) -> bytes | None:
    for challenge in response.headers.get("WWW-Authenticate", "").split(","):
        scheme, _, value = challenge.strip().partition(" ")
        if scheme.casefold() == _SCHEME and value:
            try:
                return base64.b64decode(value, validate=True)
            except binascii.Error:
                break
    raise Unready("the host let us in without proving who it is")


def _context(
    target: str,
    credential: Credential,
    binding: spnego.channel_bindings.GssChannelBindings | None,
) -> spnego.ContextProxy:
    try:
        return spnego.client(
            credential,
            hostname=target,
            service="HTTP",
            protocol="kerberos",
            channel_bindings=binding,
        )
    except Exception as error:  # two C libraries raise their own here
        raise _meaning(error) from error


def _step(context: spnego.ContextProxy, token: bytes | None) -> bytes | None:
    try:
        return context.step(token)
    except Exception as error:  # as above
        raise _meaning(error) from error


def _meaning(error: Exception) -> Failure:
    """Say what a library's error asks of the administrator, by its number in MIT's table."""
    seen: BaseException | None = error
    while seen is not None:
        number = getattr(seen, "err_code", None) or getattr(seen, "min_code", None)
        if isinstance(number, int) and number:
            code = (number - _TABLE) % (1 << 32)
            kind, words = _MEANINGS.get(code, (Unready, ""))
            return kind(words or f"Kerberos: {_told(seen)}")
        seen = seen.__cause__
    return Unready(f"Kerberos: {_told(error)}")


def _told(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]


_TABLE = -1765328384
"""Where MIT's error table `krb5` begins; up to 127 its numbers are the protocol's (RFC 4120)."""
_WRONG = "the domain refuses the password, or the keytab is not the latest"
_NO_TICKET = "there is no ticket; name a keytab, or let one be kept for this account"
_MEANINGS: dict[int, tuple[type[Failure], str]] = {
    6: (Refused, "the domain knows no such account"),
    7: (Unready, "the domain knows no such host; the URL must name it as the domain does"),
    18: (Refused, "the account is disabled or locked"),
    23: (Refused, "the password has expired"),
    24: (Refused, _WRONG),
    31: (Refused, _WRONG),  # where the domain asks for no proof before it answers
    32: (Unready, "the ticket has expired"),
    37: (Unready, "this machine's clock and the domain's differ by more than five minutes"),
    141: (Unready, _NO_TICKET),
    154: (Unready, "no domain controller is known for the realm; see krb5.conf, or DNS"),
    156: (NoAnswer, "no domain controller answers"),
    181: (Unready, "the keytab holds no key for this account"),
    195: (Unready, _NO_TICKET),
    210: (Unready, "the keytab's file is none"),
}
