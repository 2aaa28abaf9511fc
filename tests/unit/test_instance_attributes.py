"""One attribute of an instance: what is answered, in which form a change is asked for, and when."""

from __future__ import annotations

import base64
from typing import Any, Final

import pytest

from state import models
from state.store import Store
from tests.attributes import launched, modify, refused, stopped, terminated, told
from tests.launches import Cloud
from translators.errors import Ec2Error
from translators.settings import Settings

PLAIN: Final = {
    "instanceType": {"Value": "t3.micro"},
    "kernel": {},
    "ramdisk": {},
    "userData": {},
    "disableApiTermination": {"Value": False},
    "disableApiStop": {"Value": False},
    "instanceInitiatedShutdownBehavior": {"Value": "stop"},
    "rootDeviceName": {"Value": "/dev/sda1"},
    "productCodes": [],
    "sourceDestCheck": {"Value": True},
    "ebsOptimized": {"Value": False},
    "sriovNetSupport": {},
    "enaSupport": {"Value": True},
    "enclaveOptions": {"Enabled": False},
}
"""What an instance has about whose attributes its launch said nothing."""


@pytest.fixture
def cloud(store: Store, settings: Settings) -> Cloud:
    return Cloud(store, settings)


# -- what is told


def test_each_attribute_is_told_by_itself(cloud: Cloud) -> None:
    instance_id = launched(cloud)
    assert {name: told(cloud, instance_id, name) for name in PLAIN} == PLAIN


def test_what_a_launch_chose_is_told(cloud: Cloud) -> None:
    instance_id = launched(
        cloud,
        UserData=base64.b64encode(b"#!/bin/sh\n\xff").decode(),
        DisableApiTermination=True,
        DisableApiStop=True,
        InstanceInitiatedShutdownBehavior="terminate",
        EbsOptimized=True,
        InstanceType="m5.large",
    )
    assert base64.b64decode(told(cloud, instance_id, "userData")["Value"]) == b"#!/bin/sh\n\xff"
    assert told(cloud, instance_id, "disableApiTermination") == {"Value": True}
    assert told(cloud, instance_id, "disableApiStop") == {"Value": True}
    assert told(cloud, instance_id, "instanceInitiatedShutdownBehavior") == {"Value": "terminate"}
    assert told(cloud, instance_id, "ebsOptimized") == {"Value": True}
    assert told(cloud, instance_id, "instanceType") == {"Value": "m5.large"}


def test_disks_and_groups_are_told_as_describe_shows_them(cloud: Cloud) -> None:
    instance_id = launched(cloud)
    [shown] = cloud.seen(instance_id)
    assert told(cloud, instance_id, "blockDeviceMapping") == shown["BlockDeviceMappings"] != []
    assert told(cloud, instance_id, "groupSet") == shown["SecurityGroups"] != []


def test_a_terminated_instance_still_tells_what_it_has(cloud: Cloud) -> None:
    instance_id = terminated(cloud)
    assert told(cloud, instance_id, "disableApiTermination") == {"Value": False}
    assert told(cloud, instance_id, "blockDeviceMapping") == []
    assert told(cloud, instance_id, "groupSet") == []


def test_what_cannot_be_told(cloud: Cloud) -> None:
    for instance_id, name, code, message in (
        (
            "i-0123456789abcdef0",
            "userData",
            "InvalidInstanceID.NotFound",
            "The instance ID 'i-0123456789abcdef0' does not exist",
        ),
        ("i-1", "userData", "InvalidInstanceID.Malformed", 'Invalid id: "i-1"'),
        (
            "ig-1",
            "userData",
            "InvalidParameterValue",
            "Value (ig-1) for parameter instanceId is invalid. Expected: 'i-...'.",
        ),
        (
            "i-0123456789abcdef0",
            "colour",
            "InvalidParameterValue",
            "Value (colour) for parameter attribute is invalid. Unknown attribute.",
        ),
    ):
        with pytest.raises(Ec2Error) as caught:
            told(cloud, instance_id, name)
        assert (caught.value.code, caught.value.message) == (code, message)


# -- one attribute, in one of two forms


def test_an_attribute_may_be_named_beside_its_value(cloud: Cloud) -> None:
    instance_id = stopped(cloud)
    for name, text, shown in (
        ("instanceType", "m5.large", {"Value": "m5.large"}),
        ("userData", "bmV3", {"Value": "bmV3"}),
        ("userData", "", {}),
        ("disableApiTermination", "true", {"Value": True}),
        ("disableApiStop", "True", {"Value": True}),
        ("sourceDestCheck", "false", {"Value": False}),
        ("ebsOptimized", "true", {"Value": True}),
        ("instanceInitiatedShutdownBehavior", "terminate", {"Value": "terminate"}),
    ):
        modify(cloud, instance_id, Attribute=name, Value=text)
        assert told(cloud, instance_id, name) == shown


def test_a_name_beside_its_own_member_is_one_attribute(cloud: Cloud) -> None:
    instance_id = launched(cloud)
    mapping = {"DeviceName": "/dev/sda1", "Ebs": {"DeleteOnTermination": False}}
    modify(cloud, instance_id, Attribute="blockDeviceMapping", BlockDeviceMappings=[mapping])
    [volume] = cloud.rows(models.Volume)
    assert not volume.delete_on_termination
    [only] = told(cloud, instance_id, "groupSet")
    modify(cloud, instance_id, Attribute="groupSet", Value=only["GroupId"])
    assert told(cloud, instance_id, "groupSet") == [only]


