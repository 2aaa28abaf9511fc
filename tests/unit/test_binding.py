"""Binding: what PowerShell would refuse is found without PowerShell, each in its own words."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import pytest

from ec2gw.lab import binding
from ec2gw.lab.binding import BindingError, bind, bind_plan, tables, values
from ec2gw.lab.binding.values import Typed
from ec2gw.lab.cmdlets.shell import CMDLETS
from translators.hyperv import allowed, drive, making, seed, survey, vm, volume
from translators.hyperv.host import Argument, Call, Cim, Path, Plan, Ref
from translators.hyperv.identity import Identity

VM = Typed("VirtualMachine")
GUID = "6f5416f5-0304-4494-a55c-00afe1a709d3"


def refusal(cmdlet: str, version: str = binding.LABORATORY, /, **arguments: object) -> str:
    with pytest.raises(BindingError) as caught:
        bind(f"Hyper-V\\{cmdlet}", arguments, version)
    return caught.value.identifier


# -- one call


@pytest.mark.parametrize("version", binding.VERSIONS)
def test_a_good_call_binds_on_every_version(version: str) -> None:
    bound = bind("Hyper-V\\Set-VMProcessor", {"VM": [VM], "Count": 2}, version)
    assert bound.arguments["Count"] == 2


@pytest.mark.parametrize(
    ("cmdlet", "arguments", "set_name"),
    [
        ("Get-VM", {}, "Name"),
        ("Get-VM", {"Id": GUID}, "Id"),
        ("New-VM", {"Name": "x"}, "No VHD"),
        ("New-VM", {"Name": "x", "VHDPath": "y"}, "Existing VHD"),
        ("New-VHD", {"Path": "x", "SizeBytes": 1}, "DynamicWithoutSource"),
        ("New-VHD", {"Path": "x", "SizeBytes": 1, "Fixed": True}, "FixedWithoutSource"),
        ("New-VHD", {"Path": "x", "ParentPath": "y"}, "Differencing"),
        ("Get-VMNetworkAdapter", {"All": True}, "All"),
    ],
)
def test_the_parameters_choose_their_set(
    cmdlet: str, arguments: Mapping[str, object], set_name: str
) -> None:
    assert bind(f"Hyper-V\\{cmdlet}", arguments, binding.LABORATORY).set_name == set_name


@pytest.mark.parametrize("version", binding.VERSIONS)
def test_a_misspelt_parameter_is_found(version: str) -> None:
    assert refusal("Set-VMProcessor", version, VM=VM, Cuont=2) == "NamedParameterNotFound"


def test_names_are_not_abbreviated_and_aliases_are_not_names() -> None:
    assert refusal("Set-VMProcessor", VM=VM, Cou=2) == "NamedParameterNotFound"
    assert refusal("Get-VM", VMName="x") == "NamedParameterNotFound"


@pytest.mark.parametrize("version", binding.VERSIONS)
def test_two_sets_at_once_are_found(version: str) -> None:
    found = refusal("New-VM", version, Name="x", NoVHD=True, VHDPath="y")
    assert found == "AmbiguousParameterSet"
    assert refusal("Get-VM", version, Name="x", Id=GUID) == "AmbiguousParameterSet"


def test_a_missing_mandatory_parameter_is_found() -> None:
    assert refusal("Rename-VM", VM=VM) == "MissingMandatoryParameter"
    assert refusal("Start-VM") == "MissingMandatoryParameter"


@pytest.mark.parametrize(
    ("cmdlet", "arguments"),
    [
        ("Set-VM", {"AutomaticStopAction": "Shutdown"}),  # ShutDown
        ("Set-VM", {"AutomaticStopAction": 4}),  # enumerations go by name
        ("Set-VMProcessor", {"Count": "2"}),
        ("Set-VMProcessor", {"Count": 2.0}),
        ("Set-VMProcessor", {"Count": True}),
        ("Set-VMProcessor", {"Count": 2**63}),
        ("Set-VMMemory", {"DynamicMemoryEnabled": "false"}),
        ("Set-VMMemory", {"DynamicMemoryEnabled": 0}),
        ("Remove-VM", {"Force": "yes"}),
        ("Set-VM", {"Notes": 5}),
        ("Rename-VM", {"NewName": ["x"]}),  # not even a list of one
    ],
)
def test_a_value_of_another_type_is_found(cmdlet: str, arguments: dict[str, object]) -> None:
    assert refusal(cmdlet, VM=VM, **arguments) == "CannotConvertArgumentNoMessage"


def test_a_value_that_is_not_accepted_is_found() -> None:
    assert refusal("New-VM", Name="x", Generation=3) == "ParameterArgumentValidationError"
    found = refusal("Restart-VM", VM=VM, Wait=True, Delay=0)
    assert found == "ParameterArgumentValidationError"


def test_a_null_where_none_is_allowed_is_found() -> None:
    null = "ParameterArgumentValidationErrorNullNotAllowed"
    assert refusal("Set-VM", VM=VM, Notes=None) == null
    assert refusal("Set-VM", VM=None) == null
    assert refusal("Set-VMProcessor", VM=VM, Count=None) == null
    assert refusal("Get-VM", Id=None) == null


def test_a_null_where_one_is_allowed_binds() -> None:
    bound = bind(
        "Hyper-V\\Set-VMDvdDrive", {"VMDvdDrive": Typed("DvdDrive"), "Path": None}, "recorded 2019"
    )
    assert bound.arguments["Path"] == ""
    arguments = {"VMHardDiskDrive": Typed("HardDiskDrive"), "MaximumIOPS": None}
    bind("Hyper-V\\Set-VMHardDiskDrive", arguments, "recorded 2019")


def test_empty_text_and_empty_lists_are_found() -> None:
    assert refusal("Rename-VM", VM=VM, NewName="").endswith("EmptyStringNotAllowed")
    assert refusal("Set-VM", VM=[]).endswith("EmptyArrayNotAllowed")


def test_an_object_of_another_class_is_found() -> None:
    found = refusal("Set-VM", VM=Typed("VMNetworkAdapter"), Notes="x")
    assert found == "CannotConvertArgumentNoMessage"
    found = refusal("Set-VMNetworkAdapter", VMNetworkAdapter=Typed("VMNetworkAdapter[]"))
    assert found == "CannotConvertArgumentNoMessage"  # it takes one, and no list


def test_an_object_binds_as_what_it_also_is() -> None:
    arguments = {"VM": VM, "FirstBootDevice": Typed("HardDiskDrive")}
    bind("Hyper-V\\Set-VMFirmware", arguments, binding.LABORATORY)


def test_an_unknown_cmdlet_is_found_and_so_is_one_of_another_module() -> None:
    assert refusal("Get-VMs") == "CommandNotFoundException"
    with pytest.raises(BindingError) as caught:
        bind("VMware.VimAutomation.Core\\Get-VM", {}, binding.LABORATORY)
    assert caught.value.identifier == "CommandNotFoundException"


def test_what_a_2016_host_lacks_is_found_in_its_recording_alone() -> None:
    arguments = {"VM": VM, "AutomaticCheckpointsEnabled": False}
    for version in binding.VERSIONS:
        if version == "recorded 2016":
            assert refusal("Set-VM", version, **arguments) == "NamedParameterNotFound"
        else:
            bind("Hyper-V\\Set-VM", arguments, version)


# -- plans

SPEC = making.Spec(
    name="i-0abc",
    generation=2,
    processors=2,
    memory_bytes=2**31,
    parent=Path("images/ec2gw-lab-linux.vhdx"),
    disk_bytes=2**33,
    secure_boot_template="MicrosoftUEFICertificateAuthority",
    adapter=making.Adapter("eni-1", "02:aa:bb:cc:dd:ee", "ec2gw", 12),
    notes=vm.notes("dep", "i-0abc"),
    start_delay_seconds=3,
    disc=bytes(70_000),
    identity=Identity("ec2gw", "ec212ec-c0c0-4a4a-0000-000000000abc"),
    console=making.console("i-0abc"),
)
BIOS = dataclasses.replace(
    SPEC,
    generation=1,
    disk_bytes=None,
    secure_boot_template=None,
    adapter=dataclasses.replace(SPEC.adapter, vlan=None),
)
BLANK = drive.Disk(Path("volumes/vol-0abc.vhdx"), None, 2**30)
CHILD = drive.Disk(BLANK.path, Path("snapshots/snap-0abc.vhdx"), None)
PLACE = drive.Place("SCSI", 5)
PLANS = [
    making.create(SPEC),
    making.create(BIOS),
    making.create(dataclasses.replace(SPEC, secure_boot_template=None)),
    making.create(dataclasses.replace(SPEC, disc=None, identity=Identity("ec2gw", None))),
    seed.look(GUID, "i-0abc"),
    seed.look_at_files("i-0abc"),
    seed.swap(GUID, drive.Place("SCSI", 63), "i-0abc", b"disc"),
    seed.clear("i-0abc"),
    seed.put(GUID, 1, "i-0abc", b"disc", has_drive=True),
    seed.put(GUID, 2, "i-0abc", b"disc", has_drive=False),
    seed.eject(GUID, drive.Place("SCSI", 63)),
    seed.remove("i-0abc"),
    vm.look(GUID, ""),
    vm.look(None, "i-0abc"),
    vm.look_at_folder("i-0abc"),
    vm.start(GUID),
    vm.turn_off(GUID),
    vm.reset(GUID),
    vm.shut_down(GUID),
    vm.reboot(GUID),
    vm.remove(GUID),
    vm.sweep("i-0abc"),
    survey.look(),
    survey.addresses(),
    survey.endings(),
    making.create(dataclasses.replace(SPEC, disks=(drive.Extra(BLANK, PLACE, 3000),))),
    volume.look(GUID),
    volume.create(BLANK),
    volume.create(CHILD),
    volume.attach(GUID, PLACE, BLANK.path, 3000),
    volume.boot_from(GUID, PLACE),
    volume.detach(GUID, PLACE),
    volume.clear(GUID, PLACE),
    volume.throttle(GUID, PLACE, 3000),
    volume.grow(BLANK.path, 2**33),
    volume.remove(BLANK.path),
]


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.purpose)
def test_every_plan_binds_on_every_version(plan: Plan) -> None:
    assert [str(problem) for problem in bind_plan(plan)] == []


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.purpose)
def test_every_plan_uses_what_is_allowed_and_nothing_else(plan: Plan) -> None:
    for call in plan.calls:
        assert set(call.parameters) <= set(allowed.ALLOWED[call.cmdlet])
        for name, value in call.parameters.items():
            ejects = value is None and call.cmdlet == "Hyper-V\\Set-VMDvdDrive"
            assert (isinstance(value, Path) or ejects) == (
                name in allowed.PATHS.get(call.cmdlet, ())
            )


def test_all_that_is_allowed_exists_everywhere_and_is_simulated() -> None:
    for qualified, parameters in allowed.ALLOWED.items():
        for version in binding.VERSIONS:
            cmdlet = tables.cmdlet(qualified, version)
            assert cmdlet is not None, f"{qualified} in {version}"
            assert set(parameters) <= set(cmdlet.parameters), f"{qualified} in {version}"
        if qualified != "Agent\\Compress-Journal":  # the interpreter's own
            assert set(parameters) <= CMDLETS[qualified].parameters, qualified


def test_every_simulated_parameter_is_one_of_its_cmdlet() -> None:
    for qualified, simulated in CMDLETS.items():
        cmdlet = tables.cmdlet(qualified, binding.LABORATORY)
        assert cmdlet is not None, qualified
        neutral = {"Confirm", "Passthru", "OperationTimeoutSec"}
        assert simulated.parameters - neutral <= set(cmdlet.parameters), qualified


def problems(*calls: Call) -> list[str]:
    return sorted({problem.text for problem in bind_plan(Plan("test", calls))})


def fetch(take: Mapping[str, str] | None = None) -> Call:
    return Call("Hyper-V\\Get-VM", {"Id": GUID}, keep="vm", take=take)


@pytest.mark.parametrize(
    ("take", "text"),
    [
        ("Sate:text", "VirtualMachine has no property Sate"),
        ("Uptime.TotalSecond:int", "timespan has no property TotalSecond"),
        ("State.Name:text", "VMState has no property Name"),
        ("VMId:text", "VirtualMachine has no property VMId"),  # types.ps1xml adds it
        ("State:int", "VMState does not go as int"),
        ("Uptime:int", "timespan does not go as int"),
        ("CreationTime:text", "datetime does not go as text"),
        ("Name:time", "string does not go as time"),
        ("Notes:bool", "string does not go as bool"),
        ("HardDrives.Path:text", "string[] does not go as text"),
        ("ComPort1:text", "VMComPort does not go as text"),
        ("Name", "'Name' is no property and cast"),
        ("Name:xml", "'Name:xml' is no property and cast"),
    ],
)
def test_a_wrong_path_or_cast_is_found(take: str, text: str) -> None:
    assert problems(fetch({"x": take})) == [f"x: {text}"]


@pytest.mark.parametrize(
    "take",
    [
        "Uptime.TotalSeconds:int",
        "Heartbeat:text",
        "HardDrives.Path:texts",
        "HardDrives.Count:int",
        "NetworkAdapters.VlanSetting.AccessVlanId:texts",
        "CreationTime:time",
        "DynamicMemoryEnabled:bool",
        "ParentSnapshotId:text",
    ],
)
def test_a_good_path_and_cast_is_not(take: str) -> None:
    assert problems(fetch({"x": take})) == []


def test_references_are_typed_by_what_was_kept() -> None:
    start = Call("Hyper-V\\Start-VM", {"VM": Ref("vm")})
    assert problems(fetch(), start) == []
    assert problems(start) == ["no earlier call keeps 'vm'"]
    (wrong,) = problems(
        fetch(), Call("Hyper-V\\Remove-VMNetworkAdapter", {"VMNetworkAdapter": Ref("vm")})
    )
    assert "VirtualMachine is no VMNetworkAdapterBase" in wrong


def test_a_property_of_a_reference_is_typed_too() -> None:
    rename = Call("Hyper-V\\Rename-VM", {"VM": Ref("vm"), "NewName": Ref("vm", 0, "Notes")})
    assert problems(fetch(), rename) == []
    wrong = Call("Hyper-V\\Rename-VM", {"VM": Ref("vm"), "NewName": Ref("vm", 0, "Note")})
    assert problems(fetch(), wrong) == ["VirtualMachine has no property Note"]
    number = Call("Hyper-V\\Rename-VM", {"VM": Ref("vm"), "NewName": Ref("vm", 0, "MemoryStartup")})
    assert "int64 is no string" in problems(fetch(), number)[0]


def test_what_brings_nothing_back_cannot_be_kept_for_use() -> None:
    add: dict[str, Argument] = {"VM": Ref("vm"), "Name": "eni-1"}
    silent = Call("Hyper-V\\Add-VMNetworkAdapter", add, keep="nic", take={"id": "Id:text"})
    assert problems(fetch(), silent) == ["it brings nothing back; -Passthru may be missing"]
    telling = dataclasses.replace(silent, parameters={**add, "Passthru": True})
    assert problems(fetch(), telling) == []


def test_names_of_results_are_used_once_and_what_is_taken_is_kept() -> None:
    assert problems(fetch(), fetch()) == ["'vm' is kept twice"]
    unnamed = Call("Hyper-V\\Get-VM", take={"id": "Id:text"})
    assert problems(unnamed) == ["what is taken must be kept"]


# -- CIM

SYSTEM = Call(
    "CimCmdlets\\Get-CimInstance",
    {
        "ClassName": "Msvm_ComputerSystem",
        "Namespace": "root\\virtualization\\v2",
        "Filter": f"Name='{GUID}'",
    },
    keep="system",
    take={"state": "EnabledState:int", "since": "TimeOfLastStateChange:time"},
)


def method(name: str, arguments: Mapping[str, Argument | Cim]) -> Call:
    parameters: dict[str, object] = {
        "InputObject": Ref("system", at=0),
        "MethodName": name,
        "Arguments": arguments,
    }
    return Call("CimCmdlets\\Invoke-CimMethod", parameters, keep="result")  # type: ignore[arg-type]


def test_a_cim_call_with_the_right_widths_binds() -> None:
    good = method("RequestStateChange", {"RequestedState": Cim("uint16", 2)})
    assert problems(SYSTEM, good) == []


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"RequestedState": Cim("uint32", 2)}, "RequestedState is uint16, not uint32"),
        ({"RequestedState": 2}, "RequestedState is uint16, not 2 without a width"),
        ({"RequestedState": "2"}, "RequestedState is uint16, not string"),
        ({"RequestState": Cim("uint16", 2)}, "RequestStateChange takes no argument RequestState"),
        ({"Job": Cim("string", "x")}, "RequestStateChange takes no argument Job"),
    ],
)
def test_a_wrong_width_or_name_is_found(arguments: Mapping[str, Argument], text: str) -> None:
    assert problems(SYSTEM, method("RequestStateChange", arguments)) == [text]


def test_an_unknown_method_class_property_or_filter_is_found() -> None:
    (text,) = problems(SYSTEM, method("RequestState", {}))
    assert text.endswith("has no method RequestState")

    def with_(**changes: str) -> Call:
        parameters = {**SYSTEM.parameters, **changes}
        return dataclasses.replace(SYSTEM, parameters=parameters)

    assert "no table knows" in " ".join(problems(with_(ClassName="Msvm_Computer")))
    assert "no table knows" in " ".join(problems(with_(Namespace="root/cimv3")))
    assert "has no property Nam" in " ".join(problems(with_(Filter="Nam='x'")))
    assert "not understood" in " ".join(problems(with_(Filter="Name LIKE 'x%'")))
    wrong = dataclasses.replace(SYSTEM, take={"x": "EnabledStates:int"})
    assert problems(wrong) == [
        "x: root/virtualization/v2:Msvm_ComputerSystem has no property EnabledStates"
    ]


def test_conversion_brings_scalars_into_lists_and_never_lists_into_scalars() -> None:
    assert values.convert("x", "string[]") == ["x"]
    with pytest.raises(values.Misfit):
        values.convert(["x"], "string")
