"""Consoles by the unmodified `aws`: what a guest wrote, a picture of its screen, who reads it."""

from __future__ import annotations

import base64
import io
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

from ec2gw.lab.cmdlets import consoles
from ec2gw.lab.console import Console
from ec2gw.lab.world import World
from tests.gateway import LINUX_IMAGE, Gateway, wait_until

REGION = "il-central-1"
HOST = "lab-a"


def ec2(gateway: Gateway, *arguments: str) -> Any:
    return gateway.aws("ec2", *arguments, "--region", REGION)


def code(gateway: Gateway, *arguments: str) -> str:
    """The error's code, as the CLI tells it."""
    with pytest.raises(AssertionError) as refused:
        ec2(gateway, *arguments)
    return str(refused.value).partition("(")[2].partition(")")[0]


@pytest.fixture(scope="module")
def world(gateway: Gateway) -> Iterator[World]:
    world = World(gateway.data / "lab" / "world.sqlite3")
    yield world
    world.close()


@pytest.fixture(scope="module")
def instance(gateway: Gateway) -> str:
    asked = ("run-instances", "--image-id", LINUX_IMAGE, "--instance-type", "t3.micro")
    place = ("--placement", f"AvailabilityZone={REGION}a")
    made: str = ec2(gateway, *asked, *place)["Instances"][0]["InstanceId"]
    wait_until(lambda: state(gateway, made) == "running", 60)
    return made


def state(gateway: Gateway, instance: str) -> str:
    answer = ec2(gateway, "describe-instances", "--instance-ids", instance)
    return str(answer["Reservations"][0]["Instances"][0]["State"]["Name"])


def written(gateway: Gateway, instance: str) -> str:
    answer = ec2(gateway, "get-console-output", "--instance-id", instance, "--latest")
    assert answer["InstanceId"] == instance
    return str(answer.get("Output", ""))


def test_output_is_what_the_guest_wrote(gateway: Gateway, instance: str, world: World) -> None:
    Console(world).guest_reboots(HOST, instance)
    wait_until(lambda: "Linux version" in written(gateway, instance), 20)
    wait_until(lambda: written(gateway, instance).endswith("login: "), 20)
    Console(world).guest_says(HOST, instance, "Kernel panic - not syncing\r\n")
    assert written(gateway, instance).endswith("Kernel panic - not syncing\r\n")


def test_a_screenshot_is_the_screen_of_that_vm(
    gateway: Gateway, instance: str, world: World
) -> None:
    answer = ec2(gateway, "get-console-screenshot", "--instance-id", instance, "--wake-up")
    with Image.open(io.BytesIO(base64.b64decode(answer["ImageData"]))) as image:
        assert (image.format, image.size) == ("JPEG", (640, 480))
        seen = image.convert("RGB").getpixel((40, 200))
    with world.reading(HOST) as session:
        [vm] = [vm for vm in session.vms() if vm.name == instance]
    first = int.from_bytes(consoles.picture(vm.id, 640, 1)[:2], "little")
    wanted = (first >> 11 << 3, (first >> 5 & 63) << 2, (first & 31) << 3)
    assert isinstance(seen, tuple)
    assert all(abs(got - want) < 24 for got, want in zip(seen, wanted, strict=True))


def test_a_host_is_told_to_read_on_by_a_command_and_its_check_shows_it(
    gateway: Gateway, instance: str, world: World
) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "ec2gw", "host", *arguments, "--data", str(gateway.data)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    def runs() -> bool:
        with world.reading(HOST) as session:
            return session.machine.reader_running

    assert "console reader" not in run("check", HOST).stdout
    assert run("console", HOST, "on").returncode == 0
    wait_until(runs, 20)
    checked = run("check", HOST)
    assert checked.returncode == 0
    assert "console reader" in checked.stdout
    Console(world).reader_dies(HOST)
    checked = run("check", HOST)
    assert checked.returncode == 1
    assert "does not run" in " ".join(checked.stdout.split())
    assert run("console", HOST, "off").returncode == 0
    assert run("console", "nobody", "on").returncode == 1
    wait_until(lambda: not scripts(world), 20)


def scripts(world: World) -> list[str]:
    with world.reading(HOST) as session:
        return [path for path in session.host.files if "\\console-" in path]


def test_a_stopped_instance_has_output_and_no_screen(gateway: Gateway, instance: str) -> None:
    before = written(gateway, instance)
    ec2(gateway, "stop-instances", "--instance-ids", instance)
    wait_until(lambda: state(gateway, instance) == "stopped", 60)
    assert written(gateway, instance) == before
    shot = ("get-console-screenshot", "--instance-id", instance)
    assert code(gateway, *shot) == "IncorrectInstanceState"
    ec2(gateway, "terminate-instances", "--instance-ids", instance)
    wait_until(lambda: state(gateway, instance) == "terminated", 60)
    assert written(gateway, instance) == before
    assert code(gateway, *shot) == "IncorrectInstanceState"
