#Requires -Version 5.1
# The agent: reads frames of calls, checks them, runs them, writes one answer each. It decides nothing, and no string is ever parsed as code.
# Started by a loader that hands over the two streams and this text; the first frame configures it: {root, modules, allowed: {cmdlet: [parameters]}, paths: {cmdlet: [parameters]}}.
param(
    [Parameter(Mandatory = $true)][System.IO.TextReader] $Reader,
    [Parameter(Mandatory = $true)][System.IO.TextWriter] $Writer,
    [string] $Text = '',
    [int] $Lanes = 2,
    [int] $Silence = 120
)
Set-StrictMode -Version 3
$ErrorActionPreference = 'Stop'
$MaxLine = 1MB; $MaxText = 8MB
$MaxAsk = 2MB                                              # ConvertFrom-Json of 5.1 takes no more characters; what is larger is told, whatever the version
# 5.1 writes some arrays as {value, Count} while they have that alias (PowerShell#3222).
if ($PSVersionTable.PSVersion.Major -lt 6) { Remove-TypeData -TypeName System.Array }

# ---- what runs inside a lane (a runspace of the pool): functions only, no state but their arguments and where the root is
$library = {
    # JSON value -> argument. {"$ref": "vm"} all live objects of an earlier call, {"$ref": "vm", "at": 0, "property": "Id"} one of them or of its properties,
    # {"$cim": "uint32[]", "value": [1]} a number of that width, as WMI methods want it, {"$path": "images/a.vhdx"} a place below the root.
    function ConvertTo-Argument($Value, [hashtable] $Live) {
        if ($Value -is [pscustomobject]) {
            $table = @{}
            foreach ($p in $Value.PSObject.Properties) { $table[$p.Name] = $p.Value }      # .Properties.Name fails on {} in strict mode
            if ($table.ContainsKey('$ref')) {
                foreach ($key in $table.get_Keys()) { if ('$ref', 'at', 'property' -cnotcontains $key) { throw [System.ArgumentException]::new("a reference has no '$key'") } }
                if (-not $Live.ContainsKey($table['$ref'])) { throw [System.ArgumentException]::new("no result named '$($table['$ref'])'") }
                $found = $Live[$table['$ref']]
                if ($table.ContainsKey('at')) {
                    if ($table['at'] -isnot [int] -and $table['at'] -isnot [long] -or $table['at'] -lt 0 -or $table['at'] -ge $found.Count) { throw [System.ArgumentException]::new("no object $($table['at']) in '$($table['$ref'])'") }
                    $found = $found[$table['at']]
                }
                elseif ($found.Count -eq 0) { throw [System.ArgumentException]::new("nothing in '$($table['$ref'])'") }
                if ($table.ContainsKey('property')) { foreach ($step in $table['property'].Split('.')) { $found = $found.$step } }
                return , $found
            }
            if ($table.ContainsKey('$cim')) {
                if ($table.Count -ne 2 -or $null -eq $table['value']) { throw [System.ArgumentException]::new('a WMI value is {$cim, value}') }
                $types = @{ 'boolean' = [bool]; 'uint8' = [byte]; 'uint16' = [uint16]; 'uint32' = [uint32]; 'uint64' = [uint64]; 'sint8' = [sbyte]; 'sint16' = [int16]; 'sint32' = [int]; 'sint64' = [long]; 'string' = [string]; 'datetime' = [datetime] }
                $base = $table['$cim'] -creplace '\[\]\z', ''
                if (-not $types.ContainsKey($base)) { throw [System.ArgumentException]::new("no WMI type '$($table['$cim'])'") }
                $fits = @([int], [long], [decimal], [bigint])
                if ($base -ceq 'boolean') { $fits = @([bool]) }
                if ('string', 'datetime' -ccontains $base) { $fits = @([string]) }
                if ($base -ceq $table['$cim'] -and $table['value'] -is [array]) { throw [System.ArgumentException]::new("not one $base") }
                $made = foreach ($one in @($table['value'])) {
                    if ($null -eq $one -or $fits -notcontains $one.GetType()) { throw [System.ArgumentException]::new("not a $base") }
                    [System.Management.Automation.LanguagePrimitives]::ConvertTo($one, $types[$base], [System.Globalization.CultureInfo]::InvariantCulture)
                }
                if ($base -ceq $table['$cim']) { return , @($made)[0] }
                $list = [array]::CreateInstance($types[$base], @($made).Count)
                for ($i = 0; $i -lt $list.Length; $i++) { $list[$i] = @($made)[$i] }
                return , $list
            }
            if ($table.ContainsKey('$path')) { return [System.IO.Path]::Combine($AgentRoot, $table['$path'].Replace('/', [string] [System.IO.Path]::DirectorySeparatorChar)) }
            foreach ($name in @($table.get_Keys())) { $table[$name] = ConvertTo-Argument $table[$name] $Live }
            return $table
        }
        if ($Value -is [array]) {
            $list = [System.Collections.Generic.List[object]]::new()
            foreach ($item in $Value) {
                $one = ConvertTo-Argument $item $Live
                if ($item -is [pscustomobject] -and $one -is [array]) { $list.AddRange([object[]] $one) } else { $list.Add($one) }
            }
            return , $list.ToArray()
        }
        return , $Value
    }

    # An enumeration by its name, whichever overload takes it for a number; all else by the invariant culture.
    function ConvertTo-Text($Value) {
        if ($Value -is [System.Enum]) { return $Value.ToString() }
        [System.Convert]::ToString($Value, [System.Globalization.CultureInfo]::InvariantCulture)
    }

    # "Uptime.TotalSeconds:int" of an object -> a flat JSON value, by the invariant culture
    function Get-Flat($Object, [string] $Take) {
        $path, $cast = $Take.Split(':')
        $value = $Object
        foreach ($step in $path.Split('.')) {
            if ($null -eq $value) { break }
            if ($step -ne '') { $value = $value.$step }
        }
        if ($cast -eq 'texts') { return , [string[]]@(foreach ($one in $value) { ConvertTo-Text $one }) }
        if ($null -eq $value) { return $null }
        switch ($cast) {
            'int' { return [System.Convert]::ToInt64($value, [System.Globalization.CultureInfo]::InvariantCulture) }
            'bool' { return [bool] $value }
            'time' { return ([datetime] $value).ToUniversalTime().ToString('o', [System.Globalization.CultureInfo]::InvariantCulture) }
            default { return ConvertTo-Text $value }
        }
    }

    function Get-Failure([System.Management.Automation.ErrorRecord] $Record) {
        $codes = [System.Collections.Generic.List[string]]::new()
        $one = $Record.Exception
        while ($null -ne $one) { $codes.Add('0x{0:X8}' -f $one.HResult); $one = $one.InnerException }
        [ordered]@{
            id = $Record.FullyQualifiedErrorId; category = $Record.CategoryInfo.Category.ToString(); activity = $Record.CategoryInfo.Activity; target = $Record.CategoryInfo.TargetName
            kind = $Record.Exception.GetType().FullName; hresult = $codes.ToArray(); text = $Record.Exception.Message
        }
    }

    # What a path parameter takes: a place below the root, or a property of an earlier result (Get-Place looks at its value). The journal is nobody's business.
    function Test-Place($Value, [string] $Where) {
        $refuse = { param($why) throw [System.UnauthorizedAccessException]::new($why) }
        $table = @{}
        if ($Value -is [pscustomobject]) { foreach ($p in $Value.PSObject.Properties) { $table[$p.Name] = $p.Value } }
        if (-not $table.ContainsKey('$path')) {
            if (-not $table.ContainsKey('$ref') -or -not $table.ContainsKey('property')) { & $refuse "no path: $Where" }
            return
        }
        foreach ($key in $table.get_Keys()) { if ($key -cne '$path') { & $refuse 'a path is {$path}' } }
        if ($table['$path'] -isnot [string]) { & $refuse 'a path is {$path}' }
        foreach ($part in $table['$path'].Split('/')) {
            if ($part -cnotmatch '^[A-Za-z0-9]([A-Za-z0-9._-]{0,98}[A-Za-z0-9_-])?\z' -or $part -match '^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|\z)') { & $refuse "no place below the root: $($table['$path'])" }
        }
        if ($table['$path'] -match '^journal([./]|\z)') { & $refuse 'the journal is no place' }
    }
    function Test-NoPlace($Value) {
        if ($Value -is [pscustomobject]) {
            foreach ($p in $Value.PSObject.Properties) {
                if ($p.Name -eq '$path') { throw [System.UnauthorizedAccessException]::new('no path goes there') }
                Test-NoPlace $p.Value
            }
        }
        if ($Value -is [array]) { foreach ($one in $Value) { Test-NoPlace $one } }
    }

    # The whole plan is checked before its first call: names by ordinal comparison, abbreviations and common parameters refused, results named before they are used.
    function Test-Call($Call, [hashtable] $Allowed, [hashtable] $Paths, [hashtable] $Named) {
        $refuse = { param($why) throw [System.UnauthorizedAccessException]::new($why) }
        $has = @{}
        foreach ($p in $Call.PSObject.Properties) {
            if ('do', 'with', 'as', 'take' -cnotcontains $p.Name) { & $refuse "a call has no '$($p.Name)'" }
            $has[$p.Name] = $p.Value
        }
        if ($has['do'] -isnot [string] -or -not $Allowed.ContainsKey($has['do'])) { & $refuse "not allowed: $($has['do'])" }
        if ($has['with'] -isnot [pscustomobject]) { & $refuse 'arguments go by name' }
        foreach ($p in $has['with'].PSObject.Properties) {
            if (-not $Allowed[$has['do']].Contains($p.Name)) { & $refuse "not allowed: $($has['do']) -$($p.Name)" }
            if ($Paths.ContainsKey($has['do']) -and $Paths[$has['do']].Contains($p.Name)) {
                if ($null -eq $p.Value -and $has['do'] -ceq 'Hyper-V\Set-VMDvdDrive') { continue }      # no path at all ejects a disc
                if (@($p.Value).Count -eq 0) { & $refuse "no path: $($has['do']) -$($p.Name)" }
                foreach ($one in @($p.Value)) { Test-Place $one "$($has['do']) -$($p.Name)" }
            }
            else { Test-NoPlace $p.Value }
        }
        if ($has.ContainsKey('as')) {
            if ($has['as'] -isnot [string] -or $Named.ContainsKey($has['as'])) { & $refuse 'a result has a name of its own' }
            $Named[$has['as']] = $true
        }
        if ($has.ContainsKey('take')) {
            if (-not $has.ContainsKey('as') -or $has['take'] -isnot [pscustomobject]) { & $refuse 'what is taken has a result and is named' }
            foreach ($p in $has['take'].PSObject.Properties) { if ($p.Value -isnot [string] -or $p.Value -cnotmatch '^[A-Za-z0-9_.]*:(text|int|bool|time|texts)\z') { & $refuse "no such property and cast: $($p.Value)" } }
        }
    }

    function Invoke-Calls($Calls, [hashtable] $Allowed, [hashtable] $Paths) {
        Set-StrictMode -Version 3
        $ErrorActionPreference = 'Stop'
        $ProgressPreference = 'SilentlyContinue'
        $live = [System.Collections.Hashtable]::new([System.StringComparer]::Ordinal)
        $warned = [System.Collections.Generic.List[string]]::new()
        $answer = [ordered]@{ ok = $true; done = 0; results = [ordered]@{}; warnings = @() }
        $stage = 'check'
        try {
            $named = [System.Collections.Hashtable]::new([System.StringComparer]::Ordinal)
            foreach ($call in $Calls) { Test-Call $call $Allowed $Paths $named }
            foreach ($call in $Calls) {
                $stage = 'call'
                $with = ConvertTo-Argument $call.with $live
                if ($Paths.ContainsKey($call.do)) { foreach ($name in @($with.get_Keys())) { if ($Paths[$call.do].Contains($name) -and $null -ne $call.with.$name) { $with[$name] = Get-Place $with[$name] } } }
                $do = $call.do -creplace '^Agent\\', ''             # our own functions have no module
                $out = @(& $do @with -ErrorAction Stop -WarningAction SilentlyContinue -WarningVariable told 6>$null 5>$null 4>$null)
                foreach ($w in $told) { $warned.Add([string] $w) }
                $answer.done++                                  # the effect is there, whatever becomes of the projection
                $stage = 'projection'
                $names = @(foreach ($p in $call.PSObject.Properties) { $p.Name })
                if ($names -contains 'as') { $live[$call.as] = $out }
                if ($names -contains 'take') {
                    $answer.results[$call.as] = @(foreach ($object in $out) {
                            $flat = [ordered]@{}
                            foreach ($p in $call.take.PSObject.Properties) { $flat[$p.Name] = Get-Flat $object $p.Value }
                            $flat
                        })
                }
            }
        }
        catch {
            $answer.ok = $false
            $answer.stage = $stage
            $answer.error = Get-Failure $_
        }
        $answer.warnings = $warned.ToArray()
        $answer
    }

    # What the hello tells of the host. What cannot be told is null or absent, never a reason not to start.
    function Get-Fact([hashtable] $Allowed, [string[]] $Modules, [string[]] $Own) {
        $ErrorActionPreference = 'Stop'
        $facts = @{ host = [System.Environment]::MachineName; boot = $null; modules = [ordered]@{}; missing = @() }
        try { $facts.host = (Get-ItemProperty -LiteralPath 'HKLM:\SOFTWARE\Microsoft\Cryptography' -Name 'MachineGuid').MachineGuid } catch { $null = $_ }
        try { $facts.boot = ([datetime] (CimCmdlets\Get-CimInstance -ClassName Win32_OperatingSystem).LastBootUpTime).ToUniversalTime().ToString('o', [System.Globalization.CultureInfo]::InvariantCulture) } catch { $null = $_ }
        foreach ($name in $Modules) { foreach ($found in @(Get-Module -Name $name)) { $facts.modules[$name] = $found.Version.ToString() } }
        $facts.missing = [string[]] @(foreach ($do in $Allowed.get_Keys()) { if ($Own -cnotcontains $do -and -not @(Get-Command -Name $do -ErrorAction Ignore).Count) { $do } })
        $facts
    }

    # ---- the journal's parts that both the main loop and a lane need
    # A line carries its digest: the first 8 hex digits, upper case, of SHA-256 over its text.
    function Get-Digest([string] $Text) {
        $sha = [System.Security.Cryptography.SHA256]::Create()
        try { [System.BitConverter]::ToString($sha.ComputeHash([System.Text.Encoding]::UTF8.GetBytes($Text)), 0, 4).Replace('-', '') } finally { $sha.Dispose() }
    }
    function Add-Digest([string[]] $Lines) { -join @(foreach ($line in $Lines) { "$line $(Get-Digest $line)`n" }) }
    function New-Knowledge { @{ begun = @{}; ended = @{}; floor = @{}; epoch = [long] 0; name = ''; serial = 0; damaged = 0 } }
    # What the whole lines of a text say. Torn: its writer died in it, so what it announced never began. Anything else that does not hold is damage.
    function Read-Lines([string] $Text, [hashtable] $Into) {
        foreach ($line in $Text.Substring(0, $Text.LastIndexOf([char] 10) + 1).Split("`n")) {
            if ($line -ceq '' -or $line.EndsWith(' torn', [System.StringComparison]::Ordinal)) { continue }
            $word = $line.Split(' ')
            if ($word.Length -ne 4 -or (Get-Digest ($word[0..2] -join ' ')) -cne $word[3]) { $Into.damaged++; continue }
            switch -CaseSensitive ($word[0]) {
                'J1' { $Into.name = $word[1]; $Into.serial = [int] $word[2] }
                'B' { $Into.begun[$word[1]] = $word[2] }
                'E' { $Into.ended[$word[1]] = $word[2] }
                'G' { $Into.floor[$word[1]] = [System.Math]::Max([long] $word[2], [long] $Into.floor[$word[1]]) }
                'P' { $Into.epoch = [System.Math]::Max([long] $word[2], $Into.epoch) }
                default { $Into.damaged++ }
            }
        }
    }
    function Open-Alone([string] $Path, [string] $Then = 'None') { [System.IO.FileStream]::new($Path, [System.IO.FileMode]::OpenOrCreate, [System.IO.FileAccess]::ReadWrite, [System.IO.FileShare]::None, 1, [System.IO.FileOptions] $Then) }
    function Use-Lock([string] $Journal, [scriptblock] $Body) {
        $waited = [System.Diagnostics.Stopwatch]::StartNew(); $lock = $null
        while ($null -eq $lock) { try { $lock = Open-Alone "$Journal.lock" } catch [System.IO.IOException] { if ($waited.ElapsedMilliseconds -gt 10000) { throw }; Start-Sleep -Milliseconds 2 } }
        try { & $Body } finally { $lock.Dispose() }
    }
    function Test-Alive([string] $Journal, [string] $Agent) {
        try { (Open-Alone "$Journal.$Agent" 'DeleteOnClose').Dispose(); $false } catch [System.IO.IOException], [System.UnauthorizedAccessException] { $true }
    }

    # files.ps1 stands here.

    # transfer.ps1 stands here.

    # identity.ps1 stands here.

    # console.ps1 stands here.
}

