"""Simulated machines and their power: what cmdlets do, and what they refuse with which id."""

from __future__ import annotations

import datetime
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ec2gw.lab.agent.host import CmdletError, WmiValue
from ec2gw.lab.cmdlets import LabMachine
from ec2gw.lab.world import World
from tests.unit.lab_host import GIB, LINUX, ROOT, Bench, fails, guid


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "world.sqlite3")
    yield made
    made.world.close()


# -- finding machines


def test_get_vm_finds_by_id_by_name_and_all(bench: Bench) -> None:
    first, second = bench.create("i-1"), bench.create("i-2")
    assert bench.one("Get-VM", Id=str(first.property("Id"))).property("Name") == "i-1"
    assert bench.one("Get-VM", Name="I-2").property("Id") == second.property("Id")
    assert [vm.property("Name") for vm in bench("Get-VM")] == ["i-1", "i-2"]
    assert [vm.property("Name") for vm in bench("Get-VM", Name="i-?")] == ["i-1", "i-2"]


def test_two_machines_may_have_one_name(bench: Bench) -> None:
    bench.create("twin")
    other = bench.console.add_foreign_vm(bench.host, "twin")
    found = bench("Get-VM", Name="twin")
    assert len(found) == 2
    assert other in {str(vm.property("Id")) for vm in found}


def test_a_machine_that_is_not_there_is_an_error_and_a_pattern_without_match_is_none(
    bench: Bench,
) -> None:
    with fails("InvalidParameter", "InvalidArgument"):
        bench("Get-VM", Name="i-1")
    with fails("InvalidParameter", "InvalidArgument"):
        bench("Get-VM", Id=guid())
    assert bench("Get-VM", Name="i-*") == []


def test_an_object_of_a_removed_machine_is_good_for_nothing(bench: Bench) -> None:
    vm = bench.create("i-1")
    bench("Remove-VM", VM=vm, Force=True)
    with fails("ObjectNotFound", "ObjectNotFound"):
        bench("Set-VM", VM=vm, Notes="x")
    assert vm.property("IsDeleted") is True


def test_a_property_that_the_class_lacks_is_told_apart_from_one_without_a_model(
    bench: Bench,
) -> None:
    vm = bench.create("i-1")
    with pytest.raises(KeyError):
        vm.property("VMName")  # types.ps1xml adds it; the class has none
    with fails("NotSimulated", "NotImplemented"):
        vm.property("Groups")


# -- making and changing machines


def test_new_vm_makes_an_adapter_of_its_own_and_its_configuration(bench: Bench) -> None:
    vm = bench.create("i-1")
    (nic,) = bench("Get-VMNetworkAdapter", VM=vm)
    assert nic.property("Name") == "Network Adapter"
    assert nic.property("MacAddress") == "000000000000"
    assert nic.property("Connected") is False
    files = bench.world.snapshot()[bench.host]["files"]
    machine = str(vm.property("Id")).upper()
    assert rf"{ROOT}\instances\i-1\Virtual Machines\{machine}.vmcx" in files


def test_generation_1_has_a_dvd_drive_and_boots_from_ide(bench: Bench) -> None:
    image = bench.console.add_image(bench.host, "old.vhdx", generation=1)
    vm = bench.create("i-1", generation=1, image=image)
    (dvd,) = bench("Get-VMDvdDrive", VM=vm)
    assert dvd.property("ControllerNumber") == 1
    bench("Set-VMBios", VM=vm, StartupOrder=["IDE", "CD", "LegacyNetworkAdapter", "Floppy"])
    bench("Start-VM", VM=vm)
    bench.clock.advance(10)
    assert bench.show(vm, "Heartbeat") == ["OkApplicationsUnknown"]
    with fails("InvalidOperation"):
        bench("Set-VMFirmware", VM=vm, EnableSecureBoot="On")


def test_an_image_of_another_generation_does_not_come_up(bench: Bench) -> None:
    vm = bench.create("i-1", generation=1)
    bench("Start-VM", VM=vm)
    bench.clock.advance(600)
    assert bench.show(vm, "State", "Heartbeat") == ["Running", "NoContact"]


def test_the_wrong_secure_boot_template_runs_and_never_comes_up(bench: Bench) -> None:
    vm = bench.create("i-1")
    bench("Set-VMFirmware", VM=vm, EnableSecureBoot="On", SecureBootTemplate="MicrosoftWindows")
    bench("Start-VM", VM=vm)
    bench.clock.advance(600)
    assert bench.show(vm, "State", "Heartbeat") == ["Running", "NoContact"]


