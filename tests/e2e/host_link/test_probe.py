"""`host check`: each step says what holds, what does not, and what to do about it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from ec2gw.lab.door.limits import Limits
from ec2gw.winrm import endpoint, probe
from ec2gw.winrm.checks import Step
from translators.hyperv import allowed

from . import peers
from .conftest import Opened
from .scripted import QUICK, Agent, Json, ScriptedHost

NAMES = [
    "name",
    "TCP",
    "TLS",
    "sign-in",
    "PowerShell",
    "Hyper-V module",
    "rights",
    "clock",
    "root folder",
    "switches",
]
DENIED = {
    "id": "AccessDenied,Microsoft.HyperV.PowerShell.Commands.GetVMHost",
    "category": "PermissionDenied",
    "text": "You do not have the required permission to complete this task.",
}


def healthy() -> dict[str, Any]:
    """What each cmdlet of the checks brings back on a host that can serve."""
    return {
        "Hyper-V\\Get-VMHost": {"host": [{"name": "HV1"}]},
        "CimCmdlets\\Get-CimInstance": {
            "system": [{"now": dt.datetime.now(dt.UTC).isoformat()}],
        },
        "Agent\\Test-Root": {
            "root": [
                {
                    "exists": True,
                    "owner": "BUILTIN\\Administrators",
                    "free": 500 << 30,
                    "file_system": "NTFS",
                }
            ]
        },
        "Hyper-V\\Get-VMSwitch": {"switches": [{"name": "external"}, {"name": "internal"}]},
    }


def serve(host: ScriptedHost, results: dict[str, Any]) -> None:
    host.hello = {"modules": {"Hyper-V": "2.0.0.0"}, "missing": [], "epoch": 9} | host.hello

    def answer(agent: Agent, request: Json) -> list[Json]:
        assert request["epoch"] == 9
        [call] = request["calls"] or [None]
        found = results[call["do"]] if call else {}
        if "id" in found:
            return [{"ok": False, "done": 0, "stage": "call", "error": found}]
        return [{"ok": True, "done": 1, "results": found, "warnings": [], "ms": 1}]

    host.behave = answer


def steps_of(
    host: ScriptedHost, switches: Sequence[str] = (), **changes: Any
) -> tuple[list[Step], Step | None]:
    """All steps, and the one that failed."""
    steps = probe.probe(host.address(**changes), "C:\\ec2gw", switches=switches, limits=QUICK)
    assert [step.name for step in steps] == NAMES
    failed = [step for step in steps if step.ok is False]
    assert len(failed) <= 1
    if failed:
        at = steps.index(failed[0])
        assert all(step.ok for step in steps[:at])
        assert [(step.ok, step.found) for step in steps[at + 1 :]] == [
            (None, "not tried") for _ in steps[at + 1 :]
        ]
        assert failed[0].advice
    return steps, failed[0] if failed else None


def test_on_a_healthy_host_every_step_holds_and_says_how(host: ScriptedHost) -> None:
    serve(host, healthy())
    steps, failed = steps_of(host, ["external"])
    assert failed is None
    found = {step.name: step.found for step in steps}
    assert found["sign-in"] == "ntlm as LAB\\op"
    assert found["PowerShell"] == "Windows PowerShell 5.1.20348.1, FullLanguage"
    assert found["root folder"] == "NTFS, 500 GiB free, of BUILTIN\\Administrators"
    assert found["switches"] == "external, internal"
    assert host.agents[0].setup["allowed"].keys() == allowed.ALLOWED.keys()
    assert host.agents[0].ended.wait(2)


def test_over_tls_the_certificate_is_told_with_its_end(opened: Opened, tmp_path: Path) -> None:
    tls = peers.certificate(tmp_path)
    host = opened(tls=tls)
    serve(host, healthy())
    steps, failed = steps_of(host, ca_file=str(tls.certificate), laboratory=False)
    assert failed is None
    assert "valid until" in steps[2].found


def test_an_untrusted_certificate_fails_at_tls(opened: Opened, tmp_path: Path) -> None:
    _, failed = steps_of(opened(tls=peers.certificate(tmp_path)), laboratory=False)
    assert failed is not None
    assert (failed.name, "ca_file" in failed.advice) == ("TLS", True)


def test_a_missing_file_of_authorities_fails_at_tls(opened: Opened, tmp_path: Path) -> None:
    host = opened(tls=peers.certificate(tmp_path))
    _, failed = steps_of(host, ca_file=str(tmp_path / "none.pem"), laboratory=False)
    assert failed is not None
    assert failed.name == "TLS"


def test_a_name_that_does_not_exist_fails_at_once() -> None:
    nowhere = endpoint.HostAddress("https://hv1..example", "ntlm", "op", lambda: "secret")
    steps = probe.probe(nowhere, "C:\\ec2gw", limits=QUICK)
    assert [step.ok for step in steps] == [False] + [None] * 9
    assert "hv1..example" in steps[0].found


def test_a_host_that_is_off_fails_at_tcp(host: ScriptedHost) -> None:
    host.faults.go_down()
    _, failed = steps_of(host)
    assert failed is not None
    assert (failed.name, "Enable-PSRemoting" in failed.advice) == ("TCP", True)


def test_a_wrong_password_fails_at_the_sign_in_after_two_tries(host: ScriptedHost) -> None:
    asked: list[str] = []

    def wrong() -> str:
        asked.append("asked")
        return "wrong"

    _, failed = steps_of(host, password=wrong)
    assert failed is not None
    assert failed.name == "sign-in"
    assert len(asked) == 2


def test_no_shell_left_to_open_fails_at_the_sign_in_with_the_limits_name(
    opened: Opened,
) -> None:
    _, failed = steps_of(opened(limits=Limits(max_shells_per_user=0)))
    assert failed is not None
    assert "MaxShellsPerUser" in failed.advice


def test_a_constrained_powershell_fails_at_powershell(host: ScriptedHost) -> None:
    host.hello = {"mode": "ConstrainedLanguage"}
    serve(host, healthy())
    _, failed = steps_of(host)
    assert failed is not None
    assert (failed.name, "ConstrainedLanguage" in failed.found) == ("PowerShell", True)


def changed(cmdlet: str, **members: Any) -> Callable[[dict[str, Any]], None]:
    def change(results: dict[str, Any]) -> None:
        [[found]] = results[cmdlet].values()
        found.update(members)

    return change


@pytest.mark.parametrize(
    ("hello", "spoil", "name", "words"),
    [
        ({"modules": {}}, None, "Hyper-V module", "not installed"),
        ({"missing": ["Hyper-V\\Get-VHD"]}, None, "Hyper-V module", "lacks 1 cmdlets"),
        ({}, lambda results: results["Hyper-V\\Get-VMHost"].update(DENIED), "rights", "Denied"),
        (
            {},
            changed("CimCmdlets\\Get-CimInstance", now="2026-01-01T00:00:00Z"),
            "clock",
            "s from ours",
        ),
        ({}, changed("CimCmdlets\\Get-CimInstance", now="soon"), "clock", "cannot be read"),
        ({}, changed("Agent\\Test-Root", exists=False), "root folder", "does not exist"),
        ({}, changed("Agent\\Test-Root", file_system="FAT32"), "root folder", "FAT32"),
        ({}, changed("Agent\\Test-Root", free=1 << 30), "root folder", "1 GiB free"),
        ({}, changed("Agent\\Test-Root", free=None), "root folder", "0 GiB free"),
    ],
)
def test_each_lack_is_found_at_its_step_and_nothing_after_it_is_tried(
    host: ScriptedHost,
    hello: Json,
    spoil: Callable[[dict[str, Any]], None] | None,
    name: str,
    words: str,
) -> None:
    results = healthy()
    if spoil is not None:
        spoil(results)
    host.hello = hello
    serve(host, results)
    _, failed = steps_of(host)
    assert failed is not None
    assert failed.name == name
    assert words in failed.found


def test_a_switch_that_a_network_needs_and_the_host_lacks_is_named(host: ScriptedHost) -> None:
    serve(host, healthy())
    _, failed = steps_of(host, ["external", "vlan-trunk"])
    assert failed is not None
    assert failed.found == "external, internal; missing: vlan-trunk"


def test_a_host_without_any_switch_is_told_how_to_make_one(host: ScriptedHost) -> None:
    serve(host, healthy() | {"Hyper-V\\Get-VMSwitch": {"switches": []}})
    _, failed = steps_of(host)
    assert failed is not None
    assert "New-VMSwitch" in failed.advice
