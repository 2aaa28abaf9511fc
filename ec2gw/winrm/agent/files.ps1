# What no cmdlet offers: places below the root, files in pieces, trees, the root itself, the journal's compaction.
# Runs in the lanes beside the rest of the library; agent.ps1 says where it stands in the text that is sent. Of the variables only AgentRoot and AgentOwner are given.

function Stop-Call([string] $Id, [string] $Category, [System.Exception] $Cause) {
    throw [System.Management.Automation.ErrorRecord]::new($Cause, $Id, [System.Management.Automation.ErrorCategory] $Category, $null)
}

# An error of the file system, its own exception and code in front, named where callers tell it apart.
function Use-Disk([scriptblock] $Work) {
    try { & $Work }
    catch [System.IO.IOException] {
        $cause = $_.Exception
        while ($null -ne $cause.InnerException) { $cause = $cause.InnerException }
        switch ($cause.HResult -band 0xFFFF) {
            2 { Stop-Call 'FileNotFound' 'ObjectNotFound' $cause }
            3 { Stop-Call 'PathNotFound' 'ObjectNotFound' $cause }
            0x20 { Stop-Call 'FileInUse' 'ResourceBusy' $cause }
            0x21 { Stop-Call 'FileInUse' 'ResourceBusy' $cause }
            0x50 { Stop-Call 'FileExists' 'ResourceExists' $cause }
            0xB7 { Stop-Call 'FileExists' 'ResourceExists' $cause }
            0x70 { Stop-Call 'DiskFull' 'ResourceUnavailable' $cause }
            default { Stop-Call ($cause.GetType().Name) 'WriteError' $cause }
        }
    }
}

function Get-Owner {
    if ([System.Environment]::OSVersion.Platform -ne 'Win32NT') { return '' }                     # only where tests run
    [System.IO.Directory]::GetAccessControl($AgentRoot, [System.Security.AccessControl.AccessControlSections]::Owner).GetOwner([System.Security.Principal.SecurityIdentifier]).Value
}

# A path as it is about to be used, wherever it came from: canonical, below the root, no link on the way, and the root still whose it was.
function Get-Place($Value) {
    if ($Value -is [array]) { return , [object[]] @(foreach ($one in $Value) { Get-Place $one }) }
    $refuse = { param($why) throw [System.UnauthorizedAccessException]::new($why) }
    if ($Value -isnot [string] -or $Value -eq '') { & $refuse 'not a path' }
    $slash = [string] [System.IO.Path]::DirectorySeparatorChar
    $full = [System.IO.Path]::GetFullPath($Value)
    if ($full -cne $Value -or -not $full.StartsWith($AgentRoot + $slash, [System.StringComparison]::OrdinalIgnoreCase) -or $full.EndsWith($slash, [System.StringComparison]::Ordinal)) { & $refuse "not below the root: $Value" }
    if ((Get-Owner) -cne $AgentOwner) { & $refuse 'the root has another owner' }
    $at = $AgentRoot
    foreach ($part in @('') + $full.Substring($AgentRoot.Length + 1).Split([char[]] $slash)) {
        $at = [System.IO.Path]::Combine($at, $part)
        if (-not [System.IO.File]::Exists($at) -and -not [System.IO.Directory]::Exists($at)) { break }
        if (([System.IO.File]::GetAttributes($at) -band [System.IO.FileAttributes]::ReparsePoint) -ne 0) { & $refuse "a link: $at" }
    }
    $full
}

