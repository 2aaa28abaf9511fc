"""EC2's errors that only launches and power actions answer; all others are in `translators.errors`.

Source: EC2 API Reference, "Error codes for the Amazon EC2 API".
"""

from __future__ import annotations

from translators.errors import Ec2Error


def architecture_mismatch(of_type: str, of_image: str) -> Ec2Error:
    message = (
        f"The architecture '{of_type}' of the specified instance type does not match the "
        f"architecture '{of_image}' of the specified AMI. Specify an instance type and an AMI that "
        "have matching architectures, and try again. You can use 'describe-instance-types' or "
        "'describe-images' to discover the architecture of the instance type or AMI."
    )
    return Ec2Error("InvalidParameterValue", message)


def different_networks(group_id: str, subnet_id: str) -> Ec2Error:
    message = f"Security group {group_id} and subnet {subnet_id} belong to different networks."
    return Ec2Error("InvalidParameter", message)


def encoded_user_data_too_long(limit: int) -> Ec2Error:
    message = f"Encoded User data is limited to {limit} bytes"
    return Ec2Error("InvalidParameterValue", message)


def insufficient_capacity_anywhere(type_name: str) -> Ec2Error:
    message = (
        f"We currently do not have sufficient {type_name} capacity in any Availability Zone. "
        "Our system will be working on provisioning additional capacity."
    )
    return Ec2Error("InsufficientInstanceCapacity", message, 500)


def invalid_ami_id_unavailable(image_id: str) -> Ec2Error:
    message = f"The image ID '{image_id}' is no longer available"
    return Ec2Error("InvalidAMIID.Unavailable", message)


def invalid_availability_zone(name: str) -> Ec2Error:
    return Ec2Error("InvalidParameterValue", f"Invalid value '{name}' for AvailabilityZone.")


def invalid_placement_group_unknown(name: str) -> Ec2Error:
    return Ec2Error("InvalidPlacementGroup.Unknown", f"The Placement Group '{name}' is unknown.")


def missing_device_index() -> Ec2Error:
    return Ec2Error("MissingParameter", "Each network interface requires a device index.")


def security_groups_per_interface_limit_exceeded() -> Ec2Error:
    message = "The maximum number of security groups per interface has been reached."
    return Ec2Error("SecurityGroupsPerInterfaceLimitExceeded", message)


def unsupported_configuration() -> Ec2Error:
    message = (
        "The requested configuration is currently not supported. "
        "Please check the documentation for supported configurations."
    )
    return Ec2Error("Unsupported", message)


def unsupported_hibernation_configuration(instance_id: str) -> Ec2Error:
    message = f"The instance '{instance_id}' is not enabled for hibernation."
    return Ec2Error("UnsupportedHibernationConfiguration", message)


def vpc_id_not_specified() -> Ec2Error:
    return Ec2Error("VPCIdNotSpecified", "No default VPC for this user")
