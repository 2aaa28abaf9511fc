"""EC2's errors: one class, and one function per case that returns it for the caller to raise.

Codes, statuses and wording are AWS's; where AWS's wording is not known, a sentence of its style.
Holds no decision about when an error is due.

Source: EC2 API Reference, "Error codes for the Amazon EC2 API".
"""

from __future__ import annotations

from collections.abc import Collection


class Ec2Error(Exception):
    """What the client did wrong, or what it cannot have, in EC2's words."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


# -- the request as such


def invalid_action(name: str) -> Ec2Error:
    return Ec2Error("InvalidAction", f"The action {name} is not valid for this web service.")


def missing_action() -> Ec2Error:
    return Ec2Error("MissingAction", "The request is missing an action or a required parameter.")


def missing_parameter(name: str) -> Ec2Error:
    return Ec2Error("MissingParameter", f"The request must contain the parameter {name}")


def request_expired() -> Ec2Error:
    return Ec2Error("RequestExpired", "Request has expired.")


def auth_failure() -> Ec2Error:
    message = "AWS was not able to validate the provided access credentials"
    return Ec2Error("AuthFailure", message, 401)


def unauthorized_operation() -> Ec2Error:
    message = "You are not authorized to perform this operation."
    return Ec2Error("UnauthorizedOperation", message, 403)


def dry_run_operation() -> Ec2Error:
    message = "Request would have succeeded, but DryRun flag is set."
    return Ec2Error("DryRunOperation", message, 412)


def idempotent_parameter_mismatch() -> Ec2Error:
    message = (
        "Arguments on this idempotent request are inconsistent with arguments used in previous "
        "request(s)."
    )
    return Ec2Error("IdempotentParameterMismatch", message)


def internal_error() -> Ec2Error:
    return Ec2Error("InternalError", "An internal error has occurred", 500)


def unavailable() -> Ec2Error:
    message = "The service is unavailable. Please try again shortly."
    return Ec2Error("Unavailable", message, 503)


def recovering() -> Ec2Error:
    message = "The service compares its state with its hosts. Please try again shortly."
    return Ec2Error("Unavailable", message, 503)


# -- parameters


def request_limit_exceeded() -> Ec2Error:
    """Too much is asked at once; clients ask again later."""
    return Ec2Error("RequestLimitExceeded", "Request limit exceeded.", 503)


def invalid_parameter_value(value: object, name: str, sentence: str = "") -> Ec2Error:
    """Name the parameter as on the wire: `availabilityZone`, not `AvailabilityZone`."""
    message = f"Value ({value}) for parameter {name} is invalid. {sentence}".rstrip()
    return Ec2Error("InvalidParameterValue", message)


def invalid_parameter_value_text(sentence: str) -> Ec2Error:
    """For the many cases where EC2 says it in a sentence of its own."""
    return Ec2Error("InvalidParameterValue", sentence)


def invalid_parameter_combination(first: str, second: str) -> Ec2Error:
    message = f"The parameter {first} cannot be used with the parameter {second}"
    return Ec2Error("InvalidParameterCombination", message)


def invalid_parameter_combination_text(sentence: str) -> Ec2Error:
    return Ec2Error("InvalidParameterCombination", sentence)


def no_attributes() -> Ec2Error:
    return Ec2Error("InvalidParameterCombination", "No attributes specified.")


def unsupported_operation(name: str) -> Ec2Error:
    """Refuse a parameter that would change the result and that we cannot honour."""
    message = f"The parameter {name} is not supported by this service."
    return Ec2Error("UnsupportedOperation", message)


def too_many_ids(count: int, limit: int, noun: str) -> Ec2Error:
    message = (  # the misspelling is EC2's
        f"{count} exceeds the maximum number of {noun} IDs that can be specificied ({limit}). "
        f"Please specify fewer than {limit} {noun} IDs."
    )
    return Ec2Error("InvalidRequest", message)


def invalid_filter(name: str | None) -> Ec2Error:
    return invalid_parameter_value_text(f"The filter '{name or 'null'}' is invalid")


def too_many_filter_values(limit: int) -> Ec2Error:
    message = f"The maximum number of filter values specified on a single call is {limit}"
    return Ec2Error("InvalidParameterValue", message)


def invalid_max_results(value: int, expected: str) -> Ec2Error:
    """Say what was expected: "greater than 5"."""
    return invalid_parameter_value(f" {value} ", "maxResults", f"Expecting a value {expected}.")


def invalid_next_token(token: str) -> Ec2Error:
    return Ec2Error("InvalidNextToken", f"The token '{token}' is invalid")


# -- instances


def invalid_instance_id_malformed(text: str) -> Ec2Error:
    return Ec2Error("InvalidInstanceID.Malformed", f'Invalid id: "{text}"')


def invalid_instance_id_not_found(ids: Collection[str]) -> Ec2Error:
    return Ec2Error("InvalidInstanceID.NotFound", _missing("instance ID", ids))


def invalid_instance_type(names: Collection[str]) -> Ec2Error:
    message = f"The following supplied instance types do not exist: [{', '.join(names)}]"
    return Ec2Error("InvalidInstanceType", message)


def insufficient_capacity() -> Ec2Error:
    return Ec2Error("InsufficientInstanceCapacity", "Insufficient capacity.", 500)


# -- images, keys, disks


def invalid_ami_id_malformed(text: str) -> Ec2Error:
    return Ec2Error("InvalidAMIID.Malformed", f'Invalid id: "{text}" (expecting "ami-...")')


def invalid_ami_id_not_found(ids: Collection[str]) -> Ec2Error:
    listed = f"'[{', '.join(ids)}]'"
    if len(ids) == 1:
        return Ec2Error("InvalidAMIID.NotFound", f"The image id {listed} does not exist")
    return Ec2Error("InvalidAMIID.NotFound", f"The image ids {listed} do not exist")


def invalid_ami_id_unavailable(image_id: str) -> Ec2Error:
    message = f"The image ID '{image_id}' is no longer available"
    return Ec2Error("InvalidAMIID.Unavailable", message)


def invalid_user_id_malformed(text: str) -> Ec2Error:
    return Ec2Error("InvalidUserID.Malformed", f'Invalid user id: "{text}"')


def device_mapped_twice(device: str) -> Ec2Error:
    message = f"The device '{device}' is used in more than one block-device mapping"
    return Ec2Error("InvalidBlockDeviceMapping", message)


def invalid_device_name(device: str) -> Ec2Error:
    return Ec2Error("InvalidBlockDeviceMapping", f"Invalid device name {device}")


def volume_smaller_than_snapshot(size_gib: int, snapshot_id: str, least_gib: int) -> Ec2Error:
    message = (  # the two blanks are EC2's
        f"Volume of size {size_gib}GB is smaller than  snapshot '{snapshot_id}', "
        f"expect size >= {least_gib}GB"
    )
    return Ec2Error("InvalidBlockDeviceMapping", message)


def not_authorized_for_images(ids: Collection[str]) -> Ec2Error:
    return Ec2Error("AuthFailure", f"Not authorized for images: [{', '.join(ids)}]")


def invalid_snapshot_id_malformed(text: str) -> Ec2Error:
    return Ec2Error("InvalidSnapshotID.Malformed", f'Invalid id: "{text}"')


def invalid_snapshot_not_found(ids: Collection[str]) -> Ec2Error:
    first, *_ = ids
    return Ec2Error("InvalidSnapshot.NotFound", f"The snapshot '{first}' does not exist.")


def invalid_conversion_task_id_malformed(text: str) -> Ec2Error:
    return Ec2Error("InvalidConversionTaskId.Malformed", f'Invalid id: "{text}"')


def invalid_conversion_task_id(ids: Collection[str]) -> Ec2Error:
    return Ec2Error("InvalidConversionTaskId", _missing("import task ID", ids))


def invalid_key_pair_not_found(names: Collection[str]) -> Ec2Error:
    return Ec2Error("InvalidKeyPair.NotFound", _missing("key pair", names))


def invalid_key_pair_duplicate(name: str) -> Ec2Error:
    return Ec2Error("InvalidKeyPair.Duplicate", f"The keypair '{name}' already exists.")


def key_pair_limit_exceeded(limit: int) -> Ec2Error:
    return Ec2Error("KeyPairLimitExceeded", f"Maximum of {limit} keypairs reached.")


def invalid_key_format() -> Ec2Error:
    return Ec2Error("InvalidKey.Format", "Key is not in valid OpenSSH public key format")


def invalid_volume_id_malformed(text: str) -> Ec2Error:
    return Ec2Error("InvalidVolumeID.Malformed", f'Invalid id: "{text}"')


def invalid_volume_not_found(ids: Collection[str]) -> Ec2Error:
    return Ec2Error("InvalidVolume.NotFound", _missing("volume", ids) + ".")


# -- networks


def invalid_vpc_id_not_found(ids: Collection[str]) -> Ec2Error:
    return Ec2Error("InvalidVpcID.NotFound", _missing("vpc ID", ids))


def invalid_vpc_id_malformed(text: str) -> Ec2Error:
    # For malformed text too most actions say "not found".
    return invalid_vpc_id_not_found([text])


def invalid_subnet_id_malformed(text: str) -> Ec2Error:
    return Ec2Error("InvalidSubnetId.Malformed", _expecting(text, "subnet"))


def invalid_subnet_id_not_found(ids: Collection[str]) -> Ec2Error:
    return Ec2Error("InvalidSubnetID.NotFound", _missing("subnet ID", ids))


def insufficient_free_addresses_in_subnet(subnet_id: str) -> Ec2Error:
    message = (
        f"There are not enough free addresses in subnet {subnet_id} to satisfy the requested "
        "number of instances."
    )
    return Ec2Error("InsufficientFreeAddressesInSubnet", message)


def invalid_ip_address_in_use(address: str) -> Ec2Error:
    return Ec2Error("InvalidIPAddress.InUse", f"Address {address} is in use.")


def address_reserved(address: str) -> Ec2Error:
    message = f"Address {address} is in subnet's reserved address range"
    return Ec2Error("InvalidParameterValue", message)


def invalid_group_id_malformed(text: str) -> Ec2Error:
    return Ec2Error("InvalidGroupId.Malformed", _expecting(text, "sg"))


def invalid_group_not_found(ids: Collection[str]) -> Ec2Error:
    return Ec2Error("InvalidGroup.NotFound", _missing("security group", ids))


def invalid_group_name_not_found(name: str, vpc_id: str) -> Ec2Error:
    message = f"The security group '{name}' does not exist in default VPC '{vpc_id}'"
    return Ec2Error("InvalidGroup.NotFound", message)


def different_networks() -> Ec2Error:
    message = "You have specified two resources that belong to different networks."
    return Ec2Error("InvalidGroup.NotFound", message)


def security_groups_per_interface_limit_exceeded() -> Ec2Error:
    message = "The maximum number of security groups per interface has been reached."
    return Ec2Error("SecurityGroupsPerInterfaceLimitExceeded", message)


def invalid_security_group_rule_id_not_found(ids: Collection[str]) -> Ec2Error:
    return Ec2Error("InvalidSecurityGroupRuleId.NotFound", _missing("security group rule ID", ids))


def invalid_route_table_id_malformed(text: str) -> Ec2Error:
    return Ec2Error("InvalidRouteTableId.Malformed", _expecting(text, "rtb"))


def invalid_route_table_id_not_found(ids: Collection[str]) -> Ec2Error:
    return Ec2Error("InvalidRouteTableID.NotFound", _missing("routeTable ID", ids))


def invalid_internet_gateway_id_malformed(text: str) -> Ec2Error:
    return Ec2Error("InvalidInternetGatewayId.Malformed", _expecting(text, "igw"))


def invalid_internet_gateway_id_not_found(ids: Collection[str]) -> Ec2Error:
    return Ec2Error("InvalidInternetGatewayID.NotFound", _missing("internetGateway ID", ids))


def invalid_network_acl_id_malformed(text: str) -> Ec2Error:
    return Ec2Error("InvalidNetworkAclId.Malformed", _expecting(text, "acl"))


def invalid_network_acl_id_not_found(ids: Collection[str]) -> Ec2Error:
    return Ec2Error("InvalidNetworkAclID.NotFound", _missing("networkAcl ID", ids))


def invalid_dhcp_options_id_malformed(text: str) -> Ec2Error:
    return Ec2Error("InvalidDhcpOptionsId.Malformed", _expecting(text, "dopt"))


def invalid_dhcp_options_id_not_found(ids: Collection[str]) -> Ec2Error:
    return Ec2Error("InvalidDhcpOptionID.NotFound", _missing("dhcpOption ID", ids))


def invalid_network_interface_id_malformed(text: str) -> Ec2Error:
    return Ec2Error("InvalidNetworkInterfaceId.Malformed", _expecting(text, "eni"))


def invalid_network_interface_id_not_found(ids: Collection[str]) -> Ec2Error:
    return Ec2Error("InvalidNetworkInterfaceID.NotFound", _missing("networkInterface ID", ids))


def invalid_network_interface_in_use(interface_id: str) -> Ec2Error:
    return Ec2Error("InvalidNetworkInterface.InUse", f"Interface: [{interface_id}] in use.")


# -- tags


def invalid_id(text: str) -> Ec2Error:
    return Ec2Error("InvalidID", f"The ID '{text}' is not valid")


def tag_limit_exceeded(limit: int) -> Ec2Error:
    message = f"The resultant tag set must not have more than {limit} user tags."
    return Ec2Error("TagLimitExceeded", message)


def invalid_tag_key_malformed() -> Ec2Error:
    message = (
        "The specified tag key is not valid. Tag keys cannot be empty or null, and cannot start "
        "with aws:."
    )
    return Ec2Error("InvalidTagKey.Malformed", message)


def _missing(noun: str, ids: Collection[str]) -> str:
    listed = ", ".join(ids)
    if len(ids) == 1:
        return f"The {noun} '{listed}' does not exist"
    return f"The {noun}s '{listed}' do not exist"


def _expecting(text: str, prefix: str) -> str:
    return f'Invalid id: "{text}" (expecting "{prefix}-...")'
