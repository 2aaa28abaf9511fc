"""The disks that a launch asks for beside the root disk, and what becomes of them in the end."""

from __future__ import annotations

from typing import Any

import pytest

from state import ids, models
from state.store import Store
from tests.launches import NOW, Cloud
from translators.ec2.instances import intents
from translators.errors import Ec2Error
from translators.hyperv.host import Path
from translators.settings import Settings

ROOT = "/dev/sda1"


@pytest.fixture
def cloud(store: Store, settings: Settings) -> Cloud:
    made = Cloud(store, settings)
    made.store.write(lambda session: session.add(models.Deployment(id="d", created_at=NOW)))
    return made


def snapshot(cloud: Cloud, *, on: str | None = None, size_gib: int = 8) -> models.Snapshot:
    """Make a finished snapshot whose file is on one host, or everywhere."""
    snapshot_id = ids.mint("snap")

    def work(session: Any) -> None:
        row = models.Snapshot(
            id=snapshot_id,
            account_key=cloud.account_key,
            region="us-east-1",
            state="completed",
            phase="ready",
            phase_since=NOW,
            size_gib=size_gib,
            started_at=NOW,
            volume_id="vol-ffffffff",
            file_name=f"snapshots/{snapshot_id}.vhdx",
            everywhere=on is None,
        )
        session.add(row)
        session.flush()
        if on is not None:
            host_key = cloud.hosts[on]
            session.add(models.SnapshotCopy(snapshot_key=row.key, host_key=host_key, ready=True))

    cloud.store.write(work)
    made: models.Snapshot = next(
        row for row in cloud.rows(models.Snapshot) if row.id == snapshot_id
    )
    return made


def image_with(cloud: Cloud, **disk: Any) -> str:
    """Make an image that has a disk at /dev/sdb beside its root disk."""
    image_id = cloud.image()
    [image] = [row for row in cloud.rows(models.Image) if row.id == image_id]
    columns = {
        "image_key": image.key,
        "device": "/dev/sdb",
        "size_gib": 10,
        "volume_type": "gp3",
        "iops": 4000,
        "throughput": 200,
        "delete_on_termination": False,
        **disk,
    }
    cloud.store.write(lambda session: session.add(models.ImageDisk(**columns)))
    return image_id


def ebs(device: str, **asked: Any) -> dict[str, Any]:
    return {"DeviceName": device, "Ebs": asked}


def volumes(cloud: Cloud) -> dict[str, models.Volume]:
    return {row.device or row.id: row for row in cloud.rows(models.Volume)}


def refused(cloud: Cloud, *mappings: dict[str, Any], **request: Any) -> Ec2Error:
    with pytest.raises(Ec2Error) as caught:
        cloud.run(BlockDeviceMappings=list(mappings), **request)
    assert cloud.rows(models.Volume) == []
    return caught.value


def test_disks_of_their_own_are_volumes_with_a_place_each(cloud: Cloud) -> None:
    [instance_id] = cloud.run(
        BlockDeviceMappings=[
            ebs(ROOT, VolumeSize=20),
            ebs("/dev/sdf", VolumeSize=5),
            ebs("/dev/sdg", VolumeSize=6, VolumeType="io1", Iops=100, DeleteOnTermination=False),
        ],
        TagSpecifications=[{"ResourceType": "volume", "Tags": [{"Key": "a", "Value": "b"}]}],
    )
    made = volumes(cloud)
    assert [made[name].size_gib for name in (ROOT, "/dev/sdf", "/dev/sdg")] == [20, 5, 6]
    assert [made[name].location for name in (ROOT, "/dev/sdf", "/dev/sdg")] == [None, 5, 6]
    blank = made["/dev/sdf"]
    assert (blank.type, blank.iops, blank.delete_on_termination) == ("gp2", 100, True)
    assert (blank.file_name, blank.state) == (f"volumes/{blank.id}.vhdx", "creating")
    assert made["/dev/sdg"].delete_on_termination is False
    mapped = cloud.seen(instance_id)[0]["BlockDeviceMappings"]
    assert [one["DeviceName"] for one in mapped] == [ROOT, "/dev/sdf", "/dev/sdg"]
    assert {one["Ebs"]["Status"] for one in mapped} == {"attaching"}
    assert len(cloud.rows(models.Tag)) == 3
    cloud.found("launched", instance_id)
    assert {row.attachment_state for row in volumes(cloud).values()} == {"attached"}


