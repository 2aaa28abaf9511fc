"""A cloud with one and more of everything, and for every action on offer a request that it takes.

A request is made from what the model requires, by the members' names; a new action needs a line
here only where that is not enough.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import re
import shutil
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from ec2gw.auth import accounts
from ec2gw.pipeline import Gateway
from ec2gw.wire import model
from state import ids, lifecycle, models, storage
from state.secrets import Vault
from state.store import Store
from tests.in_process import InProcess
from tests.launches import NOW
from translators.ec2.instances import intents
from translators.registry import ACTIONS
from translators.settings import Depot, InstanceType, Settings

SIZE: Final = 8
"""How many there are of everything that can be listed: more than the smallest page."""
ED25519: Final = b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPm9Y2o7sXyXHxoNyUMHZG+5xDGKDsxTeRGWyS8pTzUG"
EC2: Final = sorted(name for service, name in ACTIONS if service == "ec2")

PREFIXES: Final[Mapping[str, str]] = {
    "AssociatedSubnet": "subnet",
    "DhcpOptions": "dopt",
    "Group": "sg",
    "Image": "ami",
    "ImportTask": "import-ami",
    "Instance": "i",
    "InternetGateway": "igw",
    "KeyPair": "key",
    "NetworkAcl": "acl",
    "NetworkInterface": "eni",
    "RouteTable": "rtb",
    "SecurityGroup": "sg",
    "SecurityGroupRule": "sgr",
    "Snapshot": "snap",
    "SourceImage": "ami",
    "SourceSnapshot": "snap",
    "Subnet": "subnet",
    "Volume": "vol",
    "Vpc": "vpc",
}
"""What a member's name says it names -> the prefix of those ids."""
_CLONED: Final[tuple[tuple[type[Any], str, Mapping[str, object]], ...]] = (
    (models.DhcpOptions, "dopt", {}),
    (models.InternetGateway, "igw", {"vpc_key": None}),
    (models.NetworkAcl, "acl", {"is_default": False}),
    (models.RouteTable, "rtb", {"main": False, "main_association_id": None}),
    (models.SecurityGroup, "sg", {"name": "group {number}"}),
    (models.SecurityGroupRule, "sgr", {}),
    (models.Subnet, "subnet", {"default_for_az": False}),
    (models.Vpc, "vpc", {"is_default": False}),
)
"""Of what no action makes more than one: tables, prefixes, and what differs in a clone."""


@dataclasses.dataclass(frozen=True)
class Facts:
    """What the tests need to know of the prepared cloud, beside its file."""

    folder: Path
    settings: Settings
    default: accounts.Credentials
    stranger: accounts.Credentials
    ids: Mapping[str, str]
    """Prefix -> one of the default account's; `stopped` is an instance, `public` an image."""


class World(InProcess):
    """A copy of the prepared cloud."""

    def __init__(self, facts: Facts, folder: Path) -> None:
        shutil.copytree(facts.folder, folder)
        self.facts = facts
        store = Store(folder / "state.sqlite3")
        known = accounts.Accounts(store, Vault(folder / "key"), 10)
        # No engine is there that would answer what an action asks of a host.
        actions = {key: dataclasses.replace(one, awaits=None) for key, one in ACTIONS.items()}
        gateway = Gateway(store, known, facts.settings, actions=actions)
        super().__init__(gateway, facts.default, facts.stranger)
        self._eye = sqlite3.connect(store.path)
        self._seen: tuple[int, str] = (-1, "")

    def close(self) -> None:
        self._eye.close()
        self.store.close()

    def content(self) -> str:
        """A digest of all that is kept; it is made anew only after something was written."""
        [version] = self._eye.execute("PRAGMA data_version").fetchone()
        if version != self._seen[0]:
            lines = (line for line in self._eye.iterdump() if "sqlite_sequence" not in line)
            digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
            self._seen = (version, digest)
        return self._seen[1]

    def sample(self, action: str) -> dict[str, Any]:
        """A request that the action takes."""
        operation = model.operation("ec2", action)
        assert operation is not None
        own = MORE.get(action, {})
        asked = {name: VALUES[name] for name in operation.required if name not in own}
        return {name: self.filled(value) for name, value in {**asked, **own}.items()}

    def filled(self, value: Any) -> Any:
        if isinstance(value, str):
            return re.sub(r"\{([a-z-]+)\}", lambda found: self.facts.ids[found[1]], value)
        if isinstance(value, list):
            return [self.filled(one) for one in value]
        if isinstance(value, dict):
            return {name: self.filled(one) for name, one in value.items()}
        return value

    def write_between(self) -> None:
        """Write as others would while somebody turns the pages: make more, and change all."""
        self.call("RunInstances", ImageId=self.facts.ids["ami"], MinCount=2, MaxCount=2)
        self.store.write(lambda session: multiply(session, 1))

        def touch(session: Any) -> None:
            tables: list[type[Any]] = [models.Instance, models.Volume]
            for table in [*tables, *(clone[0] for clone in _CLONED)]:
                session.execute(sa.update(table).values(version=table.version + 1))

        self.store.write(touch)