# ---- frames: RS, length and digest of the body, body = base64 of gzip of JSON, LF. ASCII only, whatever the code page.
# The digest is that of the journal's lines, over the body's ASCII text.
# GZipStream reads a cut stream without an error (seen), and a checksum loop in script costs 40 ms per 100 KB; SHA-256 is native.
. $library
function ConvertTo-Frame($Object) {
    $json = [System.Text.Encoding]::UTF8.GetBytes((ConvertTo-Json -InputObject $Object -Depth 8 -Compress))
    if ($json.Length -gt $MaxText) { throw [System.FormatException]::new('a message too long') }
    $buffer = [System.IO.MemoryStream]::new()
    $gzip = [System.IO.Compression.GZipStream]::new($buffer, [System.IO.Compression.CompressionMode]::Compress)
    $gzip.Write($json, 0, $json.Length)
    $gzip.Dispose()
    $body = [System.Convert]::ToBase64String($buffer.ToArray())
    [string] [char] 0x1e + "$($body.Length) $(Get-Digest $body) $body"
}
$json = @{}
if ((Get-Command ConvertFrom-Json).Parameters.ContainsKey('DateKind')) { $json.DateKind = 'String' }        # 7 turns ISO dates into DateTime, 5.1 does not
function ConvertFrom-Frame([string] $Line) {
    $seen.frame = $null
    if ($Line.Length -gt $MaxLine) { throw [System.FormatException]::new('frame too long') }
    $length, $digest, $body = $Line.Substring($Line.LastIndexOf([char] 0x1e) + 1).Split(' ')
    if ($body -isnot [string] -or $body.Length -ne [int] $length -or (Get-Digest $body) -cne $digest) { throw [System.FormatException]::new('cut or changed frame') }
    $seen.frame = $digest                                   # it came whole: should it not be readable, its sender is told which one
    $source = [System.IO.Compression.GZipStream]::new([System.IO.MemoryStream]::new([System.Convert]::FromBase64String($body)), [System.IO.Compression.CompressionMode]::Decompress)
    $text = [System.Text.StringBuilder]::new()
    $inflated = [System.IO.StreamReader]::new($source, [System.Text.Encoding]::UTF8)
    $piece = [char[]]::new(65536)
    while (($n = $inflated.Read($piece, 0, $piece.Length)) -gt 0) {
        $null = $text.Append($piece, 0, $n)
        if ($text.Length -gt $MaxAsk) { throw [System.FormatException]::new('frame inflates too far') }
    }
    , (ConvertFrom-Json -InputObject $text.ToString() @json)
}
function Send-Frame($Object) {
    try { $frame = ConvertTo-Frame $Object } catch { $frame = $null }
    if ($null -eq $frame -or $frame.Length -gt $MaxLine) { $frame = ConvertTo-Frame ([ordered]@{ id = $Object['id']; ok = $Object['ok']; done = $Object['done']; bad = 'answer' }) }   # done, but too large or odd to tell: look
    $Writer.Write($frame + "`n")
    $Writer.Flush()
}