def test_what_a_launch_answers_is_what_is_read_back(cloud: Cloud) -> None:
    asked = {"ImageId": cloud.image_id, "MinCount": 2, "MaxCount": 2}
    disks = [ebs("/dev/sdf", VolumeSize=5)]
    answered = cloud.call("RunInstances", **asked, BlockDeviceMappings=disks)["Instances"]
    assert answered == cloud.seen(*(one["InstanceId"] for one in answered))
    assert len({row.id for row in cloud.rows(models.Volume)}) == 4


def test_the_vm_is_made_with_its_disks_before_it_ever_starts(cloud: Cloud) -> None:
    source = snapshot(cloud, size_gib=8)
    [instance_id] = cloud.run(
        BlockDeviceMappings=[
            ebs("/dev/sdf", VolumeSize=5),
            ebs("/dev/sdg", SnapshotId=source.id),
            ebs("/dev/sdh", SnapshotId=source.id, VolumeSize=9),
        ]
    )
    key = cloud.instance(instance_id).key
    with cloud.store.read() as session:
        intent = intents.load(session, key, cloud.settings, NOW)
    assert intent is not None
    extras = {extra.place.location: extra.disk for extra in intent.spec.disks}
    made = volumes(cloud)
    parent = Path(source.file_name)
    assert (extras[5].parent, extras[5].size_bytes) == (None, 5 * 2**30)
    assert (extras[6].parent, extras[6].size_bytes) == (parent, None)
    assert (extras[7].parent, extras[7].size_bytes) == (parent, 9 * 2**30)
    assert extras[6].path == Path(f"volumes/{made['/dev/sdg'].id}.vhdx")


def test_an_images_disks_are_taken_over_changed_or_left_out(cloud: Cloud) -> None:
    source = snapshot(cloud)
    image_id = image_with(cloud, snapshot_key=source.key)
    cloud.run(ImageId=image_id)
    [disk] = [row for row in cloud.rows(models.Volume) if row.device == "/dev/sdb"]
    told = (disk.size_gib, disk.type, disk.iops, disk.throughput, disk.delete_on_termination)
    assert told == (10, "gp3", 4000, 200, False)
    assert (disk.snapshot_key, disk.snapshot_id) == (source.key, source.id)
    changed = ebs("/dev/sdb", VolumeSize=30, VolumeType="gp2", DeleteOnTermination=True)
    cloud.run(ImageId=image_id, BlockDeviceMappings=[changed])
    disk = cloud.rows(models.Volume)[-1]
    assert (disk.size_gib, disk.type, disk.iops) == (30, "gp2", 100)
    assert (disk.snapshot_key, disk.delete_on_termination) == (source.key, True)
    before = len(cloud.rows(models.Volume))
    left_out = [{"DeviceName": "/dev/sdb", "NoDevice": ""}]
    cloud.run(ImageId=image_id, BlockDeviceMappings=left_out)
    assert len(cloud.rows(models.Volume)) == before + 1


def test_a_launch_goes_where_all_its_disks_can_be_made(cloud: Cloud) -> None:
    source = snapshot(cloud, on="b")
    [instance_id] = cloud.run(BlockDeviceMappings=[ebs("/dev/sdf", SnapshotId=source.id)])
    assert cloud.instance(instance_id).host_key == cloud.hosts["b"]
    elsewhere = snapshot(cloud, on="c")
    with pytest.raises(Ec2Error) as caught:
        cloud.run(
            BlockDeviceMappings=[
                ebs("/dev/sdf", SnapshotId=source.id),
                ebs("/dev/sdg", SnapshotId=elsewhere.id),
            ]
        )
    assert caught.value.code == "InsufficientInstanceCapacity"


