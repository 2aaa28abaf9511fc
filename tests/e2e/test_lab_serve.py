"""The laboratory's program: how to get in, what stays over restarts, when it ends."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ec2gw.lab import serve
from ec2gw.lab.console import Console
from ec2gw.lab.world import World
from ec2gw.winrm import endpoint, pool
from translators.hyperv import allowed, making, survey, vm
from translators.hyperv.host import Answer, Failed, Fence, Plan

PATIENCE_SECONDS = 30.0


@contextmanager
def laboratory(data: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "ec2gw.lab.serve", "--data", str(data), "--pace", "0.02"]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            assert line.startswith("laboratory ready: lab-a=http://127.0.0.1:"), line
            yield process
        finally:
            process.kill()


def hosts(data: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((data / "lab" / "hosts.json").read_text())["hosts"]
    return found


class Driver:
    """Runs plans on a host through the real link."""

    def __init__(self, host: dict[str, Any]) -> None:
        self.generation = 0
        self.link = pool.HostLink(
            endpoint.HostAddress(
                host["url"], "ntlm", host["user"], lambda: str(host["password"]), laboratory=True
            ),
            root=host["root"],
            modules=allowed.MODULES,
            allowed=allowed.ALLOWED,
            paths=allowed.PATHS,
            epoch=1,
        )

    def run(self, plan: Plan) -> Answer:
        self.generation += 1
        fence = Fence(secrets.token_hex(16), "i-0abc", self.generation) if plan.changes else None
        return self.link.run(plan, fence=fence)

    def until(self, vm_id: str, **wanted: str) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            (found,) = vm.seen(self.run(vm.look(vm_id, "")))
            if all(getattr(found, name) == value for name, value in wanted.items()):
                return
            assert time.monotonic() < deadline, found
            time.sleep(0.02)


SPEC = making.Spec(
    name="i-0abc",
    generation=2,
    processors=2,
    memory_bytes=2**31,
    parent=vm.IMAGES / "ec2gw-lab-linux.vhdx",
    disk_bytes=None,
    secure_boot_template="MicrosoftUEFICertificateAuthority",
    adapter=making.Adapter("eni-1", "02:aa:bb:cc:dd:ee", "ec2gw", None),
    notes=vm.notes("dep", "i-0abc"),
    start_delay_seconds=0,
)


def test_a_machine_lives_from_launch_to_its_end_through_the_real_link(tmp_path: Path) -> None:
    with laboratory(tmp_path):
        driver = Driver(hosts(tmp_path)[0])
        try:
            assert driver.run(survey.look()).results["switches"] == [{"name": "ec2gw"}]
            vm_id = str(driver.run(making.create(SPEC)).results["vm"][0]["id"])
            driver.run(vm.start(vm_id))
            driver.until(vm_id, state="Running", heartbeat="OkApplicationsUnknown")
            assert vm.accepted(driver.run(vm.reboot(vm_id)))
            driver.until(vm_id, heartbeat="NoContact")
            driver.until(vm_id, heartbeat="OkApplicationsUnknown")
            assert vm.accepted(driver.run(vm.shut_down(vm_id)))
            driver.until(vm_id, state="Off")
            endings = survey.read_endings(driver.run(survey.endings()))
            assert endings[vm_id][0] == "asked"
            driver.run(vm.remove(vm_id))
            time.sleep(0.1)
            driver.run(vm.sweep("i-0abc"))
            with pytest.raises(Failed) as gone:
                driver.run(vm.look(vm_id, ""))
            assert vm.is_missing(gone.value.error.id)
            assert not driver.run(vm.look_at_folder("i-0abc")).results["folder"]
        finally:
            driver.link.close()


def test_a_restart_keeps_ports_password_and_running_machines(tmp_path: Path) -> None:
    with laboratory(tmp_path) as process:
        before = hosts(tmp_path)
        driver = Driver(before[0])
        vm_id = str(driver.run(making.create(SPEC)).results["vm"][0]["id"])
        driver.run(vm.start(vm_id))
        os.kill(process.pid, signal.SIGKILL)
        process.wait(PATIENCE_SECONDS)
        driver.link.close()
    with laboratory(tmp_path):
        assert hosts(tmp_path) == before
        driver = Driver(before[0])
        try:
            driver.until(vm_id, state="Running", heartbeat="OkApplicationsUnknown")
        finally:
            driver.link.close()


def test_a_test_acts_in_the_world_of_a_running_laboratory(tmp_path: Path) -> None:
    with laboratory(tmp_path):
        driver = Driver(hosts(tmp_path)[0])
        world = World(tmp_path / "lab" / "world.sqlite3", pace=0.02)
        try:
            vm_id = Console(world).add_foreign_vm("lab-a", "theirs")
            (found,) = vm.seen(driver.run(vm.look(vm_id, "")))
            assert found.name == "theirs"
            Console(world).remove("lab-a", "theirs")
            with pytest.raises(Failed):
                driver.run(vm.look(vm_id, ""))
        finally:
            world.close()
            driver.link.close()


def test_nobody_else_may_read_how_to_get_in(tmp_path: Path) -> None:
    with laboratory(tmp_path):
        for name in ("hosts.json", "world.sqlite3"):
            assert (tmp_path / "lab" / name).stat().st_mode & 0o077 == 0
        assert len({host["url"] for host in hosts(tmp_path)}) == 3


def test_sigterm_ends_it_with_success(tmp_path: Path) -> None:
    with laboratory(tmp_path) as process:
        process.terminate()
        assert process.wait(PATIENCE_SECONDS) == 0


PARENT = """
import subprocess, sys, time
process = subprocess.Popen(
    [sys.executable, "-m", "ec2gw.lab.serve", "--data", sys.argv[1]],
    stdout=subprocess.PIPE, text=True)
process.stdout.readline()
print(process.pid, flush=True)
time.sleep(60)
"""


def test_it_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        url = hosts(tmp_path)[0]["url"]
        port = int(url.rpartition(":")[2].partition("/")[0])
        parent.kill()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while is_open(port):
        assert time.monotonic() < deadline, f"the laboratory {pid} lives on"
        time.sleep(0.05)


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_second_laboratory_on_the_same_data_is_refused(tmp_path: Path) -> None:
    with laboratory(tmp_path):
        command = [sys.executable, "-m", "ec2gw.lab.serve", "--data", str(tmp_path)]
        second = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
        )
        assert second.returncode == 1
        assert "another laboratory holds" in second.stderr


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "192.0.2.1:5985", "[::]:0"])
def test_it_listens_on_loopback_alone(listen: str) -> None:
    with pytest.raises(serve.UnsafeListener):
        serve.Listen.read(listen)