# ---- the journal: what this host has been told, by any agent, so that nothing runs twice and nobody old runs at all.
# One file per root: its name and serial (J1), begins (B token agent), ends (E token outcome), floors of generations (G subject n), epochs (P - n).
$me = [guid]::NewGuid().ToString('N')
function Read-Journal {
    $file = [System.IO.FileStream]::new($journal, 'OpenOrCreate', 'Read', 'ReadWrite')
    try {
        $head = [byte[]]::new(50); $n = $file.Read($head, 0, $head.Length); $head = [System.Text.Encoding]::ASCII.GetString($head, 0, $n)
        if ($head -cne $seen.head -or $file.Length -lt $seen.at) { $seen.head = $head; $seen.at = [long] 0; $seen.damaged = 0 }     # another file: what was known stays known
        $null = $file.Seek($seen.at, 'Begin')
        $fresh = [System.IO.StreamReader]::new($file, [System.Text.Encoding]::ASCII, $false).ReadToEnd()
    }
    finally { $file.Dispose() }
    $seen.at += $fresh.LastIndexOf([char] 10) + 1
    Read-Lines $fresh $seen
}
function Write-Journal([string[]] $Lines) {
    $file = [System.IO.FileStream]::new($journal, 'OpenOrCreate', 'ReadWrite', 'ReadWrite')
    try {
        $text = ''
        if ($file.Length -eq 0) { $Lines = @("J1 $([guid]::NewGuid().ToString('N')) 00001") + $Lines }
        if ($file.Length -gt 0) { $null = $file.Seek(-1, 'End'); if ($file.ReadByte() -ne 10) { $text = " torn`n" } }
        $bytes = [System.Text.Encoding]::ASCII.GetBytes($text + (Add-Digest $Lines))
        $file.Write($bytes, 0, $bytes.Length)
        $file.Flush($true)
    }
    finally { $file.Dispose() }
}
function Use-Journal([scriptblock] $Do) {
    Read-Journal                                            # a long one is read before others have to wait
    Use-Lock $journal { Read-Journal; & $Do }
}
function Write-Ends {
    foreach ($token in @($owed.get_Keys())) {
        try { Use-Journal { Write-Journal @("E $token $($owed[$token])"); Read-Journal }; $owed.Remove($token) }
        catch [System.IO.IOException], [System.UnauthorizedAccessException] { return }            # kept, and tried again
    }
}

