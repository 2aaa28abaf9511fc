"""Imports as rows: a converted disk handed over to a host, and what ends on its way there."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from state import models
from state.secrets import Vault
from state.store import Store
from tests.in_process import InProcess
from tests.launches import NOW
from tests.unit.test_import_requests import (
    ASKED,
    change,
    described,
    image,
    importing,
    row_of,
    snapshot,
)
from translators import arrivals, imports
from translators.settings import GIB, Settings


@pytest.fixture
def gateway(store: Store, vault: Vault, settings: Settings) -> InProcess:
    return importing(store, vault, settings)


def hand_over(gateway: InProcess, task_id: str, **more: Any) -> list[int]:
    """Hand a disk of 8 GiB and a bit over; answer what was placed on the depot's shelf."""
    placed: list[int] = []
    told: dict[str, Any] = {
        "length_bytes": 4096,
        "sha256": "0" * 64,
        "virtual_bytes": 8 * GIB + 512,
        "generation": 2,
        "platform": None,
        "boot_mode": None,
        **more,
    }
    gateway.store.write(
        lambda session: imports.hand_over(
            session, row_of(session, task_id), place=placed.append, now=NOW, **told
        )
    )
    return placed


def test_a_disk_goes_to_the_host_with_most_room(gateway: InProcess) -> None:
    task_id = gateway.call("ImportImage", **image(Description="web"))["ImportTaskId"]

    def crowd(session: Session) -> str:
        hosts = session.scalars(sa.select(models.Host).order_by(models.Host.name)).all()
        for number, host in enumerate(hosts):
            host.free_disk_bytes, host.surveyed_at, host.reachable = number * 2**40, NOW, True
        hosts[-1].state = "draining"
        return hosts[-2].name

    roomy = gateway.store.write(crowd)
    [placed] = hand_over(gateway, task_id)
    with gateway.store.read() as session:
        transfer = session.get_one(models.Transfer, placed)
        assert session.get_one(models.Host, transfer.target_host_key).name == roomy
        assert (transfer.phase, transfer.length_bytes) == ("receiving", 4096)
    shown = described(gateway, task_id)
    assert (shown["Status"], shown["StatusMessage"]) == ("active", "updating")
    [made] = gateway.call("DescribeImages", Owners=["self"])["Images"]
    assert (made["State"], made["Name"], made["Description"]) == ("pending", task_id, "web")
    assert made["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"] == 9
    [disk] = gateway.call("DescribeSnapshots", OwnerIds=["self"])["Snapshots"]
    assert (disk["State"], disk["VolumeSize"]) == ("pending", 9)
    assert task_id in disk["Description"]
    launch = {"ImageId": made["ImageId"], "MinCount": 1, "MaxCount": 1}
    assert gateway.refusal("RunInstances", **launch)[0] == "InvalidAMIID.Unavailable"


@pytest.mark.parametrize("generation", [1, 2])
def test_an_image_of_an_imported_snapshot_starts_as_its_disk_was_seen_to(
    gateway: InProcess, generation: int
) -> None:
    task_id = gateway.call("ImportSnapshot", **snapshot())["ImportTaskId"]
    hand_over(gateway, task_id, generation=generation)

    def verify(session: Session) -> str:
        disk = session.scalars(sa.select(models.Snapshot).where(~models.Snapshot.everywhere)).one()
        arrivals.verified(session, disk, NOW)
        return disk.id

    made = gateway.store.write(verify)
    shown = described(gateway, task_id)["SnapshotTaskDetail"]
    assert (shown["Status"], shown["SnapshotId"]) == ("completed", made)
    copied = gateway.call("CopySnapshot", SourceRegion="us-east-1", SourceSnapshotId=made)
    for one in (made, copied["SnapshotId"]):
        disk = [{"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": one}}]
        named: dict[str, Any] = {"Name": f"of {one}", "BlockDeviceMappings": disk}
        image_id = gateway.call("RegisterImage", **named)["ImageId"]
        with gateway.store.read() as session:
            query = sa.select(models.Image.generation).where(models.Image.id == image_id)
            assert session.scalar(query) == generation


