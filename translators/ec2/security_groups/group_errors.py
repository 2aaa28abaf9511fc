"""EC2's errors that only this family answers; all others are in `translators.errors`.

Source: EC2 API Reference, "Error codes for the Amazon EC2 API".
"""

from __future__ import annotations

from translators.errors import Ec2Error


def cannot_delete(group_id: str) -> Ec2Error:
    message = f'the specified group: "{group_id}" name: "default" cannot be deleted by a user'
    return Ec2Error("CannotDelete", message)


def cidr_malformed(text: str) -> Ec2Error:
    return Ec2Error("InvalidParameterValue", f"CIDR block {text} is malformed")


def dependency_violation(group_id: str) -> Ec2Error:
    return Ec2Error("DependencyViolation", f"resource {group_id} has a dependent object")


def duplicate_group(name: str, vpc_id: str) -> Ec2Error:
    message = f"The security group '{name}' already exists for VPC '{vpc_id}'"
    return Ec2Error("InvalidGroup.Duplicate", message)


def duplicate_rule(words: str) -> Ec2Error:
    """Take the rule in EC2's words: "peer: 10.0.0.0/8, ALL"."""
    message = f'the specified rule "{words}, ALLOW" already exists'
    return Ec2Error("InvalidPermission.Duplicate", message)


def name_in_the_form_of_an_id(name: str) -> Ec2Error:
    message = (
        f"Value ({name}) for parameter GroupName is invalid. "
        "Group names may not be in the format sg-*."
    )
    return Ec2Error("InvalidParameterValue", message)


def name_reserved(name: str) -> Ec2Error:
    return Ec2Error("InvalidParameterValue", f"Cannot use reserved security group name: {name}")


def one_peer_alone() -> Ec2Error:
    message = "Only one of cidrIp, cidrIpv6, prefixListId, or referencedGroupId can be specified"
    return Ec2Error("InvalidParameterCombination", message)


def malformed_in_a_filter(text: str) -> Ec2Error:
    """DescribeSecurityGroupRules has a sentence of its own."""
    return Ec2Error("InvalidGroupId.Malformed", f"The security group ID '{text}' is malformed")


def peer_missing() -> Ec2Error:
    message = (
        "The request must contain exactly one of: cidrIp, cidrIpv6, prefixListId, or "
        "referencedGroupId"
    )
    return Ec2Error("MissingParameter", message)


def peer_of_another_kind(rule_id: str) -> Ec2Error:
    message = f"The type of the security group rule '{rule_id}' cannot be changed."
    return Ec2Error("InvalidParameterValue", message)


def permission_twice() -> Ec2Error:
    message = "The same permission must not appear multiple times"
    return Ec2Error("InvalidParameterValue", message)


def port_out_of_range(port: int) -> Ec2Error:
    return Ec2Error("InvalidPermission.Malformed", f"TCP/UDP port ({port}) out of range")


def ports_missing() -> Ec2Error:
    message = "Invalid value for portRange. Must specify both from and to ports with TCP/UDP."
    return Ec2Error("InvalidParameterValue", message)


def ports_reversed(first: int, last: int) -> Ec2Error:
    message = f"Invalid value '{first}-{last}' for portRange. The first port is the larger one."
    return Ec2Error("InvalidParameterValue", message)


def protocol_missing() -> Ec2Error:
    message = (
        "Invalid value 'null' for protocol. VPC security group rules must specify protocols "
        "explicitly."
    )
    return Ec2Error("InvalidParameterValue", message)


def rule_not_found() -> Ec2Error:
    message = "The specified rule does not exist in this security group."
    return Ec2Error("InvalidPermission.NotFound", message)


def rules_per_group_limit_exceeded() -> Ec2Error:
    message = "The maximum number of rules per security group has been reached."
    return Ec2Error("RulesPerSecurityGroupLimitExceeded", message)


def security_group_limit_exceeded() -> Ec2Error:
    message = "The maximum number of security groups has been reached."
    return Ec2Error("SecurityGroupLimitExceeded", message)


def text_invalid(noun: str) -> Ec2Error:
    message = (
        f"Invalid {noun}. Valid {_plural(noun)} are strings less than 256 characters from the "
        "following set: a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*"
    )
    return Ec2Error("InvalidParameterValue", message)


def type_missing() -> Ec2Error:
    message = "Invalid value for portRange. Must specify both type and code with ICMP."
    return Ec2Error("InvalidParameterValue", message)


def type_out_of_range(word: str, number: int) -> Ec2Error:
    return Ec2Error("InvalidPermission.Malformed", f"ICMP {word} ({number}) out of range")


def unknown_protocol(text: str) -> Ec2Error:
    message = f"Invalid value '{text}' for IP protocol. Unknown protocol."
    return Ec2Error("InvalidParameterValue", message)


def vpc_id_not_specified() -> Ec2Error:
    return Ec2Error("VPCIdNotSpecified", "No default VPC for this user")


def _plural(noun: str) -> str:
    return f"{noun.split()[-1]}s"
