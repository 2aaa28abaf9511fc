"""Writes PowerShell modules: a function per cmdlet with its real parameter sets and checks.

The body of each hands its bound call to a world in Python, over a socket of the loopback, and
gives back the objects that come of it. Functions that no cmdlet offers (module `Agent`) become
aliases, which PowerShell prefers to the agent's own functions. Standard library only.

Source: tests/data/agent/README.md, "A row of sets"; about_Functions_Advanced_Parameters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

Row = Mapping[str, Any]

_NET: Final = frozenset(
    (
        *("Boolean", "Byte", "Char", "DateTime", "Double", "Guid", "Hashtable", "Int16", "Int32"),
        *("Int64", "Object", "Single", "String", "TimeSpan", "UInt16", "UInt32", "UInt64", "Uri"),
        "Version",
    )
)
_SHORT: Final = frozenset(name.lower() for name in _NET) | {"bool", "int", "long", "psobject"}
_ODD: Final = {
    "string": "String",
    "int": "Int32",
    "psobject": "Object",
    "PSObject": "Object",
    "pscredential": "Object",
    "PSCredential": "Object",
    "char": "Char",
    "IDictionary": "System.Collections.IDictionary",
    "StringCollection": "String[]",
}
_NULLABLE: Final = "System.Nullable["
_OWN: Final = "Agent"
BUILT_IN: Final = frozenset({"Microsoft.PowerShell.Management", "Microsoft.PowerShell.Utility"})
"""Modules that every PowerShell has itself: a second one of that name might be loaded instead."""
_HOME: Final = "Hyper-V"
"""The module that brings the stand-ins of the agent's own functions: every setup loads it."""

TAIL: Final = r"""
function Send-Call([string] $Name, [string] $Set, $Bound) {
    $with = [ordered]@{}
    foreach ($key in $Bound.Keys) {
        if ([System.Management.Automation.PSCmdlet]::CommonParameters -contains $key) { continue }
        $with[$key] = ConvertTo-Sent $Bound[$key]
        if ($Bound[$key] -is [System.Collections.IDictionary]) {
            $kinds = @{}; foreach ($one in $Bound[$key].Keys) { if ($null -ne $Bound[$key][$one]) { $kinds[$one] = $Bound[$key][$one].GetType().FullName } }
            $with['#kinds'] = $kinds
        }
    }
    $client = [System.Net.Sockets.TcpClient]::new('127.0.0.1', [int] $env:LAB_PORT)
    $stream = $client.GetStream()
    $bytes = [System.Text.Encoding]::UTF8.GetBytes((ConvertTo-Json -InputObject @{ key = $env:LAB_KEY; name = $Name; set = $Set; with = $with } -Depth 6 -Compress) + "`n")
    $stream.Write($bytes, 0, $bytes.Length)
    $json = @{}; if ((Get-Command ConvertFrom-Json).Parameters.ContainsKey('DateKind')) { $json.DateKind = 'String' }
    $answer = ConvertFrom-Json @json ([System.IO.StreamReader]::new($stream, [System.Text.Encoding]::UTF8).ReadToEnd())
    $client.Dispose()
    foreach ($w in $answer.warnings) { Write-Warning $w }
    if ($answer.PSObject.Properties.Name -contains 'error') {
        $cause = $null
        foreach ($code in $answer.error.codes) { $cause = [System.Management.Automation.RuntimeException]::new($answer.error.text, $cause); $cause.HResult = [int] $code }
        $record = [System.Management.Automation.ErrorRecord]::new($cause, $answer.error.id, [System.Management.Automation.ErrorCategory] $answer.error.category, $answer.error.target)
        $record.CategoryInfo.Activity = $answer.error.activity
        throw $record
    }
    foreach ($object in $answer.objects) { foreach ($type in $object.'#type') { $object.PSObject.TypeNames.Insert(0, $type) }; $object }
}
function ConvertTo-Sent($Value) {
    if ($Value -is [switch]) { return [bool] $Value }
    if ($Value -is [pscustomobject] -and $Value.PSObject.Properties.Name -contains '#ref') { return @{ '#ref' = $Value.'#ref' } }
    if ($Value -is [System.Collections.IDictionary]) { $sent = @{}; foreach ($key in $Value.Keys) { $sent[$key] = ConvertTo-Sent $Value[$key] }; return $sent }
    if ($Value -is [array]) { return , @(foreach ($one in $Value) { ConvertTo-Sent $one }) }
    if ($Value -is [guid] -or $Value -is [timespan]) { return [string] $Value }
    return , $Value
}
"""  # noqa: E501 kept by the letter: what is changed here is unproved until it ran


