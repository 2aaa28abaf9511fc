"""A volume's whole life, cut at every place, each process in turn.

Made, attached, grown, detached, deleted; after each cut the process is started again until all is
quiet. Then the laboratory's world is held against what the API answered: the disk is in its place
on the VM and nowhere else, as large as it was asked to be, and in the end its file is gone.

EC2GW_STOP_EVERY=N cuts at every N-th place only (default 12),
EC2GW_STOP_FROM=M begins M places later.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.stop_points.test_cuts import EVERY, FROM, IMAGE, answered, rest
from tests.stop_points.trio import Trio

ZONE = "us-east-1a"
GIB = 2**30


@pytest.fixture(scope="module")
def trio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trio]:
    made = Trio(tmp_path_factory.mktemp("trio"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def instance_id(trio: Trio) -> str:
    """One instance, on whose VM all volumes are tried."""
    launched = answered(
        trio,
        lambda: trio.ec2.run_instances(
            ImageId=IMAGE, MinCount=1, MaxCount=1, Placement={"AvailabilityZone": ZONE}
        ),
    )
    made: str = launched["Instances"][0]["InstanceId"]
    rest(trio, [made], "running")
    return made


def volume(trio: Trio, volume_id: str) -> dict[str, Any] | None:
    """The volume as the API shows it; None once it is not found."""
    try:
        listed = answered(trio, lambda: trio.ec2.describe_volumes(VolumeIds=[volume_id]))
    except ClientError as error:
        if error.response["Error"]["Code"] != "InvalidVolume.NotFound":
            raise
        return None
    found: dict[str, Any] = listed["Volumes"][0]
    return found


def attachment(trio: Trio, volume_id: str) -> str:
    found = volume(trio, volume_id)
    assert found is not None
    return str(found["Attachments"][0]["State"] if found["Attachments"] else found["State"])


def changed(trio: Trio, call: Any, done: tuple[str, ...]) -> None:
    """Ask for a change; one whose answer was lost was carried out, and is refused the next time."""
    try:
        answered(trio, call)
    except ClientError as error:
        if error.response["Error"]["Code"] not in done:
            raise


def files(trio: Trio) -> dict[str, int]:
    """Every disk below the hosts' volumes folders, and how large it is."""
    return {
        path.rpartition("\\")[2].removesuffix(".vhdx"): file["virtual_size"]
        for host in trio.world.snapshot().values()
        for path, file in host["files"].items()
        if path.lower().startswith("c:\\ec2gw\\volumes\\")
    }


def attached(trio: Trio) -> list[str]:
    """What is in the VM's drives beside its root disk."""
    [vm] = trio.vms()
    return [path.rpartition("\\")[2].removesuffix(".vhdx") for path in vm["disks"][1:]]


def live(trio: Trio, instance_id: str, run: int) -> None:
    """One run: a volume from its making to its end."""
    made = answered(
        trio,
        lambda: trio.ec2.create_volume(AvailabilityZone=ZONE, Size=2, ClientToken=f"run-{run}"),
    )
    one: str = made["VolumeId"]
    trio.until(lambda: attachment(trio, one) == "available", "it is made")
    where = {"VolumeId": one, "InstanceId": instance_id, "Device": "/dev/sdf"}
    changed(trio, lambda: trio.ec2.attach_volume(**where), ("VolumeInUse",))
    trio.until(lambda: attachment(trio, one) == "attached", "it is attached")
    assert attached(trio) == [one]
    changed(
        trio,
        lambda: trio.ec2.modify_volume(VolumeId=one, Size=5),
        ("IncorrectModificationState", "VolumeModificationRateExceeded"),
    )

    def grown() -> bool:
        found = volume(trio, one)
        return found is not None and found["Size"] == 5

    trio.until(grown, "it has grown")
    assert files(trio) == {one: 5 * GIB}
    changed(trio, lambda: trio.ec2.detach_volume(VolumeId=one), ("IncorrectState",))
    trio.until(lambda: attachment(trio, one) == "available", "it is detached")
    assert attached(trio) == []
    assert set(files(trio)) == {one}
    changed(trio, lambda: trio.ec2.delete_volume(VolumeId=one), ("InvalidVolume.NotFound",))
    trio.until(lambda: volume(trio, one) is None, "it is gone")
    assert files(trio) == {}


@pytest.mark.stop_points
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("process", ["api", "engine", "lab"])
def test_no_cut_loses_a_volume_or_leaves_one(trio: Trio, instance_id: str, process: str) -> None:
    base = {"api": 400_000, "engine": 500_000, "lab": 600_000}[process]
    trio.plan(base, "none", 0)
    live(trio, instance_id, base)
    cuts, whole = 0, 0
    for run in itertools.count(base + 1):
        trio.plan(run, process, 1 + FROM + EVERY * (cuts + whole))
        live(trio, instance_id, run)
        if trio.cut(run) is not None:
            cuts += 1
            continue
        whole += 1
        if whole == 2:
            break
    assert cuts > 0
    assert trio.deaths >= cuts
    print(f"{process}: cut at {cuts} places, no volume lost, none left")