# The root as it must be before anything else: ours, local, canonical. A missing one is made, for the system, administrators and ourselves alone.
function Initialize-Root {
    if ($AgentRoot -isnot [string] -or $AgentRoot -cnotmatch '^([A-Za-z]:\\|/)[^\\/](.*[^\\/])?\z' -or [System.IO.Path]::GetFullPath($AgentRoot) -cne $AgentRoot) { throw [System.FormatException]::new("no local folder in its canonical form: $AgentRoot") }
    if ([System.Environment]::OSVersion.Platform -ne 'Win32NT') { return [System.IO.Directory]::CreateDirectory($AgentRoot) }
    $ours = @('S-1-5-18', 'S-1-5-32-544', [System.Security.Principal.WindowsIdentity]::GetCurrent().User.Value)
    if (-not [System.IO.Directory]::Exists($AgentRoot)) {
        $rights = [System.Security.AccessControl.DirectorySecurity]::new()
        $rights.SetAccessRuleProtection($true, $false)
        foreach ($one in $ours) {
            $who = [System.Security.Principal.SecurityIdentifier]::new($one)
            $rights.AddAccessRule([System.Security.AccessControl.FileSystemAccessRule]::new($who, [System.Security.AccessControl.FileSystemRights]::FullControl, [System.Security.AccessControl.InheritanceFlags] 'ContainerInherit, ObjectInherit', [System.Security.AccessControl.PropagationFlags]::None, [System.Security.AccessControl.AccessControlType]::Allow))
        }
        $null = [System.IO.Directory]::CreateDirectory($AgentRoot, $rights)
    }
    if ($ours -cnotcontains (Get-Owner)) { throw [System.UnauthorizedAccessException]::new("the root belongs to somebody else: $(Get-Owner)") }
}

function Move-Over([string] $From, [string] $To) {
    for ($try = 1; $true; $try++) {
        try {
            if ([System.IO.File]::Exists($To)) { [System.IO.File]::Replace($From, $To, [System.Management.Automation.Language.NullString]::Value) } else { [System.IO.File]::Move($From, $To) }
            return
        }
        catch [System.IO.IOException] {
            if ($try -ge 50) { throw }                    # whoever reads it now is done in a moment
            Start-Sleep -Milliseconds 20
        }
    }
}

function Get-Sha256([System.IO.Stream] $Stream) {
    $sha = [System.Security.Cryptography.SHA256]::Create()
    try { [System.BitConverter]::ToString($sha.ComputeHash($Stream)).Replace('-', '').ToLowerInvariant() } finally { $sha.Dispose() }
}

function Get-FileState {
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][string] $Path, [switch] $Hash)
    Use-Disk {
        $name = [System.IO.Path]::GetFileName($Path)
        if ([System.IO.Directory]::Exists($Path)) { return [pscustomobject] @{ Name = $name; Length = [long] 0; IsDirectory = $true; Sha256 = $null } }
        if (-not [System.IO.File]::Exists($Path)) { return }
        $state = @{ Name = $name; Length = [System.IO.FileInfo]::new($Path).Length; IsDirectory = $false; Sha256 = $null }
        if ($Hash) {
            $file = [System.IO.FileStream]::new($Path, [System.IO.FileMode]::Open, [System.IO.FileAccess]::Read, [System.IO.FileShare]::Read)
            try { $state.Sha256 = Get-Sha256 $file } finally { $file.Dispose() }
        }
        [pscustomobject] $state
    }
}

# One piece of a file that is being sent, into NAME.part, in any order. The same piece again changes nothing.
function Write-FileChunk {
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][string] $Path, [Parameter(Mandatory = $true)][long] $Offset, [Parameter(Mandatory = $true)][AllowEmptyString()][string] $Base64)
    try { $bytes = [System.Convert]::FromBase64String($Base64) } catch [System.FormatException] { Stop-Call 'BadChunk' 'InvalidArgument' $_.Exception }
    if ($Offset -lt 0 -or $bytes.Length -gt 65536) { Stop-Call 'BadChunk' 'InvalidArgument' ([System.ArgumentException]::new("$($bytes.Length) bytes at $Offset")) }
    $part = Get-Place "$Path.part"
    Use-Disk {
        $file = Open-Alone $part
        try {
            $null = $file.Seek($Offset, [System.IO.SeekOrigin]::Begin)
            $file.Write($bytes, 0, $bytes.Length)
            [pscustomobject] @{ Length = $file.Length }
        }
        finally { $file.Dispose() }
    }
}

