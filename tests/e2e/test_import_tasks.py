"""Imports as tools make them: a snapshot, an image of it, instances in every zone; and cancels.

The requests are those of Terraform's aws_ebs_snapshot_import and of `aws ec2 import-snapshot`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests import disk_files
from tests.gateway import Gateway, wait_until
from tests.unit.outside_server import Outside, serving

if TYPE_CHECKING:
    from types_boto3_ec2 import EC2Client

QUICK: Any = {"Delay": 0.1, "MaxAttempts": 400}
TAGS: Any = [{"ResourceType": "import-snapshot-task", "Tags": [{"Key": "Name", "Value": "tf"}]}]


@pytest.fixture(scope="module")
def outside() -> Iterator[Outside]:
    with serving() as served:
        yield served


@pytest.fixture(scope="module")
def ec2(
    tmp_path_factory: pytest.TempPathFactory, outside: Outside, quick: dict[str, str]
) -> Iterator[EC2Client]:
    folder = tmp_path_factory.mktemp("importing")
    file = folder / "ec2gw.toml"
    file.write_text(f'[intake]\nprefixes = ["{outside.url}/disks/"]\nspare_gib = 0\n')
    with Gateway(folder / "data", "--config", str(file), environ=quick) as running:
        client: EC2Client = running.client()
        yield client
        client.close()


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return disk_files.converted(tmp_path_factory.mktemp("disk"), "subformat=dynamic")


def begin(ec2: EC2Client, url: str) -> str:
    container: Any = {"Description": "from outside", "Format": "VHDX", "Url": url}
    asked: Any = {"DiskContainer": container, "RoleName": "vmimport", "TagSpecifications": TAGS}
    made = ec2.import_snapshot(**asked)
    assert made["SnapshotTaskDetail"]["Status"] == "active"
    return made["ImportTaskId"]


def task(ec2: EC2Client, task_id: str) -> Any:
    [found] = ec2.describe_import_snapshot_tasks(ImportTaskIds=[task_id])["ImportSnapshotTasks"]
    return found


def ended(ec2: EC2Client, task_id: str) -> Any:
    def is_over() -> bool:
        return bool(task(ec2, task_id)["SnapshotTaskDetail"]["Status"] != "active")

    wait_until(is_over, 90)
    return task(ec2, task_id)["SnapshotTaskDetail"]


def test_an_imported_snapshot_is_registered_and_launched_in_every_zone(
    ec2: EC2Client, outside: Outside, disk: Path
) -> None:
    outside.gives("/disks/debian.vhdx", disk.read_bytes())
    task_id = begin(ec2, f"{outside.url}/disks/debian.vhdx")
    done = ended(ec2, task_id)
    assert done["Status"] == "completed", done
    assert "Progress" not in done
    assert done["DiskImageSize"] == disk.stat().st_size
    assert task(ec2, task_id)["Tags"] == [{"Key": "Name", "Value": "tf"}]
    # What Terraform's waiter asks on with, once the task is over.
    ec2.get_waiter("snapshot_imported").wait(ImportTaskIds=[task_id], WaiterConfig=QUICK)
    [snapshot] = ec2.describe_snapshots(SnapshotIds=[done["SnapshotId"]])["Snapshots"]
    assert (snapshot["State"], snapshot["VolumeSize"]) == ("completed", 1)
    image = ec2.register_image(
        Name="imported",
        RootDeviceName="/dev/sda1",
        BlockDeviceMappings=[
            {"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": done["SnapshotId"], "VolumeSize": 2}}
        ],
    )["ImageId"]
    launched = [
        ec2.run_instances(
            ImageId=image,
            MinCount=1,
            MaxCount=1,
            InstanceType="t3.micro",
            Placement={"AvailabilityZone": f"us-east-1{letter}"},
        )["Instances"][0]["InstanceId"]
        for letter in "abc"
    ]
    ec2.get_waiter("instance_running").wait(InstanceIds=launched, WaiterConfig=QUICK)
    ec2.terminate_instances(InstanceIds=launched)
    ec2.get_waiter("instance_terminated").wait(InstanceIds=launched, WaiterConfig=QUICK)


def test_a_cancelled_import_leaves_nothing(ec2: EC2Client, outside: Outside) -> None:
    outside.drips("/disks/slow.vhdx", bytes(1024), 0.05, 100 * 1024**2)
    before = {one["SnapshotId"] for one in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]}
    task_id = begin(ec2, f"{outside.url}/disks/slow.vhdx")
    answer = ec2.cancel_import_task(ImportTaskId=task_id, CancelReason="too slow")
    assert (answer["PreviousState"], answer["State"]) == ("active", "deleting")
    done = ended(ec2, task_id)
    assert (done["Status"], done["StatusMessage"]) == ("deleted", "too slow")
    assert "SnapshotId" not in done
    after = {one["SnapshotId"] for one in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]}
    assert after == before


def test_what_is_no_disk_ends_as_deleted_with_a_reason(ec2: EC2Client, outside: Outside) -> None:
    outside.gives("/disks/page.vhdx", b"<html>not here</html>" * 4096)
    done = ended(ec2, begin(ec2, f"{outside.url}/disks/page.vhdx"))
    assert done["Status"] == "deleted"
    assert done["StatusMessage"].startswith("ClientError")
