"""The simulated host itself: what it tells of itself, its switches, CIM, what is not simulated."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path

import pytest

from ec2gw.lab.agent.host import WmiValue
from tests.unit.lab_host import GIB, Bench, fails

NAMESPACE = "root/virtualization/v2"
GET = "CimCmdlets\\Get-CimInstance"
INVOKE = "CimCmdlets\\Invoke-CimMethod"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "world.sqlite3")
    yield made
    made.world.close()


def test_the_host_tells_its_capacity_and_what_is_left(bench: Bench) -> None:
    host = bench.one("Get-VMHost")
    assert host.property("LogicalProcessorCount") == 8
    assert host.property("MemoryCapacity") == 16 * GIB

    def free_kib() -> int:
        free = bench.one(GET, ClassName="Win32_OperatingSystem").property("FreePhysicalMemory")
        assert isinstance(free, int)
        return free

    before = free_kib()
    bench.start("i-1")
    assert before - free_kib() == GIB // 1024


def test_the_host_tells_its_clock_and_when_it_booted(bench: Bench) -> None:
    system = bench.one(GET, ClassName="Win32_OperatingSystem")
    assert system.property("LastBootUpTime") == bench.machine.boot_time
    now = datetime.datetime.fromtimestamp(bench.clock.now(), datetime.UTC)
    assert system.property("LocalDateTime") == now
    bench.console.reboot_host(bench.host, down_seconds=60)
    assert bench.machine.boot_time == now + datetime.timedelta(seconds=60)


def test_switches_are_found_by_name_and_type(bench: Bench) -> None:
    assert [one.property("Name") for one in bench("Get-VMSwitch")] == ["ec2gw"]
    assert bench("Get-VMSwitch", SwitchType="Internal") == []
    assert bench("Get-VMSwitch", Name="x*") == []
    with fails("InvalidParameter", "InvalidArgument"):
        bench("Get-VMSwitch", Name="elsewhere")


def test_cim_reads_bind_a_filter_and_compare_without_case(bench: Bench) -> None:
    vm = bench.create("I-1")
    wanted = f"ElementName='i-1' AND Name='{vm.property('Id')}'"
    system = bench.one(GET, ClassName="Msvm_ComputerSystem", Namespace=NAMESPACE, Filter=wanted)
    assert system.property("EnabledState") == 3
    for wrong in ("Nam='x'", "Name LIKE 'x%'", "Name='x' OR Name='y'", "Name='x'; y"):
        with fails("HRESULT 0x80041017"):
            bench(GET, ClassName="Msvm_ComputerSystem", Namespace=NAMESPACE, Filter=wrong)


def test_associations_lead_from_a_machine_to_its_settings(bench: Bench) -> None:
    vm = bench.create("i-1")
    (system,) = bench(
        GET,
        ClassName="Msvm_ComputerSystem",
        Namespace=NAMESPACE,
        Filter=f"Name='{vm.property('Id')}'",
    )
    (settings,) = bench(
        "CimCmdlets\\Get-CimAssociatedInstance",
        InputObject=system,
        ResultClassName="Msvm_VirtualSystemSettingData",
    )
    assert settings.property("VirtualSystemSubType") == "Microsoft:Hyper-V:SubType:2"


def test_a_class_that_does_not_exist_is_told_apart_from_one_without_a_model(bench: Bench) -> None:
    with fails("HRESULT 0x80041010"):
        bench(GET, ClassName="Win32_OperatingSystems")
    with fails("NotSimulated", "NotImplemented"):
        bench(GET, ClassName="Win32_Volume")


def test_a_method_wants_its_own_arguments_in_their_widths(bench: Bench) -> None:
    vm = bench.create("i-1")
    (system,) = bench(
        GET,
        ClassName="Msvm_ComputerSystem",
        Namespace=NAMESPACE,
        Filter=f"Name='{vm.property('Id')}'",
    )

    def invoke(method: str, **arguments: object) -> None:
        bench(INVOKE, InputObject=system, MethodName=method, Arguments=arguments)

    with fails("HRESULT 0x80041055"):
        invoke("RequestStateChanges")
    for wrong in (2, WmiValue("uint32", 2), "2"):
        with fails("HRESULT 0x80041005", "InvalidType"):
            invoke("RequestStateChange", RequestedState=wrong)
    with fails("HRESULT 0x80041008"):
        invoke("RequestStateChange")
    with fails("NotSimulated"):
        invoke("InjectNonMaskableInterrupt")


def test_what_is_not_simulated_is_refused_by_name(bench: Bench) -> None:
    vm = bench.create("i-1")
    for cmdlet, arguments in (
        ("Set-VM", {"SmartPagingFilePath": "C:\\x"}),
        ("Set-VMProcessor", {"Reserve": 10}),
        ("Add-VMHardDiskDrive", {"DiskNumber": 1}),
    ):
        with fails("NotSimulated", "NotImplemented"):
            bench(cmdlet, VM=vm, **arguments)


def test_unknown_cmdlets_and_calls_that_do_not_bind_fail_as_powershell_has_it(
    bench: Bench,
) -> None:
    vm = bench.create("i-1")
    with fails("CommandNotFoundException", "ObjectNotFound"):
        bench("Get-VMs")
    assert not bench.machine.knows("Hyper-V\\Get-VMs")
    assert bench.machine.knows("Hyper-V\\Get-VM")
    with fails("NamedParameterNotFound", "InvalidArgument"):
        bench("Set-VM", VM=vm, Note="x")
    with fails("AmbiguousParameterSet", "InvalidArgument"):
        bench("Get-VM", Name="x", Id=str(vm.property("Id")))
    with fails("CannotConvertArgumentNoMessage", "InvalidArgument"):
        bench("Set-VMProcessor", VM=vm, Count="two")


def test_integration_services_answer_once_the_guest_is_up(bench: Bench) -> None:
    vm = bench.create("i-1")

    def shutdown() -> list[str]:
        (found,) = bench("Get-VMIntegrationService", VM=vm, Name="Shutdown")
        status = found.property("OperationalStatus")
        assert isinstance(status, list)
        return [one.name for one in status]

    assert shutdown() == []
    bench("Start-VM", VM=vm)
    assert shutdown() == ["NoContact"]
    bench.clock.advance(6)
    assert shutdown() == ["Ok"]
