"""All that the agent on a host may run, and which parameters are places below our root.

The agent refuses whatever is not here; a test holds every plan and every row against this table.

Source: docs/architecture.md, "The host link".
"""

from __future__ import annotations

from typing import Final

MODULES: Final = ("Hyper-V", "CimCmdlets")
"""Loaded by the agent before it says hello; the others load by themselves."""

ALLOWED: Final[dict[str, tuple[str, ...]]] = {
    "Agent\\Complete-File": ("Path", "Sha256", "Length"),
    "Agent\\Compress-Journal": ("Tokens", "Damaged"),
    "Agent\\Get-Console": ("Name",),
    "Agent\\Get-ConsoleReader": (),
    "Agent\\Get-FileState": ("Path", "Hash"),
    "Agent\\Get-Thumbnail": ("Id", "Width", "Height"),
    "Agent\\Move-File": ("Path", "Destination", "ReadOnly"),
    "Agent\\New-Folder": ("Path",),
    "Agent\\Remove-Tree": ("Path",),
    "Agent\\Set-VMIdentity": ("Id", "AssetTag", "BiosGuid", "SerialNumber"),
    "Agent\\Start-ConsoleReader": ("Version",),
    "Agent\\Start-DiskCopy": ("Source", "Destination"),
    "Agent\\Stop-ConsoleReader": (),
    "Agent\\Get-Transfer": ("Name",),
    "Agent\\Remove-Transfer": ("Name",),
    "Agent\\Start-Transfer": (
        "Name",
        "Generation",
        "Direction",
        "Path",
        "Url",
        "Certificate",
        "Token",
        "Length",
        "Sha256",
    ),
    "Agent\\Test-Root": (),
    "Agent\\Watch-Console": ("Names", "Others"),
    "Agent\\Write-FileChunk": ("Path", "Offset", "Base64"),
    "CimCmdlets\\Get-CimInstance": ("ClassName", "Namespace", "Filter"),
    "CimCmdlets\\Invoke-CimMethod": ("InputObject", "MethodName", "Arguments"),
    "Hyper-V\\Add-VMDvdDrive": ("VM", "ControllerNumber", "ControllerLocation", "Path"),
    "Hyper-V\\Add-VMHardDiskDrive": (
        "VM",
        "ControllerType",
        "ControllerNumber",
        "ControllerLocation",
        "Path",
        "MaximumIOPS",
        "MinimumIOPS",
        "Passthru",
    ),
    "Hyper-V\\Add-VMNetworkAdapter": ("VM", "Name", "StaticMacAddress", "DeviceNaming", "Passthru"),
    "Hyper-V\\Add-VMNetworkAdapterExtendedAcl": (
        "VMNetworkAdapter",
        "Action",
        "Direction",
        "Weight",
        "LocalIPAddress",
        "RemoteIPAddress",
        "LocalPort",
        "RemotePort",
        "Protocol",
        "Stateful",
        "IdleSessionTimeout",
    ),
    "Hyper-V\\Checkpoint-VM": ("VM", "SnapshotName", "Passthru"),
    "Hyper-V\\Connect-VMNetworkAdapter": ("VMNetworkAdapter", "SwitchName"),
    "Hyper-V\\Get-VHD": ("Path",),
    "Hyper-V\\Get-VM": ("Id", "Name"),
    "Hyper-V\\Get-VMDvdDrive": ("VM", "ControllerNumber", "ControllerLocation"),
    "Hyper-V\\Get-VMHardDiskDrive": (
        "VM",
        "VMSnapshot",
        "ControllerType",
        "ControllerNumber",
        "ControllerLocation",
    ),
    "Hyper-V\\Get-VMHost": (),
    "Hyper-V\\Get-VMNetworkAdapter": ("VM", "VMName", "Name"),
    "Hyper-V\\Get-VMNetworkAdapterExtendedAcl": ("VMNetworkAdapter",),
    "Hyper-V\\Get-VMSnapshot": ("VM", "Id", "Name"),
    "Hyper-V\\Get-VMSwitch": (),
    "Hyper-V\\New-VHD": (
        "Path",
        "ParentPath",
        "Differencing",
        "Dynamic",
        "Fixed",
        "SizeBytes",
        "BlockSizeBytes",
    ),
    "Hyper-V\\New-VM": ("Name", "Generation", "MemoryStartupBytes", "NoVHD", "Path"),
    "Hyper-V\\Remove-VM": ("VM", "Force"),
    "Hyper-V\\Remove-VMHardDiskDrive": ("VMHardDiskDrive",),
    "Hyper-V\\Remove-VMNetworkAdapter": ("VMNetworkAdapter",),
    "Hyper-V\\Remove-VMSnapshot": ("VMSnapshot",),
    "Hyper-V\\Resize-VHD": ("Path", "SizeBytes"),
    "Hyper-V\\Remove-VMNetworkAdapterExtendedAcl": (
        "VMNetworkAdapter",
        "Direction",
        "Weight",
    ),
    "Hyper-V\\Restart-VM": ("VM", "Force"),
    "Hyper-V\\Set-VM": (
        "VM",
        "Notes",
        "AutomaticStartAction",
        "AutomaticStartDelay",
        "AutomaticStopAction",
        "CheckpointType",
    ),
    "Hyper-V\\Set-VMBios": ("VM", "StartupOrder"),
    "Hyper-V\\Set-VMComPort": ("VM", "Number", "Path"),
    "Hyper-V\\Set-VMDvdDrive": ("VMDvdDrive", "Path"),
    "Hyper-V\\Set-VMFirmware": ("VM", "EnableSecureBoot", "SecureBootTemplate", "FirstBootDevice"),
    "Hyper-V\\Set-VMHardDiskDrive": ("VMHardDiskDrive", "Path", "MaximumIOPS", "MinimumIOPS"),
    "Hyper-V\\Set-VMMemory": ("VM", "DynamicMemoryEnabled", "StartupBytes"),
    "Hyper-V\\Set-VMNetworkAdapter": (
        "VMNetworkAdapter",
        "MacAddressSpoofing",
        "DhcpGuard",
        "RouterGuard",
    ),
    "Hyper-V\\Set-VMNetworkAdapterVlan": ("VMNetworkAdapter", "Access", "VlanId", "Untagged"),
    "Hyper-V\\Set-VMProcessor": ("VM", "Count"),
    "Hyper-V\\Start-VM": ("VM",),
    "Hyper-V\\Stop-VM": ("VM", "TurnOff", "Force"),
    "Microsoft.PowerShell.Diagnostics\\Get-WinEvent": ("FilterHashtable", "MaxEvents"),
}

PATHS: Final[dict[str, tuple[str, ...]]] = {
    "Agent\\Complete-File": ("Path",),
    "Agent\\Get-FileState": ("Path",),
    "Agent\\Move-File": ("Path", "Destination"),
    "Agent\\New-Folder": ("Path",),
    "Agent\\Remove-Tree": ("Path",),
    "Agent\\Start-DiskCopy": ("Source", "Destination"),
    "Agent\\Start-Transfer": ("Path",),
    "Agent\\Write-FileChunk": ("Path",),
    "Hyper-V\\Add-VMDvdDrive": ("Path",),
    "Hyper-V\\Add-VMHardDiskDrive": ("Path",),
    "Hyper-V\\Get-VHD": ("Path",),
    "Hyper-V\\New-VHD": ("Path", "ParentPath"),
    "Hyper-V\\New-VM": ("Path",),
    "Hyper-V\\Resize-VHD": ("Path",),
    "Hyper-V\\Set-VMDvdDrive": ("Path",),
    "Hyper-V\\Set-VMHardDiskDrive": ("Path",),
}
"""Parameters that take a `Path` (or a property of an earlier result) and nothing else.

Set-VMDvdDrive takes None as well, which ejects. A COM port's Path is the name of a pipe, no place.
"""
