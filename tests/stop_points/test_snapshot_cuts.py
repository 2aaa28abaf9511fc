"""An image made of a running instance, and its end, cut at every place, each process in turn.

After each cut the process is started again until all is quiet. Then the laboratory's world is held
against what the API answered: the snapshot's file is of one moment, whole and the only one; no
checkpoint, no child of one and no half-made file is anywhere; and in the end nothing is left.

EC2GW_STOP_EVERY=N cuts at every N-th place only (default 12),
EC2GW_STOP_FROM=M begins M places later.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ec2gw.lab.console import Console
from tests import figures
from tests.stop_points.test_cuts import EVERY, FROM, IMAGE, answered, rest
from tests.stop_points.trio import Trio

HOST, ZONE = "lab-a", "us-east-1a"
BASES = {"api": 1_000_000, "engine": 1_100_000, "lab": 1_200_000}


@pytest.fixture(scope="module")
def trio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trio]:
    made = Trio(tmp_path_factory.mktemp("trio"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def instance_id(trio: Trio) -> str:
    """One instance, whose disk all images are made of."""
    launched = answered(
        trio,
        lambda: trio.ec2.run_instances(
            ImageId=IMAGE, MinCount=1, MaxCount=1, Placement={"AvailabilityZone": ZONE}
        ),
    )
    made: str = launched["Instances"][0]["InstanceId"]
    rest(trio, [made], "running")
    return made


def below(trio: Trio, folder: str) -> dict[str, dict[str, Any]]:
    """Every file below that folder of any host's root, by its name."""
    start = f"c:\\ec2gw\\{folder}\\"
    return {
        path[len(start) :]: file
        for host in trio.world.snapshot().values()
        for path, file in host["files"].items()
        if path.lower().startswith(start)
    }


def image_of(trio: Trio, name: str) -> dict[str, Any] | None:
    by = [{"Name": "name", "Values": [name]}]
    found = answered(trio, lambda: trio.ec2.describe_images(Owners=["self"], Filters=by))
    return next((dict(one) for one in found["Images"]), None)


def snapshots(trio: Trio) -> list[dict[str, Any]]:
    listed = answered(trio, lambda: trio.ec2.describe_snapshots(OwnerIds=["self"]))
    return list(listed["Snapshots"])


def made(trio: Trio, instance_id: str, name: str) -> bool:
    """Have the image made; False when the answer was lost: it was made before we were told."""
    try:
        answered(
            trio,
            lambda: trio.ec2.create_image(InstanceId=instance_id, Name=name, NoReboot=True),
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "InvalidAMIName.Duplicate":
            raise
        return False
    return True


def deleted(trio: Trio, image: dict[str, Any]) -> None:
    """Deregister the image and delete its snapshot; what was carried out unheard is refused."""
    snapshot = image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    for call, gone in (
        (lambda: trio.ec2.deregister_image(ImageId=image["ImageId"]), "InvalidAMIID.Unavailable"),
        (lambda: trio.ec2.delete_snapshot(SnapshotId=snapshot), "InvalidSnapshot.NotFound"),
    ):
        try:
            answered(trio, call)
        except ClientError as error:
            if error.response["Error"]["Code"] != gone:
                raise


def nothing_in_between(trio: Trio) -> bool:
    """No checkpoint, no child of one, no half-made copy."""
    [vm] = trio.vms()
    children = [path for path in vm["disks"] if path.endswith(".avhdx")]
    left = [path for path in below(trio, "instances") if path.endswith(".avhdx")]
    return not (vm["checkpoints"] or children or left or below(trio, "tmp"))


def live(trio: Trio, instance_id: str, run: int) -> None:
    """One run: an image from its making to its end."""
    console = Console(trio.world)
    console.guest_writes(HOST, instance_id, f"before-{run}", mib=1)
    told = made(trio, instance_id, f"image {run}")
    console.guest_writes(HOST, instance_id, f"after-{run}", mib=1)
    image: dict[str, Any] = {}

    def available() -> bool:
        found = image_of(trio, f"image {run}")
        if found is None:  # its moment was not fixed in time, which nobody was left to be told
            made(trio, instance_id, f"image {run}")
            return False
        image.update(found)
        return bool(found["State"] == "available")

    trio.until(available, "it is made", 80)
    assert [one["State"] for one in snapshots(trio)] == ["completed"]
    trio.until(lambda: nothing_in_between(trio), "its checkpoint is merged")
    [snapshot] = [one["SnapshotId"] for one in snapshots(trio)]
    [(name, file)] = below(trio, "snapshots").items()
    assert name == f"{snapshot}.vhdx"
    assert f"before-{run}" in file["content"]
    assert not told or f"after-{run}" not in file["content"]
    [vm] = trio.vms()
    assert vm["state"] == "Running"
    assert f"after-{run}" in console.disk_content(HOST, vm["disks"][0])
    deleted(trio, image)
    trio.until(lambda: not below(trio, "snapshots"), "its file is gone")
    assert snapshots(trio) == []
    assert nothing_in_between(trio)


@pytest.mark.stop_points
@pytest.mark.timeout(3000)
@pytest.mark.parametrize(
    "process", [pytest.param(one, marks=pytest.mark.xdist_group(one)) for one in BASES]
)
def test_no_cut_loses_a_moment_or_leaves_a_checkpoint(
    trio: Trio, instance_id: str, process: str
) -> None:
    base = BASES[process]
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
    figures.tell(f"{process}: cut at {cuts} places, no moment lost, no checkpoint left")
