"""EC2's errors that only images answer; all others are in `translators.errors`.

Source: EC2 API Reference, "Error codes for the Amazon EC2 API".
"""

from __future__ import annotations

from translators.errors import Ec2Error


def either_snapshot_or_size(device: str) -> Ec2Error:
    message = f"Either snapshot ID or volume size must be provided for: {device}"
    return Ec2Error("InvalidBlockDeviceMapping", message)


def incorrect_instance_state(instance_id: str) -> Ec2Error:
    message = f"Instance '{instance_id}' is not in a state from which an image can be made."
    return Ec2Error("IncorrectState", message)


def invalid_ami_attribute_item_value(value: str, item_type: str) -> Ec2Error:
    """Name the type of the item: "userId" or "userGroup"."""
    message = f'Invalid attribute item value "{value}" for {item_type} item type.'
    return Ec2Error("InvalidAMIAttributeItemValue", message)


def invalid_ami_name_duplicate(name: str, image_id: str) -> Ec2Error:
    message = f"AMI name {name} is already in use by AMI {image_id}"
    return Ec2Error("InvalidAMIName.Duplicate", message)


def invalid_ami_name_malformed() -> Ec2Error:
    message = (
        "AMI names must be between 3 and 128 characters long, and may contain letters, numbers, "
        "'(', ')', '.', '-', '/' and '_'"
    )
    return Ec2Error("InvalidAMIName.Malformed", message)


def no_root_device(instance_id: str) -> Ec2Error:
    message = f"Instance '{instance_id}' has no root volume attached."
    return Ec2Error("IncorrectState", message)


def not_authorized_for_image(image_id: str) -> Ec2Error:
    """For what only its owner may do with an image, whoever may see it."""
    return Ec2Error("AuthFailure", f"Not authorized for image:{image_id}")


def restricted_resource() -> Ec2Error:
    return Ec2Error("AuthFailure", "Unauthorized attempt to access restricted resource")


def too_many_disks(most: int) -> Ec2Error:
    message = f"The image has more block devices than an instance can have: {most}"
    return Ec2Error("InvalidBlockDeviceMapping", message)
