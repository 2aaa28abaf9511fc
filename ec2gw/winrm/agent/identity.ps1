# What a VM's firmware says of itself (SMBIOS), which no cmdlet sets; only while it is off. A host that takes no serial number of that length warns, and is obeyed.
# Sources: ModifySystemSettings of Msvm_VirtualSystemManagementService, Msvm_VirtualSystemSettingData (BIOSGUID, BIOSSerialNumber, ChassisAssetTag), CIM_ConcreteJob (JobState: 2 to 4 under way, 7 completed).
# No host has run this yet.
function Edit-VMSetting([string] $Name, [hashtable] $Values) {
    $space = 'root\virtualization\v2'
    $system = @(CimCmdlets\Get-CimInstance -Namespace $space -ClassName 'Msvm_ComputerSystem' -Filter "Name='$Name'")
    if ($system.Count -ne 1) { Stop-Call 'VMNotFound' 'ObjectNotFound' ([System.InvalidOperationException]::new("$($system.Count) VMs are $Name")) }
    # By this association: the settings that the VM has now, and no checkpoint's.
    $settings = CimCmdlets\Get-CimAssociatedInstance -InputObject $system[0] -Association 'Msvm_SettingsDefineState' -ResultClassName 'Msvm_VirtualSystemSettingData'
    foreach ($one in $Values.get_Keys()) { $settings.$one = $Values[$one] }
    $service = CimCmdlets\Get-CimInstance -Namespace $space -ClassName 'Msvm_VirtualSystemManagementService'
    $said = CimCmdlets\Invoke-CimMethod -InputObject $service -MethodName 'ModifySystemSettings' -Arguments @{ SystemSettings = (Get-EmbeddedText $settings) }
    $code = [long] $said.ReturnValue
    if ($code -eq 4096) {
        $waited = [System.Diagnostics.Stopwatch]::StartNew()
        $job = CimCmdlets\Get-CimInstance -InputObject $said.Job
        while ($job.JobState -lt 5 -and $waited.ElapsedMilliseconds -lt 15000) {
            Start-Sleep -Milliseconds 20
            $job = CimCmdlets\Get-CimInstance -InputObject $said.Job
        }
        $code = 0
        if ($job.JobState -ne 7) { $code = [long] $job.ErrorCode; if ($code -eq 0) { $code = 4096 } }
    }
    if ($code -ne 0) { Stop-Call 'SettingsRefused' 'InvalidResult' ([System.InvalidOperationException]::new("ModifySystemSettings answered $code for $(@($Values.get_Keys()) -join ', ')")) }
}

function Set-VMIdentity {
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][guid] $Id, [Parameter(Mandatory = $true)][string] $AssetTag, [string] $BiosGuid = '', [string] $SerialNumber = '')
    $name = $Id.ToString().ToUpperInvariant()
    $values = @{ ChassisAssetTag = $AssetTag }
    if ($BiosGuid -ne '') { $values.BIOSGUID = "{$(([guid] $BiosGuid).ToString().ToUpperInvariant())}" }
    Edit-VMSetting $name $values
    if ($SerialNumber -eq '') { return }
    try { Edit-VMSetting $name @{ BIOSSerialNumber = $SerialNumber } }
    catch { Write-Warning -Message "the serial number was refused: $($_.FullyQualifiedErrorId), $($_.Exception.Message)" }
}
