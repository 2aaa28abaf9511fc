Set-StrictMode -Version 3
$ErrorActionPreference = 'Stop'
if (-not (Get-Module -ListAvailable -Name Hyper-V)) { throw 'There is no Hyper-V here: Install-WindowsFeature -Name Hyper-V -IncludeManagementTools -Restart' }

# What is changed is noted here, with what was there before; the script that takes it back reads it.
$Notes = 'HKLM:\SOFTWARE\ec2gw'
if (-not (Test-Path -LiteralPath $Notes)) { $null = New-Item -Path $Notes -Force }
function Add-Note([string] $Name, [string] $Value) {
    if ($null -eq (Get-Item -LiteralPath $Notes).GetValue($Name)) { Set-ItemProperty -LiteralPath $Notes -Name $Name -Value $Value }
}

# 1. WinRM runs, and starts with the host.
Set-Service -Name WinRM -StartupType Automatic
Start-Service -Name WinRM

# 2. It listens: a listener that is there stays as it is.
$There = @(Get-ChildItem -Path WSMan:\localhost\Listener | Where-Object { $_.Keys -contains "Transport=$Scheme" })
if (-not $There.Count -and $Scheme -eq 'HTTP') {
    $null = New-Item -Path WSMan:\localhost\Listener -Transport HTTP -Address * -Port $Port -Force
    Add-Note 'Listener' $Scheme
}
if (-not $There.Count -and $Scheme -eq 'HTTPS') {
    # With a certificate for the name in the URL: the one that is valid longest, or a new one that signs itself.
    $Certificate = Get-ChildItem -Path Cert:\LocalMachine\My | Where-Object { $_.HasPrivateKey -and $_.NotAfter -gt (Get-Date) -and @($_.DnsNameList | ForEach-Object { $_.Unicode }) -contains $ComputerName } | Sort-Object -Property NotAfter | Select-Object -Last 1
    if ($null -eq $Certificate) {
        $Naming = @{ DnsName = $ComputerName }
        if ($ComputerName -as [System.Net.IPAddress]) { $Naming = @{ Subject = "CN=$ComputerName"; TextExtension = @("2.5.29.17={text}IPAddress=$ComputerName") } }
        $Certificate = New-SelfSignedCertificate @Naming -CertStoreLocation Cert:\LocalMachine\My -NotAfter (Get-Date).AddYears(2)
        Add-Note 'Certificate' $Certificate.Thumbprint
        Write-Output 'This certificate is new and signs itself: keep what follows in a file on the gateway, and name that with --ca-file.'
        Write-Output '-----BEGIN CERTIFICATE-----' ([System.Convert]::ToBase64String($Certificate.RawData, 'InsertLineBreaks')) '-----END CERTIFICATE-----'
    }
    $null = New-Item -Path WSMan:\localhost\Listener -Transport HTTPS -Address * -Port $Port -CertificateThumbPrint $Certificate.Thumbprint -Force
    Add-Note 'Listener' $Scheme
}

# 3. The firewall lets the gateway in, at that port alone.
Get-NetFirewallRule -Name 'ec2gw-winrm' -ErrorAction SilentlyContinue | Remove-NetFirewallRule
$null = New-NetFirewallRule -Name 'ec2gw-winrm' -DisplayName 'ec2gw (WinRM)' -Direction Inbound -Protocol TCP -LocalPort $Port -RemoteAddress $Gateways -Action Allow

# 4. The way to sign in is switched on.
$Way = "WSMan:\localhost\Service\Auth\$Authentication"
Add-Note "Auth $Authentication" (Get-Item -Path $Way).Value
Set-Item -Path $Way -Value $true
if ($Authentication -eq 'Certificate') { Write-Warning 'The client certificate has still to be mapped to the account: docs/hyperv.md, Ways in.' }

# 5. The account. One of this host is made if it is missing, and its password is asked for here.
$Local = $Account -notmatch '[\\@]'
if ($Local -and -not (Get-LocalUser | Where-Object { $_.Name -eq $Account })) {
    $null = New-LocalUser -Name $Account -Description 'ec2gw' -PasswordNeverExpires -UserMayNotChangePassword -Password (Read-Host -AsSecureString -Prompt "Password for $Account")
    Add-Note 'User' $Account
}
$Sid = ([System.Security.Principal.NTAccount] $Account).Translate([System.Security.Principal.SecurityIdentifier])
Add-Note 'Account' $Sid.Value
function Join-Group([string] $Group) {
    try { Add-LocalGroupMember -SID $Group -Member $Sid.Value; Add-Note "Member $Group" $Sid.Value }
    catch [Microsoft.PowerShell.Commands.MemberExistsException] { Write-Verbose "$Account is in $Group already" }
}
