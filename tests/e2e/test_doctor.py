"""`ec2gw doctor`: on a sound host all holds, on a broken one it says what, and nothing is left."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ec2gw import config, inventory
from ec2gw.cli import doctor as command
from ec2gw.cli.opening import Failed
from ec2gw.doctor import catalogue, connections, report, run, sweep
from ec2gw.doctor import journal as journals
from ec2gw.doctor.bench import IN_LABORATORY, Bench, Image, Target
from ec2gw.doctor.probe import FAILS, HOLDS, UNTRIED, Outcome, Probe
from ec2gw.doctor.tokens import Tokens
from ec2gw.engine.lock import FileLock
from ec2gw.lab.cmdlets import acls
from ec2gw.lab.console import Console
from ec2gw.lab.serve import Laboratory, Listen
from ec2gw.winrm import endpoint
from translators.hyperv import host as port
from translators.hyperv import trials, vm

HOST = "lab-a"
DEPLOYMENT = "feedfacefeedface"
FOLDER = f"C:\\ec2gw\\doctor-{DEPLOYMENT}"
LINUX = Image("linux", "ec2gw-lab-linux.vhdx", 2, "MicrosoftUEFICertificateAuthority")
PATIENCE = {"state": 10, "guest": 10, "sweep": 10, "idle": 0.3}
QUICK = [
    probe
    for probe in catalogue.PROBES
    if probe not in connections.PROBES and probe not in journals.PROBES
]
"""Without what works on the connection and the journal alone."""


def only(*names: str) -> list[Probe]:
    """These probes with all that they need."""
    wanted = set(names)
    for probe in reversed(catalogue.PROBES):
        if probe.name in wanted:
            wanted |= set(probe.needs)
    return [probe for probe in catalogue.PROBES if probe.name in wanted]


@dataclass
class Ward:
    """A laboratory, and whoever proves its first host."""

    data: Path
    laboratory: Laboratory

    def __post_init__(self) -> None:
        self.console = Console(self.laboratory.world)
        self.told = self.laboratory.describe()["hosts"][0]

    def host(self) -> dict[str, Any]:
        """Its VMs, and its files without the journal that any agent makes."""
        found: dict[str, Any] = self.laboratory.world.snapshot()[HOST]
        files = {path for path in found["files"] if path != "C:\\ec2gw\\journal"}
        return {"vms": {one["id"]: one for one in found["vms"]}, "files": files}

    def bench(self, image: Image | None = None) -> Bench:
        address = endpoint.HostAddress(
            self.told["url"],
            "ntlm",
            self.told["user"],
            lambda: str(self.told["password"]),
            allow_ntlm_over_http=True,
            laboratory=True,
        )
        target = Target(HOST, address, self.told["root"], DEPLOYMENT, (("ec2gw", 7),), image)
        patience = {**{f: getattr(IN_LABORATORY, f) for f in IN_LABORATORY.__slots__}, **PATIENCE}
        return Bench(target, Tokens(self.data / "tokens"), type(IN_LABORATORY)(**patience))

    def prove(
        self,
        probes: Sequence[Probe] = QUICK,
        *,
        tell: Callable[[Outcome], None] = lambda outcome: None,
    ) -> dict[str, Outcome]:
        bench = self.bench()
        try:
            outcomes = run.prove(bench, tell=tell, probes=probes)
        finally:
            bench.close()
        return {one.probe.name: one for one in outcomes}


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    laboratory = Laboratory(tmp_path, Listen("127.0.0.1", 0), pace=0.02)
    laboratory.start()
    yield Ward(tmp_path, laboratory)
    laboratory.stop()


def failing(outcomes: dict[str, Outcome]) -> dict[str, str]:
    return {name: one.found for name, one in outcomes.items() if one.verdict == FAILS}


# -- a sound host


@dataclass
class Proved:
    outcomes: dict[str, Outcome]
    report: report.Report
    before: dict[str, Any]
    after: dict[str, Any]
    password: str


@pytest.fixture(scope="module")
def proved(tmp_path_factory: pytest.TempPathFactory) -> Proved:
    data = tmp_path_factory.mktemp("doctor")
    laboratory = Laboratory(data, Listen("127.0.0.1", 0), pace=0.02)
    laboratory.start()
    ward = Ward(data, laboratory)
    ward.console.add_foreign_vm(HOST, "somebody's")
    before = ward.host()
    bench = ward.bench(LINUX)
    try:
        outcomes = run.prove(bench, slow=True)
    finally:
        bench.close()
    now = dt.datetime.now(dt.UTC)
    made = report.Report(
        host=HOST,
        endpoint=ward.told["url"],
        transport="ntlm",
        label=bench.target.label,
        gateway="0",
        began=now,
        ended=now,
        facts=bench.found.facts,
        outcomes=outcomes,
    )
    found = {one.probe.name: one for one in outcomes}
    after = ward.host()
    laboratory.stop()
    return Proved(found, made, before, after, ward.told["password"])


def test_on_a_sound_host_all_holds_but_what_cannot_be_tried_there(proved: Proved) -> None:
    assert failing(proved.outcomes) == {}
    untried = {name for name, one in proved.outcomes.items() if one.verdict == UNTRIED}
    assert untried == {
        "memory",  # no such cmdlet in the laboratory
        *("least-rights", "by-kerberos", "by-certificate"),  # another account, another way in
        "parent-held",  # the operator's image
        *(probe.name for probe in catalogue.PROBES if probe.run is None),
    }
    assert all(proved.outcomes[name].found for name in untried)
    assert proved.report.good


def test_what_was_there_before_is_there_afterwards_and_nothing_else(proved: Proved) -> None:
    assert proved.after == proved.before


def test_what_was_measured_has_numbers(proved: Proved) -> None:
    for name, what in (
        ("round-trip", "round_trip_p95_ms"),
        ("start", "start_to_hello_p50_ms"),
        ("survey", "survey_p50_ms"),
        ("create-2", "create_ms"),
        ("guest-stop", "guest_stop_ms"),
        ("remove-1", "released_ms"),
        ("pipe-full", "pipe_bytes"),
    ):
        assert proved.outcomes[name].measured[what] > 0


def test_a_guest_that_answers_is_heard(proved: Proved) -> None:
    assert proved.outcomes["guest-stop"].found.endswith("the log says asked")
    assert proved.outcomes["guest-reboot"].verdict == HOLDS
    assert proved.outcomes["two-agents"].found == "the other agent says running, then done"
    assert "begun" in proved.outcomes["shell-deleted"].found


def test_the_report_tells_versions_probes_and_errors_and_no_secret(
    proved: Proved, tmp_path: Path
) -> None:
    text, values = report.write(proved.report, tmp_path / "told")
    said = json.loads(values.read_text())
    assert [one["name"] for one in said["probes"]] == list(proved.outcomes)
    assert set(said["facts"]) >= {"Windows", "PowerShell", "Hyper-V module", "agent"}
    errors = {e["id"] for one in said["probes"] for e in one["errors"]}
    assert "InvalidState,Microsoft.HyperV.PowerShell.Commands.SetVMProcessor" in errors
    words = text.read_text()
    for probe in (*catalogue.PROBES, catalogue.CLEAN_UP):
        assert probe.name in words
        assert probe.sentence.replace("|", "\\|") in words
    assert proved.password not in words + values.read_text()
    assert {oct(path.stat().st_mode & 0o777) for path in (text, values)} == {"0o600"}
    with pytest.raises(FileExistsError):
        report.write(proved.report, tmp_path / "told")


# -- broken hosts


def test_a_missing_cmdlet_is_named_and_nothing_is_tried(ward: Ward) -> None:
    ward.console.uninstall(HOST, "Hyper-V\\Set-VMBios")
    outcomes = ward.prove()
    assert list(failing(outcomes)) == ["module"]
    assert "Set-VMBios" in outcomes["module"].found
    assert outcomes["create-2"].verdict == outcomes["clean-up"].verdict == UNTRIED
    assert ward.host()["vms"] == {}
    assert f"{FOLDER}" not in ward.host()["files"]


def test_without_the_right_to_hyper_v_nothing_is_tried(ward: Ward) -> None:
    ward.console.deny(HOST, "Hyper-V\\Get-VMHost")
    outcomes = ward.prove()
    assert list(failing(outcomes)) == ["rights"]
    assert "Hyper-V Administrators" in outcomes["rights"].found


def test_without_the_networks_switch_no_vm_is_made_and_the_rest_is_tried(ward: Ward) -> None:
    ward.console.remove_switch(HOST, "ec2gw")
    before = ward.host()
    outcomes = ward.prove()
    assert list(failing(outcomes)) == ["switches"]
    assert outcomes["create-2"].found == "switches: does not hold"
    assert outcomes["file-put"].verdict == outcomes["clean-up"].verdict == HOLDS
    assert ward.host() == before


def test_on_a_full_disk_nothing_is_made(ward: Ward) -> None:
    before = ward.host()
    for pressure_gib, probe, words in (
        (4096, "powershell", "the disk is full"),  # there is no journal yet, and none can be begun
        (4080, "root-folder", "GiB free"),
    ):
        ward.console.press_disk(HOST, pressure_gib)
        outcomes = ward.prove()
        assert list(failing(outcomes)) == [probe]
        assert words in outcomes[probe].found
    assert ward.host() == before


def test_a_right_that_lacks_in_the_midst_is_told_with_its_error_and_all_is_cleaned(
    ward: Ward,
) -> None:
    ward.console.deny(HOST, "Hyper-V\\Set-VMNetworkAdapter")
    ward.console.deny(HOST, "Hyper-V\\Save-VM")
    before = ward.host()
    outcomes = ward.prove()
    assert set(failing(outcomes)) == {"create-2", "create-1"}
    [error] = outcomes["create-2"].errors
    assert error.id == "AccessDenied,Microsoft.HyperV.PowerShell.Commands.SetVMNetworkAdapter"
    assert outcomes["start-2"].found == "create-2: does not hold"
    assert "VM i-" in outcomes["clean-up"].found  # the half of one that had been made
    assert ward.host() == before


def test_what_is_only_asked_does_not_make_a_host_unfit(ward: Ward) -> None:
    ward.console.deny(HOST, "Hyper-V\\Save-VM")
    outcomes = ward.prove(only("saved", "save-off"))
    assert set(failing(outcomes)) == {"saved", "save-off"}
    assert not any(outcomes[name].probe.relied for name in failing(outcomes))


def test_a_port_that_forgets_a_rule_is_found_out(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = acls.acl_object

    def forgetful(session: Any, machine: Any, adapter: Any, acl: Any) -> Any:
        kept = dataclasses.replace(acl, stateful=False) if acl.protocol == "UDP" else acl
        return told(session, machine, adapter, kept)

    monkeypatch.setattr(acls, "acl_object", forgetful)
    outcomes = ward.prove(only("port-rules"))
    assert failing(outcomes).keys() == {"port-rules"}
    assert "not listed as they were told" in outcomes["port-rules"].found
    assert outcomes["clean-up"].verdict == HOLDS


def test_a_host_that_refuses_our_serial_number_is_fit_and_told_of(ward: Ward) -> None:
    ward.console.inject(HOST, "Agent\\Set-VMIdentity", "serial", times=2)
    outcomes = ward.prove(only("smbios", "smbios-serial"))
    assert failing(outcomes).keys() == {"smbios-serial"}
    assert not outcomes["smbios-serial"].probe.relied
    assert "cloud-init before 24.2" in outcomes["smbios-serial"].found
    assert outcomes["clean-up"].verdict == HOLDS


def test_a_copy_that_fails_is_told_and_its_checkpoint_goes_all_the_same(ward: Ward) -> None:
    before = ward.host()
    ward.console.inject(HOST, "Agent\\Start-DiskCopy", "exception")
    outcomes = ward.prove(only("disk-copy", "merge"))
    assert failing(outcomes).keys() == {"disk-copy"}
    assert "the job ended with" in outcomes["disk-copy"].found
    assert outcomes["merge"].verdict == outcomes["clean-up"].verdict == HOLDS
    assert ward.host() == before


# -- what is left behind


def test_an_interruption_cleans_up_before_it_ends(ward: Ward) -> None:
    before = ward.host()

    def stop(outcome: Outcome) -> None:
        if outcome.probe.name == "start-2":
            raise KeyboardInterrupt

    with pytest.raises(run.Interrupted) as interrupted:
        ward.prove(tell=stop)
    last = interrupted.value.outcomes[-1]
    assert (last.probe.name, last.verdict) == ("clean-up", HOLDS)
    assert last.found.count("VM i-") == 2
    assert ward.host() == before


def test_what_is_not_plainly_its_own_is_left_and_told(ward: Ward) -> None:
    """Our Notes elsewhere, somebody's VM in our folder, another gateway's doctor."""
    label = f"doctor-{DEPLOYMENT}"
    for name, folder, notes in (
        ("moved", "C:\\Hyper-V", vm.notes(label, "moved")),
        ("guest", f"{FOLDER}\\instances", "keep me"),
        ("other", "C:\\ec2gw\\doctor-0\\instances", vm.notes("doctor-0", "other")),
    ):
        ward.console.add_foreign_vm(HOST, name, folder)
        ward.console.edit_notes(HOST, name, notes)
    before = ward.host()["vms"]
    outcomes = ward.prove()
    assert list(failing(outcomes)) == ["leftovers"]
    left = outcomes["leftovers"].found
    assert "moved" in left
    assert "guest" in left
    assert "other" not in left
    assert outcomes["versions"].verdict == UNTRIED
    assert ward.host()["vms"] == before


# -- the command


@pytest.fixture
def run_command(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Take up the laboratory's hosts as the service does, then run the command beside it."""
    resolved = config.load(None, {}, {"data": str(ward.data)})
    config.make_folders(resolved)
    store, vault = inventory.open_state(resolved, migrate=True)
    inventory.prepare(store, vault)
    inventory.match_laboratory(store, vault, ward.data / "lab" / "hosts.json")
    store.close()
    monkeypatch.chdir(ward.data)

    def invoke(*arguments: str) -> Result:
        given = ("--live", HOST, "--data", str(ward.data), *arguments)
        return CliRunner().invoke(command.doctor, given, standalone_mode=False)

    return invoke


