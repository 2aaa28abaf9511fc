"""Where a host is and how we sign in there, with what is never allowed; no I/O.

Source: docs/architecture.md, "The host link"; Microsoft Learn, "Installation and configuration for
Windows Remote Management" (ports, authentication schemes).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, cast, get_args
from urllib.parse import urlsplit

Transport = Literal["kerberos", "ntlm", "certificate", "basic"]

_PORTS = {"http": 5985, "https": 5986}


class NotAllowed(ValueError):
    """An address or a way to sign in that we refuse, in words for the administrator."""


def transport(name: str) -> Transport:
    """Read a transport's name.

    :raises NotAllowed: for any other
    """
    for known in get_args(Transport):
        if name == known:
            return cast(Transport, known)
    raise NotAllowed(f"{name!r} is no way to sign in: kerberos, ntlm, certificate or basic")


@dataclass(frozen=True, slots=True)
class HostAddress:
    """One host's WS-Management service and our account there.

    `password` is asked at each sign-in and kept nowhere. `ca_file` is a PEM of authorities, or of
    the host's own certificate to pin it; without it the system's authorities count. Validation
    cannot be switched off. Kerberos takes its tickets by `keytab_file` or password, or without
    both from those of the account that this process runs as. `laboratory` admits plain Basic and
    NTLM, on loopback only.

    :raises NotAllowed: when the policy refuses it
    """

    url: str
    transport: Transport
    username: str = ""
    password: Callable[[], str] | None = field(default=None, repr=False, compare=False)
    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None
    keytab_file: str | None = None
    allow_ntlm_over_http: bool = False
    laboratory: bool = False

    def __post_init__(self) -> None:
        _split(self.url)
        if self.laboratory and not self.is_loopback:
            raise NotAllowed("the laboratory is reached on loopback only")
        self._refuse_what_is_lacking()
        self._refuse_what_would_be_ignored()
        if self.is_tls or self.laboratory:
            return
        if self.transport == "basic":
            raise NotAllowed("Basic over http sends the password in clear: use https")
        if self.transport == "ntlm" and not self.allow_ntlm_over_http:
            raise NotAllowed(
                "NTLM over http is only used where it is allowed explicitly:"
                " use https, or Kerberos in a domain"
            )

    def _refuse_what_is_lacking(self) -> None:
        match self.transport:
            case "certificate":
                if not self.is_tls:
                    raise NotAllowed("a client certificate needs https")
                if not (self.certificate_file and self.key_file):
                    raise NotAllowed("a client certificate needs its file and its key's file")
            case "kerberos":
                if self.keytab_file and not self.username:
                    raise NotAllowed("a keytab needs the name of its account: USER@REALM")
                if "\\" in self.username:
                    raise NotAllowed("Kerberos names an account USER@REALM, not DOMAIN\\USER")
            case _ if not self.username:
                raise NotAllowed(f"{self.transport} needs a user name")

    def _refuse_what_would_be_ignored(self) -> None:
        """Whoever names a file counts on it."""
        if self.ca_file and not self.is_tls:
            raise NotAllowed("a file of authorities says something over https only")
        if (self.certificate_file or self.key_file) and self.transport != "certificate":
            raise NotAllowed("a client certificate is for the transport certificate only")
        if self.keytab_file and self.transport != "kerberos":
            raise NotAllowed("a keytab is for the transport kerberos only")

    @property
    def takes_password(self) -> bool:
        if self.transport == "kerberos":
            return bool(self.username) and self.keytab_file is None
        return self.transport != "certificate"

    @property
    def is_tls(self) -> bool:
        return _split(self.url).scheme == "https"

    @property
    def is_sealed(self) -> bool:
        """Whether each message is encrypted by the sign-in itself, bound to one TCP connection."""
        return not self.is_tls and self.transport in ("ntlm", "kerberos")

    @property
    def host(self) -> str:
        return _split(self.url).hostname or ""

    @property
    def port(self) -> int:
        parts = _split(self.url)
        return parts.port or _PORTS[parts.scheme]

    @property
    def endpoint(self) -> str:
        """The whole URL, with port and path."""
        parts = _split(self.url)
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{parts.scheme}://{host}:{self.port}{parts.path.rstrip('/') or '/wsman'}"

    @property
    def is_loopback(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def _split(url: str) -> _Parts:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        raise NotAllowed(f"no such port: {url!r}") from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise NotAllowed("an address is http://HOST[:PORT] or https://HOST[:PORT]")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise NotAllowed("an address holds no credentials, query or fragment")
    return _Parts(parts.scheme, parts.hostname, port, parts.path)


@dataclass(frozen=True, slots=True)
class _Parts:
    scheme: str
    hostname: str | None
    port: int | None
    path: str