def write(
    rows: Iterable[Row], folder: Path, enums: Mapping[str, Mapping[str, Any]] | None = None
) -> int:
    """Write a module per module of the rows below `folder`; answer how many functions.

    What PowerShell has itself is left to it.
    """
    names = {name: list(facts["values"]) for name, facts in (enums or {}).items()}
    modules: dict[str, list[Row]] = {}
    for row in rows:
        if row["module"] in BUILT_IN:
            continue
        home = _HOME if row["module"] == _OWN else row["module"]
        modules.setdefault(home, []).append(row)
    for module, chosen in modules.items():
        path = folder / module / f"{module}.psm1"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_module(chosen, names), encoding="utf-8")
    return sum(len(chosen) for chosen in modules.values())


def _module(rows: Sequence[Row], enums: Mapping[str, list[str]]) -> str:
    functions = "\n".join(_function(row, enums) for row in rows)
    own = [row["name"] for row in rows if row["module"] == _OWN]
    aliases = "".join(f"Set-Alias -Name {name} -Value {_stand_in(name)}\n" for name in own)
    exported = ",".join(_name(row) for row in rows)
    also = f" -Alias {','.join(own)}" if own else ""
    return f"{functions}{TAIL}{aliases}Export-ModuleMember -Function {exported}{also}\n"


def _stand_in(name: str) -> str:
    return f"Invoke-Lab{name.replace('-', '')}"


def _name(row: Row) -> str:
    return _stand_in(row["name"]) if row["module"] == _OWN else str(row["name"])


def _function(row: Row, enums: Mapping[str, list[str]]) -> str:
    bind = []
    if row.get("default_set"):
        bind.append(f"DefaultParameterSetName = '{row['default_set']}'")
    if row.get("should_process"):
        bind.append("SupportsShouldProcess = $true")
    parameters = []
    for name, facts in row["parameters"].items():
        lines = [] if name in ("WhatIf", "Confirm") else _attributes(row["sets"], name)
        if not lines:
            continue
        if facts.get("aliases"):
            lines.append(f"[Alias({_quoted(facts['aliases'])})]")
        parameters.append(f"        {''.join(lines)}{_type(facts, enums)} ${name}")
    return "\n".join(
        (
            f"function {_name(row)} {{",
            f"    [CmdletBinding({', '.join(bind)})]",
            "    param(",
            ",\n".join(parameters),
            "    )",
            f"    process {{ Send-Call '{row['name']}' $PSCmdlet.ParameterSetName"
            " $PSBoundParameters }",
            "}",
        )
    )


def _attributes(sets: Sequence[Row], name: str) -> list[str]:
    lines = []
    for number, one in enumerate(sets):
        for row in one["parameters"]:
            its_name, mandatory, position, pipeline = row if len(row) == 4 else [*row, "no"]
            if its_name != name:
                continue
            said = []
            if len(sets) > 1:
                said.append(f"ParameterSetName = '{one.get('name', number)}'")
            if mandatory:
                said.append("Mandatory = $true")
            if position is not None:
                said.append(f"Position = {position}")
            if "value" in pipeline:
                said.append("ValueFromPipeline = $true")
            if "name" in pipeline:
                said.append("ValueFromPipelineByPropertyName = $true")
            lines.append(f"[Parameter({', '.join(said)})]")
    return lines


def _type(facts: Row, enums: Mapping[str, list[str]]) -> str:
    """Validation attributes and the type of a parameter."""
    if facts.get("switch"):
        return "[switch]"
    checks = "".join(
        f"[{check if check.endswith(')') else check + '()'}]"
        for check in facts.get("checks", ())
        if check.startswith("Validate")
    )
    if facts.get("range"):
        checks += f"[ValidateRange({', '.join(facts['range'])})]"
    kind = str(facts["type"])
    nullable = kind.startswith(_NULLABLE)
    if nullable:
        kind = kind[len(_NULLABLE) : -1]
    base, tail = (kind[:-2], "[]") if kind.endswith("[]") else (kind, "")
    values = facts.get("values") or enums.get(base)
    if values:
        return f"{checks}[ValidateSet({_quoted(values)})][string{tail}]"
    base = _ODD.get(base, base)
    plain = base in _NET or base.lower() in _SHORT or base.startswith("System.")
    if plain or base.endswith("[]"):
        return f"{checks}[Nullable[{base}]]" if nullable else f"{checks}[{base}{tail}]"
    return f"{checks}[PSTypeName('Lab.{base.rpartition('.')[2]}')][object{tail}]"


def _quoted(values: Iterable[object]) -> str:
    return ",".join(f"'{value}'" for value in values)
