# What a VM shows and says: a picture of its screen, and the logs of its serial console, below <root>\console.
# A place of ours in the folder of the logs; a name is nothing but letters, digits and dashes.
function Get-ConsolePlace([string] $File) {
    Get-Place ([System.IO.Path]::Combine([System.IO.Path]::Combine($AgentRoot, 'console'), $File))
}

function Test-ConsoleName([string[]] $Names) {
    foreach ($name in $Names) { if ($name -cnotmatch '^[a-z0-9-]{1,64}\z') { Stop-Call 'BadConsole' 'InvalidArgument' ([System.ArgumentException]::new('no name of a console')) } }
}

# Whose consoles the reader reads, here or in its task, and of which others the logs stay. Again without harm.
function Watch-Console {
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][AllowEmptyCollection()][string[]] $Names, [Parameter(Mandatory = $true)][AllowEmptyCollection()][string[]] $Others)
    Test-ConsoleName ($Names + $Others)
    if ($Names.Count -gt 4096) { Stop-Call 'BadConsole' 'LimitsExceeded' ([System.ArgumentException]::new('more consoles than a host has VMs')) }
    $list = Get-ConsolePlace 'names'
    Use-Disk {
        $folder = [System.IO.Path]::GetDirectoryName($list)
        $null = [System.IO.Directory]::CreateDirectory($folder)
        $text = -join @(foreach ($name in $Names) { "$name`n" })
        if (-not [System.IO.File]::Exists($list) -or [System.IO.File]::ReadAllText($list) -cne $text) {
            [System.IO.File]::WriteAllText("$list.new", $text)
            Move-Over "$list.new" $list
        }
        $kept = [System.Collections.Hashtable]::new([System.StringComparer]::Ordinal)
        foreach ($name in $Names + $Others) { $kept[$name] = $true }
        foreach ($log in [System.IO.Directory]::GetFiles($folder, '*.log*')) {
            $name = [System.IO.Path]::GetFileName($log)
            if (-not $kept.ContainsKey($name.Substring(0, $name.IndexOf('.')))) { try { [System.IO.File]::Delete($log) } catch [System.IO.IOException] { continue } }      # being written: next time
        }
    }
}

# The last 64 KiB that were read of a console, as they came, and how long ago the last of it did. Nothing was: no object.
function Get-Console {
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][string] $Name)
    Test-ConsoleName $Name
    $log = Get-ConsolePlace "$Name.log"
    Use-Disk {
        $tail = [System.IO.MemoryStream]::new()
        $last = ''
        foreach ($path in "$log.old", $log) {
            if (-not [System.IO.File]::Exists($path)) { continue }
            $file = [System.IO.FileStream]::new($path, [System.IO.FileMode]::Open, [System.IO.FileAccess]::Read, [System.IO.FileShare] 'ReadWrite, Delete')
            try {
                $null = $file.Seek([System.Math]::Max([long] 0, $file.Length - 65536), [System.IO.SeekOrigin]::Begin)
                $file.CopyTo($tail)
            }
            finally { $file.Dispose() }
            $last = $path
        }
        if ($tail.Length -eq 0) { return }
        $bytes = $tail.ToArray()
        $from = [System.Math]::Max(0, $bytes.Length - 65536)
        [pscustomobject] @{ Base64 = [System.Convert]::ToBase64String($bytes, $from, $bytes.Length - $from); AgeSeconds = [long] [System.Math]::Max([System.Double] 0, [System.DateTime]::UtcNow.Subtract([System.IO.File]::GetLastWriteTimeUtc($last)).TotalSeconds) }
    }
}

# A picture of a VM's screen, RGB565, at most so wide and high and at most 640 by 480 pixels in all: that many a frame always holds. A VM that is off has no screen: 0 by 0.
# Sources: GetVirtualSystemThumbnailImage of Msvm_VirtualSystemManagementService (its TargetSystem is the settings' reference); Msvm_VideoHead, of which a generation 1 VM has several (openvmm). No host has run this yet.
function Get-Thumbnail {
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][string] $Id, [Parameter(Mandatory = $true)][int] $Width, [Parameter(Mandatory = $true)][int] $Height)
    if ($Id -cnotmatch '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\z' -or $Width -lt 16 -or $Height -lt 16) { Stop-Call 'BadThumbnail' 'InvalidArgument' ([System.ArgumentException]::new('no GUID, or no size')) }
    $space = 'root\virtualization\v2'
    $none = [pscustomobject] @{ Width = 0; Height = 0; Base64 = '' }
    $head = @(foreach ($one in @(CimCmdlets\Get-CimInstance -Namespace $space -ClassName 'Msvm_VideoHead' -Filter "SystemName = '$Id'")) { if ($one.CurrentHorizontalResolution -gt 0 -and $one.CurrentVerticalResolution -gt 0) { $one } })
    if ($head.Count -eq 0) { return $none }
    [System.Double] $wide = $head[0].CurrentHorizontalResolution
    [System.Double] $high = $head[0].CurrentVerticalResolution
    $scale = [System.Math]::Min([System.Double] 1, [System.Math]::Min([System.Math]::Min($Width / $wide, $Height / $high), [System.Math]::Sqrt(307200 / ($wide * $high))))
    $wide = [System.Math]::Max([System.Double] 4, [System.Math]::Floor($wide * $scale / 4) * 4)
    $high = [System.Math]::Max([System.Double] 1, [System.Math]::Floor($high * $scale))
    $settings = @(CimCmdlets\Get-CimInstance -Namespace $space -ClassName 'Msvm_VirtualSystemSettingData' -Filter "VirtualSystemIdentifier = '$Id' AND VirtualSystemType = 'Microsoft:Hyper-V:System:Realized'")
    if ($settings.Count -eq 0) { return $none }
    $service = CimCmdlets\Get-CimInstance -Namespace $space -ClassName 'Msvm_VirtualSystemManagementService'
    $said = CimCmdlets\Invoke-CimMethod -InputObject $service -MethodName 'GetVirtualSystemThumbnailImage' -Arguments @{ TargetSystem = $settings[0]; WidthPixels = [uint16] $wide; HeightPixels = [uint16] $high }
    if ($said.ReturnValue -ne 0) { Stop-Call 'NoThumbnail' 'NotSpecified' ([System.InvalidOperationException]::new("GetVirtualSystemThumbnailImage: $($said.ReturnValue)")) }
    $pixels = [byte[]] @($said.ImageData)
    if ($pixels.Length -eq 0) { return $none }
    [pscustomobject] @{ Width = [int] $wide; Height = [int] $high; Base64 = [System.Convert]::ToBase64String($pixels) }
}

