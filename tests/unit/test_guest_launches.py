"""From a launch to what its guest is told: the disc of a real request, by its image's wishes."""

from __future__ import annotations

import json
from typing import Any

import pytest
import sqlalchemy as sa

from state import models
from state.secrets import Vault
from state.store import Store
from tests.in_process import InProcess
from tests.unit.test_guest_discs import LINUX, read
from translators.guests import disc, facts
from translators.settings import Settings


@pytest.fixture
def gateway(store: Store, vault: Vault, settings: Settings) -> InProcess:
    return InProcess.fresh(store, vault, settings)


def registered(gateway: InProcess) -> str:
    mapping = [{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 8}}]
    made = gateway.call(
        "RegisterImage", Name="own", ImageLocation="own.vhdx", BlockDeviceMappings=mapping
    )
    return str(made["ImageId"])


def say(gateway: InProcess, image_id: str, said: dict[str, Any]) -> None:
    row = models.Image
    gateway.store.write(
        lambda session: session.execute(sa.update(row).where(row.id == image_id).values(guest=said))
    )


def of_image(gateway: InProcess, image_id: str) -> Any:
    with gateway.store.read() as session:
        return session.scalar(sa.select(models.Image.guest).where(models.Image.id == image_id))


def disc_of(gateway: InProcess, instance_id: str, settings: Settings) -> disc.Disc | None:
    with gateway.store.read() as session:
        key = session.scalar(
            sa.select(models.Instance.key).where(models.Instance.id == instance_id)
        )
        assert key is not None
        told = facts.read(session, key, settings.guest)
    assert told is not None
    return disc.make(told, settings)


def test_the_disc_of_a_launch_says_what_was_launched(
    gateway: InProcess, settings: Settings
) -> None:
    material = gateway.call("CreateKeyPair", KeyName="mine")["KeyMaterial"]
    assert "PRIVATE KEY" in material
    [one, other] = gateway.call(
        "RunInstances",
        ImageId=registered(gateway),
        InstanceType="t3.micro",
        MinCount=2,
        MaxCount=2,
        KeyName="mine",
        UserData="#!/bin/sh\necho hello\n",
    )["Instances"]
    made = disc_of(gateway, one["InstanceId"], settings)
    assert made is not None
    assert not made.has_password
    files = read(made.content, LINUX)
    meta = json.loads(files["meta-data"])
    assert meta["instance-id"] == one["InstanceId"]
    assert meta["local-hostname"] == one["PrivateDnsName"]
    [key] = meta["public-keys"]
    assert key.startswith("ssh-rsa ")
    assert key.endswith(" mine")
    assert files["user-data"] == b"#!/bin/sh\necho hello\n"
    [nic] = json.loads(files["network-config"])["ethernets"].values()
    assert nic["match"]["macaddress"] == one["NetworkInterfaces"][0]["MacAddress"].lower()
    assert nic["addresses"][0].split("/")[0] == one["PrivateIpAddress"]
    assert nic["gateway4"]
    again = disc_of(gateway, one["InstanceId"], settings)
    assert again == made
    assert disc_of(gateway, other["InstanceId"], settings) != made


def test_images_of_an_image_go_on_saying_what_it_says(gateway: InProcess) -> None:
    first = registered(gateway)
    say(gateway, first, {"seed": "configdrive", "imds": False})
    snapshot_id = gateway.call("DescribeImages", ImageIds=[first])["Images"][0][
        "BlockDeviceMappings"
    ][0]["Ebs"]["SnapshotId"]
    copied = gateway.call("CopyImage", Name="copy", SourceImageId=first, SourceRegion="us-east-1")[
        "ImageId"
    ]
    of_disk = gateway.call(
        "RegisterImage",
        Name="again",
        RootDeviceName="/dev/sda1",
        BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": snapshot_id}}],
    )["ImageId"]
    for image_id in (copied, of_disk):
        assert of_image(gateway, image_id) == {"seed": "configdrive", "imds": False}