# ---- requests
function Get-Field($Request, [string] $Name, [string] $Pattern, [type[]] $Kind = @([string])) {
    $p = $Request.PSObject.Properties[$Name]
    if ($null -eq $p -or $null -eq $p.Value) { return $null }
    if ($Kind -contains $p.Value.GetType()) { } else { throw [System.FormatException]::new("bad $Name") }
    if ([System.Convert]::ToString($p.Value, [System.Globalization.CultureInfo]::InvariantCulture) -cnotmatch $Pattern) { throw [System.FormatException]::new("bad $Name") }
    $p.Value
}
function Receive-Request($Request) {
    if ($Request -isnot [pscustomobject]) { throw [System.FormatException]::new('a request is an object') }
    foreach ($p in $Request.PSObject.Properties) { if ('id', 'epoch', 'calls', 'token', 'subject', 'generation' -cnotcontains $p.Name) { throw [System.FormatException]::new("a request has no '$($p.Name)'") } }
    $id = Get-Field $Request 'id' '^[0-9]{1,15}\z' ([int], [long])
    $its = Get-Field $Request 'epoch' '^[0-9]{1,15}\z' ([int], [long])
    $token = Get-Field $Request 'token' '^[0-9a-f]{32}\z'
    $subject = Get-Field $Request 'subject' '^[a-z]{1,16}-[0-9a-f]{1,32}\z'
    $generation = Get-Field $Request 'generation' '^[0-9]{1,15}\z' ([int], [long])
    $calls = $Request.PSObject.Properties['calls']
    if ($null -eq $id -or $null -eq $its -or $null -eq $calls -or $calls.Value -isnot [array]) { throw [System.FormatException]::new('a request has id, epoch and calls') }
    if (($null -eq $subject) -ne ($null -eq $generation)) { throw [System.FormatException]::new('subject and generation go together') }
    $check = {
        if ($its -lt $seen.epoch) { return [ordered]@{ id = $id; ok = $false; refused = 'epoch'; seen = $seen.epoch } }
        if ($subject -and $null -ne $generation -and $generation -lt [long] $seen.floor[$subject]) { return [ordered]@{ id = $id; ok = $false; refused = 'generation'; seen = $seen.floor[$subject] } }
        if ($token -and $seen.ended.ContainsKey($token)) { return [ordered]@{ id = $id; ok = $false; refused = 'done'; outcome = $seen.ended[$token] } }
        if ($token -and $owed.ContainsKey($token)) { return [ordered]@{ id = $id; ok = $false; refused = 'done'; outcome = $owed[$token] } }
        if ($token -and $seen.begun.ContainsKey($token)) {
            $word = 'begun'; if ($seen.begun[$token] -ceq $me -or (Test-Alive $journal $seen.begun[$token])) { $word = 'running' }          # begun: whoever ran it died; look, then decide
            return [ordered]@{ id = $id; ok = $false; refused = $word }
        }
        if ($token -and $seen.damaged) { return [ordered]@{ id = $id; ok = $false; refused = 'damaged'; seen = $seen.damaged } }            # it may have been this one
        $lines = @()
        if ($its -gt $seen.epoch) { $lines += "P - $its" }
        if ($subject -and $null -ne $generation -and $generation -gt [long] $seen.floor[$subject]) { $lines += "G $subject $generation" }
        if ($token) { $lines += "B $token $me" }
        if ($lines.Count) { Write-Journal $lines; Read-Journal }
    }
    if ($token -or $subject -or $its -ne $seen.epoch) { $refusal = Use-Journal $check } else { Read-Journal; $refusal = & $check }
    $seen.mine = [System.Math]::Max($seen.mine, [long] $its)
    if ($refusal) { Send-Frame $refusal; return }
    $shell = [powershell]::Create()
    $shell.RunspacePool = $pool
    $null = $shell.AddCommand('Invoke-Calls').AddParameter('Calls', $calls.Value).AddParameter('Allowed', $allowed).AddParameter('Paths', $paths)
    $running.Add([pscustomobject]@{ Id = $id; Token = $token; Shell = $shell; Handle = $shell.BeginInvoke(); Since = [System.Diagnostics.Stopwatch]::StartNew() })
}
# Which of those that wait begins now. Plans with a token have all lanes but one: whoever only looks never waits for what takes minutes.
function Find-Next {
    if ($running.Count -gt $Lanes) { return -1 }
    $changing = @(foreach ($job in $running) { if ($job.Token) { $job } }).Count
    for ($at = 0; $at -lt $waiting.Count; $at++) {
        if ($changing -lt $Lanes -or $waiting[$at] -isnot [pscustomobject] -or $null -eq $waiting[$at].PSObject.Properties['token']) { return $at }
    }
    -1
}
function Complete-Lanes {
    foreach ($job in @($running.ToArray())) {
        if (-not $job.Handle.IsCompleted) { continue }
        $null = $running.Remove($job)
        try { $answer = $job.Shell.EndInvoke($job.Handle)[-1] } catch { $answer = [ordered]@{ ok = $false; done = 0; results = @{}; stage = 'agent'; error = [ordered]@{ id = 'Agent'; text = "$_" } } }
        $job.Shell.Dispose()
        if ($job.Token) { $owed[$job.Token] = 'failed'; if ($answer.ok) { $owed[$job.Token] = 'ok' }; Write-Ends }
        $answer.Insert(0, 'id', $job.Id)
        $answer.ms = $job.Since.ElapsedMilliseconds
        Send-Frame $answer
    }
}

