"""How cmdlets fail: error records in the form that Hyper-V's own have. Says nothing of when.

Ids have the form ``<identifier>,Microsoft.HyperV.PowerShell.Commands.<VerbNoun>``; those of the
virtual disk cmdlets ``...,Microsoft.Vhd.PowerShell.Cmdlets.<VerbNoun>``.

Source: docs/laboratory.md, "Errors" (which ids were seen on hosts, which are derived).
"""

from __future__ import annotations

import dataclasses

from ec2gw.lab.agent.host import CmdletError

VIRTUALIZATION = "Microsoft.HyperV.PowerShell.VirtualizationException"
FAILED = "Microsoft.HyperV.PowerShell.VirtualizationOperationFailedException"

FILE_NOT_FOUND = "0x80070002"
PATH_NOT_FOUND = "0x80070003"
SHARING_VIOLATION = "0x80070020"
FILE_EXISTS = "0x80070050"
INVALID_PARAMETER = "0x80070057"
ACCESS_DENIED = "0x80070005"
DISK_FULL = "0x80070070"
CORRUPT = "0x80070570"
NOT_SUPPORTED = "0x80070032"
ALREADY_EXISTS = "0x800700B7"
UNSPECIFIED = "0x80004005"
TIMEOUT = "0x800705B4"
OUT_OF_MEMORY = "0x8007000E"
NO_SYSTEM_RESOURCES = "0x800705AA"
DIRECTORY_NOT_EMPTY = "0x80070091"
COR_E_INVALIDOPERATION = "0x80131509"

_VHD_CLASSES = {
    "New-VHD": "NewVhd",
    "Get-VHD": "GetVHD",
    "Test-VHD": "TestVhd",
    "Resize-VHD": "ResizeVhd",
    "Set-VHD": "SetVhd",
    "Convert-VHD": "ConvertVhd",
}
_CIM_CLASSES = {
    "Get-CimInstance": "GetCimInstanceCommand",
    "Get-CimAssociatedInstance": "GetCimAssociatedInstanceCommand",
    "Invoke-CimMethod": "InvokeCimMethodCommand",
}


def class_of(activity: str) -> str:
    """The .NET class of a cmdlet, the second part of its error ids."""
    if activity in _VHD_CLASSES:
        return f"Microsoft.Vhd.PowerShell.Cmdlets.{_VHD_CLASSES[activity]}"
    if activity in _CIM_CLASSES:
        return f"Microsoft.Management.Infrastructure.CimCmdlets.{_CIM_CLASSES[activity]}"
    return f"Microsoft.HyperV.PowerShell.Commands.{activity.replace('-', '', 1)}"


def fault(
    activity: str,
    identifier: str,
    category: str,
    text: str,
    *,
    target: str = "",
    hresult: tuple[str, ...] = (COR_E_INVALIDOPERATION,),
    kind: str = VIRTUALIZATION,
) -> CmdletError:
    return CmdletError(
        id=f"{identifier},{class_of(activity)}",
        category=category,
        activity=activity,
        target=target,
        kind=kind,
        hresult=hresult,
        text=text,
    )


def not_simulated(activity: str, what: str) -> CmdletError:
    """What the laboratory has no model of; it must never be mistaken for Hyper-V's refusal."""
    return CmdletError(
        id=f"NotSimulated,{class_of(activity)}",
        category="NotImplemented",
        activity=activity,
        target=what,
        kind="System.NotImplementedException",
        hresult=("0x80004001",),
        text=f"The laboratory does not simulate {activity} {what}.",
    )


def vm_not_found(activity: str, target: str) -> CmdletError:
    text = f'Hyper-V was unable to find a virtual machine with name or id "{target}".'
    return fault(activity, "InvalidParameter", "InvalidArgument", text, target=target)


def not_found(activity: str, text: str, target: str = "") -> CmdletError:
    return fault(activity, "ObjectNotFound", "ObjectNotFound", text, target=target)


def invalid_state(activity: str, target: str) -> CmdletError:
    text = "The operation cannot be performed while the object is in its current state."
    return fault(
        activity,
        "InvalidState",
        "InvalidOperation",
        text,
        target=target,
        hresult=("0x80070015", "0x80131500"),
        kind=FAILED,
    )


def access_denied(activity: str) -> CmdletError:
    text = "You do not have the required permission to complete this task."
    return fault(
        activity, "AccessDenied", "PermissionDenied", text, hresult=(ACCESS_DENIED,), kind=FAILED
    )


def invalid_parameter(activity: str, text: str, target: str = "") -> CmdletError:
    return fault(
        activity,
        "InvalidParameter",
        "InvalidArgument",
        text,
        target=target,
        hresult=(INVALID_PARAMETER,),
    )


def operation_failed(activity: str, text: str, hresult: str, target: str = "") -> CmdletError:
    return fault(
        activity,
        "OperationFailed",
        "NotSpecified",
        f"{text} ({hresult}).",
        target=target,
        hresult=(hresult,),
        kind=FAILED,
    )


def object_in_use(activity: str, path: str) -> CmdletError:
    text = f"'{path}': the process cannot access the file, it is used by another ({{}})."
    return fault(
        activity,
        "ObjectInUse",
        "ResourceBusy",
        text.format(SHARING_VIOLATION),
        target=path,
        hresult=(SHARING_VIOLATION,),
        kind=FAILED,
    )


_GERMAN = {
    "InvalidParameter": "Von Hyper-V wurde kein virtueller Computer mit dem Namen „{}“ gefunden.",
    "ObjectNotFound": "Das Objekt „{}“ wurde nicht gefunden.",
    "InvalidState": "Der Vorgang kann nicht ausgeführt werden, während sich das Objekt in seinem "
    "aktuellen Zustand befindet.",
    "AccessDenied": "Sie verfügen nicht über die erforderliche Berechtigung für diese Aufgabe.",
    "OutOfMemory": "„{}“ konnte nicht initialisiert werden: Nicht genügend Arbeitsspeicher.",
    "ObjectInUse": "„{}“: Der Prozess kann nicht auf die Datei zugreifen, da sie von einem anderen "
    "Prozess verwendet wird.",
    "NoMatchingEventsFound": "Es wurden keine Ereignisse gefunden, die den angegebenen "
    "Auswahlkriterien entsprechen.",
}
GERMAN_WARNING = "Der virtuelle Computer befindet sich bereits im angegebenen Zustand."


def in_german(error: CmdletError) -> CmdletError:
    """Say the same as a German Windows does: the text is another, and nothing else."""
    text = _GERMAN.get(error.id.partition(",")[0], "Bei „{}“ ist ein Fehler aufgetreten.")
    codes = "".join(f" ({code})" for code in error.hresult)
    return dataclasses.replace(error, text=f"{text.format(error.target)}{codes}")
