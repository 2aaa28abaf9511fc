"""A Debian image boots with what the gateway made for an instance: disc, firmware, metadata.

The instance is launched through the API and runs in the laboratory. What its host was given there
is put into a machine in QEMU on a port of its own, in the test's own network namespace, where the
gateway's metadata service has 169.254.169.254.

Source: docs/guests.md, "What is proved"; run by `scripts/test guest`, which makes the image.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ec2gw.lab.world import World, model
from tests.gateway import LINUX_IMAGE, Gateway, wait_until
from tests.guest import virtual

IMAGE = "EC2GW_TEST_GUEST"
"""The variable that names the folder of the image; the network namespace is our own then."""
TAP = "guest0"
METADATA = "169.254.169.254"
ROUTERS = ("172.31.0.1/20", "172.31.16.1/20", "172.31.32.1/20")
RAN = "this is what user data said"
USER_DATA = f"""#!/bin/sh
cat /var/lib/cloud/data/instance-id >> /var/log/user-data-ran
echo {RAN} > /dev/ttyS0
"""
EJECT_SECONDS = 20
BOOT_SECONDS = 420.0
pytestmark = [
    pytest.mark.timeout(1800),
    pytest.mark.skipif(IMAGE not in os.environ, reason="`scripts/test guest` makes its image"),
]


@dataclass(frozen=True)
class Guest:
    """An instance, and what its host was told to make of it."""

    gateway: Gateway
    shown: dict[str, Any]
    key_file: Path
    disc: Path
    bare: Path
    """What took the place of the disc once it was ejected."""
    disk: Path
    firmware: virtual.Firmware
    folder: Path

    @property
    def address(self) -> str:
        return str(self.shown["PrivateIpAddress"])

    @property
    def mac(self) -> str:
        return str(self.shown["NetworkInterfaces"][0]["MacAddress"])

    def boot(self, disc: Path | None) -> AbstractContextManager[virtual.Machine]:
        return virtual.machine(
            Path(os.environ[IMAGE]),
            self.disk,
            self.folder,
            firmware=self.firmware,
            mac=self.mac,
            tap=TAP,
            disc=disc,
        )

    def ssh(self, command: str, seconds: float = 60) -> str:
        """Run a command in the guest, signed in by the key pair; answers what it printed."""
        end = time.monotonic() + seconds
        while True:
            done = subprocess.run(
                [
                    *("ssh", "-i", str(self.key_file), "-o", "BatchMode=yes"),
                    *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"),
                    *("-o", "LogLevel=ERROR", "-o", "ConnectTimeout=10"),
                    f"debian@{self.address}",
                    command,
                ],
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            if done.returncode == 0:
                return done.stdout.strip()
            assert time.monotonic() < end, f"{command}: {done.stdout}{done.stderr}"
            time.sleep(2)


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    folder = tmp_path_factory.mktemp("guest")
    virtual.tap(TAP, (*ROUTERS, f"{METADATA}/32"))
    environ = {
        "EC2GW_METADATA_LISTEN": f"{METADATA}:80",
        "EC2GW_GUEST_EJECT_SEED_AFTER": str(EJECT_SECONDS),
    }
    with Gateway(folder / "data", environ=environ) as gateway:
        ec2 = gateway.client()
        key_file = folder / "key.pem"
        key_file.touch(0o600)
        key_file.write_text(ec2.create_key_pair(KeyName="boot", KeyType="rsa")["KeyMaterial"])
        made = ec2.run_instances(
            ImageId=LINUX_IMAGE,
            MinCount=1,
            MaxCount=1,
            KeyName="boot",
            UserData=USER_DATA,
            MetadataOptions={"HttpTokens": "required", "InstanceMetadataTags": "enabled"},
            TagSpecifications=[
                {"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "booted"}]}
            ],
        )
        instance_id = made["Instances"][0]["InstanceId"]
        ec2.get_waiter("instance_running").wait(
            InstanceIds=[instance_id], WaiterConfig={"Delay": 1, "MaxAttempts": 60}
        )
        found = ec2.describe_instances(InstanceIds=[instance_id])
        shown = found["Reservations"][0]["Instances"][0]
        with drive(gateway, instance_id) as (vm, path, content):
            assert path.endswith("\\seed.iso")
            disc = folder / "seed.iso"
            disc.write_bytes(content)
            uuid = vm.bios_guid.strip("{}").lower()
            firmware = virtual.Firmware(uuid, vm.serial_number, vm.asset_tag)
        wait_until(lambda: in_drive(gateway, instance_id).endswith("\\bare.iso"), 120)
        with drive(gateway, instance_id) as (_, _, content):
            bare = folder / "bare.iso"
            bare.write_bytes(content)
        disk = folder / "disk.qcow2"
        virtual.overlay(Path(os.environ[IMAGE]), disk, 8)
        yield Guest(gateway, shown, key_file, disc, bare, disk, firmware, folder)


@contextmanager
def drive(gateway: Gateway, instance_id: str) -> Iterator[tuple[model.Vm, str, bytes]]:
    """The instance's VM on its host, and what is in its DVD drive."""
    world = World(gateway.data / "lab" / "world.sqlite3", hosts=())
    for host in world.hosts:
        with world.reading(host) as session:
            for vm in session.vms():
                if vm.name == instance_id:
                    (path,) = [one.path for one in vm.dvds if one.path]
                    yield vm, path, session.content(path)
                    return
    raise AssertionError(f"{instance_id} is on no host")


