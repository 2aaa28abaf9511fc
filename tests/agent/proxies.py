"""Writes PowerShell modules out of tests/data/agent/cmdlets.json: a function per cmdlet with its real parameter sets, whose body hands the bound call to a world in Python over a socket. Standard library only."""
import json, os

NET = {"String", "Int16", "Int32", "Int64", "UInt16", "UInt32", "UInt64", "Byte", "Boolean", "Guid", "TimeSpan", "DateTime", "Uri", "Char", "Hashtable", "Object", "Version", "Single", "Double"}
ODD = {"string": "String", "int": "Int32", "psobject": "Object", "PSObject": "Object", "pscredential": "Object", "PSCredential": "Object", "char": "Char", "IDictionary": "System.Collections.IDictionary", "StringCollection": "String[]"}
SHORT = {"string", "int", "int16", "int32", "int64", "long", "version", "single", "double", "object", "uint16", "uint32", "uint64", "byte", "bool", "guid", "timespan", "datetime", "char", "hashtable", "uri", "psobject"}
TAIL = r'''
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
    $bytes = [System.Text.Encoding]::UTF8.GetBytes((ConvertTo-Json -InputObject @{ name = $Name; set = $Set; with = $with } -Depth 6 -Compress) + "`n")
    $stream.Write($bytes, 0, $bytes.Length)
    $json = @{}; if ((Get-Command ConvertFrom-Json).Parameters.ContainsKey('DateKind')) { $json.DateKind = 'String' }
    $answer = ConvertFrom-Json @json ([System.IO.StreamReader]::new($stream, [System.Text.Encoding]::UTF8).ReadToEnd())
    $client.Dispose()
    foreach ($w in $answer.warnings) { Write-Warning $w }
    if ($answer.PSObject.Properties.Name -contains 'error') {
        $cause = [System.Management.Automation.RuntimeException]::new($answer.error.text)
        $record = [System.Management.Automation.ErrorRecord]::new($cause, $answer.error.id, [System.Management.Automation.ErrorCategory] $answer.error.category, $answer.error.target)
        throw $record
    }
    foreach ($object in $answer.objects) { $object.PSObject.TypeNames.Insert(0, $object.'#type'); $object }
}
function ConvertTo-Sent($Value) {
    if ($Value -is [switch]) { return [bool] $Value }
    if ($Value -is [pscustomobject] -and $Value.PSObject.Properties.Name -contains '#ref') { return @{ '#ref' = $Value.'#ref' } }
    if ($Value -is [System.Collections.IDictionary]) { $sent = @{}; foreach ($key in $Value.Keys) { $sent[$key] = ConvertTo-Sent $Value[$key] }; return $sent }
    if ($Value -is [array]) { return , @(foreach ($one in $Value) { ConvertTo-Sent $one }) }
    if ($Value -is [guid] -or $Value -is [timespan]) { return [string] $Value }
    return , $Value
}
'''

def net(p, enums):
    """-> validation attributes and type of a parameter"""
    if p.get("switch"):
        return "[switch]"
    checks = "".join("[%s]" % (c if c.endswith(")") else c + "()") for c in p.get("checks", ()) if c.startswith("Validate"))
    if p.get("range"): checks += "[ValidateRange(%s)]" % ", ".join(p["range"])
    t = p["type"]; null = t.startswith("System.Nullable["); t = t[16:-1] if null else t
    many = t.endswith("[]"); base = t[:-2] if many else t; tail = "[]" if many else ""
    values = p.get("values") or enums.get(base)
    if values:
        return checks + "[ValidateSet(%s)][string%s]" % (",".join("'%s'" % v for v in values), tail)
    base = ODD.get(base, base)
    if base in NET or base.lower() in SHORT or base.startswith("System.") or base.endswith("[]"):
        return checks + ("[Nullable[%s]]" % base if null else "[%s%s]" % (base, tail))
    return checks + "[PSTypeName('Lab.%s')][object%s]" % (base.split(".")[-1], tail)

def function(c, enums):
    out = ["function %s {" % c["name"]]
    bind = [] if not c.get("default_set") else ["DefaultParameterSetName = '%s'" % c["default_set"]]
    if c.get("should_process"): bind.append("SupportsShouldProcess = $true")
    out.append("    [CmdletBinding(%s)]\n    param(" % ", ".join(bind))
    params = []
    for name, p in c["parameters"].items():
        if name in ("WhatIf", "Confirm"): continue
        lines, rows = [], []
        for s in c["sets"]:
            for n, mandatory, position, pipe in (row if len(row) == 4 else row + ["no"] for row in s["parameters"]):
                if n != name: continue
                a = [] if len(c["sets"]) == 1 else ["ParameterSetName = '%s'" % s.get("name", c["sets"].index(s))]
                if mandatory: a.append("Mandatory = $true")
                if position is not None: a.append("Position = %d" % position)
                if "value" in pipe: a.append("ValueFromPipeline = $true")
                if "name" in pipe: a.append("ValueFromPipelineByPropertyName = $true")
                lines.append("[Parameter(%s)]" % ", ".join(a))
        if not lines: continue
        if p.get("aliases"): lines.append("[Alias(%s)]" % ",".join("'%s'" % a for a in p["aliases"]))
        params.append("        " + "".join(lines) + net(p, enums) + " $" + name)
    out.append(",\n".join(params)); out.append("    )")
    out.append("    process { Send-Call '%s' $PSCmdlet.ParameterSetName $PSBoundParameters }\n}" % c["name"])
    return "\n".join(out)

def write(cmdlets, folder, enums={}):
    names = {k: list(v["values"]) for k, v in enums.items()}
    for module in sorted({c["module"] for c in cmdlets}):
        path = os.path.join(folder, module); os.makedirs(path, exist_ok=True)
        chosen = [c for c in cmdlets if c["module"] == module]
        with open(os.path.join(path, module + ".psm1"), "w") as f:
            f.write("\n".join(function(c, names) for c in chosen) + TAIL + "Export-ModuleMember -Function %s\n" % ",".join(c["name"] for c in chosen))
    return len(cmdlets)

def table(which):
    """-> cmdlets, enums: 'recorded' = the 2019 reflection, '2016' = the 2016 one, else the documentation of that Windows Server version"""
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data", "agent", "cmdlets.json"), encoding="utf-8") as f: data = json.load(f)
    documented, enums = data["cmdlets"]["documented"], data["enums"]
    cim = [c for c in documented if c["module"] == "CimCmdlets"]
    if which == "recorded": return data["cmdlets"]["2019"] + cim, enums
    if which == "2016": return [dict(c, default_set="0") for c in data["cmdlets"]["2016"] if c["module"] == "Hyper-V"] + cim, {k.split(".")[-1]: v for k, v in enums.items()}
    return [c for c in documented if c["module"] == "Hyper-V" and which in c["versions"]] + cim, {}