VALUES: Final[Mapping[str, Any]] = {
    "FleetId": "fleet-01234567-0123-0123-0123-0123456789ab",
    "GroupId": ["{sg}"],
    "ImageId": "{ami}",
    "InstanceId": "{i}",
    "InstanceIds": ["{i}"],
    "KeyName": "new",
    "MaxCount": 1,
    "MinCount": 1,
    "Name": "new",
    "PublicKeyMaterial": ED25519,
    "Resources": ["{i}"],
    "SnapshotId": "{snap}",
    "SourceRegion": "us-east-1",
    "Tags": [{"Key": "Owner", "Value": "me"}],
    "VolumeId": "{vol}",
    "VpcId": "{vpc}",
}
"""Required member -> its value; `{i}` stands for an id of that prefix."""
NEXT_YEAR: Final = dt.datetime.now(dt.UTC) + dt.timedelta(days=365)
_PERMISSIONS: Final = [
    {
        "IpProtocol": "tcp",
        "FromPort": 22,
        "ToPort": 22,
        "IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "new"}],
    }
]
IMPORTED: Final = "https://images.example.org/"
"""What URLs of imports begin with here."""
MORE: Final[Mapping[str, Mapping[str, Any]]] = {
    "AuthorizeSecurityGroupEgress": {"GroupId": "{sg}", "IpPermissions": _PERMISSIONS},
    "AuthorizeSecurityGroupIngress": {"GroupId": "{sg}", "IpPermissions": _PERMISSIONS},
    "CancelImportTask": {"ImportTaskId": "{import-ami}"},
    "CopyImage": {"SourceImageId": "{ami}"},
    "CopySnapshot": {"SourceSnapshotId": "{snap}"},
    "CreateSnapshot": {"VolumeId": "{free}"},
    "CreateSnapshots": {"InstanceSpecification": {"InstanceId": "{i}"}},
    "CreateSecurityGroup": {"GroupName": "new", "Description": "new"},
    "AttachVolume": {"VolumeId": "{free}", "InstanceId": "{i}", "Device": "/dev/sdz"},
    "CreateVolume": {"AvailabilityZone": "us-east-1a", "Size": 1},
    "DeleteKeyPair": {"KeyName": "old"},
    "DeleteSecurityGroup": {"GroupId": "{web}"},
    "DeleteSnapshot": {"SnapshotId": "{copy}"},
    "DeleteVolume": {"VolumeId": "{free}"},
    "DescribeImageAttribute": {"Attribute": "description"},
    "DescribeInstanceAttribute": {"Attribute": "userData"},
    "DescribeSnapshotAttribute": {"Attribute": "createVolumePermission"},
    "DescribeVolumeAttribute": {"Attribute": "autoEnableIO"},
    "DescribeVpcAttribute": {"Attribute": "enableDnsSupport"},
    "DetachVolume": {"VolumeId": "{data}"},
    "DisableImageDeprecation": {"ImageId": "{public}"},
    "EnableImageDeprecation": {"DeprecateAt": NEXT_YEAR},
    "ImportImage": {"DiskContainers": [{"Url": f"{IMPORTED}disk.vmdk"}]},
    "ImportSnapshot": {"DiskContainer": {"Url": f"{IMPORTED}disk.vmdk"}},
    "ModifyImageAttribute": {"Description": {"Value": "new"}},
    "ModifyInstanceAttribute": {"DisableApiStop": {"Value": True}},
    "ModifyInstanceMetadataOptions": {"HttpTokens": "required"},
    "ModifyNetworkInterfaceAttribute": {
        "NetworkInterfaceId": "{eni}",
        "Description": {"Value": "new"},
    },
    "ModifySecurityGroupRules": {
        "GroupId": "{web}",
        "SecurityGroupRules": [
            {
                "SecurityGroupRuleId": "{in}",
                "SecurityGroupRule": {"IpProtocol": "-1", "CidrIpv4": "11.0.0.0/8"},
            }
        ],
    },
    "ModifySnapshotAttribute": {"CreateVolumePermission": {"Add": [{"Group": "all"}]}},
    "ModifyVolume": {"VolumeId": "{free}", "Size": 2},
    "ModifyVolumeAttribute": {"AutoEnableIO": {"Value": True}},
    "RegisterImage": {
        "ImageLocation": "new.vhdx",
        "BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 8}}],
    },
    "ReportInstanceStatus": {
        "Instances": ["{i}"],
        "Status": "impaired",
        "ReasonCodes": ["other"],
    },
    "ResetImageAttribute": {"Attribute": "launchPermission", "ImageId": "{public}"},
    "ResetSnapshotAttribute": {"Attribute": "createVolumePermission", "SnapshotId": "{open}"},
    "ResetInstanceAttribute": {"Attribute": "sourceDestCheck"},
    "RevokeSecurityGroupEgress": {"GroupId": "{web}", "SecurityGroupRuleIds": ["{out}"]},
    "RevokeSecurityGroupIngress": {"GroupId": "{web}", "SecurityGroupRuleIds": ["{in}"]},
    "RunInstances": {"ImageId": "{ami}"},
    "StartInstances": {"InstanceIds": ["{stopped}"]},
    "UnmonitorInstances": {"InstanceIds": ["{stopped}"]},
    "UpdateSecurityGroupRuleDescriptionsEgress": {
        "GroupId": "{web}",
        "SecurityGroupRuleDescriptions": [{"SecurityGroupRuleId": "{out}", "Description": "new"}],
    },
    "UpdateSecurityGroupRuleDescriptionsIngress": {
        "GroupId": "{web}",
        "IpPermissions": _PERMISSIONS,
    },
}
"""What an action is asked beside or instead."""


