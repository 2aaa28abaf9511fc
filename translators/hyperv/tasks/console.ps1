# Reads the serial consoles of VMs, and appends what their guests write to logs beside it: NAME.log, and NAME.log.old once that is full. The file "names" says whose, a line each.
# It runs in the agent, and as a task that outlives the link (resident). One reads at a time: who holds reader.lock; while a task holds task.lock, agents let go. No host has run this yet.
# A VM's worker process makes its pipe at each start of the VM and takes one client; whoever comes late has missed what was written before.
# Sources: Set-VMComPort; NamedPipeClientStream; what other readers of such pipes do (os-win: a reader per VM, 4 KB at a time, logs of 512 KB that are rotated).
function Read-Consoles {
    param([Parameter(Mandatory = $true)][string] $Folder, [switch] $Resident)
    Set-StrictMode -Version 3
    $ErrorActionPreference = 'Stop'
    $largest = 262144; $piece = 16384; $most = 10                # of a log file; of one read; attempts to connect in a round
    $alone = { param($Name) try { [System.IO.FileStream]::new([System.IO.Path]::Combine($Folder, $Name), 'OpenOrCreate', 'ReadWrite', 'None') } catch [System.IO.IOException], [System.UnauthorizedAccessException] { $null = $_ } }
    $list = [System.IO.Path]::Combine($Folder, 'names')
    $clock = [System.Diagnostics.Stopwatch]::StartNew()
    $looked = [long] -1000
    $mine = $null; $lock = $null; $names = @(); $known = [datetime]::MinValue
    $open = @{}                                             # name -> the connected pipe, its buffer, the read under way
    $later = @{}                                            # name -> not before, and the pause after that attempt
    while ($true) {
        try {
            if ($clock.ElapsedMilliseconds - $looked -ge 1000) {
                $looked = $clock.ElapsedMilliseconds
                if ($Resident) { if ($null -eq $mine) { $mine = & $alone 'task.lock' }; $may = $null -ne $mine }
                else { $free = & $alone 'task.lock'; $may = $null -ne $free; if ($may) { $free.Dispose() } }
                if ($may -and $null -eq $lock) { $lock = & $alone 'reader.lock'; $known = [datetime]::MinValue }
                if (-not $may -and $null -ne $lock) { $lock.Dispose(); $lock = $null }
                $before = $names
                if ($null -eq $lock) { $names = @() }
                else {
                    try {
                        $written = [System.IO.File]::GetLastWriteTimeUtc($list)
                        if ([System.IO.File]::Exists($list) -and $written -ne $known) { $names = @([System.IO.File]::ReadAllLines($list)); $known = $written }
                    }
                    catch [System.IO.IOException], [System.UnauthorizedAccessException] { $null = $_ }                 # being written: next time
                }
                if (-not [object]::ReferenceEquals($before, $names)) {
                    $wanted = [System.Collections.Hashtable]::new([System.StringComparer]::Ordinal)
                    foreach ($name in $names) { $wanted[$name] = $true }
                    foreach ($name in @($open.get_Keys())) { if (-not $wanted.ContainsKey($name)) { $open[$name].pipe.Dispose(); $open.Remove($name) } }
                    foreach ($name in @($later.get_Keys())) { if (-not $wanted.ContainsKey($name)) { $later.Remove($name) } }
                }
            }
            $left = $most
            foreach ($name in $names) {
                if ($left -le 0) { break }
                if ($open.ContainsKey($name)) { continue }
                $pause = 250
                if ($later.ContainsKey($name)) {
                    if ($later[$name].at -gt $clock.ElapsedMilliseconds) { continue }
                    $pause = [System.Math]::Min(5000, 2 * $later[$name].pause)
                }
                $left--
                # Whoever serves a pipe of that name learns who we are, and cannot act for us.
                $pipe = [System.IO.Pipes.NamedPipeClientStream]::new('.', $name, [System.IO.Pipes.PipeDirection]::InOut, [System.IO.Pipes.PipeOptions]::Asynchronous, [System.Security.Principal.TokenImpersonationLevel]::Identification)
                try {
                    $pipe.Connect(0)
                    $buffer = [byte[]]::new($piece)
                    $open[$name] = @{ pipe = $pipe; buffer = $buffer; read = $pipe.ReadAsync($buffer, 0, $piece) }
                    $later.Remove($name)
                }
                catch [System.TimeoutException], [System.IO.IOException], [System.UnauthorizedAccessException], [System.InvalidOperationException] {
                    $pipe.Dispose()
                    $later[$name] = @{ at = $clock.ElapsedMilliseconds + $pause; pause = $pause }
                }
            }
            $reads = [System.Threading.Tasks.Task[]] @(foreach ($one in $open.get_Values()) { $one.read })
            if ($reads.Count -gt 0) { $null = [System.Threading.Tasks.Task]::WaitAny($reads, 250) } else { Start-Sleep -Milliseconds 250 }
            foreach ($name in @($open.get_Keys())) {
                $one = $open[$name]
                if (-not $one.read.IsCompleted) { continue }
                $count = 0
                if (-not $one.read.IsFaulted -and -not $one.read.IsCanceled) { $count = $one.read.Result }
                $log = [System.IO.Path]::Combine($Folder, "$name.log")
                try {
                    if ($count -gt 0) {
                        if ([System.IO.File]::Exists($log) -and [System.IO.FileInfo]::new($log).Length + $count -gt $largest) { [System.IO.File]::Delete("$log.old"); [System.IO.File]::Move($log, "$log.old") }
                        $file = [System.IO.FileStream]::new($log, 'Append', 'Write', 'ReadWrite')
                        try { $file.Write($one.buffer, 0, $count) } finally { $file.Dispose() }
                    }
                }
                catch [System.IO.IOException], [System.UnauthorizedAccessException] { $null = $_ }                     # no room: this piece is lost, the guest goes on
                try { if ($count -gt 0) { $one.read = $one.pipe.ReadAsync($one.buffer, 0, $piece) } } catch [System.IO.IOException], [System.InvalidOperationException] { $count = 0 }
                if ($count -eq 0) {                               # the VM went off, or starts anew
                    $one.pipe.Dispose()
                    $open.Remove($name)
                    $later[$name] = @{ at = $clock.ElapsedMilliseconds + 250; pause = 125 }
                }
            }
            Start-Sleep -Milliseconds 20                          # what guests write never costs the host more than so many reads
        }
        catch {                                               # whatever it was: let go of all, and begin anew
            foreach ($one in $open.get_Values()) { $one.pipe.Dispose() }
            $open = @{}; $later = @{}; $names = @(); $known = [datetime]::MinValue
            Start-Sleep -Milliseconds 1000
        }
    }
}