def test_a_request_that_is_not_for_exactly_one_change(cloud: Cloud) -> None:
    instance_id = stopped(cloud)
    refusals: tuple[tuple[dict[str, Any], str, str], ...] = (
        ({}, "InvalidParameterCombination", "No attributes specified."),
        ({"InstanceType": {}}, "InvalidParameterCombination", "No attributes specified."),
        (
            {"DisableApiStop": {"Value": True}, "SourceDestCheck": {"Value": True}},
            "InvalidParameterCombination",
            "Fields for multiple attribute types specified: disableApiStop, sourceDestCheck",
        ),
        (
            {"Attribute": "userData", "DisableApiStop": {"Value": True}},
            "MissingParameter",
            "The request must contain the parameter value",
        ),
        (
            {"Attribute": "userData", "Value": "", "DisableApiStop": {"Value": True}},
            "InvalidParameterCombination",
            "Fields for multiple attribute types specified: disableApiStop, userData",
        ),
        (
            {"Attribute": "rootDeviceName", "Value": "/dev/sdb"},
            "UnsupportedInstanceAttribute",
            "The instance attribute 'rootDeviceName' cannot be modified.",
        ),
        (
            {"Attribute": "colour", "Value": "red"},
            "InvalidParameterValue",
            "Value (colour) for parameter attribute is invalid. Unknown attribute.",
        ),
        (
            {"Attribute": "disableApiStop", "Value": "maybe"},
            "InvalidParameterValue",
            "Value (maybe) for parameter value is invalid. Expecting true or false.",
        ),
        (
            {"Attribute": "userData", "Value": "?"},
            "InvalidParameterValue",
            "Invalid BASE64 encoding of user data.",
        ),
        (
            {"Attribute": "blockDeviceMapping", "Value": "/dev/sda1=:true"},
            "InvalidParameterValue",
            "Value (/dev/sda1=:true) for parameter value is invalid. "
            "A block device mapping is not given as a value.",
        ),
    )
    for request, code, message in refusals:
        assert refused(cloud, instance_id, **request) == (code, message)


# -- when


ANYTIME: Final[tuple[dict[str, Any], ...]] = (
    {"DisableApiStop": {"Value": True}},
    {"DisableApiTermination": {"Value": True}},
    {"InstanceInitiatedShutdownBehavior": {"Value": "stop"}},
    {"SourceDestCheck": {"Value": False}},
    {"BlockDeviceMappings": [{"DeviceName": "/dev/sda1"}]},
)
STOPPED: Final[tuple[dict[str, Any], ...]] = (
    {"InstanceType": {"Value": "m5.large"}},
    {"UserData": {"Value": b"new"}},
    {"EbsOptimized": {"Value": True}},
    {"EnaSupport": {"Value": True}},
)


def test_some_attributes_change_only_while_the_instance_is_stopped(cloud: Cloud) -> None:
    [pending] = cloud.run()
    running, stopping, gone = launched(cloud), launched(cloud), terminated(cloud)
    cloud.call("StopInstances", InstanceIds=[stopping])
    at_rest = stopped(cloud)
    for request in STOPPED:
        for instance_id in (pending, running, stopping, gone):
            assert refused(cloud, instance_id, **request) == (
                "IncorrectInstanceState",
                f"The instance '{instance_id}' is not in the 'stopped' state.",
            )
        modify(cloud, at_rest, **request)


def test_the_others_change_until_the_instance_is_terminated(cloud: Cloud) -> None:
    [pending] = cloud.run()
    running, leaving, at_rest, gone = (
        launched(cloud),
        launched(cloud),
        stopped(cloud),
        terminated(cloud),
    )
    cloud.call("TerminateInstances", InstanceIds=[leaving])
    for request in ANYTIME:
        for instance_id in (pending, running, at_rest):
            modify(cloud, instance_id, **request)
        for instance_id in (leaving, gone):
            assert refused(cloud, instance_id, **request) == (
                "IncorrectInstanceState",
                f"The instance '{instance_id}' is not in the 'running' or 'stopped' states.",
            )


def test_another_account_can_neither_see_nor_change_it(cloud: Cloud) -> None:
    instance_id = stopped(cloud)
    cloud.account_key, cloud.account_id = cloud.account("two")
    for attempt in (
        lambda: told(cloud, instance_id, "userData"),
        lambda: modify(cloud, instance_id, UserData={"Value": b"mine"}),
    ):
        with pytest.raises(Ec2Error) as caught:
            attempt()
        assert caught.value.code == "InvalidInstanceID.NotFound"


# -- reset


def test_what_an_instance_never_has_is_reset_while_it_is_stopped(cloud: Cloud) -> None:
    for name in ("kernel", "ramdisk"):
        answer = cloud.call("ResetInstanceAttribute", InstanceId=stopped(cloud), Attribute=name)
        assert answer == {}
        with pytest.raises(Ec2Error) as caught:
            cloud.call("ResetInstanceAttribute", InstanceId=launched(cloud), Attribute=name)
        assert caught.value.code == "IncorrectInstanceState"


def test_other_attributes_have_no_default_to_be_reset_to(cloud: Cloud) -> None:
    with pytest.raises(Ec2Error) as caught:
        cloud.call("ResetInstanceAttribute", InstanceId=launched(cloud), Attribute="userData")
    assert caught.value.code == "InvalidParameterValue"
    assert caught.value.message.startswith("Value (userData) for parameter attribute is invalid.")