def prepare(folder: Path, empty_database: Path) -> Facts:
    """Make the cloud whose copies the tests work on."""
    folder.mkdir()
    shutil.copy(empty_database, folder / "state.sqlite3")
    types = [InstanceType(f"t3.size{number}", 2, 1024) for number in range(SIZE)]
    types.append(InstanceType("t3.micro", 2, 1024, burstable=True))
    settings = Settings(
        instance_types={one.name: one for one in types},
        laboratory=True,
        import_prefixes=(IMPORTED,),
        depot=Depot("https://127.0.0.1:8774", "0" * 64, b"k" * 32),
    )
    store = Store(folder / "state.sqlite3")
    try:
        made = InProcess.fresh(store, Vault(folder / "key"), settings)
        named = _populate(made)
        return Facts(folder, settings, made.default, made.stranger, named)
    finally:
        store.close()


def _populate(cloud: InProcess) -> dict[str, str]:
    cloud.call("ImportKeyPair", KeyName="old", PublicKeyMaterial=ED25519)
    named: dict[str, str] = {}
    for number in range(SIZE):
        disk = [{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 8}}]
        named["ami"] = cloud.call(
            "RegisterImage",
            Name=f"image {number}",
            ImageLocation=f"disk-{number}.vhdx",
            BlockDeviceMappings=disk,
        )["ImageId"]
        if number == 0:
            named["public"] = named["ami"]
    everybody = {"Add": [{"Group": "all"}]}
    cloud.call("ModifyImageAttribute", ImageId=named["public"], LaunchPermission=everybody)
    cloud.call("EnableImageDeprecation", ImageId=named["public"], DeprecateAt=NEXT_YEAR)
    [image] = cloud.call("DescribeImages", ImageIds=[named["ami"]])["Images"]
    named["snap"] = image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    for name in ("copy", "open"):
        named[name] = cloud.call(
            "CopySnapshot", SourceRegion="us-east-1", SourceSnapshotId=named["snap"]
        )["SnapshotId"]
    cloud.call(
        "ModifySnapshotAttribute", SnapshotId=named["open"], CreateVolumePermission=everybody
    )
    for kind, count in (("i", SIZE), ("stopped", 2)):
        launched = cloud.call(
            "RunInstances",
            ImageId=named["ami"],
            MinCount=count,
            MaxCount=count,
            Monitoring={"Enabled": kind == "stopped"},
            TagSpecifications=[
                {"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": kind}]}
            ],
        )["Instances"]
        listed = [one["InstanceId"] for one in launched]
        named[kind] = listed[0]
        _find(cloud, "launched", listed)
        if kind == "stopped":
            cloud.call("StopInstances", InstanceIds=listed)
            _find(cloud, "stopped", listed)
    cloud.store.write(lambda session: multiply(session, SIZE))
    for _ in range(SIZE):
        for action, prefix in (("ImportImage", "import-ami"), ("ImportSnapshot", "import-snap")):
            named[prefix] = cloud.call(action, **MORE[action])["ImportTaskId"]
    cloud.store.write(_plan_maintenance)
    named |= _make_group(cloud)
    named |= _make_volumes(cloud, named["i"])
    with cloud.store.read() as session:
        others: list[tuple[type[Any], str]] = [
            (models.KeyPair, "key"),
            (models.NetworkInterface, "eni"),
            (models.Snapshot, "snap"),
            (models.Volume, "vol"),
        ]
        for table, prefix in [*others, *((clone[0], clone[1]) for clone in _CLONED)]:
            named[prefix] = session.execute(_own(table).limit(1)).one().id
    return named