# The reader as a scheduled task, which goes on when this process ends and begins with the host. What it runs was put to tasks/console-VERSION.ps1 before; its working directory says where it reads and writes.
function Start-ConsoleReader {
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][string] $Version)
    if ($Version -cnotmatch '^[0-9a-f]{16}\z') { Stop-Call 'BadConsole' 'InvalidArgument' ([System.ArgumentException]::new('no version')) }
    $there = @(Get-ConsoleReader)
    if ($there.Count -gt 0 -and $there[0].Version -ceq $Version -and $there[0].Running) { return }
    Remove-ConsoleTask $Version
    $task = (Get-TaskPlace 'console').task
    $told = Get-ConsolePlace 'version'
    Use-Disk {
        $null = [System.IO.Directory]::CreateDirectory([System.IO.Path]::GetDirectoryName($told))
        [System.IO.File]::WriteAllText($told, $Version)
    }
    $action = ScheduledTasks\New-ScheduledTaskAction -Execute 'C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe' -Argument "-NoLogo -NoProfile -NonInteractive -ExecutionPolicy Bypass -File ..\tasks\console-$Version.ps1" -WorkingDirectory ([System.IO.Path]::GetDirectoryName($told))
    $who = ScheduledTasks\New-ScheduledTaskPrincipal -UserId 'S-1-5-18' -LogonType ServiceAccount -RunLevel Highest
    $when = ScheduledTasks\New-ScheduledTaskTrigger -AtStartup
    $how = ScheduledTasks\New-ScheduledTaskSettingsSet -AllowStartIfOnBatteries -DontStopIfGoingOnBatteries -StartWhenAvailable -ExecutionTimeLimit ([System.TimeSpan]::Zero) -RestartCount 255 -RestartInterval ([System.TimeSpan]::FromMinutes(1))
    $null = ScheduledTasks\Register-ScheduledTask -TaskPath '\ec2gw\' -TaskName $task -Action $action -Principal $who -Trigger $when -Settings $how -Force
    ScheduledTasks\Start-ScheduledTask -TaskPath '\ec2gw\' -TaskName $task
}

function Get-ConsoleReader {
    [CmdletBinding()]
    param()
    $task = ScheduledTasks\Get-ScheduledTask -TaskPath '\ec2gw\' -TaskName (Get-TaskPlace 'console').task -ErrorAction SilentlyContinue
    if ($null -eq $task) { return }
    $told = Get-ConsolePlace 'version'
    $version = ''
    if ([System.IO.File]::Exists($told)) { $version = [System.IO.File]::ReadAllText($told) }
    [pscustomobject] @{ Version = $version; Running = 'Running', 'Queued' -contains [string] $task.State }
}

# The task and its scripts go, but the one of that version; the logs stay, and the agent reads again.
function Stop-ConsoleReader {
    [CmdletBinding()]
    param()
    Remove-ConsoleTask ''
}

function Remove-ConsoleTask([string] $But) {
    $task = (Get-TaskPlace 'console').task
    if ($null -ne (ScheduledTasks\Get-ScheduledTask -TaskPath '\ec2gw\' -TaskName $task -ErrorAction SilentlyContinue)) {
        ScheduledTasks\Stop-ScheduledTask -TaskPath '\ec2gw\' -TaskName $task
        ScheduledTasks\Unregister-ScheduledTask -TaskPath '\ec2gw\' -TaskName $task -Confirm:$false
    }
    $tasks = Get-Place ([System.IO.Path]::Combine($AgentRoot, 'tasks'))
    Use-Disk {
        Remove-Entry (Get-ConsolePlace 'version')
        if ([System.IO.Directory]::Exists($tasks)) { foreach ($script in [System.IO.Directory]::GetFiles($tasks, 'console-*.ps1')) { if ([System.IO.Path]::GetFileName($script) -cne "console-$But.ps1") { Remove-Entry $script } } }
    }
}
