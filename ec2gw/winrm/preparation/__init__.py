"""The PowerShell that prepares a host for us, and the one that takes it back: text, never run here.

An administrator reads it and runs it on the host. All that varies is assigned in its first lines,
as literals; what follows is the text beside this file, the same for every host.

Source: docs/hyperv.md, "What the script does"; about_Quoting_Rules; Microsoft Learn,
"Installation and configuration for Windows Remote Management".
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ec2gw.winrm import endpoint

LEVELS: Final = (1, 2)
_AUTHENTICATION: Final[dict[endpoint.Transport, str]] = {
    "kerberos": "Kerberos",
    "ntlm": "Negotiate",
    "certificate": "Certificate",
    "basic": "Basic",
}
"""Of the service, below WSMan:\\localhost\\Service\\Auth."""
_FORWARD: Final = """\
#Requires -Version 5.1
#Requires -RunAsAdministrator
# {what}
# Read it, then run it on the host, in an elevated Windows PowerShell. It may be run again.
"""


@dataclass(frozen=True, slots=True)
class Preparation:
    """What a host is to be prepared for."""

    name: str
    """As ec2gw calls the host."""
    address: endpoint.HostAddress
    account: str
    root: str
    switches: Sequence[str] = ()
    gateways: Sequence[str] = ()
    """Addresses that the firewall lets in; any without."""
    adapter: str = ""
    """What a missing switch is made on."""


def script(host: Preparation, level: int) -> str:
    """Write the script that prepares a host for an account of that level of rights.

    :raises ValueError: a value that cannot stand in a script
    """
    if level not in LEVELS:
        raise ValueError(f"there is no level {level}")
    address = host.address
    values: dict[str, str | int | Sequence[str]] = {
        "HostName": host.name,
        "ComputerName": address.host,
        "Scheme": "HTTPS" if address.is_tls else "HTTP",
        "Port": address.port,
        "Authentication": _AUTHENTICATION[address.transport],
        "Account": host.account.removeprefix(".\\"),
        "Root": host.root,
        "Gateways": host.gateways or ["Any"],
        "Switches": host.switches,
        "Adapter": host.adapter,
    }
    what = f"Prepares a Hyper-V host for ec2gw, level {level} of rights."
    return _text(what, values, "prepare.ps1", f"level{level}.ps1", "finish.ps1")


def undo(host: Preparation) -> str:
    """Write the script that takes back what the other one noted, whatever its level.

    :raises ValueError: a value that cannot stand in a script
    """
    values: dict[str, str | int | Sequence[str]] = {"HostName": host.name, "Root": host.root}
    return _text("Takes back what prepared a Hyper-V host for ec2gw.", values, "undo.ps1")


def literal(value: str | int | Sequence[str]) -> str:
    """Write a value as PowerShell takes it, with nothing in it that could become code.

    Windows PowerShell reads a file without a mark as ANSI, and takes typographic quotes for
    quotes: whatever is not ASCII is written by its number.

    :raises ValueError: control characters
    """
    if isinstance(value, int):
        return str(value)
    if not isinstance(value, str):
        return f"@({', '.join(literal(one) for one in value)})"
    if any(ord(sign) < 32 or 127 <= ord(sign) < 160 for sign in value):
        raise ValueError(f"control characters in {value!r}")
    if value.isascii():
        return "'" + value.replace("'", "''") + "'"
    units = value.encode("utf-16-le")
    numbers = (int.from_bytes(units[at : at + 2], "little") for at in range(0, len(units), 2))
    return f"(-join [char[]] ({', '.join(f'0x{number:04X}' for number in numbers)}))"


def _text(what: str, values: dict[str, str | int | Sequence[str]], *parts: str) -> str:
    assigned = "".join(f"${name} = {literal(value)}\n" for name, value in values.items())
    return "".join([_FORWARD.format(what=what), assigned, "\n", *map(_source, parts)])


def _source(name: str) -> str:
    return importlib.resources.files(__package__).joinpath(name).read_text(encoding="ascii")