def _run_until_vms(ward: Ward, count: int, number: int) -> int | None:
    """Run the command in a process of its own; send it a signal when so many VMs are there."""
    arguments = ("doctor", "--live", HOST, "--data", str(ward.data), "--report", "first")
    process = subprocess.Popen(
        [sys.executable, "-m", "ec2gw", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=ward.data,
    )
    with process:
        limit = time.monotonic() + 60
        while len(ward.host()["vms"]) < count:
            assert process.poll() is None
            assert time.monotonic() < limit
            time.sleep(0.01)
        os.kill(process.pid, number)
    return process.returncode


def test_after_a_kill_in_the_midst_the_next_run_removes_what_is_left(
    ward: Ward, run_command: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "PROBES", tuple(QUICK))
    ward.console.add_foreign_vm(HOST, "somebody's")
    before = ward.host()
    assert _run_until_vms(ward, 2, signal.SIGKILL) == -signal.SIGKILL
    assert len(ward.host()["vms"]) > 1
    again = run_command("--report", str(ward.data / "again"))
    assert again.exit_code == 0, again.output
    said = json.loads((ward.data / "again.json").read_text())
    told = {one["name"]: one for one in said["probes"]}
    assert told["leftovers"]["found"].startswith("removed: VM i-")
    assert told["clean-up"]["verdict"] == HOLDS
    assert ward.host() == before


def test_a_request_to_end_is_met_with_a_clean_up_and_a_report(
    ward: Ward, run_command: Callable[..., Result]
) -> None:
    before = ward.host()
    assert _run_until_vms(ward, 1, signal.SIGTERM) == 130
    said = json.loads((ward.data / "first.json").read_text())
    assert said["probes"][-1]["name"] == "clean-up"
    assert said["probes"][-1]["verdict"] == HOLDS
    assert ward.host() == before


def test_the_clean_up_waits_for_a_plan_of_a_dead_doctor_that_still_runs(ward: Ward) -> None:
    """Its agent makes a VM at the end of it, after the folder and all VMs would have been gone."""
    dead, alive = ward.bench(), ward.bench()
    looks = trials.many_looks(8000, port.Path("busy"))
    last = trials.namesake("i-late", port.Path("instances"))
    plan = dataclasses.replace(looks, calls=looks.calls + last.calls)
    token = "5" * 32
    fence = port.Fence(token, "doctor-0", 1)
    alive.tokens.begin(token)  # as the dead one did, before it sent it
    link = dead.another(1)

    def forsaken() -> None:
        with contextlib.suppress(port.HostError):
            link.run(plan, fence=fence, deadline_seconds=30)

    thread = threading.Thread(target=forsaken, daemon=True)
    thread.start()
    try:
        limit = time.monotonic() + 30
        while f"{FOLDER}\\busy" not in ward.host()["files"]:
            assert time.monotonic() < limit
            time.sleep(0.01)
        swept = sweep.sweep(alive)
        assert swept.removed == ["VM i-late", f"folder {FOLDER}"]
        thread.join(30)
        assert ward.host()["vms"] == {}
        assert FOLDER not in ward.host()["files"]
    finally:
        link.close()
        alive.close()
        thread.join(30)


def test_a_host_that_is_driven_is_left_alone_in_one_clear_sentence(
    ward: Ward, run_command: Callable[..., Result]
) -> None:
    lock = FileLock(ward.data / "run" / "driver-1.lock")
    try:
        refused = run_command()
    finally:
        lock.release()
    assert isinstance(refused.exception, Failed)
    assert "driven by `ec2gw serve`" in str(refused.exception)


def test_the_list_says_what_would_be_tried_and_asks_no_host(
    ward: Ward, run_command: Callable[..., Result]
) -> None:
    before = ward.host()
    ward.laboratory.faults[HOST].go_down()
    listed = run_command("--list", "--image", "ec2gw-lab-linux")
    assert listed.exit_code == 0, listed.output
    for probe in (*catalogue.PROBES, catalogue.CLEAN_UP):
        assert probe.name in listed.output
    assert ward.host() == before


def test_an_image_that_nobody_knows_is_refused(run_command: Callable[..., Result]) -> None:
    refused = run_command("--image", "none")
    assert isinstance(refused.exception, Failed)
    assert "ec2gw image add" in str(refused.exception)


def test_every_probe_can_be_read_before_it_is_run() -> None:
    probes = (*catalogue.PROBES, catalogue.CLEAN_UP)
    names = [probe.name for probe in probes]
    assert len(set(names)) == len(names)
    for at, probe in enumerate(probes):
        assert probe.sentence.endswith("."), probe.name
        assert probe.source
        assert (probe.run is None) == bool(probe.why), probe.name
        assert set(probe.needs) <= set(names[:at]), probe.name
