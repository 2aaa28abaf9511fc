"""Volumes attached and detached: what is written, answered, refused."""

from __future__ import annotations

import pytest

from state import models, storage
from state.store import Store
from tests.launches import NOW, Cloud
from tests.volumes import (
    ZONE,
    attached,
    found,
    make,
    refused,
    running,
    second_host,
    shown,
    snapshot,
    volume,
)
from translators.settings import Settings


@pytest.fixture
def cloud(store: Store, settings: Settings) -> Cloud:
    return Cloud(store, settings)


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
