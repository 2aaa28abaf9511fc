"""Faults of instances: what their state forbids, and launches that cannot be.

Source: tests/data/aws-errors.json.
"""

from __future__ import annotations

from typing import Final

from tests.truth.faults import Fault, disk, interface, launch

_ONE_TOO_LONG: Final = "x" * 16385
_LONGEST: Final = "x" * 25600
FAULTS: Final[tuple[Fault, ...]] = (
    # states of instances
    Fault("StartInstances", {"InstanceIds": ["{stopping}"]}, "IncorrectInstanceState", "started"),
    Fault(
        "StopInstances", {"InstanceIds": ["{terminated}"]}, "IncorrectInstanceState", "This inst"
    ),
    Fault("StopInstances", {"InstanceIds": ["{pending}"]}, "IncorrectInstanceState", "never reach"),
    Fault(
        "ModifyInstanceAttribute",
        {"InstanceId": "{i}", "InstanceType": {"Value": "m5.large"}},
        "IncorrectInstanceState",
        "not in the 'stopped' state",
    ),
    Fault(
        "ModifyInstanceAttribute",
        {"InstanceId": "{stopped}", "InstanceType": {"Value": "no"}},
        "InvalidParameterValue",
        "for InstanceType",
    ),
    # launches
    Fault("RunInstances", launch(InstanceType="no"), "InvalidParameterValue", "for InstanceType"),
    Fault(
        "RunInstances",
        launch(Placement={"AvailabilityZone": "us-east-9z"}),
        "InvalidParameterValue",
        "for AvailabilityZone",
    ),
    Fault(
        "RunInstances",
        launch(UserData=_ONE_TOO_LONG),
        "InvalidParameterValue",
        "User data is limited to 16384",
    ),
    Fault(
        "ModifyInstanceAttribute",
        {"InstanceId": "{stopped}", "UserData": {"Value": b"x" * 16385}},
        "InvalidParameterValue",
        "User data is limited to 16384",
    ),
    Fault("RunInstances", launch(SecurityGroupIds=[""]), "InvalidParameterValue", "groupId"),
    Fault(
        "RunInstances",
        launch(NetworkInterfaces=interface(), SecurityGroupIds=["{web}"]),
        "InvalidParameterCombination",
        "instance-level security groups",
    ),
    Fault(
        "RunInstances",
        launch(NetworkInterfaces=interface(), SubnetId="{subnet}"),
        "InvalidParameterCombination",
        "instance-level subnet ID",
    ),
    Fault(
        "RunInstances",
        launch(NetworkInterfaces=interface(NetworkInterfaceId="{eni}")),
        "InvalidNetworkInterface.InUse",
        "",
    ),
    Fault(
        "RunInstances",
        launch(SubnetId="{subnet}", PrivateIpAddress="172.31.0.1"),
        "InvalidParameterValue",
        "reserved address range",
    ),
    Fault(
        "RunInstances",
        launch(SubnetId="{subnet}", PrivateIpAddress="172.31.0.250"),
        "InvalidIPAddress.InUse",
        "Address {value} is in use",
    ),
    Fault(
        "RunInstances",
        launch(BlockDeviceMappings=disk(VolumeSize=1)),
        "InvalidBlockDeviceMapping",
        "smaller than",
    ),
    Fault(
        "RunInstances",
        launch(BlockDeviceMappings=disk("nonsense", VolumeSize=1)),
        "InvalidBlockDeviceMapping",
        "device name",
    ),
    Fault(
        "RunInstances",
        launch(BlockDeviceMappings=disk("/dev/sdz", VolumeType="gp3")),
        "InvalidBlockDeviceMapping",
        "must be provided",
    ),
    Fault("RunInstances", launch(UserData=_LONGEST), "InvalidParameterValue", "Encoded User data"),
    Fault(
        "RunInstances",
        launch(ClientToken="lasting", InstanceType="m5.large"),
        "IdempotentParameterMismatch",
        "",
    ),
    Fault(
        "RunInstances",
        launch(ClientToken="ended", DisableApiStop=False, DisableApiTermination=False),
        "IdempotentInstanceTerminated",
        "",
    ),
    Fault(
        "RunInstances",
        launch(ImageId="{private}"),
        "AuthFailure",
        "Not authorized for images",
        by_stranger=True,
    ),
    Fault(
        "StopInstances", {"InstanceIds": ["{unstoppable}"]}, "OperationNotPermitted", "be stopped"
    ),
    Fault(
        "TerminateInstances",
        {"InstanceIds": ["{unstoppable}"]},
        "OperationNotPermitted",
        "terminated. Modify its 'disableApiStop'",
    ),
    Fault(
        "TerminateInstances",
        {"InstanceIds": ["{lasting}"]},
        "OperationNotPermitted",
        "disableApiTermination",
    ),
)