def test_a_disk_that_fits_nowhere_fails_and_is_placed_nowhere(gateway: InProcess) -> None:
    task_id = gateway.call("ImportSnapshot", **snapshot())["ImportTaskId"]
    assert hand_over(gateway, task_id, length_bytes=2**60) == []
    told = described(gateway, task_id)["SnapshotTaskDetail"]
    assert told["Status"] == "deleted"
    assert "room" in told["StatusMessage"]


def test_what_was_cancelled_is_not_handed_over(gateway: InProcess) -> None:
    task_id = gateway.call("ImportSnapshot", **snapshot())["ImportTaskId"]
    gateway.call("CancelImportTask", ImportTaskId=task_id)
    assert hand_over(gateway, task_id) == []
    assert gateway.call("DescribeSnapshots", OwnerIds=["self"])["Snapshots"] == []


def test_a_name_that_was_taken_meanwhile_fails_the_import(gateway: InProcess) -> None:
    task_id = gateway.call("ImportImage", **image())["ImportTaskId"]
    with gateway.store.read() as session:
        taken = session.scalars(sa.select(models.Image.name)).one()
        public = session.scalars(sa.select(models.Image)).one()
        owner, region = public.account_key, public.region
    change(gateway, task_id, asked={"Name": taken}, account_key=owner, region=region)
    assert hand_over(gateway, task_id) == []


@pytest.mark.parametrize("action", ASKED)
def test_what_is_on_its_way_is_cancelled_with_all_that_was_made(
    gateway: InProcess, action: str
) -> None:
    task_id = gateway.call(action, **ASKED[action]())["ImportTaskId"]
    [placed] = hand_over(gateway, task_id)
    gateway.call("CancelImportTask", ImportTaskId=task_id)
    assert gateway.call("DescribeImages", Owners=["self"])["Images"] == []
    assert gateway.call("DescribeSnapshots", OwnerIds=["self"])["Snapshots"] == []
    with gateway.store.read() as session:
        assert session.get_one(models.Transfer, placed).phase == "ending"
        assert session.scalars(sa.select(models.Snapshot.phase)).all().count("deleting") == 1


def test_who_deletes_the_snapshot_on_its_way_cancels_the_task(gateway: InProcess) -> None:
    task_id = gateway.call("ImportSnapshot", **snapshot())["ImportTaskId"]
    hand_over(gateway, task_id)
    [disk] = gateway.call("DescribeSnapshots", OwnerIds=["self"])["Snapshots"]
    gateway.call("DeleteSnapshot", SnapshotId=disk["SnapshotId"])
    assert described(gateway, task_id)["SnapshotTaskDetail"]["Status"] == "deleted"


def test_who_deregisters_the_image_on_its_way_cancels_the_task(gateway: InProcess) -> None:
    task_id = gateway.call("ImportImage", **image())["ImportTaskId"]
    hand_over(gateway, task_id)
    [made] = gateway.call("DescribeImages", Owners=["self"])["Images"]
    gateway.call("DeregisterImage", ImageId=made["ImageId"])
    assert described(gateway, task_id)["Status"] == "deleted"
    assert gateway.call("DescribeSnapshots", OwnerIds=["self"])["Snapshots"] == []


def test_a_host_that_is_given_up_fails_what_was_on_its_way_there(gateway: InProcess) -> None:
    task_id = gateway.call("ImportImage", **image())["ImportTaskId"]
    [placed] = hand_over(gateway, task_id)

    def give_up(session: Session) -> None:
        transfer = session.get_one(models.Transfer, placed)
        arrivals.lost(session, transfer.target_host_key, NOW)

    gateway.store.write(give_up)
    shown = described(gateway, task_id)
    assert shown["Status"] == "deleted"
    assert "gone" in shown["StatusMessage"]
    [made] = gateway.call("DescribeImages", Owners=["self"])["Images"]
    assert made["State"] == "failed"
    with gateway.store.read() as session:
        assert session.get(models.Transfer, placed) is None
