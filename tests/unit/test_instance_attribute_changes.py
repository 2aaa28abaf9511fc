"""What a changed attribute of an instance does: its type, user data, protections, groups, disks."""

from __future__ import annotations

from typing import Any

import pytest

from state import models
from state.store import Store
from tests.attributes import launched, modify, refused, stopped, told
from tests.launches import GIB, Cloud
from translators.errors import Ec2Error
from translators.settings import InstanceType, Settings


@pytest.fixture
def settings() -> Settings:
    types = (
        InstanceType("t3.micro", 2, 1024),
        InstanceType("m5.large", 4, 8192),
        InstanceType("m6g.large", 2, 8192, architecture="arm64"),
        InstanceType("x1.huge", 128, 1024),
        InstanceType("x1.whole", 2, 64 * 1024),
    )
    return Settings(instance_types={one.name: one for one in types}, laboratory=True)


@pytest.fixture
def cloud(store: Store, settings: Settings) -> Cloud:
    return Cloud(store, settings)


def group(cloud: Cloud, name: str, vpc_key: int | None = None) -> str:
    """Make another security group beside the default one."""
    [default, *_] = cloud.rows(models.SecurityGroup)
    group_id = f"sg-{name:0>17}"
    cloud.store.write(
        lambda session: session.add(
            models.SecurityGroup(
                id=group_id,
                name=name,
                description=name,
                vpc_key=vpc_key or default.vpc_key,
                account_key=cloud.account_key,
                region=default.region,
            )
        )
    )
    return group_id


# -- the type


def test_a_stopped_instance_may_have_another_type(cloud: Cloud) -> None:
    instance_id = stopped(cloud)
    version = cloud.instance(instance_id).version
    modify(cloud, instance_id, InstanceType={"Value": "m5.large"})
    row = cloud.instance(instance_id)
    assert (row.type, row.processors, row.memory_bytes) == ("m5.large", 4, 8 * GIB)
    assert row.version > version
    [shown] = cloud.seen(instance_id)
    assert (shown["InstanceType"], shown["CpuOptions"]["CoreCount"]) == ("m5.large", 2)
    # Nothing is to be done on the host until the instance starts.
    assert (row.phase, row.generation, cloud.waken) == ("stopped", 2, set())


def test_another_type_brings_its_own_processors(cloud: Cloud) -> None:
    one = {"CoreCount": 1, "ThreadsPerCore": 1}
    instance_id = stopped(cloud, CpuOptions=one, CreditSpecification={"CpuCredits": "standard"})
    modify(cloud, instance_id, InstanceType={"Value": "t3.micro"})
    assert cloud.seen(instance_id)[0]["CpuOptions"] == one
    modify(cloud, instance_id, InstanceType={"Value": "m5.large"})
    row = cloud.instance(instance_id)
    assert (row.processors, row.options) == (4, {"CpuCredits": "standard"})


def test_a_type_that_the_instance_cannot_have(cloud: Cloud) -> None:
    cloud.image_id = cloud.image(generation=1)
    instance_id = stopped(cloud)
    for type_name, code, message in (
        ("z9.mega", "InvalidParameterValue", "Invalid value 'z9.mega' for InstanceType."),
        ("m6g.large", "InvalidParameterValue", "The architecture 'arm64' of"),
        ("x1.huge", "Unsupported", "The requested configuration is currently not supported."),
    ):
        found = refused(cloud, instance_id, InstanceType={"Value": type_name})
        assert found[0] == code
        assert found[1].startswith(message)


def test_whether_the_host_has_room_for_a_type_is_asked_at_the_start(cloud: Cloud) -> None:
    instance_id = stopped(cloud)
    modify(cloud, instance_id, InstanceType={"Value": "x1.whole"})
    with pytest.raises(Ec2Error) as caught:
        cloud.call("StartInstances", InstanceIds=[instance_id])
    assert caught.value.code == "InsufficientInstanceCapacity"
    modify(cloud, instance_id, InstanceType={"Value": "m5.large"})
    cloud.call("StartInstances", InstanceIds=[instance_id])


# -- the others


def test_user_data_may_be_replaced_and_taken_away(cloud: Cloud) -> None:
    instance_id = stopped(cloud, UserData="b2xk")
    modify(cloud, instance_id, UserData={"Value": b"new"})
    assert told(cloud, instance_id, "userData") == {"Value": "bmV3"}
    modify(cloud, instance_id, UserData={"Value": b""})
    assert told(cloud, instance_id, "userData") == {}
    assert refused(cloud, instance_id, UserData={"Value": bytes(16385)}) == (
        "InvalidParameterValue",
        "User data is limited to 16384 bytes",
    )
    modify(cloud, instance_id, UserData={"Value": bytes(16384)})


@pytest.mark.parametrize(
    ("protection", "action"),
    [("DisableApiTermination", "TerminateInstances"), ("DisableApiStop", "StopInstances")],
)
def test_a_protection_holds_from_then_on(cloud: Cloud, protection: str, action: str) -> None:
    instance_id = launched(cloud)
    modify(cloud, instance_id, **{protection: {"Value": True}})
    with pytest.raises(Ec2Error) as caught:
        cloud.call(action, InstanceIds=[instance_id])
    assert caught.value.code == "OperationNotPermitted"
    modify(cloud, instance_id, **{protection: {"Value": False}})
    cloud.call(action, InstanceIds=[instance_id])