def _plan_maintenance(session: Any) -> None:
    """Plan something for the host of the first instance."""
    first = sa.select(models.Instance.host_key).order_by(models.Instance.key).limit(1)
    session.add(
        models.HostEvent(
            host_key=session.scalars(first).one(),
            code="system-reboot",
            description="new firmware",
            not_before=NEXT_YEAR,
            not_after=NEXT_YEAR + dt.timedelta(hours=1),
            created_at=NOW,
        )
    )


def _make_group(cloud: InProcess) -> dict[str, str]:
    """Make a group that nobody is in; `in` and `out` are its rules."""
    group_id = cloud.call("CreateSecurityGroup", GroupName="web", Description="web")["GroupId"]
    permissions = [{**_PERMISSIONS[0], "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}]
    cloud.call("AuthorizeSecurityGroupIngress", GroupId=group_id, IpPermissions=permissions)
    mine = [{"Name": "group-id", "Values": [group_id]}]
    rules = cloud.call("DescribeSecurityGroupRules", Filters=mine)["SecurityGroupRules"]
    ways = {"out" if rule["IsEgress"] else "in": rule["SecurityGroupRuleId"] for rule in rules}
    return {"web": group_id, **ways}


def _make_volumes(cloud: InProcess, instance_id: str) -> dict[str, str]:
    """Make volumes that were modified once; the one called `data` is in use, `free` was not."""
    made = [
        cloud.call("CreateVolume", AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
        for _ in range(SIZE + 1)
    ]
    _rest(cloud, "available")
    for volume_id in made[:-1]:
        cloud.call("ModifyVolume", VolumeId=volume_id, Size=2)
    cloud.call("AttachVolume", VolumeId=made[0], InstanceId=instance_id, Device="/dev/sdf")
    _rest(cloud, "in-use")
    return {"data": made[0], "free": made[-1]}


def _rest(cloud: InProcess, phase: storage.VolumePhase) -> None:
    """Let the engine find all volumes that it was to see to so."""
    working = models.Volume.phase.in_(storage.VOLUME_WORKING)
    query = sa.update(models.Volume).where(working).values(**storage.entered(phase))
    cloud.store.write(lambda session: session.execute(query))


def _find(cloud: InProcess, event: lifecycle.Found, instance_ids: list[str]) -> None:
    """Let the engine find so."""

    def work(session: Any) -> None:
        query = sa.select(models.Instance).where(models.Instance.id.in_(instance_ids))
        for row in session.scalars(query):
            intents.move(session, row, event, None, NOW)

    cloud.store.write(work)


def multiply(session: Any, count: int) -> None:
    """Clone what an account has only one of, so many times."""
    for table, prefix, differing in _CLONED:
        row = session.execute(_own(table).limit(1)).one()
        for _ in range(count):
            new_id = ids.mint(prefix)
            own = {
                name: value.format(number=new_id) if isinstance(value, str) else value
                for name, value in differing.items()
            }
            values = {**row._mapping, **own, "id": new_id, "version": 1}
            del values["key"]
            session.execute(sa.insert(table).values(**values))


def _own(table: type[Any]) -> sa.Select[Any]:
    """The default account's rows, oldest first."""
    default = sa.select(models.Account.key).where(models.Account.name == accounts.DEFAULT)
    described = table.__table__
    return (
        sa.select(described).where(described.c.account_key.in_(default)).order_by(described.c.key)
    )
