
# 7. The root folder: for the system, administrators and the account alone.
$Made = -not (Test-Path -LiteralPath $Root)
if ($Made) { $null = New-Item -ItemType Directory -Path $Root; Add-Note 'Root' $Root }
$Rights = Get-Acl -LiteralPath $Root
$Owner = $Rights.GetOwner([System.Security.Principal.SecurityIdentifier]).Value
if (-not $Made -and 'S-1-5-18', 'S-1-5-32-544', $Sid.Value -notcontains $Owner) { throw "$Root belongs to somebody else, $Owner" }
if ($Made) {
    $Rights.SetAccessRuleProtection($true, $false)
    $Rights.SetOwner([System.Security.Principal.SecurityIdentifier] 'S-1-5-32-544')
}
foreach ($One in 'S-1-5-18', 'S-1-5-32-544', $Sid.Value) {
    $Rights.AddAccessRule([System.Security.AccessControl.FileSystemAccessRule]::new([System.Security.Principal.SecurityIdentifier] $One, 'FullControl', 'ContainerInherit, ObjectInherit', 'None', 'Allow'))
}
Set-Acl -LiteralPath $Root -AclObject $Rights
foreach ($One in 'images', 'instances') { $null = New-Item -ItemType Directory -Force -Path (Join-Path -Path $Root -ChildPath $One) }

# 8. The virtual switches that the configured networks name.
foreach ($One in $Switches) {
    if (Get-VMSwitch | Where-Object { $_.Name -eq $One }) { continue }
    if ($Adapter -eq '') { Write-Warning "There is no switch '$One'. Make it: New-VMSwitch -Name '$One' -NetAdapterName ADAPTER -AllowManagementOS `$false"; continue }
    $null = New-VMSwitch -Name $One -NetAdapterName $Adapter -AllowManagementOS $false    # interrupts that adapter's network
    Add-Note "Switch $One" $Adapter
    $Adapter = ''
}

Write-Output "Prepared. On the gateway: ec2gw host check $HostName, then: ec2gw doctor --live $HostName"