def test_set_vm_changes_what_it_says_and_shows_it(bench: Bench) -> None:
    vm = bench.create("i-1")
    assert bench("Set-VM", VM=vm, Notes="ours", AutomaticStartDelay=7) == []
    (shown,) = bench("Set-VM", VM=vm, CheckpointType="Disabled", Passthru=True)
    assert shown.property("Notes") == "ours"
    assert shown.property("AutomaticStartDelay") == 7
    assert bench.show(vm, "CheckpointType") == ["Disabled"]


@pytest.mark.parametrize(
    ("cmdlet", "arguments"),
    [
        ("Set-VMProcessor", {"Count": 4}),
        ("Set-VMMemory", {"StartupBytes": 2 * GIB}),
        ("Set-VMFirmware", {"EnableSecureBoot": "Off"}),
        ("Set-VM", {"ProcessorCount": 2}),
        ("Remove-VM", {"Force": True}),
    ],
)
def test_a_running_machine_refuses_what_needs_it_off(
    bench: Bench, cmdlet: str, arguments: dict[str, object]
) -> None:
    vm = bench.start("i-1")
    with fails("InvalidState", "InvalidOperation"):
        bench(cmdlet, VM=vm, **arguments)


def test_a_running_machine_takes_notes_and_a_new_name(bench: Bench) -> None:
    vm = bench.start("i-1")
    bench("Set-VM", VM=vm, Notes="ours")
    bench("Rename-VM", VM=vm, NewName="i-2")
    assert bench.show(vm, "Name", "Notes", "Path") == ["i-2", "ours", rf"{ROOT}\instances\i-1"]


@pytest.mark.parametrize("count", [0, 241])
def test_processors_beyond_the_generations_limit_are_refused(bench: Bench, count: int) -> None:
    vm = bench.create("i-1")
    with fails("InvalidParameter", "InvalidArgument"):
        bench("Set-VMProcessor", VM=vm, Count=count)


def test_memory_must_be_whole_and_in_range(bench: Bench) -> None:
    vm = bench.create("i-1")
    for startup in (GIB + 1, 13 * 1024 * GIB, 1024):
        with fails("InvalidParameter"):
            bench("Set-VMMemory", VM=vm, StartupBytes=startup)


def test_removing_a_machine_leaves_its_disks(bench: Bench) -> None:
    vm = bench.create("i-1")
    bench("Remove-VM", VM=vm, Force=True)
    files = bench.world.snapshot()[bench.host]["files"]
    assert rf"{ROOT}\instances\i-1\root.vhdx" in files
    assert not [name for name in files if name.endswith(".vmcx")]


# -- power


def test_a_start_takes_its_time_and_then_the_guest_comes_up(bench: Bench) -> None:
    vm = bench.create("i-1")
    bench("Start-VM", VM=vm)
    assert bench.show(vm, "State", "Heartbeat") == ["Running", "NoContact"]
    bench.clock.advance(5.1)
    assert bench.show(vm, "Heartbeat") == ["OkApplicationsUnknown"]
    uptime = bench.look(vm).property("Uptime")
    assert isinstance(uptime, datetime.timedelta)
    assert 5 <= uptime.total_seconds() <= 6


def test_another_caller_sees_a_start_under_way(bench: Bench) -> None:
    vm = bench.create("i-1")
    elsewhere = World(bench.path, clock=bench.clock)
    seen: list[str] = []
    sleep = bench.clock.sleep

    def look_and_sleep(seconds: float) -> None:
        (found,) = LabMachine(elsewhere, bench.host).invoke("Hyper-V\\Get-VM", {}).objects
        seen.append(found.property("State").name)  # type: ignore[attr-defined]
        sleep(seconds)

    bench.clock.sleep = look_and_sleep  # type: ignore[method-assign]
    bench("Start-VM", VM=vm)
    assert seen == ["Starting"]
    elsewhere.close()


def test_starting_a_running_machine_and_stopping_one_that_is_off_only_warn(bench: Bench) -> None:
    vm = bench.start("i-1")
    assert len(bench.invoke("Start-VM", VM=vm).warnings) == 1
    assert not bench.invoke("Stop-VM", VM=vm, TurnOff=True).warnings
    assert len(bench.invoke("Stop-VM", VM=vm, TurnOff=True).warnings) == 1
    assert bench.state(vm) == "Off"


