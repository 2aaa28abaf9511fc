"""Definitions that the tables lack: the agent's own functions, and Get-WinEvent by hand.

Source: docs/architecture.md, "The host link" (the agent's functions);
learn.microsoft.com/powershell/module/microsoft.powershell.diagnostics/get-winevent, the set
HashQuerySet (Windows PowerShell 5.1); about_WSMan_Provider for what Get-ChildItem brings of a
`WSMan:` path; System.Diagnostics.Process.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

# name -> (parameters "Name:type", "!" mandatory, "+" may be empty; the class brought back)
_OWN: Final[Mapping[str, tuple[str, str]]] = {
    "Agent\\Write-FileChunk": ("Path!:string Offset!:int64 Base64!:string", "FileChunk"),
    "Agent\\Complete-File": ("Path!:string Sha256!:string Length!:int64", "FileChunk"),
    "Agent\\Get-FileState": ("Path!:string Hash:switch", "FileState"),
    "Agent\\Move-File": ("Path!:string Destination!:string ReadOnly:switch", ""),
    "Agent\\Remove-Tree": ("Path!:string", ""),
    "Agent\\Start-DiskCopy": ("Source!:string Destination!:string", "DiskCopy"),
    "Agent\\New-Folder": ("Path!:string", ""),
    "Agent\\Start-Transfer": (
        "Name!:string Generation!:int64 Direction!:string Path!:string Url!:string "
        "Certificate!:string Token!:string Length:int64 Sha256:string",
        "",
    ),
    "Agent\\Get-Transfer": ("Name!:string", "Transfer"),
    "Agent\\Remove-Transfer": ("Name!:string", ""),
    "Agent\\Get-Thumbnail": ("Id!:string Width!:int32 Height!:int32", "Thumbnail"),
    "Agent\\Watch-Console": ("Names!+:string[] Others!+:string[]", ""),
    "Agent\\Get-Console": ("Name!:string", "ConsoleOutput"),
    "Agent\\Start-ConsoleReader": ("Version!:string", ""),
    "Agent\\Get-ConsoleReader": ("", "ConsoleReader"),
    "Agent\\Stop-ConsoleReader": ("", ""),
    "Agent\\Set-VMIdentity": (
        "Id!:guid AssetTag!:string BiosGuid:string SerialNumber:string",
        "",
    ),
    "Agent\\Test-Root": ("", "Root"),
    "Agent\\Compress-Journal": ("Tokens!+:string[] Damaged:int64", "Journal"),
    "Microsoft.PowerShell.Diagnostics\\Get-WinEvent": (
        "FilterHashtable!:dictionary[] MaxEvents:int64 ComputerName:string Credential:pscredential "
        "Force:switch Oldest:switch",
        "EventLogRecord",
    ),
}

CLASSES: Final[Mapping[str, Mapping[str, str]]] = {
    "FileChunk": {"Length": "int64"},
    "FileState": {
        "Name": "string",
        "Length": "int64",
        "IsDirectory": "bool",
        "Sha256": "string",
    },
    "Root": {
        "Root": "string",
        "Exists": "bool",
        "Owner": "string",
        "FreeBytes": "int64",
        "FileSystem": "string",
    },
    "DiskCopy": {"Job": "string", "Code": "int64"},
    "Transfer": {
        "Generation": "int64",
        "State": "string",
        "Done": "int64",
        "Error": "string",
    },
    "Journal": {"Kept": "int32"},
    "Thumbnail": {"Width": "int32", "Height": "int32", "Base64": "string"},
    "ConsoleOutput": {"Base64": "string", "AgeSeconds": "int64"},
    "ConsoleReader": {"Version": "string", "Running": "bool"},
    "EventLogRecord": {
        "Id": "int32",
        "TimeCreated": "datetime?",
        "LogName": "string",
        "Properties": "EventProperty[]",
    },
    "EventProperty": {"Value": "object"},
    "WSManConfigLeafElement": {"Name": "string", "Value": "string"},
    "Process": {"Id": "int32", "PrivateMemorySize64": "int64"},
    "MethodResult": {"ReturnValue": "uint32"},
}
"""Classes that no recording holds. Source: System.Diagnostics.Eventing.Reader."""


def row(qualified: str) -> Mapping[str, object] | None:
    """A definition in the form of the tables' rows; the same on every version."""
    found = _OWN.get(qualified)
    if found is None:
        return None
    parameters: dict[str, dict[str, object]] = {}
    mandatory: list[str] = []
    for one in found[0].split():
        marked, _, kind = one.partition(":")
        name = marked.rstrip("!+")
        if "!" in marked:
            mandatory.append(name)
        checks = ["AllowEmptyCollection"] if "+" in marked else []
        parameters[name] = {"type": kind, "checks": checks}
    return {
        "default_set": "Own",
        "output": [found[1]] if found[1] else [],
        "parameters": parameters,
        "sets": [
            {
                "name": "Own",
                "mandatory": mandatory,
                "optional": [one for one in parameters if one not in mandatory],
            }
        ],
    }
