"""EC2's errors that only this family answers; all others are in `translators.errors`.

Source: EC2 API Reference, "Error codes for the Amazon EC2 API".
"""

from __future__ import annotations

from collections.abc import Collection

from translators.errors import Ec2Error


def architecture_mismatch(of_type: str, of_image: str) -> Ec2Error:
    message = (
        f"The architecture '{of_type}' of the specified instance type does not match the "
        f"architecture '{of_image}' of the specified AMI. Specify an instance type and an AMI that "
        "have matching architectures, and try again. You can use 'describe-instance-types' or "
        "'describe-images' to discover the architecture of the instance type or AMI."
    )
    return Ec2Error("InvalidParameterValue", message)


def ed25519_with_windows() -> Ec2Error:
    message = (
        "ED25519 key pairs are not supported with Windows AMIs. "
        "Choose a different key pair type and try again."
    )
    return Ec2Error("Unsupported", message)


def group_of_another_network(group_id: str, subnet_id: str) -> Ec2Error:
    message = f"Security group {group_id} and subnet {subnet_id} belong to different networks."
    return Ec2Error("InvalidParameter", message)


def encoded_user_data_too_long(limit: int) -> Ec2Error:
    message = f"Encoded User data is limited to {limit} bytes"
    return Ec2Error("InvalidParameterValue", message)


def idempotent_instance_terminated() -> Ec2Error:
    message = (
        "The client token you have provided is associated with a terminated instance. "
        "Please use a different client token."
    )
    return Ec2Error("IdempotentInstanceTerminated", message)


def incorrect_instance_state_gone(instance_id: str) -> Ec2Error:
    message = f"The instance '{instance_id}' is not in the 'running' or 'stopped' states."
    return Ec2Error("IncorrectInstanceState", message)


def incorrect_instance_state_never_ran(instance_id: str) -> Ec2Error:
    message = (
        f"Instance '{instance_id}' cannot be stopped as it has never reached the 'running' state."
    )
    return Ec2Error("IncorrectInstanceState", message)


def incorrect_instance_state_not_running(instance_id: str) -> Ec2Error:
    message = f"The instance '{instance_id}' is not in the 'running' state."
    return Ec2Error("IncorrectInstanceState", message)


def incorrect_instance_state_not_stopped(instance_id: str) -> Ec2Error:
    message = f"The instance '{instance_id}' is not in the 'stopped' state."
    return Ec2Error("IncorrectInstanceState", message)


def incorrect_instance_state_reboot(instance_id: str) -> Ec2Error:
    message = f"The instance '{instance_id}' is not in a state from which it can be rebooted."
    return Ec2Error("IncorrectInstanceState", message)


def incorrect_instance_state_start(instance_id: str) -> Ec2Error:
    message = f"The instance '{instance_id}' is not in a state from which it can be started."
    return Ec2Error("IncorrectInstanceState", message)


def incorrect_instance_state_stop(instance_id: str) -> Ec2Error:
    message = f"This instance '{instance_id}' is not in a state from which it can be stopped."
    return Ec2Error("IncorrectInstanceState", message)


def instance_limit_exceeded(requested: int, limit: int) -> Ec2Error:
    message = (
        f"You have requested more instances ({requested}) than your current instance limit of "
        f"{limit} allows for the specified instance type."
    )
    return Ec2Error("InstanceLimitExceeded", message)


def insufficient_capacity_anywhere(type_name: str) -> Ec2Error:
    message = (
        f"We currently do not have sufficient {type_name} capacity in any Availability Zone. "
        "Our system will be working on provisioning additional capacity."
    )
    return Ec2Error("InsufficientInstanceCapacity", message, 500)


def insufficient_instance_capacity(type_name: str, zone: str, others: Collection[str]) -> Ec2Error:
    message = (
        f"We currently do not have sufficient {type_name} capacity in the Availability Zone you "
        f"requested ({zone}). Our system will be working on provisioning additional capacity."
    )
    if others:
        message += (
            f" You can currently get {type_name} capacity by not specifying an Availability Zone "
            f"in your request or choosing {', '.join(others)}."
        )
    return Ec2Error("InsufficientInstanceCapacity", message, 500)


def invalid_availability_zone(name: str) -> Ec2Error:
    return Ec2Error("InvalidParameterValue", f"Invalid value '{name}' for AvailabilityZone.")


def invalid_block_device_mapping(sentence: str) -> Ec2Error:
    return Ec2Error("InvalidBlockDeviceMapping", sentence)


def invalid_instance_attribute_value(sentence: str) -> Ec2Error:
    return Ec2Error("InvalidInstanceAttributeValue", sentence)


def invalid_placement_group_unknown(name: str) -> Ec2Error:
    return Ec2Error("InvalidPlacementGroup.Unknown", f"The Placement Group '{name}' is unknown.")


def invalid_value_for_instance_type(name: str) -> Ec2Error:
    return Ec2Error("InvalidParameterValue", f"Invalid value '{name}' for InstanceType.")


def malformed_in_a_termination(text: str) -> Ec2Error:
    """TerminateInstances has a sentence of its own."""
    return Ec2Error("InvalidInstanceID.Malformed", f"The instance ID '{text}' is malformed")


def missing_device_index() -> Ec2Error:
    return Ec2Error("MissingParameter", "Each network interface requires a device index.")


def missing_input_no_subnet(vpc_id: str) -> Ec2Error:
    message = f"No subnets found for the default VPC '{vpc_id}'. Please specify a subnet."
    return Ec2Error("MissingInput", message)


def multiple_attributes(names: Collection[str]) -> Ec2Error:
    message = f"Fields for multiple attribute types specified: {', '.join(names)}"
    return Ec2Error("InvalidParameterCombination", message)


def no_root_volume(instance_id: str, device: str) -> Ec2Error:
    message = (
        f"Invalid value '{instance_id}' for instanceId. "
        f"Instance does not have a volume attached at root ({device})"
    )
    return Ec2Error("InvalidParameterValue", message)


def operation_not_permitted(instance_id: str, verb: str, attribute: str) -> Ec2Error:
    """Protection: `verb` is "terminated" or "stopped"; the attribute is what protects."""
    message = (
        f"The instance '{instance_id}' may not be {verb}. "
        f"Modify its '{attribute}' instance attribute and try again."
    )
    return Ec2Error("OperationNotPermitted", message)


def unsupported_configuration() -> Ec2Error:
    message = (
        "The requested configuration is currently not supported. "
        "Please check the documentation for supported configurations."
    )
    return Ec2Error("Unsupported", message)


def unsupported_hibernation_configuration(instance_id: str) -> Ec2Error:
    message = f"The instance '{instance_id}' is not enabled for hibernation."
    return Ec2Error("UnsupportedHibernationConfiguration", message)


def unsupported_instance_attribute(name: str) -> Ec2Error:
    message = f"The instance attribute '{name}' cannot be modified."
    return Ec2Error("UnsupportedInstanceAttribute", message)


def user_data_not_base64() -> Ec2Error:
    return Ec2Error("InvalidParameterValue", "Invalid BASE64 encoding of user data.")


def user_data_too_long() -> Ec2Error:
    return Ec2Error("InvalidParameterValue", "User data is limited to 16384 bytes")


def vpc_id_not_specified() -> Ec2Error:
    return Ec2Error("VPCIdNotSpecified", "No default VPC for this user")
