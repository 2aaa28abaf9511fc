"""What an instance is shown at 169.254.169.254: path by path, and all that is listed."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Iterator

import pytest

from translators.guests import facts, openstack, tree
from translators.guests.facts import Disk, Facts, Interface
from translators.guests.maintenance import Event
from translators.settings import Guest

KEY = "ssh-rsa AAAAB3NzaC1yc2E="
LAUNCHED = dt.datetime(2026, 1, 2, 3, 4, 5, 600, tzinfo=dt.UTC)
MAC = "0a:ec:20:00:00:01"
ABOVE = f"meta-data/network/interfaces/macs/{MAC}"

FIRST = Interface(
    id="eni-0123456789abcdef0",
    device_index=0,
    mac=MAC,
    private_ip="10.20.0.4",
    private_dns_name="ip-10-20-0-4.eu-central-1.compute.internal",
    owner_id="123456789012",
    subnet_id="subnet-0123456789abcdef0",
    subnet_cidr="10.20.0.0/24",
    vpc_id="vpc-0123456789abcdef0",
    vpc_cidr="10.20.0.0/16",
    group_ids=("sg-0123456789abcdef0", "sg-0123456789abcdef1"),
    group_names=("default", "web"),
    router="10.20.0.1",
    prefix_length=20,
    dns=("10.1.1.53",),
)
FACTS = Facts(
    instance_key=1,
    version=1,
    id="i-0123456789abcdef0",
    account_id="123456789012",
    region="eu-central-1",
    zone="eu-central-1a",
    zone_id="euc1-az1",
    partition="aws",
    image_id="ami-0123456789abcdef0",
    type="t3.micro",
    architecture="x86_64",
    platform=None,
    reservation_id="r-0123456789abcdef0",
    launch_index=2,
    launched_at=LAUNCHED,
    hostname="ip-10-20-0-4.eu-central-1.compute.internal",
    domain="eu-central-1.compute.internal",
    key_name="my key",
    public_key=KEY,
    user_data=b"#!/bin/sh\n\xff\x00",
    interfaces=(FIRST,),
    disks=(Disk("ami", "sda1"), Disk("root", "/dev/sda1"), Disk("ebs1", "sdf")),
    tags={"Name": "web", "a/b": "1", "a b": "2", "0=x": "3", "_index": "4", "..": "5", "k:=@": ""},
    options=facts.METADATA_OPTIONS,
    guest=Guest(),
    password_data=None,
)
BARE = dataclasses.replace(
    FACTS, zone_id="", key_name=None, public_key=None, user_data=None, disks=()
)
TAGGED = dataclasses.replace(
    FACTS, options={**facts.METADATA_OPTIONS, "InstanceMetadataTags": "enabled"}
)
PLANNED = Event(
    id="instance-event-0123456789abcdef0",
    code="system-reboot",
    description="scheduled reboot",
    not_before=dt.datetime(2026, 5, 1, 9, 0, 43, tzinfo=dt.UTC),
    not_after=dt.datetime(2026, 5, 1, 9, 17, 23, tzinfo=dt.UTC),
    state="active",
)


def text(shown: tree.Tree, path: str) -> str:
    return shown[path].body.decode()


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("", "dynamic\nmeta-data\nuser-data"),
        ("dynamic", "instance-identity/"),
        ("dynamic/instance-identity", "document"),
        ("meta-data/ami-id", "ami-0123456789abcdef0"),
        ("meta-data/ami-launch-index", "2"),
        ("meta-data/ami-manifest-path", "(unknown)"),
        ("meta-data/block-device-mapping", "ami\nebs1\nroot"),
        ("meta-data/block-device-mapping/ami", "sda1"),
        ("meta-data/block-device-mapping/ebs1", "sdf"),
        ("meta-data/block-device-mapping/root", "/dev/sda1"),
        ("meta-data/events", "maintenance/"),
        ("meta-data/events/maintenance", "history\nscheduled"),
        ("meta-data/events/maintenance/history", "[]"),
        ("meta-data/events/maintenance/scheduled", "[]"),
        ("meta-data/hostname", "ip-10-20-0-4.eu-central-1.compute.internal"),
        ("meta-data/instance-action", "none"),
        ("meta-data/instance-id", "i-0123456789abcdef0"),
        ("meta-data/instance-life-cycle", "on-demand"),
        ("meta-data/instance-type", "t3.micro"),
        ("meta-data/local-hostname", "ip-10-20-0-4.eu-central-1.compute.internal"),
        ("meta-data/local-ipv4", "10.20.0.4"),
        ("meta-data/mac", MAC),
        ("meta-data/network/interfaces", "macs/"),
        ("meta-data/network/interfaces/macs", f"{MAC}/"),
        (f"{ABOVE}/device-number", "0"),
        (f"{ABOVE}/interface-id", "eni-0123456789abcdef0"),
        (f"{ABOVE}/local-hostname", "ip-10-20-0-4.eu-central-1.compute.internal"),
        (f"{ABOVE}/local-ipv4s", "10.20.0.4"),
        (f"{ABOVE}/mac", MAC),
        (f"{ABOVE}/owner-id", "123456789012"),
        (f"{ABOVE}/security-group-ids", "sg-0123456789abcdef0\nsg-0123456789abcdef1"),
        (f"{ABOVE}/security-groups", "default\nweb"),
        (f"{ABOVE}/subnet-id", "subnet-0123456789abcdef0"),
        (f"{ABOVE}/subnet-ipv4-cidr-block", "10.20.0.0/24"),
        (f"{ABOVE}/vpc-id", "vpc-0123456789abcdef0"),
        (f"{ABOVE}/vpc-ipv4-cidr-block", "10.20.0.0/16"),
        (f"{ABOVE}/vpc-ipv4-cidr-blocks", "10.20.0.0/16"),
        ("meta-data/placement", "availability-zone\navailability-zone-id\nregion"),
        ("meta-data/placement/availability-zone", "eu-central-1a"),
        ("meta-data/placement/availability-zone-id", "euc1-az1"),
        ("meta-data/placement/region", "eu-central-1"),
        ("meta-data/profile", "default-hvm"),
        ("meta-data/public-keys", "0=my key"),
        ("meta-data/public-keys/0", "openssh-key"),
        ("meta-data/public-keys/0/openssh-key", f"{KEY} my key\n"),
        ("meta-data/reservation-id", "r-0123456789abcdef0"),
        ("meta-data/security-groups", "default\nweb"),
        ("meta-data/services", "domain\npartition"),
        ("meta-data/services/domain", "amazonaws.com"),
        ("meta-data/services/partition", "aws"),
    ],
)
def test_a_path_answers_as_on_ec2(path: str, answer: str) -> None:
    shown = tree.tree(FACTS, [])

    assert shown[path] == tree.Answer(answer.encode(), "text/plain")


@pytest.mark.parametrize(
    "path",
    [
        *("meta-data/public-ipv4", "meta-data/public-hostname", f"{ABOVE}/public-ipv4s"),
        *("meta-data/iam", "meta-data/iam/info", "meta-data/iam/security-credentials"),
        *("meta-data/spot/instance-action", "meta-data/spot/termination-time"),
        *(
            "meta-data/events/recommendations/rebalance",
            "meta-data/tags",
            "meta-data/tags/instance",
        ),
        *("meta-data/autoscaling/target-lifecycle-state", "meta-data/kernel-id"),
        *("meta-data/ramdisk-id", "meta-data/product-codes", "meta-data/ancestor-ami-ids"),
        *("dynamic/instance-identity/signature", "dynamic/instance-identity/pkcs7"),
        *("dynamic/instance-identity/rsa2048", "api", "api/token", "meta-data/public-keys/1"),
    ],
)
def test_what_an_instance_has_not_is_neither_answered_nor_listed(path: str) -> None:
    shown = tree.tree(FACTS, [])

    assert path not in shown
    above, _, name = path.rpartition("/")
    if above in shown:
        assert not {name, f"{name}/"} & set(text(shown, above).split("\n"))


@pytest.mark.parametrize("told", [FACTS, BARE, TAGGED])
def test_all_that_is_listed_answers_and_all_that_answers_is_listed(told: Facts) -> None:
    shown = tree.tree(told, [PLANNED])

    above = {path.rpartition("/")[0] for path in shown}
    leaves = {path for path in shown if "/" in path and path not in above}
    assert {*crawl(shown, "meta-data"), *crawl(shown, "dynamic")} == leaves


def crawl(shown: tree.Tree, path: str) -> Iterator[str]:
    """List the leaves below a directory, found by its listings alone, as cloud-init does."""
    for line in text(shown, path).split("\n"):
        number, equals, _name = line.partition("=")
        if line.endswith("/"):
            yield from crawl(shown, f"{path}/{line[:-1]}")
        elif equals and number.isdecimal():
            yield from crawl(shown, f"{path}/{number}")
        else:
            assert f"{path}/{line}" in shown
            yield f"{path}/{line}"


def test_user_data_are_the_owners_bytes() -> None:
    assert tree.tree(FACTS, [])["user-data"] == tree.Answer(
        b"#!/bin/sh\n\xff\x00", "application/octet-stream"
    )


def test_without_key_pair_user_data_and_disks_nothing_speaks_of_them() -> None:
    shown = tree.tree(BARE, [])

    assert text(shown, "") == "dynamic\nmeta-data"
    assert not any("public-keys" in path or "block-device" in path for path in shown)
    listed = text(shown, "meta-data").split("\n")
    assert not {"public-keys/", "block-device-mapping/"} & set(listed)
    assert text(shown, "meta-data/placement") == "availability-zone\nregion"


def test_the_identity_document_says_who_the_instance_is() -> None:
    document = json.loads(text(tree.tree(FACTS, []), "dynamic/instance-identity/document"))

    assert document == {
        "accountId": "123456789012",
        "architecture": "x86_64",
        "availabilityZone": "eu-central-1a",
        "billingProducts": None,
        "devpayProductCodes": None,
        "marketplaceProductCodes": None,
        "imageId": "ami-0123456789abcdef0",
        "instanceId": "i-0123456789abcdef0",
        "instanceType": "t3.micro",
        "kernelId": None,
        "pendingTime": "2026-01-02T03:04:05Z",
        "privateIp": "10.20.0.4",
        "ramdiskId": None,
        "region": "eu-central-1",
        "version": "2017-09-30",
    }


def test_tags_are_shown_when_their_owner_wants_it_if_they_can_stand_in_a_path() -> None:
    shown = tree.tree(TAGGED, [])

    assert text(shown, "meta-data/tags") == "instance/"
    assert text(shown, "meta-data/tags/instance") == "Name\nk:=@"
    assert text(shown, "meta-data/tags/instance/Name") == "web"
    assert text(shown, "meta-data/tags/instance/k:=@") == ""


def test_planned_maintenance_is_scheduled_and_what_is_over_is_history() -> None:
    over = dataclasses.replace(
        PLANNED, state="completed", not_after=None, description="[Completed] scheduled reboot"
    )
    shown = tree.tree(FACTS, [PLANNED, over])

    assert json.loads(text(shown, "meta-data/events/maintenance/scheduled")) == [
        {
            "NotBefore": "01 May 2026 09:00:43 GMT",
            "Code": "system-reboot",
            "Description": "scheduled reboot",
            "EventId": "instance-event-0123456789abcdef0",
            "NotAfter": "01 May 2026 09:17:23 GMT",
            "State": "active",
        }
    ]
    assert json.loads(text(shown, "meta-data/events/maintenance/history")) == [
        {
            "NotBefore": "01 May 2026 09:00:43 GMT",
            "Code": "system-reboot",
            "Description": "[Completed] scheduled reboot",
            "EventId": "instance-event-0123456789abcdef0",
            "State": "completed",
        }
    ]


def test_each_interface_has_its_own_branch_and_the_first_is_the_instances() -> None:
    second = dataclasses.replace(
        FIRST, device_index=1, mac="0a:ec:20:00:00:02", private_ip="10.20.0.9"
    )
    shown = tree.tree(dataclasses.replace(FACTS, interfaces=(FIRST, second)), [])

    macs = "meta-data/network/interfaces/macs"
    assert text(shown, macs) == f"{MAC}/\n0a:ec:20:00:00:02/"
    assert text(shown, f"{macs}/0a:ec:20:00:00:02/local-ipv4s") == "10.20.0.9"
    assert text(shown, f"{macs}/0a:ec:20:00:00:02/device-number") == "1"
    assert text(shown, "meta-data/local-ipv4") == "10.20.0.4"


def test_china_has_a_domain_of_its_own() -> None:
    shown = tree.tree(dataclasses.replace(FACTS, partition="aws-cn"), [])

    assert text(shown, "meta-data/services/domain") == "amazonaws.com.cn"


def test_cloudbase_init_finds_name_key_and_user_data_in_openstacks_form() -> None:
    shown = openstack.tree(FACTS)

    assert text(shown, "") == "meta_data.json\nnetwork_data.json\npassword\nuser_data"
    assert shown["meta_data.json"].content_type == "application/json"
    assert json.loads(text(shown, "meta_data.json")) == {
        "uuid": "i-0123456789abcdef0",
        "name": "ip-10-20-0-4",
        "hostname": "ip-10-20-0-4.eu-central-1.compute.internal",
        "availability_zone": "eu-central-1a",
        "launch_index": 2,
        "project_id": "123456789012",
        "public_keys": {"my key": f"{KEY} my key"},
    }
    assert shown["network_data.json"].content_type == "application/json"
    [network] = json.loads(text(shown, "network_data.json"))["networks"]
    assert (network["ip_address"], network["netmask"]) == ("10.20.0.4", "255.255.240.0")
    assert shown["user_data"] == tree.Answer(b"#!/bin/sh\n\xff\x00", "application/octet-stream")


def test_the_password_is_empty_until_the_guest_has_posted_it() -> None:
    assert text(openstack.tree(FACTS), "password") == ""
    posted = dataclasses.replace(FACTS, password_data="c2VhbGVk")
    assert text(openstack.tree(posted), "password") == "c2VhbGVk"


def test_without_key_and_user_data_openstacks_tree_names_none() -> None:
    shown = openstack.tree(BARE)

    assert "user_data" not in shown
    assert "public_keys" not in json.loads(text(shown, "meta_data.json"))
