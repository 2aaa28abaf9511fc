"""The actions on volumes: what they answer, what they write, what they refuse."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import pytest

from state import ids, models, storage
from state.store import Store
from tests.launches import GIB, NOW, Cloud
from translators.ec2.volumes import attach, create, describe, modify, status
from translators.errors import Ec2Error
from translators.settings import Settings

ROOMS = (attach, create, describe, modify, status)
ZONE = {"AvailabilityZone": "us-east-1a"}
UNKNOWN = "0123456789abcdef0"


@pytest.fixture
def cloud(store: Store, settings: Settings) -> Cloud:
    return Cloud(store, settings)


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


# -- create


def test_a_new_volume_is_written_down_for_a_host_of_its_zone(cloud: Cloud) -> None:
    given = [{"ResourceType": "volume", "Tags": [{"Key": "Name", "Value": "data"}]}]
    answer = cloud.call(
        "CreateVolume", **ZONE, Size=20, VolumeType="gp3", Iops=4000, TagSpecifications=given
    )
    assert (answer["State"], answer["Size"], answer["Iops"]) == ("creating", 20, 4000)
    assert (answer["Throughput"], answer["Encrypted"]) == (125, False)
    assert answer["Tags"] == [{"Key": "Name", "Value": "data"}]
    row = volume(cloud, answer["VolumeId"])
    assert (row.host_key, row.phase, row.written) == (cloud.hosts["a"], "creating", False)
    assert row.file_name == f"volumes/{row.id}.vhdx"
    assert cloud.hosts["a"] in cloud.waken


@pytest.mark.parametrize(
    ("request_", "kind", "iops", "throughput"),
    [
        ({"Size": 10}, "gp2", 100, None),
        ({"Size": 1000, "VolumeType": "gp2"}, "gp2", 3000, None),
        ({"Size": 10, "VolumeType": "gp3"}, "gp3", 3000, 125),
        ({"Size": 100, "VolumeType": "io1", "Iops": 5000}, "io1", 5000, None),
        ({"Size": 100, "VolumeType": "io2", "Iops": 5000}, "io2", 5000, None),
        ({"Size": 125, "VolumeType": "st1"}, "st1", None, None),
        ({"Size": 125, "VolumeType": "sc1"}, "sc1", None, None),
        ({"Size": 1, "VolumeType": "standard"}, "standard", None, None),
    ],
)
def test_every_type_has_its_own_numbers(
    cloud: Cloud,
    request_: Mapping[str, Any],
    kind: str,
    iops: int | None,
    throughput: int | None,
) -> None:
    answer = cloud.call("CreateVolume", **ZONE, **request_)
    told = (answer["VolumeType"], answer.get("Iops"), answer.get("Throughput"))
    assert told == (kind, iops, throughput)


@pytest.mark.parametrize(
    ("request_", "code", "message"),
    [
        (ZONE, "MissingParameter", "The request must contain the parameter size/snapshot"),
        (
            {"Size": 1},
            "MissingParameter",
            "The request must contain the parameter availabilityZone",
        ),
        (
            {"AvailabilityZone": "us-east-1q", "Size": 1},
            "InvalidZone.NotFound",
            "The zone 'us-east-1q' does not exist.",
        ),
        (
            {**ZONE, "Size": 0},
            "InvalidParameterValue",
            "Volume of 0GiB is too small for volume type gp2; minimum is 1GiB.",
        ),
        (
            {**ZONE, "Size": 16_385},
            "InvalidParameterValue",
            "Volume of 16385GiB is too large for volume type gp2; maximum is 16384GiB.",
        ),
        (
            {**ZONE, "Size": 3, "VolumeType": "io1", "Iops": 100},
            "InvalidParameterValue",
            "Volume of 3GiB is too small for volume type io1; minimum is 4GiB.",
        ),
        (
            {**ZONE, "Size": 124, "VolumeType": "st1"},
            "InvalidParameterValue",
            "Volume of 124GiB is too small for volume type st1; minimum is 125GiB.",
        ),
        (
            {**ZONE, "Size": 10, "VolumeType": "io1"},
            "MissingParameter",
            "The request must contain the parameter iops",
        ),
        (
            {**ZONE, "Size": 10, "VolumeType": "io1", "Iops": 501},
            "InvalidParameterValue",
            "Iops to volume size ratio of 50.100000 is too high; maximum is 50.",
        ),
        (
            {**ZONE, "Size": 10, "VolumeType": "gp3", "Throughput": 1000},
            "InvalidParameterValue",
            "Throughput (MiBps) to iops ratio of 0.333333 is too high; maximum is 0.250000.",
        ),
        (
            {**ZONE, "Size": 10, "VolumeType": "gp9"},
            "InvalidParameterValue",
            "Value (gp9) for parameter volumeType is invalid. Unknown volume type.",
        ),
        (
            {**ZONE, "Size": 10, "Iops": 3000},
            "InvalidParameterCombination",
            "The parameter iops is not supported for gp2 volumes",
        ),
        (
            {**ZONE, "SnapshotId": f"snap-{UNKNOWN}"},
            "InvalidSnapshot.NotFound",
            f"The snapshot 'snap-{UNKNOWN}' does not exist.",
        ),
        (
            {**ZONE, "Size": 10, "Encrypted": True},
            "UnsupportedOperation",
            "The parameter Encrypted is not supported by this service.",
        ),
        (
            {**ZONE, "Size": 10, "MultiAttachEnabled": True},
            "UnsupportedOperation",
            "The parameter MultiAttachEnabled is not supported by this service.",
        ),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_a_volume_that_cannot_be_is_refused(
    cloud: Cloud, request_: Mapping[str, Any], code: str, message: str
) -> None:
    error = refused(cloud, "CreateVolume", **request_)
    assert (error.code, error.message) == (code, message)


def test_a_zone_without_room_has_none_for_a_volume(cloud: Cloud) -> None:
    make(cloud, phase="creating", Size=1000)
    error = refused(cloud, "CreateVolume", **ZONE, Size=100)
    assert (error.code, error.status) == ("InsufficientVolumeCapacity", 500)
    cloud.update(models.Host, cloud.hosts["b"], reachable=False)
    error = refused(cloud, "CreateVolume", AvailabilityZone="us-east-1b", Size=1)
    assert error.code == "InsufficientVolumeCapacity"


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


def test_a_volume_from_a_snapshot_goes_where_the_snapshots_file_is(cloud: Cloud) -> None:
    one = snapshot(cloud, on="a")
    answer = cloud.call("CreateVolume", **ZONE, SnapshotId=one)
    assert (answer["Size"], answer["SnapshotId"]) == (8, one)
    assert volume(cloud, answer["VolumeId"]).snapshot_key is not None
    elsewhere = {"AvailabilityZone": "us-east-1b", "SnapshotId": one}
    assert refused(cloud, "CreateVolume", **elsewhere).code == "InsufficientVolumeCapacity"
    everywhere = {"AvailabilityZone": "us-east-1b", "SnapshotId": snapshot(cloud, on=None)}
    assert cloud.call("CreateVolume", **everywhere, Size=9)["Size"] == 9


def test_a_snapshot_bounds_what_is_made_of_it(cloud: Cloud) -> None:
    one = snapshot(cloud, on=None)
    error = refused(cloud, "CreateVolume", **ZONE, SnapshotId=one, Size=7)
    assert error.code == "InvalidParameterValue"
    unfinished = snapshot(cloud, on="a", state="pending")
    assert refused(cloud, "CreateVolume", **ZONE, SnapshotId=unfinished).code == "IncorrectState"


# -- delete


def test_a_free_volume_is_deleted_and_asking_again_changes_nothing(cloud: Cloud) -> None:
    one = make(cloud)
    assert cloud.call("DeleteVolume", VolumeId=one) == {}
    assert shown(cloud, one)["State"] == "deleting"
    generation = volume(cloud, one).generation
    cloud.call("DeleteVolume", VolumeId=one)
    assert volume(cloud, one).generation == generation


def test_a_volume_in_use_or_in_the_making_is_not_deleted(cloud: Cloud) -> None:
    instance_id = running(cloud)
    root = cloud.rows(models.Volume)[0].id
    error = refused(cloud, "DeleteVolume", VolumeId=root)
    assert (error.code, error.message) == (
        "VolumeInUse",
        f"Volume {root} is currently attached to {instance_id}",
    )
    one = make(cloud, phase="creating")
    assert refused(cloud, "DeleteVolume", VolumeId=one).code == "IncorrectState"
    unknown = refused(cloud, "DeleteVolume", VolumeId=f"vol-{UNKNOWN}")
    assert unknown.code == "InvalidVolume.NotFound"


# -- attach


def test_a_free_volume_is_attached_at_its_devices_place(cloud: Cloud) -> None:
    instance_id, one = running(cloud), make(cloud)
    answer = cloud.call("AttachVolume", VolumeId=one, InstanceId=instance_id, Device="/dev/sdf")
    assert (answer["State"], answer["Device"]) == ("attaching", "/dev/sdf")
    row = volume(cloud, one)
    assert (row.phase, row.location, row.written) == ("attaching", 5, True)
    [attachment] = shown(cloud, one)["Attachments"]
    assert (attachment["State"], attachment["DeleteOnTermination"]) == ("attaching", False)
    assert shown(cloud, one)["State"] == "in-use"
    mapped = cloud.seen(instance_id)[0]["BlockDeviceMappings"]
    assert [item["DeviceName"] for item in mapped] == ["/dev/sda1", "/dev/sdf"]


def test_what_cannot_be_attached_is_refused_in_ec2s_words(cloud: Cloud) -> None:
    instance_id, one = running(cloud), make(cloud)
    far = running(cloud, "us-east-1b")
    there = {"InstanceId": instance_id, "Device": "/dev/sdf"}
    error = refused(cloud, "AttachVolume", VolumeId=one, InstanceId=far, Device="/dev/sdf")
    assert (error.code, error.message) == (
        "InvalidVolume.ZoneMismatch",
        f"The volume '{one}' is not in the same availability zone as instance '{far}'",
    )
    error = refused(cloud, "AttachVolume", VolumeId=one, InstanceId=instance_id, Device="disk")
    assert error.message == (
        "Value (disk) for parameter device is invalid. disk is not a valid EBS device name."
    )
    cloud.call("AttachVolume", VolumeId=one, **there)
    error = refused(cloud, "AttachVolume", VolumeId=one, **there)
    assert (error.code, error.message) == (
        "VolumeInUse",
        f"{one} is already attached to an instance",
    )
    other = make(cloud)
    for device in ("/dev/sdf", "xvdf"):
        error = refused(
            cloud, "AttachVolume", VolumeId=other, InstanceId=instance_id, Device=device
        )
        assert error.message == (
            f"Invalid value '{device}' for unixDevice. Attachment point {device} is already in use"
        )
    young = make(cloud, phase="creating")
    error = refused(
        cloud, "AttachVolume", VolumeId=young, InstanceId=instance_id, Device="/dev/sdg"
    )
    assert (error.code, error.message) == ("IncorrectState", f"{young} is not 'available'.")


def test_an_instance_that_is_launched_takes_no_volume_yet(cloud: Cloud) -> None:
    [instance_id] = cloud.run(Placement={"AvailabilityZone": "us-east-1a"})
    request = {"VolumeId": make(cloud), "InstanceId": instance_id, "Device": "/dev/sdf"}
    error = refused(cloud, "AttachVolume", **request)
    assert (error.code, error.message) == (
        "IncorrectState",
        f"Instance '{instance_id}' is not 'running'.",
    )


def test_an_instance_has_28_attachments_and_no_more(cloud: Cloud) -> None:
    instance_id = running(cloud)
    names = [f"/dev/sd{letter}" for letter in "fghijklmnop"]
    names += [f"/dev/xvdb{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]
    for device in names[:26]:  # beside the root volume and the interface
        cloud.call("AttachVolume", VolumeId=make(cloud), InstanceId=instance_id, Device=device)
    rows = [row for row in cloud.rows(models.Volume) if row.location is not None]
    assert len({row.location for row in rows}) == 26
    request = {"VolumeId": make(cloud), "InstanceId": instance_id, "Device": names[26]}
    assert refused(cloud, "AttachVolume", **request).code == "AttachmentLimitExceeded"


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


def test_a_volume_that_nobody_wrote_to_is_made_anew_on_the_instances_host(cloud: Cloud) -> None:
    instance_id = running(cloud)
    roomiest = second_host(cloud)
    one = make(cloud)
    assert volume(cloud, one).host_key == roomiest
    cloud.waken.clear()
    answer = cloud.call("AttachVolume", VolumeId=one, InstanceId=instance_id, Device="/dev/sdf")
    assert answer["State"] == "attaching"
    assert (volume(cloud, one).phase, volume(cloud, one).written) == ("moving", False)
    assert cloud.waken == {roomiest}


def test_a_written_volume_of_another_host_is_refused_and_left_as_it_was(cloud: Cloud) -> None:
    instance_id = running(cloud)
    second_host(cloud)
    one = make(cloud)
    cloud.update(models.Volume, volume(cloud, one).key, written=True)
    request = {"VolumeId": one, "InstanceId": instance_id, "Device": "/dev/sdf"}
    error = refused(cloud, "AttachVolume", **request)
    assert error.code == "UnsupportedOperation"
    assert "another host" in error.message
    blank = make(cloud, SnapshotId=snapshot(cloud, on=None))
    cloud.call("AttachVolume", VolumeId=blank, InstanceId=instance_id, Device="/dev/sdf")


# -- detach


def attached(cloud: Cloud) -> tuple[str, str]:
    instance_id, one = running(cloud), make(cloud)
    cloud.call("AttachVolume", VolumeId=one, InstanceId=instance_id, Device="/dev/sdf")
    found(cloud, one, "in-use")
    return instance_id, one


def test_a_volume_is_detached_by_its_id_alone(cloud: Cloud) -> None:
    instance_id, one = attached(cloud)
    answer = cloud.call("DetachVolume", VolumeId=one)
    assert (answer["State"], answer["InstanceId"]) == ("detaching", instance_id)
    generation = volume(cloud, one).generation
    assert cloud.call("DetachVolume", VolumeId=one)["State"] == "detaching"
    assert volume(cloud, one).generation == generation
    cloud.call("DetachVolume", VolumeId=one, Force=True)
    assert volume(cloud, one).generation == generation + 1


def test_a_disk_of_a_launch_is_not_detached_before_it_is_made(cloud: Cloud) -> None:
    mapping = [{"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 1}}]
    cloud.run(Placement={"AvailabilityZone": "us-east-1a"}, BlockDeviceMappings=mapping)
    one = cloud.rows(models.Volume)[-1].id
    error = refused(cloud, "DetachVolume", VolumeId=one)
    assert error.message == f"Volume '{one}' is in the 'creating' state."


def test_nothing_is_made_before_a_restored_state_knows_its_hosts(cloud: Cloud) -> None:
    cloud.store.write(
        lambda session: session.add(models.Deployment(id="d", recovering=True, created_at=NOW))
    )
    error = refused(cloud, "CreateVolume", **ZONE, Size=1)
    assert (error.code, error.status) == ("Unavailable", 503)


def test_what_is_not_attached_there_is_not_detached(cloud: Cloud) -> None:
    instance_id, one = attached(cloud)
    other = running(cloud)
    free = make(cloud)
    error = refused(cloud, "DetachVolume", VolumeId=free)
    assert (error.code, error.message) == (
        "IncorrectState",
        f"Volume '{free}' is in the 'available' state.",
    )
    for wrong in ({"InstanceId": other}, {"InstanceId": instance_id, "Device": "/dev/sdg"}):
        error = refused(cloud, "DetachVolume", VolumeId=one, **wrong)
        assert error.code == "InvalidAttachment.NotFound"
    root = cloud.rows(models.Volume)[0].id
    error = refused(cloud, "DetachVolume", VolumeId=root)
    assert error.code == "OperationNotPermitted"


def test_a_root_volume_leaves_a_stopped_instance_which_does_not_start_without_it(
    cloud: Cloud,
) -> None:
    instance_id = running(cloud)
    root = cloud.rows(models.Volume)[0].id
    key = cloud.instance(instance_id).key
    cloud.update(models.Instance, key, phase="stopped")
    assert cloud.call("DetachVolume", VolumeId=root)["State"] == "detaching"
    row = volume(cloud, root)
    assert row.file_name == f"instances/{instance_id}/root.vhdx"
    error = refused(cloud, "StartInstances", InstanceIds=[instance_id])
    assert (error.code, error.message) == (
        "InvalidParameterValue",
        f"Invalid value '{instance_id}' for instanceId. "
        "Instance does not have a volume attached at root (/dev/sda1)",
    )
    cloud.update(models.Volume, row.key, instance_key=None, **storage.entered("available"))
    back = {"VolumeId": root, "InstanceId": instance_id, "Device": "/dev/sda1"}
    cloud.update(models.Instance, key, phase="running")
    error = refused(cloud, "AttachVolume", **back)
    assert (error.code, error.message) == (
        "IncorrectState",
        f"Instance '{instance_id}' is not 'stopped'.",
    )
    cloud.update(models.Instance, key, phase="stopped")
    cloud.call("AttachVolume", **back)
    assert (volume(cloud, root).location, volume(cloud, root).phase) == (None, "attaching")
    assert refused(cloud, "StartInstances", InstanceIds=[instance_id]).status == 400
    found(cloud, root, "in-use")
    cloud.call("StartInstances", InstanceIds=[instance_id])


# -- modify


def test_a_modification_is_written_beside_the_volume(cloud: Cloud) -> None:
    one = make(cloud)
    answer = cloud.call("ModifyVolume", VolumeId=one, Size=20, VolumeType="gp3")
    made = answer["VolumeModification"]
    assert (made["ModificationState"], made["Progress"]) == ("modifying", 0)
    assert (made["OriginalSize"], made["OriginalVolumeType"], made["OriginalIops"]) == (
        10,
        "gp2",
        100,
    )
    assert (made["TargetSize"], made["TargetVolumeType"], made["TargetIops"]) == (20, "gp3", 3000)
    assert shown(cloud, one)["Size"] == 10
    [listed] = cloud.call("DescribeVolumesModifications", VolumeIds=[one])["VolumesModifications"]
    assert listed == made


def test_an_unnamed_number_stays_or_is_the_new_types_own(cloud: Cloud) -> None:
    one = make(cloud, VolumeType="io1", Size=100, Iops=4000)
    made = cloud.call("ModifyVolume", VolumeId=one, Size=200)["VolumeModification"]
    assert (made["TargetIops"], made["TargetVolumeType"]) == (4000, "io1")
    two = make(cloud, Size=100)
    made = cloud.call("ModifyVolume", VolumeId=two, VolumeType="io2")["VolumeModification"]
    assert made["TargetIops"] == 3000
    three = make(cloud, Size=100)
    made = cloud.call("ModifyVolume", VolumeId=three, Size=900)["VolumeModification"]
    assert (made["OriginalIops"], made["TargetIops"]) == (300, 2700)


def test_a_volume_is_not_made_smaller_nor_modified_twice_at_once_or_too_soon(
    cloud: Cloud,
) -> None:
    one = make(cloud)
    error = refused(cloud, "ModifyVolume", VolumeId=one, Size=9)
    assert (error.code, error.message) == (
        "InvalidParameterValue",
        "New size cannot be smaller than existing size",
    )
    assert refused(cloud, "ModifyVolume", VolumeId=one).code == "MissingParameter"
    cloud.call("ModifyVolume", VolumeId=one, Size=11)
    again = refused(cloud, "ModifyVolume", VolumeId=one, Size=12)
    assert again.code == "IncorrectModificationState"
    [made] = cloud.rows(models.VolumeModification)
    cloud.update(models.VolumeModification, made.key, state="completed")
    soon = refused(cloud, "ModifyVolume", VolumeId=one, Size=12)
    assert soon.code == "VolumeModificationRateExceeded"
    cloud.now = NOW + dt.timedelta(hours=6)
    cloud.call("ModifyVolume", VolumeId=one, Size=12)
    [listed] = cloud.call("DescribeVolumesModifications")["VolumesModifications"]
    assert (listed["ModificationState"], listed["TargetSize"]) == ("modifying", 12)


def test_a_modification_that_never_was_is_not_found(cloud: Cloud) -> None:
    one = make(cloud)
    error = refused(cloud, "DescribeVolumesModifications", VolumeIds=[one])
    assert error.code == "InvalidVolumeModification.NotFound"
    error = refused(cloud, "DescribeVolumesModifications", VolumeIds=[f"vol-{UNKNOWN}"])
    assert error.code == "InvalidVolume.NotFound"
    young = make(cloud, phase="creating")
    assert refused(cloud, "ModifyVolume", VolumeId=young, Size=20).code == "IncorrectState"
    too_large = refused(cloud, "ModifyVolume", VolumeId=one, Size=2000)
    assert too_large.code == "InsufficientVolumeCapacity"


@pytest.mark.parametrize(
    ("name", "value", "count"),
    [
        ("modification-state", "modifying", 2),
        ("modification-state", "completed", 0),
        ("original-size", "10", 2),
        ("original-iops", "100", 1),
        ("original-volume-type", "gp*", 2),
        ("target-size", "20", 1),
        ("target-iops", "3000", 1),
        ("target-volume-type", "gp3", 1),
        ("originalMultiAttachEnabled", "false", 2),
        ("targetMultiAttachEnabled", "true", 0),
        ("start-time", "2026-01-02T03:04:05.000Z", 2),
        ("volume-id", "vol-*", 2),
    ],
)
def test_modifications_are_filtered(cloud: Cloud, name: str, value: str, count: int) -> None:
    make(cloud)
    cloud.call("ModifyVolume", VolumeId=make(cloud), Size=20)
    fast = make(cloud, VolumeType="gp3", Iops=4000)
    cloud.call("ModifyVolume", VolumeId=fast, Iops=3000)
    asked = [{"Name": name, "Values": [value]}]
    listed = cloud.call("DescribeVolumesModifications", Filters=asked)["VolumesModifications"]
    assert len(listed) == count


def test_the_root_disk_of_a_bios_instance_grows_only_while_it_is_stopped(cloud: Cloud) -> None:
    instance_id = running(cloud, ImageId=cloud.image(generation=1))
    root = cloud.rows(models.Volume)[0].id
    assert refused(cloud, "ModifyVolume", VolumeId=root, Size=20).code == "IncorrectState"
    key = cloud.instance(instance_id).key
    cloud.update(models.Instance, key, phase="stopped")
    cloud.call("ModifyVolume", VolumeId=root, Size=20)


# -- status and attributes


def test_a_volume_is_as_well_as_its_host(cloud: Cloud) -> None:
    one = make(cloud, VolumeType="io1", Size=10, Iops=100)
    two = make(cloud, AvailabilityZone="us-east-1b")
    cloud.update(models.Host, cloud.hosts["b"], reachable=False)
    well, ill = cloud.call("DescribeVolumeStatus")["VolumeStatuses"]
    assert (well["VolumeId"], well["VolumeStatus"]["Status"]) == (one, "ok")
    assert well["VolumeStatus"]["Details"] == [
        {"Name": "io-enabled", "Status": "passed"},
        {"Name": "io-performance", "Status": "normal"},
    ]
    assert (ill["VolumeId"], ill["VolumeStatus"]["Status"]) == (two, "insufficient-data")


@pytest.mark.parametrize(
    ("name", "value", "count"),
    [
        ("volume-status.status", "ok", 1),
        ("volume-status.status", "impaired", 0),
        ("volume-status.details-status", "passed", 1),
        ("volume-status.details-status", "not-applicable", 2),
        ("volume-status.details-name", "io-enabled", 2),
        ("availability-zone", "us-east-1b", 1),
        ("event.event-id", "*", 0),
        ("attachment-status.instance-id", "i-*", 0),
    ],
)
def test_statuses_are_filtered(cloud: Cloud, name: str, value: str, count: int) -> None:
    make(cloud)
    make(cloud, AvailabilityZone="us-east-1b")
    cloud.update(models.Host, cloud.hosts["b"], reachable=False)
    asked = [{"Name": name, "Values": [value]}]
    assert len(cloud.call("DescribeVolumeStatus", Filters=asked)["VolumeStatuses"]) == count


def test_io_that_enables_itself_is_remembered(cloud: Cloud) -> None:
    one = make(cloud)
    asked = {"VolumeId": one, "Attribute": "autoEnableIO"}
    assert cloud.call("DescribeVolumeAttribute", **asked)["AutoEnableIO"] == {"Value": False}
    cloud.call("ModifyVolumeAttribute", VolumeId=one, AutoEnableIO={"Value": True})
    assert cloud.call("DescribeVolumeAttribute", **asked)["AutoEnableIO"] == {"Value": True}
    codes = cloud.call("DescribeVolumeAttribute", VolumeId=one, Attribute="productCodes")
    assert codes == {"VolumeId": one, "ProductCodes": []}
    assert cloud.call("EnableVolumeIO", VolumeId=one) == {}
    wrong = refused(cloud, "DescribeVolumeAttribute", VolumeId=one, Attribute="colour")
    assert wrong.code == "InvalidParameterValue"