def test_a_start_without_memory_leaves_the_machine_off(bench: Bench) -> None:
    vm = bench.create("i-1", memory=8 * GIB)
    bench.console.press_memory(bench.host, 6)
    with fails("OutOfMemory", hresult="0x8007000E"):
        bench("Start-VM", VM=vm)
    assert bench.state(vm) == "Off"
    bench.console.press_memory(bench.host, 0)
    bench("Start-VM", VM=vm)
    assert bench.state(vm) == "Running"


def test_more_processors_than_the_host_has_do_not_start(bench: Bench) -> None:
    vm = bench.create("i-1")
    bench("Set-VMProcessor", VM=vm, Count=9)
    with fails("Unspecified", "NotSpecified", "0x800705AA"):
        bench("Start-VM", VM=vm)


def test_a_broken_chain_does_not_start(bench: Bench) -> None:
    vm = bench.create("i-1")
    bench.console.delete_file(bench.host, LINUX)
    with fails("OperationFailed", hresult="0x80070002"):
        bench("Start-VM", VM=vm)
    assert bench.state(vm) == "Off"


def test_two_machines_on_one_disk_cannot_both_run(bench: Bench) -> None:
    first, second = bench.create("i-1"), bench.create("i-2")
    (drive,) = bench("Get-VMHardDiskDrive", VM=second)
    bench("Set-VMHardDiskDrive", VMHardDiskDrive=drive, Path=rf"{ROOT}\instances\i-1\root.vhdx")
    bench("Start-VM", VM=first)
    with fails("OperationFailed", hresult="0x80070020"):
        bench("Start-VM", VM=second)


def test_a_backup_that_holds_the_disk_keeps_the_machine_from_starting(bench: Bench) -> None:
    vm = bench.create("i-1")
    bench.console.lock_file(bench.host, rf"{ROOT}\instances\i-1\root.vhdx", 60)
    with fails("OperationFailed", hresult="0x80070020"):
        bench("Start-VM", VM=vm)
    bench.clock.advance(61)
    bench("Start-VM", VM=vm)


def test_the_guest_is_asked_to_shut_down_once_it_is_up(bench: Bench) -> None:
    vm = bench.create("i-1")
    bench("Start-VM", VM=vm)
    assert bench.ask(vm, "InitiateShutdown") == 32780
    bench.clock.advance(6)
    assert bench.ask(vm, "InitiateShutdown") == 0
    assert bench.ask(vm, "InitiateShutdown") == 32782
    assert bench.state(vm) == "Stopping"
    bench.clock.advance(3.1)
    assert bench.show(vm, "State", "Heartbeat") == ["Off", "None"]


def test_a_machine_that_is_off_has_no_shutdown_component(bench: Bench) -> None:
    bench.create("i-1")
    found = bench(
        "CimCmdlets\\Get-CimInstance",
        Namespace="root/virtualization/v2",
        ClassName="Msvm_ShutdownComponent",
    )
    assert found == []


def test_a_guest_may_ignore_the_request_or_hang_half_way(bench: Bench) -> None:
    for behaviour, state in (("ignores", "Running"), ("hangs", "Stopping")):
        vm = bench.start(behaviour)
        bench.console.set_guest(bench.host, behaviour, "shutdown", behaviour)
        assert bench.ask(vm, "InitiateShutdown") == 0
        bench.clock.advance(3600)
        assert bench.state(vm) == state
        bench("Stop-VM", VM=vm, TurnOff=True)
        assert bench.state(vm) == "Off"


def test_stop_vm_waits_for_the_guest_and_cuts_the_power_only_when_forced(bench: Bench) -> None:
    vm = bench.start("i-1")
    bench("Stop-VM", VM=vm)
    assert bench.state(vm) == "Off"
    bench("Start-VM", VM=vm)
    bench.clock.advance(10)
    bench.console.set_guest(bench.host, "i-1", "shutdown", "hangs")
    with fails("OperationFailed", hresult="0x800705B4"):
        bench("Stop-VM", VM=vm)
    bench("Stop-VM", VM=vm, Force=True)
    assert bench.state(vm) == "Off"


