"""Terraform with AWS's provider against a running gateway: applied once, it drifts nowhere.

It runs where program and provider are to be had; what the provider reads is also held, without
them, in tests/conformance/test_terraform_reads.py.
"""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from tests.gateway import LINUX_IMAGE, Gateway
from tests.tools import terraforming

pytestmark = pytest.mark.timeout(2 * terraforming.SECONDS)


@pytest.fixture
def terraform(gateway: Gateway, tmp_path: Path) -> terraforming.Terraform:
    return begun(gateway, tmp_path, terraforming.CONFIGURATION)


@pytest.fixture
def storage(gateway: Gateway, tmp_path: Path) -> terraforming.Terraform:
    return begun(gateway, tmp_path, terraforming.CONFIGURATION / "storage")


def begun(gateway: Gateway, folder: Path, configuration: Path) -> terraforming.Terraform:
    try:
        return terraforming.Terraform(gateway, folder, configuration)
    except terraforming.NotToBeHad as error:
        pytest.skip(str(error))


def test_what_was_applied_is_found_as_it_was_wanted(
    terraform: terraforming.Terraform, gateway: Gateway
) -> None:
    ec2 = gateway.client()
    wanted: dict[str, object] = {"image_id": LINUX_IMAGE}
    terraform.apply(**wanted)
    assert terraform.drift(**wanted) == []
    values = terraform.values()
    one = values["instance_id"]
    [reservation] = ec2.describe_instances(InstanceIds=[one])["Reservations"]
    [instance] = reservation["Instances"]
    [disk] = instance["BlockDeviceMappings"]
    [interface] = instance["NetworkInterfaces"]
    assert values["zones"] == ["us-east-1a", "us-east-1b", "us-east-1c"]
    assert values["found"] == {
        "instances": [one],
        "interfaces": [interface["NetworkInterfaceId"]],
        "volumes": [disk["Ebs"]["VolumeId"]],
        "user_data": base64.b64encode(b"#!/bin/sh\n").decode(),
        "address": instance["PrivateIpAddress"],
        "size": 10,
        "images": values["found"]["images"],
    }
    assert LINUX_IMAGE in values["found"]["images"]

    # Both want the instance stopped, and are changed in place.
    wanted |= {"type": "t3.small", "user_data": "#!/bin/sh\ntrue\n"}
    terraform.apply(**wanted)
    assert terraform.drift(**wanted) == []
    assert terraform.values()["instance_id"] == one

    wanted |= {"state": "stopped", "protected": False}
    terraform.apply(**wanted)
    assert terraform.drift(**wanted) == []
    told = ec2.describe_instances(InstanceIds=[one])["Reservations"][0]["Instances"][0]
    assert (told["State"]["Name"], told["InstanceType"]) == ("stopped", "t3.small")

    terraform.destroy(**wanted)
    gone = ec2.describe_instances(InstanceIds=[one])["Reservations"][0]["Instances"][0]
    assert gone["State"]["Name"] == "terminated"
    assert ec2.describe_key_pairs()["KeyPairs"] == []


def test_disks_snapshots_images_and_groups_drift_nowhere(
    storage: terraforming.Terraform, gateway: Gateway
) -> None:
    ec2 = gateway.client()
    friend = gateway.account("terraform-friend").account_id
    wanted: dict[str, object] = {"image_id": LINUX_IMAGE, "friend": friend}
    storage.apply(**wanted)
    assert storage.drift(**wanted) == []
    made = storage.values()["ids"]
    assert len(made["rules"]) == 3
    # Of the disk, of its copy, and of two disks and the attached one in an image and in its copy.
    assert len(made["snapshots"]) == 8

    # All of it changes in place: a disk grows while it is attached, rules become others.
    wanted |= {"size": 8, "iops": 4000, "port": 8443, "description": "second", "more_groups": True}
    storage.apply(**wanted)
    assert storage.drift(**wanted) == []
    kept = storage.values()["ids"]
    names = ("instance", "volume", "web", "snapshot", "image")
    assert {name: kept[name] for name in names} == {name: made[name] for name in names}
    [disk] = ec2.describe_volumes(VolumeIds=[made["volume"]])["Volumes"]
    assert (disk["Size"], disk["Iops"], disk["State"]) == (8, 4000, "in-use")

    storage.destroy(**wanted)
    assert ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"] == []
    assert ec2.describe_images(Owners=["self"])["Images"] == []
    # The image says of the disk what the attachment said: that it outlives its instance.
    [orphan] = ec2.describe_volumes()["Volumes"]
    assert (orphan["State"], orphan["Size"], orphan["Attachments"]) == ("available", 4, [])
    ec2.delete_volume(VolumeId=orphan["VolumeId"])
    [default] = ec2.describe_security_groups()["SecurityGroups"]
    assert default["GroupName"] == "default"
