"""Images: registered from disks of the store, shared, changed, and taken back."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from state import models
from state.secrets import Vault
from state.store import Store
from tests.in_process import InProcess
from translators.settings import Settings

LAUNCH: dict[str, Any] = {"MinCount": 1, "MaxCount": 1, "InstanceType": "t3.micro"}


@pytest.fixture
def gateway(store: Store, vault: Vault, settings: Settings) -> InProcess:
    return InProcess.fresh(store, vault, settings)


def disk(size_gib: int | None = None, **ebs: Any) -> list[dict[str, Any]]:
    if size_gib is not None:
        ebs["VolumeSize"] = size_gib
    return [{"DeviceName": "/dev/sda1", "Ebs": ebs}]


def register(gateway: InProcess, name: str = "debian", **request: Any) -> str:
    asked: dict[str, Any] = {
        "ImageLocation": "debian-12.vhdx",
        "BlockDeviceMappings": disk(8),
        **request,
    }
    image_id: str = gateway.call("RegisterImage", Name=name, **asked)["ImageId"]
    return image_id


def refused(gateway: InProcess, name: str = "debian", **request: Any) -> str:
    asked: dict[str, Any] = {
        "ImageLocation": "debian-12.vhdx",
        "BlockDeviceMappings": disk(8),
        **request,
    }
    given = {member: value for member, value in asked.items() if value is not None}
    return gateway.refusal("RegisterImage", Name=name, **given)[0]


def shown(gateway: InProcess, image_id: str, **request: Any) -> dict[str, Any]:
    [image] = gateway.call("DescribeImages", ImageIds=[image_id], **request)["Images"]
    assert isinstance(image, dict)
    return image


def names(gateway: InProcess, **request: Any) -> list[str]:
    return [one["Name"] for one in gateway.call("DescribeImages", **request)["Images"]]


# -- registered


def test_a_disk_of_the_store_becomes_a_private_image(gateway: InProcess) -> None:
    tags = [{"ResourceType": "image", "Tags": [{"Key": "os", "Value": "debian"}]}]
    image_id = register(gateway, Description="Debian 12", TagSpecifications=tags)
    image = shown(gateway, image_id)
    assert image["Name"] == "debian"
    assert image["Description"] == "Debian 12"
    assert image["Tags"] == [{"Key": "os", "Value": "debian"}]
    assert (image["State"], image["Public"], "BootMode" in image) == ("available", False, False)
    assert image["Architecture"] == "x86_64"
    assert image["OwnerId"] == gateway.default.account_id
    [mapping] = image["BlockDeviceMappings"]
    assert mapping["DeviceName"] == image["RootDeviceName"] == "/dev/sda1"
    assert mapping["Ebs"]["VolumeSize"] == 8
    with gateway.store.read() as session:
        query = sa.select(models.Image.file_name).where(models.Image.id == image_id)
        assert session.scalar(query) == "debian-12.vhdx"


def test_an_image_runs_at_once(gateway: InProcess) -> None:
    ebs = disk(8, VolumeType="standard", DeleteOnTermination=False)
    image_id = register(gateway, BlockDeviceMappings=ebs, BootMode="legacy-bios")
    [instance] = gateway.call("RunInstances", ImageId=image_id, **LAUNCH)["Instances"]
    [volume] = gateway.call("DescribeVolumes")["Volumes"]
    assert volume["VolumeType"] == "standard"
    assert volume["Attachments"][0]["DeleteOnTermination"] is False
    assert instance["ImageId"] == image_id
    with gateway.store.read() as session:
        assert session.scalar(sa.select(models.Instance.vm_generation)) == 1


@pytest.mark.parametrize(
    ("file_name", "mode", "starts_in"),
    [
        ("debian-12.vhdx", "uefi", "uefi"),
        ("debian-12.vhdx", "legacy-bios", "legacy-bios"),
        ("debian-12.vhdx", "uefi-preferred", "uefi"),
        ("old.vhd", "legacy-bios", "legacy-bios"),
        ("old.vhd", "uefi-preferred", "legacy-bios"),
    ],
)
def test_a_boot_mode_that_was_said_is_shown_and_passed_on(
    gateway: InProcess, file_name: str, mode: str, starts_in: str
) -> None:
    image_id = register(gateway, ImageLocation=file_name, BootMode=mode)
    assert shown(gateway, image_id)["BootMode"] == mode
    told = gateway.call("DescribeImageAttribute", ImageId=image_id, Attribute="bootMode")
    assert told["BootMode"] == {"Value": mode}
    copied = gateway.call(
        "CopyImage", Name="copy", SourceImageId=image_id, SourceRegion="us-east-1"
    )
    assert shown(gateway, copied["ImageId"])["BootMode"] == mode
    by = [{"Name": "boot-mode", "Values": [mode]}]
    assert names(gateway, Filters=by, Owners=["self"]) == ["debian", "copy"]
    [instance] = gateway.call("RunInstances", ImageId=image_id, **LAUNCH)["Instances"]
    assert (instance["BootMode"], instance["CurrentInstanceBootMode"]) == (mode, starts_in)
    launched = gateway.call("DescribeInstances", Filters=by)["Reservations"]
    assert [one["InstanceId"] for one in launched[0]["Instances"]] == [instance["InstanceId"]]


def test_what_was_chosen_is_read_back(gateway: InProcess) -> None:
    mapping = {"DeviceName": "xvda", "Ebs": disk(9, VolumeType="gp2")[0]["Ebs"]}
    image_id = register(
        gateway,
        RootDeviceName="xvda",
        BlockDeviceMappings=[mapping],
        EnaSupport=False,
        SriovNetSupport="simple",
        VirtualizationType="hvm",
        BootMode="uefi",
    )
    image = shown(gateway, image_id)
    assert (image["EnaSupport"], image["RootDeviceName"]) == (False, "xvda")
    assert image["BlockDeviceMappings"][0]["Ebs"]["VolumeType"] == "gp2"
    for name, value in (
        ("ena-support", "false"),
        ("block-device-mapping.volume-type", "gp2"),
        ("block-device-mapping.delete-on-termination", "true"),
    ):
        by = [{"Name": name, "Values": [value]}]
        assert names(gateway, Filters=by, Owners=["self"]) == ["debian"], name


def test_a_disk_that_is_an_image_already_needs_no_size(gateway: InProcess) -> None:
    first = shown(gateway, register(gateway, BootMode="legacy-bios"))
    again = shown(gateway, register(gateway, "again", BlockDeviceMappings=[]))
    snapshot = first["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    of_snapshot = gateway.call(
        "RegisterImage", Name="snapshot", BlockDeviceMappings=disk(SnapshotId=snapshot)
    )
    for image in (again, shown(gateway, of_snapshot["ImageId"])):
        assert image["BlockDeviceMappings"] == first["BlockDeviceMappings"]
        assert "BootMode" not in image  # that was said of the first one alone
        [instance] = gateway.call("RunInstances", ImageId=image["ImageId"], **LAUNCH)["Instances"]
        assert instance["CurrentInstanceBootMode"] == "legacy-bios"
        assert "BootMode" not in instance
    assert refused(gateway, "small", BlockDeviceMappings=disk(7)) == "InvalidBlockDeviceMapping"
    large = shown(gateway, register(gateway, "large", BlockDeviceMappings=disk(9)))
    assert large["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"] == 9


def test_only_a_trusted_account_names_disks_of_the_store(gateway: InProcess) -> None:
    asked: dict[str, Any] = {"ImageLocation": "debian-12.vhdx", "BlockDeviceMappings": disk(8)}
    code, status, _ = gateway.refusal("RegisterImage", by=gateway.stranger, Name="mine", **asked)
    assert (code, status) == ("UnauthorizedOperation", 403)
    image = shown(gateway, register(gateway))
    snapshot = disk(SnapshotId=image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"])
    code, _, _ = gateway.refusal(
        "RegisterImage", by=gateway.stranger, Name="mine", BlockDeviceMappings=snapshot
    )
    assert code == "InvalidSnapshot.NotFound"


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"name": "ab"}, "InvalidAMIName.Malformed"),
        ({"name": "a" * 129}, "InvalidAMIName.Malformed"),
        ({"name": "semi;colon"}, "InvalidAMIName.Malformed"),
        ({"ImageLocation": None, "BlockDeviceMappings": None}, "MissingParameter"),
        ({"BlockDeviceMappings": None}, "InvalidBlockDeviceMapping"),
        ({"BlockDeviceMappings": disk(SnapshotId="snap-x")}, "InvalidSnapshotID.Malformed"),
        (
            {"ImageLocation": None, "BlockDeviceMappings": disk(SnapshotId="snap-01234567")},
            "InvalidSnapshot.NotFound",
        ),
        (
            {"BlockDeviceMappings": disk(SnapshotId="snap-01234567")},
            "InvalidParameterCombination",
        ),
        ({"BlockDeviceMappings": disk(0)}, "InvalidParameterValue"),
        ({"BlockDeviceMappings": disk(8, VolumeType="st1")}, "InvalidParameterValue"),
        ({"BlockDeviceMappings": disk(8, Encrypted=True)}, "UnsupportedOperation"),
        ({"BlockDeviceMappings": disk(8) * 2}, "InvalidBlockDeviceMapping"),
        ({"RootDeviceName": "xvda"}, "InvalidBlockDeviceMapping"),
        ({"BootMode": "dos"}, "InvalidParameterValue"),
        ({"ImageLocation": "old.vhd", "BootMode": "uefi"}, "InvalidParameterValue"),
        ({"Architecture": "i386"}, "UnsupportedOperation"),
        ({"VirtualizationType": "paravirtual"}, "UnsupportedOperation"),
        ({"Description": "d" * 256}, "InvalidParameterValue"),
        (
            {"TagSpecifications": [{"ResourceType": "snapshot", "Tags": [{"Key": "k"}]}]},
            "InvalidParameterValue",
        ),
    ],
)
def test_what_cannot_be_registered_is_refused(
    gateway: InProcess, request_: dict[str, Any], code: str
) -> None:
    assert refused(gateway, **request_) == code
    assert names(gateway, Owners=["self"]) == []


@pytest.mark.parametrize(
    "location",
    [
        r"C:\Windows\System32\config\SAM",
        r"\\server\share\disk.vhdx",
        "../images/disk.vhdx",
        "images/disk.vhdx",
        "bucket/image.manifest.xml",
        "disk.vhdx:stream",
        "disk.vhdx.",
        "disk.iso",
        ".vhdx",
        "disk.vhdx\n",
    ],
)
def test_a_path_is_no_name_of_a_disk(gateway: InProcess, location: str) -> None:
    code, status, message = gateway.refusal(
        "RegisterImage", Name="image", ImageLocation=location, BlockDeviceMappings=disk(8)
    )
    assert (code, status) == ("InvalidParameterValue", 400)
    assert "imageLocation" in message


def test_a_name_is_one_image_s_until_that_is_gone(gateway: InProcess) -> None:
    image_id = register(gateway)
    code, _, message = gateway.refusal(
        "RegisterImage", Name="debian", ImageLocation="d.vhdx", BlockDeviceMappings=disk(8)
    )
    assert code == "InvalidAMIName.Duplicate"
    assert message == f"AMI name debian is already in use by AMI {image_id}"
    elsewhere: dict[str, Any] = {"ImageLocation": "d.vhdx", "BlockDeviceMappings": disk(8)}
    gateway.call("RegisterImage", region="eu-west-1", Name="debian", **elsewhere)
    gateway.call("DeregisterImage", ImageId=image_id)
    assert register(gateway) != image_id


# -- taken back


def test_a_deregistered_image_is_gone_and_its_instances_stay(gateway: InProcess) -> None:
    image_id = register(gateway)
    gateway.call("CreateTags", Resources=[image_id], Tags=[{"Key": "a", "Value": "b"}])
    gateway.call("RunInstances", ImageId=image_id, **LAUNCH)
    assert gateway.call("DeregisterImage", ImageId=image_id)["Return"] is True
    assert names(gateway, Owners=["self"]) == []
    assert names(gateway, ImageIds=[image_id]) == []
    stranger = gateway.refusal("DescribeImages", by=gateway.stranger, ImageIds=[image_id])
    assert stranger[0] == "InvalidAMIID.NotFound"
    assert gateway.call("DescribeTags")["Tags"] == []
    refusals: tuple[tuple[str, dict[str, Any], str], ...] = (
        ("DeregisterImage", {"ImageId": image_id}, "InvalidAMIID.Unavailable"),
        ("RunInstances", {"ImageId": image_id, **LAUNCH}, "InvalidAMIID.Unavailable"),
        (
            "CreateTags",
            {"Resources": [image_id], "Tags": [{"Key": "a"}]},
            "InvalidAMIID.NotFound",
        ),
    )
    for action, request, code in refusals:
        assert gateway.refusal(action, **request)[0] == code, action
    [reservation] = gateway.call("DescribeInstances")["Reservations"]
    [instance] = reservation["Instances"]
    assert (instance["ImageId"], instance["Architecture"]) == (image_id, "x86_64")
    with gateway.store.read() as session:
        parent = sa.select(models.Image.file_name).join(
            models.Instance, models.Instance.image_key == models.Image.key
        )
        assert session.scalar(parent) == "debian-12.vhdx"


def test_its_snapshot_goes_with_it_where_that_is_asked_for(gateway: InProcess) -> None:
    image = shown(gateway, register(gateway))
    snapshot = image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    code, _, message = gateway.refusal("DeleteSnapshot", SnapshotId=snapshot)
    assert code == "InvalidSnapshot.InUse"
    assert message == f"The snapshot {snapshot} is currently in use by {image['ImageId']}"
    answer = gateway.call(
        "DeregisterImage", ImageId=image["ImageId"], DeleteAssociatedSnapshots=True
    )
    assert answer["DeleteSnapshotResults"] == [{"SnapshotId": snapshot, "ReturnCode": "success"}]
    code, _, _ = gateway.refusal("DescribeSnapshots", SnapshotIds=[snapshot])
    assert code == "InvalidSnapshot.NotFound"


@pytest.mark.parametrize(
    ("action", "request_"),
    [
        ("DeregisterImage", {}),
        ("DescribeImageAttribute", {"Attribute": "description"}),
        ("ModifyImageAttribute", {"Description": {"Value": "mine"}}),
        ("ResetImageAttribute", {"Attribute": "launchPermission"}),
    ],
)
def test_an_image_is_its_owner_s_to_change(
    gateway: InProcess, action: str, request_: dict[str, Any]
) -> None:
    image_id = register(gateway)
    share(gateway, image_id, {"Group": "all"})
    code, status, message = gateway.refusal(
        action, by=gateway.stranger, ImageId=image_id, **request_
    )
    assert (code, status) == ("AuthFailure", 400)
    assert message == f"Not authorized for image:{image_id}"
    for unknown, code in (
        ("ami-0123456789abcdef0", "InvalidAMIID.NotFound"),
        ("ami-x", "InvalidAMIID.Malformed"),
    ):
        assert gateway.refusal(action, ImageId=unknown, **request_)[0] == code


# -- shared


def share(gateway: InProcess, image_id: str, *who: dict[str, str]) -> None:
    gateway.call("ModifyImageAttribute", ImageId=image_id, LaunchPermission={"Add": list(who)})


def unshare(gateway: InProcess, image_id: str, *who: dict[str, str]) -> None:
    gateway.call("ModifyImageAttribute", ImageId=image_id, LaunchPermission={"Remove": list(who)})


def permissions(gateway: InProcess, image_id: str) -> list[dict[str, str]]:
    answer = gateway.call("DescribeImageAttribute", ImageId=image_id, Attribute="launchPermission")
    assert answer["ImageId"] == image_id
    listed: list[dict[str, str]] = answer["LaunchPermissions"]
    return listed


def test_an_image_is_launched_by_those_it_is_shared_with(gateway: InProcess) -> None:
    image_id = register(gateway)
    stranger = {"UserId": gateway.stranger.account_id}
    launch: dict[str, Any] = {"by": gateway.stranger, "ImageId": image_id, **LAUNCH}
    assert gateway.refusal("RunInstances", **launch)[0] == "AuthFailure"
    assert names(gateway, by=gateway.stranger) == ["linux"]
    share(gateway, image_id, stranger)
    share(gateway, image_id, stranger)  # once more changes nothing
    assert permissions(gateway, image_id) == [stranger]
    gateway.call("RunInstances", **launch)
    assert names(gateway, by=gateway.stranger) == ["linux", "debian"]
    assert shown(gateway, image_id, by=gateway.stranger)["Public"] is False
    unshare(gateway, image_id, stranger)
    unshare(gateway, image_id, stranger)
    assert permissions(gateway, image_id) == []
    assert gateway.refusal("RunInstances", **launch)[0] == "AuthFailure"
    assert names(gateway, by=gateway.stranger) == ["linux"]


def test_a_public_image_is_everybody_s_until_it_is_reset(gateway: InProcess) -> None:
    image_id = register(gateway)
    stranger = {"UserId": gateway.stranger.account_id}
    share(gateway, image_id, {"Group": "all"}, stranger)
    assert permissions(gateway, image_id) == [{"Group": "all"}, stranger]
    assert shown(gateway, image_id, by=gateway.stranger)["Public"] is True
    gateway.call("ResetImageAttribute", ImageId=image_id, Attribute="launchPermission")
    assert permissions(gateway, image_id) == []
    code, _, _ = gateway.refusal("DescribeImages", by=gateway.stranger, ImageIds=[image_id])
    assert code == "InvalidAMIID.NotFound"


def test_the_older_form_of_sharing_is_understood(gateway: InProcess) -> None:
    image_id = register(gateway)
    older: dict[str, Any] = {
        "ImageId": image_id,
        "Attribute": "launchPermission",
        "UserIds": [gateway.stranger.account_id],
        "UserGroups": ["all"],
    }
    gateway.call("ModifyImageAttribute", OperationType="add", **older)
    assert permissions(gateway, image_id) == [
        {"Group": "all"},
        {"UserId": gateway.stranger.account_id},
    ]
    gateway.call("ModifyImageAttribute", OperationType="remove", **older)
    assert permissions(gateway, image_id) == []
    assert gateway.refusal("ModifyImageAttribute", **older)[0] == "InvalidParameterValue"


def test_the_name_of_what_changes_may_begin_with_a_capital(gateway: InProcess) -> None:
    asked: dict[str, Any] = {"ImageId": register(gateway), "Attribute": "Description"}
    gateway.call("ModifyImageAttribute", Description={"Value": "by Ansible"}, **asked)
    shown = gateway.call(
        "DescribeImageAttribute", ImageId=asked["ImageId"], Attribute="description"
    )
    assert shown["Description"] == {"Value": "by Ansible"}


def test_sharing_said_in_both_forms_at_once_is_said_once(gateway: InProcess) -> None:
    image_id, friend = register(gateway), gateway.stranger.account_id
    asked: dict[str, Any] = {"ImageId": image_id, "LaunchPermission": {"Add": [{"UserId": friend}]}}
    gateway.call("ModifyImageAttribute", UserIds=[friend], **asked)
    assert permissions(gateway, image_id) == [{"UserId": friend}]
    refused = gateway.refusal("ModifyImageAttribute", UserIds=[gateway.default.account_id], **asked)
    assert refused[0] == "InvalidParameterValue"


def test_images_are_found_by_who_may_launch_them(gateway: InProcess) -> None:
    mine, theirs = gateway.default.account_id, gateway.stranger.account_id
    share(gateway, register(gateway), {"UserId": theirs})
    register(gateway, "kept")
    stranger = gateway.stranger
    assert names(gateway, ExecutableUsers=[theirs]) == ["debian"]
    assert names(gateway, ExecutableUsers=["self"]) == []
    assert names(gateway, ExecutableUsers=["all"]) == ["linux"]
    assert names(gateway, ExecutableUsers=["all", theirs]) == ["linux", "debian"]
    assert names(gateway, by=stranger, ExecutableUsers=["self"]) == ["debian"]
    assert names(gateway, by=stranger, ExecutableUsers=[theirs]) == ["debian"]
    # Of whom others' images are shared with nobody is told.
    assert names(gateway, by=stranger, ExecutableUsers=[mine]) == []


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({}, "InvalidParameterCombination"),
        ({"Attribute": "launchPermission"}, "InvalidParameterCombination"),
        ({"Attribute": "kernel", "Value": "x"}, "InvalidParameterValue"),
        (
            {
                "Description": {"Value": "x"},
                "LaunchPermission": {"Add": [{"Group": "all"}]},
            },
            "InvalidParameterCombination",
        ),
        (
            {"LaunchPermission": {"Add": [{"UserId": "000000000000"}]}},
            "InvalidAMIAttributeItemValue",
        ),
        ({"LaunchPermission": {"Add": [{"UserId": "bob"}]}}, "InvalidAMIAttributeItemValue"),
        ({"LaunchPermission": {"Add": [{"Group": "none"}]}}, "InvalidAMIAttributeItemValue"),
        ({"Description": {"Value": "d" * 256}}, "InvalidParameterValue"),
        ({"ProductCodes": ["x"]}, "UnsupportedOperation"),
    ],
)
def test_what_cannot_be_changed_is_refused(
    gateway: InProcess, request_: dict[str, Any], code: str
) -> None:
    image_id = register(gateway, Description="first")
    assert gateway.refusal("ModifyImageAttribute", ImageId=image_id, **request_)[0] == code
    assert permissions(gateway, image_id) == []
    assert shown(gateway, image_id)["Description"] == "first"


# -- described


def test_a_description_is_changed_and_taken_away(gateway: InProcess) -> None:
    image_id = register(gateway)
    forms: tuple[dict[str, Any], ...] = (
        {"Description": {"Value": "second"}},
        {"Attribute": "description", "Value": "second"},
    )
    for request in forms:
        gateway.call("ModifyImageAttribute", ImageId=image_id, **request)
        assert shown(gateway, image_id)["Description"] == "second"
        answer = gateway.call("DescribeImageAttribute", ImageId=image_id, Attribute="description")
        assert answer["Description"] == {"Value": "second"}
        gateway.call("ModifyImageAttribute", ImageId=image_id, Description={"Value": ""})
        assert "Description" not in shown(gateway, image_id)


@pytest.mark.parametrize(
    ("attribute", "member", "value"),
    [
        ("bootMode", "BootMode", {}),
        ("sriovNetSupport", "SriovNetSupport", {"Value": "simple"}),
        ("productCodes", "ProductCodes", []),
        ("lastLaunchedTime", "LastLaunchedTime", {}),
    ],
)
def test_attributes_are_answered_one_by_one(
    gateway: InProcess, attribute: str, member: str, value: object
) -> None:
    image_id = register(gateway)
    answer = gateway.call("DescribeImageAttribute", ImageId=image_id, Attribute=attribute)
    assert answer[member] == value


def test_the_last_launch_is_known(gateway: InProcess) -> None:
    image_id = register(gateway)
    [instance] = gateway.call("RunInstances", ImageId=image_id, **LAUNCH)["Instances"]
    answer = gateway.call("DescribeImageAttribute", ImageId=image_id, Attribute="lastLaunchedTime")
    launched = f"{instance['LaunchTime']:%Y-%m-%dT%H:%M:%SZ}"
    assert answer["LastLaunchedTime"] == {"Value": launched}


def test_disks_are_not_told_as_an_attribute(gateway: InProcess) -> None:
    image_id = register(gateway)
    for attribute, code in (
        ("blockDeviceMapping", "AuthFailure"),
        ("colour", "InvalidParameterValue"),
    ):
        refusal = gateway.refusal("DescribeImageAttribute", ImageId=image_id, Attribute=attribute)
        assert refusal[:2] == (code, 400)
    code = gateway.refusal("ResetImageAttribute", ImageId=image_id, Attribute="description")[0]
    assert code == "InvalidParameterValue"
