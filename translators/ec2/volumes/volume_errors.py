"""EC2's errors that only this family answers; all others are in `translators.errors`.

Source: EC2 API Reference, "Error codes for the Amazon EC2 API".
"""

from __future__ import annotations

from translators import errors
from translators.errors import Ec2Error


def already_attached(volume_id: str) -> Ec2Error:
    return Ec2Error("VolumeInUse", f"{volume_id} is already attached to an instance")


def attachment_limit_exceeded() -> Ec2Error:
    message = (
        "You've exceeded the limit on the number of Amazon EBS volumes or network interfaces that "
        "can be attached to a single instance."
    )
    return Ec2Error("AttachmentLimitExceeded", message)


def being_modified() -> Ec2Error:
    message = (
        "A new modification action on an EBS Elastic Volume cannot occur because the volume is "
        "currently being modified."
    )
    return Ec2Error("IncorrectModificationState", message)


def currently_attached(volume_id: str, instance_id: str) -> Ec2Error:
    message = f"Volume {volume_id} is currently attached to {instance_id}"
    return Ec2Error("VolumeInUse", message)


def device_in_use(device: str) -> Ec2Error:
    message = (
        f"Invalid value '{device}' for unixDevice. Attachment point {device} is already in use"
    )
    return Ec2Error("InvalidParameterValue", message)


def different_zone(volume_id: str, instance_id: str) -> Ec2Error:
    message = (
        f"The volume '{volume_id}' is not in the same availability zone as instance '{instance_id}'"
    )
    return Ec2Error("InvalidVolume.ZoneMismatch", message)


def insufficient_volume_capacity() -> Ec2Error:
    message = (
        "There is not enough capacity to fulfill your EBS volume provision request. You can try to "
        "provision a different volume type, EBS volume in a different availability zone, or you "
        "can wait for additional capacity to become available."
    )
    return Ec2Error("InsufficientVolumeCapacity", message, 500)


def invalid_device_name(device: str) -> Ec2Error:
    sentence = f"{device} is not a valid EBS device name."
    return errors.invalid_parameter_value(device, "device", sentence)


def modification_not_found(volume_id: str) -> Ec2Error:
    message = f"Modification for volume '{volume_id}' does not exist."
    return Ec2Error("InvalidVolumeModification.NotFound", message)


def modification_rate_exceeded() -> Ec2Error:
    message = (
        "You've reached the maximum modification rate per volume limit. Wait at least 6 hours "
        "between modifications per EBS volume."
    )
    return Ec2Error("VolumeModificationRateExceeded", message)


def not_attached_there(volume_id: str, instance_id: str, device: str | None) -> Ec2Error:
    message = f"The volume '{volume_id}' is not attached to instance '{instance_id}'"
    if device is not None:
        message += f" as device '{device}'"
    return Ec2Error("InvalidAttachment.NotFound", message)


def not_available(volume_id: str) -> Ec2Error:
    return Ec2Error("IncorrectState", f"{volume_id} is not 'available'.")


def not_in_use(volume_id: str, state: str) -> Ec2Error:
    return Ec2Error("IncorrectState", f"Volume '{volume_id}' is in the '{state}' state.")


def not_running(instance_id: str) -> Ec2Error:
    return Ec2Error("IncorrectState", f"Instance '{instance_id}' is not 'running'.")


def not_stopped(instance_id: str) -> Ec2Error:
    return Ec2Error("IncorrectState", f"Instance '{instance_id}' is not 'stopped'.")


def on_another_host(volume_id: str, instance_id: str) -> Ec2Error:
    """Not EC2's: there every volume is within reach of every instance of its zone."""
    message = (
        f"The volume '{volume_id}' holds data on another host of its Availability Zone than "
        f"instance '{instance_id}', and this service is not configured to carry disks between "
        "hosts. Attach it to an instance of its host."
    )
    return Ec2Error("UnsupportedOperation", message)


def root_in_use(volume_id: str, instance_id: str) -> Ec2Error:
    message = f"Unable to detach root volume '{volume_id}' from instance '{instance_id}'"
    return Ec2Error("OperationNotPermitted", message)


def root_grows_while_off(volume_id: str) -> Ec2Error:
    """Not EC2's: a first-generation VM boots from IDE, where a disk grows only while it is off."""
    message = (
        f"The root volume '{volume_id}' of an instance that boots in legacy BIOS mode can be made "
        "larger only while the instance is stopped."
    )
    return Ec2Error("IncorrectState", message)


def smaller() -> Ec2Error:
    message = "New size cannot be smaller than existing size"
    return errors.invalid_parameter_value_text(message)


def smaller_than_snapshot(size_gib: int, snapshot_id: str, least_gib: int) -> Ec2Error:
    message = (
        f"The size of a volume ({size_gib} GiB) cannot be smaller than that of its snapshot "
        f"'{snapshot_id}' ({least_gib} GiB)."
    )
    return errors.invalid_parameter_value_text(message)


def unknown_zone(name: str) -> Ec2Error:
    return Ec2Error("InvalidZone.NotFound", f"The zone '{name}' does not exist.")
