"""Volumes made and deleted, and what is told of them: written, answered, refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from state import models
from state.store import Store
from tests.launches import Cloud
from tests.volumes import (
    UNKNOWN,
    ZONE,
    make,
    refused,
    running,
    shown,
    snapshot,
    volume,
)
from translators.settings import Settings


@pytest.fixture
def cloud(store: Store, settings: Settings) -> Cloud:
    return Cloud(store, settings)


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
