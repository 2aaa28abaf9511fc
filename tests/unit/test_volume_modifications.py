"""Volumes modified: what is written beside them, answered, refused."""

from __future__ import annotations

import datetime as dt

import pytest

from state import models
from state.store import Store
from tests.launches import NOW, Cloud
from tests.volumes import (
    UNKNOWN,
    make,
    refused,
    running,
    shown,
)
from translators.settings import Settings


@pytest.fixture
def cloud(store: Store, settings: Settings) -> Cloud:
    return Cloud(store, settings)


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
