"""An account with one of each thing in each state that reads show, made as the engine would.

Actions are called; what a host would be seen to have done is written to the rows.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from state import ids, lifecycle, models, storage
from state.secrets import Vault
from state.store import Store
from tests.conformance import asked
from tests.in_process import InProcess
from tests.launches import NOW
from translators.ec2.instances import intents
from translators.settings import InstanceType, Settings

ZONE: Final = "us-east-1a"
WAYS: Final[Mapping[lifecycle.Phase, tuple[str, ...]]] = {
    "pending": (),
    "running": ("+launched",),
    "rebooting": ("+launched", "RebootInstances"),
    "stopping": ("+launched", "StopInstances"),
    "stopped": ("+launched", "StopInstances", "+stopped"),
    "starting": ("+launched", "StopInstances", "+stopped", "StartInstances"),
    "shutting-down": ("+launched", "TerminateInstances"),
    "terminated": ("+launched", "TerminateInstances", "+removed"),
}
"""Phase of an instance -> how it gets there from its launch: actions, and findings (+)."""
VOLUMES: Final[Mapping[storage.VolumePhase, bool]] = {
    "creating": False,
    "available": False,
    "moving": True,
    "attaching": True,
    "in-use": True,
    "detaching": True,
    "deleting": False,
    "error": False,
}
"""Phase of a volume -> whether it has an instance then."""


def prepare(folder: Path, empty_database: Path) -> asked.Facts:
    """Make the account; answer what a test needs to ask for its things."""
    folder.mkdir()
    shutil.copy(empty_database, folder / "state.sqlite3")
    types = (
        InstanceType("t3.micro", 2, 1024, burstable=True),
        InstanceType("m5.large", 2, 8192),
    )
    settings = Settings(instance_types={one.name: one for one in types}, laboratory=True)
    store = Store(folder / "state.sqlite3")
    try:
        cloud = InProcess.fresh(store, Vault(folder / "key"), settings)
        # No engine is there that would answer what an action asks of a host.
        cloud.gateway.actions = {
            key: dataclasses.replace(one, awaits=None) for key, one in cloud.gateway.actions.items()
        }
        named = _populate(cloud)
        return asked.Facts(folder, settings, cloud.default, cloud.stranger, named)
    finally:
        store.close()


def _populate(cloud: InProcess) -> dict[str, str]:
    named: dict[str, str] = {}
    cloud.call("ImportKeyPair", KeyName="imported", PublicKeyMaterial=asked.ED25519)
    cloud.call("CreateKeyPair", KeyName="created", KeyType="ed25519")
    named |= _images(cloud)
    named |= _instances(cloud, named["ami"])
    named |= _guarded(cloud, named["ami"])
    named |= _groups(cloud, named["i"])
    named |= _volumes(cloud, named["i"])
    named |= _snapshots(cloud, named["vol"], named["stopped"])
    _interfaces(cloud)
    _tags(cloud)
    return named


def _images(cloud: InProcess) -> dict[str, str]:
    disks = [
        {"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 8}},
        {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 1, "VolumeType": "gp2"}},
    ]
    made = {
        name: cloud.call(
            "RegisterImage",
            Name=name,
            ImageLocation=f"{name}.vhdx",
            Description="one of each",
            BlockDeviceMappings=disks,
        )["ImageId"]
        for name in ("available", "pending", "failed", "deregistered", "windows", "copied")
    }
    cloud.call("DeregisterImage", ImageId=made["deregistered"])
    copy = cloud.call(
        "CopyImage", SourceImageId=made["copied"], SourceRegion="us-east-1", Name="copy"
    )["ImageId"]
    cloud.call("EnableImageDeprecation", ImageId=copy, DeprecateAt=asked.NEXT_YEAR)
    cloud.call(
        "ModifyImageAttribute",
        ImageId=made["available"],
        LaunchPermission={"Add": [{"Group": "all"}]},
    )
    _write(cloud, models.Image, made["pending"], state="pending")
    _write(cloud, models.Image, made["failed"], state="failed", message="It could not be made.")
    _write(cloud, models.Image, made["windows"], platform="windows")
    return {"ami": made["available"], "private": made["copied"], "gone": made["deregistered"]}


def _instances(cloud: InProcess, image_id: str) -> dict[str, str]:
    made: dict[str, str] = {}
    for phase, way in WAYS.items():
        [launched] = cloud.call(
            "RunInstances",
            ImageId=image_id,
            MinCount=1,
            MaxCount=1,
            KeyName="imported",
            Placement={"AvailabilityZone": ZONE},
            UserData="#!/bin/sh\n",
            TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Name"}]}],
        )["Instances"]
        made[phase] = launched["InstanceId"]
        for step in way:
            if step.startswith("+"):
                _find(cloud, step.removeprefix("+"), made[phase])
            else:
                cloud.call(step, InstanceIds=[made[phase]])
        found = _column(cloud, models.Instance, made[phase], "phase")
        assert found == phase, f"{phase} is {found}"
    [told] = cloud.call("DescribeInstances", InstanceIds=[made["running"]])["Reservations"]
    [running] = told["Instances"]
    return {
        "i": made["running"],
        **{phase: made[phase] for phase in ("pending", "stopped", "stopping", "terminated")},
        "vol": running["BlockDeviceMappings"][0]["Ebs"]["VolumeId"],
        "eni": running["NetworkInterfaces"][0]["NetworkInterfaceId"],
        "vpc": running["VpcId"],
        "subnet": running["SubnetId"],
        "sg": running["SecurityGroups"][0]["GroupId"],
    }


def _guarded(cloud: InProcess, image_id: str) -> dict[str, str]:
    """Instances that are not to be stopped or terminated, and one whose token was used up."""
    made: dict[str, str] = {}
    for name in ("unstoppable", "lasting", "ended"):
        [launched] = cloud.call(
            "RunInstances",
            ImageId=image_id,
            MinCount=1,
            MaxCount=1,
            ClientToken=name,
            DisableApiStop=name == "unstoppable",
            DisableApiTermination=name == "lasting",
        )["Instances"]
        made[name] = launched["InstanceId"]
        _find(cloud, "launched", made[name])
    cloud.call("TerminateInstances", InstanceIds=[made["ended"]])
    _find(cloud, "removed", made["ended"])
    cloud.call("CreateVolume", AvailabilityZone=ZONE, Size=1, ClientToken="made")
    return made


def _groups(cloud: InProcess, instance_id: str) -> dict[str, str]:
    made = cloud.call("CreateSecurityGroup", GroupName="web", Description="web")["GroupId"]
    peers: tuple[dict[str, Any], ...] = (
        {"IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "inside"}]},
        {"Ipv6Ranges": [{"CidrIpv6": "fd00::/8", "Description": "inside"}]},
        {"UserIdGroupPairs": [{"GroupId": made, "Description": "each other"}]},
    )
    for way in ("AuthorizeSecurityGroupIngress", "AuthorizeSecurityGroupEgress"):
        for peer in peers:
            rule = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, **peer}
            cloud.call(way, GroupId=made, IpPermissions=[rule])
    [told] = cloud.call("DescribeInstances", InstanceIds=[instance_id])["Reservations"]
    before = told["Instances"][0]["SecurityGroups"][0]["GroupId"]
    cloud.call("ModifyInstanceAttribute", InstanceId=instance_id, Groups=[made])
    mine = [{"Name": "group-id", "Values": [made]}]
    rules = cloud.call("DescribeSecurityGroupRules", Filters=mine)["SecurityGroupRules"]
    ways = {"out" if rule["IsEgress"] else "in": rule["SecurityGroupRuleId"] for rule in rules}
    return {"web": made, "default": before, **ways}


def _volumes(cloud: InProcess, instance_id: str) -> dict[str, str]:
    named: dict[str, str] = {}
    kinds: list[dict[str, Any]] = [
        {"Size": 4},
        {"Size": 4, "VolumeType": "gp2"},
        {"Size": 4, "VolumeType": "io1", "Iops": 100},
        {"Size": 125, "VolumeType": "st1"},
    ]
    for kind in kinds:
        kept = cloud.call("CreateVolume", AvailabilityZone=ZONE, **kind)["VolumeId"]
        _write(cloud, models.Volume, kept, **storage.entered("available"))
    for number, (phase, attached) in enumerate(VOLUMES.items()):
        made = cloud.call("CreateVolume", AvailabilityZone=ZONE, Size=2)["VolumeId"]
        _write(cloud, models.Volume, made, **storage.entered("available"))
        if attached:
            device = f"/dev/sd{'ghijklmn'[number]}"
            cloud.call("AttachVolume", VolumeId=made, InstanceId=instance_id, Device=device)
        _write(cloud, models.Volume, made, **storage.entered(phase))
        named[{"available": "free", "in-use": "used"}.get(phase, phase)] = made
    far = cloud.call("CreateVolume", AvailabilityZone="us-east-1b", Size=1)["VolumeId"]
    _write(cloud, models.Volume, far, **storage.entered("available"))
    for state in ("modifying", "completed", "failed"):
        made = cloud.call("CreateVolume", AvailabilityZone=ZONE, Size=2)["VolumeId"]
        _write(cloud, models.Volume, made, **storage.entered("available"))
        cloud.call("ModifyVolume", VolumeId=made, Size=3)
        if state != "modifying":
            _end(cloud, made, state)
        named[state] = made
    return {**named, "far": far}


def _end(cloud: InProcess, volume_id: str, state: str) -> None:
    """End the modification of a volume."""
    volume = sa.select(models.Volume.key).where(models.Volume.id == volume_id)
    query = (
        sa.update(models.VolumeModification)
        .where(models.VolumeModification.volume_key.in_(volume))
        .values(state=state, progress=100, ended_at=NOW)
    )
    cloud.store.write(lambda session: session.execute(query))


def _snapshots(cloud: InProcess, volume_id: str, instance_id: str) -> dict[str, str]:
    states: tuple[tuple[str, dict[str, Any]], ...] = (
        ("pending", {}),
        ("completed", {"phase": "ready", "progress": 100, "fixed_at": NOW, "completed_at": NOW}),
        ("error", {"phase": "error", "message": "It could not be made."}),
    )
    made: dict[str, str] = {}
    for state, columns in states:
        answer = cloud.call("CreateSnapshot", VolumeId=volume_id, Description="one of each")
        made[state] = answer["SnapshotId"]
        columns = {"phase": "copying", "point": None, **columns}
        _write(cloud, models.Snapshot, made[state], state=state, **columns)
    stranger = cloud.call("GetCallerIdentity", service="sts", by=cloud.stranger)["Account"]
    cloud.call(
        "ModifySnapshotAttribute",
        SnapshotId=made["completed"],
        CreateVolumePermission={"Add": [{"Group": "all"}, {"UserId": stranger}]},
    )
    image = cloud.call("CreateImage", InstanceId=instance_id, Name="of instance")
    assert _column(cloud, models.Image, image["ImageId"], "state") == "pending"
    return {"snap": made["completed"], "imaged": _of_image(cloud)}


def _of_image(cloud: InProcess) -> str:
    """A snapshot of the account's that one of its images is made of."""
    [image] = cloud.call("DescribeImages", Filters=[{"Name": "name", "Values": ["available"]}])[
        "Images"
    ]
    snapshot_id: str = image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    return snapshot_id


