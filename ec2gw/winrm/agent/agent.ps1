#Requires -Version 5.1
# The agent: reads frames of calls, checks them, runs them, writes one answer each. It decides nothing, and no string is ever parsed as code.
# Started by a loader that hands over the two streams; the first frame configures it: {root, modules, allowed: {cmdlet: [parameters]}}.
param(
    [Parameter(Mandatory = $true)][System.IO.TextReader] $Reader,
    [Parameter(Mandatory = $true)][System.IO.TextWriter] $Writer,
    [string] $Text = '',
    [int] $Lanes = 2
)
Set-StrictMode -Version 3
$ErrorActionPreference = 'Stop'
$MaxLine = 1MB; $MaxText = 8MB

# ---- what runs inside a lane (a runspace of the pool): functions only, no state but their arguments
$library = {
    # JSON value -> argument. {"$ref": "vm"} all live objects of an earlier call, {"$ref": "vm", "at": 0, "property": "Id"} one of them or of its properties,
    # {"$cim": "uint32[]", "value": [1]} a number of that width, as WMI methods want it.
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
                $made = foreach ($one in @($table['value'])) {
                    if ($null -eq $one -or $fits -notcontains $one.GetType()) { throw [System.ArgumentException]::new("not a $base") }
                    [System.Management.Automation.LanguagePrimitives]::ConvertTo($one, $types[$base], [System.Globalization.CultureInfo]::InvariantCulture)
                }
                if ($base -ceq $table['$cim']) { return , @($made)[0] }
                $list = [array]::CreateInstance($types[$base], @($made).Count)
                for ($i = 0; $i -lt $list.Length; $i++) { $list[$i] = @($made)[$i] }
                return , $list
            }
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

    # "Uptime.TotalSeconds:int" of an object -> a flat JSON value, by the invariant culture
    function Get-Flat($Object, [string] $Take) {
        $path, $cast = $Take.Split(':')
        $value = $Object
        foreach ($step in $path.Split('.')) {
            if ($null -eq $value) { break }
            if ($step -ne '') { $value = $value.$step }
        }
        if ($cast -eq 'texts') { return , [string[]]@(foreach ($one in $value) { [System.Convert]::ToString($one, [System.Globalization.CultureInfo]::InvariantCulture) }) }
        if ($null -eq $value) { return $null }
        switch ($cast) {
            'int' { return [System.Convert]::ToInt64($value, [System.Globalization.CultureInfo]::InvariantCulture) }
            'bool' { return [bool] $value }
            'time' { return ([datetime] $value).ToUniversalTime().ToString('o', [System.Globalization.CultureInfo]::InvariantCulture) }
            default { return [System.Convert]::ToString($value, [System.Globalization.CultureInfo]::InvariantCulture) }
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

    # The whole plan is checked before its first call: names by ordinal comparison, abbreviations and common parameters refused, results named before they are used.
    function Test-Call($Call, [hashtable] $Allowed, [hashtable] $Named) {
        $refuse = { param($why) throw [System.UnauthorizedAccessException]::new($why) }
        $has = @{}
        foreach ($p in $Call.PSObject.Properties) {
            if ('do', 'with', 'as', 'take' -cnotcontains $p.Name) { & $refuse "a call has no '$($p.Name)'" }
            $has[$p.Name] = $p.Value
        }
        if ($has['do'] -isnot [string] -or -not $Allowed.ContainsKey($has['do'])) { & $refuse "not allowed: $($has['do'])" }
        if ($has['with'] -isnot [pscustomobject]) { & $refuse 'arguments go by name' }
        foreach ($p in $has['with'].PSObject.Properties) { if (-not $Allowed[$has['do']].Contains($p.Name)) { & $refuse "not allowed: $($has['do']) -$($p.Name)" } }
        if ($has.ContainsKey('as')) {
            if ($has['as'] -isnot [string] -or $Named.ContainsKey($has['as'])) { & $refuse 'a result has a name of its own' }
            $Named[$has['as']] = $true
        }
        if ($has.ContainsKey('take')) {
            if (-not $has.ContainsKey('as') -or $has['take'] -isnot [pscustomobject]) { & $refuse 'what is taken has a result and is named' }
            foreach ($p in $has['take'].PSObject.Properties) { if ($p.Value -isnot [string] -or $p.Value -cnotmatch '^[A-Za-z0-9_.]*:(text|int|bool|time|texts)\z') { & $refuse "no such property and cast: $($p.Value)" } }
        }
    }

    function Invoke-Calls($Calls, [hashtable] $Allowed) {
        Set-StrictMode -Version 3
        $ErrorActionPreference = 'Stop'
        $ProgressPreference = 'SilentlyContinue'
        $live = [System.Collections.Hashtable]::new([System.StringComparer]::Ordinal)
        $warned = [System.Collections.Generic.List[string]]::new()
        $answer = [ordered]@{ ok = $true; done = 0; results = [ordered]@{}; warnings = @() }
        $stage = 'check'
        try {
            $named = [System.Collections.Hashtable]::new([System.StringComparer]::Ordinal)
            foreach ($call in $Calls) { Test-Call $call $Allowed $named }
            foreach ($call in $Calls) {
                $stage = 'call'
                $with = ConvertTo-Argument $call.with $live
                $out = @(& $call.do @with -ErrorAction Stop -WarningAction SilentlyContinue -WarningVariable told 6>$null 5>$null 4>$null)
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

    # files.ps1 stands here.
}

# ---- frames: RS, length and digest of the body, body = base64 of gzip of JSON, LF. ASCII only, whatever the code page.
# The digest is the first 8 hex digits, upper case, of SHA-256 over the body's ASCII text.
# GZipStream reads a cut stream without an error (seen), and a checksum loop in script costs 40 ms per 100 KB; SHA-256 is native.
$sha = [System.Security.Cryptography.SHA256]::Create()
function Get-Digest([string] $Text) { [System.BitConverter]::ToString($sha.ComputeHash([System.Text.Encoding]::UTF8.GetBytes($Text)), 0, 4).Replace('-', '') }
function ConvertTo-Frame($Object) {
    $json = [System.Text.Encoding]::UTF8.GetBytes((ConvertTo-Json -InputObject $Object -Depth 8 -Compress))
    $buffer = [System.IO.MemoryStream]::new()
    $gzip = [System.IO.Compression.GZipStream]::new($buffer, [System.IO.Compression.CompressionMode]::Compress)
    $gzip.Write($json, 0, $json.Length)
    $gzip.Dispose()
    $body = [System.Convert]::ToBase64String($buffer.ToArray())
    [char] 0x1e + "$($body.Length) $(Get-Digest $body) $body"
}
$json = @{}
if ((Get-Command ConvertFrom-Json).Parameters.ContainsKey('DateKind')) { $json.DateKind = 'String' }        # 7 turns ISO dates into DateTime, 5.1 does not
function ConvertFrom-Frame([string] $Line) {
    if ($Line.Length -gt $MaxLine) { throw [System.FormatException]::new('frame too long') }
    $length, $digest, $body = $Line.Substring($Line.LastIndexOf([char] 0x1e) + 1).Split(' ')
    if ($body -isnot [string] -or $body.Length -ne [int] $length -or (Get-Digest $body) -cne $digest) { throw [System.FormatException]::new('cut or changed frame') }
    $source = [System.IO.Compression.GZipStream]::new([System.IO.MemoryStream]::new([System.Convert]::FromBase64String($body)), [System.IO.Compression.CompressionMode]::Decompress)
    $text = [System.Text.StringBuilder]::new()
    $inflated = [System.IO.StreamReader]::new($source, [System.Text.Encoding]::UTF8)
    $piece = [char[]]::new(65536)
    while (($n = $inflated.Read($piece, 0, $piece.Length)) -gt 0) {
        $null = $text.Append($piece, 0, $n)
        if ($text.Length -gt $MaxText) { throw [System.FormatException]::new('frame inflates too far') }
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
# A line carries its digest; a torn or foreign line counts for nothing, and the next one starts on a line of its own.
$begun = @{}; $ended = @{}; $floor = @{}
$seen = @{ epoch = [long] 0; mine = [long] 0; at = [long] 0; head = '' }          # an object, since `$script:` in a block that a loader runs is the loader's scope
$me = [guid]::NewGuid().ToString('N')
function Read-Journal {
    $file = [System.IO.FileStream]::new($journal, 'OpenOrCreate', 'Read', 'ReadWrite')
    try {
        $head = [byte[]]::new(48); $n = $file.Read($head, 0, $head.Length); $head = [System.Text.Encoding]::ASCII.GetString($head, 0, $n)
        if ($head -cne $seen.head) { $seen.head = $head; $seen.at = [long] 0 }
        $null = $file.Seek($seen.at, 'Begin')
        $fresh = [System.IO.StreamReader]::new($file, [System.Text.Encoding]::ASCII, $false).ReadToEnd()
    }
    finally { $file.Dispose() }
    $whole = $fresh.LastIndexOf([char] 10) + 1
    $seen.at += $whole
    foreach ($line in $fresh.Substring(0, $whole).Split("`n")) {
        $word = $line.Split(' ')
        if ($word.Length -ne 4 -or (Get-Digest ($word[0..2] -join ' ')) -cne $word[3]) { continue }
        switch -CaseSensitive ($word[0]) {
            'B' { $begun[$word[1]] = $word[2] }
            'E' { $ended[$word[1]] = $word[2] }
            'G' { $floor[$word[1]] = [System.Math]::Max([long] $word[2], [long] $floor[$word[1]]) }
            'P' { $seen.epoch = [System.Math]::Max([long] $word[2], $seen.epoch) }
        }
    }
}
function Write-Journal([string] $Line) {
    $file = [System.IO.FileStream]::new($journal, 'OpenOrCreate', 'ReadWrite', 'ReadWrite')
    try {
        $text = "$Line $(Get-Digest $Line)`n"
        if ($file.Length -eq 0) { $text = "journal 1 $([guid]::NewGuid().ToString('N'))`n".PadLeft(49) + $text }
        if ($file.Length -gt 0) { $null = $file.Seek(-1, 'End'); if ($file.ReadByte() -ne 10) { $text = "`n" + $text } }
        $bytes = [System.Text.Encoding]::ASCII.GetBytes($text)
        $file.Write($bytes, 0, $bytes.Length)
        $file.Flush($true)
    }
    finally { $file.Dispose() }
}
function Open-Alone([string] $Path, [string] $Then = 'None') { [System.IO.FileStream]::new($Path, [System.IO.FileMode]::OpenOrCreate, [System.IO.FileAccess]::ReadWrite, [System.IO.FileShare]::None, 1, [System.IO.FileOptions] $Then) }
function Use-Journal([scriptblock] $Do) {
    $waited = [System.Diagnostics.Stopwatch]::StartNew(); $lock = $null
    while ($null -eq $lock) { try { $lock = Open-Alone "$journal.lock" } catch [System.IO.IOException] { if ($waited.ElapsedMilliseconds -gt 10000) { throw }; Start-Sleep -Milliseconds 2 } }
    try { Read-Journal; & $Do } finally { $lock.Dispose() }
}
function Test-Alive([string] $Agent) {
    if ($Agent -eq $me) { return $true }
    try { (Open-Alone "$journal.$Agent" 'DeleteOnClose').Dispose(); $false } catch [System.IO.IOException], [System.UnauthorizedAccessException] { $true }
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
        if ($subject -and $null -ne $generation -and $generation -lt [long] $floor[$subject]) { return [ordered]@{ id = $id; ok = $false; refused = 'generation'; seen = $floor[$subject] } }
        if ($token -and $ended.ContainsKey($token)) { return [ordered]@{ id = $id; ok = $false; refused = 'done'; outcome = $ended[$token] } }
        if ($token -and $begun.ContainsKey($token)) {
            $word = 'begun'; if (Test-Alive $begun[$token]) { $word = 'running' }          # begun: whoever ran it died; look, then decide
            return [ordered]@{ id = $id; ok = $false; refused = $word }
        }
        if ($its -gt $seen.epoch) { Write-Journal "P - $its" }
        if ($subject -and $null -ne $generation -and $generation -gt [long] $floor[$subject]) { Write-Journal "G $subject $generation" }
        if ($token) { Write-Journal "B $token $me" }
        if ($token -or $subject -or $its -ne $seen.epoch) { Read-Journal }
    }
    if ($token -or $subject -or $its -ne $seen.epoch) { $refusal = Use-Journal $check } else { Read-Journal; $refusal = & $check }
    $seen.mine = [System.Math]::Max($seen.mine, [long] $its)
    if ($refusal) { Send-Frame $refusal; return }
    $shell = [powershell]::Create()
    $shell.RunspacePool = $pool
    $null = $shell.AddCommand('Invoke-Calls').AddParameter('Calls', $calls.Value).AddParameter('Allowed', $allowed)
    $running.Add([pscustomobject]@{ Id = $id; Token = $token; Shell = $shell; Handle = $shell.BeginInvoke(); Since = [System.Diagnostics.Stopwatch]::StartNew() })
}
function Complete-Lanes {
    foreach ($job in @($running.ToArray())) {
        if (-not $job.Handle.IsCompleted) { continue }
        $null = $running.Remove($job)
        try { $answer = $job.Shell.EndInvoke($job.Handle)[-1] } catch { $answer = [ordered]@{ ok = $false; done = 0; results = @{}; stage = 'agent'; error = [ordered]@{ id = 'Agent'; text = "$_" } } }
        $job.Shell.Dispose()
        if ($job.Token) { $word = 'failed'; if ($answer.ok) { $word = 'ok' }; try { Use-Journal { Write-Journal "E $($job.Token) $word"; Read-Journal } } catch { $answer.journal = "$_" } }
        $answer.Insert(0, 'id', $job.Id)
        $answer.ms = $job.Since.ElapsedMilliseconds
        Send-Frame $answer
    }
}

# ---- start, loop, end
$setup = (ConvertFrom-Frame $Reader.ReadLine())
$allowed = [System.Collections.Hashtable]::new([System.StringComparer]::Ordinal)
foreach ($p in $setup.allowed.PSObject.Properties) { $allowed[$p.Name] = [System.Collections.Generic.HashSet[string]]::new([string[]] $p.Value, [System.StringComparer]::Ordinal) }
$null = [System.IO.Directory]::CreateDirectory($setup.root)
$journal = [System.IO.Path]::Combine($setup.root, 'journal')
$alive = Open-Alone "$journal.$me" 'DeleteOnClose'      # held while this process lives: others tell by it whether who began a token still runs
Use-Journal { $null }
$state = [System.Management.Automation.Runspaces.InitialSessionState]::CreateDefault()
$state.ImportPSModule([string[]] $setup.modules)
. $library
foreach ($name in 'ConvertTo-Argument', 'Get-Flat', 'Get-Failure', 'Test-Call', 'Invoke-Calls') {
    $state.Commands.Add([System.Management.Automation.Runspaces.SessionStateFunctionEntry]::new($name, (Get-Item "function:$name").ScriptBlock.ToString()))
}
$pool = [System.Management.Automation.Runspaces.RunspaceFactory]::CreateRunspacePool(1, $Lanes, $state, $Host)
$pool.Open()
$running = [System.Collections.Generic.List[object]]::new(); $waiting = [System.Collections.Generic.Queue[object]]::new()
Send-Frame ([ordered]@{ hello = 1; version = $PSVersionTable.PSVersion.ToString(); mode = $ExecutionContext.SessionState.LanguageMode.ToString(); epoch = $seen.epoch })
$next = $Reader.ReadLineAsync()
$looked = [System.Diagnostics.Stopwatch]::StartNew()
while ($true) {
    $handles = @(([System.IAsyncResult] $next).AsyncWaitHandle) + @(foreach ($job in $running) { $job.Handle.AsyncWaitHandle })
    $null = [System.Threading.WaitHandle]::WaitAny([System.Threading.WaitHandle[]] @($handles | Select-Object -First 60), 1000)
    if ($next.IsCompleted) {
        $line = $next.Result
        if ($null -eq $line) { break }
        $next = $Reader.ReadLineAsync()
        if ($line -ne '') {
            $request = $null; $told = [ordered]@{ bad = 'frame' }
            try {
                $request = ConvertFrom-Frame $line
                $told = [ordered]@{ id = $null; bad = 'request' }
                if ($request -is [pscustomobject] -and $request.PSObject.Properties['id']) { $told.id = $request.id }
                $waiting.Enqueue($request)
            }
            catch { $told.why = $_.Exception.Message; Send-Frame $told }
        }
    }
    Complete-Lanes
    while ($waiting.Count -and $running.Count -lt $Lanes) {
        $request = $waiting.Dequeue(); $told = [ordered]@{ id = $null; bad = 'request' }
        try { if ($request -is [pscustomobject] -and $request.PSObject.Properties['id']) { $told.id = $request.id }; Receive-Request $request }
        catch { $told.why = $_.Exception.Message; Send-Frame $told }
    }
    if ($looked.ElapsedMilliseconds -gt 1000) {
        try { Read-Journal } catch [System.IO.IOException], [System.UnauthorizedAccessException] { }
        $looked.Restart()
        if ($seen.mine -gt 0 -and $seen.epoch -gt $seen.mine) { break }                    # a newer driver is at work: leave the host to it
    }
}
foreach ($request in $waiting) { try { Send-Frame ([ordered]@{ id = $request.id; ok = $false; refused = 'ending' }) } catch { continue } }
$left = [System.Diagnostics.Stopwatch]::StartNew()
while ($running.Count -and $left.ElapsedMilliseconds -lt 60000) { Start-Sleep -Milliseconds 5; Complete-Lanes }
$alive.Dispose()
[System.Environment]::Exit(0)                                                # a lane that never returns must not keep an old agent alive