def test_a_crashed_guest_loses_contact_and_hears_nothing(bench: Bench) -> None:
    vm = bench.start("i-1")
    bench.console.guest_crashes(bench.host, "i-1")
    assert bench.show(vm, "State", "Heartbeat") == ["Running", "LostCommunication"]
    assert bench.ask(vm, "InitiateShutdown") == 32780


def test_a_guests_reboot_keeps_the_power_and_a_reset_does_not(bench: Bench) -> None:
    vm = bench.start("i-1")
    bench.clock.advance(100)
    assert bench.ask(vm, "InitiateReboot") == 0
    assert bench.show(vm, "State", "Heartbeat") == ["Running", "NoContact"]
    bench.clock.advance(9)
    assert bench.show(vm, "Heartbeat") == ["OkApplicationsUnknown"]
    before = bench.look(vm).property("Uptime")
    bench("Restart-VM", VM=vm, Force=True)
    after = bench.look(vm).property("Uptime")
    assert isinstance(before, datetime.timedelta)
    assert isinstance(after, datetime.timedelta)
    assert before.total_seconds() > 100 > 1 > after.total_seconds()


def test_save_keeps_the_memory_off_the_host_and_start_resumes(bench: Bench) -> None:
    vm = bench.start("i-1")
    bench("Save-VM", VM=vm)
    assert bench.state(vm) == "Saved"
    assert bench.look(vm).property("MemoryAssigned") == 0
    bench("Start-VM", VM=vm)
    assert bench.show(vm, "State", "Heartbeat") == ["Running", "OkApplicationsUnknown"]
    bench("Suspend-VM", VM=vm)
    assert bench.show(vm, "State", "Heartbeat") == ["Paused", "Paused"]
    bench("Resume-VM", VM=vm)
    assert bench.state(vm) == "Running"


def test_wmi_says_4096_for_a_state_and_32775_for_one_that_does_not_follow(bench: Bench) -> None:
    vm = bench.create("i-1")
    system = bench.one(
        "CimCmdlets\\Get-CimInstance",
        Namespace="root/virtualization/v2",
        ClassName="Msvm_ComputerSystem",
        Filter=f"Name='{vm.property('Id')}'",
    )

    def request(state: int) -> object:
        answer = bench.one(
            "CimCmdlets\\Invoke-CimMethod",
            InputObject=system,
            MethodName="RequestStateChange",
            Arguments={"RequestedState": WmiValue("uint16", state)},
        )
        return answer.property("ReturnValue")

    assert request(2) == 4096
    bench.clock.advance(1)
    assert bench.state(vm) == "Running"
    assert request(2) == 32775
    assert request(3) == 4096
    bench.clock.advance(1)
    assert bench.state(vm) == "Off"


def test_addresses_come_after_the_heartbeat_and_only_if_the_guest_tells(bench: Bench) -> None:
    vm = bench.create("i-1")
    bench.console.set_addresses(bench.host, "i-1", "10.0.0.5,fe80::1")
    (nic,) = bench("Get-VMNetworkAdapter", VM=vm)
    bench("Start-VM", VM=vm)
    bench.clock.advance(5.1)
    assert bench("Get-VMNetworkAdapter", VM=vm)[0].property("IPAddresses") == []
    bench.clock.advance(1)
    assert bench("Get-VMNetworkAdapter", VM=vm)[0].property("IPAddresses") == [
        "10.0.0.5",
        "fe80::1",
    ]
    bench("Stop-VM", VM=vm, TurnOff=True)
    assert bench("Get-VMNetworkAdapter", All=True)[0].property("IPAddresses") == []
    assert nic.property("VMName") == "i-1"


def test_many_callers_at_once_start_each_machine_once(tmp_path: Path) -> None:
    world = World(tmp_path / "world.sqlite3", pace=0.05)
    machine = LabMachine(world, "lab-a")
    arguments = {"Name": "i-1", "MemoryStartupBytes": GIB, "NoVHD": True, "Path": ROOT}
    (vm,) = machine.invoke("Hyper-V\\New-VM", arguments).objects
    outcomes: list[str] = []

    def start() -> None:
        try:
            found = machine.invoke("Hyper-V\\Start-VM", {"VM": [vm]})
            outcomes.append("warned" if found.warnings else "started")
        except CmdletError as error:
            outcomes.append(error.id)

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(outcomes) == ["started"] + ["warned"] * 7
    world.close()
