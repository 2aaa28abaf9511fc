"""What the laboratory's interpreter of frames runs calls against: one simulated Hyper-V host.

Holds the interface alone; `ec2gw.lab.world` and `ec2gw.lab.cmdlets` implement it.

Values that pass, both ways: str, int, float, bool, None, list, and live objects (`Live`). A result
may also hold datetime (aware), timedelta, enum.Enum (known by name) and uuid.UUID. An argument may
also be a dict (a hashtable) and a `WmiValue`; a path is canonical Windows path text.

Source: docs/laboratory.md; about_CommonParameters, about_Try_Catch_Finally (ErrorRecord).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable


@runtime_checkable
class Live(Protocol):
    """An object that a cmdlet returned, with the properties that its class has."""

    def property(self, name: str) -> object:
        """The property's value; KeyError when the class lacks it."""


@dataclass(frozen=True, slots=True)
class WmiValue:
    """A value of a WMI type (`uint32`, `uint32[]`), checked to fit it."""

    type: str
    value: object


@dataclass(frozen=True, slots=True)
class Invoked:
    """What a cmdlet that did not fail left behind."""

    objects: Sequence[object] = ()
    warnings: Sequence[str] = ()


@dataclass(eq=False)  # not frozen: a context manager sets an exception's traceback
class CmdletError(Exception):
    """An error record of PowerShell; `hresult` is the chain's codes, outermost first."""

    id: str
    category: str
    text: str
    activity: str = ""
    target: str = ""
    kind: str = "System.Management.Automation.RuntimeException"
    hresult: Sequence[str] = field(default=("0x80131501",))

    def __str__(self) -> str:
        return f"{self.id} ({self.category}): {self.text}"


class LabHost(Protocol):
    """One host. Every method may be called from several threads at once."""

    @property
    def name(self) -> str: ...

    @property
    def host_id(self) -> str:
        """Stays the same for the life of the host."""

    @property
    def boot_time(self) -> dt.datetime: ...

    @property
    def module_versions(self) -> Mapping[str, str]: ...

    def rooted(self, root: str) -> LabHost:
        """The same host, as agents see it whose folder this is: their journal lies there."""

    def knows(self, do: str) -> bool:
        r"""Whether the host has this cmdlet (`Hyper-V\Get-VM`)."""

    def invoke(self, do: str, arguments: Mapping[str, object]) -> Invoked:
        """Bind and run one cmdlet; its effect is durable before this returns.

        :raises CmdletError: it did not bind or failed
        """

    def agents(self, alive: int) -> None:
        """Hear how many agents live there now: they read the consoles of its machines."""

    def journal_read(self) -> bytes:
        """The journal file as it is; empty when there is none."""

    def journal_size(self) -> int:
        """How many bytes `journal_read` would bring, for less."""

    def journal_append(self, data: bytes) -> None:
        """Write at its end; durable before this returns.

        :raises OSError: the disk did not take it
        """

    def journal_replace(self, data: bytes) -> None:
        """Put another content in its place, whole or not at all; durable before this returns.

        :raises OSError: the disk did not take it
        """
