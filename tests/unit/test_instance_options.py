"""Monitoring, metadata options, credit options and offerings of types: what is told of them."""

from __future__ import annotations

import dataclasses
from typing import Any, Final

import pytest

from state.store import Store
from tests.attributes import launched, stopped, terminated
from tests.launches import REGION, Cloud
from translators.ec2 import instance_type_offerings
from translators.ec2.instances import credits, metadata, monitoring
from translators.errors import Ec2Error
from translators.settings import InstanceType, Settings

ROOMS: Final = (credits, instance_type_offerings, metadata, monitoring)
"""Imported for the actions that they register."""
UNKNOWN: Final = "i-0123456789abcdef0"


@pytest.fixture
def cloud(store: Store, settings: Settings) -> Cloud:
    return Cloud(store, settings)


def refused(cloud: Cloud, action: str, **request: Any) -> tuple[str, str]:
    before = cloud.seen()
    with pytest.raises(Ec2Error) as caught:
        cloud.call(action, **request)
    assert cloud.seen() == before
    return caught.value.code, caught.value.message


# -- monitoring


def states(cloud: Cloud, action: str, *instance_ids: str) -> list[str]:
    answer = cloud.call(action, InstanceIds=list(instance_ids))["InstanceMonitorings"]
    assert [one["InstanceId"] for one in answer] == list(dict.fromkeys(instance_ids))
    return [one["Monitoring"]["State"] for one in answer]


def test_monitoring_is_turned_on_and_off(cloud: Cloud) -> None:
    first, second = launched(cloud), stopped(cloud)
    assert states(cloud, "MonitorInstances", second, first, second) == ["pending", "pending"]
    assert [one["Monitoring"]["State"] for one in cloud.seen()] == ["enabled", "enabled"]
    assert states(cloud, "UnmonitorInstances", first) == ["disabling"]
    assert [one["Monitoring"]["State"] for one in cloud.seen()] == ["disabled", "enabled"]
    assert states(cloud, "MonitorInstances", first, second) == ["pending", "enabled"]
    states(cloud, "UnmonitorInstances", second)
    assert states(cloud, "UnmonitorInstances", second) == ["disabled"]


def test_what_cannot_be_monitored_leaves_all_as_it_was(cloud: Cloud) -> None:
    mine, gone = launched(cloud), terminated(cloud)
    for action in ("MonitorInstances", "UnmonitorInstances"):
        assert refused(cloud, action, InstanceIds=[mine, gone])[0] == "IncorrectInstanceState"
        assert refused(cloud, action, InstanceIds=[mine, UNKNOWN])[0] == (
            "InvalidInstanceID.NotFound"
        )
        assert refused(cloud, action, InstanceIds=[mine], MetricCategoryIds=["x"]) == (
            "UnsupportedOperation",
            "The parameter MetricCategoryId is not supported by this service.",
        )


# -- metadata options


def test_metadata_options_change_one_by_one(cloud: Cloud) -> None:
    instance_id = launched(cloud, MetadataOptions={"InstanceMetadataTags": "enabled"})
    answer = cloud.call(
        "ModifyInstanceMetadataOptions",
        InstanceId=instance_id,
        HttpTokens="required",
        HttpPutResponseHopLimit=2,
    )
    chosen = {
        "HttpEndpoint": "enabled",
        "HttpProtocolIpv6": "disabled",
        "HttpPutResponseHopLimit": 2,
        "HttpTokens": "required",
        "InstanceMetadataTags": "enabled",
    }
    assert answer == {
        "InstanceId": instance_id,
        "InstanceMetadataOptions": {"State": "pending", **chosen},
    }
    assert cloud.seen(instance_id)[0]["MetadataOptions"] == {"State": "applied", **chosen}
    cloud.call("ModifyInstanceMetadataOptions", InstanceId=instance_id, HttpEndpoint="disabled")
    [shown] = cloud.seen(instance_id)
    assert shown["MetadataOptions"] == {"State": "applied", **chosen, "HttpEndpoint": "disabled"}


def test_metadata_options_that_cannot_be(cloud: Cloud) -> None:
    mine = launched(cloud)
    refusals: tuple[tuple[str, dict[str, Any], str], ...] = (
        (mine, {"HttpTokens": "perhaps"}, "InvalidParameterValue"),
        (mine, {"HttpPutResponseHopLimit": 65}, "InvalidParameterValue"),
        (mine, {"HttpPutResponseHopLimit": 0}, "InvalidParameterValue"),
        (mine, {"HttpProtocolIpv6": "enabled"}, "UnsupportedOperation"),
        (UNKNOWN, {"HttpTokens": "required"}, "InvalidInstanceID.NotFound"),
        ("i-x", {"HttpTokens": "required"}, "InvalidInstanceID.Malformed"),
        (terminated(cloud), {"HttpTokens": "required"}, "IncorrectInstanceState"),
    )
    for instance_id, request, code in refusals:
        found = refused(cloud, "ModifyInstanceMetadataOptions", InstanceId=instance_id, **request)
        assert found[0] == code
    assert refused(cloud, "ModifyInstanceMetadataOptions", InstanceId=mine, HttpTokens="perhaps")[
        1
    ] == (
        "Value (perhaps) for parameter HttpTokens is invalid. Expecting one of: optional, required."
    )


