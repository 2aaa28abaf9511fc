
# 6. Level 2: it manages Hyper-V, and nothing else of this host.
Join-Group 'S-1-5-32-578'    # Hyper-V Administrators
Join-Group 'S-1-5-32-580'    # Remote Management Users: CIM from a remote shell
Join-Group 'S-1-5-32-573'    # Event Log Readers: why a VM went off
# Remote shells are for administrators until this descriptor says otherwise.
$Place = 'WSMan:\localhost\Service\RootSDDL'
$Descriptor = [System.Security.AccessControl.CommonSecurityDescriptor]::new($false, $false, (Get-Item -Path $Place).Value)
$Descriptor.DiscretionaryAcl.AddAccess('Allow', $Sid, -1610612736, 'None', 'None')    # 0xA0000000: read and execute
Add-Note 'RootSDDL' $Sid.Value
Set-Item -Path $Place -Value $Descriptor.GetSddlForm('All') -Force