def in_drive(gateway: Gateway, instance_id: str) -> str:
    with drive(gateway, instance_id) as (_, path, _):
        return path


def test_a_guest_comes_up_and_comes_up_again_once_its_disc_is_gone(guest: Guest) -> None:
    private_name = guest.shown["PrivateDnsName"]
    with guest.boot(guest.disc) as machine:
        machine.wait_for(RAN, BOOT_SECONDS)
        assert guest.ssh("hostname", 120) == private_name.partition(".")[0]
        assert guest.ssh("cloud-init status --wait", 120).endswith("done")
        assert guest.ssh("cat /var/lib/cloud/data/instance-id") == guest.shown["InstanceId"]
        assert "DataSourceNoCloud" in guest.ssh("cat /run/cloud-init/result.json")
        assert f" {guest.address}/20 " in guest.ssh("ip -4 -o address show scope global")
        assert guest.ssh("sudo -n id -u") == "0"
        assert metadata(guest, "instance-id") == guest.shown["InstanceId"]
        assert metadata(guest, "tags/instance/Name") == "booted"
        refused = f"curl -s -o /dev/null -w %{{http_code}} http://{METADATA}/latest/meta-data/"
        assert guest.ssh(refused) == "401"
        assert ran(guest) == 1
        off(guest, machine)
    again(guest, guest.bare, "DataSourceNoCloud")
    with virtual.dhcp(TAP, guest.folder, ROUTERS[0], guest.mac, guest.address):
        again(guest, None, "DataSourceEc2")


def again(guest: Guest, disc: Path | None, datasource: str) -> None:
    """Boot the same disk once more: all is as it was, and nothing runs again."""
    with guest.boot(disc) as machine:
        assert guest.ssh("cloud-init status --wait", BOOT_SECONDS).endswith("done")
        assert guest.ssh("hostname") == guest.shown["PrivateDnsName"].partition(".")[0]
        assert datasource in guest.ssh("cat /run/cloud-init/result.json")
        assert f" {guest.address}/20 " in guest.ssh("ip -4 -o address show scope global")
        assert metadata(guest, "instance-id") == guest.shown["InstanceId"]
        assert ran(guest) == 1
        off(guest, machine)


def off(guest: Guest, machine: virtual.Machine) -> None:
    guest.ssh("sudo -n sh -c 'sync; systemctl poweroff --no-block'")
    machine.wait_off(120)


def ran(guest: Guest) -> int:
    return len(guest.ssh("sudo -n cat /var/log/user-data-ran").split())


def metadata(guest: Guest, path: str) -> str:
    """Ask from inside for a value, as IMDSv2 wants it."""
    base = f"http://{METADATA}/latest"
    ttl = "X-aws-ec2-metadata-token-ttl-seconds: 60"
    token = f"$(curl -sf -X PUT -H '{ttl}' {base}/api/token)"
    ask = f'curl -sf -H "X-aws-ec2-metadata-token: {token}" {base}/meta-data/{path}'
    return guest.ssh(ask)
