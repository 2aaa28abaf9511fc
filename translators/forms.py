"""The form of the ids in a request, looked at before anything else is decided, a dry run included.

EC2 tells three steps apart: what is no id at all, what begins like one but is malformed, and what
is not there. The first two are here; who may do what and what exists come after.

Source: EC2 API Reference, "Error codes for the Amazon EC2 API"; docs/truth.md, "Errors".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from state import ids
from translators import errors
from translators.errors import Ec2Error

Malformed = Callable[[str], Ec2Error]


def not_a_snapshot_id(text: str, word: str = "snapshotId") -> Ec2Error:
    if text.startswith("snap-"):
        return errors.invalid_snapshot_id_malformed(text)
    return errors.invalid_parameter_value(text, word, "Expected: 'snap-...'.")


def not_a_volume_id(text: str, word: str = "volumes") -> Ec2Error:
    if text.startswith("vol-"):
        return errors.invalid_volume_id_malformed(text)
    return errors.invalid_parameter_value(text, word, "Expected: 'vol-...'.")


def not_an_instance_id(text: str) -> Ec2Error:
    """For the actions that take one; those that take several say of either that it is malformed."""
    if text.startswith("i-"):
        return errors.invalid_instance_id_malformed(text)
    return errors.invalid_parameter_value(text, "instanceId", "Expected: 'i-...'.")


def not_a_rule_id(text: str) -> Ec2Error:
    return errors.invalid_parameter_value(text, "securityGroupRuleIds", "Expected: 'sgr-...'.")


@dataclass(frozen=True, slots=True)
class Form:
    """How the ids of a member look."""

    prefixes: tuple[str, ...]
    malformed: Malformed
    word: str
    """The member in EC2's sentences."""

    def check(self, text: str) -> None:
        """Refuse what is no such id.

        :raises Ec2Error: ``InvalidParameterValue``, or the code for what is malformed
        """
        if not text:
            raise errors.invalid_parameter_value("", self.word, "The value cannot be empty")
        if not any(ids.is_well_formed(prefix, text) for prefix in self.prefixes):
            raise self.malformed(text)


def _form(prefix: str, malformed: Malformed, word: str) -> Form:
    return Form((prefix,), malformed, word)


_TASKS: Final = ("import-ami", "import-snap")
_GROUP: Final = errors.invalid_group_id_malformed
FORMS: Final[Mapping[str, Form]] = {
    "DhcpOptionsIds": _form("dopt", errors.invalid_dhcp_options_id_malformed, "dhcpOptionsSet"),
    "ExcludeDataVolumeIds": _form(
        "vol", lambda text: not_a_volume_id(text, "excludeDataVolumeId"), "excludeDataVolumeId"
    ),
    "GroupId": _form("sg", _GROUP, "groupId"),
    "GroupIds": _form("sg", _GROUP, "groupIdSet"),
    "Groups": _form("sg", _GROUP, "groupId"),
    "ImageId": _form("ami", errors.invalid_ami_id_malformed, "imageId"),
    "ImageIds": _form("ami", errors.invalid_ami_id_malformed, "imageSet"),
    "ImportTaskId": Form(_TASKS, errors.invalid_conversion_task_id_malformed, "importTaskId"),
    "ImportTaskIds": Form(_TASKS, errors.invalid_conversion_task_id_malformed, "importTaskIds"),
    "InstanceId": _form("i", not_an_instance_id, "instanceId"),
    "InstanceIds": _form("i", errors.invalid_instance_id_malformed, "instancesSet"),
    "InternetGatewayIds": _form(
        "igw", errors.invalid_internet_gateway_id_malformed, "internetGatewayIdSet"
    ),
    "NetworkAclIds": _form("acl", errors.invalid_network_acl_id_malformed, "networkAclIdSet"),
    "NetworkInterfaceId": _form(
        "eni", errors.invalid_network_interface_id_malformed, "networkInterfaceId"
    ),
    "NetworkInterfaceIds": _form(
        "eni", errors.invalid_network_interface_id_malformed, "networkInterfaceIdSet"
    ),
    "ReferencedGroupId": _form("sg", _GROUP, "referencedGroupId"),
    "RouteTableIds": _form("rtb", errors.invalid_route_table_id_malformed, "routeTableIdSet"),
    "SecurityGroupIds": _form("sg", _GROUP, "groupId"),
    "SecurityGroupRuleId": _form("sgr", not_a_rule_id, "securityGroupRuleId"),
    "SecurityGroupRuleIds": _form("sgr", not_a_rule_id, "securityGroupRuleIdSet"),
    "SnapshotId": _form("snap", not_a_snapshot_id, "snapshotId"),
    "SnapshotIds": _form(
        "snap", lambda text: not_a_snapshot_id(text, "snapshotSet"), "snapshotSet"
    ),
    "SourceImageId": _form("ami", errors.invalid_ami_id_malformed, "sourceImageId"),
    "SourceSnapshotId": _form(
        "snap", lambda text: not_a_snapshot_id(text, "sourceSnapshotId"), "sourceSnapshotId"
    ),
    "SubnetId": _form("subnet", errors.invalid_subnet_id_malformed, "subnetId"),
    "SubnetIds": _form("subnet", errors.invalid_subnet_id_malformed, "subnetSet"),
    "VolumeId": _form("vol", lambda text: not_a_volume_id(text, "volumeId"), "volumeId"),
    "VolumeIds": _form("vol", not_a_volume_id, "volumeSet"),
    "VpcId": _form("vpc", errors.invalid_vpc_id_malformed, "vpcId"),
    "VpcIds": _form("vpc", errors.invalid_vpc_id_malformed, "vpcSet"),
}
"""Members that name resources, wherever in a request they stand."""
OTHERS: Final = frozenset({"Filters", "Placement", "TagSpecifications"})
"""Structures in which names like these mean something else."""
_MAY_BE_EMPTY: Final = frozenset({"SubnetId", "VpcId"})


def check(params: Mapping[str, Any]) -> None:
    """Look at the form of all ids that a request names.

    :raises Ec2Error: for the first that has not the form of its kind
    """
    for name, value in params.items():
        if name in _MAY_BE_EMPTY and not value:
            continue  # EC2 takes the default one then; Packer asks so
        if (form := FORMS.get(name)) is not None:
            for text in (value,) if isinstance(value, str) else value:
                form.check(text)
        elif name not in OTHERS:
            _check_inside(value)


def _check_inside(value: object) -> None:
    """Do the same within structures, where an empty text is one that was left out."""
    if isinstance(value, list):
        for one in value:
            _check_inside(one)
    elif isinstance(value, Mapping):
        given = {name: inner for name, inner in value.items() if inner != "" and name != "VpcId"}
        check(given)  # who is of which VPC is for the group of a rule to say
