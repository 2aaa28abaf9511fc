Set-StrictMode -Version 3
$ErrorActionPreference = 'Stop'
$Notes = 'HKLM:\SOFTWARE\ec2gw'
if (-not (Test-Path -LiteralPath $Notes)) { throw 'Nothing is noted here: this host was not prepared by the script, or that was taken back already.' }
$Key = Get-Item -LiteralPath $Notes
function Get-Note([string] $Name) { [string] $Key.GetValue($Name) }

# 1. Not while there are instances: terminate them, or remove their VMs and folders, first.
$Instances = Join-Path -Path $Root -ChildPath 'instances'
if ((Test-Path -LiteralPath $Instances) -and @(Get-ChildItem -LiteralPath $Instances).Count) { throw "There are instances in $Instances." }

# 2. The firewall, and the listener if the script made it. Whoever is signed in by it is cut off.
Get-NetFirewallRule -Name 'ec2gw-winrm' -ErrorAction SilentlyContinue | Remove-NetFirewallRule
$Listener = Get-Note 'Listener'
if ($Listener -ne '') {
    Get-ChildItem -Path WSMan:\localhost\Listener | Where-Object { $_.Keys -contains "Transport=$Listener" } | ForEach-Object { Remove-Item -Path "WSMan:\localhost\Listener\$($_.Name)" -Recurse }
}
$Thumbprint = Get-Note 'Certificate'
if ($Thumbprint -ne '') { Get-ChildItem -Path Cert:\LocalMachine\My | Where-Object { $_.Thumbprint -eq $Thumbprint } | Remove-Item }

# 3. The ways to sign in, as they were.
foreach ($Name in @($Key.GetValueNames() | Where-Object { $_ -like 'Auth *' })) {
    Set-Item -Path "WSMan:\localhost\Service\Auth\$($Name.Substring(5))" -Value (Get-Note $Name)
}

# 4. The account's rights.
$Granted = Get-Note 'RootSDDL'
if ($Granted -ne '') {
    $Place = 'WSMan:\localhost\Service\RootSDDL'
    $Descriptor = [System.Security.AccessControl.CommonSecurityDescriptor]::new($false, $false, (Get-Item -Path $Place).Value)
    $Descriptor.PurgeAccessControl([System.Security.Principal.SecurityIdentifier] $Granted)
    Set-Item -Path $Place -Value $Descriptor.GetSddlForm('All') -Force
}
foreach ($Name in @($Key.GetValueNames() | Where-Object { $_ -like 'Member *' })) {
    Remove-LocalGroupMember -SID $Name.Substring(7) -Member (Get-Note $Name) -ErrorAction Continue
}
if (@($Key.GetValueNames()) -contains 'LocalAccountTokenFilterPolicy') {
    $Policies = 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System'
    $Before = Get-Note 'LocalAccountTokenFilterPolicy'
    if ($Before -eq '') { Remove-ItemProperty -LiteralPath $Policies -Name LocalAccountTokenFilterPolicy }
    else { $null = New-ItemProperty -LiteralPath $Policies -Name LocalAccountTokenFilterPolicy -PropertyType DWord -Value ([int] $Before) -Force }
}
$User = Get-Note 'User'
if ($User -ne '') { Get-LocalUser | Where-Object { $_.Name -eq $User } | Remove-LocalUser }

# 5. Switches that the script made, unless something is connected to them.
foreach ($Name in @($Key.GetValueNames() | Where-Object { $_ -like 'Switch *' })) {
    $Switch = $Name.Substring(7)
    if (@(Get-VMNetworkAdapter -All | Where-Object { $_.SwitchName -eq $Switch }).Count) { Write-Warning "The switch '$Switch' is in use and stays."; continue }
    Get-VMSwitch | Where-Object { $_.Name -eq $Switch } | Remove-VMSwitch -Force
}

# 6. The root folder: what ec2gw made there goes, images and whatever else is yours stays.
if (Test-Path -LiteralPath $Root) {
    foreach ($One in @(Get-ChildItem -LiteralPath $Root | Where-Object { $_.Name -match '^(journal(\..*)?|instances|tmp|doctor-[0-9a-f]+)$' })) { Remove-Item -LiteralPath $One.FullName -Recurse -Force }
    $Images = Join-Path -Path $Root -ChildPath 'images'
    if ((Test-Path -LiteralPath $Images) -and -not @(Get-ChildItem -LiteralPath $Images).Count) { Remove-Item -LiteralPath $Images }
    if ((Get-Note 'Root') -eq $Root -and -not @(Get-ChildItem -LiteralPath $Root).Count) { Remove-Item -LiteralPath $Root }
    else { Write-Warning "$Root stays: there is something of yours in it, or it was there before." }
}

# WinRM itself stays as it is: a server has it running from the start.
$Key.Close()
Remove-Item -LiteralPath $Notes
Write-Output "Taken back. On the gateway: ec2gw host remove $HostName"
