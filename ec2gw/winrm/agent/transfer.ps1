# Disks that go from host to host through the gateway's depot: each by a scheduled task, so that it goes on when this process ends. What it runs was put to tasks/transfer.ps1 before.
# Its definition holds nothing secret: the order, with its token, lies in a folder below the root, which only the system, administrators and ourselves read.
# The task's folder and its name on this host; two roots on one host have two names.
function Get-TaskPlace([string] $Name) {
    if ($Name -cnotmatch '^[a-z0-9-]{1,64}\z') { Stop-Call 'BadTransfer' 'InvalidArgument' ([System.ArgumentException]::new('no name of a transfer')) }
    $folder = Get-Place ([System.IO.Path]::Combine([System.IO.Path]::Combine($AgentRoot, 'tasks'), $Name))
    @{ folder = $folder; task = "$Name $(Get-Digest $AgentRoot)" }
}

function Get-TaskFile([string] $Folder, [string] $File) {
    $path = [System.IO.Path]::Combine($Folder, $File)
    if ([System.IO.File]::Exists($path)) { ConvertFrom-Json -InputObject ([System.IO.File]::ReadAllText($path)) }
}

function Start-Transfer {
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][string] $Name, [Parameter(Mandatory = $true)][long] $Generation, [Parameter(Mandatory = $true)][string] $Direction, [Parameter(Mandatory = $true)][string] $Path, [Parameter(Mandatory = $true)][string] $Url, [Parameter(Mandatory = $true)][string] $Certificate, [Parameter(Mandatory = $true)][string] $Token, [long] $Length = 0, [string] $Sha256 = '')
    $odd = @(
        if ('Send', 'Receive' -cnotcontains $Direction) { 'Direction' }
        if ($Url -cnotmatch '^https://[A-Za-z0-9.:\[\]-]+/files/[0-9]+\z') { 'Url' }
        if ($Certificate -cnotmatch '^[0-9a-f]{64}\z') { 'Certificate' }
        if ($Token -cnotmatch '^[0-9a-f]{64}\z') { 'Token' }
        if ($Sha256 -cnotmatch '^([0-9a-f]{64})?\z') { 'Sha256' }
    )
    if ($odd.Count -gt 0) { Stop-Call 'BadTransfer' 'InvalidArgument' ([System.ArgumentException]::new("odd: $odd")) }
    Remove-Transfer -Name $Name
    $place = Get-TaskPlace $Name
    $order = @{ generation = $Generation; direction = $Direction; path = $Path; url = $Url; certificate = $Certificate; token = $Token; length = $Length; sha256 = $Sha256 }
    Use-Disk {
        $null = [System.IO.Directory]::CreateDirectory($place.folder)
        [System.IO.File]::WriteAllText([System.IO.Path]::Combine($place.folder, 'order.json'), (ConvertTo-Json -Compress -InputObject $order))
        [System.IO.File]::WriteAllText([System.IO.Path]::Combine($place.folder, 'state.json'), (ConvertTo-Json -Compress -InputObject @{ generation = $Generation; state = 'Running'; done = 0; error = '' }))
    }
    # The working directory says which order: no text of ours becomes part of a command line.
    $action = ScheduledTasks\New-ScheduledTaskAction -Execute 'C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe' -Argument '-NoLogo -NoProfile -NonInteractive -ExecutionPolicy Bypass -File ..\transfer.ps1' -WorkingDirectory $place.folder
    $who = ScheduledTasks\New-ScheduledTaskPrincipal -UserId 'S-1-5-18' -LogonType ServiceAccount -RunLevel Highest
    $how = ScheduledTasks\New-ScheduledTaskSettingsSet -AllowStartIfOnBatteries -DontStopIfGoingOnBatteries -StartWhenAvailable -ExecutionTimeLimit ([System.TimeSpan]::FromDays(2))
    $null = ScheduledTasks\Register-ScheduledTask -TaskPath '\ec2gw\' -TaskName $place.task -Action $action -Principal $who -Settings $how -Force
    ScheduledTasks\Start-ScheduledTask -TaskPath '\ec2gw\' -TaskName $place.task
}

function Get-Transfer {
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][string] $Name)
    $place = Get-TaskPlace $Name
    $told = Get-TaskFile $place.folder 'state.json'
    if ($null -eq $told) { return }
    $state = $told.state
    $why = $told.error
    if ($state -ceq 'Running') {
        # A task that was ended from outside, by a restart of the host say, tells nothing. One that was just started may not run yet.
        $task = ScheduledTasks\Get-ScheduledTask -TaskPath '\ec2gw\' -TaskName $place.task -ErrorAction SilentlyContinue
        $age = [System.DateTime]::UtcNow.Subtract([System.IO.File]::GetLastWriteTimeUtc([System.IO.Path]::Combine($place.folder, 'state.json')))
        if (($null -eq $task -or 'Running', 'Queued' -notcontains [string] $task.State) -and $age.TotalSeconds -gt 30) { $state = 'Failed'; $why = 'the task ended without a word' }
    }
    [pscustomobject] @{ Generation = [long] $told.generation; State = $state; Done = [long] $told.done; Error = $why }
}

function Remove-Transfer {
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][string] $Name)
    $place = Get-TaskPlace $Name
    if ($null -ne (ScheduledTasks\Get-ScheduledTask -TaskPath '\ec2gw\' -TaskName $place.task -ErrorAction SilentlyContinue)) {
        ScheduledTasks\Stop-ScheduledTask -TaskPath '\ec2gw\' -TaskName $place.task
        ScheduledTasks\Unregister-ScheduledTask -TaskPath '\ec2gw\' -TaskName $place.task -Confirm:$false
    }
    $order = Get-TaskFile $place.folder 'order.json'
    Use-Disk {
        if ($null -ne $order -and $order.direction -ceq 'Receive') { Remove-Entry (Get-Place "$($order.path).part") }
        Remove-Entry $place.folder
    }
}