# -- credit options


def credited(cloud: Cloud, **request: Any) -> dict[str, str]:
    answer = cloud.call("DescribeInstanceCreditSpecifications", **request)
    listed = answer["InstanceCreditSpecifications"]
    return {one["InstanceId"]: one["CpuCredits"] for one in listed}


def test_the_credit_option_is_the_chosen_one_or_the_types(cloud: Cloud) -> None:
    old = InstanceType("t2.micro", 1, 1024, burstable=True)
    types = {**cloud.settings.instance_types, old.name: old}
    cloud.settings = dataclasses.replace(cloud.settings, instance_types=types)
    plain = launched(cloud, InstanceType="m5.large")
    standard = launched(cloud, InstanceType="t2.micro")
    unlimited = launched(cloud, InstanceType="t3.micro")
    chosen = launched(
        cloud, InstanceType="t3.micro", CreditSpecification={"CpuCredits": "standard"}
    )
    raised = launched(
        cloud, InstanceType="t2.micro", CreditSpecification={"CpuCredits": "unlimited"}
    )
    every = {
        plain: "standard",
        standard: "standard",
        unlimited: "unlimited",
        chosen: "standard",
        raised: "unlimited",
    }
    assert credited(cloud, InstanceIds=list(every)) == every
    # Without ids only the unlimited ones are listed, as EC2 does.
    assert credited(cloud) == {unlimited: "unlimited", raised: "unlimited"}
    one = [{"Name": "instance-id", "Values": [raised, plain]}]
    assert credited(cloud, Filters=one) == {raised: "unlimited"}
    assert credited(cloud, InstanceIds=[plain, unlimited], Filters=one) == {plain: "standard"}


def test_credit_options_come_in_pages(cloud: Cloud) -> None:
    ids = cloud.run(7, InstanceType="t3.micro")
    first = cloud.call("DescribeInstanceCreditSpecifications", MaxResults=5)
    assert len(first["InstanceCreditSpecifications"]) == 5
    rest = credited(cloud, MaxResults=5, NextToken=first["NextToken"])
    assert list(rest) == ids[5:]
    action = "DescribeInstanceCreditSpecifications"
    assert refused(cloud, action, MaxResults=5, InstanceIds=ids)[0] == (
        "InvalidParameterCombination"
    )
    assert refused(cloud, action, InstanceIds=[UNKNOWN])[0] == "InvalidInstanceID.NotFound"


# -- offerings


def offered(cloud: Cloud, **request: Any) -> set[tuple[str, str]]:
    answer = cloud.call("DescribeInstanceTypeOfferings", **request)
    assert "NextToken" not in answer
    listed = answer["InstanceTypeOfferings"]
    kind = request.get("LocationType", "region")
    assert {one["LocationType"] for one in listed} <= {kind}
    found = {(one["InstanceType"], one["Location"]) for one in listed}
    assert len(found) == len(listed)
    return found


def test_every_type_is_offered_everywhere(cloud: Cloud) -> None:
    types = ("t3.micro", "t3.small", "m5.large")
    assert offered(cloud) == {(name, REGION) for name in types}
    assert offered(cloud, LocationType="availability-zone") == {
        (name, f"{REGION}{letter}") for name in types for letter in "abc"
    }
    assert offered(cloud, LocationType="availability-zone-id") == {
        (name, f"use1-az{number}") for name in types for number in (1, 2, 3)
    }
    assert offered(cloud, LocationType="outpost") == set()


def test_offerings_are_filtered_by_type_and_location(cloud: Cloud) -> None:
    micro: Any = {"Name": "instance-type", "Values": ["t3.*"]}
    zone: Any = {"Name": "location", "Values": [f"{REGION}b"]}
    assert offered(cloud, LocationType="availability-zone", Filters=[micro, zone]) == {
        ("t3.micro", f"{REGION}b"),
        ("t3.small", f"{REGION}b"),
    }
    assert offered(cloud, Filters=[zone]) == set()


def test_offerings_come_in_pages(cloud: Cloud) -> None:
    request: dict[str, Any] = {"LocationType": "availability-zone", "MaxResults": 5}
    first = cloud.call("DescribeInstanceTypeOfferings", **request)
    rest = cloud.call("DescribeInstanceTypeOfferings", **request, NextToken=first["NextToken"])
    pages = first["InstanceTypeOfferings"], rest["InstanceTypeOfferings"]
    assert [len(page) for page in pages] == [5, 4]
    assert {(one["InstanceType"], one["Location"]) for page in pages for one in page} == offered(
        cloud, LocationType="availability-zone"
    )
    action = "DescribeInstanceTypeOfferings"
    assert refused(cloud, action, NextToken=first["NextToken"])[0] == "InvalidNextToken"
    assert refused(cloud, action, LocationType="planet") == (
        "InvalidParameterValue",
        "Value (planet) for parameter locationType is invalid. "
        "Expecting one of: region, availability-zone, availability-zone-id, outpost.",
    )