# What was sent becomes the file, if it is whole; a file that is there already as wanted is success.
function Complete-File {
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][string] $Path, [Parameter(Mandatory = $true)][string] $Sha256, [Parameter(Mandatory = $true)][long] $Length)
    $part = Get-Place "$Path.part"
    Use-Disk {
        $there = Get-FileState -Path $Path -Hash
        if ($there -and -not $there.IsDirectory -and $there.Length -eq $Length -and $there.Sha256 -eq $Sha256) {
            [System.IO.File]::Delete($part)
            return [pscustomobject] @{ Length = $Length }
        }
        if (-not [System.IO.File]::Exists($part)) { Stop-Call 'FileNotFound' 'ObjectNotFound' ([System.InvalidOperationException]::new('nothing was sent')) }
        $file = Open-Alone $part
        try {
            if ($file.Length -gt $Length) { $file.SetLength($Length) }                            # what a longer, earlier attempt left
            $found = Get-Sha256 $file
            if ($file.Length -ne $Length -or $found -ne $Sha256) { Stop-Call 'BadDigest' 'InvalidData' ([System.InvalidOperationException]::new("$($file.Length) bytes of $Length, digest $found")) }
            $file.Flush($true)
        }
        finally { $file.Dispose() }
        Move-Over $part $Path
        [pscustomobject] @{ Length = $Length }
    }
}

# A file gets its final name, once and for all: nothing is overwritten. Under it, it can be read-only from the first moment.
function Move-File {
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][string] $Path, [Parameter(Mandatory = $true)][string] $Destination, [switch] $ReadOnly)
    Use-Disk {
        if ($ReadOnly) { [System.IO.File]::SetAttributes($Path, [System.IO.FileAttributes]::ReadOnly) }
        [System.IO.File]::Move($Path, $Destination)
    }
}

# An instance as text, as methods of WMI want one that is embedded.
function Get-EmbeddedText($Instance) {
    [System.Text.Encoding]::Unicode.GetString([Microsoft.Management.Infrastructure.Serialization.CimSerializer]::Create().Serialize($Instance, [Microsoft.Management.Infrastructure.Serialization.InstanceSerializationOptions]::None))
}

# A flat dynamic copy of a disk with all its parents, made by the management service: it goes on when this process ends. Answers the job to ask for.
# Sources: ConvertVirtualHardDisk of Msvm_ImageManagementService says which properties the new disk's settings must have, Msvm_VirtualHardDiskSettingData which numbers (Type 3 dynamic, Format 3 VHDX);
# openvmm's petri/src/vm/hyperv/hyperv.psm1 shows how the text of an embedded instance is made. No host has run this yet.
function Start-DiskCopy {
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][string] $Source, [Parameter(Mandatory = $true)][string] $Destination)
    # On ReFS, Windows Server 2025 copies a file by sharing its blocks: seconds, whatever its size. Of a disk with a parent that would be a part of it alone.
    $drive = [System.IO.DriveInfo]::new([System.IO.Path]::GetPathRoot($AgentRoot))
    if ($drive.DriveFormat -ceq 'ReFS' -and [System.Environment]::OSVersion.Version.Build -ge 26100 -and -not (Hyper-V\Get-VHD -Path $Source).ParentPath) {
        Use-Disk { [System.IO.File]::Copy($Source, $Destination) }
        return [pscustomobject] @{ Job = ''; Code = [long] 0 }
    }
    $class = CimCmdlets\Get-CimClass -Namespace 'root\virtualization\v2' -ClassName 'Msvm_VirtualHardDiskSettingData'
    $new = CimCmdlets\New-CimInstance -CimClass $class -ClientOnly -Property @{ Path = $Destination; Type = [uint16] 3; Format = [uint16] 3; BlockSize = [uint32] 0; LogicalSectorSize = [uint32] 0 }
    $service = CimCmdlets\Get-CimInstance -Namespace 'root\virtualization\v2' -ClassName 'Msvm_ImageManagementService'
    $said = CimCmdlets\Invoke-CimMethod -InputObject $service -MethodName 'ConvertVirtualHardDisk' -Arguments @{ SourcePath = $Source; VirtualDiskSettingData = (Get-EmbeddedText $new) }
    $job = $said.PSObject.Properties['Job']
    $id = ''
    if ($null -ne $job -and $null -ne $job.Value) { $id = $job.Value.InstanceID }
    [pscustomobject] @{ Job = $id; Code = [long] $said.ReturnValue }
}