@pytest.mark.parametrize(
    ("mapping", "code", "message"),
    [
        (
            ebs("/dev/sdf"),
            "InvalidBlockDeviceMapping",
            "Either snapshot ID or volume size must be provided for: /dev/sdf",
        ),
        (
            ebs("/dev/nvme1n1", VolumeSize=1),
            "InvalidBlockDeviceMapping",
            "Invalid device name /dev/nvme1n1",
        ),
        (
            ebs("/dev/sdf", VolumeSize=0),
            "InvalidParameterValue",
            "Volume of 0GiB is too small for volume type gp2; minimum is 1GiB.",
        ),
        (
            ebs("/dev/sdf", VolumeSize=1, VolumeType="st1"),
            "InvalidParameterValue",
            "Volume of 1GiB is too small for volume type st1; minimum is 125GiB.",
        ),
        (
            ebs("/dev/sdf", SnapshotId="snap-0123456789abcdef0"),
            "InvalidSnapshot.NotFound",
            "The snapshot 'snap-0123456789abcdef0' does not exist.",
        ),
        (
            ebs("/dev/sdf", VolumeSize=1, Encrypted=True),
            "UnsupportedOperation",
            "The parameter BlockDeviceMapping.1.Ebs.Encrypted is not supported by this service.",
        ),
    ],
)
def test_a_disk_that_cannot_be_refuses_the_launch(
    cloud: Cloud, mapping: dict[str, Any], code: str, message: str
) -> None:
    error = refused(cloud, mapping)
    assert (error.code, error.message) == (code, message)


def test_one_device_is_mapped_once_whatever_it_is_called(cloud: Cloud) -> None:
    error = refused(cloud, ebs("/dev/sdf", VolumeSize=1), ebs("xvdf", VolumeSize=1))
    assert error.code == "InvalidBlockDeviceMapping"


def test_a_disk_smaller_than_its_snapshot_refuses_the_launch(cloud: Cloud) -> None:
    source = snapshot(cloud, size_gib=8)
    error = refused(cloud, ebs("/dev/sdf", SnapshotId=source.id, VolumeSize=7))
    assert error.code == "InvalidBlockDeviceMapping"


def test_an_instance_has_no_more_disks_than_it_has_places(cloud: Cloud) -> None:
    many = [ebs(f"/dev/xvdb{chr(97 + one)}", VolumeSize=1) for one in range(26)]
    assert len(cloud.run(BlockDeviceMappings=many)) == 1
    more = [*many, ebs("/dev/sdf", VolumeSize=1)]
    with pytest.raises(Ec2Error) as caught:
        cloud.run(BlockDeviceMappings=more)
    assert caught.value.code == "InvalidBlockDeviceMapping"


# -- in the end


def test_volumes_end_with_their_instance_or_outlive_it(cloud: Cloud) -> None:
    [instance_id] = cloud.run(
        BlockDeviceMappings=[
            ebs(ROOT, DeleteOnTermination=False),
            ebs("/dev/sdf", VolumeSize=5),
            ebs("/dev/sdg", VolumeSize=6, DeleteOnTermination=False),
        ]
    )
    before = volumes(cloud)
    cloud.found("launched", instance_id)
    cloud.call("TerminateInstances", InstanceIds=[instance_id])
    cloud.found("removed", instance_id)
    after = {row.id: row for row in cloud.rows(models.Volume)}
    root = after[before[ROOT].id]
    assert (root.phase, root.state, root.instance_key) == ("available", "available", None)
    assert root.file_name == f"instances/{instance_id}/root.vhdx"
    assert after[before["/dev/sdf"].id].phase == "deleting"
    free = after[before["/dev/sdg"].id]
    assert (free.phase, free.device, free.location) == ("available", None, None)
    assert free.file_name == f"volumes/{free.id}.vhdx"


def test_a_kept_disk_of_an_instance_that_never_ran_is_made_if_it_was_not(cloud: Cloud) -> None:
    [instance_id] = cloud.run(
        BlockDeviceMappings=[ebs("/dev/sdf", VolumeSize=5, DeleteOnTermination=False)]
    )
    cloud.call("TerminateInstances", InstanceIds=[instance_id])
    cloud.found("removed", instance_id)
    [kept] = cloud.rows(models.Volume)
    assert (kept.phase, kept.instance_key) == ("creating", None)
