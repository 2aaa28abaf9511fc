"""One agent of the laboratory: what it runs, what it brings back, what it refuses."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ec2gw.lab.agent.host import WmiValue
from tests.unit import toy_host
from tests.unit.toy_host import Driver, Json, ToyHost, call, rows, token

SEEN: Json = {
    "id": "Id:text",
    "name": "Name:text",
    "state": "State:text",
    "notes": "Notes:text",
    "up": "Uptime.TotalSeconds:int",
    "ip": "Addresses:texts",
    "none": "Nothing:text",
    "nones": "Nothing:texts",
}
NASTY = "a'b\"c`$(Get-Date);${env:X}\n\t\u00fc\u4e16 {0} %PATH% ; rm -rf <>&\u2028"


@pytest.fixture
def host() -> ToyHost:
    return ToyHost()


@pytest.fixture
def driver(host: ToyHost) -> Iterator[Driver]:
    driver = toy_host.start(host)
    yield driver
    host.slow.set()
    driver.process.kill()
    assert driver.errors == b""


def test_a_launch_of_several_calls_runs_with_results_by_reference(
    host: ToyHost, driver: Driver
) -> None:
    answer = driver.ask(
        [
            call(
                "New-VHD",
                {
                    "Path": {"$path": "instances/i-1/root.vhdx"},
                    "ParentPath": {"$path": "images/1.vhdx"},
                    "SizeBytes": 1 << 54,
                },
            ),
            call("New-VM", {"Name": NASTY, "MemoryStartupBytes": 1 << 32}, "vm", SEEN),
            call("Set-VM", {"VM": {"$ref": "vm"}, "Notes": NASTY}),
            call("Start-VM", {"VM": {"$ref": "vm"}}),
            call("Get-VM", {"Id": {"$ref": "vm", "at": 0, "property": "Id"}}, "now", SEEN),
        ],
        token=token(1),
        subject="i-1",
        generation=5,
    )
    assert (answer["ok"], answer["done"]) == (True, 5)
    [now] = rows(answer, "now")
    assert (now["name"], now["notes"], now["state"]) == (NASTY, NASTY, "Running")
    assert (now["up"], now["ip"], now["none"], now["nones"]) == (12, ["10.0.0.7"], None, [])
    [disk] = host.ran("New-VHD")
    assert disk["Path"] == "C:\\ec2gw\\instances\\i-1\\root.vhdx"
    assert disk["SizeBytes"] == 1 << 54


def test_a_wmi_method_gets_numbers_of_the_asked_width_and_live_objects_in_a_flat_list(
    host: ToyHost, driver: Driver
) -> None:
    answer = driver.ask(
        [
            call("CimCmdlets\\Get-CimInstance", {"ClassName": "Msvm_X"}, "svc"),
            call(
                "CimCmdlets\\Invoke-CimMethod",
                {
                    "InputObject": {"$ref": "svc", "at": 0},
                    "MethodName": "GetSummaryInformation",
                    "Arguments": {
                        "RequestedInformation": {"$cim": "uint32[]", "value": [0, 100]},
                        "SettingData": [{"$ref": "svc"}, {"$ref": "svc"}],
                        "One": {"$cim": "uint8", "value": 255},
                    },
                },
            ),
        ]
    )
    assert answer["ok"], answer
    [passed] = host.ran("Invoke-CimMethod")
    given = passed["Arguments"]
    assert isinstance(given, dict)
    assert given["RequestedInformation"] == WmiValue("uint32[]", [0, 100])
    assert given["One"] == WmiValue("uint8", 255)
    assert [type(one) for one in given["SettingData"]] == [toy_host.Thing, toy_host.Thing]


@pytest.mark.parametrize(
    "odd",
    [
        {"$cim": "boolean", "value": "false"},
        {"$cim": "boolean", "value": 0},
        {"$cim": "uint32"},
        {"$cim": "uint32", "value": None},
        {"$cim": "uint32", "value": True},
        {"$cim": "uint32", "value": [1, 2]},
        {"$cim": "uint8", "value": 1.5},
        {"$cim": "uint8", "value": 300},
        {"$cim": "uint8", "value": -1},
        {"$cim": "uint8", "value": 1, "x": 1},
        {"$cim": "uint8[][]", "value": []},
        {"$cim": "real32", "value": 1},
        {"$cim": ["uint8"], "value": 1},
        {"$cim": "string", "value": {"$ref": "svc"}},
        {"$ref": "svc", "at": -1},
        {"$ref": "svc", "at": 1},
        {"$ref": "svc", "at": True},
        {"$ref": "svc", "proprety": "Name"},
        {"$ref": "svc", "property": 1},
        {"$ref": "svc", "property": "Nmae"},
        {"$ref": 5},
        {"$ref": "nope"},
        {"$ref": "none"},
    ],
)
def test_an_odd_value_or_reference_is_an_error_of_its_call_and_none_is_guessed(
    host: ToyHost, driver: Driver, odd: Json
) -> None:
    answer = driver.ask(
        [
            call("CimCmdlets\\Get-CimInstance", {"ClassName": "C"}, "svc"),
            call("Get-VM", {}, "none"),
            call("CimCmdlets\\Invoke-CimMethod", {"Arguments": {"x": odd}}),
        ]
    )
    assert (answer["ok"], answer["done"], answer["stage"]) == (False, 2, "call")
    assert host.ran("Invoke-CimMethod") == []


def test_a_warning_is_success_and_is_told(driver: Driver) -> None:
    start = call("Start-VM", {"VM": {"$ref": "vm"}})
    answer = driver.ask([call("New-VM", {"Name": "x"}, "vm"), start, start])
    assert answer["ok"]
    assert answer["warnings"] == ["The virtual machine is already in the specified state."]


def test_a_failed_call_stops_the_plan_and_tells_its_record(host: ToyHost, driver: Driver) -> None:
    answer = driver.ask(
        [
            call("New-VM", {"Name": "x"}, "vm", SEEN),
            call("Get-VM", {"Id": "no such"}),
            call("New-VM", {"Name": "y"}),
        ]
    )
    assert (answer["ok"], answer["done"], answer["stage"]) == (False, 1, "call")
    assert len(rows(answer, "vm")) == 1
    error = answer["error"]
    assert isinstance(error, dict)
    assert error["id"] == "InvalidParameter,Microsoft.HyperV.PowerShell.Commands.GetVM"
    assert (error["category"], error["activity"]) == ("InvalidArgument", "Get-VM")
    assert error["hresult"] == ["0x80070057"]
    assert error["text"].endswith("ü")
    assert len(host.vms) == 1


def test_a_property_that_is_not_there_leaves_the_call_done(host: ToyHost, driver: Driver) -> None:
    answer = driver.ask([call("New-VM", {"Name": "p"}, "x", {"a": "NoSuchProperty:text"})])
    assert (answer["ok"], answer["done"], answer["stage"]) == (False, 1, "projection")
    assert len(host.vms) == 1


@pytest.mark.parametrize(
    "refused",
    [
        call("Hyper-V\\Remove-VM", {"Name": "x"}),
        call("Get-VM; Get-Date"),
        call("Get-VM", {"Zzz": 1}),
        call("Get-VM", {"Nam": "x"}),
        call("Get-VM", {"OutVariable": "live"}),
        call("Get-VM", {"name": "x"}),
        call("hyper-v\\get-vm"),
        {"do": "Hyper-V\\Get-VM", "with": ["x"]},
        {"do": "Hyper-V\\Get-VM"},
        {"do": 5, "with": {}},
        {"do": "Hyper-V\\Get-VM", "with": {}, "script": "1"},
        {"do": "Hyper-V\\Get-VM", "with": {}, "take": {"a": "Id:text"}},
        {"do": "Hyper-V\\Get-VM", "with": {}, "as": "x", "take": ["Id:text"]},
        {"do": "Hyper-V\\Get-VM", "with": {}, "as": None},
        {"do": "Hyper-V\\Get-VM", "with": {}, "as": "first"},
        call("Get-VM", {}, "x", {"a": "Id:code"}),
        call("Get-VM", {}, "x", {"a": "Id:text\n"}),
        call("Get-VM", {}, "x", {"a": "Id"}),
        call("Get-VM", {}, "x", {"a": "$(Get-Date):text"}),
        call("Get-VM", {"Name": {"$path": "images/1.vhdx"}}),
        call("Set-VM", {"VM": {"deep": [{"$path": "images/1.vhdx"}]}}),
        call("New-VHD", {"Path": "C:\\ec2gw\\x.vhdx"}),
        call("New-VHD", {"Path": {"$ref": "first"}}),
        call("New-VHD", {"Path": {"$ref": "first", "at": 0}}),
        call("New-VHD", {"Path": []}),
        call("New-VHD", {"Path": None}),
        call("New-VHD", {"Path": {"$path": "images/1.vhdx", "at": 0}}),
        call("New-VHD", {"Path": {"$path": ["images"]}}),
        call("New-VHD", {"Path": [{"$path": "images/1.vhdx"}, "C:\\Windows"]}),
        "Get-VM",
        None,
    ],
)
def test_a_plan_is_refused_whole_before_anything_of_it_runs(
    host: ToyHost, driver: Driver, refused: Json
) -> None:
    answer = driver.ask([call("New-VM", {"Name": "first"}, "first"), refused], token=token(1))
    assert (answer["ok"], answer["done"], answer["stage"]) == (False, 0, "check")
    error = answer["error"]
    assert isinstance(error, dict)
    assert error["kind"] == "System.UnauthorizedAccessException"
    assert host.calls == []


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "..",
        "../x",
        "a/../b",
        "a//b",
        "/a",
        "a/",
        "a\\b",
        "C:/x",
        "a.",
        "a ",
        "a:stream",
        "-a",
        ".hidden",
        "a" * 101,
        "nul",
        "COM1.vhdx",
        "a/LPT9/b",
        "ä",
        "a\n",
        "a*",
        "journal",
        "Journal.lock",
        "journal/x",
    ],
)
def test_no_path_leaves_the_root_or_means_a_device(
    host: ToyHost, driver: Driver, path: str
) -> None:
    answer = driver.ask([call("New-VHD", {"Path": {"$path": path}})])
    assert (answer["ok"], answer["stage"]) == (False, "check")
    assert host.calls == []


def test_no_path_at_all_ejects_a_disc(host: ToyHost, driver: Driver) -> None:
    made = call("New-VM", {"Name": "dvd"}, "dvd")
    ejected = call("Set-VMDvdDrive", {"VMDvdDrive": {"$ref": "dvd"}, "Path": None})
    assert driver.ask([made, ejected])["ok"]
    [one] = host.ran("Set-VMDvdDrive")
    assert one["Path"] is None


def test_paths_are_joined_to_the_root(host: ToyHost, driver: Driver) -> None:
    places = ["images/A_b-1.2.vhdx", "journals", "tmp", "a" * 100]
    paths = [{"$path": place} for place in places]
    assert driver.ask([call("New-VHD", {"Path": paths})])["ok"]
    [made] = host.ran("New-VHD")
    below = ["images\\A_b-1.2.vhdx", "journals", "tmp", "a" * 100]
    assert made["Path"] == [f"{toy_host.ROOT}\\{one}" for one in below]


@pytest.mark.parametrize(
    ("place", "ok"),
    [
        ("c:\\EC2GW\\instances\\i-1\\root_{GUID}.avhdx", True),
        ("C:\\ec2gw", False),
        ("C:\\ec2gw\\", False),
        ("C:\\ec2gwx\\a", False),
        ("C:\\ec2gw\\..\\Windows", False),
        ("C:\\ec2gw\\a\\.", False),
        ("\\\\server\\share\\a", False),
        ("D:\\", False),
        (None, False),
        (5, False),
    ],
)
def test_a_path_from_an_earlier_result_lies_below_the_root_too(
    host: ToyHost, driver: Driver, place: object, ok: bool
) -> None:
    host.vms.append(toy_host.Thing({"Id": 1, "Path": place}))
    path = {"$ref": "vm", "at": 0, "property": "Path"}
    answer = driver.ask([call("Get-VM", {}, "vm"), call("New-VHD", {"Path": path})])
    assert (answer["ok"], answer["done"]) == ((True, 2) if ok else (False, 1))
    assert len(host.ran("New-VHD")) == ok


def test_a_path_too_long_for_windows_is_an_error_of_its_call(driver: Driver) -> None:
    deep = "/".join(["a" * 90] * 3)
    answer = driver.ask([call("New-VHD", {"Path": {"$path": deep}})])
    assert (answer["ok"], answer["stage"]) == (False, "call")


def test_three_hundred_kilobytes_go_each_way(driver: Driver) -> None:
    big = "x" * 300_000
    answer = driver.ask(
        [
            call("New-VM", {"Name": "big"}, "vm"),
            call("Set-VM", {"VM": {"$ref": "vm"}, "Notes": big}),
            call("Get-VM", {}, "now", SEEN),
        ]
    )
    assert rows(answer, "now")[0]["notes"] == big


def test_an_answer_that_no_frame_carries_is_told_as_done(driver: Driver) -> None:
    many = [
        call("New-VM", {"Name": "x"}, "vm"),
        call("Set-VM", {"VM": {"$ref": "vm"}, "Notes": "x" * 600_000}),
    ]
    assert driver.ask(many)["ok"]
    takes: Json = {f"n{number}": "Notes:text" for number in range(15)}
    answer = driver.ask([call("Get-VM", {}, "all", takes)])
    assert answer == {"id": 2, "ok": True, "done": 1, "bad": "answer"}


def test_a_fault_of_the_laboratory_itself_is_an_answer_and_is_shouted(host: ToyHost) -> None:
    driver = toy_host.start(host)
    answer = driver.ask([call("Set-VM", {"Notes": "without a VM the toy breaks"})])
    assert (answer["ok"], answer["stage"]) == (False, "agent")
    assert b"KeyError" in driver.errors
    assert driver.ask([call("Get-VM")])["ok"]
    driver.process.kill()
