"""Requests for snapshots and images that are answered, or refused, before any host is asked."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import sqlalchemy as sa

from state import models
from state.secrets import Vault
from state.store import Store
from tests.in_process import InProcess
from translators.ec2.instances import intents
from translators.registry import ACTIONS, Awaits
from translators.settings import Settings


def _at_once(awaits: Awaits | None) -> Awaits | None:
    return dataclasses.replace(awaits, deadline_seconds=0.0) if awaits is not None else None


@pytest.fixture
def gateway(store: Store, vault: Vault, settings: Settings) -> InProcess:
    """A gateway without an engine: no moment is ever fixed, and nobody waits for it."""
    made = InProcess.fresh(store, vault, settings)
    made.gateway.actions = {
        key: dataclasses.replace(one, awaits=_at_once(one.awaits)) for key, one in ACTIONS.items()
    }
    return made


@pytest.fixture
def instance(gateway: InProcess) -> str:
    """An instance that was just seen to run."""
    image = gateway.call(
        "RegisterImage",
        Name="debian",
        ImageLocation="debian.vhdx",
        BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 8}}],
    )["ImageId"]
    launch = {"ImageId": image, "MinCount": 1, "MaxCount": 1, "InstanceType": "t3.micro"}
    [one] = gateway.call("RunInstances", **launch)["Instances"]
    made: str = one["InstanceId"]
    found(gateway, "launched")
    return made


def found(gateway: InProcess, event: Any) -> None:
    """Let the engine find so of every instance."""

    def work(session: Any) -> None:
        now = session.scalars(sa.select(models.Instance.launch_time)).first()
        for row in session.scalars(sa.select(models.Instance)).all():
            intents.move(session, row, event, None, now)

    gateway.store.write(work)


def volume(gateway: InProcess, **columns: Any) -> str:
    """The instance's volume, with some columns set."""

    def work(session: Any) -> str:
        row = session.scalars(sa.select(models.Volume)).one()
        for name, value in columns.items():
            setattr(row, name, value)
        return str(row.id)

    return gateway.store.write(work)


def rows(gateway: InProcess) -> list[models.Snapshot]:
    """The account's own snapshots that were made of volumes."""
    with gateway.store.read() as session:
        query = sa.select(models.Snapshot).where(models.Snapshot.everywhere.is_(False))
        return list(session.scalars(query).all())


def test_what_waits_in_vain_is_withdrawn(gateway: InProcess, instance: str) -> None:
    code, status, _ = gateway.refusal("CreateSnapshot", VolumeId=volume(gateway))
    assert (code, status) == ("Unavailable", 503)
    [row] = rows(gateway)
    assert row.phase == "deleting"
    mine = gateway.call("DescribeSnapshots", OwnerIds=["self"])["Snapshots"]
    assert [one["SnapshotId"] for one in mine if one["VolumeId"] != "vol-ffffffff"] == []


def test_an_image_that_waits_in_vain_is_withdrawn_with_its_snapshots(
    gateway: InProcess, instance: str
) -> None:
    asked = {"InstanceId": instance, "Name": "vain", "NoReboot": True}
    assert gateway.refusal("CreateImage", **asked)[0] == "Unavailable"
    by = [{"Name": "name", "Values": ["vain"]}]
    assert gateway.call("DescribeImages", Filters=by)["Images"] == []
    assert [row.phase for row in rows(gateway)] == ["deleting"]


def test_an_image_whose_instance_goes_down_for_it_is_waited_for(
    gateway: InProcess, instance: str
) -> None:
    made = gateway.call("CreateImage", InstanceId=instance, Name="down")["ImageId"]
    [image] = gateway.call("DescribeImages", ImageIds=[made])["Images"]
    assert image["State"] == "pending"
    [row] = rows(gateway)
    assert (row.phase, row.cold, row.point) == ("freezing", True, row.id)
    with gateway.store.read() as session:
        assert session.scalars(sa.select(models.Instance.phase)).one() == "rebooting"
    launch = {"ImageId": made, "MinCount": 1, "MaxCount": 1, "InstanceType": "t3.micro"}
    assert gateway.refusal("RunInstances", **launch)[0] == "InvalidAMIID.Unavailable"


def test_a_free_volume_is_fixed_at_once(gateway: InProcess, instance: str) -> None:
    free = volume(
        gateway,
        phase="available",
        state="available",
        instance_key=None,
        file_name="volumes/vol-free.vhdx",
    )
    made = gateway.call("CreateSnapshot", VolumeId=free)
    [row] = rows(gateway)
    assert made["State"] == "pending"
    assert (row.phase, row.source_path) == ("copying", "volumes/vol-free.vhdx")
    assert row.fixed_at is not None


@pytest.mark.parametrize(
    "columns",
    [
        {"phase": "creating", "state": "creating"},
        {"phase": "deleting", "state": "deleting"},
        {"phase": "error", "state": "error"},
    ],
    ids=lambda columns: str(columns["phase"]),
)
def test_no_snapshot_is_made_of_a_volume_that_is_none_yet_or_none_any_more(
    gateway: InProcess, instance: str, columns: dict[str, Any]
) -> None:
    named = volume(gateway, **columns)
    code, _, message = gateway.refusal("CreateSnapshot", VolumeId=named)
    assert code == "IncorrectState"
    assert message == f"Volume '{named}' is in the '{columns['state']}' state."
    assert rows(gateway) == []


def test_no_image_is_made_of_an_instance_that_is_being_removed(
    gateway: InProcess, instance: str
) -> None:
    gateway.call("TerminateInstances", InstanceIds=[instance])
    assert gateway.refusal("CreateImage", InstanceId=instance, Name="late")[0] == "IncorrectState"
    asked = {"InstanceSpecification": {"InstanceId": instance}}
    assert gateway.refusal("CreateSnapshots", **asked)[0] == "IncorrectState"
    assert gateway.refusal("CreateSnapshot", VolumeId=volume(gateway))[0] == "IncorrectState"
    assert rows(gateway) == []


def test_a_stranger_makes_nothing_of_it(gateway: InProcess, instance: str) -> None:
    by = gateway.stranger
    for action, asked, code in (
        ("CreateSnapshot", {"VolumeId": volume(gateway)}, "InvalidVolume.NotFound"),
        (
            "CreateSnapshots",
            {"InstanceSpecification": {"InstanceId": instance}},
            "InvalidInstanceID.NotFound",
        ),
        ("CreateImage", {"InstanceId": instance, "Name": "theirs"}, "InvalidInstanceID.NotFound"),
    ):
        assert gateway.refusal(action, by=by, **asked)[0] == code, action
    assert rows(gateway) == []
