"""A launch that fails at any of its calls, or after it was done: made anew, once, and whole."""

from __future__ import annotations

import pytest

from tests.faults.mishaps import Mishaps
from tests.faults.rig import Rig
from tests.faults.test_hosts import ZONE

_BEFORE = (
    "New-VHD New-VM Set-VMProcessor Set-VMMemory Remove-VMNetworkAdapter Add-VMNetworkAdapter "
    "Set-VMNetworkAdapterVlan Connect-VMNetworkAdapter Add-VMHardDiskDrive Set-VMFirmware Set-VM "
    "Agent\\Write-FileChunk Agent\\Complete-File Add-VMDvdDrive Set-VMComPort "
    "Agent\\Set-VMIdentity Start-VM"
)
_AFTER = (
    "New-VM Add-VMNetworkAdapter Add-VMHardDiskDrive Add-VMDvdDrive Agent\\Set-VMIdentity Set-VM "
    "Start-VM"
)


@pytest.mark.parametrize(
    ("cmdlet", "after"),
    [
        *(pytest.param(one, False, id=f"{one} fails") for one in _BEFORE.split()),
        *(pytest.param(one, True, id=f"{one} did it and fails") for one in _AFTER.split()),
    ],
)
def test_a_launch_that_fails_at_any_call_is_made_anew_and_whole(
    shared: tuple[Rig, Mishaps], cmdlet: str, after: bool
) -> None:
    gateway, mishaps = shared
    mishaps.german = True
    module = "" if "\\" in cmdlet else "Hyper-V\\"
    mishaps.fail(f"{module}{cmdlet}", "OperationFailed", after=after)
    (one,) = gateway.launch(1, **ZONE)
    gateway.wait("running", one)
    gateway.assert_exactly([one])
    (vm,) = gateway.vms()
    (nic,) = vm["nics"]
    assert (nic["switch"], nic["dhcp_guard"], nic["router_guard"]) == ("ec2gw", "On", "On")
    assert nic["name"].startswith("eni-")
    assert vm["disks"] == [f"C:\\ec2gw\\instances\\{one}\\root.vhdx"]
    with gateway.world.reading("lab-a") as session:
        [made] = session.vms()
        assert [session.file(dvd.path or "") is not None for dvd in made.dvds] == [True]
        assert made.asset_tag == "ec2gw"
        assert made.com_ports[0].endswith(one)
    assert mishaps.pending == 0
    gateway.ask("TerminateInstances", InstanceIds=[one])
    gateway.wait("terminated", one)
    assert gateway.vms() == []
    assert gateway.leftovers() == []
    assert mishaps.twice() == []
