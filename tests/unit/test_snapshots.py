"""Snapshots as rows: who sees them, by which filters, who may use them, and when they go."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from state import models, needs
from state.secrets import Vault
from state.store import Store
from tests.in_process import InProcess
from tests.launches import NOW
from translators import snapshots
from translators.ec2.snapshots import outcomes
from translators.settings import Settings

LAUNCH: dict[str, Any] = {"MinCount": 1, "MaxCount": 1, "InstanceType": "t3.micro"}


@pytest.fixture
def gateway(store: Store, vault: Vault, settings: Settings) -> InProcess:
    return InProcess.fresh(store, vault, settings)


def registered(gateway: InProcess, name: str = "debian", file_name: str = "debian.vhdx") -> Any:
    """Register an image; answer its id and its snapshot's."""
    image = gateway.call(
        "RegisterImage",
        Name=name,
        ImageLocation=file_name,
        BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 8}}],
    )
    [shown] = gateway.call("DescribeImages", ImageIds=[image["ImageId"]])["Images"]
    return image["ImageId"], shown["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]


def listed(gateway: InProcess, **request: Any) -> list[str]:
    return [one["SnapshotId"] for one in gateway.call("DescribeSnapshots", **request)["Snapshots"]]


# -- seen


def test_the_disk_of_an_image_is_a_snapshot(gateway: InProcess) -> None:
    _, snapshot = registered(gateway)
    [shown] = gateway.call("DescribeSnapshots", SnapshotIds=[snapshot])["Snapshots"]
    assert shown["State"] == "completed"
    assert shown["Progress"] == "100%"
    assert shown["StorageTier"] == "standard"
    assert (shown["VolumeSize"], shown["VolumeId"]) == (8, "vol-ffffffff")
    assert shown["OwnerId"] == gateway.default.account_id
    assert shown["Encrypted"] is False
    assert shown["Description"] == ""


def test_filters_find_it(gateway: InProcess) -> None:
    _, snapshot = registered(gateway)
    gateway.call("CreateTags", Resources=[snapshot], Tags=[{"Key": "keep", "Value": "yes"}])
    mine: dict[str, Any] = {"OwnerIds": ["self"]}
    for name, value in (
        ("snapshot-id", snapshot),
        ("status", "completed"),
        ("progress", "100%"),
        ("volume-size", "8"),
        ("volume-id", "vol-ffff*"),
        ("owner-id", gateway.default.account_id),
        ("encrypted", "false"),
        ("storage-tier", "standard"),
        ("tag:keep", "yes"),
        ("tag-key", "keep"),
    ):
        by = [{"Name": name, "Values": [value]}]
        assert listed(gateway, Filters=by, **mine) == [snapshot], name
    for name, value in (("status", "pending"), ("progress", "10%"), ("volume-size", "9")):
        assert listed(gateway, Filters=[{"Name": name, "Values": [value]}], **mine) == [], name


def test_what_is_not_there_is_told_apart_from_what_is_no_id(gateway: InProcess) -> None:
    assert gateway.refusal("DescribeSnapshots", SnapshotIds=["snap-x"])[0] == (
        "InvalidSnapshotID.Malformed"
    )
    code, status, message = gateway.refusal("DescribeSnapshots", SnapshotIds=["snap-01234567"])
    assert (code, status) == ("InvalidSnapshot.NotFound", 400)
    assert message == "The snapshot 'snap-01234567' does not exist."
    assert gateway.refusal("DescribeSnapshots", OwnerIds=["me"])[0] == "InvalidUserID.Malformed"


# -- shared


def test_a_snapshot_is_its_owners_until_it_is_shared(gateway: InProcess) -> None:
    _, snapshot = registered(gateway)
    other = gateway.stranger
    asked: dict[str, Any] = {"SnapshotIds": [snapshot]}
    assert gateway.refusal("DescribeSnapshots", by=other, **asked)[0] == "InvalidSnapshot.NotFound"
    permit: dict[str, Any] = {"Add": [{"UserId": other.account_id}]}
    gateway.call("ModifySnapshotAttribute", SnapshotId=snapshot, CreateVolumePermission=permit)
    assert listed(gateway, by=other, RestorableByUserIds=["self"]) == [snapshot]
    assert listed(gateway, by=other, OwnerIds=["self"]) == []
    assert listed(gateway, OwnerIds=["self"], RestorableByUserIds=[other.account_id]) == [snapshot]
    attribute: dict[str, Any] = {"SnapshotId": snapshot, "Attribute": "createVolumePermission"}
    answer = gateway.call("DescribeSnapshotAttribute", **attribute)
    assert answer["CreateVolumePermissions"] == [{"UserId": other.account_id}]
    for action in ("DeleteSnapshot", "ResetSnapshotAttribute"):
        request: dict[str, Any] = (
            attribute if action == "ResetSnapshotAttribute" else {"SnapshotId": snapshot}
        )
        code, status, _ = gateway.refusal(action, by=other, **request)
        assert (code, status) == ("UnauthorizedOperation", 403), action
    gateway.call("ResetSnapshotAttribute", **attribute)
    assert gateway.call("DescribeSnapshotAttribute", **attribute)["CreateVolumePermissions"] == []
    assert gateway.refusal("DescribeSnapshots", by=other, **asked)[0] == "InvalidSnapshot.NotFound"


def test_sharing_said_in_both_forms_at_once_is_said_once(gateway: InProcess) -> None:
    _, snapshot = registered(gateway)
    friend = gateway.stranger.account_id
    asked: dict[str, Any] = {
        "SnapshotId": snapshot,
        "CreateVolumePermission": {"Add": [{"UserId": friend}]},
    }
    gateway.call("ModifySnapshotAttribute", UserIds=[friend], **asked)
    shown = gateway.call(
        "DescribeSnapshotAttribute", SnapshotId=snapshot, Attribute="createVolumePermission"
    )
    assert shown["CreateVolumePermissions"] == [{"UserId": friend}]
    refused = gateway.refusal("ModifySnapshotAttribute", GroupNames=["all"], **asked)
    assert refused[0] == "InvalidParameterValue"


def test_tags_show_to_the_owner_alone(gateway: InProcess) -> None:
    _, snapshot = registered(gateway)
    gateway.call("CreateTags", Resources=[snapshot], Tags=[{"Key": "secret", "Value": "1"}])
    everybody: dict[str, Any] = {
        "SnapshotId": snapshot,
        "OperationType": "add",
        "GroupNames": ["all"],
    }
    gateway.call("ModifySnapshotAttribute", Attribute="createVolumePermission", **everybody)
    asked: dict[str, Any] = {"SnapshotIds": [snapshot]}
    [theirs] = gateway.call("DescribeSnapshots", by=gateway.stranger, **asked)["Snapshots"]
    [ours] = gateway.call("DescribeSnapshots", **asked)["Snapshots"]
    assert "Tags" not in theirs
    assert ours["Tags"] == [{"Key": "secret", "Value": "1"}]


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({}, "InvalidParameterCombination"),
        ({"Attribute": "productCodes"}, "InvalidParameterValue"),
        ({"CreateVolumePermission": {"Add": [{"Group": "some"}]}}, "InvalidParameterValue"),
        ({"CreateVolumePermission": {"Add": [{"UserId": "x"}]}}, "InvalidUserID.Malformed"),
        ({"UserIds": ["123456789012"]}, "InvalidParameterValue"),
    ],
)
def test_wrong_permissions_are_refused(
    gateway: InProcess, request_: dict[str, Any], code: str
) -> None:
    _, snapshot = registered(gateway)
    assert gateway.refusal("ModifySnapshotAttribute", SnapshotId=snapshot, **request_)[0] == code