# A link goes, what it points to stays.
function Remove-Entry([string] $Path) {
    $folder = [System.IO.Directory]::Exists($Path)
    if (-not $folder -and -not [System.IO.File]::Exists($Path)) { return }
    $is = [System.IO.File]::GetAttributes($Path)
    if (-not $folder) {
        if (($is -band [System.IO.FileAttributes]::ReadOnly) -ne 0) { [System.IO.File]::SetAttributes($Path, [System.IO.FileAttributes]::Normal) }
        [System.IO.File]::Delete($Path)
        return
    }
    if (($is -band [System.IO.FileAttributes]::ReparsePoint) -eq 0) { foreach ($one in [System.IO.Directory]::GetFileSystemEntries($Path)) { Remove-Entry $one } }
    [System.IO.Directory]::Delete($Path, $false)
}

function Remove-Tree {
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][string] $Path)
    Use-Disk { Remove-Entry $Path }
}

function New-Folder {
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][string] $Path)
    Use-Disk { $null = [System.IO.Directory]::CreateDirectory($Path) }
}

function Test-Root {
    [CmdletBinding()]
    param()
    $drive = [System.IO.DriveInfo]::new([System.IO.Path]::GetPathRoot($AgentRoot))
    $exists = [System.IO.Directory]::Exists($AgentRoot)
    $owner = ''
    if ($exists) { $owner = Get-Owner }
    [pscustomobject] @{ Root = $AgentRoot; Exists = $exists; Owner = $owner; FreeBytes = $drive.AvailableFreeSpace; FileSystem = $drive.DriveFormat }
}

# The journal without what the driver has acknowledged and without the damaged lines that it has looked at: as many as it says, or nothing happens.
# Floors and the epoch stay, and so does a token that runs, whatever was said of it. The file keeps its name; its serial tells readers that it is another one.
function Compress-Journal {
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][AllowEmptyCollection()][string[]] $Tokens, [int] $Damaged = 0)
    $path = [System.IO.Path]::Combine($AgentRoot, 'journal')
    Use-Lock $path {
        $known = New-Knowledge
        Read-Lines ([System.Text.Encoding]::ASCII.GetString([System.IO.File]::ReadAllBytes($path))) $known
        if ($known.damaged -ne $Damaged) { Stop-Call 'DamagedJournal' 'InvalidData' ([System.InvalidOperationException]::new("$($known.damaged) lines of the journal are damaged, not $Damaged")) }
        foreach ($token in $Tokens) {
            if (-not $known.ended.ContainsKey($token) -and $known.begun.ContainsKey($token) -and (Test-Alive $path $known.begun[$token])) { continue }
            $known.begun.Remove($token)
            $known.ended.Remove($token)
        }
        if ($known.name -eq '') { $known.name = [guid]::NewGuid().ToString('N') }
        $lines = [System.Collections.Generic.List[string]]::new()
        $lines.Add("J1 $($known.name) $(($known.serial % 99999 + 1).ToString('00000', [System.Globalization.CultureInfo]::InvariantCulture))")
        $lines.Add("P - $($known.epoch)")
        foreach ($subject in $known.floor.get_Keys()) { $lines.Add("G $subject $($known.floor[$subject])") }
        foreach ($token in $known.begun.get_Keys()) { $lines.Add("B $token $($known.begun[$token])") }
        foreach ($token in $known.ended.get_Keys()) { $lines.Add("E $token $($known.ended[$token])") }
        $bytes = [System.Text.Encoding]::ASCII.GetBytes((Add-Digest ($lines.ToArray())))
        $file = [System.IO.FileStream]::new("$path.new", [System.IO.FileMode]::Create, [System.IO.FileAccess]::Write, [System.IO.FileShare]::None)
        try { $file.Write($bytes, 0, $bytes.Length); $file.Flush($true) } finally { $file.Dispose() }
        Move-Over "$path.new" $path
        $kept = @(@($known.begun.get_Keys()) + @($known.ended.get_Keys()) | Select-Object -Unique)
        [pscustomobject] @{ Kept = $kept.Count }
    }
}
