"""Tags, key pairs, lists and the rest: what is refused besides ids and launches."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.bad_input.asked import (
    ABSENT,
    COMBINATION,
    LAUNCH,
    MISSING,
    VALUE,
    Case,
    check,
    many,
    tags,
)


def tagged(says: str, given: dict[str, Any], code: str, message: str) -> Case:
    return Case(says, "run_instances", {**LAUNCH, **given}, code, message)


TAGS = [
    tagged(
        "51 tags",
        tags("instance", *many(51)),
        "TagLimitExceeded",
        "The resultant tag set must not have more than 50 user tags.",
    ),
    tagged("a tag key of 129", tags("instance", ("k" * 129, "")), VALUE, "~128 characters"),
    tagged("a tag value of 257", tags("instance", ("k", "v" * 257)), VALUE, "~256 characters"),
    tagged(
        "a reserved tag key",
        tags("instance", ("aws:mine", "")),
        VALUE,
        "Value ( aws:mine ) for parameter key is invalid. "
        "Tag keys starting with 'aws:' are reserved for internal use",
    ),
    tagged(
        "an empty tag key", tags("instance", ("", "x")), "InvalidTagKey.Malformed", "~not valid"
    ),
    tagged(
        "a tag key twice",
        tags("instance", ("a", "1"), ("a", "2")),
        VALUE,
        "Duplicate tag key 'a' specified.",
    ),
    tagged(
        "tags of what a launch does not make",
        tags("vpc", ("a", "1")),
        VALUE,
        "'vpc' is not a valid taggable resource type for this operation.",
    ),
    Case(
        "a tag on nothing",
        "create_tags",
        {"Resources": [], "Tags": [{"Key": "a"}]},
        MISSING,
        "The request must contain the parameter resourceIdSet",
    ),
    Case(
        "no tag",
        "create_tags",
        {"Resources": ["{instance}"], "Tags": []},
        MISSING,
        "~must contain the parameter tag",
    ),
    Case(
        "a tag on what has no tags",
        "create_tags",
        {"Resources": ["nonsense"], "Tags": [{"Key": "a"}]},
        "InvalidID",
        "The ID 'nonsense' is not valid",
    ),
    Case(
        "a tag on an unknown instance",
        "create_tags",
        {"Resources": [f"i-{ABSENT}"], "Tags": [{"Key": "a"}]},
        "InvalidInstanceID.NotFound",
        f"The instance ID 'i-{ABSENT}' does not exist",
    ),
    Case(
        "51 tags on what is there",
        "create_tags",
        {"Resources": ["{instance}"], "Tags": [{"Key": key} for key, _ in many(51)]},
        "TagLimitExceeded",
        "The resultant tag set must not have more than 50 user tags.",
    ),
    Case(
        "a reserved tag is deleted",
        "delete_tags",
        {"Resources": ["{instance}"], "Tags": [{"Key": "AWS:mine"}]},
        VALUE,
        "~reserved for internal use",
    ),
]
KEY_PAIRS = [
    Case(
        "a key name that is taken",
        "create_key_pair",
        {"KeyName": "taken"},
        "InvalidKeyPair.Duplicate",
        "The keypair 'taken' already exists.",
    ),
    Case("no key name", "create_key_pair", {}, MISSING, "~must contain the parameter [kK]eyName"),
    Case("a key name of 256", "create_key_pair", {"KeyName": "k" * 256}, VALUE, "~255 characters"),
    Case("a key type of old", "create_key_pair", {"KeyName": "k", "KeyType": "dsa"}, VALUE, "~dsa"),
    Case(
        "a key that is none",
        "import_key_pair",
        {"KeyName": "k", "PublicKeyMaterial": b"no key"},
        "InvalidKey.Format",
        "Key is not in valid OpenSSH public key format",
    ),
    Case(
        "an unknown key name",
        "describe_key_pairs",
        {"KeyNames": ["nobody"]},
        "InvalidKeyPair.NotFound",
        "The key pair 'nobody' does not exist",
    ),
    Case("no key to delete", "delete_key_pair", {}, MISSING, "~must contain the parameter"),
]
LISTS = [
    Case(
        "an unknown filter",
        "describe_instances",
        {"Filters": [{"Name": "colour", "Values": ["red"]}]},
        VALUE,
        "The filter 'colour' is invalid",
    ),
    Case(
        "a filter without a name",
        "describe_instances",
        {"Filters": [{"Values": ["red"]}]},
        VALUE,
        "The filter 'null' is invalid",
    ),
    Case(
        "201 values",
        "describe_images",
        {"Filters": [{"Name": "name", "Values": [str(number) for number in range(201)]}]},
        VALUE,
        "The maximum number of filter values specified on a single call is 200",
    ),
    Case(
        "pages of four",
        "describe_instances",
        {"MaxResults": 4},
        VALUE,
        "Value ( 4 ) for parameter maxResults is invalid. Expecting a value greater than 5.",
    ),
    Case("pages of 1001", "describe_subnets", {"MaxResults": 1001}, VALUE, "~less than 1000"),
    Case("pages of none", "describe_vpcs", {"MaxResults": 0}, VALUE, "~maxResults is invalid"),
    Case(
        "pages of ids",
        "describe_instances",
        {"MaxResults": 5, "InstanceIds": ["{instance}"]},
        COMBINATION,
        "The parameter instancesSet cannot be used with the parameter maxResults",
    ),
    Case(
        "a token of nobody",
        "describe_instances",
        {"NextToken": "next"},
        "InvalidNextToken",
        "The token 'next' is invalid",
    ),
    Case(
        "101 instances' status",
        "describe_instance_status",
        {"InstanceIds": [f"i-{ABSENT}"] * 101},
        "InvalidRequest",
        "101 exceeds the maximum number of instance IDs that can be specificied (100). "
        "Please specify fewer than 100 instance IDs.",
    ),
    Case(
        "an unknown type",
        "describe_instance_types",
        {"InstanceTypes": ["t9.micro"]},
        "InvalidInstanceType",
        "The following supplied instance types do not exist: [t9.micro]",
    ),
    Case("an unknown region", "describe_regions", {"RegionNames": ["moon-1"]}, VALUE, "~moon-1"),
    Case(
        "an unknown zone",
        "describe_availability_zones",
        {"ZoneNames": ["eu-west-1z"]},
        VALUE,
        "Invalid availability zone: [eu-west-1z]",
    ),
    Case(
        "an unknown account attribute",
        "describe_account_attributes",
        {"AttributeNames": ["colour"]},
        VALUE,
        "~colour",
    ),
    Case(
        "an unknown VPC attribute",
        "describe_vpc_attribute",
        {"VpcId": "{vpc}", "Attribute": "colour"},
        VALUE,
        "~colour",
    ),
    Case("an owner", "describe_images", {"Owners": ["me"]}, "InvalidUserID.Malformed", "~me"),
]
OTHERS = [
    Case(
        "no instances",
        "stop_instances",
        {"InstanceIds": []},
        MISSING,
        "~must contain the parameter",
    ),
    Case(
        "hibernation of what cannot",
        "stop_instances",
        {"InstanceIds": ["{instance}"], "Hibernate": True},
        "UnsupportedHibernationConfiguration",
        "~{instance}",
    ),
    Case(
        "an action not offered",
        "create_verified_access_instance",
        {"Description": "x"},
        "InvalidAction",
        "The action CreateVerifiedAccessInstance is not valid for this web service.",
    ),
    Case(
        "an action that takes no parameters",
        "describe_ipam_pools",
        {},
        "InvalidAction",
        "The action DescribeIpamPools is not valid for this web service.",
    ),
]


@pytest.mark.parametrize("case", [*TAGS, *KEY_PAIRS, *LISTS, *OTHERS], ids=str)
def test_it_is_refused_in_ec2s_words(ec2: Any, facts: dict[str, str], case: Case) -> None:
    check(ec2, facts, case)


def test_nothing_that_was_refused_is_there(ec2: Any, facts: dict[str, str]) -> None:
    """Runs after the others of this file."""
    assert ec2.describe_tags()["Tags"] == []
    assert [one["KeyName"] for one in ec2.describe_key_pairs()["KeyPairs"]] == ["taken"]
