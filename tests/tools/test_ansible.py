"""Ansible's amazon.aws against a running gateway: what is wanted becomes so, once.

A module that is added to the playbooks is held to the same: the first run changes, the second
finds nothing to do, the removal leaves nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.gateway import LINUX_IMAGE, Gateway
from tests.tools import playing

pytestmark = pytest.mark.timeout(3 * playing.SECONDS)


@pytest.fixture
def ansible(tools: Path, gateway: Gateway, tmp_path: Path) -> playing.Ansible:
    return playing.Ansible(tools, gateway, tmp_path)


def alive(gateway: Gateway, label: str) -> list[Any]:
    """What is there of that name, and not on its way out."""
    states = ["pending", "running", "stopping", "stopped"]
    filters = [
        {"Name": "tag:Name", "Values": [label]},
        {"Name": "instance-state-name", "Values": states},
    ]
    found = gateway.client().describe_instances(Filters=filters)["Reservations"]
    return [one for reservation in found for one in reservation["Instances"]]


def test_what_a_playbook_wants_becomes_so_once_until_it_is_taken_away(
    ansible: playing.Ansible, gateway: Gateway
) -> None:
    about = {"label": "story", "image_id": LINUX_IMAGE}
    assert ansible.play("present.yml", **about).changed == ["ec2_key", "ec2_instance", "ec2_tag"]
    [made] = alive(gateway, "story")
    assert ansible.play("present.yml", **about).changed == []
    assert alive(gateway, "story") == [made]

    acts = ["stop", "resize", "start, until its status is ok", "restart"]
    assert ansible.play("power.yml", **about).changed == acts

    assert ansible.play("absent.yml", **about).changed == ["unprotect", "ec2_instance", "ec2_key"]
    assert alive(gateway, "story") == []
    assert ansible.play("absent.yml", **about).changed == []
    assert gateway.client().describe_key_pairs()["KeyPairs"] == []


def test_there_are_as_many_as_are_wanted(ansible: playing.Ansible, gateway: Gateway) -> None:
    for wanted, changed in ((3, ["ec2_instance"]), (3, []), (1, ["ec2_instance"]), (1, [])):
        played = ansible.play("count.yml", label="many", image_id=LINUX_IMAGE, wanted=wanted)
        assert played.changed == changed, wanted
        assert len(alive(gateway, "many")) == wanted


def left(gateway: Gateway, label: str) -> list[str]:
    """The ids of what is there of that project; of instances, those that are not gone."""
    ec2 = gateway.client()
    mine: list[Any] = [{"Name": "tag:Project", "Values": [label]}]
    return [
        *(one["VolumeId"] for one in ec2.describe_volumes(Filters=mine)["Volumes"]),
        *(one["SnapshotId"] for one in ec2.describe_snapshots(Filters=mine)["Snapshots"]),
        *(one["ImageId"] for one in ec2.describe_images(Filters=mine)["Images"]),
        *(one["GroupId"] for one in ec2.describe_security_groups(Filters=mine)["SecurityGroups"]),
        *(one["InstanceId"] for one in alive(gateway, label)),
    ]


def test_disks_snapshots_images_and_groups_are_as_they_are_wanted(
    ansible: playing.Ansible, gateway: Gateway
) -> None:
    ec2 = gateway.client()
    about: dict[str, object] = {
        "label": "storage",
        "image_id": LINUX_IMAGE,
        "friend": gateway.account("friend").account_id,
        "description": "first",
        "size": 4,
        "iops": 3000,
        "purge": True,
    }
    assert ansible.play("storage.yml", **about).changed == [
        "admins",
        "web",
        "ec2_instance",
        "ec2_vol",
        "ec2_snapshot",
        "share the snapshot",
        "ec2_ami",
    ]
    made = left(gateway, "storage")
    assert ansible.play("storage.yml", **about).changed == []

    # A rule of somebody else goes when it is to be purged; description and disk change in place.
    web = {"Name": "group-name", "Values": ["storage-web"]}
    [group] = ec2.describe_security_groups(Filters=[web])["SecurityGroups"]
    stranger = {"IpProtocol": "tcp", "FromPort": 25, "ToPort": 25}
    ec2.authorize_security_group_ingress(
        GroupId=group["GroupId"],
        IpPermissions=[{**stranger, "IpRanges": [{"CidrIp": "1.2.3.4/32"}]}],
    )
    about |= {"description": "second", "size": 8, "iops": 4000}
    changed = ["web", "ec2_vol", "keep the image"]
    assert ansible.play("storage.yml", **about).changed == changed
    assert left(gateway, "storage") == made
    [group] = ec2.describe_security_groups(Filters=[web])["SecurityGroups"]
    assert 25 not in {one.get("FromPort") for one in group["IpPermissions"]}

    acts = ["register", "launch", "detach", "deregister", "ec2_instance"]
    assert ansible.play("storage-detach.yml", **about).changed == acts

    gone = ["ec2_instance", "ec2_ami", "ec2_snapshot", "ec2_vol", "web", "admins"]
    assert ansible.play("storage-absent.yml", **about).changed == gone
    assert ansible.play("storage-absent.yml", **about).changed == []
    assert left(gateway, "storage") == []