def _interfaces(cloud: InProcess) -> None:
    """Add an interface that nothing has: no action here makes one, but instances leave them."""

    def work(session: Any) -> None:
        table = models.NetworkInterface.__table__
        row = session.execute(sa.select(table).limit(1)).one()
        values = {
            **row._mapping,
            "id": ids.mint("eni"),
            "mac": ids.mint_mac(),
            "private_ip": "172.31.0.250",
            "status": "available",
            "instance_key": None,
            "attachment_id": None,
            "attachment_status": None,
            "attach_time": None,
        }
        del values["key"]
        session.execute(sa.insert(models.NetworkInterface).values(**values))

    cloud.store.write(work)


def _tags(cloud: InProcess) -> None:
    """Tag all that can be."""
    tagged: list[str] = []
    for action, items, member in (
        ("DescribeVolumes", "Volumes", "VolumeId"),
        ("DescribeSubnets", "Subnets", "SubnetId"),
        ("DescribeVpcs", "Vpcs", "VpcId"),
        ("DescribeRouteTables", "RouteTables", "RouteTableId"),
        ("DescribeInternetGateways", "InternetGateways", "InternetGatewayId"),
        ("DescribeNetworkAcls", "NetworkAcls", "NetworkAclId"),
        ("DescribeDhcpOptions", "DhcpOptions", "DhcpOptionsId"),
        ("DescribeNetworkInterfaces", "NetworkInterfaces", "NetworkInterfaceId"),
        ("DescribeSecurityGroups", "SecurityGroups", "GroupId"),
        ("DescribeKeyPairs", "KeyPairs", "KeyPairId"),
    ):
        tagged += [one[member] for one in cloud.call(action)[items]]
    for action, items, member in (
        ("DescribeImages", "Images", "ImageId"),
        ("DescribeSnapshots", "Snapshots", "SnapshotId"),
    ):
        owners: dict[str, Any] = {"Owners" if "Images" in action else "OwnerIds": ["self"]}
        tagged += [one[member] for one in cloud.call(action, **owners)[items]]
    cloud.call("CreateTags", Resources=tagged, Tags=[{"Key": "Name", "Value": "one"}])


# -- as the engine would


def _find(cloud: InProcess, event: Any, instance_id: str) -> None:
    def work(session: Any) -> None:
        query = sa.select(models.Instance).where(models.Instance.id == instance_id)
        now = dt.datetime.now(dt.UTC)  # who was terminated long ago is not shown any more
        intents.move(session, session.scalars(query).one(), event, None, now)

    cloud.store.write(work)


def _write(cloud: InProcess, model: type[Any], resource_id: str, **columns: Any) -> None:
    query = sa.update(model).where(model.id == resource_id).values(**columns)
    cloud.store.write(lambda session: session.execute(query))


def _column(cloud: InProcess, model: type[Any], resource_id: str, name: str) -> Any:
    with cloud.store.read() as session:
        query = sa.select(getattr(model, name)).where(model.id == resource_id)
        return session.execute(query).scalar_one()
