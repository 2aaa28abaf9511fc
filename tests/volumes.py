"""A cloud's volumes, for tests of their actions: short words for what is done to them."""

from __future__ import annotations

from typing import Any

import pytest

from state import ids, models, storage
from tests.launches import GIB, NOW, Cloud
from translators.ec2.volumes import attach, create, describe, modify, status
from translators.errors import Ec2Error

ROOMS = (attach, create, describe, modify, status)
ZONE = {"AvailabilityZone": "us-east-1a"}
UNKNOWN = "0123456789abcdef0"


def make(cloud: Cloud, *, phase: storage.VolumePhase = "available", **request: Any) -> str:
    """Create a volume and let the engine find it so."""
    asked = {**ZONE, "Size": 10, **request}
    volume_id: str = cloud.call("CreateVolume", **asked)["VolumeId"]
    found(cloud, volume_id, phase)
    return volume_id


def found(cloud: Cloud, volume_id: str, phase: storage.VolumePhase) -> None:
    row = volume(cloud, volume_id)
    cloud.update(models.Volume, row.key, **storage.entered(phase))


def volume(cloud: Cloud, volume_id: str) -> models.Volume:
    row: models.Volume
    [row] = [one for one in cloud.rows(models.Volume) if one.id == volume_id]
    return row


def shown(cloud: Cloud, volume_id: str) -> dict[str, Any]:
    [one] = cloud.call("DescribeVolumes", VolumeIds=[volume_id])["Volumes"]
    assert isinstance(one, dict)
    return one


def running(cloud: Cloud, zone: str = "us-east-1a", **request: Any) -> str:
    [instance_id] = cloud.run(Placement={"AvailabilityZone": zone}, **request)
    cloud.found("launched", instance_id)
    return instance_id


def refused(cloud: Cloud, action: str, **request: Any) -> Ec2Error:
    before = [(row.id, row.generation, row.phase) for row in cloud.rows(models.Volume)]
    with pytest.raises(Ec2Error) as caught:
        cloud.call(action, **request)
    after = [(row.id, row.generation, row.phase) for row in cloud.rows(models.Volume)]
    assert after == before
    return caught.value


def snapshot(cloud: Cloud, *, on: str | None, size_gib: int = 8, state: str = "completed") -> str:
    """Make a snapshot whose file is on one host, or everywhere."""

    def work(session: Any) -> str:
        row = models.Snapshot(
            id=ids.mint("snap"),
            account_key=cloud.account_key,
            region="us-east-1",
            state=state,
            phase="ready" if state == "completed" else "copying",
            phase_since=NOW,
            size_gib=size_gib,
            started_at=NOW,
            volume_id="vol-ffffffff",
            file_name="snapshots/snap-1.vhdx",
            everywhere=on is None,
        )
        session.add(row)
        session.flush()
        if on is not None:
            copy = models.SnapshotCopy(
                snapshot_key=row.key, host_key=cloud.hosts[on], ready=state == "completed"
            )
            session.add(copy)
        return str(row.id)

    return cloud.store.write(work)


def second_host(cloud: Cloud) -> int:
    """Another host of zone a."""

    def work(session: Any) -> int:
        first = session.get(models.Host, cloud.hosts["a"])
        names = ("url", "region", "zone_letter", "transport", "root", "reachable", "surveyed_at")
        same = {name: getattr(first, name) for name in names}
        row = models.Host(
            name="host-a2", free_disk_bytes=2048 * GIB, switches=[], created_at=NOW, **same
        )
        session.add(row)
        session.flush()
        return int(row.key)

    return cloud.store.write(work)


def attached(cloud: Cloud) -> tuple[str, str]:
    instance_id, one = running(cloud), make(cloud)
    cloud.call("AttachVolume", VolumeId=one, InstanceId=instance_id, Device="/dev/sdf")
    found(cloud, one, "in-use")
    return instance_id, one