# ---- consoles: what reads them beside the lanes
# Read-Consoles stands here.

# ---- start, loop, end
$seen = New-Knowledge                                       # an object, since `$script:` in a block that a loader runs is the loader's scope
$seen.mine = [long] 0; $seen.at = [long] 0; $seen.head = ''; $seen.frame = $null
$owed = @{}                                                 # ends that could not be written yet
function ConvertTo-Table($Object) {
    if ($Object -isnot [pscustomobject]) { throw [System.FormatException]::new('a table is an object') }
    $table = [System.Collections.Hashtable]::new([System.StringComparer]::Ordinal)
    foreach ($p in $Object.PSObject.Properties) {
        if ($p.Value -isnot [array]) { throw [System.FormatException]::new("not a list: $($p.Name)") }
        $table[$p.Name] = [System.Collections.Generic.HashSet[string]]::new([string[]] $p.Value, [System.StringComparer]::Ordinal)
    }
    $table
}
try {
    $setup = (ConvertFrom-Frame $Reader.ReadLine())
    if ($setup -isnot [pscustomobject]) { throw [System.FormatException]::new('the setup is an object') }
    if ((@(foreach ($p in $setup.PSObject.Properties) { $p.Name }) | Sort-Object) -join ' ' -cne 'allowed modules paths root') { throw [System.FormatException]::new('the setup has root, modules, allowed and paths') }
    if ($setup.modules -isnot [array]) { throw [System.FormatException]::new('not a list: modules') }
    $allowed = ConvertTo-Table $setup.allowed
    $paths = ConvertTo-Table $setup.paths
    $own = @('Complete-File', 'Compress-Journal', 'Get-Console', 'Get-ConsoleReader', 'Get-FileState', 'Get-Thumbnail', 'Get-Transfer', 'Move-File', 'New-Folder', 'Remove-Transfer', 'Remove-Tree', 'Set-VMIdentity', 'Start-ConsoleReader', 'Start-DiskCopy', 'Start-Transfer', 'Stop-ConsoleReader', 'Test-Root', 'Watch-Console', 'Write-FileChunk')
    foreach ($do in $allowed.get_Keys()) { if ($do -clike 'Agent\*' -and $own -cnotcontains $do.Substring(6)) { throw [System.FormatException]::new("no function of ours: $do") } }
    foreach ($do in $paths.get_Keys()) { if (-not $allowed.ContainsKey($do) -or -not $paths[$do].IsSubsetOf($allowed[$do])) { throw [System.FormatException]::new("a path of what is not allowed: $do") } }
    $AgentRoot = $setup.root
    $null = Initialize-Root
    $AgentOwner = Get-Owner
    $journal = [System.IO.Path]::Combine($AgentRoot, 'journal')
    $alive = Open-Alone "$journal.$me" 'DeleteOnClose'      # held while this process lives: others tell by it whether who began a token still runs
    Use-Journal { if ($seen.head -ceq '') { Write-Journal @(); Read-Journal } }
    $state = [System.Management.Automation.Runspaces.InitialSessionState]::CreateDefault()
    $state.ImportPSModule([string[]] $setup.modules)
    $state.Variables.Add([System.Management.Automation.Runspaces.SessionStateVariableEntry]::new('AgentRoot', $AgentRoot, ''))
    $state.Variables.Add([System.Management.Automation.Runspaces.SessionStateVariableEntry]::new('AgentOwner', $AgentOwner, ''))
    $inside = @('ConvertTo-Argument', 'ConvertTo-Text', 'Get-Flat', 'Get-Failure', 'Test-Place', 'Test-NoPlace', 'Test-Call', 'Invoke-Calls', 'Get-Fact', 'Get-Digest', 'Add-Digest', 'New-Knowledge', 'Read-Lines', 'Open-Alone', 'Use-Lock', 'Test-Alive')
    $inside += @('Stop-Call', 'Use-Disk', 'Get-Owner', 'Get-Place', 'Move-Over', 'Get-Sha256', 'Remove-Entry', 'Get-TaskPlace', 'Get-TaskFile', 'Get-EmbeddedText', 'Edit-VMSetting', 'Get-ConsolePlace', 'Test-ConsoleName', 'Remove-ConsoleTask')
    foreach ($name in $inside + $own) {
        $state.Commands.Add([System.Management.Automation.Runspaces.SessionStateFunctionEntry]::new($name, (Get-Item "function:$name").ScriptBlock.ToString()))
    }
    $pool = [System.Management.Automation.Runspaces.RunspaceFactory]::CreateRunspacePool(1, $Lanes + 1, $state, $Host)
    $pool.Open()
    $shell = [powershell]::Create()
    $shell.RunspacePool = $pool
    $facts = $shell.AddCommand('Get-Fact').AddParameter('Allowed', $allowed).AddParameter('Modules', [string[]] $setup.modules).AddParameter('Own', [string[]] @(foreach ($name in $own) { "Agent\$name" })).Invoke()[-1]
    $shell.Dispose()
}
catch {
    Send-Frame ([ordered]@{ bad = 'setup'; why = $_.Exception.Message })
    [System.Environment]::Exit(1)
}
$running = [System.Collections.Generic.List[object]]::new(); $waiting = [System.Collections.Generic.List[object]]::new()
$sum = [System.Security.Cryptography.SHA256]::Create()
Send-Frame ([ordered]@{
        hello = 1; version = $PSVersionTable.PSVersion.ToString(); mode = $ExecutionContext.SessionState.LanguageMode.ToString(); epoch = $seen.epoch
        host = $facts.host; boot = $facts.boot; modules = $facts.modules; missing = $facts.missing
        agent = [System.BitConverter]::ToString($sum.ComputeHash([System.Text.Encoding]::UTF8.GetBytes($Text))).Replace('-', '').ToLowerInvariant()
        limits = [ordered]@{ line = $MaxLine; text = $MaxText; lanes = $Lanes; silence = $Silence }; damaged = $seen.damaged; journal = $seen.name
    })
