
# 6. Level 1: it administers this host. The only level that Windows gives a remote shell to by itself.
Join-Group 'S-1-5-32-544'    # Administrators
if ($Local -and -not $Sid.Value.EndsWith('-500')) {
    # Else Windows takes a local administrator's rights away when it signs in over the network.
    $Policies = 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System'
    Add-Note 'LocalAccountTokenFilterPolicy' ([string] (Get-Item -LiteralPath $Policies).GetValue('LocalAccountTokenFilterPolicy'))
    $null = New-ItemProperty -LiteralPath $Policies -Name LocalAccountTokenFilterPolicy -PropertyType DWord -Value 1 -Force
}
