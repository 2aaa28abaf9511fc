"""What RunInstances refuses: EC2's code, wording and status for each."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import pytest

from state import ids, models
from state.store import Store
from tests.launches import Cloud
from translators.errors import Ec2Error
from translators.settings import Settings


@pytest.fixture
def cloud(store: Store, settings: Settings) -> Cloud:
    return Cloud(store, settings)


def refused(cloud: Cloud, **request: Any) -> Ec2Error:
    with pytest.raises(Ec2Error) as caught:
        cloud.call(
            "RunInstances",
            **{"ImageId": cloud.image_id, "MinCount": 1, "MaxCount": 1, **request},
        )
    assert cloud.rows(models.Instance) == []
    return caught.value


UNKNOWN = "0123456789abcdef0"
ROOT = "/dev/sda1"


@pytest.mark.parametrize(
    ("request_", "code", "message"),
    [
        ({"ImageId": ""}, "MissingParameter", "The request must contain the parameter imageId"),
        (
            {"ImageId": "ami-xyz"},
            "InvalidAMIID.Malformed",
            'Invalid id: "ami-xyz" (expecting "ami-...")',
        ),
        (
            {"ImageId": f"ami-{UNKNOWN}"},
            "InvalidAMIID.NotFound",
            f"The image id '[ami-{UNKNOWN}]' does not exist",
        ),
        (
            {"InstanceType": "z9.mega"},
            "InvalidParameterValue",
            "Invalid value 'z9.mega' for InstanceType.",
        ),
        (
            {"MinCount": 2},
            "InvalidParameterValue",
            "Maximum instance count must not be smaller than minimum instance count",
        ),
        (
            {"MinCount": 0},
            "InvalidParameterValue",
            "Minimum instance count must be greater than zero",
        ),
        (
            {"MaxCount": -1},
            "InvalidParameterValue",
            "Maximum instance count must be greater than zero",
        ),
        (
            {"KeyName": "none"},
            "InvalidKeyPair.NotFound",
            "The key pair 'none' does not exist",
        ),
        (
            {"SubnetId": "subnet-xyz"},
            "InvalidSubnetId.Malformed",
            'Invalid id: "subnet-xyz" (expecting "subnet-...")',
        ),
        (
            {"SubnetId": f"subnet-{UNKNOWN}"},
            "InvalidSubnetID.NotFound",
            f"The subnet ID 'subnet-{UNKNOWN}' does not exist",
        ),
        (
            {"SecurityGroupIds": [""]},
            "InvalidParameterValue",
            "Value () for parameter groupId is invalid. The value cannot be empty",
        ),
        (
            {"SecurityGroupIds": ["sg-xyz"]},
            "InvalidGroupId.Malformed",
            'Invalid id: "sg-xyz" (expecting "sg-...")',
        ),
        (
            {"SecurityGroupIds": [f"sg-{UNKNOWN}"]},
            "InvalidGroup.NotFound",
            f"The security group 'sg-{UNKNOWN}' does not exist",
        ),
        (
            {"Placement": {"AvailabilityZone": "us-east-1q"}},
            "InvalidParameterValue",
            "Invalid value 'us-east-1q' for AvailabilityZone.",
        ),
        (
            {"Placement": {"GroupName": "cluster"}},
            "InvalidPlacementGroup.Unknown",
            "The Placement Group 'cluster' is unknown.",
        ),
        (
            {"PrivateIpAddress": "10.0.0.1"},
            "InvalidParameterValue",
            "Address 10.0.0.1 does not fall within the subnet's address range",
        ),
        (
            {"PrivateIpAddress": "172.31.0.1"},
            "InvalidParameterValue",
            "Address 172.31.0.1 is in subnet's reserved address range",
        ),
        (
            {"UserData": "no base64!"},
            "InvalidParameterValue",
            "Invalid BASE64 encoding of user data.",
        ),
        (
            {"UserData": "bm/"},
            "InvalidParameterValue",
            "Invalid BASE64 encoding of user data.",
        ),
        (
            {"UserData": base64.b64encode(bytes(17 * 1024)).decode()},
            "InvalidParameterValue",
            "User data is limited to 16384 bytes",
        ),
        (
            {"UserData": "A" * 25604},
            "InvalidParameterValue",
            "Encoded User data is limited to 25600 bytes",
        ),
        (
            {"InstanceInitiatedShutdownBehavior": "explode"},
            "InvalidParameterValue",
            "Value (explode) for parameter instanceInitiatedShutdownBehavior is invalid. "
            "Expecting one of: stop, terminate.",
        ),
        (
            {"MetadataOptions": {"HttpPutResponseHopLimit": 65}},
            "InvalidParameterValue",
            "Value (65) for parameter MetadataOptions.HttpPutResponseHopLimit is invalid. "
            "Expecting a value from 1 to 64.",
        ),
        (
            {"CpuOptions": {"CoreCount": 1}},
            "MissingParameter",
            "The request must contain the parameter CpuOptions.ThreadsPerCore",
        ),
        (
            {"TagSpecifications": [{"ResourceType": "vpc", "Tags": [{"Key": "a"}]}]},
            "InvalidParameterValue",
            "'vpc' is not a valid taggable resource type for this operation.",
        ),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_bad_input_gets_ec2s_answer(
    cloud: Cloud, request_: Mapping[str, Any], code: str, message: str
) -> None:
    error = refused(cloud, **request_)
    assert (error.code, error.message, error.status) == (code, message, 400)


@pytest.mark.parametrize(
    ("request_", "name"),
    [
        ({"KernelId": "aki-1"}, "KernelId"),
        ({"Ipv6AddressCount": 1}, "Ipv6AddressCount"),
        ({"Ipv6Addresses": [{"Ipv6Address": "::1"}]}, "Ipv6Address"),
        ({"LaunchTemplate": {"LaunchTemplateName": "x"}}, "LaunchTemplate"),
        ({"InstanceMarketOptions": {"MarketType": "spot"}}, "InstanceMarketOptions"),
        ({"IamInstanceProfile": {"Name": "x"}}, "IamInstanceProfile"),
        ({"HibernationOptions": {"Configured": True}}, "HibernationOptions.Configured"),
        ({"EnclaveOptions": {"Enabled": True}}, "EnclaveOptions.Enabled"),
        ({"CpuOptions": {"AmdSevSnp": "enabled"}}, "CpuOptions.AmdSevSnp"),
        ({"Placement": {"Tenancy": "dedicated"}}, "Placement.Tenancy"),
        (
            {"NetworkInterfaces": [{"DeviceIndex": 0}, {"DeviceIndex": 1}]},
            "NetworkInterface.2",
        ),
        (
            {"NetworkInterfaces": [{"DeviceIndex": 0, "AssociatePublicIpAddress": True}]},
            "NetworkInterface.1.AssociatePublicIpAddress",
        ),
        (
            {"NetworkInterfaces": [{"DeviceIndex": 0, "DeleteOnTermination": False}]},
            "NetworkInterface.1.DeleteOnTermination",
        ),
        (
            {"BlockDeviceMappings": [{"DeviceName": ROOT, "Ebs": {"Encrypted": True}}]},
            "BlockDeviceMapping.1.Ebs.Encrypted",
        ),
        (
            {"BlockDeviceMappings": [{"DeviceName": "/dev/sdb", "Ebs": {"KmsKeyId": "k"}}]},
            "BlockDeviceMapping.1.Ebs.KmsKeyId",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_honoured_is_refused_by_name(
    cloud: Cloud, request_: Mapping[str, Any], name: str
) -> None:
    error = refused(cloud, **request_)
    assert (error.code, error.status) == ("UnsupportedOperation", 400)
    assert f"parameter {name} is" in error.message


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (
            {"SubnetId": f"subnet-{UNKNOWN}"},
            "Network interfaces and an instance-level subnet ID may not be specified on the same "
            "request",
        ),
        (
            {"SecurityGroupIds": [f"sg-{UNKNOWN}"]},
            "Network interfaces and an instance-level security groups may not be specified on the "
            "same request",
        ),
    ],
)
def test_an_interface_goes_with_nothing_that_it_stands_for(
    cloud: Cloud, request_: Mapping[str, Any], message: str
) -> None:
    error = refused(cloud, NetworkInterfaces=[{"DeviceIndex": 0}], **request_)
    assert (error.code, error.message) == ("InvalidParameterCombination", message)


@pytest.mark.parametrize(
    ("ebs", "code", "message"),
    [
        (
            {"VolumeSize": 4},
            "InvalidBlockDeviceMapping",
            "Volume of size 4GB is smaller than  snapshot '{snapshot}', expect size >= 8GB",
        ),
        (
            {"VolumeType": "st1"},
            "InvalidParameterValue",
            "The volume type st1 is not supported as a root device.",
        ),
        ({"VolumeType": "io1"}, "MissingParameter", "The request must contain the parameter iops"),
        (
            {"VolumeType": "io1", "Iops": 70_000},
            "InvalidParameterValue",
            "Volume iops of 70000 is too high; maximum is 64000.",
        ),
        (
            {"VolumeType": "gp2", "Iops": 3000},
            "InvalidParameterCombination",
            "The parameter iops is not supported for gp2 volumes",
        ),
        (
            {"SnapshotId": f"snap-{UNKNOWN}"},
            "InvalidBlockDeviceMapping",
            "The snapshotId of the root device cannot be modified.",
        ),
    ],
)
def test_a_root_disk_that_cannot_be_is_refused(
    cloud: Cloud, ebs: Mapping[str, Any], code: str, message: str
) -> None:
    [image] = cloud.rows(models.Image)
    error = refused(cloud, BlockDeviceMappings=[{"DeviceName": ROOT, "Ebs": ebs}])
    assert (error.code, error.message) == (code, message.format(snapshot=image.snapshot_id))


def test_a_zone_beside_a_subnet_of_another_is_refused(cloud: Cloud) -> None:
    subnet = next(row for row in cloud.rows(models.Subnet) if row.zone.endswith("a"))
    error = refused(cloud, SubnetId=subnet.id, Placement={"AvailabilityZone": "us-east-1b"})
    assert error.code == "InvalidParameterCombination"


def test_group_names_are_for_the_default_vpc_alone(cloud: Cloud) -> None:
    [subnet, *_] = cloud.rows(models.Subnet)
    error = refused(cloud, SubnetId=subnet.id, SecurityGroups=["default"])
    assert error.message == "The parameter groupName cannot be used with the parameter subnet"
    [vpc] = cloud.rows(models.Vpc)
    error = refused(cloud, SecurityGroups=["other"])
    assert error.message == f"The security group 'other' does not exist in default VPC '{vpc.id}'"


def test_a_group_of_another_network_is_refused(cloud: Cloud) -> None:
    group_id = ids.mint("sg")

    def other_vpc(session: Any) -> None:
        [first] = session.query(models.Vpc).all()
        owned = {"account_key": cloud.account_key, "region": "us-east-1"}
        vpc = models.Vpc(
            id=ids.mint("vpc"),
            cidr="10.0.0.0/16",
            dhcp_options_key=first.dhcp_options_key,
            association_id="x",
            **owned,
        )
        session.add(vpc)
        session.flush()
        session.add(
            models.SecurityGroup(id=group_id, name="x", description="x", vpc_key=vpc.key, **owned)
        )

    cloud.store.write(other_vpc)
    error = refused(cloud, SecurityGroupIds=[group_id])
    assert error.code == "InvalidParameter"
    assert error.message.startswith(f"Security group {group_id} and subnet subnet-")


def test_an_interface_is_in_five_groups_at_most(cloud: Cloud) -> None:
    error = refused(cloud, SecurityGroupIds=[ids.mint("sg") for _ in range(6)])
    assert error.code == "SecurityGroupsPerInterfaceLimitExceeded"
    assert error.message == "The maximum number of security groups per interface has been reached."


def test_one_address_cannot_be_for_two(cloud: Cloud) -> None:
    error = refused(cloud, MinCount=1, MaxCount=2, PrivateIpAddress="172.31.0.9")
    assert error.code == "InvalidParameterCombination"


def test_an_address_in_use_is_refused_across_accounts(cloud: Cloud) -> None:
    cloud.run(PrivateIpAddress="172.31.0.9", Placement={"AvailabilityZone": "us-east-1a"})
    cloud.account_key, cloud.account_id = cloud.account("two")
    with pytest.raises(Ec2Error) as caught:
        cloud.run(PrivateIpAddress="172.31.0.9", Placement={"AvailabilityZone": "us-east-1a"})
    assert caught.value.code == "InvalidIPAddress.InUse"
    assert caught.value.message == "Address 172.31.0.9 is in use."


def test_an_interface_of_another_instance_is_in_use(cloud: Cloud) -> None:
    cloud.run()
    [interface] = cloud.rows(models.NetworkInterface)
    with pytest.raises(Ec2Error) as caught:
        cloud.run(NetworkInterfaces=[{"DeviceIndex": 0, "NetworkInterfaceId": interface.id}])
    assert caught.value.code == "InvalidNetworkInterface.InUse"
    assert caught.value.message == f"Interface: [{interface.id}] in use."


def test_another_accounts_private_image_is_not_for_all(cloud: Cloud) -> None:
    private = cloud.image(public=False)
    cloud.run(ImageId=private)
    cloud.account_key, cloud.account_id = cloud.account("two")
    with pytest.raises(Ec2Error) as caught:
        cloud.run(ImageId=private)
    assert (caught.value.code, caught.value.status) == ("AuthFailure", 400)
    assert caught.value.message == f"Not authorized for images: [{private}]"


def test_an_image_of_another_architecture_or_region_is_refused(cloud: Cloud) -> None:
    error = refused(cloud, ImageId=cloud.image(architecture="arm64"))
    assert error.code == "InvalidParameterValue"
    assert "'x86_64' of the specified instance type does not match" in error.message
    error = refused(cloud, ImageId=cloud.image(region="eu-west-1"))
    assert error.code == "InvalidAMIID.NotFound"
    error = refused(cloud, ImageId=cloud.image(state="failed"))
    assert error.code == "InvalidAMIID.Unavailable"