# -- gone


def test_a_deleted_snapshot_stays_for_the_children_of_its_disk(gateway: InProcess) -> None:
    image, snapshot = registered(gateway)
    gateway.call("RunInstances", ImageId=image, **LAUNCH)
    gateway.call("DeregisterImage", ImageId=image)
    gateway.call("DeleteSnapshot", SnapshotId=snapshot)
    assert listed(gateway, OwnerIds=["self"]) == []
    assert gateway.refusal("DeleteSnapshot", SnapshotId=snapshot)[0] == "InvalidSnapshot.NotFound"
    tags: dict[str, Any] = {"Resources": [snapshot], "Tags": [{"Key": "a"}]}
    assert gateway.refusal("CreateTags", **tags)[0] == "InvalidSnapshot.NotFound"
    with gateway.store.read() as session:
        [volume] = session.scalars(sa.select(models.Volume)).all()
        kept = session.get_one(models.Snapshot, volume.snapshot_key)
        assert (kept.id, kept.phase) == (snapshot, "deleting")


def test_an_operators_disk_is_forgotten_with_its_last_child(gateway: InProcess) -> None:
    image, snapshot = registered(gateway)
    gateway.call("RunInstances", ImageId=image, **LAUNCH)
    gateway.call("DeregisterImage", ImageId=image, DeleteAssociatedSnapshots=True)

    def kept() -> list[str]:
        with gateway.store.read() as session:
            return list(session.scalars(sa.select(models.Snapshot.id)))

    assert gateway.store.write(outcomes.sweep) == 0
    assert snapshot in kept()
    gateway.store.write(lambda session: session.execute(sa.delete(models.Volume)))
    assert gateway.store.write(outcomes.sweep) == 1
    assert snapshot not in kept()


def test_copies_share_a_file_that_goes_with_the_last_of_them(gateway: InProcess) -> None:
    _, snapshot = registered(gateway)
    copied = gateway.call("CopySnapshot", SourceRegion="us-east-1", SourceSnapshotId=snapshot)
    with gateway.store.read() as session:
        keys = dict(session.execute(sa.select(models.Snapshot.id, models.Snapshot.key)).all())
        first, second = keys[snapshot], keys[copied["SnapshotId"]]
        assert needs.sharer(session, first) == second
        assert needs.sharer(session, second) == first
    code, _, _ = gateway.refusal(
        "CopySnapshot", SourceRegion="nowhere-1", SourceSnapshotId=snapshot
    )
    assert code == "InvalidParameterValue"


def test_an_image_of_an_unfinished_snapshot_is_refused(gateway: InProcess) -> None:
    def work(session: Any) -> str:
        owner = session.scalars(
            sa.select(models.Account).where(models.Account.id == gateway.default.account_id)
        ).one()
        made = snapshots.of_store(
            session,
            account_key=owner.key,
            region="us-east-1",
            file_name="half.vhdx",
            size_gib=4,
            public=False,
            now=NOW,
        )
        made.state, made.phase = "pending", "copying"
        return made.id

    mapping = {"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": gateway.store.write(work)}}
    code, _, _ = gateway.refusal("RegisterImage", Name="half", BlockDeviceMappings=[mapping])
    assert code == "IncorrectState"