def test_the_shutdown_behavior_is_one_of_two(cloud: Cloud) -> None:
    instance_id = launched(cloud)
    modify(cloud, instance_id, InstanceInitiatedShutdownBehavior={"Value": "terminate"})
    assert cloud.instance(instance_id).shutdown_behavior == "terminate"
    error = refused(cloud, instance_id, InstanceInitiatedShutdownBehavior={"Value": "sleep"})
    assert error[0] == "InvalidParameterValue"
    assert "instanceInitiatedShutdownBehavior" in error[1]


def test_the_source_check_shows_on_instance_and_interface(cloud: Cloud) -> None:
    instance_id = launched(cloud)
    modify(cloud, instance_id, SourceDestCheck={"Value": False})
    [shown] = cloud.seen(instance_id)
    assert not shown["SourceDestCheck"]
    assert not shown["NetworkInterfaces"][0]["SourceDestCheck"]
    cloud.call("ResetInstanceAttribute", InstanceId=instance_id, Attribute="sourceDestCheck")
    [shown] = cloud.seen(instance_id)
    assert shown["SourceDestCheck"]
    assert shown["NetworkInterfaces"][0]["SourceDestCheck"]


def test_groups_are_replaced(cloud: Cloud) -> None:
    instance_id = launched(cloud)
    first, second = group(cloud, "1"), group(cloud, "2")
    version = cloud.instance(instance_id).version
    modify(cloud, instance_id, Groups=[second, first, second])
    assert cloud.instance(instance_id).version > version
    [shown] = cloud.seen(instance_id)
    assert {one["GroupId"] for one in shown["SecurityGroups"]} == {first, second}
    assert shown["NetworkInterfaces"][0]["Groups"] == shown["SecurityGroups"]


def test_groups_that_the_instance_cannot_have(cloud: Cloud) -> None:
    instance_id = launched(cloud)
    first = group(cloud, "1")
    cloud.account("two")
    other = next(one for one in cloud.rows(models.Vpc) if one.account_key != cloud.account_key)
    elsewhere = group(cloud, "e", other.key)
    assert refused(cloud, instance_id, Groups=[first, "sg-0123456789abcdef0"]) == (
        "InvalidGroup.NotFound",
        "The security group 'sg-0123456789abcdef0' does not exist",
    )
    assert refused(cloud, instance_id, Groups=["sg-"])[0] == "InvalidGroupId.Malformed"
    assert refused(cloud, instance_id, Groups=[elsewhere])[0] == "InvalidParameter"
    many = [f"sg-{number:017x}" for number in range(6)]
    assert refused(cloud, instance_id, Groups=many)[0] == "SecurityGroupsPerInterfaceLimitExceeded"
    # Ansible sends none where it has nothing to say.
    assert refused(cloud, instance_id, Groups=[])[1] == "No attributes specified."


def test_whether_a_disk_goes_with_its_instance_may_change(cloud: Cloud) -> None:
    instance_id = launched(cloud)
    [volume] = cloud.rows(models.Volume)

    def ask(**disk: Any) -> None:
        mapping = {"DeviceName": "/dev/sda1", "Ebs": disk}
        modify(cloud, instance_id, BlockDeviceMappings=[mapping])

    def kept() -> bool:
        [mapping] = cloud.seen(instance_id)[0]["BlockDeviceMappings"]
        return not mapping["Ebs"]["DeleteOnTermination"]

    ask(DeleteOnTermination=False)
    assert kept()
    ask(VolumeId=volume.id)
    assert not kept()
    ask(DeleteOnTermination=False)
    cloud.call("TerminateInstances", InstanceIds=[instance_id])
    cloud.found("removed", instance_id)
    [volume] = cloud.rows(models.Volume)
    assert volume.state == "available"


def test_a_mapping_that_cannot_be_changed(cloud: Cloud) -> None:
    instance_id = launched(cloud)
    refusals: tuple[tuple[dict[str, Any], str, str], ...] = (
        (
            {"DeviceName": "/dev/xvdz", "Ebs": {"DeleteOnTermination": True}},
            "InvalidInstanceAttributeValue",
            "No device is currently mapped at /dev/xvdz",
        ),
        (
            {"DeviceName": "/dev/sda1", "Ebs": {"VolumeId": "vol-0123456789abcdef0"}},
            "InvalidInstanceAttributeValue",
            "No device is currently mapped at /dev/sda1",
        ),
        (
            {"Ebs": {"DeleteOnTermination": True}},
            "MissingParameter",
            "The request must contain the parameter deviceName",
        ),
        (
            {"DeviceName": "/dev/sda1", "VirtualName": "ephemeral0"},
            "UnsupportedOperation",
            "The parameter BlockDeviceMapping.1.VirtualName is not supported by this service.",
        ),
    )
    for mapping, code, message in refusals:
        assert refused(cloud, instance_id, BlockDeviceMappings=[mapping]) == (code, message)


def test_what_changes_nothing_is_taken_and_what_would_is_refused(cloud: Cloud) -> None:
    instance_id = stopped(cloud)
    modify(cloud, instance_id, EbsOptimized={"Value": True})
    assert told(cloud, instance_id, "ebsOptimized") == {"Value": True}
    modify(cloud, instance_id, EnaSupport={"Value": True})
    modify(cloud, instance_id, EnclaveOptions={"Enabled": False})
    for refusal in (
        {"EnaSupport": {"Value": False}},
        {"EnclaveOptions": {"Enabled": True}},
        {"Kernel": {"Value": "aki-1"}},
        {"Ramdisk": {"Value": "ari-1"}},
        {"SriovNetSupport": {"Value": "simple"}},
        {"Attribute": "kernel", "Value": "aki-1"},
        {"Attribute": "enclaveOptions", "Value": "true"},
    ):
        assert refused(cloud, instance_id, **refusal)[0] == "UnsupportedOperation"
