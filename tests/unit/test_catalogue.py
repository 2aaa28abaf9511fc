"""What may be launched and where: images, instance types, regions, zones, the caller."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import sqlalchemy as sa

from state import models
from state.store import Store
from tests.reads import Reads
from translators import zones
from translators.errors import Ec2Error
from translators.registry import ACTIONS
from translators.settings import InstanceType, Settings


@pytest.fixture
def reads(store: Store, settings: Settings) -> Reads:
    return Reads(store, settings)


# -- images


def image(reads: Reads, name: str, **columns: Any) -> str:
    return reads.image(name=name, **{"account_key": reads.account_key, **columns})


def names(reads: Reads, **request: Any) -> list[str]:
    return [one["Name"] for one in reads.call("DescribeImages", **request)["Images"]]


def test_public_images_are_the_same_in_every_region_and_for_all(reads: Reads) -> None:
    operator, operator_id = reads.operator()
    reads.store.write(lambda session: session.execute(sa.delete(models.Image)))
    image(reads, "linux", account_key=operator)
    image(reads, "windows", account_key=operator, platform="windows", generation=1)
    image(reads, "draft", account_key=operator, public=False)
    image(reads, "mine", public=False, region="us-east-1", description="own")
    image(reads, "away", public=False, region="eu-west-1")
    assert names(reads) == ["linux", "windows", "mine"]
    assert names(reads, Owners=["self"]) == ["mine"]
    assert names(reads, Owners=["amazon"]) == ["linux", "windows"]
    assert names(reads, Owners=[operator_id]) == ["linux", "windows"]
    assert names(reads, Owners=["self", "amazon"]) == ["linux", "windows", "mine"]
    assert names(reads, Owners=["aws-marketplace"]) == []
    assert names(reads, ExecutableUsers=["all"]) == ["linux", "windows"]
    assert names(reads, ExecutableUsers=["self"]) == []
    linux, windows, mine = reads.call("DescribeImages")["Images"]
    assert (linux["ImageOwnerAlias"], linux["ImageLocation"]) == ("amazon", "amazon/linux")
    assert mine["ImageLocation"] == f"{reads.account_id}/mine"
    assert (linux["BootMode"], windows["BootMode"]) == ("uefi", "legacy-bios")
    assert (windows["Platform"], windows["PlatformDetails"]) == ("windows", "Windows")
    assert "Platform" not in linux
    assert (mine["Description"], mine["Public"]) == ("own", False)
    reads.account_key, reads.account_id = reads.account("two")
    assert names(reads) == ["linux", "windows"]
    with pytest.raises(Ec2Error, match=r"The image id .* does not exist"):
        names(reads, ImageIds=[mine["ImageId"]])


def test_images_are_found_by_id_and_filter(reads: Reads) -> None:
    [shown] = reads.call("DescribeImages", ImageIds=[reads.image_id])["Images"]
    assert names(reads, ImageIds=[reads.image_id], Owners=["amazon"]) == []
    for name, value in (
        ("name", "lin*"),
        ("creation-date", "2026-01-02T*"),
        ("manifest-location", shown["ImageLocation"]),
        ("owner-id", reads.account_id),
        ("block-device-mapping.volume-size", "8"),
        ("boot-mode", "uefi"),
        ("is-public", "true"),
        ("root-device-type", "ebs"),
        ("state", "available"),
        ("virtualization-type", "hvm"),
    ):
        assert names(reads, Filters=[{"Name": name, "Values": [value]}]) == ["linux"], name
        assert names(reads, Filters=[{"Name": name, "Values": ["other"]}]) == [], name
    assert names(reads, Filters=[{"Name": "owner-alias", "Values": ["amazon"]}]) == []
    assert shown["CreationDate"] == "2026-01-02T03:04:05.000Z"


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"ImageIds": ["ami-" + "0" * 17]}, "InvalidAMIID.NotFound"),
        ({"ImageIds": ["ami-xyz"]}, "InvalidAMIID.Malformed"),
        ({"Owners": ["nobody"]}, "InvalidUserID.Malformed"),
        ({"ExecutableUsers": ["nobody"]}, "InvalidUserID.Malformed"),
    ],
)
def test_images_that_cannot_be_named_so_are_refused(reads: Reads, request_: Any, code: str) -> None:
    with pytest.raises(Ec2Error) as caught:
        names(reads, **request_)
    assert caught.value.code == code


# -- instance types


def types(reads: Reads, **request: Any) -> list[str]:
    answer = reads.call("DescribeInstanceTypes", **request)
    return [one["InstanceType"] for one in answer["InstanceTypes"]]


def test_types_are_those_of_the_configuration(reads: Reads) -> None:
    assert types(reads) == ["m5.large", "t3.micro", "t3.small"]
    [shown] = reads.call("DescribeInstanceTypes", InstanceTypes=["m5.large"])["InstanceTypes"]
    assert shown["MemoryInfo"] == {"SizeInMiB": 8192}
    assert shown["VCpuInfo"]["DefaultVCpus"] == 2
    assert shown["SupportedUsageClasses"] == ["on-demand"]
    assert shown["BurstablePerformanceSupported"] is False
    with pytest.raises(Ec2Error) as caught:
        types(reads, InstanceTypes=["m5.large", "x9.huge", "m5.larg*"])
    assert caught.value.code == "InvalidInstanceType"
    assert caught.value.message == (
        "The following supplied instance types do not exist: [x9.huge, m5.larg*]"
    )


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("instance-type", "t3.*", ["t3.micro", "t3.small"]),
        ("memory-info.size-in-mib", "2048", ["t3.small"]),
        ("current-generation", "true", ["m5.large", "t3.micro", "t3.small"]),
        ("burstable-performance-supported", "true", ["t3.micro", "t3.small"]),
        ("processor-info.supported-architecture", "arm64", []),
        ("vcpu-info.valid-threads-per-core", "1", ["m5.large", "t3.micro", "t3.small"]),
        ("instance-storage-info.disk.size-in-gb", "*", []),
        ("supported-usage-class", "spot", []),
    ],
)
def test_types_are_filtered(reads: Reads, name: str, value: str, expected: list[str]) -> None:
    assert types(reads, Filters=[{"Name": name, "Values": [value]}]) == expected


def test_a_hundred_types_are_a_page(reads: Reads) -> None:
    made = [InstanceType(f"a1.x{number:03}", 1, 512) for number in range(205)]
    reads.settings = dataclasses.replace(
        reads.settings, instance_types={one.name: one for one in made}
    )
    found: list[str] = []
    request: dict[str, Any] = {}
    for _ in range(3):
        answer = reads.call("DescribeInstanceTypes", **request)
        found += [one["InstanceType"] for one in answer["InstanceTypes"]]
        request = {"NextToken": answer.get("NextToken")}
    assert request == {"NextToken": None}
    assert found == [one.name for one in made]


# -- regions and zones


def test_the_laboratory_has_every_region_of_aws(reads: Reads) -> None:
    listed = reads.call("DescribeRegions")["Regions"]
    assert len(listed) > 20
    [one] = reads.call("DescribeRegions", RegionNames=["eu-west-1"])["Regions"]
    assert one == {
        "Endpoint": "ec2.eu-west-1.amazonaws.com",
        "OptInStatus": "opt-in-not-required",
        "RegionName": "eu-west-1",
    }
    by_name = [{"Name": "region-name", "Values": ["us-*-1"]}]
    found = [one["RegionName"] for one in reads.call("DescribeRegions", Filters=by_name)["Regions"]]
    assert found == ["us-east-1", "us-west-1"]
    with pytest.raises(Ec2Error, match="InvalidParameterValue"):
        reads.call("DescribeRegions", RegionNames=["eu-west-1", "mars-north-1"])
    reads.settings = dataclasses.replace(reads.settings, public_endpoint="ec2.example.org")
    assert reads.call("DescribeRegions")["Regions"][0]["Endpoint"] == "ec2.example.org"


def test_real_hosts_have_the_regions_that_were_configured(reads: Reads) -> None:
    reads.update(models.Host, reads.hosts["a"], region="dc-east-1")
    reads.update(models.Host, reads.hosts["b"], region="us-west-2", zone_letter="d")
    reads.update(models.Host, reads.hosts["c"], region="us-west-2", state="removed")
    for key in reads.networks.values():
        reads.update(models.Network, key, region="dc-east-1", zone_letter="a")
    listed = [one["RegionName"] for one in reads.call("DescribeRegions")["Regions"]]
    assert listed == ["dc-east-1", "us-west-2"]
    with reads.store.read() as session:
        assert [one.name for one in zones.zones(session, "us-west-2")] == ["us-west-2d"]
        assert zones.exists(session, "dc-east-1")
        assert not zones.exists(session, "us-east-1")


def test_any_region_that_aws_knows_exists_in_the_laboratory(reads: Reads) -> None:
    with reads.store.read() as session:
        for name in ("us-east-1", "us-gov-west-1", "cn-north-1"):
            assert zones.exists(session, name)
        for name in ("mars-north-1", "", "*", "aws-global"):
            assert not zones.exists(session, name)


def test_zones_are_the_letters_of_hosts_and_networks(reads: Reads) -> None:
    shown = reads.call("DescribeAvailabilityZones")["AvailabilityZones"]
    assert [one["ZoneName"] for one in shown] == ["us-east-1a", "us-east-1b", "us-east-1c"]
    assert shown[1] == {
        "GroupLongName": "US East (N. Virginia) 1",
        "GroupName": "us-east-1-zg-1",
        "Messages": [],
        "NetworkBorderGroup": "us-east-1",
        "OptInStatus": "opt-in-not-required",
        "RegionName": "us-east-1",
        "State": "available",
        "ZoneId": "use1-az2",
        "ZoneName": "us-east-1b",
        "ZoneType": "availability-zone",
    }

    def found(**request: Any) -> list[str]:
        answer = reads.call("DescribeAvailabilityZones", **request)
        return [one["ZoneName"] for one in answer["AvailabilityZones"]]

    assert found(ZoneNames=["us-east-1c"]) == ["us-east-1c"]
    assert found(ZoneIds=["use1-az1"], AllAvailabilityZones=True) == ["us-east-1a"]
    assert found(Filters=[{"Name": "zone-id", "Values": ["*2"]}]) == ["us-east-1b"]
    assert found(Filters=[{"Name": "state", "Values": ["impaired"]}]) == []
    for request in ({"ZoneNames": ["us-east-1z"]}, {"ZoneIds": ["use1-az9"]}):
        with pytest.raises(Ec2Error, match="Invalid availability zone: "):
            found(**request)


@pytest.mark.parametrize(
    ("region", "zone_id"),
    [
        ("us-east-1", "use1-az1"),
        ("eu-central-2", "euc2-az1"),
        ("ap-southeast-2", "apse2-az1"),
        ("us-gov-west-1", "usgw1-az1"),
        ("cn-northwest-1", "cnnw1-az1"),
        ("sa-east-1", "sae1-az1"),
        ("cellar", "cellar-az1"),
    ],
)
def test_zone_ids_are_written_as_aws_writes_them(region: str, zone_id: str) -> None:
    assert zones.zone_id(region, "a") == zone_id


# -- the caller


def test_account_attributes_name_the_default_vpc(reads: Reads) -> None:
    [vpc] = reads.rows(models.Vpc)
    shown = {
        one["AttributeName"]: [value["AttributeValue"] for value in one["AttributeValues"]]
        for one in reads.call("DescribeAccountAttributes")["AccountAttributes"]
    }
    assert len(shown) == 6
    assert shown["default-vpc"] == [vpc.id]
    assert shown["supported-platforms"] == ["VPC"]
    [one] = reads.call("DescribeAccountAttributes", AttributeNames=["max-instances"])[
        "AccountAttributes"
    ]
    assert one["AttributeValues"] == [{"AttributeValue": "10000"}]
    with pytest.raises(Ec2Error, match="InvalidParameterValue"):
        reads.call("DescribeAccountAttributes", AttributeNames=["moon"])


def test_the_caller_is_the_account(reads: Reads) -> None:
    with reads.store.read() as session:
        answer = ACTIONS["sts", "GetCallerIdentity"].handler(reads.context(session), {})
    assert answer == {
        "Account": reads.account_id,
        "Arn": f"arn:aws:iam::{reads.account_id}:root",
        "UserId": reads.account_id,
    }