# The consoles of VMs are read beside the lanes, for as long as this process lives: by a runspace that knows nothing of frames, and that nobody waits for.
$beside = [System.Management.Automation.Runspaces.InitialSessionState]::CreateDefault()
$beside.Commands.Add([System.Management.Automation.Runspaces.SessionStateFunctionEntry]::new('Read-Consoles', (Get-Item 'function:Read-Consoles').ScriptBlock.ToString()))
$watchers = [System.Management.Automation.Runspaces.RunspaceFactory]::CreateRunspacePool(1, 1, $beside, $Host)
$watchers.Open()
$watcher = [powershell]::Create()
$watcher.RunspacePool = $watchers
$null = $watcher.AddCommand('Read-Consoles').AddParameter('Folder', [System.IO.Path]::Combine($AgentRoot, 'console')).BeginInvoke()
$next = $Reader.ReadLineAsync()
$looked = [System.Diagnostics.Stopwatch]::StartNew(); $heard = [System.Diagnostics.Stopwatch]::StartNew()
while ($true) {
    $handles = @(([System.IAsyncResult] $next).AsyncWaitHandle) + @(foreach ($job in $running) { $job.Handle.AsyncWaitHandle })
    $null = [System.Threading.WaitHandle]::WaitAny([System.Threading.WaitHandle[]] @($handles | Select-Object -First 60), 1000)
    if ($next.IsCompleted) {
        $line = $next.Result
        if ($null -eq $line) { break }
        $next = $Reader.ReadLineAsync()
        $heard.Restart()
        if ($line -ne '') {
            $request = $null; $told = [ordered]@{ bad = 'frame' }
            try {
                $request = ConvertFrom-Frame $line
                $told = [ordered]@{ id = $null; bad = 'request' }
                if ($request -is [pscustomobject] -and $request.PSObject.Properties['id']) { $told.id = $request.id }
                $waiting.Add($request)
            }
            catch { $told.why = $_.Exception.Message; if ($told.bad -ceq 'frame' -and $seen.frame) { $told.digest = $seen.frame }; Send-Frame $told }
        }
    }
    Complete-Lanes
    while (($at = Find-Next) -ge 0) {
        $request = $waiting[$at]; $waiting.RemoveAt($at); $told = [ordered]@{ id = $null; bad = 'request' }
        try { if ($request -is [pscustomobject] -and $request.PSObject.Properties['id']) { $told.id = $request.id }; Receive-Request $request }
        catch { $told.why = $_.Exception.Message; Send-Frame $told }
    }
    if ($looked.ElapsedMilliseconds -gt 1000) {
        try { Read-Journal } catch [System.IO.IOException], [System.UnauthorizedAccessException] { $null = $_ }
        Write-Ends
        $looked.Restart()
        if ($seen.mine -gt 0 -and $seen.epoch -gt $seen.mine) { break }                    # a newer driver is at work: leave the host to it
    }
    if ($heard.ElapsedMilliseconds -gt $Silence * 1000) { break }                           # a cut network leaves no orphan
}
foreach ($request in $waiting) { try { Send-Frame ([ordered]@{ id = $request.id; ok = $false; refused = 'ending' }) } catch { continue } }
$left = [System.Diagnostics.Stopwatch]::StartNew()
while ($running.Count -and $left.ElapsedMilliseconds -lt 60000) { Start-Sleep -Milliseconds 5; Complete-Lanes }
Write-Ends
$alive.Dispose()
[System.Environment]::Exit(0)                                                # a lane that never returns must not keep an old agent alive
