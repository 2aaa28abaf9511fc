"""`ec2gw host check`: each step on the way to a host, what holds and what to do about it.

Source: docs/operations.md, "Checking a host"; Microsoft Learn, "Installation and configuration for
Windows Remote Management".
"""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import socket
import ssl
from collections.abc import Callable, Sequence

from ec2gw.winrm import checks, endpoint, pool, session, timing, tls
from ec2gw.winrm.checks import Step
from translators.hyperv import allowed, host

_WAY = ("name", "TCP", "TLS", "sign-in")
_SOON = dt.timedelta(days=14)


def probe(
    address: endpoint.HostAddress,
    root: str,
    *,
    switches: Sequence[str] = (),
    reader: bool = False,
    limits: timing.Timing | None = None,
) -> list[Step]:
    """Take every step in order; after a failure the rest is not tried.

    `reader`: whether consoles are to be read there by a task of our own.
    Nothing is changed there, but that an agent which starts makes its folder and journal.
    """
    bounds = limits or timing.Timing()
    takes: tuple[Callable[[], Step], ...] = (
        lambda: _name(address),
        lambda: _tcp(address, bounds),
        lambda: _tls(address, bounds),
        lambda: _sign_in(address, bounds),
    )
    steps: list[Step] = []
    for take in takes:
        steps.append(take())
        if not steps[-1].ok:
            return steps + checks.skipped(_WAY[len(steps) :] + checks.NAMES)
    return steps + _inside(address, root, switches, reader, bounds)


def link_to(address: endpoint.HostAddress, root: str, limits: timing.Timing) -> pool.HostLink:
    """Make a link that may only look."""
    return pool.HostLink(
        address,
        root=root,
        modules=allowed.MODULES,
        allowed=allowed.ALLOWED,
        paths=allowed.PATHS,
        epoch=None,
        limits=limits,
    )


def _inside(
    address: endpoint.HostAddress,
    root: str,
    switches: Sequence[str],
    reader: bool,
    limits: timing.Timing,
) -> list[Step]:
    with contextlib.closing(link_to(address, root, limits)) as link:
        try:
            return link.check(switches, reader=reader)
        except host.HostError as error:
            why = str(link.cause or error)
            advice = (
                "Windows PowerShell 5.1 must be able to start for this account, in full language"
                " mode, within a minute; see the log."
            )
            return [Step("PowerShell", False, why, advice), *checks.skipped(checks.NAMES[1:])]


def _name(address: endpoint.HostAddress) -> Step:
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(address.host)
        return Step("name", True, "an address, nothing to resolve")
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        return Step(
            "name",
            False,
            f"{address.host} does not resolve: {error}",
            "Check the spelling and this machine's DNS, or configure the host by address.",
        )
    return Step("name", True, ", ".join(sorted({str(one[4][0]) for one in found})))


def _tcp(address: endpoint.HostAddress, limits: timing.Timing) -> Step:
    try:
        _connected(address, limits).close()
    except OSError as error:
        way = " -UseSSL" if address.is_tls else ""
        return Step(
            "TCP",
            False,
            f"no connection to port {address.port}: {error}",
            "Switch WinRM on there (Enable-PSRemoting -Force) and open its firewall for this"
            f" machine; from another Windows, Test-WSMan {address.host}{way} tells the same.",
        )
    return Step("TCP", True, f"port {address.port} answers")


def _tls(address: endpoint.HostAddress, limits: timing.Timing) -> Step:
    if not address.is_tls:
        if address.is_sealed:
            return Step("TLS", True, "not used: the sign-in encrypts each message")
        return Step("TLS", True, "not used: the laboratory, on loopback")
    try:
        context = tls.context(address, ours=False)
    except tls.Unfit as error:
        return Step("TLS", False, str(error), "Name a PEM file that can be read.")
    try:
        with (
            _connected(address, limits) as plain,
            context.wrap_socket(plain, server_hostname=address.host) as safe,
        ):
            version, certificate = safe.version(), safe.getpeercert() or {}
    except ssl.SSLCertVerificationError as error:
        return Step(
            "TLS",
            False,
            f"the certificate is not trusted: {error.verify_message}",
            "Configure as ca_file the authority that issued it, or the host's own certificate; its"
            " names must hold the name in the URL.",
        )
    except OSError as error:
        return Step("TLS", False, f"no TLS: {error}", "The port must be WinRM's HTTPS listener.")
    ends = dt.datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), dt.UTC)
    found = f"{version}, certificate valid until {ends:%Y-%m-%d}"
    return Step("TLS", True, found, _renewal(ends))


def _connected(address: endpoint.HostAddress, limits: timing.Timing) -> socket.socket:
    return socket.create_connection((address.host, address.port), limits.connect_seconds)


def _sign_in(address: endpoint.HostAddress, limits: timing.Timing) -> Step:
    connection = session.Connection(address, limits)
    try:
        try:
            shell = connection.create_shell()
        except session.Denied as error:
            if error.is_final:
                raise
            shell = connection.create_shell()  # a spoilt connection is refused in the same way
        with contextlib.suppress(session.LinkError):  # the host removes it when it is idle
            connection.delete_shell(shell)
    except session.LinkError as error:
        return Step("sign-in", False, str(error), _sign_in_advice(error, address))
    finally:
        connection.close()
    return _signed_in(address)


def _signed_in(address: endpoint.HostAddress) -> Step:
    if address.transport != "certificate" or address.certificate_file is None:
        who = f" as {address.username}" if address.username else ""
        return Step("sign-in", True, f"{address.transport}{who}")
    ends = tls.end_of(address.certificate_file)
    found = f"by {address.certificate_file}, valid until {ends:%Y-%m-%d}"
    return Step("sign-in", True, found, _renewal(ends))


def _renewal(ends: dt.datetime) -> str:
    return "" if ends - dt.datetime.now(dt.UTC) > _SOON else "Renew the certificate soon."


def _sign_in_advice(error: session.LinkError, address: endpoint.HostAddress) -> str:
    match error:
        case session.Denied():
            return _DENIED[address.transport] + (
                f" winrm get winrm/config/service/auth must admit {address.transport}."
            )
        case session.Forbidden():
            return (
                "The account may not open a remote shell: only Administrators may, until Execute is"
                " granted by winrm configSDDL default. Local accounts other than the built-in"
                " Administrator also need LocalAccountTokenFilterPolicy = 1."
            )
        case session.Quota():
            return "Raise MaxShellsPerUser in WSMan:\\localhost\\Shell, or end shells left open."
        case session.Unusable():
            return _UNUSABLE.get(address.transport, "Mend this machine's configuration.")
        case session.Unconnected() if address.transport == "kerberos":
            return _UNUSABLE["kerberos"]
        case _:
            return "The port must be WinRM's, with nothing in between that changes HTTP."


_DENIED = {
    "kerberos": (
        "Check the account (USER@REALM), its password or keytab, and that it is not locked; the"
        " host must be a member of that domain or one that trusts it."
    ),
    "certificate": (
        "The host must trust the authority of our certificate (Root store of the machine), and map"
        " its principal name to a local account: New-Item WSMan:\\localhost\\ClientCertificate;"
        " see docs/hyperv.md."
    ),
    "ntlm": "Check user name (DOMAIN\\USER), password and that the account is not locked;",
    "basic": "Check user name, password and that it is a local account that is not locked;",
}
_UNUSABLE = {
    "kerberos": "Mend it here or in the domain: docs/operations.md, Kerberos, says what is needed.",
    "certificate": "Give the certificate and its key as PEM files that fit and are in their time.",
}
